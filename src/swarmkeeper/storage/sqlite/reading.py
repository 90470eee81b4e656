"""Runs named reads, and opens a store that cannot be written, such as on a read-only medium or as another user.

SQLite reads a database in WAL mode through a third file, `-shm`, which it creates. If it cannot be created:
- With a write-ahead log, the log's index is built in memory, so nothing in the log is missed.
- Without one, the file is the complete store and is read as immutable.
Neither takes locks: a server that was writing would have created the `-shm`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from swarmkeeper.core.ports import Read
from swarmkeeper.storage import rows
from swarmkeeper.storage.sqlite.dialect import read

_BUSY_MILLISECONDS = 10_000

READS: Mapping[str, str] = read(
    "reads.sql", "checks.sql", "anchors.sql", "sinks.sql", "secret_reads.sql", "person_reads.sql"
)
RowMakers = dict[tuple[str, type[Any]], Callable[[rows.Row], Any]]


def named_rows(
    connection: apsw.Connection, row_makers: RowMakers, name: str, parameters: Mapping[str, Any]
) -> list[Any]:
    """Run a named read. `row_makers` caches the row conversion of each read that returned rows."""
    kind = name.row if isinstance(name, Read) else dict
    cursor = connection.execute(READS[name], parameters)
    make = row_makers.get((name, kind))
    if make is not None:
        return list(map(make, cursor))
    first = cursor.fetchone()
    if first is None:
        return []
    make = row_makers[name, kind] = rows.maker(kind, [column[0] for column in cursor.get_description()])
    return list(map(make, (first, *cursor)))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Implements `core.ports.Reader`."""

    connection: apsw.Connection | None
    rows: Callable[[apsw.Connection | None, str, Mapping[str, Any]], list[Any]]

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        return self.rows(self.connection, name, parameters)


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
