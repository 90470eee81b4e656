"""The first locks of a transaction come with the rows they are for, and these are as they are once it has the locks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio

from swarmkeeper.core import lookups
from swarmkeeper.core.model import KeyLimit, LeaseRecord
from swarmkeeper.core.ports import Changes, StaleVersion
from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.testing import records
from swarmkeeper.testing.saving import of_one_task, save
from tests.storage.seen import statements
from tests.support.postgres import PostgresServer

LEASE = lookups.LEASE_ID.of("lse_1")


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.new_store()


@pytest_asyncio.fixture
async def stores(database: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    both = PostgresStore(database), PostgresStore(database)
    for store in both:
        await store.open()
    await save(both[0], of_one_task(records.work(id="sub_1"), leases={"sub_1": lease(1)}))
    await both[0].start()  # what was committed has its numbers: from here on nothing else is committed
    yield both
    for store in both:
        await store.close()


def lease(version: int) -> LeaseRecord:
    return records.lease("sub_1", lease_id="lse_1", version=version)


async def test_the_first_locks_and_the_rows_are_one_statement(stores: tuple[PostgresStore, PostgresStore]) -> None:
    async with stores[0].begin() as transaction:
        with statements(stores[0], lambda sql: "lease" in sql) as seen:
            found = await transaction.load([LEASE])
        assert transaction._locks.has_task("tsk_1")
        assert transaction._locks.now is not None

    assert len(seen) == 1
    assert found[lookups.LEASE, "sub_1"].version == 1


class Undone(Exception):
    pass


@pytest.mark.parametrize(("commits", "sees", "number"), [(True, 2, 2), (False, 1, 1)], ids=["committed", "rolled back"])
async def test_who_waited_for_a_lock_reads_again_what_was_committed_meanwhile(
    stores: tuple[PostgresStore, PostgresStore], commits: bool, sees: int, number: int
) -> None:
    first, second = stores

    async def waited() -> tuple[int, int]:
        """Let one wait for the other; return the version that it sees, and how often it has read."""
        taken, free = asyncio.Event(), asyncio.Event()

        async def change() -> None:
            with suppress(Undone):
                async with first.begin() as transaction:
                    await transaction.load([LEASE])
                    taken.set()
                    await free.wait()
                    if not commits:
                        raise Undone
                    await transaction.save(Changes(leases={"sub_1": lease(2)}))

        changing = asyncio.create_task(change())
        await taken.wait()
        async with second.begin() as transaction:
            with statements(second, lambda sql: "lease" in sql) as seen:
                load = asyncio.create_task(transaction.load([LEASE]))
                await asyncio.sleep(0.3)
                assert not load.done(), "another transaction has the lock"
                free.set()
                found = await load
        await changing
        return found[lookups.LEASE, "sub_1"].version, len(seen)

    found = await waited()
    for _ in range(4):  # the database's own upkeep may commit something in the same moment
        found = found if commits or found == (sees, number) else await waited()

    assert found == (sees, number)


async def test_a_key_that_another_one_counts_on_meanwhile_is_not_removed(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    key = KeyLimit("lim_1", "default", "repo:main", running=1, lines={}, version=1)
    needs = [(lookups.KEY_LIMIT, "lim_1")]
    await save(stores[0], Changes(key_limits={"lim_1": key}))

    async with stores[0].begin() as first:
        await first.load(needs)
        async with stores[1].begin() as second:
            await second.load(needs)
            await second.save(Changes(key_limits={"lim_1": replace(key, running=2, version=2)}))
        with pytest.raises(StaleVersion):
            await first.save(Changes(key_limits={"lim_1": None}))

    async with stores[0].begin() as first:
        assert (await first.load(needs))[lookups.KEY_LIMIT, "lim_1"].running == 2
        await first.save(Changes(key_limits={"lim_1": None}))
        assert (await first.load(needs))[lookups.KEY_LIMIT, "lim_1"] is None
        await first.save(Changes(key_limits={"lim_1": key, "lim_2": None}))
        await first.save(Changes(key_limits={"lim_1": None}))
        assert (await first.load(needs))[lookups.KEY_LIMIT, "lim_1"] is None


async def test_who_has_a_lock_reads_what_was_committed_whatever_isolation_is_set_for_the_database(
    database: str, postgres: PostgresServer
) -> None:
    admin = await asyncpg.connect(database)
    name = database.rpartition("/")[2]
    await admin.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    stores = PostgresStore(database), PostgresStore(database)
    for store in stores:
        await store.open()
    try:
        async with stores[0].begin() as transaction:
            assert (await transaction.load([(lookups.KEY_LIMIT, "lim_1")]))[lookups.KEY_LIMIT, "lim_1"] is None
            await save(stores[1], Changes(key_limits={"lim_1": KeyLimit("lim_1", "default", "k", 1, {}, 1)}))

            found = await transaction.load([(lookups.KEY_LIMIT, "lim_1")])

        assert found[lookups.KEY_LIMIT, "lim_1"] is not None
    finally:
        for store in stores:
            await store.close()
        await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_isolation")
        await admin.close()
