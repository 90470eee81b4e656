"""What clients and operators do with a task that is there: change, cancel, hold, retry, archive."""

from __future__ import annotations

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import Archive, Cancel, OnTask, Pause, Resume, Retry, Update
from swarmkeeper.core.decide.effects import closing, deadline, holding, loading, questions, steps
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import Forbidden, IllegalTransition, PreconditionFailed, StillStopping
from swarmkeeper.core.model import Json, Task
from swarmkeeper.core.states import (
    FINAL,
    TASK_CLOSED,
    AttemptOutcome,
    FailureCode,
    Outcome,
    Status,
    TaskStatus,
    TaskTransition,
    Transition,
)


def _mine(working: WorkingSet, command: OnTask, action: str) -> Task:
    if not working.rules.may(command.by, action):
        raise Forbidden(working.rules.why_not(command.by, action))
    return working.task(command.task, command.by.tenant)


def _because(command: OnTask) -> dict[str, Json]:
    return {"reason": command.reason} if command.reason else {}


def update(working: WorkingSet, command: Update) -> str:
    task = _mine(working, command, "task.update")
    if command.if_version is not None and command.if_version != task.version:
        raise PreconditionFailed("the task has changed since it was read")
    if task.status in TASK_CLOSED:
        raise IllegalTransition(f"a task that is {task.status} cannot be changed")
    labels = deadline_seconds = priority = None
    if command.labels is not None and dict(command.labels) != dict(task.labels):
        working.edit_task(task).labels = command.labels
        labels = dict(command.labels)
    if command.deadline is not None:
        # Where its clock stands, this is what is left when it goes on.
        working.edit_task(task).deadline_left = command.deadline
        _go_on_with_deadline(working, task)
        deadline_seconds = command.deadline // 1_000_000
    if command.priority is not None and command.priority != task.priority:
        old, priority = task.priority, command.priority
        working.edit_task(task).priority = priority
        steps.begin_job(working, task, "priority", {"old": old, "new": priority})
    event = events.TaskUpdated(labels=labels, deadline_seconds=deadline_seconds, priority=priority)
    if changed := event.scanned():
        working.record("task.update", task.id, task=task, body=changed)
        working.emit(event, task=task)
    return task.id


def cancel(working: WorkingSet, command: Cancel) -> str:
    task = _mine(working, command, "task.cancel")
    if task.outcome is Outcome.CANCELLED:
        return task.id
    if task.status in TASK_CLOSED:
        raise IllegalTransition(f"a task that is {task.status} cannot be cancelled")
    working.record("task.cancel", task.id, task=task, body=_because(command))
    closing.fail_task(working, task, FailureCode.CANCELLED, command.reason or "cancelled on request")
    return task.id


def pause(working: WorkingSet, command: Pause) -> str:
    task = _mine(working, command, "task.pause")
    if "paused" in task.hold_reasons:
        return task.id
    if task.status in TASK_CLOSED:
        raise IllegalTransition(f"a task that is {task.status} cannot be paused")
    working.record("task.pause", task.id, task=task, body=_because(command))
    holding.hold(working, task, "paused")
    return task.id


def resume(working: WorkingSet, command: Resume) -> str:
    task = _mine(working, command, "task.resume")
    if task.status in TASK_CLOSED:
        raise IllegalTransition(f"a task that is {task.status} cannot be resumed")
    if "paused" in task.hold_reasons:
        working.record("task.resume", task.id, task=task, body=_because(command))
        holding.unhold(working, task, "paused")
    return task.id


def archive(working: WorkingSet, command: Archive) -> str:
    task = _mine(working, command, "task.archive")
    if task.status is TaskStatus.ARCHIVED:
        return task.id
    working.record("task.archive", task.id, task=task, body=_because(command))
    working.move_task(task, TaskTransition.ARCHIVED, events.TaskArchived)
    return task.id


def retry(working: WorkingSet, command: Retry) -> str:
    """Take a failed task up again where it stopped: what failed or was cancelled, and all behind it, starts afresh."""
    task = _mine(working, command, "task.retry")
    if task.status is TaskStatus.ARCHIVED:
        raise IllegalTransition("a task that is ARCHIVED cannot be retried")
    if task.status is not TaskStatus.FAILED:
        return task.id  # it goes on already
    if working.jobs(task):
        raise StillStopping("the task is still stopping", retry_after=1)
    _drop_graces(working, task)
    working.record("task.retry", task.id, task=task, body=_because(command))
    found, _ = working.get(lookups.GRAPH, task.id)
    works = [working.work(work_id) for work_id in found]
    roots = [
        work.id
        for work in works
        if work.status is Status.CANCELLED or (work.status is Status.FAILED and not work.failure_handled)
    ]
    working.edit_task(task)
    task.outcome = task.failure = None
    working.count_task(task.tenant, 1)
    task.round += 1
    task.reworks = 0
    # What is left of a deadline that has passed is no time at all: without a new one there is none.
    task.deadline_left = command.deadline if command.deadline is not None else task.deadline_left or None
    if not task.planned:
        working.move_task(task, TaskTransition.RETRIED_TO_PLAN, events.TaskRetriedToPlan, round=task.round)
        plan = working.work_by_key(task, "plan")
        assert plan is not None, "a task without a plan has an item that asks for one"
        working.reopened(task, plan, Status.READY)
        plan.checkpoint = None
    elif roots or task.n_open:
        if task.started:
            working.move_task(task, TaskTransition.RETRIED_TO_WORK, events.TaskRetriedToWork, round=task.round)
        else:
            working.move_task(task, TaskTransition.RETRIED_TO_START, events.TaskRetriedToStart, round=task.round)
        if task.approval == "plan" and not task.started:
            # A plan that was denied is not carried out by asking again: the person is asked again.
            subject = questions.plan_again(working, task, works)
            by = command.by.key_id
            holding.ask_people(working, task, "plan", question="Carry out this plan?", subject=subject, asked_by=by)
        loading.reopen(working, task, roots, clear=True)
    else:
        working.move_task(task, TaskTransition.RETRIED_TO_REVIEW, events.TaskRetriedToReview, round=task.round)
        closing.begin_review(working, task)
    _go_on_with_deadline(working, task)
    return task.id


def _go_on_with_deadline(working: WorkingSet, task: Task) -> None:
    if task.status is not TaskStatus.COMPLETED and not set(task.hold_reasons) - {"paused"}:
        deadline.start(working, task)


def _drop_graces(working: WorkingSet, task: Task) -> None:
    """Leases that were let run on for their grace end now."""
    size = working.limits.slice_rows
    found = working.get(lookups.OPEN_WORKS, (task.id, "", size))
    if len(found) == size:
        raise StillStopping("the task is still stopping", retry_after=1)
    for work_id in found:
        work = working.work(work_id)
        lease = working.lease_of(work)
        if lease is not None:
            working.end_lease(task, work, lease, AttemptOutcome.CANCELLED)
        if work.status not in FINAL:
            working.move_work(task, work, Transition.CANCELLED)
    cancelled = [working.work(work_id) for work_id in found]
    if cancelled:
        working.emit(events.WorkCancelled.of(cancelled), task=task)
