"""End items and tasks: items fail or are cancelled; tasks complete, are reviewed and accepted, or fail."""

from __future__ import annotations

from swarmkeeper.core import events, lookups
from swarmkeeper.core.decide.effects import accounts, deadline, holding, questions, rows, settling
from swarmkeeper.core.decide.effects.steps import begin_job, next_works, step
from swarmkeeper.core.decide.working_set import WorkingSet, failure
from swarmkeeper.core.model import BackgroundJob, TaskRecord, Work
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

# A bot learns of a cancellation by its next heartbeat, a third of its lease later. Then it has this long, in
# microseconds, to report what it has used.
GRACE = 10_000_000

# ---- ends of items -------------------------------------------------------------------------------------------------


def item_ended(working: WorkingSet, task: TaskRecord, work: Work) -> None:
    """Apply the consequences of an execute item that SUCCEEDED or FAILED to its children and its task."""
    if work.status is Status.FAILED and not work.failure_handled:
        code = FailureCode((work.error or {}).get("code", "subtask_failed"))
        fail_task(working, task, code, f"subtask {work.key} failed and nothing handles it", work)
        return
    settling.settle(working, task, work)


def cancel_item(working: WorkingSet, task: TaskRecord, work: Work) -> None:
    """Cancel one item at once, with its lease or open question."""
    if work.status is Status.WAITING and work.wake is None:
        questions.cancel(working, task, work)
    lease = working.lease_of(work)
    if lease is not None:
        accounts.end_attempt(working, task, work, lease, AttemptOutcome.CANCELLED)
    working.move_work(task, work, Transition.CANCELLED)
    working.emit(events.WorkCancelled.of([work]), task=task, work=work)


# ---- ends of tasks -------------------------------------------------------------------------------------------------


def finish_completed_tasks(working: WorkingSet) -> None:
    """Complete each task changed by this command whose subtasks have all ended; start its review or accept it.

    `decide` calls this once, after the whole decision: a decision with several steps (reopen some subtasks, add others)
    may have no open subtask in between.
    """
    for task in working.edited_tasks():
        if task.n_open == 0 and not task.loading and task.status in (TaskStatus.PLANNED, TaskStatus.IN_PROGRESS):
            _finish(working, task)


def _finish(working: WorkingSet, task: TaskRecord) -> None:
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


def fail_task(working: WorkingSet, task: TaskRecord, code: FailureCode, detail: str, work: Work | None = None) -> None:
    """End a task without success; a job cancels its open items."""
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
def _cancel_step(working: WorkingSet, task: TaskRecord, job: BackgroundJob) -> bool:
    """Cancel open items. A leased item keeps its lease for a grace period, so that its bot learns of it."""
    works, last = next_works(working, task, job, lookups.OPEN_WORKS)
    leases = working.get_many(lookups.LEASE, [work.id for work in works])
    gone = []
    for work, lease in zip(works, leases, strict=True):
        if work.status in FINAL:
            continue
        if lease is not None:
            if not lease.cancelled:
                working.edit_lease(lease).cancelled = True
                working.set_timer("lease", work.id, None)
                working.set_timer("ends", work.id, None)
                working.set_timer("grace", work.id, working.now + lease.ttl // 3 + GRACE)
            continue
        working.move_work(task, work, Transition.CANCELLED)
        gone.append(work)
    if gone:
        working.emit(events.WorkCancelled.of(gone), task=task)
    return last


# ---- review and acceptance -----------------------------------------------------------------------------------------


def begin_review(working: WorkingSet, task: TaskRecord) -> None:
    """Start the review of a COMPLETED task, or accept it if it needs none."""
    if task.evaluation is Evaluation.NONE:
        accept(working, task)
    else:
        open_round(working, task)


def review_keys(task: TaskRecord) -> list[str]:
    return [f"review/{task.round}/{number}" for number in range(1, task.quorum[1] + 1)]


def open_round(working: WorkingSet, task: TaskRecord) -> None:
    """Add the final review items, as many as the quorum requires."""
    for number, key in enumerate(review_keys(task)):
        rows.add_item(working, task, Kind.REVIEW, key, excluded=task.contributors, ordinal=number)


def accept(working: WorkingSet, task: TaskRecord) -> None:
    """Accept the result: archive the task, or ask a person first if it needs final approval."""
    if task.approval == "final":
        holding.ask_people(
            working, task, "final", question="Accept this result?", subject=questions.result(working, task)
        )
        return
    archive_accepted(working, task)


def archive_accepted(working: WorkingSet, task: TaskRecord) -> None:
    working.edit_task(task).outcome = Outcome.ACCEPTED
    if task.hold_reasons:  # the task was accepted under a hold: nothing is left to hold or to ask about
        task.hold_reasons = ()
        questions.cancel(working, task)
    working.count_task(task.tenant, -1)
    working.move_task(task, TaskTransition.ACCEPTED, events.TaskAccepted, outcome=Outcome.ACCEPTED)
