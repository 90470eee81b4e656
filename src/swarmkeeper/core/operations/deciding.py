"""Decisions on operations: store, take, note what came of tasks, refuse, forget; and try a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from swarmkeeper.core import lookups
from swarmkeeper.core.answers import Refusal
from swarmkeeper.core.decide.anchors import AnchoredRow
from swarmkeeper.core.decide.effects.owners import check_may
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import Invalid, ResourceNotFound
from swarmkeeper.core.operations.commands import (
    ACTIONS,
    ITEMS_MAX,
    ForgetOperation,
    NoteItems,
    RefuseForged,
    StartOperation,
    TakeOperation,
    TryCommand,
)
from swarmkeeper.core.operations.lookups import OPERATION
from swarmkeeper.core.operations.records import OperationRecord, hash_of_tasks

CHANGING = ("id", "ended_at", "owner", "until", "items_hash", "slices", "done", "refused", "seal", "forged_at")


def start(working: WorkingSet, command: StartOperation) -> str:
    """Store an operation; return its id.

    Raises:
        PermissionDenied: the caller may not do this to any task.
        Invalid: it has no task, or too many.
    """
    by = command.by
    assert command.action in ACTIONS, "an operation has one of these actions"
    check_may(working, by, f"task.{command.action}")
    if working.get(lookups.TENANT, by.tenant) is None:
        raise ResourceNotFound("no such tenant: its first key creates it")
    if not 0 <= len(command.tasks) <= ITEMS_MAX:
        raise Invalid(f"an operation has at most {ITEMS_MAX} tasks")
    operation = OperationRecord(
        id=working.new_id("opr"),
        tenant=by.tenant,
        party=by.party,
        caller=command.caller,
        action=command.action,
        args=json.dumps(working.rules.redact(json.loads(command.args), tenant=by.tenant).value),
        dry_run=int(command.dry_run),
        total=len(command.tasks),
        trace=command.trace,
        created_at=working.now,
        ended_at=None if command.tasks else working.now,
        items_hash=hash_of_tasks(command.tasks),
    ).sealed(command.seal)
    _run(working, "put_operation", **asdict(operation))
    _put(working, operation)
    if command.tasks:
        items = [[place, task] for place, task in enumerate(command.tasks)]
        _run(working, "put_operation_items", operation=operation.id, items=items)
    own = {"action": command.action, "tasks": len(command.tasks), "dry_run": command.dry_run}
    working.record("tasks.bulk", operation.id, own=own, body={"reason": command.reason})
    return operation.id


def take(working: WorkingSet, command: TakeOperation) -> OperationRecord | None:
    operation = working.get(OPERATION, command.operation)
    if operation is None or operation.ended_at is not None:
        return None
    if operation.owner != command.owner and operation.until > working.now:
        return None
    if not operation.is_genuine(command.seal):
        _refuse(working, operation)
        return None
    taken = replace(operation, owner=command.owner, until=command.until)
    _save(working, taken)
    return taken


def note(working: WorkingSet, command: NoteItems) -> bool:
    operation = working.get(OPERATION, command.operation)
    if operation is None or operation.ended_at is not None or operation.owner != command.owner:
        return False
    if not operation.is_genuine(command.seal):
        _refuse(working, operation)
        return False
    changed = replace(operation, until=command.until)
    if command.items:
        changed = changed.after(command.items)
        items = [[*item, changed.slices] for item in command.items]
        _run(working, "note_operation_items", operation=operation.id, items=items)
    if command.is_last:
        changed = replace(changed, ended_at=working.now)
    _save(working, changed.sealed(command.seal))
    _put(working, changed.sealed(command.seal))
    return True


def refuse(working: WorkingSet, command: RefuseForged) -> None:
    operation = working.get(OPERATION, command.operation)
    if operation is not None and operation.ended_at is None:
        _refuse(working, operation)


def _refuse(working: WorkingSet, operation: OperationRecord) -> None:
    """End an operation that somebody else than a server has written or changed.

    Its former hash stays in the audit log, so `doctor --deep` goes on to find it.
    """
    _save(working, replace(operation, ended_at=working.now, forged_at=working.now))
    context = working.context
    assert context is not None, "a command is being decided"
    if working.get(lookups.TENANT, operation.tenant) is not None:  # what a forged row names may not exist
        context.tenant = operation.tenant
        working.record("tasks.forged", operation.id)


def forget(working: WorkingSet, command: ForgetOperation) -> None:
    operation = working.get(OPERATION, command.operation)
    if operation is None or operation.ended_at is None or operation.ended_at >= command.before:
        return
    _run(working, "forget_operation_items", operation=operation.id)
    _run(working, "forget_operation", id=operation.id)
    working.put_row(OPERATION, operation.id, None)
    if working.get(lookups.TENANT, operation.tenant) is not None:
        _anchor(working, operation, None)


def _save(working: WorkingSet, operation: OperationRecord) -> None:
    _run(working, "save_operation", **{name: getattr(operation, name) for name in CHANGING})
    working.put_row(OPERATION, operation.id, operation)


def _put(working: WorkingSet, operation: OperationRecord) -> None:
    working.put_row(OPERATION, operation.id, operation)
    _anchor(working, operation, operation)


def _anchor(working: WorkingSet, operation: OperationRecord, record: OperationRecord | None) -> None:
    working.put(working.anchored, ("operation", operation.id), AnchoredRow(operation.tenant, "", record))


def trying(decisions: dict[type[Any], Callable[[WorkingSet, Any], Any]]) -> Callable[[WorkingSet, TryCommand], str]:
    """Return the decision of `TryCommand`, which calls one of these."""

    def attempt(working: WorkingSet, command: TryCommand) -> str:
        answer = decisions[type(command.inner)](working, command.inner)
        began = working.context
        assert began is not None, "a command is being decided"
        working.undo()
        working.begin(
            actor_type=began.actor_type,
            actor=began.actor,
            by=began.by,
            seed=began.seed,
            trace=began.trace,
            request=began.request,
        )
        return f"{answer.error.code}: {answer.error.detail}" if isinstance(answer, Refusal) else ""

    return attempt


def _run(working: WorkingSet, statement: str, **parameters: Any) -> None:
    working.changes.operations.append((statement, parameters))
