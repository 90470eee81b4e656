"""Logs refused calls: the first ones of each caller with their request ids, the rest as a count.

A refused caller can call any number of times, so the number of log lines is bounded: by caller and code, by the number
of callers counted separately, and in total.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from swarmkeeper.core.ports import LogWriter

MINUTE = 60_000_000
LOGGED_PER_CALLER = 5  # single lines for one caller and code in a minute
LOGGED_TOTAL = 100  # single lines in a minute
CALLERS_MAX = 500  # callers counted separately in a minute; the rest are counted together
OTHERS = "others"


@dataclass(slots=True)
class _Count:
    began: int
    logged: int = 0
    more: int = 0


class Refusals:
    """Args: `now` is monotonic time in microseconds."""

    def __init__(self, log: LogWriter, now: Callable[[], int]) -> None:
        self._log, self._now = log, now
        self._counts: dict[tuple[str, str], _Count] = {}
        self._total = _Count(now())

    def note(self, by: str, code: str, *, status: int, method: str, path: str, detail: str, request_id: str) -> None:
        """Log or count a refused call of `by` (a key's id or an IP address)."""
        now = self._now()
        caller_and_code = (by, code)
        if caller_and_code not in self._counts and len(self._counts) >= CALLERS_MAX:
            caller_and_code = (OTHERS, code)
        count = self._counts.setdefault(caller_and_code, _Count(now))
        if now - self._total.began >= MINUTE:
            self._total = _Count(now)
        if caller_and_code[0] == OTHERS or count.logged >= LOGGED_PER_CALLER or self._total.logged >= LOGGED_TOTAL:
            count.more += 1
            return
        count.logged += 1
        self._total.logged += 1
        self._log(
            "refused", by=by, code=code, status=status, method=method, path=path, detail=detail, request_id=request_id
        )

    def log_rest(self, *, at_once: bool = False) -> None:
        """Log the counts of the minutes that have passed. Call it each second, and with `at_once` at shutdown."""
        now = self._now()
        for (by, code), count in list(self._counts.items()):
            if at_once or now - count.began >= MINUTE:
                if count.more:
                    self._log("refused_more", by=by, code=code, count=count.more)
                del self._counts[by, code]
