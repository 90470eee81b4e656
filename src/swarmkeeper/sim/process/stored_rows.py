"""Reads the store of a run of real processes: one view of all rows, as a SQLite database, for the checks.

A store in PostgreSQL is copied for each view, into memory: runs are small, and the checks exist once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import apsw

from swarmkeeper.sim.oracle.seen import LeaseSeen
from swarmkeeper.storage.sqlite import migrations
from swarmkeeper.storage.sqlite.store import path_of

_LEASE = """
SELECT g.lease_id, work.id, work.task, task.title, work.key, work.kind, g.attempt, work.tries, work.round, g.bot, 0, 0
  FROM (SELECT lease_id, work, attempt, bot FROM lease UNION ALL SELECT lease_id, work, attempt, bot FROM attempt) AS g
  JOIN work ON work.id = g.work JOIN task ON task.id = work.task
 WHERE g.lease_id = """


class StoredRows(Protocol):
    """The rows of a store that servers write."""

    def view(self) -> AbstractAsyncContextManager[apsw.Connection]:
        """Open a connection to one view of all tables, for reading."""

    async def events(self) -> int:
        """Return how many events have a number."""

    async def close(self) -> None: ...


class LeaseReader(Protocol):
    """Reads leases, for a bot's random choices; its work does not depend on them."""

    def __getitem__(self, lease_id: str) -> LeaseSeen:
        """Raises: KeyError: there is no such lease."""


def rows_of(url: str) -> StoredRows:
    """Return the rows of the store at a URL, which exists."""
    return _SqliteRows(path_of(url)) if url.startswith("sqlite:") else _PostgresRows(url)


def leases_of(url: str) -> LeaseReader:
    """Return the leases of the store at a URL."""
    return _SqliteLeases(path_of(url)) if url.startswith("sqlite:") else _PostgresLeases(url)


# ---- SQLite --------------------------------------------------------------------------------------------------------


def _open_read_only(store: str) -> apsw.Connection:
    """Open a read-only connection. It writes nothing, not even a checkpoint when it is closed last."""
    connection = apsw.Connection(store, apsw.SQLITE_OPEN_READWRITE)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.set_busy_timeout(10_000)
    connection.execute("PRAGMA query_only = ON")
    return connection


class _SqliteRows:
    def __init__(self, path: str) -> None:
        self._connection = _open_read_only(path)

    @asynccontextmanager
    async def view(self) -> AsyncIterator[apsw.Connection]:
        with self._connection:
            yield self._connection

    async def events(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM event").get)

    async def close(self) -> None:
        self._connection.close()


class _SqliteLeases:
    def __init__(self, path: str) -> None:
        self._connection = _open_read_only(path)

    def __getitem__(self, lease_id: str) -> LeaseSeen:
        row: Any = self._connection.execute(f"{_LEASE} ?", (lease_id,)).fetchone()
        if row is None:
            raise KeyError(lease_id)
        return LeaseSeen(*row)


# ---- PostgreSQL ----------------------------------------------------------------------------------------------------


class _PostgresRows:
    def __init__(self, url: str) -> None:
        self._url = url

    @asynccontextmanager
    async def view(self) -> AsyncIterator[apsw.Connection]:
        from swarmkeeper.storage.copying.postgres_content import chunks_of, tables_of
        from swarmkeeper.storage.postgres import connections
        from swarmkeeper.storage.postgres.sequencer import place_turn

        copy = apsw.Connection(":memory:")
        migrations.prepare(copy, None, migrate=False, create=True, entropy=None)
        connection = await connections.connect(self._url, writing=False)
        try:
            # What a server that was killed has left without numbers; while one lives, it does this itself.
            while await place_turn(connection, owns=False):
                pass
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for table in await tables_of(connection):
                    async for chunk in chunks_of(connection, table):
                        _put(copy, table.name, table.columns, chunk)
        finally:
            await connections.close(connection)
        with copy:
            yield copy
        copy.close()

    async def events(self) -> int:
        from swarmkeeper.storage.postgres import connections

        connection = await connections.connect(self._url, writing=False)
        try:
            return int(await connection.fetchval("SELECT count(*) FROM event"))
        finally:
            await connections.close(connection)

    async def close(self) -> None:
        return


def _put(copy: apsw.Connection, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Write rows into the table of the same name. SQLite numbers some rows by itself, where PostgreSQL has a column."""
    present = {name for (name,) in copy.execute("SELECT name FROM pragma_table_info(?)", (table,))}
    if not present:
        return  # the outbox
    names = {name: name for name in columns if name in present}
    if "seq" in columns and "seq" not in present:
        names["seq"] = "rowid"
    places = [columns.index(name) for name in names]
    marks = ", ".join("?" * len(places))
    copy.executemany(
        f"REPLACE INTO {table} ({', '.join(names.values())}) VALUES ({marks})",  # names of our own
        [[row[place] for place in places] for row in rows],
    )


class _PostgresLeases:
    """Reads on a thread with a loop of its own: the bot's code asks for a lease as for an entry of a mapping."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._connection: Any = None

    def __getitem__(self, lease_id: str) -> LeaseSeen:
        row = asyncio.run_coroutine_threadsafe(self._row(lease_id), self._loop).result()
        if row is None:
            raise KeyError(lease_id)
        return LeaseSeen(*row)

    async def _row(self, lease_id: str) -> Any:
        from swarmkeeper.storage.postgres import connections

        if self._connection is None:
            self._connection = await connections.connect(self._url, writing=False)
        return await self._connection.fetchrow(f"{_LEASE} $1", lease_id)
