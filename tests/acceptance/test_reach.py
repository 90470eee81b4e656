"""Every row of the life cycles can be reached through the HTTP API: small stories, each in an application of its own
whose hours pass in moments, are played, and what happened in all of them together is held against the tables.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swarmkeeper.core import states
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import TaskRecord, Work
from swarmkeeper.core.states import LIFE, REOPEN, TASK_LIFE, Reopening, Status, TaskStatus, TaskTransition, Transition
from tests.http.town import Json, Town, Worker, town

Story = Callable[[Town], None]
STORIES: list[Story] = []

CHAIN: list[Json] = [{"key": "a", "description": "a"}, {"key": "b", "description": "b", "depends_on": ["a"]}]
LEASE_SECONDS = 30  # the default, which no story changes


def story(told: Story) -> Story:
    STORIES.append(told)
    return told


def worker(place: Town) -> Worker:
    return place.bot("Executor")


def stopped(place: Town, task: str) -> None:
    """Cancel it, and wait until all of it has heard so."""
    place.client.ok(f"/tasks/{task}:cancel")
    place.advance(LEASE_SECONDS)


def retry(place: Town, task: str) -> None:
    place.client.ok(f"/tasks/{task}:retry")


# ---- budgets -------------------------------------------------------------------------------------------------------


def spend_the_only_attempt(place: Town, at_limit: str) -> str:
    """Return a task whose subtask is ready again, has used up its budget, and was asked for."""
    does = worker(place)
    task = place.submit([{"key": "a", "description": "a", "budget": {"attempts": 1, "at_limit": at_limit}}])
    does.fail(does.take(), "retryable")
    place.advance(60)
    assert does.leases() == []
    return task


@story
def an_item_at_the_limit_of_its_budget_waits_for_people(place: Town) -> None:
    task = spend_the_only_attempt(place, "ask")
    place.approve(place.open_approval(task))


@story
def an_item_at_the_limit_of_its_budget_fails(place: Town) -> None:
    spend_the_only_attempt(place, "stop")


# ---- plans, and the whole way --------------------------------------------------------------------------------------


@story
def a_task_is_planned_done_and_accepted(place: Town) -> None:
    place.submit()
    planner, judge = place.bot("Planner"), place.bot("Evaluator")
    planner.report(planner.take(), plan={"subtasks": CHAIN})
    does = worker(place)
    does.report(does.take())
    does.report(does.take())
    judge.judge(judge.take())


@story
def a_task_is_cancelled_before_it_is_planned_and_taken_up_again(place: Town) -> None:
    task = place.submit()
    stopped(place, task)
    retry(place, task)


@story
def a_task_is_cancelled_before_anything_was_taken_and_taken_up_again(place: Town) -> None:
    task = place.submit(CHAIN)
    stopped(place, task)
    retry(place, task)


@story
def a_task_that_failed_is_taken_up_again_and_put_away_when_it_fails_once_more(place: Town) -> None:
    task = place.submit(["a"], evaluation="none")
    does = worker(place)
    does.fail(does.take())
    retry(place, task)
    does.fail(does.take())
    place.client.ok(f"/tasks/{task}:archive")


@story
def nobody_takes_what_may_fail(place: Town) -> None:
    one = {"key": "a", "description": "a", "schedule_to_start_seconds": 60, "on_failure": "continue"}
    place.submit([one], evaluation="none")
    place.advance(61)


@story
def an_upstream_fails_and_another_takes_care(place: Town) -> None:
    cleanup = {"key": "c", "description": "c", "depends_on": [{"key": "a", "when": "failure"}]}
    place.submit([*CHAIN, cleanup])
    does = worker(place)
    does.fail(does.take())


# ---- reviews -------------------------------------------------------------------------------------------------------


def judged(place: Town, decision: str, **fields: Json) -> tuple[str, Worker]:
    """A task of one subtask that is judged so, and who has done it."""
    task = place.submit(["a"], **fields)
    does, judge = worker(place), place.bot("Evaluator")
    does.report(does.take())
    judge.judge(judge.take(), decision)
    return task, does


@story
def a_result_is_rejected_and_judged_once_more(place: Town) -> None:
    task, _ = judged(place, "reject")
    retry(place, task)


@story
def a_subtask_is_done_again_and_then_good(place: Town) -> None:
    _, does = judged(place, "rework", evaluation="each")
    does.report(does.take())
    judge = place.bot("Evaluator")
    judge.judge(judge.take())


@story
def a_subtask_is_rejected(place: Town) -> None:
    judged(place, "reject", evaluation="each")


@story
def a_subtask_has_no_round_left(place: Town) -> None:
    judged(place, "rework", evaluation="each", max_rounds=0)


@story
def the_review_of_a_subtask_fails(place: Town) -> None:
    place.submit(["a"], evaluation="each")
    does, judge = worker(place), place.bot("Evaluator")
    does.report(does.take())
    judge.fail(judge.take())


@story
def a_task_is_cancelled_while_a_subtask_is_judged(place: Town) -> None:
    task = place.submit(["a"], evaluation="each")
    does = worker(place)
    does.report(does.take())
    stopped(place, task)


@story
def rework_opens_what_it_names_and_all_behind_it(place: Town) -> None:
    handled = {"key": "x", "description": "x", "on_failure": "continue", "required_skills": ["x"]}
    behind = {"key": "c", "description": "c", "depends_on": ["a", "x"]}
    place.submit([*CHAIN, handled, behind])
    does, judge = worker(place), place.bot("Evaluator")
    other = place.bot("Executor", "other", skills=["x"], dedicated=True)
    other.fail(other.take())
    does.report(does.take())
    does.report(does.take())
    judge.judge(judge.take(), "rework", targets=[{"subtask": "a", "feedback": "again"}])


# ---- attempts ------------------------------------------------------------------------------------------------------


@story
def work_is_given_back_put_off_and_fails(place: Town) -> None:
    place.submit(["a"])
    does = worker(place)
    does.release(does.take())
    does.release(does.take(), delay_seconds=10)
    place.advance(11)
    does.fail(does.take(), "retryable")
    place.advance(300)
    does.fail(does.take())


@story
def an_attempt_takes_too_long(place: Town) -> None:
    place.submit([{"key": "a", "description": "a", "timeout_seconds": 5}])
    worker(place).take()
    place.advance(6)


@story
def a_lease_never_arrives(place: Town) -> None:
    place.submit(["a"])
    worker(place).take()
    place.advance(LEASE_SECONDS + 1)


@story
def work_silences_every_bot_that_it_meets(place: Town) -> None:
    place.submit(["a"])
    does = worker(place)
    for _ in range(3):
        does.beat(does.take())
        place.advance(LEASE_SECONDS + 300)


@story
def a_task_is_cancelled_while_it_is_worked_on(place: Town) -> None:
    task = place.submit([*CHAIN, "c"])
    worker(place).take()
    stopped(place, task)


# ---- people --------------------------------------------------------------------------------------------------------


def asked(place: Town, **question: Json) -> tuple[str, str]:
    """A task, and what its bot has asked."""
    task = place.submit(["a"])
    does = worker(place)
    return task, does.ask(does.take(), **question)


@story
def a_question_is_answered(place: Town) -> None:
    _, question = asked(place)
    place.approver.ok(f"/approvals/{question}:answer", {"answer": "yes"})


@story
def a_question_is_turned_down(place: Town) -> None:
    _, question = asked(place)
    place.approver.ok(f"/approvals/{question}:reject", {"reason": "no"})


@story
def a_question_is_left_lying(place: Town) -> None:
    asked(place, expires_in_seconds=60)
    place.advance(61)


@story
def a_task_is_cancelled_while_a_person_is_asked(place: Town) -> None:
    task, _ = asked(place)
    stopped(place, task)


# ---- the tables ----------------------------------------------------------------------------------------------------


class Seen:
    """What happened in all stories together."""

    def __init__(self) -> None:
        self.life: set[tuple[Status, Transition]] = set()
        self.reopened: set[Reopening] = set()
        self.task_life: set[tuple[TaskStatus | None, TaskTransition]] = set()


@pytest.fixture(scope="module")
def seen() -> Seen:
    found = Seen()
    after, reopened = states.after, WorkingSet.reopened
    by_status = {status: reopening for reopening, status in REOPEN.items()}

    def watched_after(status: Status, happening: Transition) -> Status:
        following = after(status, happening)
        found.life.add((status, happening))
        return following

    def watched_reopened(world: WorkingSet, task: TaskRecord, work: Work, status: Status) -> None:
        reopened(world, task, work, status)
        found.reopened.add(by_status[status])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(states, "after", watched_after)
        patch.setattr(WorkingSet, "reopened", watched_reopened)
        for each in STORIES:
            with town() as place:
                each(place)
                for task in place.client.read("/tasks")["items"]:
                    found.task_life |= _life_of(place, task["id"])
    return found


def _life_of(place: Town, task: str) -> set[tuple[TaskStatus | None, TaskTransition]]:
    """What its own events tell of the task: from where, and what happened."""
    found = set()
    for event in place.events(task):
        noun, _, happening = event["type"].removeprefix("io.swarmkeeper.").removesuffix(".v1").partition(".")
        if noun == "task" and happening in set(TaskTransition):
            before = event["data"].get("from")
            found.add((None if before is None else TaskStatus(before), TaskTransition(happening)))
    return found


def test_every_row_of_the_life_of_a_work_item_can_be_reached(seen: Seen) -> None:
    missing = [f"{status} {happening}" for status, happening in LIFE if (status, happening) not in seen.life]

    assert missing == []
    assert seen.life == set(LIFE)


def test_every_way_of_opening_a_work_item_again_can_be_reached(seen: Seen) -> None:
    assert [str(row) for row in REOPEN if row not in seen.reopened] == []


def test_every_row_of_the_life_of_a_task_can_be_reached(seen: Seen) -> None:
    missing = [f"{status} {happening}" for status, happening in TASK_LIFE if (status, happening) not in seen.task_life]

    assert missing == []
    assert seen.task_life == set(TASK_LIFE)
