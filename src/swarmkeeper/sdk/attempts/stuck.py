"""Code of the author's that does not end though its lease is gone: what the heartbeats say of it, so that the
orchestrator counts its place as taken, and people see where it stands.
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


class StuckCode:
    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake  # a beat must leave
        self._by_work: dict[str, _Stuck] = {}
        self._changed = False  # since the last beat that arrived

    def add(self, work_id: str, since: float, where: Callable[[], str]) -> None:
        self._by_work[work_id] = _Stuck(since, where)
        self._changed = True
        self._wake()

    def ended(self, work_id: str) -> None:
        if self._by_work.pop(work_id, None) is not None:
            self._changed = True
            self._wake()

    @property
    def changed(self) -> bool:
        """Whether a beat must leave for it at once."""
        return self._changed

    def __bool__(self) -> bool:
        return bool(self._by_work)

    def beat(self, now: float) -> dict[str, Json]:
        """Its part of a heartbeat. One without it says that nothing is stuck."""
        if not self._by_work:
            return {}
        return {
            "stuck": [
                {"work_id": work_id, "seconds": max(0.0, now - one.since), "where": one.where()[:WHERE_LENGTH_MAX]}
                for work_id, one in self._by_work.items()
            ]
        }

    def told(self) -> None:
        """That beat arrived."""
        self._changed = False
