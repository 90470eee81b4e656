"""Costs by day, bot, skill and label, from sums that are kept; see core/tallies/."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from swarmkeeper.core.errors import Invalid, PermissionDenied
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import Reader, Rules
from swarmkeeper.core.tallies.covers import cover
from swarmkeeper.core.tallies.reads import COSTS_BY_BOT, COSTS_BY_DAY, COSTS_BY_NAME, COSTS_FOLDED, CostRow
from swarmkeeper.core.tallies.records import BY_BOT, BY_DAY, DAY
from swarmkeeper.reads.views import View

NAMES_MAX = 200  # those that cost the most
DAYS_MAX = 366
DAYS_DEFAULT = 30
_FIRST_DAY = date(1970, 1, 1)
_NO_DAY = -1
_NO_SPANS = 0, 0  # from a day to itself


class CostQueries:
    def __init__(self, reader: Reader, rules: Rules, *, now: Callable[[], int]) -> None:
        self._reader, self._rules, self._now = reader, rules, now

    async def costs(self, principal: Principal, *, by: str, first: date | None, last: date | None) -> View:
        """Return what attempts used, from the first to the last day.

        Args:
            first: by default 30 days until `last`.
            last: by default today.

        Raises:
            Invalid: these are no days in order, or too many.
        """
        if not self._rules.may(principal, "task.read"):
            raise PermissionDenied(self._rules.why_not(principal, "task.read"))
        until = self._now() // DAY if last is None else (last - _FIRST_DAY).days
        since = until - DAYS_DEFAULT + 1 if first is None else (first - _FIRST_DAY).days
        if not 0 <= until - since < DAYS_MAX:
            allowed = f"must be up to {DAYS_MAX - 1} days before the last day"
            raise Invalid("no such days", details=(("/query/from", "range", allowed),))
        asked: dict[str, Any] = {
            "tenant": principal.tenant,
            "party": principal.party if principal.sees_own else None,
            "first": since,
            "last": until,
        }
        days = await fetch(self._reader, COSTS_BY_DAY, **asked, limit=DAYS_MAX)
        if by == BY_DAY:
            found, most = [row._replace(name=_day(int(row.name))) for row in days], DAYS_MAX
        else:
            found, most = await self._by_name(by, principal.tenant, asked["party"], since, until), NAMES_MAX
        return {
            "by": by,
            "first_day": _day(since),
            "last_day": _day(until),
            "items": [row._asdict() for row in found[:most]],
            "total": {name: sum(getattr(row, name) for row in days) for name in CostRow._fields[1:]},
            "more": len(found) > most,
        }

    async def _by_name(self, part: str, tenant: str, party: str | None, first: int, last: int) -> list[CostRow]:
        read = COSTS_BY_BOT if part == BY_BOT else COSTS_BY_NAME
        asked: dict[str, Any] = {"tenant": tenant, "party": party, "part": part, "limit": NAMES_MAX + 1}
        while True:
            # Spans are sums for all parties.
            reach = await fetch(self._reader, COSTS_FOLDED, tenant=tenant) if party is None else []
            begun, past = reach[0] if reach else _NO_SPANS
            spans, days = cover(first, last, begun=begun, past=past)
            alone, days = (days[-1][0], days[:-1]) if days and days[-1][0] == days[-1][1] else (_NO_DAY, days)
            given = {"begun": begun, "past": past if spans else -1, "spans": json.dumps(spans)}
            given |= {"days": json.dumps(days), "alone": alone}
            found = await fetch(self._reader, read, **asked, **given)
            if found or not spans or await fetch(self._reader, COSTS_FOLDED, tenant=tenant) == reach:
                return found


def _day(number: int) -> str:
    return (_FIRST_DAY + timedelta(days=number)).isoformat()
