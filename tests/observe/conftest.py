"""Fixtures: a counting store, a test clock, and metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from swarmkeeper.engine.stats import Stats
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.observe.metrics import Metrics, Sources
from swarmkeeper.outgoing.publisher import OutgoingFigures
from swarmkeeper.sinks.reader import Lag, SinkFigures
from swarmkeeper.storage.sqlite.store import SqliteStore

SECOND = 1_000_000
REDACTOR = Redactor.default()


class CountedStore(SqliteStore):
    """Answers like a store, and counts the reads."""

    asked = 0
    waiting: Sequence[dict[str, Any]] = (
        {"tenant": "acme", "kind": "execute", "skills": '["a\\"b","c"]', "items": 3, "oldest": 5 * SECOND},
    )

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.asked += name == "metrics_ready"
        return [{"tenant": "acme", "leases": 3}] if name == "metrics_leases" else [*self.waiting]


class Clock:
    now = 100 * SECOND


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> CountedStore:
    return CountedStore(":memory:")


@pytest.fixture
def stats() -> Stats:
    stats = Stats(commands=7, refused={"lease_lost": 2}, endings={"succeeded": 5}, events={"task.submitted": 6})
    for microseconds in (200, 250, 251, 9_000_000):
        stats.committed(microseconds)
    stats.answered(3)
    return stats


@pytest.fixture
def metrics(store: CountedStore, stats: Stats, clock: Clock) -> Metrics:
    sources = Sources(
        stats=lambda: stats,
        waiting=lambda: 1,
        parked=lambda: 2,
        failures=lambda: 4,
        held=lambda: {"polls": 7},
        limited=lambda: {"polls": 8},
        running=lambda: True,
        unlogged=lambda: 5,
        text=lambda text, _: REDACTOR.text(text),
        now=lambda: clock.now,
        ahead=lambda: 90_000_000,
        outgoing=lambda: OutgoingFigures(published=9, skipped=10, behind=11),
        sinks=lambda: {"siem": (SinkFigures(sent=12, failures=13, lag=Lag(14, 1), failed_at=15_000_000), 16.0)},
    )
    return Metrics(store, sources, version="9.9")
