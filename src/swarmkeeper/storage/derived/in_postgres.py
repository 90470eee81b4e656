"""Makes what follows from other rows anew in PostgreSQL, which keeps the words of titles by itself.

The sequencer adds to counts and sums what transactions have told, a moment after they commit. So a count is right if it
is what the rows say, less what still waits in the outbox. One snapshot sees all three: rows, counts and the outbox. The
difference is then added to the counts, some thousand rows at a time; what the sequencer adds meanwhile is added to the
same rows, before or after. So nobody waits while the snapshot is read. If the process dies between two additions, the
next one finds what was not added.

A slice of counts is some weeks of some tenants. It has at least a tenth of all tasks, since each slice reads all
counts. The labels of some tasks are a slice, too; then all labels that their tasks do not have; then each day of sums
over days. Only a slice of the last kind keeps the sequencer waiting.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg

from swarmkeeper.core.ports import StaleVersion
from swarmkeeper.core.tallies.records import WEEK
from swarmkeeper.storage.derived import rebuilding, saving
from swarmkeeper.storage.derived.rebuilding import Steps
from swarmkeeper.storage.postgres import connections
from swarmkeeper.storage.postgres.connections import SECONDS_FOR_ALL_ROWS, translated_errors
from swarmkeeper.storage.postgres.execution import QUERIES, Execution
from swarmkeeper.storage.postgres.outbox import unpacked
from swarmkeeper.storage.rows import Row

Connect = Callable[[], Awaitable[asyncpg.Connection]]

TASKS_MIN = 50_000  # of a slice of counts
SLICES = 10  # of counts, at most; more if the planner's estimate of the number of tasks is too small
ROWS = 2_000  # that are corrected in one transaction
_MEMORY = "64MB"  # that each sort of the snapshot takes before it goes on in files
_LAST_TENANT = "\U0010ffff"  # after all names
_TURN = "hashtextextended('swarmkeeper/rebuild', 0)"
_SECONDS_BETWEEN_TRIES = 0.1
_TRIES = 10

# Sums over days follow from costs, to which nobody may add meanwhile. The table of steps comes first, as for the
# sequencer. The locks are taken before anything is read, so that all statements see the state after them.
_LOCKS: Mapping[str, str] = {
    "begin": "LOCK TABLE rebuild IN EXCLUSIVE MODE",  # after a day that the sequencer folds now
    "span": "LOCK TABLE rebuild, cost, cost_span, cost_folded IN EXCLUSIVE MODE",
}
_NOTHING = frozenset({"words_begin", "words_of", "words_end"})
# The statement that finds what is wrong, the one that corrects it, the one that removes what is at nothing then; how
# many columns a key has, and which of them is the week. The first one is the tenant.
_COUNTS = (
    ("rebuild_wrong_task_counts", "add_task_count", "drop_task_count", 5, 2),
    ("rebuild_wrong_label_counts", "add_label_count", "drop_label_count", 5, 4),
    ("rebuild_wrong_costs", "add_cost", "drop_cost", 6, 5),
)


async def begin(connection: asyncpg.Connection) -> None:
    """Begin to make everything anew."""
    async with _turn(connection):
        await _transaction(connection, rebuilding.begin(), _LOCKS["begin"])


async def finish(connection: asyncpg.Connection, connect: Connect) -> None:
    """Make everything anew that is left; nothing if that was not begun.

    Args:
        connection: writes.
        connect: opens one that reads.
    """
    while await _begun(connection):
        async with _turn(connection):
            begun = await _begun(connection)
            if len(begun) > 1:  # the clock was set back meanwhile
                await _transaction(connection, rebuilding.begin(), _LOCKS["begin"])
            elif begun:
                await _slice(connection, connect, *begun[0])


async def _begun(connection: asyncpg.Connection) -> list[Any]:
    with translated_errors():
        return await Execution(connection).fetch("rebuild_begun")


@asynccontextmanager
async def _turn(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Wait for another one that makes everything anew. Its session has the lock, which ends with it."""
    while True:
        with translated_errors():
            if await connection.fetchval(f"SELECT pg_try_advisory_lock({_TURN})"):
                break
        await asyncio.sleep(_SECONDS_BETWEEN_TRIES)
    try:
        yield
    finally:
        if not connection.is_closed():
            with translated_errors():
                await connection.execute(f"SELECT pg_advisory_unlock({_TURN})")


async def _slice(connection: asyncpg.Connection, connect: Connect, step: str, tenant: str, place: int, _: str) -> None:
    if step == "begin":
        await _forget_spans(connection)
        await _correct_counts(connection, connect, "", rebuilding.FIRST_WEEK)
    elif step == "week":
        await _correct_counts(connection, connect, tenant, place + 1)
    elif step == "sweep":
        await _remove_labels(connection, connect)
    else:
        await _again(lambda: _transaction(connection, rebuilding.one_slice(), _LOCKS.get(step)))


# ---- counts and sums -------------------------------------------------------------------------------------------------


