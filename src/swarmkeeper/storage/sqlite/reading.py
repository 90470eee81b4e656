"""Runs named reads, and opens a store that cannot be written, such as on a read-only medium or as another user.

SQLite reads a database in WAL mode through a third file, `-shm`, which it creates. If it cannot be created:
- With a write-ahead log, the log's index is built in memory, so nothing in the log is missed.
- Without one, the file is the complete store and is read as immutable.
Neither takes locks: a server that was writing would have created the `-shm`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import apsw

from swarmkeeper.core.ports import Read
from swarmkeeper.storage import rows
from swarmkeeper.storage.at_rest.bodies import ENCRYPTED as WITH_BODIES
from swarmkeeper.storage.at_rest.bodies import BodyCodec, UnknownDataKey
from swarmkeeper.storage.sqlite.dialect import read
from swarmkeeper.storage.sqlite.loading import load_keys

_BUSY_MILLISECONDS = 10_000

READS: Mapping[str, str] = read(
    *("reads.sql", "checks.sql", "anchors.sql", "sinks.sql", "secret_reads.sql", "person_reads.sql"),
    *("erasure_reads.sql", "insight_reads.sql", "task_reads.sql", "tally_reads.sql"),
)
RowMakers = dict[tuple[str, type[Any]], Callable[[rows.Row], Any]]


def named_rows(
    connection: apsw.Connection, row_makers: RowMakers, name: str, parameters: Mapping[str, Any], bodies: BodyCodec
) -> list[Any]:
    """Run a named read. `row_makers` caches the row conversion of each read that returned rows."""
    kind = name.row if isinstance(name, Read) else dict
    cursor = connection.execute(READS[name], parameters)
    first = cursor.fetchone()
    if first is None:
        return []
    make = row_makers.get((name, kind))
    if make is None:
        make = row_makers[name, kind] = rows.maker(kind, [column[0] for column in cursor.get_description()])
    if name not in WITH_BODIES:
        return list(map(make, (first, *cursor)))
    columns = [column[0] for column in cursor.get_description()]
    found = [first, *cursor]
    try:
        return list(map(make, bodies.opened(name, columns, found, parameters)))
    except UnknownDataKey:
        load_keys(connection.execute, bodies)
        return list(map(make, bodies.opened(name, columns, found, parameters, again=True)))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Implements `core.ports.Reader`."""

    connection: apsw.Connection | None
    rows: Callable[[apsw.Connection | None, str, Mapping[str, Any]], list[Any]]

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        return self.rows(self.connection, name, parameters)


class ReadableFile(Protocol):
    """What reads beside a store need of it."""

    @property
    def bodies(self) -> BodyCodec: ...

    def check_files(self) -> None: ...

    def translated_errors(self) -> AbstractContextManager[None]: ...

    def connect(self, *, writing: bool) -> apsw.Connection: ...

    def one_moment(self, connection: apsw.Connection | None) -> AbstractContextManager[apsw.Connection]: ...


class SqliteReads:
    """Reads committed data, for one thread. Each read sees everything acknowledged before it.

    Implements `core.ports.ReadsOnly`.
    """

    def __init__(self, store: ReadableFile) -> None:
        self._store = store
        self._connection: apsw.Connection | None = None
        self._row_makers: RowMakers = {}

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Like `SqliteStore.read`, without waiting for a transaction."""
        return self._rows(self._opened(), name, parameters)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Like `SqliteStore.snapshot`, without waiting for a transaction."""
        with self._store.one_moment(self._opened()) as connection:
            yield Snapshot(connection, self._rows)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _opened(self) -> apsw.Connection:
        self._store.check_files()
        if self._connection is None:
            with self._store.translated_errors():
                self._connection = self._store.connect(writing=False)
        return self._connection

    def _rows(self, connection: apsw.Connection | None, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        assert connection is not None, "the connection is open"
        with self._store.translated_errors():
            return named_rows(connection, self._row_makers, name, parameters, self._store.bodies)


def connect(path: Path) -> apsw.Connection:
    """Open a read-only connection.

    Raises:
        apsw.Error: the file cannot be read.
    """
    real = path.resolve()
    if Path(f"{real}-shm").exists():
        try:
            return _opened(apsw.Connection(str(real), apsw.SQLITE_OPEN_READONLY))
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            pass  # a crashed server left it here, and it cannot be mapped
    log = Path(f"{real}-wal")
    if log.exists() and log.stat().st_size:
        connection = apsw.Connection(str(real), apsw.SQLITE_OPEN_READONLY, "unix-none")
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # keeps the log's index in memory
        return _opened(connection)
    uri = f"file:{quote(str(real))}?immutable=1"
    return _opened(apsw.Connection(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI))


def _opened(connection: apsw.Connection) -> apsw.Connection:
    try:
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # SQLite opens the file only now
    except BaseException:
        connection.close()
        raise
    return connection
