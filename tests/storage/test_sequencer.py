"""What it costs to number events, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from swarmkeeper.core.named_reads import EventRow
from swarmkeeper.core.ports import Changes
from swarmkeeper.storage.postgres import PostgresStore, connections
from swarmkeeper.storage.postgres import sequencer as sequencer_module
from swarmkeeper.storage.postgres.sequencer import KEPT_MAX, NumberedEvents, place_turn
from swarmkeeper.testing import records
from swarmkeeper.testing.saving import save
from tests.support.postgres import PostgresServer

LONG = 30.0  # seconds: longer than a test takes


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.new_store()


@pytest_asyncio.fixture
async def admin(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connections.connect(database, writing=True)
    yield connection
    await connection.close()


def told(number: int) -> Changes:
    return Changes(events=[records.event(number)], leaves=[records.leaf(number)])


async def numbers(admin: asyncpg.Connection) -> list[int]:
    return [row["seq"] for row in await admin.fetch("SELECT seq FROM event ORDER BY seq")]


async def test_a_turn_takes_two_statements_for_many_transactions(database: str, admin: asyncpg.Connection) -> None:
    tool = PostgresStore(database)
    await tool.open(exclusive=False)
    near: set[str] = set()
    await save(tool, told(1))
    assert await place_turn(admin, owns=True, filled=True, near=near) == 1
    for number in range(2, 10):
        await save(tool, told(number))
    seen: list[str] = []

    def note(query: Any) -> None:
        seen.append(query.query)

    with admin.query_logger(note):
        placed = await place_turn(admin, owns=True, filled=True, near=near)
        await asyncio.sleep(0)  # the log gets the last statement

    assert (placed, len(seen)) == (8, 2)
    assert await numbers(admin) == list(range(1, 10))
    assert await admin.fetchval("SELECT count(*) FROM outbox") == 0
    (head,) = await admin.fetch("SELECT size FROM audit_tree")
    assert head["size"] == 9
    await tool.close()


async def test_a_turn_that_fails_changes_nothing(database: str, admin: asyncpg.Connection) -> None:
    tool = PostgresStore(database)
    await tool.open(exclusive=False)
    await save(tool, told(1))
    # As if two numbered at the same time: the other one was first.
    await admin.execute(
        "INSERT INTO event VALUES (1, 'evt_other', 0, 'acme', NULL, 1, NULL, 'x', 'x', 'x', '{}', '[]')"
    )

    with pytest.raises(Exception, match="event_pkey"):
        await place_turn(admin, owns=True, filled=True)

    assert await admin.fetchval("SELECT count(*) FROM outbox") == 1
    assert await admin.fetchval("SELECT count(*) FROM audit_leaf") == 0
    assert await admin.fetchval("SELECT value FROM meta WHERE key = 'pos'") == 0
    await tool.close()


def rests_long(monkeypatch: pytest.MonkeyPatch, before_a_turn: str) -> None:
    """Let no turn begin by itself either: one that has just begun would number what is written now."""
    for name in (before_a_turn, "_SECONDS_IDLE_MIN", "_SECONDS_IDLE_MAX"):
        monkeypatch.setattr(sequencer_module, name, LONG)


async def test_rows_wait_to_share_a_turn_unless_somebody_waits_for_them(
    database: str, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests_long(monkeypatch, "_SECONDS_TO_GATHER")
    store = PostgresStore(database)
    await store.open()
    await save(store, told(1))
    await store.start()
    await save(store, told(2))
    await save(store, told(3))
    await asyncio.sleep(0.2)
    assert await numbers(admin) == [1]

    async with asyncio.timeout(LONG / 2):
        await store.start()  # waits for all that was committed before

    assert await numbers(admin) == [1, 2, 3]
    await store.close()


@pytest.mark.parametrize("followed", [True, False])
async def test_rows_wait_longer_while_nobody_follows_the_feed(
    database: str, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, followed: bool
) -> None:
    rests_long(monkeypatch, "_SECONDS_TO_GATHER_UNFOLLOWED")
    store = PostgresStore(database)
    await store.open()
    numbered = asyncio.Event()

    async def note() -> None:
        numbered.set()

    store.on_numbered(note, followed=lambda: followed)
    await save(store, told(1))
    await store.start()
    numbered.clear()

    await save(store, told(2))
    if followed:
        async with asyncio.timeout(LONG / 2):
            await numbered.wait()
    else:
        await asyncio.sleep(0.2)

    assert await numbers(admin) == ([1, 2] if followed else [1])
    async with asyncio.timeout(LONG / 2):
        await store.start()  # who reads waits no longer
    assert await numbers(admin) == [1, 2]
    await store.close()


async def test_what_was_written_last_is_numbered_before_the_server_ends(
    database: str, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests_long(monkeypatch, "_SECONDS_TO_GATHER")
    store = PostgresStore(database)
    await store.open()
    await save(store, told(1))
    await store.start()
    await save(store, told(2))
    await asyncio.sleep(0.2)
    assert await numbers(admin) == [1]

    await store.close()

    assert await numbers(admin) == [1, 2]


async def test_a_server_that_numbers_events_does_not_read_them_again(database: str, admin: asyncpg.Connection) -> None:
    store = PostgresStore(database)
    await store.open()
    await save(store, told(1))
    await store.start()
    await save(store, told(2))
    await save(store, told(3))
    await store.start()

    stored = [tuple(row) for row in await admin.fetch("SELECT * FROM event ORDER BY seq")]
    columns = list((await admin.fetch("SELECT * FROM event LIMIT 1"))[0].keys())
    assert columns == list(EventRow._fields)
    assert store.numbered_after(1) == stored[1:]
    assert store.numbered_after(3) == []
    assert store.numbered_after(1) is None, "they were read before, and forgotten"
    await store.close()


def numbered(first: int, *, many: int) -> list[tuple[Any, ...]]:
    return [(first + number, "event") for number in range(many)]


def test_numbered_events_are_all_or_none() -> None:
    events = NumberedEvents()
    assert events.after(0) is None, "others may have numbered some before"
    events.add(5, numbered(5, many=2))
    events.add(7, numbered(7, many=1))
    assert events.after(3) is None, "4 is missing"
    assert events.after(9) is None, "there is none with this number yet"
    assert events.after(4) == numbered(5, many=3)
    assert events.after(6) == numbered(7, many=1)


def test_numbered_events_after_a_gap_begin_anew() -> None:
    events = NumberedEvents()
    events.add(5, numbered(5, many=2))
    events.add(9, numbered(9, many=1))  # another server was the sequencer in between

    assert events.after(6) is None
    assert events.after(8) == numbered(9, many=1)


def test_numbered_events_that_nobody_reads_are_forgotten() -> None:
    events = NumberedEvents()
    events.add(1, numbered(1, many=KEPT_MAX + 1))
    events.add(KEPT_MAX + 2, numbered(KEPT_MAX + 2, many=1))

    assert events.after(0) is None
    assert events.after(KEPT_MAX + 1) == numbered(KEPT_MAX + 2, many=1)
    events.forget()
    assert events.after(KEPT_MAX + 1) is None
