"""Counts the situations that a run has met, so that a green run shows what it was green in.

`reached("a lease ran out while its report was under way")` counts in the current run, and does nothing outside of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_counting: list[Counter[str]] = []


def reached(what: str) -> None:
    if _counting:
        _counting[-1][what] += 1


@contextmanager
def counting(into: Counter[str] | None = None) -> Iterator[Counter[str]]:
    """Count what is reached until the block ends."""
    counter: Counter[str] = Counter() if into is None else into
    _counting.append(counter)
    try:
        yield counter
    finally:
        _counting.pop()
