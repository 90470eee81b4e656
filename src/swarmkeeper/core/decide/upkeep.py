"""What the engine does of itself: timers that fell due, and the next slice of a chore.

A timer only says: look again. What it finds decides, so that a timer that was moved, or fires twice, does no harm.
"""

from __future__ import annotations

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import Continue, Fire
from swarmkeeper.core.decide import closing, oversight, steps
from swarmkeeper.core.decide import work as work_decisions
from swarmkeeper.core.model import Lease, Task, Work
from swarmkeeper.core.states import TASK_CLOSED, Ending, FailureCode, Happening, Status, TaskStatus
from swarmkeeper.core.world import World, failure


def fire(world: World, command: Fire) -> None:
    match command.kind:
        case "deadline":
            _deadline(world, command.ref)
        case "answer":
            approval = world.get(lookups.APPROVAL, command.ref)
            world.set_timer("answer", command.ref, None)
            if approval is not None:
                oversight.expired(world, approval)
        case "start":
            _no_taker(world, command.ref)
        case "wake":
            _wake(world, command.ref)
        case "unseen":
            _never_arrived(world, command)
        case kind:
            _lease(world, kind, command.ref)


def _lease(world: World, kind: str, work_id: str) -> None:
    work: Work | None = world.get(lookups.WORK, work_id)
    lease: Lease | None = world.get(lookups.LEASE, work_id)
    if work is None or lease is None:
        world.set_timer(kind, work_id, None)
        return
    task = world.task(work.task)
    if lease.cancelled or task.status in TASK_CLOSED:  # the latter: its sweep comes, and gives it its grace
        world.set_timer(kind, work_id, None)
        if kind == "grace":
            world.record("work.grace_over", work.id, task=task)
            closing.cancel_item(world, task, work)
    elif kind == "lease":
        expire(world, task, work, lease)
    elif kind == "ends":
        time_out(world, task, work, lease)
    else:
        world.set_timer(kind, work_id, None)


def expire(world: World, task: Task, work: Work, lease: Lease) -> bool:
    """Take the item back from a silent bot; False while the lease is alive."""
    if world.now < lease.expires_at:
        world.set_timer("lease", work.id, lease.expires_at)
        return False
    if not lease.seen and world.arrivals.proves(lease):
        world.edit_lease(lease).seen = True
    world.record("work.expire", work.id, task=task, body={"key": work.key, "bot": lease.bot, "seen": lease.seen})
    if lease.seen:
        work_decisions.crashed(world, task, work, lease)
    else:
        unseen(world, task, work, lease)
    return True


def _never_arrived(world: World, command: Fire) -> None:
    """The connection that waited for this lease was gone before it was answered."""
    lease: Lease | None = world.get(lookups.LEASE, command.ref)
    if lease is None or lease.lease_id != command.lease_id or lease.seen or lease.cancelled:
        return
    work = world.work(command.ref)
    task = world.task(work.task)
    if task.status in TASK_CLOSED:
        return
    world.record("work.unseen", work.id, task=task, body={"key": work.key, "bot": lease.bot})
    unseen(world, task, work, lease)


def unseen(world: World, task: Task, work: Work, lease: Lease) -> None:
    """Take back a lease that never reached its bot. From the fifth in a row on it counts as a crash."""
    world.edit_work(work).unseen += 1
    if work.unseen > world.limits.unseen_max:
        work_decisions.crashed(world, task, work, lease)
    else:
        work_decisions.give_back(world, task, work, lease, Ending.UNSEEN, Happening.LEASE_UNSEEN)


def time_out(world: World, task: Task, work: Work, lease: Lease) -> bool:
    """End an attempt that takes too long, whether or not its bot still beats."""
    if world.now < lease.ends_at:
        world.set_timer("ends", work.id, lease.ends_at)
        return False
    world.record("work.time_out", work.id, task=task, body={"key": work.key, "bot": lease.bot})
    error = {"class": "retryable", "message": f"timed out after {work.timeout // 1_000_000} s"}
    work_decisions.try_failed(world, task, work, lease, Happening.TIMED_OUT, ending=Ending.TIMED_OUT, error=error)
    return True


def _no_taker(world: World, work_id: str) -> None:
    work: Work | None = world.get(lookups.WORK, work_id)
    if work is None or work.status is not Status.READY or work.start_due is None:
        world.set_timer("start", work_id, None)
        return
    if world.now < work.start_due:
        world.set_timer("start", work_id, work.start_due)
        return
    task = world.task(work.task)
    if task.status in TASK_CLOSED:
        world.set_timer("start", work_id, None)
        return
    world.record("work.no_taker", work.id, task=task, body={"key": work.key})
    world.happened(task, work, Happening.EXPIRED)
    work.error = failure("no_taker", "no bot took it in time")
    world.emit(events.WorkExpired(key=work.key, kind=work.kind), task=task, work=work)
    work_decisions.failed(world, task, work)


def _wake(world: World, work_id: str) -> None:
    work: Work | None = world.get(lookups.WORK, work_id)
    if work is None or work.status is not Status.WAITING or work.wake is None:
        world.set_timer("wake", work_id, None)
        return
    if world.now < work.wake:
        world.set_timer("wake", work_id, work.wake)
        return
    task = world.task(work.task)
    if task.status in TASK_CLOSED:
        world.set_timer("wake", work_id, None)
        return
    world.record("work.wake", work.id, task=task, body={"key": work.key})
    world.happened(task, work, Happening.DUE)
    world.emit(events.WorkDue(key=work.key), task=task, work=work)


def _deadline(world: World, task_id: str) -> None:
    task: Task | None = world.get(lookups.TASK, task_id)
    if task is None or task.deadline is None or task.status in TASK_CLOSED or task.status is TaskStatus.COMPLETED:
        world.set_timer("deadline", task_id, None)
        return
    if world.now < task.deadline:
        world.set_timer("deadline", task_id, task.deadline)
        return
    world.record("task.expire", task.id, task=task)
    closing.fail_task(world, task, FailureCode.DEADLINE, "the deadline passed before the work was done")


def go_on(world: World, command: Continue) -> None:
    """Do one slice of the oldest chore of a task."""
    task = world.task(command.task)
    chores = world.chores(task)
    if not chores:
        return
    chore = chores[0]
    world.record(f"chore.{chore.kind}", task.id, task=task)
    if steps.STEPS[chore.kind](world, task, chore):
        world.end_chore(chore)
