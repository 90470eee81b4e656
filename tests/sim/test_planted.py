"""Bugs are planted, and the simulator finds each within its number of seeds, and shrinks it to the faults it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmkeeper.sim.run import Case, Outcome, run
from swarmkeeper.sim.scenarios import SCENARIOS
from swarmkeeper.sim.shrink import shrink
from tests.sim.bugs import BUGS, Bug

SCENARIO = replace(SCENARIOS["standard"], hours=0.6, heal_hours=3)
FAULTS_MAX = 3  # that may be left of those that struck


def first_found(bug: Bug) -> Outcome:
    for seed in range(1, bug.seeds + 1):
        outcome = run(Case(seed, SCENARIO))
        if outcome.violation is not None:
            return outcome
    raise AssertionError(f"{bug.name} is not found in {bug.seeds} seeds")


@pytest.mark.parametrize("name", sorted(BUGS))
def test_a_planted_bug_is_found_and_shrunk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = BUGS[name]
    bug.plant(monkeypatch)

    outcome = first_found(bug)
    shrunk = shrink(outcome.case, outcome)

    assert outcome.violation is not None
    assert outcome.violation.invariant in bug.found_by
    assert len(shrunk.case.faults or ()) <= FAULTS_MAX
    assert shrunk.outcome.violation is not None
    assert shrunk.outcome.violation.invariant == outcome.violation.invariant
    story = shrunk.outcome.about(shrunk.outcome.violation.entity)
    assert any(line.kind == "violation" for line in story)
    assert run(shrunk.case).trace_hash == shrunk.outcome.trace_hash

    monkeypatch.undo()
    assert run(shrunk.case).violation is None, "without the bug, the same story goes well"
