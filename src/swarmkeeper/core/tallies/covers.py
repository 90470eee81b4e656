"""Sums over spans of days that, added and subtracted, give the sum over a run of days. See storage/derived/spans.py."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from swarmkeeper.core.tallies.records import ROLLING_DAYS, SPAN_DAYS


class CostSpan(NamedTuple):
    by: int  # 1 to add it, -1 to subtract it
    days: int
    first: int


class Cover(NamedTuple):
    spans: tuple[CostSpan, ...]
    days: tuple[tuple[int, int], ...]  # first and last day of each run that no spans have


def cover(since: int, until: int, *, begun: int, past: int) -> Cover:
    """Return the fewest spans for the days from `since` to `until`, and the days for which there are none.

    Args:
        begun: the first day that spans have.
        past: the first day after it that they do not have.
    """
    low, high = max(since, begun), min(until + 1, past)
    if low >= high:
        return Cover((), ((since, until),))
    runs = ((since, low - 1), (high, until))
    return Cover(_fewest(low, high, begun, past), tuple(run for run in runs if run[0] <= run[1]))


@lru_cache(maxsize=256)
def _fewest(low: int, high: int, begun: int, past: int) -> tuple[CostSpan, ...]:
    """Find the shortest way from `low` to `high`, where a span leads from its first day to the day after it or back."""
    widest = SPAN_DAYS[-1]
    least, most = max(begun, low - widest), min(past, high + widest)
    came: dict[int, CostSpan | None] = {low: None}
    waiting = deque([low])
    while high not in came:
        day = waiting.popleft()
        for span in _from(day, begun, past):
            following = day + span.by * span.days
            if least <= following <= most and following not in came:
                came[following] = span
                waiting.append(following)
    found: list[CostSpan] = []
    day = high
    while (step := came[day]) is not None:
        found.append(step)
        day -= step.by * step.days
    return tuple(found)


def _from(day: int, begun: int, past: int) -> Iterator[CostSpan]:
    for days in reversed(SPAN_DAYS):
        if day % days == 0:
            if day + days <= past:
                yield CostSpan(1, days, day)
            if day - days >= begun:
                yield CostSpan(-1, days, day - days)
    for days in ROLLING_DAYS:
        if past - days >= begun:
            if day == past - days:
                yield CostSpan(1, days, day)
            if day == past:
                yield CostSpan(-1, days, day - days)
