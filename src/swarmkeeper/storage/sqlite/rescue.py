"""Saves the data of a store that was removed or replaced while open, without touching other files.

The process still has the unnamed files open. They may hold the only copy of acknowledged data, so they are copied to
the store's folder before they are closed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import apsw

from swarmkeeper.storage.sqlite.copies import copy_to, free_name
from swarmkeeper.storage.sqlite.watch import Watch


def leave_names_alone(*connections: apsw.Connection | None) -> None:
    """Make closing these connections neither write to the database nor remove side files: the names may be others'."""
    for connection in connections:
        if connection is not None:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)


def save(watch: Watch, connection: apsw.Connection) -> str:
    """Save what can be saved, and return a message that says what was done. `connection` is not usable afterwards."""
    if watch.is_overwritten:
        return _move_log(watch)
    folder = watch.real.parent
    if not folder.is_dir():
        if not watch.is_nameless():
            return "its folder was moved, with all acknowledged data; nothing was written"
        folder = Path(tempfile.mkdtemp(prefix="swarmkeeper-lost-"))
    try:
        connection.execute("PRAGMA query_only = OFF")
        if watch.lacks_sides_alone() and _carry_over(connection):
            return "all acknowledged data is in the database file; start again"
        copy = free_name(folder / watch.real.name, "lost")
        copy_to(connection, copy)
    except (apsw.Error, OSError) as error:
        return f"the data of the former file could not be saved: {error}" + _and_log(watch)
    return f"all acknowledged data was saved to {copy}" + _and_log(watch)


def _carry_over(connection: apsw.Connection) -> bool:
    """Write the log's pages into the database, and return whether all of them are there now."""
    in_log, carried = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    return in_log == carried


def _and_log(watch: Watch) -> str:
    # Otherwise, opening a new file of this name would apply the old log to it.
    return f"; {_move_log(watch)}" if watch.has_own_side("-wal") else ""


def _move_log(watch: Watch) -> str:
    log = Path(f"{watch.real}-wal")
    if not watch.has_own_side("-wal"):
        return "its write-ahead log is gone"
    moved = free_name(log, "lost")
    try:
        log.rename(moved)
    except OSError as error:
        return f"its write-ahead log could not be moved ({error.strerror}): move {log} away before you continue"
    return f"its write-ahead log was moved to {moved}, to keep it apart from the new file"
