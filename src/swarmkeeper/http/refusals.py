"""Refused calls in the log: the first ones of each caller with their request ids, the others by their number.

Whoever is refused can call as often as they like. So what is written of them is bounded: by caller and code, by the
number of callers that are told apart, and in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

MINUTE = 60_000_000
TOLD_EACH = 5  # of one caller and code in a minute, one by one
TOLD_IN_ALL = 100  # in a minute, one by one
CALLERS_MAX = 500  # that are told apart in a minute; more of them are counted together
OTHERS = "others"


class Log(Protocol):
    def __call__(self, event: str, **fields: Any) -> None: ...


@dataclass(slots=True)
class _Count:
    began: int
    told: int = 0
    more: int = 0


class Refusals:
    """`now` is a clock that never goes back, in microseconds."""

    def __init__(self, log: Log, now: Callable[[], int]) -> None:
        self._log, self._now = log, now
        self._of: dict[tuple[str, str], _Count] = {}
        self._in_all = _Count(now())

    def note(self, by: str, code: str, *, status: int, method: str, path: str, detail: str, request_id: str) -> None:
        """A call of `by` (a key's id, or an address) was refused."""
        now = self._now()
        place = (by, code)
        if place not in self._of and len(self._of) >= CALLERS_MAX:
            place = (OTHERS, code)
        count = self._of.setdefault(place, _Count(now))
        if now - self._in_all.began >= MINUTE:
            self._in_all = _Count(now)
        if place[0] == OTHERS or count.told >= TOLD_EACH or self._in_all.told >= TOLD_IN_ALL:
            count.more += 1
            return
        count.told += 1
        self._in_all.told += 1
        self._log(
            "refused", by=by, code=code, status=status, method=method, path=path, detail=detail, request_id=request_id
        )

    def tell_rest(self, *, at_once: bool = False) -> None:
        """Say how many more there were in the minutes that are over. To be called each second, and at the end."""
        now = self._now()
        for (by, code), count in list(self._of.items()):
            if at_once or now - count.began >= MINUTE:
                if count.more:
                    self._log("refused_more", by=by, code=code, count=count.more)
                del self._of[by, code]
