"""A decision that changes several things takes effect as a whole: no state in between counts as done."""

from __future__ import annotations

import random
from typing import Any

import pytest

from swarmkeeper.core import commands
from swarmkeeper.core.model import Limits
from swarmkeeper.sim.harness import CLIENT, Harness, HarnessLease, Node
from tests.core.test_against_model import Side

SLICE = 4


def skipped_behind_a_failure(swarm: Harness, **options: Any) -> tuple[str, HarnessLease]:
    """Return a task whose `b` was skipped and stays skipped when reopened, and the lease of its review."""
    nodes: list[Node] = [{"key": "a", "on_failure": "continue"}, {"key": "b", "depends_on": ["a"]}]
    task = swarm.submit(nodes, **options)
    swarm.report(swarm.take(swarm.bot("worker", capacity=9)), error="not_retryable")
    assert swarm.statuses(task) == {"a": "FAILED", "b": "SKIPPED", "review/1/1": "READY"}
    return task, swarm.take(swarm.bot("judge", "Evaluator", capacity=9))


def worker_of(swarm: Harness) -> str:
    return str(swarm.row("SELECT id FROM bot WHERE name = 'worker'")["id"])


REWORK = {
    "decision": "rework",
    "targets": [{"subtask": "b", "feedback": "again"}],
    "subtasks": [{"key": "more"}, {"key": "behind", "depends_on": ["more"]}],
}


def test_a_rework_that_only_adds_subtasks_is_done_after_them(swarm: Harness) -> None:
    task, review = skipped_behind_a_failure(swarm)

    answer = swarm.report(review, verdict=REWORK)

    assert answer.task_status == "IN_PROGRESS"
    assert "review/2/1" not in swarm.works(task)
    for _ in ("more", "behind"):
        assert swarm.task(task).status == "IN_PROGRESS"
        last = swarm.report(swarm.take(worker_of(swarm)))
    assert last.task_status == "COMPLETED"
    assert swarm.statuses(task)["review/2/1"] == "READY"


def test_a_rework_that_leaves_nothing_open_is_done_at_once(swarm: Harness) -> None:
    task, review = skipped_behind_a_failure(swarm)

    answer = swarm.report(review, verdict={"decision": "rework", "targets": REWORK["targets"]})

    assert answer.task_status == "COMPLETED"
    assert swarm.statuses(task)["review/2/1"] == "READY"
    assert [event["kind"] for event in swarm.events(task)][-3:] == ["task.rework", "work.reopened", "task.finished"]


def test_a_round_that_a_person_allows_is_done_after_its_new_subtasks(swarm: Harness) -> None:
    task, review = skipped_behind_a_failure(swarm, approval="rounds", max_rounds=1)
    swarm.report(review, verdict={"decision": "rework", "targets": REWORK["targets"]})
    judge = swarm.row("SELECT id FROM bot WHERE name = 'judge'")["id"]
    swarm.report(swarm.take(judge), verdict=REWORK)
    asked = swarm.row("SELECT id FROM approval WHERE state = 'open'")["id"]

    swarm.decide(asked, "answer", answer="round")

    assert swarm.task(task).status == "IN_PROGRESS"
    assert swarm.statuses(task)["more"] == "READY"
    assert "review/3/1" not in swarm.works(task)


def test_a_retry_that_reopens_nothing_continues_with_the_review(swarm: Harness) -> None:
    task, review = skipped_behind_a_failure(swarm)
    swarm.report(review, verdict="reject")

    swarm.retry(task)

    assert swarm.task(task).status == "COMPLETED"
    assert swarm.statuses(task)["review/2/1"] == "READY"


def sliced() -> Harness:
    return Harness(limits=Limits(slice_rows=SLICE))


def finish(swarm: Harness, task: str, *, of: int) -> None:
    """Do all available work, and check that nothing is left."""
    done = 0
    while leases := swarm.leases(worker_of(swarm), 9):
        for lease in leases:
            assert swarm.task(task).status == "IN_PROGRESS"
            swarm.report(lease)
            done += 1
    assert done == of
    assert swarm.task(task).status == "COMPLETED"
    swarm.check()
    swarm.close()


def wide(swarm: Harness, n: int) -> tuple[str, HarnessLease]:
    """Return a task with `n` results, and the lease of its review."""
    task = swarm.submit([f"s{number}" for number in range(n)])
    swarm.advance(0)
    for lease in swarm.leases(swarm.bot("worker", capacity=64), n):
        swarm.report(lease)
    return task, swarm.take(swarm.bot("judge", "Evaluator"))


def test_a_rework_behind_another_job_is_not_done_before_it_begins() -> None:
    swarm = sliced()
    task, review = wide(swarm, 3 * SLICE)
    verdict = {"decision": "rework", "targets": [{"subtask": "s0", "feedback": "again"}]}

    # The priority of twelve items is changed in slices; that job still runs when the verdict arrives.
    answers = swarm.do_all([commands.Update(by=CLIENT, task=task, priority=7), swarm.a_report(review, verdict=verdict)])
    assert answers[1].task_status == "IN_PROGRESS"
    swarm.advance(0)

    assert "review/2/1" not in swarm.works(task)
    finish(swarm, task, of=1)


def test_a_long_rework_with_a_long_plan_grants_no_lease_before_the_last_row() -> None:
    swarm = sliced()
    task, review = wide(swarm, 2 * SLICE)
    added = [{"key": f"t{number}", "depends_on": ["s0"] if number % 2 else []} for number in range(3 * SLICE)]
    targets = [{"subtask": f"s{number}", "feedback": "again"} for number in range(2 * SLICE)]
    swarm.commits.clear()

    swarm.report(review, verdict={"decision": "rework", "targets": targets, "subtasks": added})
    swarm.advance(0)

    written: dict[str, int] = {}  # by key of an added subtask: the commit that wrote its row
    for at, changes in enumerate(swarm.commits):
        for work in changes.works.values():
            if work.key.startswith("t"):
                written.setdefault(work.key, at)
    handed_out = [at for at, changes in enumerate(swarm.commits) if any(changes.ready.values())]
    assert len(set(written.values())) > 2, "it is written in slices"
    assert min(handed_out) > max(written.values())
    finish(swarm, task, of=5 * SLICE)


def test_reopened_items_are_leased_at_once_although_a_plan_follows_in_slices() -> None:
    swarm = sliced()
    task, review = wide(swarm, SLICE)
    targets = [{"subtask": f"s{number}", "feedback": "again"} for number in range(SLICE)]
    verdict = {"decision": "rework", "targets": targets, "subtasks": [{"key": "more", "depends_on": ["s0"]}]}

    swarm.report(review, verdict=verdict)
    swarm.advance(0)

    finish(swarm, task, of=SLICE + 1)


# (seed, rounds, rows of a slice) of runs of the model test (test_against_model.py) that failed once.
RUNS = [(18261947, 5, 500), (15, 5, 500), (59, 5, 3), (48, 5, 4)]


@pytest.mark.parametrize(("seed", "rounds", "slice_rows"), RUNS)
def test_earlier_failures_of_the_model_test_stay_fixed(seed: int, rounds: int, slice_rows: int) -> None:
    side = Side()
    try:
        side.begin(chance=random.Random(seed), rounds=rounds, slice_rows=slice_rows)
    finally:
        side.teardown()
