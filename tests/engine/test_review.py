"""Verdicts: quorum, independence, rework, and the review of each subtask."""

from __future__ import annotations

from itertools import combinations_with_replacement, permutations

import pytest

from swarmkeeper.core.errors import AlreadyDecided, Invalid, PermissionDenied, StaleApproval
from swarmkeeper.core.states import Status
from swarmkeeper.sim.harness import CLIENT, Harness, Node

DECISIONS = ("accept", "rework", "reject")


def to_be_judged(swarm: Harness, nodes: list[Node] | None = None, **options: object) -> str:
    """Return a task whose subtasks are all done."""
    task = swarm.submit(nodes if nodes is not None else ["a"], **options)
    worker = swarm.bot("worker", capacity=64)
    while leases := swarm.leases(worker, 64):
        for lease in leases:
            swarm.report(lease)
    return task


def judges(swarm: Harness, number: int) -> list[str]:
    return [swarm.bot(f"judge-{n}", "Evaluator") for n in range(1, number + 1)]


def expected(votes: tuple[str, ...]) -> tuple[str, int]:
    """The decision of a quorum of two of three, and the number of votes it took."""
    for count in range(1, 4):
        some = votes[:count]
        for decision in ("accept", "reject"):
            if some.count(decision) >= 2:
                return decision, count
        if max(some.count("accept"), some.count("reject")) + (3 - count) < 2:
            return ("rework" if "rework" in some else "reject"), count
    return ("rework" if "rework" in votes else "reject"), 3


ALL_VOTES = sorted({votes for some in combinations_with_replacement(DECISIONS, 3) for votes in permutations(some)})


@pytest.mark.parametrize("votes", ALL_VOTES, ids="-".join)
def test_two_of_three_votes_decide_as_soon_as_the_result_is_certain(swarm: Harness, votes: tuple[str, ...]) -> None:
    task = to_be_judged(swarm, quorum=(2, 3))
    leases = [swarm.take(judge) for judge in judges(swarm, 3)]
    decision, needed = expected(votes)

    for number, (lease, vote) in enumerate(zip(leases[:needed], votes, strict=False), 1):
        assert swarm.task(task).status == "COMPLETED", "not decided yet"
        swarm.report(lease, verdict={"decision": vote, "score": number / 4, "reasons": [f"because {number}"]})

    found = {"accept": "ARCHIVED", "rework": "IN_PROGRESS", "reject": "FAILED"}[decision]
    assert swarm.task(task).status == found
    name = swarm.task(task).verdict
    assert name is not None
    verdict = swarm.payload(name)
    assert verdict["decision"] == decision
    assert verdict["reasons"] == [f"because {number}" for number in range(1, needed + 1)]
    assert verdict["score"] == pytest.approx(sum(range(1, needed + 1)) / 4 / needed)
    assert all(work.status is not Status.LEASED for work in swarm.works(task).values())  # the others are cancelled


def test_a_vote_after_the_decision_is_late(swarm: Harness) -> None:
    task = to_be_judged(swarm, quorum=(1, 2))
    first, second = (swarm.take(judge) for judge in judges(swarm, 2))
    swarm.report(first, verdict="accept")

    assert swarm.beat(second) == "lost"
    assert swarm.work(task, second.key).status is Status.CANCELLED


def test_no_two_reviews_of_a_round_go_to_one_owner(swarm: Harness) -> None:
    to_be_judged(swarm, quorum=(2, 2))
    one = swarm.bot("one", "Evaluator", owner="acme", capacity=5)
    same_owner = swarm.bot("two", "Evaluator", owner="acme")

    assert len(swarm.leases(one, 5)) == 1
    assert swarm.lease(same_owner) is None
    assert swarm.lease(swarm.bot("three", "Evaluator", owner="other")) is not None


def test_two_evaluators_of_one_owner_get_one_review(swarm: Harness) -> None:
    polls = [swarm.park(swarm.bot(name, "Evaluator", owner="acme")) for name in ("one", "two")]

    to_be_judged(swarm, quorum=(2, 2))

    assert sorted(poll.waits for poll in polls) == [False, True]


def test_an_owner_whose_review_ended_without_a_vote_may_review_again(swarm: Harness) -> None:
    to_be_judged(swarm, quorum=(2, 2))
    one, two = swarm.bot("one", "Evaluator", owner="acme"), swarm.bot("two", "Evaluator", owner="acme")
    lease = swarm.take(one)
    assert swarm.lease(two) is None

    swarm.release(lease)

    assert swarm.lease(two) is not None


def test_the_maker_of_a_result_never_reviews_it(swarm: Harness) -> None:
    swarm.submit(["a"])
    swarm.report(swarm.take(swarm.bot("worker", owner="acme")))

    assert swarm.lease(swarm.bot("own", "Evaluator", owner="acme")) is None
    assert swarm.lease(swarm.bot("other", "Evaluator", owner="other")) is not None


