"""Decisions on operations: store, take, note what came of tasks, forget; and try a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarmkeeper.core import lookups
from swarmkeeper.core.answers import Refusal
from swarmkeeper.core.decide.effects.owners import check_may
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import Invalid, ResourceNotFound
from swarmkeeper.core.operations.commands import (
    ACTIONS,
    ITEMS_MAX,
    ForgetOperations,
    NoteItems,
    StartOperation,
    TakeOperation,
    TryCommand,
)


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
    operation = working.new_id("opr")
    _run(
        working,
        "put_operation",
        id=operation,
        tenant=by.tenant,
        party=by.party,
        caller=command.caller,
        action=command.action,
        args=command.args,
        dry_run=int(command.dry_run),
        total=len(command.tasks),
        trace=command.trace,
        at=working.now,
        ended=None if command.tasks else working.now,
    )
    if command.tasks:
        items = [[place, task] for place, task in enumerate(command.tasks)]
        _run(working, "put_operation_items", operation=operation, items=items)
    own = {"action": command.action, "tasks": len(command.tasks), "dry_run": command.dry_run}
    working.record("tasks.bulk", operation, own=own, body={"reason": command.reason})
    return operation


def take(working: WorkingSet, command: TakeOperation) -> None:
    now = working.now
    _run(working, "take_operation", id=command.operation, owner=command.owner, until=command.until, now=now)


def note(working: WorkingSet, command: NoteItems) -> None:
    items = [list(item) for item in command.items]
    _run(working, "note_operation_items", operation=command.operation, items=items)
    _run(working, "keep_operation", id=command.operation, owner=command.owner, until=command.until)
    _run(working, "end_operation", id=command.operation, at=working.now)


def forget(working: WorkingSet, command: ForgetOperations) -> None:
    for statement in ("forget_operation_items", "forget_operations"):
        _run(working, statement, before=command.before, n=command.most)


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
