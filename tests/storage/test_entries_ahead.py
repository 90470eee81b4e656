"""What a claim will most likely ask of its queues comes with their levels, and is the same as if it was asked later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from swarmkeeper.core.model import QueueEntry
from swarmkeeper.core.ports import Changes
from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.storage.postgres.entries_ahead import QUEUES_MAX, REMEMBERED, AskedHeads, HeadsAhead
from swarmkeeper.storage.postgres.transaction import PostgresTransaction
from swarmkeeper.testing import records
from swarmkeeper.testing.saving import of_one_task, save
from tests.storage.seen import statements
from tests.support.postgres import PostgresServer

QUEUES, PRIORITIES, EACH = (1, 2), (3, 5), 4


def entries() -> dict[str, QueueEntry]:
    found = {}
    for queue, priority, number in product(QUEUES, PRIORITIES, range(EACH)):
        work = f"sub_{queue}{priority}{number}"
        found[work] = QueueEntry(work, queue, "acme", priority, number, number, "tsk_1")
    return found


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.new_store()


@pytest_asyncio.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(database)
    await store.open()
    ready = entries()
    await save(store, of_one_task(*(records.work(id=work, key=work) for work in ready), ready=ready))
    yield store
    await store.close()


@asynccontextmanager
async def counting(store: PostgresStore) -> AsyncIterator[tuple[PostgresTransaction, list[str]]]:
    """Begin a transaction; collect the statements that read queues."""
    async with store.begin() as transaction:
        with statements(store, lambda sql: "ready" in sql) as seen:
            yield transaction, seen


async def claim(transaction: PostgresTransaction, lines: list[tuple[int, int, int]]) -> Any:
    levels = await transaction.levels("acme", QUEUES)
    return levels, await transaction.queue_heads("acme", lines)


async def test_the_second_claim_of_the_same_queues_takes_one_statement(store: PostgresStore) -> None:
    lines = [(1, 5, 2), (2, 5, 3)]
    async with counting(store) as (transaction, first):
        asked_later = await claim(transaction, lines)
    async with counting(store) as (transaction, second):
        asked_ahead = await claim(transaction, lines)

    assert (len(first), len(second)) == (2, 1)
    assert asked_ahead == asked_later
    assert [[entry.work for entry in found] for found in asked_ahead[1]] == [
        ["sub_150", "sub_151"],
        ["sub_250", "sub_251", "sub_252"],
    ]


async def items(store: PostgresStore, line: tuple[int, int, int]) -> tuple[dict[Any, Any], int]:
    """Return the first items of a line with their tasks, and how many statements they took after the heads."""
    async with store.begin() as transaction:
        ((entry, *_),) = await transaction.queue_heads("acme", [line])
        with statements(store, lambda sql: "work" in sql) as seen:
            found = await transaction.load([("work", entry.work), ("task", entry.task)])
    return dict(found), len(seen)


async def test_the_items_of_heads_and_their_tasks_come_with_them(store: PostgresStore) -> None:
    ahead, taken = await items(store, (1, 5, 1))
    async with store.begin() as transaction:
        asked = await transaction.load(list(ahead))

    assert taken == 0
    assert ahead == asked
    assert set(ahead) == {("work", "sub_150"), ("task", "tsk_1")}


async def test_items_are_asked_for_if_something_was_committed_while_their_locks_were_taken(
    store: PostgresStore, database: str
) -> None:
    ahead, _ = await items(store, (1, 5, 1))
    admin = await asyncpg.connect(database)
    other = "CAST('9:9:' AS pg_snapshot)"
    await admin.execute(f"CREATE OR REPLACE FUNCTION snapshot_now() RETURNS pg_snapshot LANGUAGE sql RETURN {other}")
    await admin.close()

    assert await items(store, (1, 5, 1)) == (ahead, 1)


async def test_items_are_read_again_after_the_transaction_has_changed_them(store: PostgresStore) -> None:
    async with store.begin() as transaction:
        await transaction.queue_heads("acme", [(1, 5, 1)])
        await transaction.save(
            Changes(works={"sub_150": records.work(id="sub_150", key="sub_150", version=2, tries=7)})
        )
        found = await transaction.load([("work", "sub_150")])

    assert found["work", "sub_150"].tries == 7


@pytest.mark.parametrize(
    ("line", "statements"),
    [((1, 5, 1), 1), ((1, 5, 2), 1), ((1, 5, 3), 2), ((1, 3, 2), 2), ((2, 5, 2), 2)],
    ids=["fewer", "as many", "more", "another priority", "another queue"],
)
async def test_a_wrong_guess_changes_no_answer(
    store: PostgresStore, line: tuple[int, int, int], statements: int
) -> None:
    async with counting(store) as (transaction, _):
        ((expected,)) = await transaction.queue_heads("acme", [line])
    store._asked = AskedHeads()
    store._asked.note("acme", 1, 5, 2)

    async with counting(store) as (transaction, seen):
        _, (found,) = await claim(transaction, [line])

    assert found == expected
    assert len(seen) == statements


async def test_what_was_read_ahead_is_forgotten_when_the_transaction_saves(store: PostgresStore) -> None:
    store._asked.note("acme", 1, 5, 2)
    async with store.begin() as transaction:
        await transaction.load([("task", "tsk_1")])
        await transaction.levels("acme", QUEUES)
        await transaction.save(Changes(ready={"sub_150": None}))

        found = await transaction.queue_entries("acme", "", 1, 5, 2)

    assert [entry.work for entry in found] == ["sub_151", "sub_152"]


async def test_what_another_replica_has_is_not_read_ahead(store: PostgresStore, database: str) -> None:
    other = PostgresStore(database)
    await other.open()
    other._asked.note("acme", 1, 5, 2)
    async with store.begin() as transaction:
        await transaction.load([("task", "tsk_1")])
        async with other.begin() as beside:
            assert await claim(beside, [(1, 5, 2)]) == (await transaction.levels("acme", QUEUES), [[]])
    await other.close()


def test_nothing_is_guessed_of_many_queues_and_little_is_remembered() -> None:
    asked = AskedHeads()
    for queue in range(REMEMBERED + 2):
        asked.note("acme", queue, 5, 2)

    assert asked.guess("acme", [REMEMBERED, REMEMBERED + 1]) == [(REMEMBERED, 5, 2), (REMEMBERED + 1, 5, 2)]
    assert asked.guess("acme", [0]) == []
    assert asked.guess("another", [REMEMBERED]) == []
    few = AskedHeads()
    for queue in range(QUEUES_MAX + 1):
        few.note("acme", queue, 5, 2)
    assert few.guess("acme", range(QUEUES_MAX + 1)) == []


def test_a_queue_that_was_read_to_its_end_answers_any_number() -> None:
    ahead, (first, *_) = HeadsAhead(), entries().values()
    ahead.put("acme", (1, 5, 3), [first])

    assert ahead.get("acme", 1, 5, 100) == [first]
    assert ahead.get("acme", 1, 4, 1) is None
    assert ahead.get("another", 1, 5, 1) is None
