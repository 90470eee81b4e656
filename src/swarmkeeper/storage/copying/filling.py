"""Fills a database with the rows of a store: for a move from SQLite, and for a restore.

Theory. While a database is being filled it has a table `filling`, and nobody else can open the store in it: a server
would work with half of the rows. That table says where the rows come from, and has a row for each step that is done,
written in the transaction of that step. So a process that dies leaves a database that only the same copy can go on
with, and it goes on with the next step. The last step removes the table.

A second process cannot fill at the same time, nor can a server start, since the first one has the lock that each
orchestrator shares.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from itertools import zip_longest
from typing import Any, TypeVar

import asyncpg

from swarmkeeper.storage.copying import postgres_content
from swarmkeeper.storage.copying.content import Content, CopyOrigin, NotCopied, Row, StoredTable, epoch_after
from swarmkeeper.storage.postgres import connections, migrations
from swarmkeeper.storage.postgres.connections import translated_errors
from swarmkeeper.storage.postgres.sequencer import place_turn
from swarmkeeper.storage.refusals import SchemaOlder, StoreHeld, StoreNotEmpty, StoreRefused

_TABLE = """
CREATE TABLE filling (
    step   text COLLATE "C" PRIMARY KEY,  -- a table, or one of the two steps below
    origin text NOT NULL,
    state  text NOT NULL,
    "rows" bigint NOT NULL
)
"""
_BEGUN, _NUMBERED = "(begun)", "(numbered)"
_ALONE = "SELECT pg_try_advisory_lock(hashtextextended('swarmkeeper/orchestrator', 0))"
# Cursors of the feed up to here may be known to somebody, even where the event has been erased.
_LAST = """
SELECT greatest((SELECT max(seq) FROM event), (SELECT max(seq) FROM feed_start), (SELECT max(upto) FROM feed_gap), 0)
"""
One = TypeVar("One")
Two = TypeVar("Two")
_META = "INSERT INTO meta (key, value, secret) VALUES ($1, $2, $3)"


@asynccontextmanager
async def filling(url: str, origin: CopyOrigin) -> AsyncIterator[Filling]:
    """Begin to fill a database, or go on if the same copy was interrupted; the block does the steps.

    Raises:
        StoreRefused: the database has rows of something else, or cannot be used.
        StoreHeld: it is in use.
        StoreUnavailable: the server cannot be reached.
    """
    connection = await connections.connect(url, writing=True)
    try:
        with translated_errors():
            if not await connection.fetchval(_ALONE):
                raise StoreHeld("an orchestrator, or another copy, uses this database: stop it first")
            await _begin(connection, origin)
            tables = await postgres_content.tables_of(connection)
            yield Filling(connection, origin, tables)
    finally:
        await connections.close(connection)


async def _begin(connection: asyncpg.Connection, origin: CopyOrigin) -> None:
    known = migrations.known()
    async with _long(connection):
        lacking = await migrations.missing(connection, known, filling=True)
        if lacking and len(lacking) < len(known):
            raise SchemaOlder("the database has the schema of an older version: run `swarmkeeper migrate` on it first")
        if lacking:
            await migrations.apply(connection, known, create=True, migrate=False)
        if not await connection.fetchval("SELECT to_regclass('filling') IS NOT NULL"):
            await _check_empty(connection)
            await connection.execute(_TABLE)
        begun = await connection.fetchrow("SELECT origin, state FROM filling WHERE step = $1", _BEGUN)
        if begun is None:
            await _note(connection, origin, _BEGUN)
        elif begun["origin"] != origin.store:
            raise StoreRefused(
                "this database has been filled in part with the rows of another store: "
                "go on with that one, or make the database anew"
            )
        elif begun["state"] != origin.state:  # the source was used in between
            await empty(connection)
            await connection.execute("DELETE FROM filling")
            await _note(connection, origin, _BEGUN)


async def _check_empty(connection: asyncpg.Connection) -> None:
    for table in await postgres_content.tables_of(connection):
        if await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table.name})"):
            raise StoreNotEmpty(f"this database has rows (table {table.name}): name an empty one")


async def empty(connection: asyncpg.Connection) -> None:
    """Remove all rows that were copied."""
    tables = await postgres_content.tables_of(connection)
    await connection.execute(f"TRUNCATE {', '.join(table.name for table in tables)}")


async def _note(connection: asyncpg.Connection, origin: CopyOrigin, step: str, rows: int = 0) -> None:
    await connection.execute("INSERT INTO filling VALUES ($1, $2, $3, $4)", step, origin.store, origin.state, rows)


@asynccontextmanager
async def _long(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """A transaction that may take long, and in which the server may wait for us."""
    async with connection.transaction():
        await connections.allow_any_time(connection)
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


class Filling:
    """The steps, in order: `copy`, `check`, `number`, `place`, `complete`. Each may be done again."""

    def __init__(self, connection: asyncpg.Connection, origin: CopyOrigin, tables: list[StoredTable]) -> None:
        self._connection = connection
        self._origin = origin
        self.tables = tables

    async def _done(self) -> Mapping[str, int]:
        found = await self._connection.fetch('SELECT step, "rows" FROM filling')
        return {row["step"]: row["rows"] for row in found}

    @property
    async def is_numbered(self) -> bool:
        return _NUMBERED in await self._done()

    async def copy(self, content: Content) -> Mapping[str, int]:
        """Copy all tables that have not been copied yet, and return how many rows each has.

        Raises:
            NotCopied: a row cannot be stored.
        """
        done = await self._done()
        for table in self.tables:
            if table.name not in done:
                async with _long(self._connection):
                    number = await self._copy_table(content, table)
                    await _note(self._connection, self._origin, table.name, number)
        if _NUMBERED not in done:
            await self._connection.execute("ANALYZE", timeout=connections.SECONDS_FOR_ALL_ROWS)
        done = await self._done()
        return {table.name: done[table.name] for table in self.tables}

    async def _copy_table(self, content: Content, table: StoredTable) -> int:
        number = 0
        chunks = content.chunks(table)
        chunk: list[Row] = await anext(chunks, [])
        while chunk:
            number += len(chunk)
            _, chunk = await _both(self._send(table, chunk), anext(chunks, []))
        return number

    async def _send(self, table: StoredTable, chunk: list[Row]) -> None:
        try:
            await self._connection.copy_records_to_table(
                table.name, records=chunk, columns=table.columns, timeout=connections.SECONDS_FOR_ALL_ROWS
            )
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            raise NotCopied(f"table {table.name}: PostgreSQL does not take a row: {error}") from error

    async def check(self, content: Content) -> None:
        """Compare each row with its source.

        Raises:
            NotCopied: one differs; the message says which.
        """
        for table in self.tables:
            async with _long(self._connection):
                await self._check_table(content, table)

    async def _check_table(self, content: Content, table: StoredTable) -> None:
        there, here = content.chunks(table), postgres_content.chunks_of(self._connection, table)
        expected, found = await _both(anext(there, []), anext(here, []))
        while expected and found:
            number = min(len(expected), len(found))
            if expected[:number] != found[:number]:
                break
            expected, found = expected[number:], found[number:]
            expected = expected or await anext(there, [])
            found = found or await anext(here, [])
        if expected or found:
            raise NotCopied(f"table {table.name} differs from its source: {_difference(table, expected, found)}")

    async def number(self, content: Content, *, anew: bool) -> None:
        """Let rows, events and queues get the numbers after the last ones, and write what the store keeps of itself.

        Args:
            anew: events get numbers that the store from which the rows come cannot have given to others; cursors
                between are refused.
        """
        if await self.is_numbered:
            return
        async with _long(self._connection):
            for table in self.tables:
                if column := table.identity:
                    await self._connection.execute(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column}'),"
                        f" coalesce(max({column}), 0) + 1, false) FROM {table.name}"
                    )
            meta = {key: (value, secret) for key, value, secret in content.meta}
            last = max(await self._connection.fetchval(_LAST), meta.get("pos", (0, None))[0] or 0)
            shown, epoch = last, meta["epoch"][0] or 0
            if anew:
                base = epoch_after(last)
                await self._connection.execute("INSERT INTO feed_gap (after, upto) VALUES ($1, $2)", last, base)
                last, epoch = base, epoch + 1
            meta |= {"pos": (last, None), "epoch": (epoch, None), "sequenced_until": (0, None)}
            if "cursor_key" not in meta:  # a copy of an older version: its clients keep numbers
                drawn = await self._connection.fetchval("SELECT secret FROM meta WHERE key = 'cursor_key'")
                meta |= {"cursor_key": (None, drawn), "numbers_until": (shown, None)}
            await self._connection.execute("DELETE FROM meta")
            await self._connection.executemany(_META, [(key, *parts) for key, parts in meta.items()])
            await _note(self._connection, self._origin, _NUMBERED)

    async def place(self) -> None:
        """Number what waited in the outbox of the source."""
        while await place_turn(self._connection, owns=False):
            pass

    async def give_up(self) -> None:
        """Leave an empty store: what was copied is not fit to be used."""
        async with _long(self._connection):
            await empty(self._connection)
            kept = "'pepper', 'pepper_check', 'cursor_key', 'epoch'"
            await self._connection.execute(f"DELETE FROM meta WHERE key NOT IN ({kept})")
            numbers = "('pos', 0), ('sequenced_until', 0), ('numbers_until', 0)"
            await self._connection.execute(f"INSERT INTO meta (key, value) VALUES {numbers}")
            await self._connection.execute("DROP TABLE filling")

    async def complete(self) -> None:
        """Let the store be used."""
        async with _long(self._connection):
            assert await self.is_numbered, "all steps before are done"
            await self._connection.execute("DROP TABLE filling")

    async def facts(self) -> dict[str, Any]:
        """Return what people compare; see `postgres_content.facts_of`."""
        return await postgres_content.facts_of(self._connection, self.tables)


async def _both(one: Awaitable[One], two: Awaitable[Two]) -> tuple[One, Two]:
    """Wait for both, also if one of them fails: the other one would go on reading."""
    ended = await asyncio.gather(one, two, return_exceptions=True)
    for result in ended:
        if isinstance(result, BaseException):
            raise result
    return ended  # type: ignore[return-value]  # neither is an exception


def _difference(table: StoredTable, expected: list[Row], found: list[Row]) -> str:
    """Say which is the first row that differs, and in which columns; not what it contains."""
    key = [table.columns.index(name) for name in table.key]

    def key_of(row: Row) -> list[Any]:
        return [row[place] for place in key]

    one, two = next(pair for pair in zip_longest(expected, found) if pair[0] != pair[1])
    if one is None or (two is not None and key_of(two) < key_of(one)):
        return f"row {key_of(two)} is not of the source"
    if two is None or key_of(one) < key_of(two):
        return f"row {key_of(one)} is missing"
    names = [name for name, left, right in zip(table.columns, one, two, strict=True) if left != right]
    return f"row {key_of(one)}, {', '.join(names)}"
