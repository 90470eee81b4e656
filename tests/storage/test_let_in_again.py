"""A database that refuses a process which it has let in before: that is temporary, as any lost connection is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from swarmkeeper.core.ports import Changes, StoreUnavailable
from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.storage.postgres.connections import translated_errors
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
            while len(await store.read("events_after", {"after": 0, "limit": 9})) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        await store.close()
        await admin.close()


def test_what_the_driver_says_of_its_own_states_is_not_told() -> None:
    with pytest.raises(StoreUnavailable, match=r"now: the connection was lost$"), translated_errors():
        raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")


# ---- rights ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def user(postgres: PostgresServer) -> Iterator[str]:
    """A user without any rights; it is removed with whatever was granted to it in `url`."""
    postgres.run("CREATE ROLE swarm LOGIN")
    yield "swarm"
    postgres.run("DROP ROLE swarm")


@pytest.fixture
def empty(postgres: PostgresServer, user: str) -> Iterator[str]:
    url = postgres.new_database(keep=True)
    yield url
    postgres.drop(url)


def as_user(url: str, user: str) -> str:
    return url.replace("//postgres@", f"//{user}@")


async def test_a_user_who_may_not_make_the_tables_is_told_what_to_grant(
    postgres: PostgresServer, user: str, empty: str
) -> None:
    store = PostgresStore(as_user(empty, user))
    with pytest.raises(StoreRefused, match=r"permission denied for schema public.*GRANT CREATE ON SCHEMA public"):
        await store.open()

    await _run(empty, f"GRANT CREATE ON SCHEMA public TO {user}")

    await store.open()
    await store.close()


async def test_a_database_without_a_schema_for_the_tables_is_refused(empty: str) -> None:
    await _run(empty, f"ALTER DATABASE {empty.rpartition('/')[2]} SET search_path = 'missing'")

    with pytest.raises(StoreRefused, match=r"no schema has been selected.*search_path"):
        await PostgresStore(empty).open()


async def test_a_user_who_does_not_own_the_tables_is_told_so_at_the_start_and_waits_later(
    user: str, url: str, empty: str
) -> None:
    with pytest.raises(StoreRefused, match=r"permission denied for table migration.*own the tables"):
        await PostgresStore(as_user(url, user)).open()

    await _run(empty, f"GRANT CREATE ON SCHEMA public TO {user}")
    store = PostgresStore(as_user(empty, user))
    await store.open()
    try:
        await _run(empty, f"REVOKE INSERT ON outbox FROM {user}")
        with pytest.raises(StoreUnavailable, match="permission denied for table outbox"):
            await save(store, Changes(events=[records.event(1)]))
        await _run(empty, f"GRANT INSERT ON outbox TO {user}")
        await save(store, Changes(events=[records.event(1)]))
    finally:
        await store.close()


async def _run(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()
