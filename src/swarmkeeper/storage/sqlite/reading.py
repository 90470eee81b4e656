"""Opens a store that cannot be written, such as on a read-only medium or as another user.

SQLite reads a database in WAL mode through a third file, `-shm`, which it creates. If it cannot be created:
- With a write-ahead log, the log's index is built in memory, so nothing in the log is missed.
- Without one, the file is the complete store and is read as immutable.
Neither takes locks: a server that was writing would have created the `-shm`.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import apsw

_BUSY_MILLISECONDS = 10_000


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
