"""Reads all rows of a SQLite store, with the columns and types of PostgreSQL."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from itertools import islice

import apsw

from swarmkeeper.storage.copying.content import BYTES_MAX, ROWS_MAX, CopyOrigin, MetaRow, NotCopied, Row, StoredTable

# Columns that only PostgreSQL has, and what stands for them. SQLite numbers rows by itself; and a timer of a lease that
# was put off is due again after a start, as it is after a restart on SQLite.
_BESIDE: Mapping[str, str] = {"seq": "rowid", "expire_put_off": "NULL", "end_put_off": "NULL"}


class SqliteContent:
    """Implements `Content`. No one may write meanwhile: hold a transaction, or read a file that nobody uses."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    @property
    def origin(self) -> CopyOrigin:
        pepper = self._connection.execute("SELECT value FROM meta WHERE key = 'pepper'").get
        return CopyOrigin(hashlib.sha256(b"store " + pepper).hexdigest(), self._state())

    def _state(self) -> str:
        named = self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        found: list[object] = []
        for table in [str(name) for (name,) in named if name != "meta"]:  # it also says whether the store was moved
            sums = ["count(*)"] + [f"sum({name})" for name in self._columns(table) & {"version", "row_version"}]
            found.append((table, self._connection.execute(f"SELECT {', '.join(sums)} FROM {table}").fetchall()))
        found += self._connection.execute("SELECT max(seq) FROM event").fetchall()
        found += self._connection.execute("SELECT tenant, size, root FROM audit_tree ORDER BY tenant").fetchall()
        found += self._connection.execute("SELECT value FROM meta WHERE key = 'alive_at'").fetchall()
        return hashlib.sha256(repr(found).encode()).hexdigest()

    @property
    def meta(self) -> Sequence[MetaRow]:
        names = "'pepper', 'pepper_check', 'cursor_key', 'numbers_until', 'alive_at', 'epoch'"
        kept = dict(self._connection.execute(f"SELECT key, value FROM meta WHERE key IN ({names})"))
        return [(key, None, value) if isinstance(value, bytes) else (key, value, None) for key, value in kept.items()]

    def _columns(self, table: str) -> set[str]:
        return {name for (name,) in self._connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}

    async def chunks(self, table: StoredTable) -> AsyncIterator[list[Row]]:
        present = self._columns(table.name)
        if not present:
            return  # the outbox: a transaction of SQLite has numbers at once
        lacking = [name for name in table.columns if name not in present and name not in _BESIDE]
        if lacking:
            raise NotCopied(f"table {table.name} of this store has no column {', '.join(lacking)}")
        columns = ", ".join(name if name in present else f"{_BESIDE[name]} AS {name}" for name in table.columns)
        cursor = self._connection.execute(f"SELECT {columns} FROM {table.name} ORDER BY {', '.join(table.key)}")
        rows = map(_converted(table.types), cursor)
        while chunk := await asyncio.to_thread(_take, rows, table.body):
            yield chunk


def _take(rows: Iterator[Row], body: int | None) -> list[Row]:
    if body is None:
        return list(islice(rows, ROWS_MAX))
    taken, size = [], 0
    for row in rows:
        taken.append(row)
        size += len(row[body] or b"")
        if size >= BYTES_MAX or len(taken) >= ROWS_MAX:
            break
    return taken


def _converted(types: Sequence[str]) -> Callable[[Row], Row]:
    """Return the function that makes the flags of a row booleans."""
    flags = [place for place, kind in enumerate(types) if kind == "boolean"]
    if not flags:
        return tuple

    def converted(row: Row) -> Row:
        values = list(row)
        for place in flags:
            values[place] = bool(values[place])
        return tuple(values)

    return converted
