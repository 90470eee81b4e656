"""Labels in the simulator: the policy keeps work from bots, whatever fails, and all tasks end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from swarmkeeper.core.decide import policies
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.play.scenarios import LABELS, SCENARIOS, plan_of
from swarmkeeper.sim.run import Case, run

LABELLED = replace(SCENARIOS["labels"], hours=0.3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_bot_gets_what_the_policy_keeps_from_it_under_faults(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[bool] = Counter()
    right = policies.may_take

    def counted(*given: object) -> bool:
        answer = right(*given)  # type: ignore[arg-type]  # passed on as they are
        asked[answer] += 1
        return answer

    monkeypatch.setattr(policies, "may_take", counted)

    outcome = run(Case(seed, LABELLED))

    assert outcome.violation is None
    assert min(asked[True], asked[False]) > 0, "some work is let through, and some is not"


def test_no_bot_gets_it_over_http() -> None:
    assert run(Case(1, replace(LABELLED, hours=0.1, heal_hours=4), level="http")).violation is None


def test_plans_have_each_label_and_subtasks_without_any() -> None:
    found: Counter[str] = Counter()
    for seed in range(20):
        for subtask in plan_of(LABELLED, NamedChoice(seed), "t1"):
            labels = subtask.get("labels", {})
            assert isinstance(labels, dict)
            found.update(list(labels) or ["none"])

    assert set(found) == {*LABELS, "none"}
