"""Approvals that nobody decides: reminder, escalation, and the decision at their expiry."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swarmkeeper.core.errors import Invalid
from swarmkeeper.core.states import Status, TaskStatus
from swarmkeeper.sim.harness import Harness

SECOND = 1_000_000


def terms(*, approve: bool = False, remind: int | None = None, escalate: int | None = None) -> dict[str, Any]:
    times = {"remind": remind, "escalate": escalate}
    in_micros = {name: None if after is None else after * SECOND for name, after in times.items()}
    return {"terms": {"expires": 600 * SECOND, "approve": approve, **in_micros}}


def about_approvals(swarm: Harness, task: str) -> list[str]:
    return [kind for kind in swarm.kinds(task) if kind.startswith("approval.")]


@pytest.mark.parametrize("kind", ["plan", "final", "rounds"])
@pytest.mark.parametrize("approve", [True, False])
def test_an_approval_that_nobody_decides_follows_the_terms_of_its_task(
    swarm: Harness, kind: str, *, approve: bool
) -> None:
    task = swarm.submit(["a"], approval=kind, max_rounds=0, defaults=terms(approve=approve))
    if kind != "plan":
        swarm.report(swarm.take(swarm.bot("worker")))
        verdict = "accept" if kind == "final" else {"decision": "rework", "targets": [{"subtask": "a"}]}
        swarm.report(swarm.take(swarm.bot("judge", "Evaluator")), verdict=verdict)
    assert len(swarm.approvals(task)) == 1

    swarm.advance(599)
    assert len(swarm.approvals(task)) == 1
    swarm.advance(2)

    assert swarm.approvals(task) == []
    after = swarm.task(task)
    if not approve:
        assert (after.status, (after.failure or {})["code"]) == (TaskStatus.FAILED, "approval_expired")
    elif kind == "plan":
        assert swarm.lease(swarm.bot("worker")) is not None
    else:
        assert str(after.outcome) == "accepted"


def test_a_decision_by_default_says_so(swarm: Harness) -> None:
    task = swarm.submit(["a"], approval="plan", defaults=terms(approve=True))
    (approval,) = swarm.approvals(task)

    swarm.advance(601)

    row = swarm.row("SELECT * FROM approval WHERE id = ?", approval)
    assert (row["state"], row["decided_by"]) == ("decided", "engine")
    assert json.loads(row["decision"]) == {"verb": "approve", "reason": "nobody decided in time"}
    assert about_approvals(swarm, task) == ["approval.opened", "approval.decided"]


def test_people_are_reminded_and_then_others_are_told(swarm: Harness) -> None:
    task = swarm.submit(["a"], approval="plan", defaults=terms(remind=100, escalate=200))

    swarm.advance(99)
    assert about_approvals(swarm, task) == ["approval.opened"]
    swarm.advance(2)
    assert about_approvals(swarm, task) == ["approval.opened", "approval.reminded"]
    swarm.advance(100)

    assert about_approvals(swarm, task) == ["approval.opened", "approval.reminded", "approval.escalated"]


def test_nobody_is_reminded_of_what_is_decided(swarm: Harness) -> None:
    task = swarm.submit(["a"], approval="plan", defaults=terms(remind=100, escalate=200))
    (approval,) = swarm.approvals(task)

    swarm.decide(approval, "approve")
    swarm.check()
    swarm.advance(300)

    assert about_approvals(swarm, task) == ["approval.opened", "approval.decided"]


def test_a_question_with_a_default_is_answered_by_it(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    bot = swarm.bot("worker")
    lease = swarm.take(bot)
    swarm.ask(lease, choices=("yes", "no"), default="no", expires_in_seconds=60)

    swarm.advance(61)

    assert swarm.take(bot).key == "a"
    assert [json.loads(row["answer"]) for row in swarm.rows("SELECT answer FROM answered")] == ["no"]
    assert swarm.work(task, "a").status is Status.LEASED


def test_a_question_without_a_default_fails_its_work_whatever_the_terms_say(swarm: Harness) -> None:
    task = swarm.submit(["a"], defaults=terms(approve=True))
    swarm.ask(swarm.take(swarm.bot("worker")))

    swarm.advance(601)

    assert swarm.work(task, "a").status is Status.FAILED


@pytest.mark.parametrize(
    "asked",
    [
        {"choices": ("yes", "no"), "default": "maybe"},
        {"schema": {"type": "integer"}, "default": "x"},
    ],
)
def test_a_default_that_is_no_answer_is_refused(swarm: Harness, asked: dict[str, Any]) -> None:
    swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))

    with pytest.raises(Invalid) as refused:
        swarm.ask(lease, **asked)

    assert refused.value.details[0][0] == "/default_answer"
    assert swarm.beat(lease) == "continue"


def test_reminders_outlive_a_restart(swarm: Harness) -> None:
    task = swarm.submit(["a"], approval="plan", defaults=terms(remind=100))

    swarm.restart()
    swarm.advance(101)

    assert "approval.reminded" in swarm.kinds(task)
