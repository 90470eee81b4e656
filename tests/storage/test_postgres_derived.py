"""What follows from other rows is made anew in PostgreSQL: with as many reads as there are tasks, while others work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from benchmarks import reads
from swarmkeeper.clock import SystemClock
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.tallies import counting
from swarmkeeper.core.tallies.records import DAY, ERASED, week_of
from swarmkeeper.offline import doctor
from swarmkeeper.storage.derived import in_postgres, rebuilding
from swarmkeeper.storage.postgres import PostgresStore, connections
from swarmkeeper.storage.postgres.execution import Execution
from swarmkeeper.storage.postgres.sequencer import place_turn
from swarmkeeper.storage.rows import Row
from swarmkeeper.testing import records
from swarmkeeper.testing.saving import save
from tests.support.postgres import PostgresServer

FIRST = 20_000 * DAY
FEW, MANY = 1_500, 6_000  # more than twice the largest of what is constant
CHECKS = ("doctor_task_counts", "doctor_label_counts", "doctor_labels", "doctor_costs", "doctor_cost_spans")


class Died(Exception):
    pass


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_postgres, "TASKS_MIN", 100)
    monkeypatch.setattr(in_postgres, "ROWS", 100)
    monkeypatch.setattr(rebuilding, "TASKS", 100)


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.new_store()


@pytest_asyncio.fixture
async def session(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connections.connect(database, writing=True)
    yield connection
    await connection.close()


async def fill(session: asyncpg.Connection, tasks: int) -> None:
    async with session.transaction():
        await connections.allow_any_time(session)
        for statement in reads.statements(tasks, FIRST, in_postgres=True):
            await session.execute(statement)
    await session.execute("VACUUM ANALYZE")


async def finish(database: str, session: asyncpg.Connection) -> None:
    await in_postgres.finish(session, lambda: connections.connect(database, writing=False))


async def wrong(database: str) -> list[str]:
    store = PostgresStore(database)
    await store.open_to_read()
    words = {**doctor.WORDS, "latest": SystemClock().now()}
    found = [f"{check}: {row['subject']}" for check in CHECKS for row in await store.read(check, words)]
    await store.close()
    return found


async def kept(session: asyncpg.Connection) -> dict[str, list[Any]]:
    tables = ("task_count", "label_count", "cost", "cost_span", "cost_folded", "task_label", "rebuild")
    return {table: sorted(map(tuple, await session.fetch(f"SELECT * FROM {table}"))) for table in tables}


def coming(number: int, label: str = "new") -> Changes:
    task = records.task(id=f"tsk_new_{number}", tenant="default", created_at=FIRST + number, labels={"team": label})
    changes = Changes(tasks={task.id: task})
    counting.count_changed(changes, {})
    return changes


# ---- right at the end, whatever happens meanwhile --------------------------------------------------------------------


async def test_a_process_that_dies_anywhere_leaves_the_rest_to_the_next(
    database: str, session: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(session, 400)
    await finish(database, session)
    assert await wrong(database) == []
    right = await kept(session)
    assert all(found for table, found in right.items() if table != "rebuild")
    for table in ("task_count", "label_count", "cost", "task_label"):
        await session.execute(f"DELETE FROM {table} WHERE tenant = 'default' AND random() < 0.5")
    await session.execute("UPDATE cost SET tokens = tokens + 7 WHERE part = 'bot'")
    await session.execute("UPDATE label_count SET number = number + 1 WHERE party = 'key:key_1'")
    await session.execute(
        "INSERT INTO label_count VALUES ('nobody', 'team', 'none', '', 3, 0), ('z', 'a', 'b', '', 9, 2)"
    )
    await session.execute("INSERT INTO task_label VALUES ('default', 'team:none', 1, 'tsk_100000001')")
    await in_postgres.begin(session)

    write, left, deaths = Execution.write, 0, 0

    async def dying(execution: Execution, writes: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Died
        await write(execution, writes)

    monkeypatch.setattr(Execution, "write", dying)
    for allowed in range(1, 1_000):
        left = allowed
        again = await connections.connect(database, writing=True)
        try:
            await finish(database, again)
            break
        except Died:
            deaths += 1
        finally:
            await again.close()  # as that of a killed process: its lock ends with it

    assert deaths > 3
    assert await kept(session) == right


async def test_what_others_do_meanwhile_is_counted_once_and_does_not_wait(
    database: str, session: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of it the sequencer has numbered before a slice reads, some while it is corrected, and some later."""
    await fill(session, 400)
    tool = PostgresStore(database)
    numbering = await connections.connect(database, writing=True)
    await numbering.execute("SET lock_timeout = '2s'")
    await in_postgres.begin(session)
    await tool.open(exclusive=False)
    chunks, done = in_postgres._chunks, 0

    async def and_others(reading: Execution, name: str, **given: Any) -> AsyncIterator[list[Row]]:
        nonlocal done
        async for chunk in chunks(reading, name, **given):
            done += 1
            if done <= 40:
                await save(tool, coming(done))
                if done % 3:
                    assert await place_turn(numbering, owns=True, filled=True) > 0
            yield chunk

    monkeypatch.setattr(in_postgres, "_chunks", and_others)
    await save(tool, coming(0))
    await finish(database, session)
    await place_turn(numbering, owns=True)
    await tool.close()
    await numbering.close()

    assert done > 20
    assert await wrong(database) == []
    assert await session.fetchval("SELECT sum(number) FROM label_count WHERE value = 'new'") == min(done, 40) + 1


