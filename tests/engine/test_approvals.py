"""Approvals of every kind: who may decide, and that decisions are final."""

import json

import pytest

from swarmkeeper.core.errors import AlreadyDecided, Invalid, PermissionDenied
from swarmkeeper.core.model import Principal
from swarmkeeper.sim.harness import ADMIN, APPROVER, CLIENT, TENANT, Harness


def state(swarm: Harness, approval: str) -> str:
    return str(swarm.row("SELECT state FROM approval WHERE id = ?", approval)["state"])


def test_the_submitter_of_a_task_cannot_approve_it_in_any_role(swarm: Harness) -> None:
    task = swarm.submit(["a"], approval="plan")
    (approval,) = swarm.approvals(task)

    with pytest.raises(PermissionDenied):
        swarm.decide(approval, "approve", by=Principal(TENANT, CLIENT.key_id, "approver"))

    swarm.decide(approval, "approve", by=APPROVER)
    assert swarm.task(task).hold_reasons == ()


def test_the_bot_that_asked_or_planned_may_not_decide_whatever_its_role(swarm: Harness) -> None:
    task = swarm.submit(approval="plan")
    planner = swarm.bot("architect", "Planner")
    swarm.report(swarm.take(planner))
    (plan,) = swarm.approvals(task)
    own = Principal(TENANT, "key_other", "approver", bot="architect")

    for decider in (own, Principal(TENANT, "key_other", "admin", bot="architect")):
        with pytest.raises(PermissionDenied):
            swarm.decide(plan, "approve", by=decider)

    swarm.decide(plan, "approve", by=Principal(TENANT, "key_third", "approver"))
    question = swarm.ask(swarm.take(swarm.bot("worker")))
    with pytest.raises(PermissionDenied):
        swarm.decide(question, "answer", answer=1, by=Principal(TENANT, "key_else", "approver", bot="worker"))
    swarm.decide(question, "answer", answer=1, by=ADMIN)


def test_a_decision_that_ends_the_task_is_kept_and_cancels_other_approvals(swarm: Harness) -> None:
    task = swarm.submit(["a", "b"])
    worker = swarm.bot("worker", capacity=2)
    first, second = (swarm.ask(lease) for lease in swarm.leases(worker, 2))

    swarm.decide(first, "reject", reason="no")

    assert swarm.task(task).outcome == "rejected"
    assert (state(swarm, first), state(swarm, second)) == ("decided", "cancelled")
    with pytest.raises(AlreadyDecided):
        swarm.decide(second, "answer", answer=1)


def test_an_expired_question_stays_expired_when_it_ends_its_task(swarm: Harness) -> None:
    swarm.submit(["a"])
    question = swarm.ask(swarm.take(swarm.bot("worker")), expires_in_seconds=60)

    swarm.advance(61)

    assert state(swarm, question) == "expired"


def test_a_question_ends_with_the_review_that_asked_it(swarm: Harness) -> None:
    task = swarm.submit(["a"], quorum=(1, 2))
    swarm.report(swarm.take(swarm.bot("worker")))
    question = swarm.ask(swarm.take(swarm.bot("asks", "Evaluator")))

    swarm.report(swarm.take(swarm.bot("accepts", "Evaluator")))

    assert swarm.task(task).outcome == "accepted"
    assert state(swarm, question) == "cancelled"
    assert swarm.kinds(task).count("approval.cancelled") == 1


def test_the_end_of_a_review_cancels_only_its_own_question(swarm: Harness) -> None:
    task = swarm.submit(["a"], quorum=(1, 3))
    swarm.report(swarm.take(swarm.bot("worker")))
    asking = [swarm.take(swarm.bot(f"asks-{number}", "Evaluator")) for number in range(2)]
    questions = {swarm.ask(lease): lease.work for lease in asking}

    swarm.report(swarm.take(swarm.bot("accepts", "Evaluator")))

    gone = [event for event in swarm.events(task) if event["kind"] == "approval.cancelled"]
    assert {event["body"]["approval"]: event["work"] for event in gone} == questions


def test_the_subject_of_a_result_changes_with_the_result(swarm: Harness) -> None:
    hashes = []
    for output in ({"n": 1}, {"n": 1}, {"n": 2}):
        task = swarm.submit(["a"], approval="final", evaluation="none")
        swarm.report(swarm.take(swarm.bot(f"worker-{task}")), output=output)
        subject = json.loads(swarm.row("SELECT subject FROM approval WHERE task = ?", task)["subject"])
        hashes.append(subject["results_sha256"])

    assert hashes[0] == hashes[1] != hashes[2]


def test_choices_that_violate_the_schema_are_refused_when_asked(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))

    with pytest.raises(Invalid) as refused:
        swarm.ask(lease, choices=("red", "7"), schema={"enum": ["red", "blue"]})

    assert [where for where, _, _ in refused.value.details] == ["/choices/1"]
    assert swarm.approvals(task) == []
    swarm.ask(lease, choices=("red", "blue"), schema={"enum": ["red", "blue"]})
