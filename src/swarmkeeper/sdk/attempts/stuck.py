"""Reports, with heartbeats, code that still runs after its lease was lost.

The orchestrator then counts its slot as taken, and people see which line it is at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = Any
WHERE_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True)
class _Stuck:
    since: float  # loop time
    where: Callable[[], str]


class StuckCodeReport:
    """The stuck code of one bot. `wake` is called when a heartbeat must be sent for a change."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._by_work: dict[str, _Stuck] = {}
        self.changed = False  # since the last heartbeat that arrived: send one at once

    def add(self, work_id: str, since: float, where: Callable[[], str]) -> None:
        self._by_work[work_id] = _Stuck(since, where)
        self.changed = True
        self._wake()

    def ended(self, work_id: str) -> None:
        if self._by_work.pop(work_id, None) is not None:
            self.changed = True
            self._wake()

    def __bool__(self) -> bool:
        return bool(self._by_work)

    def heartbeat(self, now: float) -> dict[str, Json]:
        """Return the stuck part of a heartbeat. A heartbeat without it says that nothing is stuck."""
        if not self._by_work:
            return {}
        return {
            "stuck": [
                {"work_id": work_id, "seconds": max(0.0, now - code.since), "where": code.where()[:WHERE_LENGTH_MAX]}
                for work_id, code in self._by_work.items()
            ]
        }

    def arrived(self) -> None:
        """Note that the heartbeat arrived."""
        self.changed = False
