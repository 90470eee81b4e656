"""Opens a store for reading where nothing may be written: on a read-only medium, or as another user.

SQLite reads a database in WAL mode through a third file, `-shm`, which it makes. Where it cannot be made, one of two
other ways is taken. With a write-ahead log beside the file, its index is built in memory; nothing that the log holds is
missed. Without one, the file alone is the whole store, and is read as one that does not change. Both take no locks: a
server that was writing would have made the `-shm`.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import apsw

_BUSY_MILLISECONDS = 10_000


def connect(path: Path) -> apsw.Connection:
    """A connection that only reads.

    Raises:
        apsw.Error: the file cannot be read.
    """
    real = path.resolve()
    if Path(f"{real}-shm").exists():
        try:
            return _opened(apsw.Connection(str(real), apsw.SQLITE_OPEN_READONLY))
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            pass  # a server left it here when it died, and it cannot be mapped
    log = Path(f"{real}-wal")
    if log.exists() and log.stat().st_size:
        connection = apsw.Connection(str(real), apsw.SQLITE_OPEN_READONLY, "unix-none")
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # the index of the log is in memory then
        return _opened(connection)
    uri = f"file:{quote(str(real))}?immutable=1"
    return _opened(apsw.Connection(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI))


def _opened(connection: apsw.Connection) -> apsw.Connection:
    try:
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # the file is not looked at before
    except BaseException:
        connection.close()
        raise
    return connection
