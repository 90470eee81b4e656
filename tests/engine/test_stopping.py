"""Cancel, pause and retry: what stops and when, and where a task continues."""

from __future__ import annotations

import pytest

from swarmkeeper.core.errors import LeaseLost, StillStopping, TaskClosed
from swarmkeeper.core.model import Limits
from swarmkeeper.core.states import Status
from swarmkeeper.sim.harness import Harness, HarnessLease, Node

CHAIN: list[Node] = ["a", {"key": "b", "depends_on": ["a"]}, {"key": "c", "depends_on": ["b"]}]


def under_way(swarm: Harness) -> tuple[str, HarnessLease]:
    task = swarm.submit(CHAIN)
    lease = swarm.take(swarm.bot("worker"))
    swarm.beat(lease)
    return task, lease


# ---- cancel --------------------------------------------------------------------------------------------------------


def test_a_cancelled_task_is_shown_at_once_and_its_bot_learns_it_with_the_next_heartbeat(swarm: Harness) -> None:
    task, lease = under_way(swarm)

    swarm.cancel(task)

    assert (swarm.task(task).status, swarm.task(task).outcome) == ("FAILED", "cancelled")
    assert swarm.statuses(task) == {"a": "LEASED", "b": "CANCELLED", "c": "CANCELLED"}
    assert swarm.beat(lease) == "cancel"


def test_a_cancelled_lease_has_a_grace_of_a_third_of_its_ttl_and_ten_seconds(swarm: Harness) -> None:
    task, lease = under_way(swarm)
    swarm.cancel(task)

    swarm.advance(19.999_999)
    assert swarm.beat(lease) == "cancel"
    assert swarm.work(task, "a").status is Status.LEASED

    swarm.advance(0.000_001)
    assert swarm.beat(lease) == "lost"
    assert swarm.work(task, "a").status is Status.CANCELLED


def test_a_heartbeat_does_not_extend_a_cancelled_lease(swarm: Harness) -> None:
    task, lease = under_way(swarm)
    swarm.cancel(task)

    for _ in range(4):
        swarm.advance(5)
        swarm.beat(lease)

    assert swarm.work(task, "a").status is Status.CANCELLED


@pytest.mark.parametrize("verb", ["release", "ask"])
def test_a_lease_of_a_closed_task_allows_only_a_last_report(swarm: Harness, verb: str) -> None:
    task, lease = under_way(swarm)
    swarm.cancel(task)

    with pytest.raises(TaskClosed):
        getattr(swarm, verb)(lease)


def test_a_cancelled_task_grants_no_lease_while_its_job_still_runs(swarm: Harness) -> None:
    swarm = Harness(limits=Limits(slice_rows=3))
    task = swarm.submit([f"k{number}" for number in range(30)])
    swarm.advance(0)

    swarm.cancel(task)

    assert swarm.rows("SELECT 1 FROM chore") != []
    assert swarm.lease(swarm.bot("worker")) is None
    swarm.advance(0)
    assert {work.status for work in swarm.works(task).values()} == {Status.CANCELLED}
    swarm.check()


def test_cancelling_ends_open_questions_and_approvals(swarm: Harness) -> None:
    task = swarm.submit(["a"], approval="plan")
    asking = swarm.submit(["b"])
    swarm.ask(swarm.take(swarm.bot("worker")))

    swarm.cancel(task)
    swarm.cancel(asking)

    assert swarm.approvals(task) + swarm.approvals(asking) == []
    assert len(swarm.approvals(task, "cancelled") + swarm.approvals(asking, "cancelled")) == 2


def test_a_task_with_a_hundred_open_questions_can_be_cancelled(swarm: Harness) -> None:
    task = swarm.submit([f"k{number}" for number in range(100)])
    bot = swarm.bot("worker", capacity=100)
    for lease in swarm.leases(bot, 64) + swarm.leases(bot, 64):
        swarm.ask(lease)

    swarm.cancel(task)

    assert len(swarm.approvals(task, "cancelled")) == 100


def test_a_cancel_during_loading_takes_effect_after_the_plan_is_loaded() -> None:
    swarm = Harness(limits=Limits(slice_rows=5))
    task = swarm.submit([f"k{number}" for number in range(40)])
    assert len(swarm.works(task)) < 40

    swarm.cancel(task)
    assert swarm.task(task).status == "FAILED"
    swarm.advance(0)

    assert {work.status for work in swarm.works(task).values()} == {Status.CANCELLED}
    assert len(swarm.works(task)) == 40
    assert "work.unblocked" not in swarm.kinds(task)
    swarm.check()


