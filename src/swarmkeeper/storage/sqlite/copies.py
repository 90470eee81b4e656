"""Copies a store: before a migration, and after it was lost."""

from __future__ import annotations

from pathlib import Path

import apsw

from swarmkeeper import files


def copy_to(connection: apsw.Connection, copy: Path) -> None:
    """Copy a store as it is now to `copy`, which appears only when it is complete.

    Raises:
        apsw.Error, OSError: the copy cannot be made.
    """
    with files.beside(copy) as new:
        files.create(new)  # SQLite fills an existing empty file and keeps its mode
        connection.execute("VACUUM INTO ?", (str(new),))


def free_name(path: Path, word: str) -> Path:
    """Return `<path>.<word>`, or `<path>.<word>-2` and so on if it exists."""
    number = 1
    while (free := path.with_name(f"{path.name}.{word}" + (f"-{number}" if number > 1 else ""))).exists():
        number += 1
    return free
