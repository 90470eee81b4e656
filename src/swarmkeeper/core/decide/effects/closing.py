"""Ends: an item fails or is cancelled; a task is completed, reviewed and accepted, or it fails or is cancelled."""

from __future__ import annotations

from swarmkeeper.core import events, lookups
from swarmkeeper.core.decide.effects import deadline, holding, questions, rows, settling
from swarmkeeper.core.decide.effects.steps import begin_job, step
from swarmkeeper.core.decide.working_set import WorkingSet, failure
from swarmkeeper.core.model import BackgroundJob, Task, Work
from swarmkeeper.core.states import (
    FINAL,
    OUTCOME_OF,
    TASK_CLOSED,
    AttemptOutcome,
    Evaluation,
    FailureCode,
    Kind,
    Outcome,
    Status,
    TaskStatus,
    TaskTransition,
    Transition,
)

# ---- ends of items -------------------------------------------------------------------------------------------------


def item_ended(working: WorkingSet, task: Task, work: Work) -> None:
    """An execute item has become SUCCEEDED or FAILED: what follows for those behind it, and for the task."""
    if work.status is Status.FAILED and not work.failure_handled:
        code = FailureCode((work.error or {}).get("code", "subtask_failed"))
        fail_task(working, task, code, f"subtask {work.key} failed and nothing handles it", work)
        return
    settling.settle(working, task, work)


def cancel_item(working: WorkingSet, task: Task, work: Work) -> None:
    """Cancel one item at once, its lease or its open question with it."""
    if work.status is Status.WAITING and work.wake is None:
        questions.cancel(working, task, work)
    lease = working.lease_of(work)
    if lease is not None:
        working.end_lease(task, work, lease, AttemptOutcome.CANCELLED)
    working.move_work(task, work, Transition.CANCELLED)
    working.emit(events.WorkCancelled.of([work]), task=task, work=work)


# ---- ends of tasks -------------------------------------------------------------------------------------------------


def finish_what_is_done(working: WorkingSet) -> None:
    """Complete each task that this command has changed and of which every subtask has ended; then its review begins,
    or it is accepted.

    `decide` asks this once, after the whole decision. A decision that changes several things (opens some subtasks
    again and adds others) has moments in between in which nothing is open.
    """
    for task in working.edited_tasks():
        if task.n_open == 0 and not task.loading and task.status in (TaskStatus.PLANNED, TaskStatus.IN_PROGRESS):
            _finish(working, task)


def _finish(working: WorkingSet, task: Task) -> None:
    working.move_task(
        task,
        TaskTransition.FINISHED,
        events.TaskFinished,
        total=task.n_total,
        failed=task.n_failed,
        round=task.round,
    )
    deadline.stop(working, task)
    begin_review(working, task)


def fail_task(working: WorkingSet, task: Task, code: FailureCode, detail: str, work: Work | None = None) -> None:
    """End a task without success; what is open of it is swept up."""
    if task.status in TASK_CLOSED:
        return
    outcome = OUTCOME_OF[code]
    working.edit_task(task)
    task.failure = failure(str(code), working.rules.text(detail, tenant=task.tenant), work)
    task.outcome = outcome
    working.count_task(task.tenant, -1)
    task.hold_reasons = ()
    deadline.stop(working, task)
    questions.cancel(working, task)
    working.move_task(task, TaskTransition.FAILED, events.TaskFailed, outcome=outcome, code=code, detail=detail)
    begin_job(working, task, "cancel", {})


@step("cancel")
def _cancel_step(working: WorkingSet, task: Task, job: BackgroundJob) -> bool:
    """Cancel what is open. A leased item keeps its lease for a grace, so that its bot hears of it."""
    size = working.limits.slice_rows
    found = working.get(lookups.OPEN_WORKS, (task.id, job.cursor, size))
    works = [working.work(work_id) for work_id in found]
    leases = dict(zip(found, working.get_many(lookups.LEASE, found), strict=True))
    gone = []
    for work in works:
        if work.status in FINAL:  # since this very command: the list is of what is stored
            continue
        lease = leases[work.id]
        if lease is not None:
            if not lease.cancelled:
                working.edit_lease(lease).cancelled = True
                working.set_timer("lease", work.id, None)
                working.set_timer("ends", work.id, None)
                working.set_timer("grace", work.id, working.now + lease.ttl // 3 + 10_000_000)
            continue
        working.move_work(task, work, Transition.CANCELLED)
        gone.append(work)
    if gone:
        working.emit(events.WorkCancelled.of(gone), task=task)
    if found:
        working.edit_job(job).cursor = found[-1]
    return len(found) < size


# ---- review and acceptance -----------------------------------------------------------------------------------------


def begin_review(working: WorkingSet, task: Task) -> None:
    """What follows once a task is COMPLETED."""
    if task.evaluation is Evaluation.NONE:
        accept(working, task)
    else:
        open_round(working, task)


def review_keys(task: Task) -> list[str]:
    return [f"review/{task.round}/{number}" for number in range(1, task.quorum[1] + 1)]


def open_round(working: WorkingSet, task: Task) -> None:
    """Ask for as many independent judgements of the whole as the quorum names."""
    for number, key in enumerate(review_keys(task)):
        rows.add_item(working, task, Kind.REVIEW, key, excluded=task.contributors, ordinal=number)


def accept(working: WorkingSet, task: Task) -> None:
    """The result is good: archive the task, or ask the person who has the last word."""
    if task.approval == "final":
        holding.ask_people(
            working, task, "final", question="Accept this result?", subject=questions.result(working, task)
        )
        return
    archive_accepted(working, task)


def archive_accepted(working: WorkingSet, task: Task) -> None:
    working.edit_task(task).outcome = Outcome.ACCEPTED
    if task.hold_reasons:  # what was done under a hold: nothing is left to be held, or to be asked about
        task.hold_reasons = ()
        questions.cancel(working, task)
    working.count_task(task.tenant, -1)
    working.move_task(task, TaskTransition.ACCEPTED, events.TaskAccepted, outcome=Outcome.ACCEPTED)
