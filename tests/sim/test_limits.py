"""Keys and scopes in the simulator: nothing is broken under faults, and both do hold work back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmkeeper.sim.play.scenarios import SCENARIOS
from swarmkeeper.sim.run import Case, run

LIMITS = replace(SCENARIOS["limits"], hours=0.3, tasks_per_hour=40)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_keys_and_scopes_hold_under_faults(seed: int) -> None:
    outcome = run(Case(seed, LIMITS))

    assert outcome.violation is None


@pytest.mark.parametrize("seed", [1, 2])
def test_keys_and_budgets_hold_together_under_faults(seed: int) -> None:
    assert run(Case(seed, replace(LIMITS, budgets=0.8, budget_tokens=4_000))).violation is None


def test_keys_and_scopes_hold_over_http() -> None:
    assert run(Case(1, replace(LIMITS, hours=0.1, heal_hours=4), level="http")).violation is None
