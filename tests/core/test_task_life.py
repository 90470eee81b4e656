"""Every transition of tasks, made by real commands; and no others are possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from swarmkeeper.core import states
from swarmkeeper.core.errors import IllegalTransition
from swarmkeeper.core.states import OUTCOME_OF, TASK_LIFE, FailureCode, Outcome, TaskStatus, TaskTransition
from swarmkeeper.sim.harness import Harness

# A story brings a task into the first state of its row and yields it; then it makes the transition.
Story = Callable[[Harness], Iterator[str]]
Row = tuple[TaskStatus | None, TaskTransition]
STORIES: dict[Row, Story] = {}


def shows(status: TaskStatus, transition: TaskTransition) -> Callable[[Story], Story]:
    def keep(story: Story) -> Story:
        assert (status, transition) not in STORIES, "one story for each row"
        STORIES[status, transition] = story
        return story

    return keep


def completed(swarm: Harness, **options: Any) -> str:
    task = swarm.submit(["a"], **options)
    swarm.report(swarm.take(swarm.bot("worker")))
    return task


@shows(TaskStatus.CREATED, TaskTransition.PLANNED)
def a_planner_plans_it(swarm: Harness) -> Iterator[str]:
    task = swarm.submit()
    yield task
    swarm.report(swarm.take(swarm.bot("planner", "Planner")), plan=["a"])


@shows(TaskStatus.PLANNED, TaskTransition.STARTED)
def its_first_subtask_is_leased(swarm: Harness) -> Iterator[str]:
    task = swarm.submit(["a"])
    yield task
    swarm.take(swarm.bot("worker"))


@shows(TaskStatus.PLANNED, TaskTransition.FINISHED)
def no_subtask_is_ever_taken_and_that_is_handled(swarm: Harness) -> Iterator[str]:
    task = swarm.submit([{"key": "a", "schedule_to_start_seconds": 10, "on_failure": "continue"}])
    yield task
    swarm.advance(10)


@shows(TaskStatus.IN_PROGRESS, TaskTransition.FINISHED)
def its_last_subtask_succeeds(swarm: Harness) -> Iterator[str]:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))
    yield task
    swarm.report(lease)


@shows(TaskStatus.COMPLETED, TaskTransition.ACCEPTED)
def its_review_accepts(swarm: Harness) -> Iterator[str]:
    task = completed(swarm)
    yield task
    swarm.report(swarm.take(swarm.bot("judge", "Evaluator")), verdict="accept")


@shows(TaskStatus.COMPLETED, TaskTransition.REWORK)
def its_review_asks_for_rework(swarm: Harness) -> Iterator[str]:
    task = completed(swarm)
    yield task
    swarm.report(swarm.take(swarm.bot("judge", "Evaluator")), verdict="rework")


@shows(TaskStatus.COMPLETED, TaskTransition.FAILED)
def its_review_rejects(swarm: Harness) -> Iterator[str]:
    task = completed(swarm)
    yield task
    swarm.report(swarm.take(swarm.bot("judge", "Evaluator")), verdict="reject")


@shows(TaskStatus.CREATED, TaskTransition.FAILED)
def no_planner_can_plan_it(swarm: Harness) -> Iterator[str]:
    task = swarm.submit()
    yield task
    swarm.report(swarm.take(swarm.bot("planner", "Planner")), error="not_retryable")


@shows(TaskStatus.PLANNED, TaskTransition.FAILED)
def its_plan_is_not_approved(swarm: Harness) -> Iterator[str]:
    task = swarm.submit(["a"], approval="plan")
    yield task
    swarm.decide(swarm.approvals(task)[0], "reject", reason="no")


@shows(TaskStatus.IN_PROGRESS, TaskTransition.FAILED)
def a_subtask_fails_and_nothing_handles_it(swarm: Harness) -> Iterator[str]:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))
    yield task
    swarm.report(lease, error="not_retryable")


@shows(TaskStatus.FAILED, TaskTransition.RETRIED_TO_PLAN)
def it_had_no_plan_yet_when_it_is_retried(swarm: Harness) -> Iterator[str]:
    task = swarm.submit()
    swarm.cancel(task)
    yield task
    swarm.retry(task)


@shows(TaskStatus.FAILED, TaskTransition.RETRIED_TO_START)
def nothing_of_it_was_leased_yet_when_it_is_retried(swarm: Harness) -> Iterator[str]:
    task = swarm.submit(["a"])
    swarm.cancel(task)
    yield task
    swarm.retry(task)


@shows(TaskStatus.FAILED, TaskTransition.RETRIED_TO_WORK)
def it_was_at_work_when_it_is_retried(swarm: Harness) -> Iterator[str]:
    task = swarm.submit(["a"])
    swarm.report(swarm.take(swarm.bot("worker")), error="not_retryable")
    yield task
    swarm.retry(task)


@shows(TaskStatus.FAILED, TaskTransition.RETRIED_TO_REVIEW)
def nothing_is_left_but_the_review_when_it_is_retried(swarm: Harness) -> Iterator[str]:
    task = completed(swarm)
    swarm.report(swarm.take(swarm.bot("judge", "Evaluator")), verdict="reject")
    yield task
    swarm.retry(task)


@shows(TaskStatus.FAILED, TaskTransition.ARCHIVED)
def it_failed_and_is_put_away(swarm: Harness) -> Iterator[str]:
    task = swarm.submit(["a"])
    swarm.cancel(task)
    yield task
    swarm.archive(task)


def test_a_new_task_has_status_created(swarm: Harness) -> None:
    task = swarm.submit()

    assert swarm.task(task).status is TASK_LIFE[None, TaskTransition.SUBMITTED]
    assert swarm.kinds(task) == ["task.submitted"]


def test_a_task_that_brings_its_subtasks_is_submitted_and_planned_in_one_command(swarm: Harness) -> None:
    task = swarm.submit(["a"])

    submitted, planned, _ = swarm.events(task)
    assert swarm.task(task).status is TaskStatus.PLANNED
    assert (submitted["kind"], planned["kind"]) == ("task.submitted", "task.planned")
    assert submitted["audit"] == planned["audit"]


def test_each_row_of_the_task_table_has_a_story() -> None:
    assert set(STORIES) | {(None, TaskTransition.SUBMITTED)} == set(TASK_LIFE)


@pytest.mark.parametrize("row", STORIES, ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_task_makes_each_transition_of_its_table(swarm: Harness, row: Row) -> None:
    story = STORIES[row](swarm)

    task = next(story)
    assert swarm.task(task).status is row[0]
    swarm.check()

    assert next(story, None) is None
    assert swarm.task(task).status is TASK_LIFE[row]
    statuses = [event["body"]["to"] for event in swarm.events(task) if event["kind"] == f"task.{row[1]}"]
    assert statuses == [TASK_LIFE[row]]


@pytest.mark.parametrize("status", [None, *TaskStatus])
@pytest.mark.parametrize("transition", TaskTransition)
def test_a_transition_outside_the_table_is_refused(status: TaskStatus | None, transition: TaskTransition) -> None:
    if (status, transition) in TASK_LIFE:
        assert states.task_after(status, transition) is TASK_LIFE[status, transition]
        return

    with pytest.raises(IllegalTransition):
        states.task_after(status, transition)


def test_an_archived_task_has_no_further_transition() -> None:
    assert [row for row in TASK_LIFE if row[0] is TaskStatus.ARCHIVED] == []


def test_each_way_to_fail_has_an_outcome_and_none_of_them_is_accepted() -> None:
    assert set(OUTCOME_OF) == set(FailureCode)
    assert set(OUTCOME_OF.values()) == set(Outcome) - {Outcome.ACCEPTED}


@pytest.mark.parametrize("evaluation", ["none", "final"])
def test_the_outcome_is_kept_when_a_task_is_archived(swarm: Harness, evaluation: str) -> None:
    task = completed(swarm, evaluation=evaluation)
    if evaluation == "final":
        swarm.report(swarm.take(swarm.bot("judge", "Evaluator")), verdict="reject")
        swarm.archive(task)

    assert swarm.task(task).status is TaskStatus.ARCHIVED
    assert swarm.task(task).outcome == ("accepted" if evaluation == "none" else "rejected")


def test_with_evaluation_none_a_finished_task_is_accepted_in_the_same_command(swarm: Harness) -> None:
    task = completed(swarm, evaluation="none")

    finished, accepted = swarm.events(task)[-2:]
    assert (finished["kind"], accepted["kind"]) == ("task.finished", "task.accepted")
    assert finished["audit"] == accepted["audit"]


def test_retrying_clears_the_outcome_and_the_failure(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    swarm.cancel(task)
    assert swarm.task(task).outcome == "cancelled"

    swarm.retry(task)

    assert (swarm.task(task).outcome, swarm.task(task).failure) == (None, None)


@pytest.mark.parametrize("verb", ["cancel", "archive", "retry"])
def test_repeating_a_command_changes_nothing(swarm: Harness, verb: str) -> None:
    task = swarm.submit(["a"])
    swarm.cancel(task)
    getattr(swarm, verb)(task)
    before = swarm.dump()

    getattr(swarm, verb)(task)

    assert swarm.dump() == before


def test_only_a_failed_task_can_be_archived(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    before = swarm.dump()

    with pytest.raises(IllegalTransition):
        swarm.archive(task)

    assert swarm.dump() == before


def test_an_archived_task_can_be_neither_cancelled_nor_retried_nor_paused(swarm: Harness) -> None:
    task = completed(swarm, evaluation="none")

    for verb in (swarm.cancel, swarm.retry, swarm.pause, swarm.resume):
        with pytest.raises(IllegalTransition):
            verb(task)
