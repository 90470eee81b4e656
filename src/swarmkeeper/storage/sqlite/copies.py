"""Copies a store: before a migration, after it was lost, and as a backup; begins anew from a backup; and marks a store
whose rows were moved to another one."""

from __future__ import annotations

from pathlib import Path

import apsw

from swarmkeeper import files
from swarmkeeper.storage.copying.content import epoch_after
from swarmkeeper.storage.refusals import StoreMoved
from swarmkeeper.storage.sqlite import reading


def copy_to(connection: apsw.Connection, copy: Path) -> None:
    """Copy a store as it is now to `copy`, which appears only when it is complete.

    Raises:
        apsw.Error, OSError: the copy cannot be made.
    """
    with files.beside(copy) as new:
        _write(connection, new)


def copy_file(path: Path, new: Path) -> None:
    """Copy the store at `path` to a new file; `path` may be in a place where nothing can be written.

    Raises:
        apsw.Error, OSError: the copy cannot be made.
    """
    connection = reading.connect(path)
    try:
        connection.execute("PRAGMA query_only = OFF")  # it also forbids writing to another file
        _write(connection, new)
    finally:
        connection.close()


def _write(connection: apsw.Connection, new: Path) -> None:
    files.create(new)  # SQLite fills an existing empty file and keeps its mode
    connection.execute("VACUUM INTO ?", (str(new),))


def free_name(path: Path, word: str) -> Path:
    """Return `<path>.<word>`, or `<path>.<word>-2` and so on if it exists."""
    number = 1
    while (free := path.with_name(f"{path.name}.{word}" + (f"-{number}" if number > 1 else ""))).exists():
        number += 1
    return free


def last_event(connection: apsw.Connection) -> int:
    """Return the number of the last event."""
    found = connection.execute("SELECT coalesce(max(seq), 0) FROM event").get
    assert isinstance(found, int), "the number is an integer"
    return found


def begin_epoch(connection: apsw.Connection, last: int) -> None:
    """Give the events after `last` numbers that the store which was lost cannot have given to others.

    Cursors between are of that store. The next events follow the highest number, so there must be one after `last`.
    """
    base = epoch_after(last)
    with connection:
        connection.execute("UPDATE event SET seq = seq - ?1 + ?2 WHERE seq > ?1", (last, base))
        connection.execute("INSERT INTO feed_gap (after, upto) VALUES (?, ?)", (last, base))
        connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'")


def moved_to(connection: apsw.Connection) -> str:
    """Return the address that the store's rows were moved to, without its password; empty if they were not."""
    found: str | None = connection.execute("SELECT value FROM meta WHERE key = 'moved_to'").get
    return found or ""


def mark_moved(connection: apsw.Connection, address: str) -> None:
    """Write into the store, in the open transaction if there is one, where its rows are now; empty: here again."""
    if address:
        connection.execute(
            "INSERT INTO meta VALUES ('moved_to', ?) ON CONFLICT DO UPDATE SET value = excluded.value", (address,)
        )
    else:
        connection.execute("DELETE FROM meta WHERE key = 'moved_to'")


def refuse_moved(connection: apsw.Connection) -> None:
    """Refuse a store whose rows were moved: two stores would go on from the same state, and give out the same work.

    Raises:
        StoreMoved: they were; the message says where.
    """
    if address := moved_to(connection):
        raise StoreMoved(f"this store was moved to {address}: use that one")
