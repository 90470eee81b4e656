"""Keeps sums of costs over spans of days, by bot, skill and label, so that a sum over many days reads few rows.

Theory. `cost` has a row for each day, name and party. A span has one for each name of its days. There are spans of 1,
2, 4 and more days that begin at multiples of their length, and some of other lengths that end with the last whole day,
which are what a dashboard asks for. Any run of days is the sum of some spans less some others: core/tallies/covers.py.

A tenant's first attempt of a day folds the day before, once: then spans have all days before that day, and
`cost_folded` says so. What changes the costs of a folded day later, as when a task is erased, changes its spans, too.
Other attempts, which are nearly all, do nothing for spans: a reader adds the days that are not folded from `cost`.

So spans follow from `cost` alone. They are made anew with it; see rebuilding.py.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any

from swarmkeeper.core.tallies.records import ROLLING_DAYS, SPAN_DAYS
from swarmkeeper.storage.rows import Row

Steps = Generator[tuple[str, Mapping[str, Any]], list[Any], None]
_TENANT, _PART, _DAY, _NAME = 0, 1, 2, 3  # of a row of `cost`, which ends with week and amounts
_AMOUNTS = slice(6, 10)


class Folded:
    """What this process knows of how far spans reach: at least as far as they do."""

    def __init__(self) -> None:
        self._past: dict[str, int] = {}  # by tenant

    def forget(self) -> None:
        self._past.clear()

    def before(self, costs: Iterable[Row]) -> Steps:
        """Fold what is due before these rows are added to costs: one day of each tenant at most."""
        for tenant, day in self.due(costs).items():
            yield from self._fold(tenant, day)

    def due(self, costs: Iterable[Row]) -> dict[str, int]:
        """Return the tenants whose days before these rows may be to be folded, and the newest day of their rows."""
        days: dict[str, int] = {}
        for row in costs:
            if row[_NAME] and row[_DAY] > max(days.get(row[_TENANT], -1), self._past.get(row[_TENANT], -1)):
                days[row[_TENANT]] = row[_DAY]
        return days

    def _fold(self, tenant: str, day: int) -> Steps:
        if (yield "rebuild_awaited", {}):
            return  # which folds
        reached = yield from one_day(tenant, day)
        self._past[tenant] = reached

    def late(self, costs: Iterable[Row]) -> list[Row]:
        """Return those of days that may be folded, as rows for the statements of spans."""
        past = self._past
        return [
            (row[_TENANT], row[_PART], row[_DAY], row[_NAME], *row[_AMOUNTS])
            for row in costs
            if row[_NAME] and row[_DAY] < past.get(row[_TENANT], row[_DAY] + 1)
        ]


def one_day(tenant: str, until: int) -> Generator[tuple[str, Mapping[str, Any]], list[Any], int]:
    """Fold a tenant's next day, if it is before `until`; return which day is the first that is not folded."""
    found = yield "cost_folded", {"tenant": tenant}
    if found:
        first, day = found[0]
    else:
        ((oldest,),) = yield "first_day_of_costs", {"tenant": tenant}
        first = day = until if oldest is None else min(oldest, until)
        yield "begin_folding", {"tenant": tenant, "first": first}
    if day >= until:
        return int(day)
    past = day + 1
    yield "fold_day", {"tenant": tenant, "day": day}
    for days in SPAN_DAYS[1:]:
        if past % days == 0 and past - days >= first:
            two = {"first": past - days, "middle": past - days // 2, "half": days // 2}
            yield "fold_two", {"tenant": tenant, "days": days, **two}
    for days in ROLLING_DAYS:
        if past - days == first:
            yield "first_roll", {"tenant": tenant, "days": days, "first": first}
        elif past - days > first:
            yield "roll", {"tenant": tenant, "days": days, "left": past - days - 1, "came": day}
            yield "roll_off", {"tenant": tenant, "days": days, "left": past - days - 1}
    yield "end_folding", {"tenant": tenant, "past": past}
    return int(past)
