"""Values of a run: its input (`Case`) and its result (`RunOutcome`). For cases as JSON see cases.py."""

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
    """Input of a run: equal cases give equal runs."""

    seed: int
    scenario: Scenario = field(default_factory=lambda: SCENARIOS["standard"])
    faults: tuple[str, ...] | None = None  # only these; None: drawn from the seed
    chaos: bool = False  # ready callbacks run in any order
    file: bool = False  # keep the store in a file instead of memory; the run is the same
    # core: engine and store; http: the whole application, and bots and clients of the SDK; process: see process/run.py
    level: Literal["core", "http", "process"] = "core"
    bots: str | None = None  # `FILE.py:NAME`: the user's own bots, over HTTP; see user_code.py
    invariants: str | None = None  # `FILE.py`: the user's own invariants


@dataclass(frozen=True, slots=True)
class RunOutcome:
    case: Case
    violation: Violation | None
    trace_hash: str
    faults: tuple[str, ...]  # those that struck
    reached: Counter[str]
    statuses: dict[str, str]  # how each task ended, by title
    seconds: float  # virtual time
    commits: int
    steps: int
    boots: int
    places: Mapping[str, int]  # names of the commits before faults stopped, and their counts: there the store can fail
    lines: Sequence[TraceLine] = ()  # the trace, if it was kept

    def about(self, entity: str) -> list[TraceLine]:
        """Return the lines about one task or item, and about the task that it belongs to."""
        title, _, _ = entity.partition("/")
        kept = {title, entity}
        return [line for line in self.lines if line.entity in kept or line.kind in ALWAYS]


def ended_as(status: Any, outcome: Any) -> str:
    """Return how a task ended, e.g. `FAILED (rejected)`."""
    return str(status) if outcome is None else f"{status} ({outcome})"


def shortened(case: Case, outcome: RunOutcome) -> Case:
    """Return the case with its hours cut shortly after the violation, unless the violation is of liveness."""
    violation = outcome.violation
    if violation is None or violation.invariant == "7.liveness":
        return case
    hours = min(case.scenario.hours, violation.at / SECOND / 3600 + 0.05)
    return replace(case, scenario=replace(case.scenario, hours=hours))
