"""A connection that does not ask the server again what the types of PostgreSQL itself are made of.

asyncpg asks each new connection for the types that it has not seen there, such as `bigint[]`: with one statement that
takes the server 15 ms, more than all others of a connection together. What it finds about PostgreSQL's own types is
the same in each database, because their numbers never change. So it is asked once for each version of the server.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import asyncpg

_OWN_MAX = 9_999  # the highest number that PostgreSQL gives out by hand; what it is for never changes
_found: dict[tuple[int, frozenset[int]], Any] = {}


@dataclass(frozen=True, slots=True)
class _NotRun:
    """In place of a statement: asyncpg prepares its own once more after one that has no name."""

    name: str = "not run"


class TypesOnce(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """Should asyncpg no longer call this method, it asks each time, as without this class."""

    __slots__ = ()

    async def _introspect_types(self, typeoids: Iterable[int], timeout: float | None) -> tuple[Any, Any]:
        numbers = frozenset(typeoids)
        key = (self.get_server_version().major, numbers)
        if key in _found:
            return _found[key], _NotRun()
        types, statement = await super()._introspect_types(numbers, timeout)
        if all(row["oid"] <= _OWN_MAX for row in types):
            _found[key] = types
        return types, statement
