"""What clients and operators do with a task that is there: change, cancel, hold, retry, archive."""

from __future__ import annotations

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import Archive, Cancel, OnTask, Pause, Resume, Retry, Update
from swarmkeeper.core.decide import asking, closing, deadline, holding, loading, steps
from swarmkeeper.core.errors import Forbidden, IllegalTransition, PreconditionFailed, StillStopping
from swarmkeeper.core.model import Json, Task
from swarmkeeper.core.states import (
    FINAL,
    TASK_CLOSED,
    Ending,
    FailureCode,
    Happening,
    Outcome,
    Status,
    TaskHappening,
    TaskStatus,
)
from swarmkeeper.core.world import World


def _mine(world: World, command: OnTask, action: str) -> Task:
    if not world.rules.may(command.by, action):
        raise Forbidden(world.rules.why_not(command.by, action))
    return world.task(command.task, command.by.tenant)


def _because(command: OnTask) -> dict[str, Json]:
    return {"reason": command.reason} if command.reason else {}


def update(world: World, command: Update) -> str:
    task = _mine(world, command, "task.update")
    if command.if_version is not None and command.if_version != task.version:
        raise PreconditionFailed("the task has changed since it was read")
    if task.status in TASK_CLOSED:
        raise IllegalTransition(f"a task that is {task.status} cannot be changed")
    labels = deadline_seconds = priority = None
    if command.labels is not None and dict(command.labels) != dict(task.labels):
        world.edit_task(task).labels = command.labels
        labels = dict(command.labels)
    if command.deadline is not None:
        # Where its clock stands, this is what is left when it goes on.
        world.edit_task(task).deadline_left = command.deadline
        _go_on_with_deadline(world, task)
        deadline_seconds = command.deadline // 1_000_000
    if command.priority is not None and command.priority != task.priority:
        old, priority = task.priority, command.priority
        world.edit_task(task).priority = priority
        steps.begin_chore(world, task, "priority", {"old": old, "new": priority})
    event = events.TaskUpdated(labels=labels, deadline_seconds=deadline_seconds, priority=priority)
    if changed := event.scanned():
        world.record("task.update", task.id, task=task, body=changed)
        world.emit(event, task=task)
    return task.id


def cancel(world: World, command: Cancel) -> str:
    task = _mine(world, command, "task.cancel")
    if task.outcome is Outcome.CANCELLED:
        return task.id
    if task.status in TASK_CLOSED:
        raise IllegalTransition(f"a task that is {task.status} cannot be cancelled")
    world.record("task.cancel", task.id, task=task, body=_because(command))
    closing.fail_task(world, task, FailureCode.CANCELLED, command.reason or "cancelled on request")
    return task.id


def pause(world: World, command: Pause) -> str:
    task = _mine(world, command, "task.pause")
    if "paused" in task.holds:
        return task.id
    if task.status in TASK_CLOSED:
        raise IllegalTransition(f"a task that is {task.status} cannot be paused")
    world.record("task.pause", task.id, task=task, body=_because(command))
    holding.hold(world, task, "paused")
    return task.id


def resume(world: World, command: Resume) -> str:
    task = _mine(world, command, "task.resume")
    if task.status in TASK_CLOSED:
        raise IllegalTransition(f"a task that is {task.status} cannot be resumed")
    if "paused" in task.holds:
        world.record("task.resume", task.id, task=task, body=_because(command))
        holding.unhold(world, task, "paused")
    return task.id


def archive(world: World, command: Archive) -> str:
    task = _mine(world, command, "task.archive")
    if task.status is TaskStatus.ARCHIVED:
        return task.id
    world.record("task.archive", task.id, task=task, body=_because(command))
    world.task_happened(task, TaskHappening.ARCHIVED, events.TaskArchived)
    return task.id


def retry(world: World, command: Retry) -> str:
    """Take a failed task up again where it stopped: what failed or was cancelled, and all behind it, starts afresh."""
    task = _mine(world, command, "task.retry")
    if task.status is TaskStatus.ARCHIVED:
        raise IllegalTransition("a task that is ARCHIVED cannot be retried")
    if task.status is not TaskStatus.FAILED:
        return task.id  # it goes on already
    if world.chores(task):
        raise StillStopping("the task is still stopping", retry_after=1)
    _drop_graces(world, task)
    world.record("task.retry", task.id, task=task, body=_because(command))
    found, _ = world.get(lookups.GRAPH, task.id)
    works = [world.work(work_id) for work_id in found]
    roots = [
        work.id
        for work in works
        if work.status is Status.CANCELLED or (work.status is Status.FAILED and not work.handled)
    ]
    world.edit_task(task)
    task.outcome = task.failure = None
    world.count_task(task.tenant, 1)
    task.round += 1
    task.reworks = 0
    # What is left of a deadline that has passed is no time at all: without a new one there is none.
    task.deadline_left = command.deadline if command.deadline is not None else task.deadline_left or None
    if not task.planned:
        world.task_happened(task, TaskHappening.RETRIED_TO_PLAN, events.TaskRetriedToPlan, round=task.round)
        plan = world.work_by_key(task, "plan")
        assert plan is not None, "a task without a plan has an item that asks for one"
        world.reopened(task, plan, Status.READY)
        plan.checkpoint = None
    elif roots or task.n_open:
        if task.started:
            world.task_happened(task, TaskHappening.RETRIED_TO_WORK, events.TaskRetriedToWork, round=task.round)
        else:
            world.task_happened(task, TaskHappening.RETRIED_TO_START, events.TaskRetriedToStart, round=task.round)
        if task.approval == "plan" and not task.started:
            # A plan that was denied is not carried out by asking again: the person is asked again.
            subject = asking.plan_again(world, task, works)
            by = command.by.key_id
            holding.ask_people(world, task, "plan", question="Carry out this plan?", subject=subject, asked_by=by)
        loading.reopen(world, task, roots, clear=True)
    else:
        world.task_happened(task, TaskHappening.RETRIED_TO_REVIEW, events.TaskRetriedToReview, round=task.round)
        closing.begin_review(world, task)
    _go_on_with_deadline(world, task)
    return task.id


def _go_on_with_deadline(world: World, task: Task) -> None:
    if task.status is not TaskStatus.COMPLETED and not set(task.holds) - {"paused"}:
        deadline.start(world, task)


def _drop_graces(world: World, task: Task) -> None:
    """Leases that were let run on for their grace end now."""
    size = world.limits.slice_rows
    found = world.get(lookups.OPEN_WORKS, (task.id, "", size))
    if len(found) == size:
        raise StillStopping("the task is still stopping", retry_after=1)
    for work_id in found:
        work = world.work(work_id)
        lease = world.lease_of(work)
        if lease is not None:
            world.end_lease(task, work, lease, Ending.CANCELLED)
        if work.status not in FINAL:
            world.happened(task, work, Happening.CANCELLED)
    cancelled = [world.work(work_id) for work_id in found]
    if cancelled:
        world.emit(events.WorkCancelled.of(cancelled), task=task)
