"""Makes copies of a store beside it: before a migration, and of one that was lost."""

from __future__ import annotations

from pathlib import Path

import apsw

from swarmkeeper import files


def copy_to(connection: apsw.Connection, copy: Path) -> None:
    """Make a copy of a store as it is at this moment, with its final name only when it is whole.

    Raises:
        apsw.Error, OSError: it cannot be made.
    """
    with files.beside(copy) as new:
        files.create(new)  # SQLite fills a file that is empty, and leaves its mode as it is
        connection.execute("VACUUM INTO ?", (str(new),))


def free_name(path: Path, word: str) -> Path:
    """`<path>.<word>`, with a number where there is one already."""
    number = 1
    while (free := path.with_name(f"{path.name}.{word}" + (f"-{number}" if number > 1 else ""))).exists():
        number += 1
    return free
