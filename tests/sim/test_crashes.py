"""The orchestrator dies before and after every commit of a short run: nothing is lost, and everything ends."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest

from swarmkeeper.sim.play.scenarios import SCENARIOS
from swarmkeeper.sim.run import Case, RunOutcome, run

# The timeout of a test is raised wherever the run is, and then looks like a fault of what is simulated.
pytestmark = pytest.mark.timeout(600)

# Both tasks end in the third minute, and one idle minute is like another.
GOLDEN = replace(SCENARIOS["golden"], tasks_max=2, hours=0.06)
SEED = 10
PARTS = 4
CRASHES = 3  # of one run


@lru_cache(maxsize=1)
def golden() -> RunOutcome:
    return run(Case(SEED, GOLDEN, faults=()))


def commits() -> list[str]:
    """Names of the commits; of those without events, one per minute."""
    found: dict[str, str] = {}
    for place, count in golden().places.items():
        quiet = place.startswith("quiet")
        for n in range(1, 2 if quiet else count + 1):
            minute = f"quiet minute {int(place.rpartition('-')[2]) // 60}" if quiet else f"{place}#{n}"
            found.setdefault(minute, f"{place}#{n}")
    return list(found.values())


def test_the_story_has_enough_commits() -> None:
    assert golden().violation is None
    assert len(commits()) > 30


# In parts, so that several workers share them.
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_commit_does_no_harm(when: str, part: int) -> None:
    """Each run has some crashes, far from each other. A commit that does not come after one is tried in another run."""
    left = [f"store.crash_{when}@commit:{commit}" for commit in commits()[part::PARTS]]
    while left:
        faults = tuple(left[:: -(-len(left) // CRASHES)])
        outcome = run(Case(SEED, GOLDEN, faults=faults), full_every=50)

        assert set(outcome.faults) <= set(faults)
        assert faults[0] in outcome.faults, faults
        assert outcome.boots == 1 + len(outcome.faults), faults
        assert outcome.violation is None, (faults, outcome.violation)
        left = [fault for fault in left if fault not in outcome.faults]
