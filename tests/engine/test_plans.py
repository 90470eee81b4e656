"""Plans: invalid, corrected and very large ones."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from swarmkeeper.core.decide.effects import settling
from swarmkeeper.core.errors import Invalid, InvalidPlan, LeaseLost
from swarmkeeper.core.states import Status
from swarmkeeper.sim.harness import Harness, Node

BAD: list[list[Node]] = [["A"], ["b", "b"], [{"key": "c", "depends_on": ["c"]}], [{"key": "d", "depends_on": ["x"]}]]


def planning(swarm: Harness) -> tuple[str, str]:
    return swarm.submit(), swarm.bot("planner", "Planner")


def test_an_invalid_plan_is_refused_with_all_errors_and_can_be_corrected(swarm: Harness) -> None:
    task, planner = planning(swarm)
    lease = swarm.take(planner)

    with pytest.raises(InvalidPlan) as refused:
        swarm.report(lease, plan=["A", {"key": "b", "depends_on": ["b", "c"]}])

    assert [(pointer, code) for pointer, code, _ in refused.value.details] == [
        ("/plan/subtasks/0/key", "pattern"),
        ("/plan/subtasks/1/depends_on/0", "cycle"),
        ("/plan/subtasks/1/depends_on/1", "unknown_key"),
    ]
    assert swarm.statuses(task) == {"plan": "LEASED"}
    assert swarm.report(lease, plan=["a"]).task_status == "PLANNED"


def test_the_fourth_invalid_plan_ends_the_attempt_and_the_next_attempt_gets_the_errors(swarm: Harness) -> None:
    task, planner = planning(swarm)
    lease = swarm.take(planner)

    for number, plan in enumerate(BAD, 1):
        assert swarm.work(task, "plan").status is Status.LEASED
        with pytest.raises(InvalidPlan):
            swarm.report(lease, plan=plan)
        assert swarm.work(task, "plan").tries == (number == 4)

    with pytest.raises(LeaseLost):
        swarm.report(lease, plan=["a"])
    work = swarm.work(task, "plan")
    assert work.status is Status.WAITING
    (text,) = swarm.feedback(work.id)
    assert "/plan/subtasks/0/depends_on/0" in text
    assert swarm.take(planner, wait=5).attempt == 2


def test_an_invalid_plan_sent_again_is_counted_once(swarm: Harness) -> None:
    task, planner = planning(swarm)
    lease = swarm.take(planner)

    for _ in range(4):
        with pytest.raises(InvalidPlan):
            swarm.report(lease, plan=BAD[0])

    assert swarm.beat(lease) == "continue"
    assert swarm.work(task, "plan").tries == 0
    assert swarm.report(lease, plan=["a"]).task_status == "PLANNED"


def test_the_same_invalid_plan_again_and_again_is_a_failed_try(swarm: Harness) -> None:
    task, planner = planning(swarm)
    lease = swarm.take(planner)

    refused = 0
    for _ in range(300):
        try:
            swarm.report(lease, plan=BAD[0])
        except InvalidPlan:
            refused += 1
        except LeaseLost:
            break

    assert refused == 7  # four that count, and three repeats whose answer may have been lost
    assert swarm.work(task, "plan").tries == 1
    assert len(swarm.feedback(swarm.work(task, "plan").id)) == 1


def test_an_invalid_question_counts_like_any_other_refusal(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))

    for number in range(4):
        assert swarm.work(task, "a").tries == 0
        with pytest.raises(Invalid):
            swarm.ask(lease, f"{number}?", schema={"type": "no such"})

    assert swarm.work(task, "a").tries == 1
    assert swarm.approvals(task) == []


def test_three_attempts_with_four_invalid_plans_each_fail_the_task(swarm: Harness) -> None:
    task, planner = planning(swarm)

    for _ in range(3):
        lease = swarm.take(planner, wait=60)
        for plan in BAD:
            with pytest.raises(InvalidPlan):
                swarm.report(lease, plan=plan)

    failure = swarm.task(task).failure
    assert failure is not None
    assert failure["code"] == "planning_failed"


def test_schema_errors_and_graph_errors_come_in_one_answer(swarm: Harness) -> None:
    _, planner = planning(swarm)
    shape = (("/plan/subtasks/1", "type", "must be an object"),)

    with pytest.raises(InvalidPlan) as refused:
        swarm.report(swarm.take(planner), plan=["A"], errors=shape, errors_in="plan")

    assert [code for _, code, _ in refused.value.details] == ["type", "pattern"]


def test_the_fourth_invalid_verdict_ends_the_attempt(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    swarm.report(swarm.take(swarm.bot("worker")))
    lease = swarm.take(swarm.bot("judge", "Evaluator"))

    for number in range(4):
        shape = (("/verdict/decision", "enum", f"fault {number}"),)
        with pytest.raises(Invalid):
            swarm.report(lease, errors=shape, errors_in="verdict")

    assert swarm.work(task, "review/1/1").tries == 1


@pytest.mark.parametrize("wrong", [{"output": {"n": 1}}, {"verdict": "accept"}])
def test_a_planner_must_report_a_plan(swarm: Harness, wrong: dict[str, Any]) -> None:
    task, planner = planning(swarm)
    lease = swarm.take(planner)

    for number in range(7):
        assert swarm.work(task, "plan").tries == 0, number
        with pytest.raises(Invalid):
            swarm.report(lease, **wrong)

    assert swarm.work(task, "plan").tries == 1
    assert swarm.task(task).status == "CREATED"


def test_an_invalid_plan_from_a_client_leaves_nothing_behind(swarm: Harness) -> None:
    before = swarm.dump()

    with pytest.raises(InvalidPlan) as refused:
        swarm.submit(["a", {"key": "b", "depends_on": ["zz"]}])

    assert [(pointer, code) for pointer, code, _ in refused.value.details] == [
        ("/subtasks/1/depends_on/0", "unknown_key")
    ]
    assert swarm.dump() == before


def test_a_plan_starts_after_its_approval(swarm: Harness) -> None:
    task = swarm.submit(approval="plan")
    swarm.report(swarm.take(swarm.bot("planner", "Planner")), plan=["a"])
    worker = swarm.bot("worker")
    assert (swarm.task(task).status, swarm.lease(worker)) == ("PLANNED", None)

    swarm.decide(swarm.approvals(task)[0], "approve")

    assert swarm.take(worker).key == "a"


# ---- large plans ---------------------------------------------------------------------------------------------------


def test_a_plan_of_ten_thousand_in_two_layers_completes_in_slices_of_five_hundred(swarm: Harness) -> None:
    """A thousand subtasks succeed; nine thousand that handle a failure are skipped."""
    planner, worker = swarm.bot("planner", "Planner"), swarm.bot("worker", capacity=250)
    task = swarm.submit(evaluation="none")
    first: list[Node] = [f"a{number:03}" for number in range(1_000)]
    second: list[Node] = [
        {"key": f"b{number:04}", "depends_on": [{"key": f"a{number // 9:03}", "when": "failure"}]}
        for number in range(9_000)
    ]
    swarm.commits.clear()

    swarm.report(swarm.take(planner), plan=[*first, *second])
    assert swarm.task(task).status == "PLANNED"
    assert swarm.rows("SELECT 1 FROM ready") == [], "nothing is ready before the last row is there"
    swarm.advance(0)
    assert swarm.row("SELECT count(*) AS n FROM ready")["n"] == 1_000
    assert largest(swarm) <= 500 + 1  # the plan item itself

    for _ in range(4):
        leases = swarm.leases(worker, 250)
        for start in range(0, 250, 50):  # the runner sends this many results in one request
            found = swarm.do_all([swarm.a_report(lease) for lease in leases[start : start + 50]])
            assert not [answer for answer in found if isinstance(answer, BaseException)]
            swarm.advance(0)
    assert (swarm.task(task).status, swarm.task(task).outcome) == ("ARCHIVED", "accepted")
    assert (swarm.task(task).n_total, swarm.task(task).n_open) == (10_000, 0)


def largest(swarm: Harness) -> int:
    """Return the largest number of items in one commit since `commits` was cleared."""
    return max(len(changes.works) for changes in swarm.commits)


@pytest.mark.parametrize(("when", "status"), [("success", "READY"), ("failure", "SKIPPED")])
def test_an_item_with_ten_thousand_children_is_settled_in_slices(swarm: Harness, when: str, status: str) -> None:
    task = swarm.submit(
        ["a", *({"key": f"b{number:04}", "depends_on": [{"key": "a", "when": when}]} for number in range(9_999))]
    )
    swarm.advance(0)
    lease = swarm.take(swarm.bot("worker"))
    swarm.commits.clear()

    swarm.report(lease)
    assert swarm.task(task).status == "IN_PROGRESS"
    swarm.advance(0)

    counts = swarm.rows("SELECT status, count(*) AS n FROM work WHERE key LIKE 'b%' GROUP BY status")
    assert counts == [{"status": status, "n": 9_999}]
    assert largest(swarm) <= 500


def test_a_long_chain_behind_a_failure_is_skipped_to_its_end(swarm: Harness) -> None:
    chain: list[Node] = [{"key": f"k{number}", "depends_on": [f"k{number - 1}"]} for number in range(1, 200)]
    task = swarm.submit([{"key": "k0", "on_failure": "continue"}, *chain])

    swarm.report(swarm.take(swarm.bot("worker")), error="not_retryable")
    swarm.advance(0)

    slices = swarm.rows("SELECT 1 FROM audit_leaf WHERE action = 'chore.settle'")
    assert len(slices) >= 199 // (settling.LEVELS_MAX + 1) - 1, "no slice goes down very far"
    assert {work.status for work in swarm.works(task).values() if work.key not in ("k0", "review/1/1")} == {"SKIPPED"}
    assert swarm.task(task).status == "COMPLETED"


def test_no_item_of_a_large_plan_is_leased_before_its_last_row_is_written(swarm: Harness) -> None:
    worker = swarm.bot("worker")
    task = swarm.submit([f"k{number:04}" for number in range(1_200)])

    seen = []
    while swarm.rows("SELECT 1 FROM chore WHERE kind = 'plan'"):
        seen.append(len(swarm.works(task)))
        if swarm.lease(worker) is not None:
            break
    assert swarm.rows("SELECT 1 FROM chore WHERE kind = 'plan'") == []

    assert seen[0] < 1_200
    assert len(swarm.works(task)) == 1_200


def test_a_large_plan_survives_a_restart_at_any_slice(swarm: Harness) -> None:
    task = swarm.submit([f"k{number:04}" for number in range(1_200)])

    while swarm.rows("SELECT 1 FROM chore"):
        swarm.restart()
        swarm.check()

    assert swarm.row("SELECT count(*) AS n FROM ready")["n"] == 1_200
    assert len(swarm.works(task)) == 1_200


def test_background_jobs_of_several_tasks_take_turns(swarm: Harness) -> None:
    many: list[Node] = [f"k{number:04}" for number in range(1_500)]
    swarm.do_all([swarm.a_submission(many), swarm.a_submission(many)])
    swarm.advance(0)

    order = [leaf.task for changes in swarm.commits for leaf in changes.leaves if leaf.action == "chore.plan"]
    assert len(order) >= 6  # at least three slices each
    assert all(one != following for one, following in itertools.pairwise(order))
