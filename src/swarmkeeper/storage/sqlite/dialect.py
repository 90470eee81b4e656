"""SQLite's words for what the shared statements leave open (see storage/statements.py)."""

from __future__ import annotations

from collections.abc import Mapping

from swarmkeeper.storage.rows import TABLES
from swarmkeeper.storage.statements import PARAMETER, Dialect, Table, Text, texts

SQLITE = Dialect(
    package=__package__,
    macros={
        "each": "json_each({0})",
        "numbers": "json_each({0})",
        "pairs": "json_each({0})",
        "members": "json_each({0})",
        "json": "{0}",
        "bytes": "CAST({0} AS BLOB)",
        "text": "CAST({0} AS TEXT)",
        "greatest": "max",
        "least": "min",
        "size": "(length({0}.body) - 64 * {0}.sealed)",
        "find": "instr",
        "seq": "rowid",
        "valid": "json_valid({0})",
        "by": "INDEXED BY {0}",
        "free": "",  # a transaction has the whole store
        "locked": "",
    },
)


def read(*files: str, tables: Mapping[str, Table] = TABLES) -> dict[str, str]:
    """Return the statements of shared files by name.

    A statement that takes whole rows gets numbered parameters in column order, so that insert and update take the same
    tuple. The table's `beside` columns come after those.
    """
    return {name: _numbered(text) for file in files for name, text in texts(file, tables, SQLITE).items()}


def _numbered(text: Text) -> str:
    if not text.row:
        return text.sql
    numbers = {column: number for number, column in enumerate(text.row, 1)}
    return PARAMETER.sub(lambda match: f"?{numbers[match[1]]}", text.sql)
