"""Stores of earlier releases are migrated, pass the checks, and can be used."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import apsw
import pytest

from swarmkeeper import Accept, Done, Plan, SubTask, evaluator, executor, planner
from swarmkeeper.app import Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.govern import keys
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.offline import doctor
from swarmkeeper.sdk.runner import serve
from swarmkeeper.settings import Settings
from swarmkeeper.storage.sqlite.store import SqliteStore

STORES = sorted(Path(__file__).parent.glob("store-*.db.gz"))  # each: two tasks archived, one that waits for a planner


@pytest.fixture(params=STORES, ids=lambda file: file.name)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    file = tmp_path / "store.db"
    file.write_bytes(gzip.decompress(request.param.read_bytes()))
    return file


async def test_a_store_of_an_earlier_release_is_migrated_and_usable(file: Path) -> None:
    @planner(skills={"nobody"})
    async def plan(task: object) -> Plan:
        return Plan([SubTask(description="")])

    @executor
    async def work(subtask: object) -> Done:
        return Done({"n": 2})

    @evaluator
    async def judge(candidate: object) -> Accept:
        return Accept(1.0)

    async with Orchestrator(
        Settings(store=f"sqlite:///{file}", log_level="error", four_eyes=False), migrate=True
    ) as swarm:
        client, stop = swarm.client(), asyncio.Event()
        serving = asyncio.create_task(serve([plan, work, judge], client, stop=stop))
        found = [task async for task in client.tasks()]
        (waiting,) = [task for task in found if task.outcome is None]
        done = await client.wait(waiting.id, timeout=30)
        stop.set()
        await serving

    assert sorted(str(task.outcome) for task in found) == ["None", "accepted", "accepted"]
    assert done.result == {"s1": {"n": 2}}
    assert await findings(file) == []
    assert len(list(file.parent.glob("store.db.before-*"))) == 1


async def test_a_migrated_store_has_the_schema_of_a_new_one(file: Path, tmp_path: Path) -> None:
    async def schema(path: Path) -> list[tuple[object, ...]]:
        store = SqliteStore(f"sqlite:///{path}")
        await store.open(migrate=True)
        await store.close()
        opened = apsw.Connection(str(path))
        assert opened.pragma("integrity_check") == "ok"
        found = opened.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
        opened.close()
        return [row for row in found if row[1] != "sqlite_sequence"]

    assert await schema(file) == await schema(tmp_path / "new.db")


TASKS = {
    "store-0.1.0.db.gz": [("old 0", {}), ("old 1", {}), ("waits 0", {})],
    "store-0.3.0.db.gz": [("one", {"x": 1}), ("two", {"x": 1}), ("waits", {})],
}


async def test_tasks_of_an_earlier_release_are_shown_as_they_were_sent(
    file: Path, request: pytest.FixtureRequest
) -> None:
    """Their stored definitions also contain the title, which is now only in the task's row."""
    async with Orchestrator(
        Settings(store=f"sqlite:///{file}", log_level="error", four_eyes=False), migrate=True
    ) as swarm:
        client = swarm.client()
        shown = [await client.get(task.id) async for task in client.tasks()]

    assert sorted((task.title, task.input) for task in shown) == TASKS[request.node.callspec.params["file"].name]


async def test_timers_of_an_earlier_release_are_still_due(file: Path) -> None:
    """Those of leases and waiting items had rows, which repeated other rows."""
    connection = apsw.Connection(str(file))
    connection.execute(
        "INSERT INTO lease VALUES ((SELECT work FROM ready), 'tsk_1', 'default', 'lse_1', 1, 'bot_1', NULL,"
        " 1, 70, 90, 60, 1, 0, '[]', NULL, NULL, NULL, 0, 1)"
    )
    connection.execute("INSERT INTO timer SELECT 'lease', work, expires_at FROM lease")
    connection.execute("INSERT INTO timer SELECT 'ends', work, ends_at FROM lease")
    connection.execute("INSERT INTO timer VALUES ('deadline', 'tsk_1', 80)")
    before = connection.execute("SELECT kind, ref, due FROM timer ORDER BY due, kind, ref").fetchall()
    connection.close()
    assert [kind for kind, *_ in before] == ["lease", "deadline", "ends", "start"]

    store = SqliteStore(str(file))
    await store.open(migrate=True)
    async with store.begin() as transaction:
        due = [(timer.kind, timer.ref, timer.due) for timer in await transaction.due(1 << 62, 9)]
    left = store.connection.execute("SELECT kind FROM timer").fetchall()
    await store.close()

    assert due == before
    assert left == [("deadline",)]


async def findings(file: Path) -> list[doctor.DoctorFinding]:
    store = SqliteStore(str(file))
    await store.open(exclusive=False, create=False)
    try:
        return await doctor.examine(store, Rulebook(Redactor.default()), deep=True, wall=SystemClock().now())
    finally:
        await store.close()


async def test_a_client_key_of_an_earlier_release_still_sees_the_whole_tenant(file: Path) -> None:
    before = apsw.Connection(str(file))
    made = keys.new_key(b"7" * 32)
    pepper: Any = before.execute("SELECT value FROM meta WHERE key = 'pepper'").get
    columns = [name for (name,) in before.execute("SELECT name FROM pragma_table_info('api_key')")]
    row: dict[Any, Any] = dict.fromkeys(columns) | {
        "id": "key_old",
        "public_id": made.public_id,
        "tenant": "default",
        "version": 1,
    }
    row |= {"role": "client", "created_at": 1, "digest": keys.digest(pepper, made.secret)}
    before.execute(f"INSERT INTO api_key ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    before.close()

    async with Orchestrator(Settings(store=f"sqlite:///{file}", log_level="error"), migrate=True) as swarm:
        listed = swarm.client().keys()
        (old,) = [key async for key in listed if key.id == "key_old"]
        seen = [task async for task in swarm.client(made.text).tasks()]

    assert old.scope == "tenant"
    assert len(seen) == 3
