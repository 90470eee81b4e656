"""While more work waits, the commit of a transaction begins the next one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from swarmkeeper.core.ports import Changes, StoreUnavailable
from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.storage.postgres import store as store_module
from swarmkeeper.testing import records
from swarmkeeper.testing.saving import save
from tests.storage.seen import statements
from tests.support.postgres import PostgresServer


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.new_store()


@pytest_asyncio.fixture
async def admin(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(database)
    await store.open()
    store.more_waits = lambda: True
    yield store
    store.more_waits = lambda: False
    await store.close()


async def save_bot(store: PostgresStore, name: str) -> None:
    await save(store, Changes(bots={name: records.bot(id=name, name=name)}))


async def bots(admin: asyncpg.Connection) -> list[str]:
    return [row["id"] for row in await admin.fetch("SELECT id FROM bot ORDER BY id")]


async def words(store: PostgresStore, *names: str) -> list[str]:
    """Save these bots one after another; return how their transactions began and ended."""
    with statements(store, lambda sql: sql.startswith(("BEGIN", "COMMIT", "ROLLBACK"))) as seen:
        for name in names:
            await save_bot(store, name)
        await asyncio.sleep(0)  # the log gets the last statement
    return seen


async def test_while_more_waits_only_the_first_transaction_is_begun(
    store: PostgresStore, admin: asyncpg.Connection
) -> None:
    assert await words(store, "bot_1", "bot_2") == ["BEGIN", "COMMIT AND CHAIN", "COMMIT AND CHAIN"]
    assert await bots(admin) == ["bot_1", "bot_2"]

    store.more_waits = lambda: False

    assert await words(store, "bot_3", "bot_4") == ["COMMIT", "BEGIN", "COMMIT"]
    assert await bots(admin) == ["bot_1", "bot_2", "bot_3", "bot_4"]


async def test_what_fails_after_such_a_commit_is_undone_alone(store: PostgresStore, admin: asyncpg.Connection) -> None:
    await save_bot(store, "bot_1")

    async def fail() -> None:
        async with store.begin() as transaction:
            await transaction.save(Changes(bots={"bot_2": records.bot(id="bot_2", name="bot_2")}))
            await transaction.write()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await bots(admin) == ["bot_1"]
    assert await words(store, "bot_3") == ["BEGIN", "COMMIT AND CHAIN"]
    assert await bots(admin) == ["bot_1", "bot_3"]


async def test_a_transaction_that_nobody_has_used_for_long_is_not_relied_on(
    store: PostgresStore, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save_bot(store, "bot_1")
    monkeypatch.setattr(store_module, "_SECONDS_BEGUN", 0.0)
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")

    await save_bot(store, "bot_2")

    assert await bots(admin) == ["bot_1", "bot_2"]


async def test_of_a_transaction_whose_connection_was_lost_before_its_first_statement_nothing_is_done(
    store: PostgresStore, admin: asyncpg.Connection
) -> None:
    await save_bot(store, "bot_1")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")

    for _ in range(2):  # whether the loss was noticed before depends on the moment
        try:
            await save_bot(store, "bot_2")
            break
        except StoreUnavailable:
            assert await bots(admin) == ["bot_1"]

    assert await bots(admin) == ["bot_1", "bot_2"]
