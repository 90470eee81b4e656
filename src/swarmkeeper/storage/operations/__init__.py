"""Saves operations on many tasks, by the statements of operations.sql. A generator, as in retention.py."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any

from swarmkeeper.core.ports import Changes


def save(changes: Changes) -> Generator[tuple[str, Mapping[str, Any]], list[Any], None]:
    """Run the statements in order; lists are JSON."""
    for statement, parameters in changes.operations:
        yield (
            statement,
            {name: json.dumps(value) if isinstance(value, list) else value for name, value in parameters.items()},
        )
