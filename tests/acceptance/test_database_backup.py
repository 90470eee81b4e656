"""The backup drill with a store in PostgreSQL: back up under load, kill the server, restore into another database."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from swarmkeeper.core.rules.tree import Frontier
from swarmkeeper.storage.copying.archive import BackupFile
from tests.acceptance.server import Caller, Server
from tests.acceptance.test_backup import Load
from tests.support.postgres import rows
from tests.support.postgres import server as postgres


def root_of_first(database: str, tenant: str, size: int) -> str:
    """Return the root of a tenant's audit log when it had so many records."""
    sql = f"SELECT hash FROM audit_leaf WHERE tenant = '{tenant}' AND place < {size} ORDER BY place"
    frontier = Frontier()
    for row in rows(database, sql):
        frontier.append(row["hash"])
    assert frontier.size == size
    return frontier.root().hex()


def test_nothing_acknowledged_before_the_backup_is_missing_after_the_restore(tmp_path: Path) -> None:
    first, second = (postgres().new_database(keep=True) for _ in range(2))
    file = tmp_path / "b.backup"
    with Server(tmp_path / "first", database=first) as server:
        key = server.key("admin")
        call = Caller(server, key)
        with Load(server, key) as load:
            load.reach(60)
            before = list(load.acknowledged)
            kept = call.get("/events?page_size=1")["items"][-1]["id"]
            made = json.loads(server.cli("backup", "--store", first, "--to", str(file), "--json"))
            load.reach(len(load.acknowledged) + 20)
        after = call.post("/tasks", {"title": "after the backup"})["id"]
        lost = call.get(f"/tasks/{after}/events")["items"][-1]["id"]
        server.kill()

    assert (made["healthy"], made["has_pepper"]) == (True, False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == [file.name]
    server.cli("restore", "--from", str(file), "--to", second)
    server.cli("doctor", "--deep", "--store", second)
    server.cli("audit", "verify", second)
    of_backup = made["audit"]["default"]
    assert {root_of_first(store, "default", of_backup["size"]) for store in (first, second)} == {of_backup["root"]}

    with Server(tmp_path / "second", database=second) as again:
        call = Caller(again, key)  # the key of before
        statuses = {task: call("GET", f"/tasks/{task}").status_code for task in [*before, after]}
        assert statuses == {**dict.fromkeys(before, 200), after: 404}

        refused = call("GET", f"/events?after={lost}")
        assert (refused.status_code, refused.json()["code"]) == (410, "cursor_too_old")
        news = call.get(f"/events?after={refused.json()['oldest_cursor']}")["items"]
        assert "io.swarmkeeper.store.restored.v1" in [event["type"] for event in news]
        assert call.get(f"/events?after={kept}")["items"], "a cursor of before the backup is valid"
        task = call.post("/tasks", {"title": "goes on"})["id"]
        first, *_ = call.get(f"/events?after={news[-1]['id']}")["items"]
        assert (first["data"]["task_id"], first["type"]) == (task, "io.swarmkeeper.task.submitted.v1")
        again.stop()
        again.cli("doctor", "--deep", "--store", second)


@pytest.fixture
def backed_up(tmp_path: Path) -> tuple[Server, Path]:
    """A small store's backup, and something to give commands with."""
    database = postgres().new_database()
    server = Server(tmp_path / "first", database=database)
    server.key("admin")
    file = tmp_path / "b.backup"
    server.cli("backup", "--store", database, "--to", str(file))
    return server, file


def test_a_backup_and_a_restore_replace_nothing(backed_up: tuple[Server, Path]) -> None:
    server, file = backed_up
    content = file.read_bytes()

    server.cli("backup", "--store", server.store_url, "--to", str(file), code=6)
    server.cli("restore", "--from", str(file), "--to", server.store_url, code=6)
    server.cli("restore", "--from", str(file.with_name("none")), "--to", postgres().new_database(), code=5)
    server.cli("restore", "--from", str(file), "--to", f"sqlite:///{file.with_name('a.db')}", code=2)
    of_sqlite = Server(file.with_name("sqlite.db"))
    of_sqlite.key("admin")
    of_sqlite.cli("backup", "--store", of_sqlite.store_url, "--to", str(file.with_name("c.db")))
    server.cli("restore", "--from", str(file.with_name("c.db")), "--to", postgres().new_database(), code=2)

    assert file.read_bytes() == content
    assert not file.with_name("a.db").exists()


@pytest.mark.parametrize("harm", ["cut", "flip", "longer"])
def test_a_damaged_backup_is_refused_before_anything_is_written(backed_up: tuple[Server, Path], harm: str) -> None:
    server, file = backed_up
    content = bytearray(file.read_bytes())
    if harm == "cut":
        del content[-200:]
    elif harm == "flip":
        content[len(content) // 2] ^= 1
    else:
        content += b"\n"
    file.write_bytes(content)
    database = postgres().new_database()

    server.cli("restore", "--from", str(file), "--to", database, code=1)

    assert rows(database, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []


def test_a_store_that_violates_an_invariant_is_told_and_not_restored(backed_up: tuple[Server, Path]) -> None:
    server, file = backed_up
    postgres().run("UPDATE audit_leaf SET actor = 'somebody else'", server.store_url.rpartition("/")[2])
    database, bad = postgres().new_database(), file.with_name("bad")

    said = json.loads(server.cli("backup", "--store", server.store_url, "--to", str(bad), "--json", code=11))
    refused = server.cli("restore", "--from", str(bad), "--to", database, code=11)

    assert not said["healthy"]
    assert "the audit log verifies" in refused
    assert rows(database, "SELECT 1 FROM audit_leaf") == []
    server.cli("restore", "--from", str(file), "--to", database)  # the database is as good as new
    server.cli("doctor", "--deep", "--store", database)


def test_what_has_no_number_yet_gets_one_in_the_restored_store(tmp_path: Path) -> None:
    first, second = (postgres().new_database(keep=True) for _ in range(2))
    file = tmp_path / "b.backup"
    with Server(tmp_path / "first", database=first) as server:
        call = Caller(server, server.key("admin"))
        postgres().run(  # the sequencer waits, and commands go on
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); RETURN OLD; END';"
            "CREATE TRIGGER wait BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION wait()",
            first.rpartition("/")[2],
        )
        task = call.post("/tasks", {"title": "not numbered"})["id"]
        made = json.loads(server.cli("backup", "--store", first, "--to", str(file), "--json"))
        server.kill()

    server.cli("restore", "--from", str(file), "--to", second)

    assert not made["rows_checked"]
    assert BackupFile(file).rows["outbox"] >= 1
    assert rows(second, "SELECT 1 FROM outbox") == []
    numbers = [row["seq"] for row in rows(second, f"SELECT seq FROM event WHERE task = '{task}'")]
    assert numbers
    assert min(numbers) > 1 << 40
    server.cli("doctor", "--deep", "--store", second)
