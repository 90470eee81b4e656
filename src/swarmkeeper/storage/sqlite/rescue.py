"""Keeps what a store that was removed or replaced under its process still holds, and leaves others' files alone.

The process has the files open that lost their names. What was acknowledged may be nowhere else, so it is copied beside
before they are closed and gone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import apsw

from swarmkeeper.storage.sqlite.copies import copy_to, free_name
from swarmkeeper.storage.sqlite.watch import Watch


def leave_names_alone(*connections: apsw.Connection | None) -> None:
    """See to it that closing these neither writes to the database nor removes side files: the names may be others'."""
    for connection in connections:
        if connection is not None:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)


def keep(watch: Watch, connection: apsw.Connection) -> str:
    """Save what can be saved; says what was done, for whoever mends it. Uses the connection up."""
    if watch.is_overwritten:
        return _put_log_aside(watch)
    folder = watch.real.parent
    if not folder.is_dir():
        if not watch.is_nameless():
            return "its folder was moved, and all that was acknowledged with it; nothing was written"
        folder = Path(tempfile.mkdtemp(prefix="swarmkeeper-lost-"))
    try:
        connection.execute("PRAGMA query_only = OFF")
        if watch.lacks_sides_alone() and _carry_over(connection):
            return "all that was acknowledged is in the database file; start again"
        copy = free_name(folder / watch.real.name, "lost")
        copy_to(connection, copy)
    except (apsw.Error, OSError) as error:
        return f"what the former file held could not be kept: {error}" + _aside_too(watch)
    return f"all that was acknowledged is kept in {copy}" + _aside_too(watch)


def _carry_over(connection: apsw.Connection) -> bool:
    """Write what is in the log alone into the database; whether all of it is there now."""
    in_log, carried = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    return in_log == carried


def _aside_too(watch: Watch) -> str:
    # Whoever opens a file that was put there meanwhile would add the old log's pages to it.
    return f"; {_put_log_aside(watch)}" if watch.has_own_side("-wal") else ""


def _put_log_aside(watch: Watch) -> str:
    log = Path(f"{watch.real}-wal")
    if not watch.has_own_side("-wal"):
        return "its write-ahead log is gone"
    aside = free_name(log, "lost")
    try:
        log.rename(aside)
    except OSError as error:
        return f"its write-ahead log could not be put aside ({error.strerror}): move {log} away before you go on"
    return f"its write-ahead log was put aside as {aside}, so that it is not mixed with the new file"