def test_the_planner_never_reviews(swarm: Harness) -> None:
    swarm.submit()
    swarm.report(swarm.take(swarm.bot("planner", "Planner", owner="acme")), plan=["a"])
    swarm.report(swarm.take(swarm.bot("worker", owner="w")))

    assert swarm.lease(swarm.bot("own", "Evaluator", owner="acme")) is None


def test_many_reviews_that_exclude_an_owner_do_not_hide_the_allowed_one(swarm: Harness) -> None:
    worker = swarm.bot("worker", owner="acme", capacity=200)
    for number in range(100):
        swarm.submit([f"k{number}"])
    for lease in swarm.leases(worker, 64) + swarm.leases(worker, 64):
        swarm.report(lease)
    swarm.submit(["open"])
    swarm.report(swarm.take(swarm.bot("stranger", owner="stranger")))

    assert swarm.lease(swarm.bot("judge", "Evaluator", owner="acme")) is not None


def test_one_evaluator_may_take_one_review_of_each_of_many_tasks(swarm: Harness) -> None:
    tasks = [to_be_judged(swarm, [f"k{number}"], quorum=(1, 2)) for number in range(64)]

    leases = swarm.leases(swarm.bot("judge", "Evaluator", capacity=64), 64)

    assert {lease.task for lease in leases} == set(tasks)


def test_a_bot_without_owner_is_its_own_owner(swarm: Harness) -> None:
    task = to_be_judged(swarm, quorum=(2, 2))
    for judge in judges(swarm, 2):
        swarm.report(swarm.take(judge))

    assert swarm.task(task).outcome == "accepted"


def test_a_review_that_fails_gives_no_vote(swarm: Harness) -> None:
    task = to_be_judged(swarm, quorum=(2, 3))
    first, second, third = (swarm.take(judge) for judge in judges(swarm, 3))

    swarm.report(first, error="not_retryable")
    swarm.report(second, verdict="accept")
    assert swarm.task(task).status == "COMPLETED"
    swarm.report(third, verdict="accept")

    assert swarm.task(task).outcome == "accepted"


def test_a_round_without_any_vote_fails_the_task(swarm: Harness) -> None:
    task = to_be_judged(swarm, quorum=(1, 2))

    for judge in judges(swarm, 2):
        swarm.report(swarm.take(judge), error="not_retryable")

    failure = swarm.task(task).failure
    assert failure is not None
    assert failure["code"] == "review_exhausted"


# ---- rework --------------------------------------------------------------------------------------------------------


def test_rework_reopens_targets_and_downstream_and_gives_feedback(swarm: Harness) -> None:
    nodes: list[Node] = ["a", "b", {"key": "c", "depends_on": ["a"]}, {"key": "d", "depends_on": ["b", "c"]}]
    task = to_be_judged(swarm, nodes)
    (judge,) = judges(swarm, 1)

    target = {"subtask": "a", "feedback": "wrong sum"}
    swarm.report(swarm.take(judge), verdict={"decision": "rework", "targets": [target]})

    assert {key: swarm.statuses(task)[key] for key in "abcd"} == {
        "a": "READY",
        "b": "SUCCEEDED",
        "c": "BLOCKED",
        "d": "BLOCKED",
    }
    assert [swarm.work(task, key).pending for key in "abcd"] == [0, 0, 1, 1]
    assert swarm.feedback(swarm.work(task, "a").id) == ["wrong sum"]
    assert [swarm.work(task, key).round for key in "abcd"] == [2, 1, 2, 2]
    assert (swarm.task(task).round, swarm.task(task).reworks) == (2, 1)
    assert swarm.drive(task).outcome == "accepted"
    assert [attempt["ending"] for attempt in swarm.attempts(swarm.work(task, "a").id)] == ["succeeded", "succeeded"]


def test_rework_without_targets_reopens_the_subtasks_of_the_result(swarm: Harness) -> None:
    task = to_be_judged(swarm, ["a", {"key": "b", "depends_on": ["a"]}, "c"])
    (judge,) = judges(swarm, 1)

    swarm.report(swarm.take(judge), verdict={"decision": "rework", "reasons": ["too short"]})

    assert {key: swarm.statuses(task)[key] for key in "abc"} == {"a": "SUCCEEDED", "b": "READY", "c": "READY"}
    assert swarm.feedback(swarm.work(task, "c").id) == ["too short"]


