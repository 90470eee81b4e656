"""Whether a server can take calls, and what an operator should know of its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from swarmkeeper.core.model import Json

_SECOND = 1_000_000
# What every tenant may know of the server. Warnings name sinks, issuers and servers.
_OF_THE_SERVER = ("ready", "version", "engine", "store", "draining", "clock_ahead_seconds")


class WatchedEngine(Protocol):
    @property
    def running(self) -> bool: ...

    @property
    def waiting(self) -> int:
        """Return how many commands wait."""


@dataclass(frozen=True, slots=True)
class State:
    """The parts of a server's state."""

    engine: WatchedEngine
    store: str  # "answers", or what is wrong with it
    draining: bool
    parked: int  # polls
    ahead: int  # of engine time against the wall clock, in microseconds
    ahead_max: int
    warnings: Sequence[str]  # of others

    @property
    def ready(self) -> bool:
        return self.engine.running and self.store == "answers" and not self.draining

    def shown(self, version: str) -> dict[str, Json]:
        """Return every check, and some numbers."""
        return {
            "ready": self.ready,
            "version": version,
            "engine": "running" if self.engine.running else "stopped",
            "store": self.store,
            "draining": self.draining,
            "waiting_commands": self.engine.waiting,
            "parked_polls": self.parked,
            "clock_ahead_seconds": round(self.ahead / _SECOND, 3),
            "warnings": [*self._of_clock(), *self.warnings],
        }

    def shown_to_tenant(self, version: str, parked: int) -> dict[str, Json]:
        """Return what tells nothing of other tenants.

        Args:
            parked: polls of the tenant.
        """
        whole = self.shown(version)
        return {
            **{name: whole[name] for name in _OF_THE_SERVER},
            "parked_polls": parked,
            "warnings": [*self._of_clock()],
        }

    def _of_clock(self) -> list[str]:
        if self.ahead <= self.ahead_max:
            return []
        days, seconds = divmod(self.ahead // _SECOND, 86_400)
        what = f"the store's time is {days} d {seconds} s ahead of the wall clock, which was ahead in an earlier run"
        return [f"{what}: stop the server and run `swarmkeeper doctor --reset-clock`"]
