"""A database that refuses a process which it has let in before: that is temporary, as any lost connection is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from swarmkeeper.core.ports import Changes, StoreUnavailable
from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.storage.refusals import StoreRefused
from swarmkeeper.testing import records
from swarmkeeper.testing.saving import save
from tests.support.postgres import PostgresServer


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    url = postgres.own_store()
    yield url
    postgres.drop(url)


async def test_a_store_whose_database_is_renamed_waits_until_it_has_its_name_again(
    postgres: PostgresServer, url: str
) -> None:
    name = url.rpartition("/")[2]
    store = PostgresStore(url)
    await store.open()
    await save(store, Changes(events=[records.event(1)]))
    admin = await asyncpg.connect(postgres.url())
    try:
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await admin.execute(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'")
        await admin.execute(f"ALTER DATABASE {name} RENAME TO away")

        with pytest.raises(StoreUnavailable, match="does not exist"):
            await save(store, Changes(events=[records.event(2)]))
        with pytest.raises(StoreUnavailable, match="does not exist"):
            await store.read("newest_event", {})
        with pytest.raises(StoreRefused, match="does not exist"):
            await PostgresStore(url).open()

        await admin.execute(f"ALTER DATABASE away RENAME TO {name}")
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await save(store, Changes(events=[records.event(2)]))
        async with asyncio.timeout(20):
            while len(await store.read("events_after", {"after": 0, "limit": 9})) < 2:
                await asyncio.sleep(0.02)
    finally:
        await store.close()
        await admin.close()
