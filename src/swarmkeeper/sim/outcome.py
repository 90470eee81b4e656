"""A case, which goes into a run, and an outcome, which comes out of it. Cases as JSON are in cases.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from swarmkeeper.sim.kernel.loop import SECOND
from swarmkeeper.sim.kernel.trace import ALWAYS, TraceLine
from swarmkeeper.sim.oracle.invariants import Violation
from swarmkeeper.sim.play.scenarios import SCENARIOS, Scenario


@dataclass(frozen=True, slots=True)
class Case:
    """What makes a run: equal cases give equal runs."""

    seed: int
    scenario: Scenario = field(default_factory=lambda: SCENARIOS["standard"])
    faults: tuple[str, ...] | None = None  # these alone; None: as the seed has them
    chaos: bool = False  # what is ready runs in any order
    file: bool = False  # the store is a file, else memory; it makes no difference to what happens
    # core: engine and store; http: the whole application, and bots and clients of the SDK; process: see process/run.py
    level: Literal["core", "http", "process"] = "core"
    bots: str | None = None  # `FILE.py:NAME`, bots of the user's own, over HTTP; see user_code.py
    invariants: str | None = None  # `FILE.py`, invariants of the user's own


@dataclass(frozen=True, slots=True)
class Outcome:
    case: Case
    violation: Violation | None
    trace_hash: str
    faults: tuple[str, ...]  # that struck
    reached: Counter[str]
    statuses: dict[str, str]  # by title: how each task ended
    seconds: float  # of virtual time
    commits: int
    steps: int
    boots: int
    places: Mapping[str, int]  # what commits were about before it healed, and how often: there the store can fail
    lines: Sequence[TraceLine] = ()  # of the trace, where it was kept

    def about(self, entity: str) -> list[TraceLine]:
        """The lines that tell the story of one task or item, and of whatever it is part of."""
        title, _, _ = entity.partition("/")
        kept = {title, entity}
        return [line for line in self.lines if line.entity in kept or line.kind in ALWAYS]


def ended_as(status: Any, outcome: Any) -> str:
    """Return how a task ended, in one word or two: `FAILED (rejected)`."""
    return str(status) if outcome is None else f"{status} ({outcome})"


def shortened(case: Case, outcome: Outcome) -> Case:
    """The same case, cut off behind its violation where that did not need the healing."""
    violation = outcome.violation
    if violation is None or violation.invariant == "7.liveness":
        return case
    hours = min(case.scenario.hours, violation.at / SECOND / 3600 + 0.05)
    return replace(case, scenario=replace(case.scenario, hours=hours))