# ---- pause and resume ----------------------------------------------------------------------------------------------


def test_a_paused_task_grants_no_lease_and_live_leases_continue(swarm: Harness) -> None:
    task, lease = under_way(swarm)

    swarm.pause(task)

    assert swarm.beat(lease) == "continue"
    swarm.report(lease)
    assert swarm.work(task, "b").status is Status.READY
    assert swarm.lease(lease.bot) is None

    swarm.resume(task)
    assert swarm.take(lease.bot).key == "b"


def test_a_paused_task_can_finish_and_its_review_waits_for_the_resume(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))
    judge = swarm.bot("judge", "Evaluator")
    swarm.pause(task)

    swarm.report(lease)

    assert swarm.task(task).status == "COMPLETED"
    assert swarm.lease(judge) is None
    swarm.resume(task)
    assert swarm.take(judge).kind == "review"


def test_two_thousand_items_are_held_and_released_in_slices_and_keep_their_order(swarm: Harness) -> None:
    task = swarm.submit([f"k{number:04}" for number in range(2_000)])
    swarm.advance(0)
    before = swarm.rows("SELECT work, place FROM ready ORDER BY place")
    assert len(before) == 2_000
    swarm.commits.clear()

    swarm.pause(task)
    assert swarm.lease(swarm.bot("worker")) is None
    swarm.advance(0)
    assert swarm.rows("SELECT 1 FROM ready") == []
    swarm.resume(task)
    swarm.advance(0)

    assert swarm.rows("SELECT work, place FROM ready ORDER BY place") == before
    assert max(len(changes.works) for changes in swarm.commits) <= swarm.limits.slice_rows


def test_a_task_paused_during_loading_grants_no_lease_afterwards() -> None:
    swarm = Harness(limits=Limits(slice_rows=5))
    task = swarm.submit([f"k{number}" for number in range(40)])

    swarm.pause(task)
    swarm.advance(0)
    assert swarm.rows("SELECT 1 FROM ready") == []

    swarm.resume(task)
    swarm.advance(0)
    assert len(swarm.rows("SELECT 1 FROM ready")) == 40
    swarm.check()


def test_resuming_does_not_lift_the_hold_of_an_approval(swarm: Harness) -> None:
    task = swarm.submit(["a"], approval="plan")
    swarm.pause(task)
    swarm.resume(task)
    assert swarm.lease(swarm.bot("worker")) is None

    swarm.decide(swarm.approvals(task)[0], "approve")

    assert swarm.take(swarm.bot("worker")).key == "a"


# ---- retry ---------------------------------------------------------------------------------------------------------


def test_a_retry_plans_again_if_no_plan_was_accepted(swarm: Harness) -> None:
    task = swarm.submit()
    planner = swarm.bot("planner", "Planner")
    swarm.report(swarm.take(planner), error="not_retryable")

    swarm.retry(task)

    assert swarm.task(task).status == "CREATED"
    assert swarm.work(task, "plan").tries == 0
    assert swarm.drive(task).outcome == "accepted"


def test_a_retry_restarts_if_nothing_was_leased(swarm: Harness) -> None:
    task = swarm.submit(CHAIN)
    swarm.cancel(task)

    swarm.retry(task)

    assert swarm.task(task).status == "PLANNED"
    assert swarm.statuses(task) == {"a": "READY", "b": "BLOCKED", "c": "BLOCKED"}


def test_a_retry_continues_where_the_task_stopped_and_keeps_results(swarm: Harness) -> None:
    task, lease = under_way(swarm)
    swarm.report(lease, output={"n": 1})
    swarm.report(swarm.take(lease.bot), error="not_retryable")
    assert swarm.statuses(task) == {"a": "SUCCEEDED", "b": "FAILED", "c": "CANCELLED"}

    swarm.retry(task)

    assert swarm.task(task).status == "IN_PROGRESS"
    assert swarm.statuses(task) == {"a": "SUCCEEDED", "b": "READY", "c": "BLOCKED"}
    assert (swarm.work(task, "b").tries, swarm.work(task, "b").attempt) == (0, 1)
    assert swarm.take(lease.bot).attempt == 2
    assert swarm.task(task).round == 2


