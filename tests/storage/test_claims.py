"""The cost of a claim does not grow with the backlog."""

import asyncio
from collections.abc import Iterator

import apsw
import pytest

from swarmkeeper.core.model import QueueEntry
from swarmkeeper.core.ports import Changes
from swarmkeeper.storage import rows
from swarmkeeper.storage.sqlite.loading import QUERIES
from swarmkeeper.storage.sqlite.store import SqliteStore

HEADS = 20
EXPECTED = 3 * 10 * HEADS  # of three queues, each with ten priorities


def steps(connection: apsw.Connection) -> Iterator[list[int]]:
    counted: list[int] = []
    connection.trace_v2(
        apsw.SQLITE_TRACE_PROFILE, lambda event: counted.append(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])
    )
    yield counted
    connection.trace_v2(0, None)


async def claim_steps(waiting: int, *, tenants: int = 1) -> int:
    store = SqliteStore(":memory:")
    await store.open()
    connection = store._writing
    assert connection is not None
    connection.execute("PRAGMA foreign_keys = OFF")  # rows of work are not needed here
    ready = [QueueEntry(f"sub_{n:06}", n % 3, f"t{n % tenants}", n % 10, n, n, "tsk_1") for n in range(waiting)]
    async with store.begin():
        connection.executemany(QUERIES["put_ready"], ((*rows.READY.to_row(entry), entry.since) for entry in ready))
    async with store.begin() as transaction:
        counting = steps(connection)
        counted = next(counting)
        levels = await transaction.levels("t0", [0, 1, 2, 7])
        found = []
        for queue, priority, _ in levels:
            found += await transaction.queue_entries("t0", "me", queue, priority, HEADS)
            found += await transaction.queue_entries("t0", "", queue, priority, HEADS, by_age=True)
        assert len(found) == 2 * EXPECTED
        total = sum(counted)
        next(counting, None)
    await store.close()
    return total


async def test_a_claim_with_100_000_waiting_takes_the_steps_of_one_with_1_000() -> None:
    few, many = await claim_steps(1_000), await claim_steps(100_000)

    assert many == pytest.approx(few, rel=0.1)


async def test_another_tenants_backlog_costs_nothing() -> None:
    alone, beside = await claim_steps(1_000), await claim_steps(7_000, tenants=7)

    assert beside == pytest.approx(alone, rel=0.1)


async def test_a_claim_on_empty_queues_is_one_statement() -> None:
    """A claim on empty queues is one statement."""
    store = SqliteStore(":memory:")
    await store.open()
    connection = store._writing
    assert connection is not None
    async with store.begin() as transaction:
        counting = steps(connection)
        counted = next(counting)
        assert await transaction.levels("t0", list(range(50))) == []
        assert len(counted) == 1
        next(counting, None)
        await transaction.save(Changes())
    await store.close()
    await asyncio.sleep(0)
