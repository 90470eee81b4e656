"""Counters of the engine's work, for metrics. Times are in microseconds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from swarmkeeper.core.ports import Changes

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
# From one commit on an idle disk to one that delays every caller.
TIMES = (250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000)
# From an immediate answer to a day of work.
WORK_TIMES = tuple(seconds * 1_000_000 for seconds in (1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400))


class Distribution:
    """A histogram: the number of values up to each bound, and above the last."""

    def __init__(self, bounds: Sequence[int]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0

    def add(self, value: int) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class Stats:
    batches: int = 0
    commands: int = 0
    refused: dict[str, int] = field(default_factory=dict)  # by code
    faults: int = 0
    reruns: int = 0
    events: dict[str, int] = field(default_factory=dict)  # by kind
    batch_commands_last: int = 0
    batch_time_max: int = 0
    batch_sizes: Distribution = field(default_factory=lambda: Distribution(SIZES))  # in commands
    batch_times: Distribution = field(default_factory=lambda: Distribution(TIMES))
    endings: dict[str, int] = field(default_factory=dict)  # of attempts
    attempt_times: Distribution = field(default_factory=lambda: Distribution(WORK_TIMES))
    late_results: int = 0

    def saved(self, changes: Changes) -> None:
        """Count what was written."""
        for event in changes.events:
            self.events[event.kind] = self.events.get(event.kind, 0) + 1
        for attempt in changes.attempts:
            self.endings[attempt.ending] = self.endings.get(attempt.ending, 0) + 1
            self.attempt_times.add(attempt.ended - attempt.started)
        self.late_results += len(changes.late_results)

    def committed(self, microseconds: int) -> None:
        self.batches += 1
        self.batch_times.add(microseconds)
        self.batch_time_max = max(self.batch_time_max, microseconds)

    def answered(self, commands: int) -> None:
        if commands:
            self.commands += commands
            self.batch_commands_last = commands
            self.batch_sizes.add(commands)
