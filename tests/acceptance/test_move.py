"""A store is moved from SQLite to PostgreSQL: work, leases, keys and cursors go on as if nothing had happened."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest

from swarmkeeper.storage.copying.sqlite_content import SqliteContent
from tests.acceptance.server import BIN, Caller, Server
from tests.support.postgres import server as postgres

ENOUGH = 60  # seconds


def register(call: Caller, name: str) -> str:
    return str(call.post("/bots/register", {"type": "Executor", "version": "1", "name": name})["id"])


def take(call: Caller, bot: str) -> dict[str, Any]:
    (lease,) = call.post("/leases", {"bot_id": bot, "wait_seconds": 10, "lease_seconds": 300})["leases"]
    found: dict[str, Any] = lease
    return found


def done(call: Caller, bot: str, lease: dict[str, Any]) -> None:
    body = {"bot_id": bot, "lease_id": lease["lease_id"], "status": "succeeded", "output": {"by": bot}}
    call.post(f"/tasks/{lease['task_id']}/results", body)


class Busy:
    """A server with tasks of two tenants: one is done, one under way, one waits for an answer, one to be begun."""

    def __init__(self, server: Server) -> None:
        self.key, self.other_key = server.key("admin"), server.key("admin", tenant="other")
        self.call, self.other = Caller(server, self.key), Caller(server, self.other_key)
        self.bot = register(self.call, "one")
        finished = self._submit("done", ["a"])
        done(self.call, self.bot, take(self.call, self.bot))
        self.call.post("/legal-holds", {"task_id": finished, "reason": "a case"})
        self.under_way = self._submit("under way", ["a"], budget={"tokens": 1000})
        self.lease = take(self.call, self.bot)
        beat = {"lease_id": self.lease["lease_id"], "checkpoint": {"at": 7}, "usage": {"tokens": 10}}
        self.call.post(f"/bots/{self.bot}:heartbeat", {"leases": [beat]})
        self.call.post(f"/tasks/{self.under_way}/messages", {"payload": {"hint": "quick"}})
        self.asks = self._submit("asks", ["a"])
        lease = take(self.call, self.bot)
        question = {"question": "which?", "choices": ["x", "y"]}
        self.approval = self.call.post(f"/leases/{lease['lease_id']}:ask", question)["approval_id"]
        self.waits = self._submit("waits", ["a", "b"])
        self.others = self.other.post("/tasks", {"title": "theirs", "subtasks": [{"description": ""}]})["id"]
        self.events = self.call.get("/events?page_size=500")["items"]

    def _submit(self, title: str, keys: list[str], **options: Any) -> str:
        subtasks = [{"key": key, "description": ""} for key in keys]
        body = {"title": title, "evaluation": "none", "subtasks": subtasks, **options}
        return str(self.call.post("/tasks", body)["id"])


async def first_number_after(database: str, last: int) -> int:
    connection = await asyncpg.connect(database)
    try:
        found: int = await connection.fetchval("SELECT min(seq) FROM event WHERE seq > $1", last)
        return found
    finally:
        await connection.close()


def moved(folder: Path) -> str:
    """Return the pepper of the store that was moved, as it stands in its file."""
    return (folder / "store.db.pepper").read_text(encoding="utf-8").strip()


def test_everything_goes_on_in_postgresql(tmp_path: Path) -> None:
    database = postgres().new_database(keep=True)
    with Server(tmp_path / "store.db") as server:
        busy = Busy(server)
        refused = server.cli("migrate", "--from", server.store_url, "--to", database, code=6)
        assert refused == ""
        server.stop()

        said = json.loads(server.cli("migrate", "--from", server.store_url, "--to", database, "--json"))
        assert (said["moved"], said["healthy"], said["rows"]["task"], said["rows"]["lease"]) == (True, True, 5, 1)
        assert sorted(said["audit"]) == ["default", "other"]
        server.cli("migrate", "--from", server.store_url, "--to", database, code=6)  # it was moved already
        server.cli("serve", "--store", server.store_url, "--port", "0", code=6)
        server.cli("key", "create", "--store", server.store_url, "--role", "admin", code=6)
        server.cli("doctor", "--deep", "--store", server.store_url)

    with Server(tmp_path / "on-postgres", database=database, pepper=moved(tmp_path)) as again:
        call, other = Caller(again, busy.key), Caller(again, busy.other_key)
        assert call.get("/events?page_size=500")["items"][: len(busy.events)] == busy.events
        beat = {"leases": [{"lease_id": busy.lease["lease_id"]}]}
        (answer,) = call.post(f"/bots/{busy.bot}:heartbeat", beat)["leases"]
        assert answer["directive"] == "continue"
        assert call.get(f"/tasks/{busy.under_way}/messages")["items"][0]["payload"] == {"hint": "quick"}
        done(call, busy.bot, busy.lease)
        assert call.get(f"/tasks/{busy.under_way}")["outcome"] == "accepted"

        news = call.get(f"/events?after={busy.events[-1]['id']}")["items"]
        assert "io.swarmkeeper.work.succeeded.v1" in [event["type"] for event in news]
        assert asyncio.run(first_number_after(database, said["last_event"])) == said["last_event"] + 1, "no gap"

        call.post(f"/approvals/{busy.approval}:answer", {"answer": "x"})
        for _ in range(3):
            done(call, busy.bot, take(call, busy.bot))
        assert {call.get(f"/tasks/{task}")["outcome"] for task in (busy.asks, busy.waits)} == {"accepted"}
        theirs = register(other, "two")
        done(other, theirs, take(other, theirs))
        again.stop()
        again.cli("doctor", "--deep", "--store", database)
        again.cli("audit", "verify", database)


def started(source: str, database: str) -> subprocess.Popen[str]:
    words = ["migrate", "--from", source, "--to", database]
    program = [sys.executable, str(BIN / "swarmkeeper"), *words]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


async def kill_in_the_middle(source: str, database: str) -> None:
    """Let the move wait at a table that is locked, and kill it there."""
    connection = await asyncpg.connect(database)
    async with connection.transaction():
        await connection.execute("LOCK TABLE payload IN SHARE MODE")
        moving = started(source, database)
        watching = await asyncpg.connect(database)
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COPY%payload%'"
        deadline = time.monotonic() + ENOUGH
        while not await watching.fetchval(waits):
            assert moving.poll() is None, moving.stdout
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        beside = apsw.Connection(source.removeprefix("sqlite:///"))
        with pytest.raises(apsw.BusyError):  # so a command beside cannot write what would not be moved
            beside.execute("BEGIN IMMEDIATE")
        beside.close()
        moving.send_signal(signal.SIGKILL)
        moving.wait(20)
        await watching.close()
    await connection.close()


def test_a_move_that_was_killed_goes_on_and_finds_what_was_changed_meanwhile(tmp_path: Path) -> None:
    database = postgres().new_store()
    with Server(tmp_path / "store.db") as server:
        busy = Busy(server)
        server.stop()
    asyncio.run(kill_in_the_middle(server.store_url, database))

    server.cli("serve", "--store", database, "--port", "0", code=1)
    server.cli("doctor", "--store", database, code=1)
    name = database.rpartition("/")[2]
    postgres().run("UPDATE event SET actor = 'somebody' WHERE seq = 3", name)
    server.cli("migrate", "--from", server.store_url, "--to", database, code=1)
    server.cli("serve", "--store", database, "--port", "0", code=1)
    with Server(tmp_path / "store.db") as server:  # the source was not moved
        busy.call = Caller(server, busy.key)
        done(busy.call, busy.bot, busy.lease)
        server.stop()

    said = json.loads(server.cli("migrate", "--from", server.store_url, "--to", database, "--json"))

    assert (said["moved"], said["healthy"]) == (True, True)
    with Server(tmp_path / "on-postgres", database=database, pepper=moved(tmp_path)) as again:
        assert Caller(again, busy.key).get(f"/tasks/{busy.under_way}")["outcome"] == "accepted"


def test_a_move_that_died_before_its_last_step_is_completed(tmp_path: Path) -> None:
    database = postgres().new_database()
    server = Server(tmp_path / "store.db")
    server.key("admin")
    server.cli("migrate", "--from", server.store_url, "--to", database)
    # The last step removes this table: the process ended after it had marked the source.
    name = database.rpartition("/")[2]
    opened = apsw.Connection(str(tmp_path / "store.db"))
    origin = SqliteContent(opened).origin
    opened.close()
    postgres().run(
        'CREATE TABLE filling (step text COLLATE "C" PRIMARY KEY, origin text, state text, "rows" bigint);'
        f"INSERT INTO filling SELECT relname, '{origin.store}', '{origin.state}', 0 FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace;"
        f"INSERT INTO filling VALUES ('(begun)', '{origin.store}', '{origin.state}', 0),"
        f" ('(numbered)', '{origin.store}', '{origin.state}', 0)",
        name,
    )
    server.cli("serve", "--store", database, "--port", "0", code=1)
    server.cli("serve", "--store", server.store_url, "--port", "0", code=6)

    server.cli("migrate", "--from", server.store_url, "--to", database)

    server.cli("doctor", "--deep", "--store", database)


def test_a_moved_store_is_used_again_only_when_told_so(tmp_path: Path) -> None:
    database = postgres().new_database()
    server = Server(tmp_path / "store.db")
    server.key("admin")
    server.cli("migrate", "--from", server.store_url, "--to", database)

    server.cli("key", "create", "--store", server.store_url, "--role", "admin", code=6)
    assert json.loads(server.cli("migrate", "--reopen", "--store", server.store_url, "--json"))["reopened"]
    server.cli("key", "create", "--store", server.store_url, "--role", "admin")
    assert not json.loads(server.cli("migrate", "--reopen", "--store", server.store_url, "--json"))["reopened"]


@pytest.mark.parametrize("words", [("--from", "a"), ("--to", "a"), ("--from", "a", "--to", "b", "--reopen")])
def test_a_move_needs_both_stores_and_nothing_else(tmp_path: Path, words: tuple[str, ...]) -> None:
    Server(tmp_path / "store.db").cli("migrate", *words, code=2)


def test_only_a_sqlite_store_is_moved_and_only_to_postgresql(tmp_path: Path) -> None:
    server = Server(tmp_path / "store.db")
    server.cli("migrate", "--from", "postgresql://nowhere/x", "--to", "postgresql://nowhere/y", code=2)
    server.cli("migrate", "--from", server.store_url, "--to", f"sqlite:///{tmp_path / 'b.db'}", code=2)
    server.cli(
        "migrate", "--from", server.store_url, "--to", "postgresql://127.0.0.1:1/y", code=5
    )  # there is no source
