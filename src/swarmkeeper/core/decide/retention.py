"""Decisions on what leaves the store: legal holds, finished tasks, the oldest audit records.

Theory. A finished task leaves as a background job (effects/steps.py): each slice erases a bounded number of rows in one
commit, and notes how far it came in the same commit, so a process may die between any two of them. Bodies of audit
records go first, with the events of no task that they list: only the body proves those. It lists the task's own events,
too, which go later. The row of the task goes last. The first slice
makes the audit record `task.erase`, which proves that the bodies of this task's records were erased and not lost.

The slices find the records of the task by their numbers, and in PostgreSQL a record gets its number some time after its
commit. So nothing is erased before all that was committed about the task has its numbers (`_is_settled`). From then on
the job is there, and nothing about the task is recorded but its erasure (`LoadedRows.record`): a record that came later
would keep its body. Only a count of reads may still come. It has no text of the task, and waits for no lock.

The event `task.erased` belongs to no task. It has a later number than every event that leaves, so the last number in
the feed never becomes free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import EraseTask, PlaceLegalHold, ReleaseLegalHold, TrimAudit
from swarmkeeper.core.decide import anchors
from swarmkeeper.core.decide.effects import tallies
from swarmkeeper.core.decide.effects.owners import check_may
from swarmkeeper.core.decide.effects.steps import begin_job, step
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.erasure.commands import EraseNow
from swarmkeeper.core.errors import IllegalTransition, StillStopping
from swarmkeeper.core.model import AuditEntry, BackgroundJob, Json, TaskRecord
from swarmkeeper.core.retention import ERASE, WHOLE_TENANT, LegalHoldRecord

ROWS_OF_ITEM = 8  # of a work item, with its edges, payloads and attempts, more or less
PHASES = 3  # of a slice: records, items, events
TRIMMED_EVENTS_MAX = 2_000  # the oldest ones, among which the events of the records that leave are found

# Statements of retention.sql, in order.
OF_RECORDS = ("move_feed_start_of_records", "erase_events_of_records")  # before their bodies
OF_ITEMS = (
    "keep_use",
    "erase_marks",
    "erase_edges",
    "erase_late_results",
    "erase_attempts",
    "erase_feedback",
    "erase_answers",
    "erase_payloads",
    "erase_items",
)
OF_EVENTS = ("cut_records", "move_feed_start", "erase_events")
OF_TASK = (
    *("erase_approvals", "erase_messages", "erase_payloads_of_task"),
    *("erase_labels", "erase_task"),
)
OF_AUDIT = ("trim_feed_start", "trim_events", "trim_cut_records", "trim_records")


# ---- legal holds ---------------------------------------------------------------------------------------------------


def place_hold(working: WorkingSet, command: PlaceLegalHold) -> str:
    """Place a legal hold, and return what it is on. A hold that is in place stays as it is.

    Raises:
        IllegalTransition: the task is being erased already.
    """
    check_may(working, command.by, "legal_hold.manage")
    key, task = (command.by.tenant, command.task), _task_of(working, command)
    if task is not None and working.is_being_erased(task):
        raise IllegalTransition("the task is being erased: it is too late for a legal hold")
    if working.get(lookups.LEGAL_HOLD, key) is None:
        reason = working.rules.text(command.reason, tenant=command.by.tenant)
        _put_hold(working, key, LegalHoldRecord(*key, reason, command.by.key_id, working.now))
        working.record("legal_hold.place", command.task, task=task, body={"reason": command.reason})
        working.emit(events.LegalHoldPlaced(task=None if task is None else task.id, reason=command.reason))
    return command.task


def release_hold(working: WorkingSet, command: ReleaseLegalHold) -> str:
    """Release a legal hold, and return what it was on. Without a hold, nothing changes."""
    check_may(working, command.by, "legal_hold.manage")
    key, task = (command.by.tenant, command.task), _task_of(working, command)
    if working.get(lookups.LEGAL_HOLD, key) is not None:
        _put_hold(working, key, None)
        working.record("legal_hold.release", command.task, task=task, body={"reason": command.reason})
        working.emit(events.LegalHoldReleased(task=None if task is None else task.id, reason=command.reason))
    return command.task


def _task_of(working: WorkingSet, command: PlaceLegalHold | ReleaseLegalHold) -> TaskRecord | None:
    return None if command.task == WHOLE_TENANT else working.task(command.task, command.by.tenant)


def _put_hold(working: WorkingSet, key: tuple[str, str], hold: LegalHoldRecord | None) -> None:
    working.put_row(lookups.LEGAL_HOLD, key, hold)
    working.put(working.changes.legal_holds, key, hold)


# ---- finished tasks ------------------------------------------------------------------------------------------------


def erase_task(working: WorkingSet, command: EraseTask) -> bool:
    """Begin to erase a task; return False if it is not, or no longer, to be erased."""
    task: TaskRecord | None = working.get(lookups.TASK, command.task)
    if task is None or task.outcome is None or working.now - task.updated_at < command.after or working.jobs(task):
        return False
    if _is_held(working, task) or working.get(lookups.OPEN_WORKS, (task.id, "", 1)):  # a lease in its grace period
        return False
    if not _is_settled(working, task, command.until):
        return False
    _begin(working, task, after=command.after)
    return True


def erase_now(working: WorkingSet, command: EraseNow) -> str:
    """Begin to erase a task because somebody asks for it; a task that is being erased already goes on.

    Raises:
        IllegalTransition: it has not ended, or a legal hold keeps it.
        StillStopping: it has just ended, and something of it is still under way.
    """
    check_may(working, command.by, "task.erase")
    task = working.task(command.task, command.by.tenant)
    if working.is_being_erased(task):
        return task.id
    if task.outcome is None:
        raise IllegalTransition("a task that has not ended is not erased: cancel it first")
    if _is_held(working, task):
        raise IllegalTransition("a legal hold keeps this task: release the hold first")
    holds_lease = bool(working.get(lookups.OPEN_WORKS, (task.id, "", 1)))
    if working.jobs(task) or holds_lease:
        raise StillStopping("the task is still stopping", retry_after=1)
    if not _is_settled(working, task, command.until):
        raise StillStopping("the feed, or a sink of the audit log, lacks events of this task", retry_after=1)
    _begin(working, task, after=0, body={"reason": command.reason})
    return task.id


def _is_held(working: WorkingSet, task: TaskRecord) -> bool:
    return any(working.get(lookups.LEGAL_HOLD, (task.tenant, held)) for held in (WHOLE_TENANT, task.id))


def _is_settled(working: WorkingSet, task: TaskRecord, until: int) -> bool:
    """Whether all that was recorded of a task has its numbers, and was written until then.

    Not every record of a task changes the task: a legal hold does not.
    """
    if task.updated_at > until or any(_is_about(entry, task) for entry in working.entries):
        return False  # what this batch recorded has no number either
    newest = working.get(lookups.NEWEST_RECORD, task.id)
    # A record from the future was written before the clock was reset, which does not change records.
    return newest is not None and not until < newest <= working.now


def _is_about(entry: AuditEntry, task: TaskRecord) -> bool:
    return entry.task_id == task.id or any(event.task == task.id for event in entry.events)


def _begin(working: WorkingSet, task: TaskRecord, *, after: int, body: Mapping[str, Json] | None = None) -> None:
    outcome, ended = str(task.outcome), task.updated_at
    own: dict[str, Json] = {"outcome": outcome, "at": ended, "after": after}
    working.record("task.erase", task.id, task=task, own=own, body=body)
    working.emit(events.TaskErased(task=task.id))
    begin_job(working, task, ERASE, {})


@step(ERASE)
def _erase_step(working: WorkingSet, task: TaskRecord, job: BackgroundJob) -> bool:
    """Erase the next rows: bodies of audit records, then items with what belongs to them, then events and the task."""
    rows = max(1, working.limits.slice_rows // PHASES)
    phase, _, after = (job.cursor or "records:-1").partition(":")
    if phase == "records":
        places = working.get(lookups.RECORDS_OF_TASK, (task.id, int(after), rows))
        for statement in OF_RECORDS if places else ():
            _erase(working, statement, tenant=task.tenant, places=places)
        _erase(working, "erase_bodies", tenant=task.tenant, places=places, nothing=b"")
        if len(places) == rows:
            return _go_on(working, job, f"records:{places[-1]}")
        phase, after = "items", ""
    if phase == "items":
        size = max(1, rows // ROWS_OF_ITEM)
        part = working.get(lookups.TASK_PART, (task.id, after, size))
        for statement in OF_ITEMS if part.works else ():
            _erase(working, statement, works=part.works)
        if part.works:
            tallies.erase_attempts(working, task, part.works)
        if part.stored:
            working.count_stored(task.tenant, -part.stored)
        if len(part.works) == size:
            return _go_on(working, job, f"items:{part.works[-1]}")
        after = "0"
    last = min(task.sequence, int(after) + rows)
    for statement in OF_EVENTS:
        _erase(working, statement, tenant=task.tenant, task=task.id, after=int(after), last=last)
    if last < task.sequence:
        return _go_on(working, job, f"events:{last}")
    for statement in OF_TASK:
        _erase(working, statement, task=task.id)
    tallies.erase_task(working, task)
    working.put_row(lookups.TASK, task.id, None)
    return True


def _go_on(working: WorkingSet, job: BackgroundJob, cursor: str) -> bool:
    working.edit_job(job).cursor = cursor
    return False


def _erase(working: WorkingSet, statement: str, **parameters: Any) -> None:
    working.changes.erased.append((statement, parameters))


# ---- audit records -------------------------------------------------------------------------------------------------


def trim_audit(working: WorkingSet, command: TrimAudit) -> bool:
    """Remove the records before `end`, and the events of no task before them; return False if that is outdated."""
    tenant = command.by.tenant
    held = working.get(lookups.LEGAL_HOLD, (tenant, WHOLE_TENANT)) is not None
    if held or working.get(lookups.AUDIT_BEGIN, tenant) != command.begin:
        return False
    # Verifying begins at this tree, and requires this record of it.
    own = {"from": command.begin, "to": command.end, "at": command.at, "rows": "anchored"}
    working.record("audit.trim", f"{command.end}:{command.root.hex()}", own=own)
    # The records that leave may have the hashes of these rows. Rows of tasks need none: records of their tasks stay.
    for row in (*working.get(lookups.ROWS_OF_TENANT, tenant), *working.queues.by_id.values()):
        anchors.put(working.anchored, row)
    working.emit(events.AuditTrimmed(before=command.end))
    for statement in OF_AUDIT:
        _erase(working, statement, tenant=tenant, end=command.end, n=TRIMMED_EVENTS_MAX)
    _erase(working, "put_audit_start", tenant=tenant, size=command.end, frontier=command.frontier, at=command.at)
    working.put_row(lookups.AUDIT_BEGIN, tenant, command.end)
    return True