def test_rework_that_adds_subtasks_reopens_only_named_targets(swarm: Harness) -> None:
    task = to_be_judged(swarm, ["a"])
    (judge,) = judges(swarm, 1)

    new = [{"key": "b", "depends_on": ["a"]}, {"key": "c", "depends_on": ["b"]}]
    swarm.report(swarm.take(judge), verdict={"decision": "rework", "subtasks": new})

    assert {key: swarm.statuses(task)[key] for key in "abc"} == {"a": "SUCCEEDED", "b": "READY", "c": "BLOCKED"}
    assert swarm.task(task).n_total == 3
    assert swarm.drive(task).outcome == "accepted"


@pytest.mark.parametrize("order", list(permutations("xyz")), ids="".join)
def test_new_subtasks_that_can_never_start_are_skipped_with_everything_downstream(
    swarm: Harness, order: tuple[str, ...]
) -> None:
    task = to_be_judged(swarm, ["a"])
    (judge,) = judges(swarm, 1)
    new = {
        "x": {"key": "x", "depends_on": [{"key": "a", "when": "failure"}]},
        "y": {"key": "y", "depends_on": ["x"]},
        "z": {"key": "z", "depends_on": [{"key": "y", "when": "done"}]},
    }

    verdict = {"decision": "rework", "subtasks": [new[key] for key in order]}
    swarm.report(swarm.take(judge), verdict=verdict)
    swarm.advance(0)

    assert {key: swarm.statuses(task)[key] for key in "xyz"} == {"x": "SKIPPED", "y": "SKIPPED", "z": "READY"}
    assert swarm.drive(task).outcome == "accepted"


def test_a_rework_verdict_with_an_unknown_target_is_refused(swarm: Harness) -> None:
    task = to_be_judged(swarm, ["a"])
    (judge,) = judges(swarm, 1)
    lease = swarm.take(judge)

    verdict = {
        "decision": "rework",
        "targets": [{"subtask": "a"}, {"subtask": "zz"}],
        "subtasks": [{"key": "a"}, {"key": "b", "depends_on": ["yy"]}],
    }
    with pytest.raises(Invalid) as refused:
        swarm.report(lease, verdict=verdict)

    assert {(pointer, code) for pointer, code, _ in refused.value.details} == {
        ("/verdict/targets/1/subtask", "unknown_key"),
        ("/verdict/subtasks/0/key", "duplicate"),
        ("/verdict/subtasks/1/depends_on/0", "unknown_key"),
    }
    assert swarm.beat(lease) == "continue"
    assert swarm.task(task).round == 1


def test_rework_combines_the_subtasks_and_targets_of_all_votes(swarm: Harness) -> None:
    task = to_be_judged(swarm, ["a", "b", "c"], quorum=(2, 3))
    first, second, _ = (swarm.take(judge) for judge in judges(swarm, 3))

    swarm.report(first, verdict={"decision": "rework", "targets": [{"subtask": "a", "feedback": "1"}]})
    swarm.report(second, verdict={"decision": "rework", "targets": [{"subtask": "b", "feedback": "2"}]})

    assert {key: swarm.statuses(task)[key] for key in "abc"} == {"a": "READY", "b": "READY", "c": "SUCCEEDED"}


def test_rework_of_an_expired_subtask_does_not_start_the_task_twice(swarm: Harness) -> None:
    task = swarm.submit([{"key": "a", "schedule_to_start_seconds": 10, "on_failure": "continue"}])
    swarm.advance(10)
    assert swarm.task(task).status == "COMPLETED"
    (judge,) = judges(swarm, 1)

    swarm.report(swarm.take(judge), verdict={"decision": "rework", "targets": [{"subtask": "a"}]})

    assert swarm.drive(task).outcome == "accepted"


def test_rounds_run_out_and_a_person_may_allow_one_more_or_accept(swarm: Harness) -> None:
    task = to_be_judged(swarm, max_rounds=1, approval="rounds")
    (judge,) = judges(swarm, 1)
    worker = swarm.bot("worker")
    swarm.report(swarm.take(judge), verdict="rework")
    swarm.report(swarm.take(worker))
    swarm.report(swarm.take(judge), verdict="rework")
    (asked,) = swarm.approvals(task)
    assert swarm.task(task).status == "COMPLETED"
    assert swarm.lease(worker) is None

    swarm.decide(asked, "answer", answer="round")
    swarm.report(swarm.take(worker))
    swarm.report(swarm.take(judge), verdict="rework")
    (asked,) = swarm.approvals(task)
    swarm.decide(asked, "answer", answer="accept")

    assert (swarm.task(task).status, swarm.task(task).outcome) == ("ARCHIVED", "accepted")


# ---- the review of each subtask ------------------------------------------------------------------------------------