async def test_costs_of_erased_attempts_stay_also_while_they_wait_for_the_sequencer(
    database: str, session: asyncpg.Connection
) -> None:
    await fill(session, 50)
    tool = PostgresStore(database)
    await tool.open(exclusive=False)
    for _ in range(2):
        erased = {("default", ERASED, FIRST // DAY, "", "", week_of(FIRST)): (5, 6, 0, 1)}
        await save(tool, Changes(costs=erased))
        await finish(database, session)
        await place_turn(session, owns=True)
        await in_postgres.begin(session)
    await finish(database, session)
    await tool.close()

    assert await session.fetch("SELECT tokens, attempts FROM cost WHERE part = 'erased'") == [(12, 2)]


async def test_two_that_make_everything_anew_take_turns(database: str, session: asyncpg.Connection) -> None:
    await fill(session, 400)
    other = await connections.connect(database, writing=True)
    await in_postgres.begin(session)

    async def begun_again() -> None:
        await in_postgres.begin(other)
        await finish(database, other)

    await asyncio.gather(finish(database, session), begun_again())
    await other.close()

    assert await wrong(database) == []
    assert (await kept(session))["rebuild"] == []


async def test_a_slice_of_labels_that_met_another_writer_is_made_again(
    database: str, session: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(session, 400)
    other = await connections.connect(database, writing=True)
    fetch = Execution.fetch
    met: list[str] = []

    async def after_another(execution: Execution, name: str, /, **given: Any) -> list[Any]:
        if name == "rebuild_labels" and len(met) < 3:
            task = json.loads(given["ids"])[len(met)]
            label = f"SELECT * FROM label_of_task WHERE task = '{task}' LIMIT 1"
            met.append(await other.execute(f"INSERT INTO task_label {label}"))
        return await fetch(execution, name, **given)

    monkeypatch.setattr(Execution, "fetch", after_another)
    await finish(database, session)
    await other.close()

    assert met == ["INSERT 0 1"] * 3
    assert await wrong(database) == []


async def test_a_clock_that_is_set_back_meanwhile_makes_it_begin_anew(
    database: str, session: asyncpg.Connection
) -> None:
    await fill(session, 300)
    await session.execute("UPDATE rebuild SET step = 'sweep'")
    await session.execute("INSERT INTO rebuild VALUES ('begin', '', 0, '')")

    await finish(database, session)

    assert await wrong(database) == []
    assert (await kept(session))["task_count"]


# ---- what it costs ---------------------------------------------------------------------------------------------------


async def test_sums_over_days_are_kept_in_the_order_in_which_they_are_read(
    database: str, session: asyncpg.Connection
) -> None:
    await fill(session, FEW)
    await session.execute("TRUNCATE cost_span")  # no room is left before the last row
    await session.execute("ALTER TABLE cost_span SET (autovacuum_enabled = off)")
    try:
        await finish(database, session)
        found = [
            tuple(row) for row in await session.fetch("SELECT days, first, part, name FROM cost_span ORDER BY ctid")
        ]
    finally:
        await session.execute("ALTER TABLE cost_span RESET (autovacuum_enabled)")
    spans: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for days, first, *name in found:
        spans.setdefault((days, first), []).append((name[0], name[1]))

    assert len(found) > 2 * FEW
    assert [span for span, names in spans.items() if names != sorted(names)] == []


async def test_however_many_weeks_and_tenants_there_are_the_counts_are_read_a_few_times(
    database: str, session: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(session, 400)
    await session.execute(
        f"UPDATE task SET tenant = 'tenant_' || priority % 3, created_at = {FIRST} + (created_at - {FIRST}) * 40"
    )
    await session.execute("VACUUM ANALYZE")
    monkeypatch.setattr(in_postgres, "TASKS_MIN", 1)
    slices = 0
    correct = in_postgres._correct_counts

    async def counted(*given: Any) -> None:
        nonlocal slices
        slices += 1
        await correct(*given)

    monkeypatch.setattr(in_postgres, "_correct_counts", counted)
    await finish(database, session)

    assert 1 < slices <= in_postgres.SLICES
    assert await session.fetchval("SELECT count(DISTINCT (tenant, week)) FROM task_count") > 300
    assert await wrong(database) == []


class Looked:
    """Counts the rows and pages that the statements of connections look at, as the database tells of its plans."""

    def __init__(self) -> None:
        self.rows = self.pages = 0

    async def connect(self, database: str, *, writing: bool) -> asyncpg.Connection:
        connection = await connections.connect(database, writing=writing)
        await connection.execute("LOAD 'auto_explain'")
        for name, value in (
            *(("log_min_duration", "0"), ("log_analyze", "on"), ("log_timing", "off")),
            *(("log_buffers", "on"), ("log_format", "json"), ("log_level", "notice")),
        ):
            await connection.execute(f"SET auto_explain.{name} = '{value}'")
        connection.add_log_listener(self._told)
        return connection

    def _told(self, _: Any, message: Any) -> None:
        told = json.loads(message.message.partition("plan:")[2])
        self.rows += sum(map(self._of, nodes(told["Plan"])))
        self.pages += told["Plan"].get("Shared Hit Blocks", 0) + told["Plan"].get("Shared Read Blocks", 0)

    def _of(self, node: dict[str, Any]) -> int:
        kinds = (
            "Actual Rows",
            "Rows Removed by Filter",
            "Rows Removed by Join Filter",
            "Rows Removed by Index Recheck",
        )
        return int(sum(node.get(kind, 0) for kind in kinds) * node["Actual Loops"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


async def looked_at(database: str, tasks: int) -> Looked:
    filling = await connections.connect(database, writing=True)
    await fill(filling, tasks)
    await filling.close()
    looked = Looked()
    connection = await looked.connect(database, writing=True)
    await in_postgres.finish(connection, lambda: looked.connect(database, writing=False))
    await connection.close()
    return looked


def test_four_times_the_tasks_are_four_times_the_work(postgres: PostgresServer) -> None:
    few, many = (asyncio.run(looked_at(postgres.new_store(), tasks)) for tasks in (FEW, MANY))

    assert few.rows > 20 * FEW
    assert few.pages > 20 * FEW
    assert many.rows / few.rows < MANY / FEW
    assert many.pages / few.pages < MANY / FEW
