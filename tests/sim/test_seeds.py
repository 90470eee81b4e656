"""Fifty seeds break no invariant, and cover the listed situations: a passing run without faults would prove nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from swarmkeeper.sim.play.scenarios import SCENARIOS
from swarmkeeper.sim.run import Case, run
from tests.examples import exploring

# The timeout of a test is raised wherever the run is, and then looks like a fault of what is simulated.
pytestmark = pytest.mark.timeout(600)

# A denser standard scenario: four tasks, and quick bots.
STORY = replace(SCENARIOS["golden"], hours=0.15, tasks_max=4, deadline=0.2)
SEEDS = 50
FIRST = (1, 1 + SEEDS, 1 + 2 * SEEDS) if exploring() else (1,)  # 150 seeds with `make explore`
# Each fifty seeds must reach all of these.
MET = (
    "fault bot.duplicate",
    "fault net.duplicate",
    "fault net.partition_in",
    "fault net.partition_out",
    "the orchestrator died before a commit",
    "the orchestrator died after a commit",
    "a report was answered as before",
    "a report was refused: lease_lost",
    "work.lease_expired",
    "work.rework",
    "a person decided: approve",
)


@pytest.mark.parametrize("first", FIRST)
def test_fifty_seeds_hold_and_cover_the_listed_situations(first: int) -> None:
    reached: Counter[str] = Counter()
    for seed in range(first, first + SEEDS):
        outcome = run(Case(seed, STORY))

        assert outcome.violation is None, (seed, outcome.violation, outcome.faults)
        reached += outcome.reached

    assert [what for what in MET if not reached[what]] == []
