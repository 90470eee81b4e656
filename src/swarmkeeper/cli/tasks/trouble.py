"""Describes failures for people: the first error, where it happened, and what happens next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmkeeper.cli.framework.terminal import on_one_line

if TYPE_CHECKING:
    from swarmkeeper.wire.answers import SubTaskState, Task
    from swarmkeeper.wire.explain import Cause

ITEMS_MAX = 5  # other failed items
ERRORS_MAX = 10  # errors of a plan
LINES_MAX = 20  # lines of a message


def of_failure(task: Task) -> list[str]:
    """Return why a task failed, and the command that reopens it; nothing if it did not fail."""
    failure = task.failure
    if failure is None:
        return []
    lines = [f"failure: {on_one_line(failure.detail)} [{failure.code}]"]
    cause = failure.cause
    if cause is not None:
        lines += [*said("  why   ", cause.message), *problems(cause), f"  where {where(cause)}"]
    elif task.verdict is not None:
        lines += [f"  why   {on_one_line(reason)}" for reason in task.verdict.reasons[:ITEMS_MAX]]
    if failure.fix is not None:
        lines.append(f"  next  the task has ended; reopen it with: {on_one_line(failure.fix)}")
    if cause is not None:
        lines.append(f"  more  swarmkeeper task get {task.id} {on_one_line(_name(cause))}")
    return lines


def said(label: str, text: str) -> list[str]:
    """Return text from others on its lines, indented so that no line looks like one of ours."""
    first, *more = text.splitlines() or [""]
    return [label + on_one_line(first), *(" " * len(label) + on_one_line(line) for line in more[:LINES_MAX])]


def of_subtasks(task: Task) -> list[str]:
    """Describe the items whose last attempt gave no result, except the one that made the task fail."""
    known = None if task.failure is None or task.failure.cause is None else task.failure.cause.work_id
    found = [subtask for subtask in task.subtasks if subtask.cause is not None and subtask.id != known]
    lines = [f"  {of_subtask(subtask)}" for subtask in found[:ITEMS_MAX]]
    if len(found) > ITEMS_MAX:
        lines.append(f"  … and {len(found) - ITEMS_MAX} more")
    return ["attempts without a result:", *lines] if lines else []


def of_subtask(subtask: SubTaskState) -> str:
    assert subtask.cause is not None, "the item has a cause"
    return f"{where(subtask.cause)}: {on_one_line(subtask.cause.message)}; {after(subtask)}"


def where(cause: Cause) -> str:
    """Return for example `fetch, attempt 2 by crawler at 12:00:00Z (failed)`."""
    key = on_one_line(cause.key)
    if cause.attempt is None:
        return f"{key} at {cause.at:%H:%M:%SZ}"
    return f"{key}, attempt {cause.attempt} by {on_one_line(cause.bot or '?')} at {cause.at:%H:%M:%SZ} ({cause.ending})"


def problems(cause: Cause) -> list[str]:
    """Return the errors of a plan or verdict, each with its pointer."""
    lines = [
        f"        {on_one_line(error.pointer)}: {on_one_line(error.detail)}" for error in cause.errors[:ERRORS_MAX]
    ]
    rest = len(cause.errors) - ERRORS_MAX
    return [*lines, f"        … and {rest} more"] if rest > 0 else lines


def after(subtask: SubTaskState) -> str:
    """Return what happens next with an item whose last attempt gave no result."""
    from swarmkeeper.core.rules.explain import RetryTask
    from swarmkeeper.reads import wording

    match str(subtask.status):
        case "WAITING" if subtask.cause is not None and subtask.cause.retry_at is not None:
            return f"it is retried at {subtask.cause.retry_at:%H:%M:%SZ}"
        case "WAITING":
            return "it waits for a person's answer"
        case "LEASED":
            return f"attempt {subtask.attempt} is in progress"
        case "READY":
            return "it is retried when a bot takes it"
        case "BLOCKED":
            return "it is retried when its dependencies are done"
        case _:
            again = wording.command(RetryTask(subtask.parent_task_id))
            return f"that is final; if its task has failed, reopen it with: {again}"


def _name(cause: Cause) -> str:
    return cause.key if str(cause.kind) == "execute" else cause.work_id