def test_with_each_every_subtask_is_reviewed_and_then_the_result(swarm: Harness) -> None:
    task = swarm.submit(["a"], evaluation="each")
    swarm.report(swarm.take(swarm.bot("worker")))
    (judge,) = judges(swarm, 1)

    first = swarm.take(judge)
    assert (first.key, swarm.work(task, "a").status) == ("review-of/a/1", Status.IN_REVIEW)
    swarm.report(first, verdict="accept")

    assert swarm.work(task, "a").status is Status.SUCCEEDED
    second = swarm.take(judge)
    assert second.key == "review/1/1"
    swarm.report(second, verdict="accept")
    assert swarm.task(task).outcome == "accepted"


def test_rework_of_one_subtask_resets_its_tries_and_counts_its_rounds(swarm: Harness) -> None:
    task = swarm.submit([{"key": "a", "max_attempts": 2}, {"key": "b", "depends_on": ["a"]}], evaluation="each")
    worker, (judge,) = swarm.bot("worker"), judges(swarm, 1)
    swarm.report(swarm.take(worker), error="retryable")
    swarm.report(swarm.take(worker, wait=5))

    swarm.report(swarm.take(judge), verdict={"decision": "rework", "reasons": ["too short"]})

    work = swarm.work(task, "a")
    assert (work.status, work.tries, work.round, work.attempt) == (Status.READY, 0, 2, 2)
    assert swarm.work(task, "b").status is Status.BLOCKED
    assert swarm.feedback(work.id) == ["too short"]
    swarm.report(swarm.take(worker))
    assert swarm.take(judge).key == "review-of/a/2"


@pytest.mark.parametrize(
    "verdict",
    [
        {"decision": "rework", "targets": [{"subtask": "b"}]},
        {"decision": "rework", "subtasks": [{"key": "c"}]},
    ],
)
def test_the_review_of_a_subtask_affects_only_that_subtask(swarm: Harness, verdict: dict[str, object]) -> None:
    swarm.submit(["a", {"key": "b", "depends_on": ["a"]}], evaluation="each")
    swarm.report(swarm.take(swarm.bot("worker")))
    (judge,) = judges(swarm, 1)

    with pytest.raises(Invalid):
        swarm.report(swarm.take(judge), verdict=verdict)


def test_a_rejected_subtask_can_be_handled_like_any_failure(swarm: Harness) -> None:
    rescue = {"key": "rescue", "depends_on": [{"key": "a", "when": "failure"}]}
    task = swarm.submit(["a", rescue], evaluation="each")
    swarm.report(swarm.take(swarm.bot("worker")))
    (judge,) = judges(swarm, 1)

    swarm.report(swarm.take(judge), verdict="reject")

    assert swarm.work(task, "a").status is Status.FAILED
    assert swarm.work(task, "rescue").status is Status.READY


# ---- approvals -----------------------------------------------------------------------------------------------------


def test_a_person_may_decide_on_the_final_result(swarm: Harness) -> None:
    task = to_be_judged(swarm, approval="final")
    swarm.report(swarm.take(judges(swarm, 1)[0]), verdict="accept")
    assert swarm.task(task).status == "COMPLETED"

    swarm.decide(swarm.approvals(task)[0], "approve")

    assert (swarm.task(task).status, swarm.task(task).outcome) == ("ARCHIVED", "accepted")


def test_an_approval_that_nobody_decides_expires(swarm: Harness) -> None:
    task = swarm.submit(["a"], approval="plan", defaults={"start": 60_000_000})

    swarm.loop.stall(7 * 86_400_000_000)
    swarm.advance(0)

    failure = swarm.task(task).failure
    assert failure is not None
    assert (failure["code"], swarm.task(task).outcome) == ("approval_expired", "expired")


def test_a_decision_is_made_once_and_repeating_it_changes_nothing(swarm: Harness) -> None:
    task = swarm.submit(["a"], approval="plan")
    (asked,) = swarm.approvals(task)
    swarm.decide(asked, "approve")
    before = swarm.dump()

    swarm.decide(asked, "approve")
    with pytest.raises(AlreadyDecided):
        swarm.decide(asked, "reject", reason="no")

    assert swarm.dump() == before


def test_a_wrong_verb_a_changed_subject_and_the_asking_key_are_refused(swarm: Harness) -> None:
    task = swarm.submit(["a"], approval="plan")
    (asked,) = swarm.approvals(task)
    before = swarm.dump()

    with pytest.raises(AlreadyDecided):
        swarm.decide(asked, "answer", answer="yes")
    with pytest.raises(StaleApproval):
        swarm.decide(asked, "approve", subject_hash="0" * 64)
    with pytest.raises(PermissionDenied):
        swarm.decide(asked, "approve", by=CLIENT)

    assert swarm.dump() == before


def test_an_answer_must_be_one_of_the_choices(swarm: Harness) -> None:
    swarm.submit(["a"])
    asked = swarm.ask(swarm.take(swarm.bot("worker")), choices=("left", "right"))

    with pytest.raises(Invalid):
        swarm.decide(asked, "answer", answer="up")
