"""The simulator finds each planted bug, and shrinks the failure to the faults that it needs. Each test plays one seed
that is known to find the bug; catch_rate.py measures how many seeds it takes in general.
"""

from __future__ import annotations

import pytest

from swarmkeeper.sim.run import run
from swarmkeeper.sim.shrink import shrink
from tests.sim import catch_rate
from tests.sim.bugs import BUGS

# The timeout of a test is raised wherever the run is, and then looks like a fault of what is simulated.
pytestmark = pytest.mark.timeout(600)

FAULTS_MAX = 3  # bound of faults after shrinking

# Classes of bugs that the simulator must find.
CLASSES = {
    "a missing fence",
    "check, then act",
    "leases forgotten at restart",
    "a secret persisted",
    "idempotency lost",
    "double release of a dependent",
    "counter drift",
    "a timer lost",
    "rework that forgets a dependent",
    "quorum counted twice",
    "an event without audit",
    "an unfair queue",
    "a budget settled wrongly",
    "a rule that is not kept",
}


@pytest.mark.parametrize("name", sorted(BUGS))
def test_a_planted_bug_is_found_and_shrunk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = BUGS[name]
    bug.plant(monkeypatch)

    outcome = run(bug.played_in_ci)
    assert bug.finds(outcome), outcome.violation
    shrunk = shrink(outcome.case, outcome, runs_max=catch_rate.RUNS_MAX)

    assert outcome.violation is not None
    assert len(shrunk.case.faults or ()) <= FAULTS_MAX
    assert shrunk.outcome.violation is not None
    assert shrunk.outcome.violation.invariant == outcome.violation.invariant
    story = shrunk.outcome.about(shrunk.outcome.violation.entity)
    assert any(line.kind == "violation" for line in story)

    monkeypatch.undo()
    right = run(shrunk.case).violation
    # Without the phase after faults, tasks do not end; test_regressions.py plays it.
    cut_off = right is not None and right.invariant == "7.liveness" and not shrunk.case.scenario.heal_hours
    assert right is None or cut_off, "without the bug, the same story goes well"


def test_bugs_of_all_classes_are_planted() -> None:
    assert {bug.of for bug in BUGS.values()} >= CLASSES


def test_the_published_table_has_each_bug_with_its_bound() -> None:
    rows = catch_rate.rows_of(catch_rate.PAGE.read_text(encoding="utf-8"))

    assert rows.keys() == BUGS.keys(), "python -m tests.sim.catch_rate"
    for name, row in rows.items():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        bug, most = BUGS[name], int(cells[catch_rate.COLUMNS.index("seeds, median / most")].rpartition("/")[2])
        assert cells[: len(bug.cells)] == list(bug.cells)
        assert int(cells[catch_rate.COLUMNS.index("bound")]) == bug.seeds >= most
