"""Decisions of the engine itself: due timers, and the next slice of a job.

A timer is only a hint to check. The current state decides, so a timer that was moved, or fires twice, does no harm.
"""

from __future__ import annotations

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import Continue, TimerFired
from swarmkeeper.core.decide import key_lines, kills, work_rates
from swarmkeeper.core.decide.decisions import approvals
from swarmkeeper.core.decide.decisions import work as work_decisions
from swarmkeeper.core.decide.effects import closing, cooldowns, steps
from swarmkeeper.core.decide.working_set import WorkingSet, failure
from swarmkeeper.core.model import LeaseRecord, TaskRecord, Work
from swarmkeeper.core.states import TASK_CLOSED, AttemptOutcome, FailureCode, Status, TaskStatus, Transition


def timer_fired(working: WorkingSet, command: TimerFired) -> None:
    match command.kind:
        case "deadline":
            _deadline(working, command.ref)
        case "answer":
            approval = working.get(lookups.APPROVAL, command.ref)
            working.set_timer("answer", command.ref, None)
            if approval is not None:
                approvals.expired(working, approval)
        case "start":
            _no_taker(working, command.ref)
        case "wake":
            _wake(working, command.ref)
        case "remind" | "escalate" as kind:
            approvals.reminded(working, kind, working.get(lookups.APPROVAL, command.ref), command.ref)
        case "rate":
            work_rates.moment_came(working, command.ref)
        case kills.TIMER:
            kills.moment_came(working, command.ref)
        case "line":
            key_lines.moment_came(working, command.ref)
        case "cooldown":
            cooldowns.moment_came(working, command.ref)
        case "unseen":
            _never_arrived(working, command)
        case kind:
            _lease(working, kind, command.ref)


def _lease(working: WorkingSet, kind: str, work_id: str) -> None:
    work: Work | None = working.get(lookups.WORK, work_id)
    lease: LeaseRecord | None = working.get(lookups.LEASE, work_id)
    if work is None or lease is None:
        working.set_timer(kind, work_id, None)
        return
    task = working.task(work.task)
    if lease.cancelled or task.status in TASK_CLOSED:  # if closed, the `cancel` job will give it its grace period
        working.set_timer(kind, work_id, None)
        if kind == "grace":
            working.record("work.grace_over", work.id, task=task)
            closing.cancel_item(working, task, work)
    elif kind == "lease":
        expire(working, task, work, lease)
    elif kind == "ends":
        time_out(working, task, work, lease)
    else:
        working.set_timer(kind, work_id, None)


def expire(working: WorkingSet, task: TaskRecord, work: Work, lease: LeaseRecord) -> bool:
    """End the lease of a silent bot; return False while the lease is still valid."""
    if working.now < lease.expires_at:
        working.set_timer("lease", work.id, lease.expires_at)
        return False
    if not lease.seen and working.arrivals.proves(lease):
        working.edit_lease(lease).seen = True
    working.record("work.expire", work.id, task=task, body={"key": work.key, "bot": lease.bot, "seen": lease.seen})
    if lease.seen:
        work_decisions.crashed(working, task, work, lease)
    else:
        unseen(working, task, work, lease)
    return True


def _never_arrived(working: WorkingSet, command: TimerFired) -> None:
    """Take back a lease whose connection was gone before it was answered, unless another call was answered with it."""
    lease: LeaseRecord | None = working.get(lookups.LEASE, command.ref)
    if lease is None or lease.lease_id != command.lease_id or lease.seen or lease.cancelled:
        return
    if command.version is not None and lease.version != command.version:
        return
    work = working.work(command.ref)
    task = working.task(work.task)
    if task.status in TASK_CLOSED:
        return
    working.record("work.unseen", work.id, task=task, body={"key": work.key, "bot": lease.bot})
    unseen(working, task, work, lease)


def unseen(working: WorkingSet, task: TaskRecord, work: Work, lease: LeaseRecord) -> None:
    """Take back a lease that never reached its bot. The fifth in a row, and any later one, counts as a crash."""
    working.edit_work(work).unseen += 1
    if work.unseen > working.limits.unseen_max:
        work_decisions.crashed(working, task, work, lease)
    else:
        work_decisions.give_back(working, task, work, lease, AttemptOutcome.UNSEEN, Transition.LEASE_UNSEEN)


def time_out(working: WorkingSet, task: TaskRecord, work: Work, lease: LeaseRecord) -> bool:
    """End an attempt at its timeout, even if its bot still sends heartbeats; return False before that."""
    if working.now < lease.ends_at:
        working.set_timer("ends", work.id, lease.ends_at)
        return False
    working.record("work.time_out", work.id, task=task, body={"key": work.key, "bot": lease.bot})
    error = {"class": "retryable", "message": f"timed out after {work.timeout // 1_000_000} s"}
    work_decisions.try_failed(
        working, task, work, lease, Transition.TIMED_OUT, ending=AttemptOutcome.TIMED_OUT, error=error
    )
    return True


def _due_item(working: WorkingSet, kind: str, work_id: str, status: Status, due: str) -> tuple[TaskRecord, Work] | None:
    """The task and the item of a timer if it is due; otherwise the timer is set anew, or removed.

    Args:
        status: the only status in which the timer means anything.
        due: the item's field with the moment, in microseconds; None there removes the timer.
    """
    work: Work | None = working.get(lookups.WORK, work_id)
    moment: int | None = None if work is None or work.status is not status else getattr(work, due)
    if work is None or moment is None:
        working.set_timer(kind, work_id, None)
        return None
    if working.now < moment:
        working.set_timer(kind, work_id, moment)
        return None
    task = working.task(work.task)
    if task.status in TASK_CLOSED:
        working.set_timer(kind, work_id, None)
        return None
    return task, work


def _no_taker(working: WorkingSet, work_id: str) -> None:
    found = _due_item(working, "start", work_id, Status.READY, "start_due")
    if found is None:
        return
    task, work = found
    working.record("work.no_taker", work.id, task=task, body={"key": work.key})
    working.move_work(task, work, Transition.EXPIRED)
    work.error = failure("no_taker", "no bot took it in time")
    working.emit(events.WorkExpired(key=work.key, kind=work.kind), task=task, work=work)
    work_decisions.failed(working, task, work)


def _wake(working: WorkingSet, work_id: str) -> None:
    found = _due_item(working, "wake", work_id, Status.WAITING, "wake")
    if found is None:
        return
    task, work = found
    working.record("work.wake", work.id, task=task, body={"key": work.key})
    working.move_work(task, work, Transition.DUE)
    working.emit(events.WorkDue(key=work.key), task=task, work=work)


def _deadline(working: WorkingSet, task_id: str) -> None:
    task: TaskRecord | None = working.get(lookups.TASK, task_id)
    if task is None or task.deadline is None or task.status in TASK_CLOSED or task.status is TaskStatus.COMPLETED:
        working.set_timer("deadline", task_id, None)
        return
    if working.now < task.deadline:
        working.set_timer("deadline", task_id, task.deadline)
        return
    working.record("task.expire", task.id, task=task)
    closing.fail_task(working, task, FailureCode.DEADLINE, "the deadline passed before the work was done")


def continue_job(working: WorkingSet, command: Continue) -> None:
    """Run one slice of a task's oldest job."""
    task = working.task(command.task)
    jobs = working.jobs(task)
    if not jobs:
        return
    job = jobs[0]
    working.record(f"chore.{job.kind}", task.id, task=task)
    if steps.STEPS[job.kind](working, task, job):
        working.end_job(job)
