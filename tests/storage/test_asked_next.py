"""What a report or a lease asks for next comes with what it asks for first: PostgreSQL is asked once for both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from swarmkeeper.core import lookups
from swarmkeeper.core.model import Edge
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.states import Condition, Status
from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.storage.postgres.loading import CHILDREN_AHEAD
from swarmkeeper.storage.postgres.transaction import PostgresTransaction
from swarmkeeper.testing import records
from swarmkeeper.testing.saving import of_one_task, save
from tests.storage.seen import statements
from tests.support.postgres import PostgresServer

PAGE = 100
FEW, MANY = "sub_few", "sub_many"
CHILDREN = {
    FEW: ["sub_child0", "sub_child1"],
    MANY: [f"sub_child{number:02}" for number in range(10, 10 + CHILDREN_AHEAD)],
}


def edge(parent: str, child: str) -> Edge:
    return Edge("tsk_1", parent, child, Condition.SUCCESS)


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.new_store()


@pytest_asyncio.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(database)
    await store.open()
    done = {"status": Status.SUCCEEDED, "result": "few/result"}
    works = [records.work(id=FEW, key=FEW, **done), records.work(id=MANY, key=MANY)]
    works += [records.work(id=child, key=child) for children in CHILDREN.values() for child in children]
    edges = [edge(parent, child) for parent, children in CHILDREN.items() for child in children]
    changes = of_one_task(
        *works, edges=edges, leases={work: records.lease(work, lease_id=f"lse_{work}") for work in CHILDREN}
    )
    changes.payloads["few/result"] = ("tsk_1", b"1")
    await save(store, changes)
    yield store
    await store.close()


@asynccontextmanager
async def counting(store: PostgresStore) -> AsyncIterator[tuple[PostgresTransaction, list[str]]]:
    """Begin a transaction; collect its reads. The first takes its locks, too."""
    async with store.begin() as transaction:
        with statements(store, lambda sql: "json_array" in sql) as seen:
            yield transaction, seen


async def children(transaction: PostgresTransaction, work: str, page: int = PAGE) -> Any:
    want = lookups.CHILDREN.of((work, "", page))
    return (await transaction.load([want]))[want]


async def test_the_edges_from_an_item_come_with_its_lease(store: PostgresStore) -> None:
    async with counting(store) as (transaction, seen):
        found = await transaction.load([lookups.LEASE_ID.of(f"lse_{FEW}")])
        edges = await children(transaction, FEW)

    assert len(seen) == 1
    assert edges == [edge(FEW, child) for child in CHILDREN[FEW]]
    assert [found[lookups.WORK, child].id for child in CHILDREN[FEW]] == CHILDREN[FEW]


@pytest.mark.parametrize(("work", "page"), [(MANY, PAGE), (FEW, 1)], ids=["of many edges", "a page of one edge"])
async def test_edges_that_were_not_all_read_ahead_are_asked_for(store: PostgresStore, work: str, page: int) -> None:
    async with counting(store) as (transaction, seen):
        await transaction.load([lookups.LEASE_ID.of(f"lse_{work}")])
        edges = await children(transaction, work, page)

    assert len(seen) == 2
    assert edges == [edge(work, child) for child in CHILDREN[work]][:page]


async def test_edges_are_read_again_after_the_transaction_has_added_one(store: PostgresStore) -> None:
    added = edge(FEW, "sub_child9")
    async with counting(store) as (transaction, _):
        await transaction.load([lookups.LEASE_ID.of(f"lse_{FEW}")])
        await transaction.save(Changes(works={"sub_child9": records.work(id="sub_child9", key="9")}, edges=[added]))
        edges = await children(transaction, FEW)

    assert edges[-1] == added


async def test_results_come_with_the_items_that_a_lease_depends_on(store: PostgresStore) -> None:
    own = lookups.LIGHT_PAYLOAD.of("another")
    async with counting(store) as (transaction, seen):
        of_edge = await transaction.load([own, lookups.PARENTS.of("sub_child0")])
        of_plan = await transaction.load([own, lookups.PLAN_ITEMS.of("tsk_1")])
        alone = await transaction.load([lookups.PARENTS.of("sub_child1")])

    assert len(seen) == 3
    result = lookups.LIGHT_PAYLOAD.of("few/result")
    assert of_edge[result] == of_plan[result] == b"1"
    assert result not in alone


async def test_the_time_comes_with_rows_that_need_no_lock(store: PostgresStore) -> None:
    async with counting(store) as (transaction, _):
        with statements(store, lambda sql: True) as seen:
            await transaction.load([lookups.BOT.of("bot_1")])
            assert await transaction.now(0) > 0

    assert len(seen) == 1
