"""Runs statements by name on one connection."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import asyncpg

from swarmkeeper.core.ports import StaleVersion
from swarmkeeper.storage.postgres import dialect
from swarmkeeper.storage.rows import Row

QUERIES: Mapping[str, dialect.Statement] = {
    **dialect.read("queries.sql", "limits.sql", "retention.sql", "secrets.sql", "kills.sql", "persons.sql"),
    **dialect.read("erasures.sql", "operations.sql", "tallies.sql"),
    **dialect.read_only_here(),
}
ROW_STATEMENTS: Mapping[str, dialect.RowStatement] = dialect.read_row_statements()
T = TypeVar("T")
_NUMBER = re.compile(r"\$(\d+)")


class Execution:
    def __init__(self, connection: asyncpg.Connection, seconds: float | None = None) -> None:
        """
        Args:
            seconds: how long a statement may take; by default as long as the connection says.
        """
        self.connection = connection
        self._seconds = seconds

    async def fetch(self, name: str, /, **parameters: Any) -> list[Any]:
        statement = QUERIES[name]
        found: list[Any] = await self.connection.fetch(
            statement.sql, *statement.arguments(parameters), timeout=self._seconds
        )
        return found

    async def fetch_together(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[list[Any]]:
        """Run reads as one statement, which all see the same; return the rows of each. Rows may be tuples."""
        if len(asked) == 1:
            ((name, parameters),) = asked
            return [await self.fetch(name, **parameters)]
        arguments = [value for name, given in asked for value in QUERIES[name].arguments(given)]
        sql = _read_together(tuple(name for name, _ in asked))
        found = await self.connection.fetchrow(sql, *arguments, timeout=self._seconds)
        return list(found)

    async def value(self, name: str, /, **parameters: Any) -> Any:
        """Return the first column of the first row; None if there is none."""
        statement = QUERIES[name]
        return await self.connection.fetchval(statement.sql, *statement.arguments(parameters), timeout=self._seconds)

    async def execute(self, name: str, /, **parameters: Any) -> int:
        """Run a statement, and return how many rows it has changed."""
        statement = QUERIES[name]
        done: str = await self.connection.execute(
            statement.sql, *statement.arguments(parameters), timeout=self._seconds
        )
        return int(done.rpartition(" ")[2])

    async def run(self, steps: Generator[tuple[str, Mapping[str, Any]], list[Any], T]) -> T:
        """Run statements that are given one after another; return what their generator returns."""
        try:
            name, parameters = next(steps)
            while True:
                name, parameters = steps.send(await self.fetch(name, **parameters))
        except StopIteration as done:
            result: T = done.value
            return result

    async def write(self, writes: Sequence[tuple[str, Sequence[Row]]]) -> None:
        """Run statements for many rows, all at once: none of them sees what another one writes.

        Args:
            writes: name and rows. Of statements that update versions, all rows must be found.

        Raises:
            StaleVersion: they were not.
        """
        writes = [(name, many) for name, many in writes if many]
        if writes:
            sql = _combined(tuple(name for name, _ in writes))
            _check(writes, await self.connection.fetchrow(sql, *_arguments(writes)))

    async def write_and_tell(
        self, writes: Sequence[tuple[str, Sequence[Row]]], told: Mapping[str, Any]
    ) -> tuple[str, int | None]:
        """The same, and then write a row of the outbox.

        Returns:
            The id of the transaction; and if the row is encrypted, how many data keys were erased until now.

        Raises:
            StaleVersion: as for `write`.
        """
        writes = [(name, many) for name, many in writes if many]
        sql = _combined(tuple(name for name, _ in writes), telling=True, sealed=bool(told["sealed"]))
        found = await self.connection.fetchrow(sql, *_arguments(writes), told["body"], told["counts"], told["sealed"])
        _check(writes, found[: len(writes)])
        xid, *erased = found[len(writes) :]
        return xid, (erased[0] if erased else None)


def _arguments(writes: Sequence[tuple[str, Sequence[Row]]]) -> list[Any]:
    return [value for name, many in writes for value in ROW_STATEMENTS[name].encode(many)]


def _check(writes: Sequence[tuple[str, Sequence[Row]]], counts: Sequence[int]) -> None:
    for (name, many), count in zip(writes, counts, strict=True):
        if name in _VERSIONED and count != len(many):
            raise StaleVersion(f"{name}: a row is not at the previous version")


_VERSIONED = frozenset(name for name, it in ROW_STATEMENTS.items() if "version - 1" in it.sql)


@cache
def _combined(names: tuple[str, ...], *, telling: bool = False, sealed: bool = False) -> str:
    """Return one statement that runs these, and returns the number of rows that each has written.

    Args:
        telling: it also writes a row of the outbox, after all others, and returns the transaction's id.
        sealed: that row is encrypted: it also returns how many data keys were erased.
    """
    parts: list[str] = []
    before = 0
    for place, name in enumerate(names):
        statement = ROW_STATEMENTS[name]
        parts.append(f"done_{place} AS ({_renumbered(statement.sql, before)} RETURNING 1)")
        before += statement.parameters
    counts = [f"(SELECT count(*) FROM done_{place})" for place in range(len(names))]
    if telling:
        # The row gets its number once the others are written. These may wait for another transaction: its number is
        # then the lower one.
        written = f"({' + '.join(['0', *counts])})"
        tell = _renumbered(QUERIES["insert_outbox"].sql.replace("$4", written), before)
        parts.append(f"told (xid) AS ({tell})")
        counts.append("(SELECT xid FROM told)")
        if sealed:
            counts.append(f"({QUERIES['erased_keys'].sql})")
    return f"WITH {', '.join(parts)} SELECT {', '.join(counts)}"


@cache
def _read_together(names: tuple[str, ...]) -> str:
    return read_together(tuple(QUERIES[name] for name in names))


def read_together(reads: tuple[dialect.Statement, ...]) -> str:
    """Return one statement that runs these reads; it returns one row, with all rows of each as an array."""
    parts: list[str] = []
    before = 0
    for read in reads:
        parts.append(f"ARRAY(SELECT ROW(read.*) FROM ({_renumbered(read.sql, before)}) AS read)")
        before += len(read.parameters)
    return f"SELECT {', '.join(parts)}"


def _renumbered(sql: str, before: int) -> str:
    """Return the statement with parameters that follow those of others."""
    return _NUMBER.sub(lambda match: f"${int(match[1]) + before}", sql)
