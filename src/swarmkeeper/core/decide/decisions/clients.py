"""Decisions on existing tasks, for clients and operators: update, cancel, pause, resume, retry, archive."""

from __future__ import annotations

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import Archive, Cancel, OnTask, Pause, Resume, RetryFailedTask, Update
from swarmkeeper.core.decide import policies
from swarmkeeper.core.decide.decisions import budgets
from swarmkeeper.core.decide.effects import accounts, closing, deadline, holding, loading, questions, steps, tallies
from swarmkeeper.core.decide.effects.owners import check_may, seen_task
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.erasure.lookups import ERASED_AT
from swarmkeeper.core.errors import Erased, IllegalTransition, PreconditionFailed, StillStopping
from swarmkeeper.core.model import Json, TaskRecord
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


def _own_task(working: WorkingSet, command: OnTask, action: str) -> TaskRecord:
    check_may(working, command.by, action)
    return seen_task(working, command.by, command.task)


def _reason(command: OnTask) -> dict[str, Json]:
    return {"reason": command.reason} if command.reason else {}


def update(working: WorkingSet, command: Update) -> str:
    task = _own_task(working, command, "task.update")
    if command.if_version is not None and command.if_version != task.version:
        raise PreconditionFailed("the task has changed since it was read")
    if task.status in TASK_CLOSED:
        raise IllegalTransition(f"a task that is {task.status} cannot be changed")
    after = task.labels if command.labels is None else command.labels
    policies.update(working, command.by, task, after, task.priority if command.priority is None else command.priority)
    labels = deadline_seconds = priority = None
    if command.labels is not None and dict(command.labels) != dict(task.labels):
        tallies.relabel(working, task, command.labels)
        working.edit_task(task).labels = command.labels
        labels = dict(command.labels)
    if command.deadline is not None:
        # If the deadline's clock is stopped, this is the remaining time when it continues.
        working.edit_task(task).deadline_left = command.deadline
        _go_on_with_deadline(working, task)
        deadline_seconds = command.deadline // 1_000_000
    if command.budget is not None:
        budgets.change(working, task, command.budget)
    if command.priority is not None and command.priority != task.priority:
        old, priority = task.priority, command.priority
        working.edit_task(task).priority = priority
        steps.begin_job(working, task, "priority", {"old": old, "new": priority})
    event = events.TaskUpdated(labels=labels, deadline_seconds=deadline_seconds, priority=priority)
    changed = event.scanned()
    if changed or command.budget is not None:
        budget = {} if command.budget is None else {"budget": dict(command.budget)}
        working.record("task.update", task.id, task=task, body={**changed, **budget})
    if changed:
        working.emit(event, task=task)
    return task.id


def cancel(working: WorkingSet, command: Cancel) -> str:
    task = _own_task(working, command, "task.cancel")
    if task.outcome is Outcome.CANCELLED:
        return task.id
    if task.status in TASK_CLOSED:
        raise IllegalTransition(f"a task that is {task.status} cannot be cancelled")
    working.record("task.cancel", task.id, task=task, body=_reason(command))
    closing.fail_task(working, task, FailureCode.CANCELLED, command.reason or "cancelled on request")
    return task.id


def pause(working: WorkingSet, command: Pause) -> str:
    task = _own_task(working, command, "task.pause")
    if "paused" in task.hold_reasons:
        return task.id
    if task.status in TASK_CLOSED:
        raise IllegalTransition(f"a task that is {task.status} cannot be paused")
    working.record("task.pause", task.id, task=task, body=_reason(command))
    holding.hold(working, task, "paused")
    return task.id


def resume(working: WorkingSet, command: Resume) -> str:
    task = _own_task(working, command, "task.resume")
    if task.status in TASK_CLOSED:
        raise IllegalTransition(f"a task that is {task.status} cannot be resumed")
    if "paused" in task.hold_reasons:
        working.record("task.resume", task.id, task=task, body=_reason(command))
        holding.unhold(working, task, "paused")
    return task.id


def archive(working: WorkingSet, command: Archive) -> str:
    task = _own_task(working, command, "task.archive")
    if task.status is TaskStatus.ARCHIVED:
        return task.id
    working.record("task.archive", task.id, task=task, body=_reason(command))
    working.move_task(task, TaskTransition.ARCHIVED, events.TaskArchived)
    return task.id


def retry(working: WorkingSet, command: RetryFailedTask) -> str:
    """Continue a failed task: failed and cancelled subtasks, and everything downstream, start again. Return its id."""
    task = _own_task(working, command, "task.retry")
    if task.status is TaskStatus.ARCHIVED:
        raise IllegalTransition("a task that is ARCHIVED cannot be retried")
    if task.status is not TaskStatus.FAILED:
        return task.id  # it is active already
    if working.jobs(task):
        raise StillStopping("the task is still stopping", retry_after=1)
    if task.created_at <= working.get(ERASED_AT, task.tenant):
        raise Erased("what this task had was erased with the data keys of its tenant")
    _end_grace_periods(working, task)
    working.record("task.retry", task.id, task=task, body=_reason(command))
    if command.budget is not None:
        budgets.change(working, task, command.budget)
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
    # A deadline that has passed has no remaining time: without a new one, the task has no deadline.
    task.deadline_left = command.deadline if command.deadline is not None else task.deadline_left or None
    if not task.planned:
        working.move_task(task, TaskTransition.RETRIED_TO_PLAN, events.TaskRetriedToPlan, round=task.round)
        plan = working.work_by_key(task, "plan")
        assert plan is not None, "a task without a plan must have a plan item"
        working.reopened(task, plan, Status.READY)
        working.keep_checkpoint(task, plan, None)
    elif roots or task.n_open:
        if task.started:
            working.move_task(task, TaskTransition.RETRIED_TO_WORK, events.TaskRetriedToWork, round=task.round)
        else:
            working.move_task(task, TaskTransition.RETRIED_TO_START, events.TaskRetriedToStart, round=task.round)
        if task.approval == "plan" and not task.started:
            # A retry must not carry out a plan that a person rejected: ask again.
            subject = questions.plan_again(working, task, works)
            by = command.by.key_id
            holding.ask_people(working, task, "plan", question="Carry out this plan?", subject=subject, asked_by=by)
        loading.reopen(working, task, roots, clear=True)
    else:
        working.move_task(task, TaskTransition.RETRIED_TO_REVIEW, events.TaskRetriedToReview, round=task.round)
        closing.begin_review(working, task)
    _go_on_with_deadline(working, task)
    return task.id


def _go_on_with_deadline(working: WorkingSet, task: TaskRecord) -> None:
    if task.status is not TaskStatus.COMPLETED and not set(task.hold_reasons) - {"paused", accounts.HOLD}:
        deadline.start(working, task)


def _end_grace_periods(working: WorkingSet, task: TaskRecord) -> None:
    """End the leases that are still in their grace period."""
    size = working.limits.slice_rows
    found = working.get(lookups.OPEN_WORKS, (task.id, "", size))
    if len(found) == size:
        raise StillStopping("the task is still stopping", retry_after=1)
    for work_id in found:
        work = working.work(work_id)
        lease = working.lease_of(work)
        if lease is not None:
            accounts.end_attempt(working, task, work, lease, AttemptOutcome.CANCELLED)
        if work.status not in FINAL:
            working.move_work(task, work, Transition.CANCELLED)
    cancelled = [working.work(work_id) for work_id in found]
    if cancelled:
        working.emit(events.WorkCancelled.of(cancelled), task=task)