async def _forget_spans(connection: asyncpg.Connection) -> None:
    """First that there are any; then nobody reads them, or adds to them."""
    with translated_errors():
        execution = Execution(connection)
        await execution.fetch("rebuild_forget_folded")
        columns = ("tenant", "part", "days", "first", "name")
        before = dict(zip(columns, ("", "", 0, 0, ""), strict=True))
        while found := await execution.fetch("rebuild_last_span", **before, n=ROWS):
            last = dict(zip(columns, found[0], strict=True))
            until = {f"last_{column}": value for column, value in last.items()}
            await execution.fetch("rebuild_forget_spans_until", **before, **until)
            before = last


async def _correct_counts(connection: asyncpg.Connection, connect: Connect, tenant: str, week: int) -> None:
    """Correct the counts from this week of this tenant on, in one slice."""
    async with _snapshot(connect) as reading:
        first = week * WEEK
        tasks = max(TASKS_MIN, await reading.value("rebuild_rows") // SLICES)
        found = await reading.fetch("rebuild_until", tenant=tenant, first=first, passed=tasks)
        last_tenant, last_week = found[0] if found else (_LAST_TENANT, 0)
        past_week = last_week + 1
        weeks = {"tenant": tenant, "week": week, "past_tenant": last_tenant, "past_week": past_week}
        given = {**weeks, "first": first, "past": past_week * WEEK}
        told = [unpacked(row["body"]) for row in await reading.fetch("outbox_bodies")]
        waiting = saving.summed(part for one in told for part in one.tallies)
        for rows, (name, add, drop, width, at) in zip(waiting, _COUNTS, strict=True):
            waits = [row for row in rows if (tenant, week) <= (row[0], row[at]) < (last_tenant, past_week)]
            async for wrong in _chunks(reading, name, **given, waiting=json.dumps(waits)):
                for write in ((add, wrong), (drop, [row[:width] for row in wrong if row[-1] <= 0])):
                    await _again(partial(_write, connection, write))
    await _go_on(connection, *(("week", last_tenant, last_week) if found else ("task", *rebuilding.FIRST)))


async def _write(connection: asyncpg.Connection, write: tuple[str, list[Row]]) -> None:
    with translated_errors():
        await Execution(connection).write([write])


async def _go_on(connection: asyncpg.Connection, step: str, tenant: str, place: int) -> None:
    with translated_errors():
        name, given = rebuilding.goes_on(step, tenant, place)
        await Execution(connection).execute(name, **given)


# ---- labels ----------------------------------------------------------------------------------------------------------


async def _remove_labels(connection: asyncpg.Connection, connect: Connect) -> None:
    """Remove labels and marks that their tasks do not have."""
    async with _snapshot(connect) as reading:
        async for wrong in _chunks(reading, "rebuild_wrong_listed"):
            with translated_errors():
                async with connection.transaction():
                    execution = Execution(connection)
                    await execution.write([("delete_task_label", wrong)])
                    # A task may have got one of them since the snapshot: it was there already, so it was not added.
                    await execution.fetch("rebuild_labels", ids=json.dumps(sorted({row[-1] for row in wrong})))
    await _go_on(connection, "span", "", 0)


# ---- transactions ----------------------------------------------------------------------------------------------------


async def _again(work: Callable[[], Awaitable[None]]) -> None:
    """Do this, and again if another one changed the same rows, or if the two waited for each other."""
    for left in reversed(range(_TRIES)):
        try:
            await work()
            return
        except StaleVersion:
            if not left:
                raise


@asynccontextmanager
async def _snapshot(connect: Connect) -> AsyncIterator[Execution]:
    """Read on a session of its own, which sees one state as long as it lasts, and has no locks."""
    connection = await connect()
    try:
        with translated_errors():
            async with connection.transaction(isolation="repeatable_read"):
                await connections.allow_any_time(connection)
                await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                await connection.execute(f"SET LOCAL work_mem = '{_MEMORY}'")
                yield Execution(connection, seconds=SECONDS_FOR_ALL_ROWS)
    finally:
        await connections.close(connection)


async def _chunks(reading: Execution, name: str, **given: Any) -> AsyncIterator[list[Row]]:
    statement = QUERIES[name]
    cursor = await reading.connection.cursor(statement.sql, *statement.arguments(given), timeout=SECONDS_FOR_ALL_ROWS)
    while found := await cursor.fetch(ROWS, timeout=SECONDS_FOR_ALL_ROWS):
        yield [tuple(row) for row in found]


async def _transaction(connection: asyncpg.Connection, steps: Steps, lock: str | None) -> None:
    with translated_errors():
        async with connection.transaction(isolation="repeatable_read"):
            await connections.allow_any_time(connection)
            if lock:
                await connection.execute(lock)
            await _run(Execution(connection, seconds=SECONDS_FOR_ALL_ROWS), steps)


async def _run(execution: Execution, steps: Steps) -> None:
    found: list[Any] | None = None
    try:
        while True:
            name, given = next(steps) if found is None else steps.send(found)
            found = []
            if name not in _NOTHING:
                found = [tuple(row) for row in await execution.fetch(name, **given)]
    except StopIteration:
        return
