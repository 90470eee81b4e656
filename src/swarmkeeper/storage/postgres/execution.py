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
    **dialect.read(
        "queries.sql", "limits.sql", "retention.sql", "secrets.sql", "kills.sql", "persons.sql", "tallies.sql"
    ),
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
        if not writes:
            return
        arguments: list[Any] = []
        for name, many in writes:
            arguments += ROW_STATEMENTS[name].encode(many)
        counts = await self.connection.fetchrow(_combined(tuple(name for name, _ in writes)), *arguments)
        for (name, many), count in zip(writes, counts, strict=True):
            if name in _VERSIONED and count != len(many):
                raise StaleVersion(f"{name}: a row is not at the previous version")


_VERSIONED = frozenset(name for name, it in ROW_STATEMENTS.items() if "version - 1" in it.sql)


@cache
def _combined(names: tuple[str, ...]) -> str:
    """Return one statement that runs these, and returns the number of rows that each has written."""
    parts: list[str] = []
    before = 0
    for place, name in enumerate(names):
        statement = ROW_STATEMENTS[name]
        sql = _NUMBER.sub(lambda match, before=before: f"${int(match[1]) + before}", statement.sql)  # type: ignore[misc]  # mypy does not infer the default
        parts.append(f"done_{place} AS ({sql} RETURNING 1)")
        before += statement.parameters
    counts = ", ".join(f"(SELECT count(*) FROM done_{place})" for place in range(len(names)))
    return f"WITH {', '.join(parts)} SELECT {counts}"
