"""What a store asks of PostgreSQL, as tests see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from swarmkeeper.storage.postgres import PostgresStore


@contextmanager
def statements(store: PostgresStore, fits: Callable[[str], bool]) -> Iterator[list[str]]:
    """Collect the statements that fit, of those that the store sends while it writes."""
    seen: list[str] = []

    def note(query: Any) -> None:
        if fits(query.query):
            seen.append(query.query)

    connection = store._writing
    assert connection is not None, "the store is open"
    with connection.query_logger(note):
        yield seen
