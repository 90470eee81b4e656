"""Loads and saves operations on many tasks, by the statements of operations.sql. Generators, as in retention.py."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping
from typing import Any

from swarmkeeper.core.ports import Changes, Key
from swarmkeeper.storage import rows

LOOKUPS = frozenset({"operation"})


def load(wanted: Mapping[str, Iterable[Any]]) -> Generator[tuple[str, Mapping[str, Any]], list[Any], dict[Key, Any]]:
    """Return the operations among `wanted`, which has the keys by lookup."""
    found: dict[Key, Any] = {}
    for name in wanted.get("operation", ()):
        got = yield "load_operation", {"id": name}
        found["operation", name] = rows.OPERATION.from_row(got[0]) if got else None
    return found


def save(changes: Changes) -> Generator[tuple[str, Mapping[str, Any]], list[Any], None]:
    """Run the statements in order; lists are JSON."""
    for statement, parameters in changes.operations:
        yield (
            statement,
            {name: json.dumps(value) if isinstance(value, list) else value for name, value in parameters.items()},
        )
