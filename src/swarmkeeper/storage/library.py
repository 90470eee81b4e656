"""Settings of the SQLite library, for all connections of a process that is only a server."""

from __future__ import annotations

import apsw

# SQLite's own pool of small pieces of memory, for each connection: bytes of a piece, and their number. The prepared
# statements of the engine take all of the usual hundred, so everything else came from malloc.
_LOOKASIDE = (1_200, 480)


def tune() -> bool:
    """Let SQLite allocate memory faster; return whether it was done: not while a connection is open.

    Each connection gets a larger pool, and SQLite counts no allocations, which would take a mutex for each.
    The library must be shut down for a moment, so call this only where no other thread uses it.
    """
    if apsw.connections():
        return False
    apsw.shutdown()
    try:
        apsw.config(apsw.SQLITE_CONFIG_MEMSTATUS, 0)
        apsw.config(apsw.SQLITE_CONFIG_LOOKASIDE, *_LOOKASIDE)
    finally:
        apsw.initialize()
    return True
