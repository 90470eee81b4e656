"""Ends: an item fails or is cancelled; a task is completed, reviewed and accepted, or it fails or is cancelled."""

from __future__ import annotations

from swarmkeeper.core import events, lookups
from swarmkeeper.core.decide import asking, deadline, holding, rows, settling
from swarmkeeper.core.decide.steps import begin_chore, step
from swarmkeeper.core.model import Chore, Task, Work
from swarmkeeper.core.states import (
    FINAL,
    OUTCOME_OF,
    TASK_CLOSED,
    Ending,
    Evaluation,
    FailureCode,
    Happening,
    Kind,
    Outcome,
    Status,
    TaskHappening,
    TaskStatus,
)
from swarmkeeper.core.world import World, failure

# ---- ends of items -------------------------------------------------------------------------------------------------


def item_ended(world: World, task: Task, work: Work) -> None:
    """An execute item has become SUCCEEDED or FAILED: what follows for those behind it, and for the task."""
    if work.status is Status.FAILED and not work.handled:
        code = FailureCode((work.error or {}).get("code", "subtask_failed"))
        fail_task(world, task, code, f"subtask {work.key} failed and nothing handles it", work)
        return
    settling.settle(world, task, work)


def cancel_item(world: World, task: Task, work: Work) -> None:
    """Cancel one item at once, its lease or its open question with it."""
    if work.status is Status.WAITING and work.wake is None:
        asking.cancel(world, task, work)
    lease = world.lease_of(work)
    if lease is not None:
        world.end_lease(task, work, lease, Ending.CANCELLED)
    world.happened(task, work, Happening.CANCELLED)
    world.emit(events.WorkCancelled.of([work]), task=task, work=work)


# ---- ends of tasks -------------------------------------------------------------------------------------------------


def finish_what_is_done(world: World) -> None:
    """Complete each task that this command has changed and of which every subtask has ended; then its review begins,
    or it is accepted.

    `decide` asks this once, after the whole decision. A decision that changes several things (opens some subtasks
    again and adds others) has moments in between in which nothing is open.
    """
    for task in world.edited_tasks():
        if task.n_open == 0 and not task.loading and task.status in (TaskStatus.PLANNED, TaskStatus.IN_PROGRESS):
            _finish(world, task)


def _finish(world: World, task: Task) -> None:
    world.task_happened(
        task,
        TaskHappening.FINISHED,
        events.TaskFinished,
        total=task.n_total,
        failed=task.n_failed,
        round=task.round,
    )
    deadline.stop(world, task)
    begin_review(world, task)


def fail_task(world: World, task: Task, code: FailureCode, detail: str, work: Work | None = None) -> None:
    """End a task without success; what is open of it is swept up."""
    if task.status in TASK_CLOSED:
        return
    outcome = OUTCOME_OF[code]
    world.edit_task(task)
    task.failure = failure(str(code), world.rules.text(detail, tenant=task.tenant), work)
    task.outcome = outcome
    world.count_task(task.tenant, -1)
    task.holds = ()
    deadline.stop(world, task)
    asking.cancel(world, task)
    world.task_happened(task, TaskHappening.FAILED, events.TaskFailed, outcome=outcome, code=code, detail=detail)
    begin_chore(world, task, "cancel", {})


@step("cancel")
def _cancel_step(world: World, task: Task, chore: Chore) -> bool:
    """Cancel what is open. A leased item keeps its lease for a grace, so that its bot hears of it."""
    size = world.limits.slice_rows
    found = world.get(lookups.OPEN_WORKS, (task.id, chore.cursor, size))
    works = [world.work(work_id) for work_id in found]
    leases = dict(zip(found, world.get_many(lookups.LEASE, found), strict=True))
    gone = []
    for work in works:
        if work.status in FINAL:  # since this very command: the list is of what is stored
            continue
        lease = leases[work.id]
        if lease is not None:
            if not lease.cancelled:
                world.edit_lease(lease).cancelled = True
                world.set_timer("lease", work.id, None)
                world.set_timer("ends", work.id, None)
                world.set_timer("grace", work.id, world.now + lease.ttl // 3 + 10_000_000)
            continue
        world.happened(task, work, Happening.CANCELLED)
        gone.append(work)
    if gone:
        world.emit(events.WorkCancelled.of(gone), task=task)
    if found:
        world.edit_chore(chore).cursor = found[-1]
    return len(found) < size


# ---- review and acceptance -----------------------------------------------------------------------------------------


def begin_review(world: World, task: Task) -> None:
    """What follows once a task is COMPLETED."""
    if task.evaluation is Evaluation.NONE:
        accept(world, task)
    else:
        open_round(world, task)


def review_keys(task: Task) -> list[str]:
    return [f"review/{task.round}/{number}" for number in range(1, task.quorum[1] + 1)]


def open_round(world: World, task: Task) -> None:
    """Ask for as many independent judgements of the whole as the quorum names."""
    for number, key in enumerate(review_keys(task)):
        rows.add_item(world, task, Kind.REVIEW, key, excluded=task.makers, ordinal=number)


def accept(world: World, task: Task) -> None:
    """The result is good: archive the task, or ask the person who has the last word."""
    if task.approval == "final":
        holding.ask_people(world, task, "final", question="Accept this result?", subject=asking.result(world, task))
        return
    archive_accepted(world, task)


def archive_accepted(world: World, task: Task) -> None:
    world.edit_task(task).outcome = Outcome.ACCEPTED
    if task.holds:  # what was done under a hold: nothing is left to be held, or to be asked about
        task.holds = ()
        asking.cancel(world, task)
    world.count_task(task.tenant, -1)
    world.task_happened(task, TaskHappening.ACCEPTED, events.TaskAccepted, outcome=Outcome.ACCEPTED)
