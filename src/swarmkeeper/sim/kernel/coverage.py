"""Counts the situations that a run reached, so that a passing run shows what it covered.

`reached("a lease ran out while its report was under way")` counts in the current run, and does nothing outside a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_counting: list[Counter[str]] = []


def reached(situation: str) -> None:
    if _counting:
        _counting[-1][situation] += 1


@contextmanager
def counting(into: Counter[str] | None = None) -> Iterator[Counter[str]]:
    """Count reached situations until the block ends, in `into` or in a new counter."""
    counter: Counter[str] = Counter() if into is None else into
    _counting.append(counter)
    try:
        yield counter
    finally:
        _counting.pop()
