"""What went wrong, in lines for people: the first error itself, where it was met, and what happens next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmkeeper.cli.framework.terminal import on_one_line

if TYPE_CHECKING:
    from swarmkeeper.wire.answers import SubTaskState, Task
    from swarmkeeper.wire.causes import Cause

TOLD_MAX = 5  # of those that failed besides
ERRORS_TOLD = 10  # of what is wrong with a plan
LINES_TOLD = 20  # of a message


def of_failure(task: Task) -> list[str]:
    """Why a task failed, with the command that takes it up again; nothing where it did not."""
    failure = task.failure
    if failure is None:
        return []
    lines = [f"failure: {on_one_line(failure.detail)} [{failure.code}]"]
    cause = failure.cause
    if cause is not None:
        lines += [*said("  why   ", cause.message), *problems(cause), f"  where {where(cause)}"]
    elif task.verdict is not None:
        lines += [f"  why   {on_one_line(reason)}" for reason in task.verdict.reasons[:TOLD_MAX]]
    if failure.fix is not None:
        lines.append(f"  next  the task has ended; reopen it with: {on_one_line(failure.fix)}")
    if cause is not None:
        lines.append(f"  more  swarmkeeper task get {task.id} {on_one_line(_name(cause))}")
    return lines


def said(label: str, text: str) -> list[str]:
    """What others said, on as many lines as it has: none of them begins where one of ours does."""
    first, *more = text.splitlines() or [""]
    return [label + on_one_line(first), *(" " * len(label) + on_one_line(line) for line in more[:LINES_TOLD])]


def of_subtasks(task: Task) -> list[str]:
    """Those whose last attempt brought nothing, and what comes next; not the one that the task failed for."""
    known = None if task.failure is None or task.failure.cause is None else task.failure.cause.work_id
    found = [one for one in task.subtasks if one.cause is not None and one.id != known]
    lines = [f"  {of_subtask(one)}" for one in found[:TOLD_MAX]]
    if len(found) > TOLD_MAX:
        lines.append(f"  … and {len(found) - TOLD_MAX} more")
    return ["attempts without a result:", *lines] if lines else []


def of_subtask(one: SubTaskState) -> str:
    assert one.cause is not None, "only of those that have one"
    return f"{where(one.cause)}: {on_one_line(one.cause.message)}; {after(one)}"


def where(cause: Cause) -> str:
    """`fetch, attempt 2 by crawler at 12:00:00Z (failed)`"""
    key = on_one_line(cause.key)
    if cause.attempt is None:
        return f"{key} at {cause.at:%H:%M:%SZ}"
    return f"{key}, attempt {cause.attempt} by {on_one_line(cause.bot or '?')} at {cause.at:%H:%M:%SZ} ({cause.ending})"


def problems(cause: Cause) -> list[str]:
    """What is wrong with a plan or verdict, each with its place."""
    lines = [f"        {on_one_line(one.pointer)}: {on_one_line(one.detail)}" for one in cause.errors[:ERRORS_TOLD]]
    rest = len(cause.errors) - ERRORS_TOLD
    return [*lines, f"        … and {rest} more"] if rest > 0 else lines


def after(one: SubTaskState) -> str:
    """What happens next with an item whose last attempt brought nothing."""
    match str(one.status):
        case "WAITING" if one.cause is not None and one.cause.retry_at is not None:
            return f"it is retried at {one.cause.retry_at:%H:%M:%SZ}"
        case "WAITING":
            return "it waits for a person's answer"
        case "LEASED":
            return f"attempt {one.attempt} is in progress"
        case "READY":
            return "it is retried when a bot takes it"
        case "BLOCKED":
            return "it is retried when its dependencies are done"
        case _:
            again = f"swarmkeeper task retry {one.parent_task_id}"
            return f"that is final; if its task has failed, reopen it with: {again}"


def _name(cause: Cause) -> str:
    return cause.key if str(cause.kind) == "execute" else cause.work_id