def test_a_retry_starts_a_new_round_if_only_the_review_was_left(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    swarm.report(swarm.take(swarm.bot("worker")))
    judge = swarm.bot("judge", "Evaluator")
    swarm.report(swarm.take(judge), verdict="reject")

    swarm.retry(task)

    assert swarm.task(task).status == "COMPLETED"
    assert swarm.take(judge).key == "review/2/1"


def test_a_retry_asks_for_the_final_approval_again_if_it_was_rejected(swarm: Harness) -> None:
    task = swarm.submit(["a"], evaluation="none", approval="final")
    swarm.report(swarm.take(swarm.bot("worker")))
    swarm.decide(swarm.approvals(task)[0], "reject", reason="no")
    assert swarm.task(task).outcome == "rejected"

    swarm.retry(task)

    assert swarm.task(task).status == "COMPLETED"
    assert list(swarm.works(task)) == ["a"]  # a task without review gets no review item
    swarm.decide(swarm.approvals(task)[0], "approve")
    assert swarm.task(task).outcome == "accepted"


def test_a_retry_asks_again_for_a_rejected_plan(swarm: Harness) -> None:
    task = swarm.submit(["a"], approval="plan")
    swarm.decide(swarm.approvals(task)[0], "reject", reason="no")
    assert (swarm.task(task).status, swarm.task(task).outcome) == ("FAILED", "rejected")

    swarm.retry(task)

    assert swarm.lease(swarm.bot("worker")) is None
    swarm.decide(swarm.approvals(task)[0], "approve")
    assert swarm.take(swarm.bot("worker")).key == "a"


def test_a_retry_does_not_reopen_a_handled_failure(swarm: Harness) -> None:
    task = swarm.submit([{"key": "a", "on_failure": "continue"}, "b"])
    worker = swarm.bot("worker", capacity=2)
    first, second = swarm.leases(worker, 2)
    failure_handled, other = (first, second) if first.key == "a" else (second, first)
    swarm.report(failure_handled, error="not_retryable")
    swarm.report(other, error="not_retryable")

    swarm.retry(task)

    assert swarm.statuses(task) == {"a": "FAILED", "b": "READY"}


def test_a_retry_ends_leases_in_their_grace_and_their_reports_are_late(swarm: Harness) -> None:
    task, lease = under_way(swarm)
    swarm.cancel(task)

    swarm.retry(task)

    assert swarm.beat(lease) == "lost"
    with pytest.raises(LeaseLost):
        swarm.report(lease, output={"n": 1})
    assert swarm.late_results(lease.work) == [{"n": 1}]
    assert swarm.take(lease.bot).attempt == 2


def test_a_retry_is_refused_while_the_task_is_still_stopping() -> None:
    swarm = Harness(limits=Limits(slice_rows=3))
    task = swarm.submit([f"k{number}" for number in range(30)])
    swarm.advance(0)
    swarm.cancel(task)

    with pytest.raises(StillStopping) as refused:
        swarm.retry(task)
    assert refused.value.retryable

    swarm.advance(0)
    swarm.retry(task)
    swarm.advance(0)
    assert {work.status for work in swarm.works(task).values()} == {Status.READY}
    assert len(swarm.rows("SELECT 1 FROM ready")) == 30
    swarm.check()


def test_a_long_retry_grants_no_lease_before_it_is_done() -> None:
    swarm = Harness(limits=Limits(slice_rows=3))
    task = swarm.submit([f"k{number}" for number in range(30)])
    swarm.advance(0)
    swarm.cancel(task)
    swarm.advance(0)

    swarm.retry(task)

    assert swarm.task(task).loading
    assert swarm.lease(swarm.bot("worker")) is None
    swarm.advance(0)
    assert swarm.drive(task).outcome == "accepted"
    swarm.check()


def test_a_retry_resets_the_count_of_rework_rounds(swarm: Harness) -> None:
    task = swarm.submit(["a"], max_rounds=1)
    worker, judge = swarm.bot("worker"), swarm.bot("judge", "Evaluator")
    for _ in range(2):
        swarm.report(swarm.take(worker))
        swarm.report(swarm.take(judge), verdict="rework")
    failure = swarm.task(task).failure
    assert failure is not None
    assert failure["code"] == "rounds_exhausted"
    assert swarm.task(task).round == 2

    swarm.retry(task)
    assert (swarm.task(task).round, swarm.task(task).reworks) == (3, 0)

    swarm.report(swarm.take(judge), verdict="rework")
    assert swarm.task(task).status == "IN_PROGRESS"
