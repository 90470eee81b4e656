"""The effect of an edge, for each condition and each end of its upstream; and which failures are handled."""

from __future__ import annotations

import pytest

from swarmkeeper.core.states import EDGE_MET, FINAL, Condition, Status
from swarmkeeper.sim.harness import Harness, Node

# How an upstream ends, and what the plan needs before it for that. `continue`: its failure, and that of
# what stands before it, must not end the task here, whatever leaves it.
UPSTREAM: dict[Status, list[Node]] = {
    Status.SUCCEEDED: [{"key": "up"}],
    Status.FAILED: [{"key": "up", "on_failure": "continue"}],
    Status.SKIPPED: [{"key": "first", "on_failure": "continue"}, {"key": "up", "depends_on": ["first"]}],
}


def let_it_end(swarm: Harness, ending: Status) -> None:
    lease = swarm.take(swarm.bot("worker"))
    if ending is Status.SUCCEEDED:
        swarm.report(lease)
    else:
        swarm.report(lease, error="not_retryable")


def test_every_condition_meets_every_ending() -> None:
    endings = FINAL - {Status.CANCELLED}  # comes only with the end of the whole task

    assert set(EDGE_MET) == {(condition, ending) for condition in Condition for ending in endings}
    assert set(UPSTREAM) == endings


@pytest.mark.parametrize(("condition", "ending"), EDGE_MET, ids=str)
def test_an_edge_is_met_or_broken_by_the_end_of_its_upstream(
    swarm: Harness, condition: Condition, ending: Status
) -> None:
    down = {"key": "down", "depends_on": [{"key": "up", "when": str(condition)}]}
    task = swarm.submit([*UPSTREAM[ending], down, "other"])

    let_it_end(swarm, ending)

    assert swarm.work(task, "up").status is ending
    assert swarm.work(task, "down").status is (Status.READY if EDGE_MET[condition, ending] else Status.SKIPPED)


def test_an_item_waits_until_all_its_edges_are_met(swarm: Harness) -> None:
    task = swarm.submit(["a", "b", {"key": "c", "depends_on": ["a", {"key": "b", "when": "done"}]}])
    worker = swarm.bot("worker", capacity=2)
    first, second = swarm.leases(worker, 2)

    swarm.report(first)
    assert (swarm.work(task, "c").status, swarm.work(task, "c").pending) == (Status.BLOCKED, 1)

    swarm.report(second)
    assert (swarm.work(task, "c").status, swarm.work(task, "c").pending) == (Status.READY, 0)


def test_one_broken_edge_skips_an_item_and_everything_downstream(swarm: Harness) -> None:
    chain = [{"key": f"c{n}", "depends_on": [f"c{n - 1}" if n else "a"]} for n in range(5)]
    rescue = {"key": "rescue", "depends_on": [{"key": "c4", "when": "done"}]}
    task = swarm.submit([{"key": "a", "on_failure": "continue"}, "b", *chain, rescue])

    swarm.report(swarm.take(swarm.bot("worker")), error="not_retryable")

    assert {swarm.work(task, f"c{n}").status for n in range(5)} == {Status.SKIPPED}
    assert swarm.work(task, "rescue").status is Status.READY


def test_a_join_of_two_branches_emits_one_event(swarm: Harness) -> None:
    task = swarm.submit(["a", *({"key": f"b{n}", "depends_on": ["a"]} for n in range(3))])

    swarm.report(swarm.take(swarm.bot("worker")))

    unblocked = [event["body"] for event in swarm.events(task) if event["kind"] == "work.unblocked"]
    assert [sorted(body["keys"]) for body in unblocked] == [["a"], ["b0", "b1", "b2"]]
    assert [body["count"] for body in unblocked] == [1, 3]


@pytest.mark.parametrize("condition", [Condition.DONE, Condition.FAILURE])
def test_a_failure_is_handled_by_an_edge_for_it(swarm: Harness, condition: Condition) -> None:
    task = swarm.submit(["a", {"key": "cleanup", "depends_on": [{"key": "a", "when": str(condition)}]}])

    worker = swarm.bot("worker")
    swarm.report(swarm.take(worker), error="not_retryable")
    swarm.report(swarm.take(worker))

    assert swarm.task(task).status == "COMPLETED"
    assert swarm.statuses(task)["cleanup"] == "SUCCEEDED"


def test_a_failure_with_on_failure_continue_is_handled(swarm: Harness) -> None:
    task = swarm.submit([{"key": "a", "on_failure": "continue"}])

    swarm.report(swarm.take(swarm.bot("worker")), error="not_retryable")

    assert swarm.task(task).status == "COMPLETED"
    assert (swarm.task(task).n_total, swarm.task(task).n_open, swarm.task(task).n_failed) == (1, 0, 1)


def test_on_failure_can_be_set_for_all_subtasks_of_a_task(swarm: Harness) -> None:
    task = swarm.submit(["a"], defaults={"on_failure": "continue"})

    swarm.report(swarm.take(swarm.bot("worker")), error="not_retryable")

    assert swarm.task(task).status == "COMPLETED"


def test_an_unhandled_failure_ends_the_task_and_cancels_even_clean_ups(swarm: Harness) -> None:
    cleanup = {"key": "cleanup", "depends_on": [{"key": "other", "when": "failure"}]}
    task = swarm.submit(["a", "other", cleanup, {"key": "next", "depends_on": ["a"]}])

    swarm.report(swarm.take(swarm.bot("worker")), error="not_retryable")

    found = swarm.task(task)
    assert (found.status, found.outcome) == ("FAILED", "failed")
    assert found.failure is not None
    assert (found.failure["code"], found.failure["work_id"]) == ("subtask_failed", swarm.work(task, "a").id)
    assert swarm.statuses(task) == {"a": "FAILED", "other": "CANCELLED", "cleanup": "CANCELLED", "next": "CANCELLED"}
