"""`task get`: shows a task or one of its items, with errors and what happens next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import TaskId
from swarmkeeper.cli.framework.terminal import on_one_line
from swarmkeeper.cli.tasks import outcomes, trouble, watch

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.wire.answers import Attempt, ProgressOut, SubTaskDetail, SubTaskState, Task

COLUMNS = ("key", "status", "attempt", "bot", "time", "after", "skills", "id")
ATTEMPTS_MAX = 10  # the last ones


@connected
def get(
    connection: Connection,
    task_id: TaskId,
    subtask: Annotated[
        str | None,
        typer.Argument(metavar="[SUBTASK]", help="A subtask by key or id, or a plan or review by id (wrk_…)."),
    ] = None,
) -> None:
    """Show a task, or one of its items with the outcome of each attempt."""

    async def work(client: Client) -> Task | SubTaskDetail:
        return await client.get(task_id) if subtask is None else await client.subtask(task_id, subtask)

    found = connection.call(work)
    if connection.as_json:
        terminal.say_record(found)
        return
    from swarmkeeper.wire.answers import Task

    for line in _of_task(found) if isinstance(found, Task) else _of_item(found):
        terminal.say(line)
    if isinstance(found, Task):
        outcomes.say_result(found)
    if isinstance(found, Task) and found.outcome is None:
        terminal.talk(f"why it is not done yet: swarmkeeper task explain {found.id}")


def _of_task(task: Task) -> list[str]:
    lines = [f"{task.id}  {watch.task_state(task)}  {on_one_line(task.title)}", *trouble.of_failure(task)]
    lines += outcomes.of_verdict(task)
    lines.append(f"progress: {watch.counted(task)}; priority {task.priority}, round {task.round}")
    lines.append(f"created: {task.created_at.isoformat(timespec='seconds')}")
    if task.subtasks:
        lines += terminal.table(list(map(_row, task.subtasks)), COLUMNS)
    if task.subtasks_total > len(task.subtasks):
        lines.append(f"… and {task.subtasks_total - len(task.subtasks)} more")
    return lines + trouble.of_subtasks(task)


def _row(subtask: SubTaskState) -> dict[str, Any]:
    return {
        "key": subtask.key,
        "status": subtask.status,
        "attempt": subtask.attempt,
        "bot": subtask.bot,
        "time": watch.took(subtask),
        "after": few([edge if isinstance(edge, str) else edge.key for edge in subtask.depends_on or ()]),
        "skills": subtask.required_skills,
        "id": subtask.id,
    }


def few(words: list[str]) -> list[str]:
    return [*words[:3], f"+{len(words) - 3} more"] if len(words) > 4 else words


# ---- one item ------------------------------------------------------------------------------------------------------


def _of_item(item: SubTaskDetail) -> list[str]:
    lines = [f"{item.id}  {item.status}  {on_one_line(item.key)}  ({item.kind})"]
    if item.description:
        lines.append(f"what: {on_one_line(item.description)}")
    if item.cause is not None:
        lines += [*trouble.said("why: ", item.cause.message), *trouble.problems(item.cause)]
        lines.append(f"next: {trouble.after(item)}")
    if item.progress is not None:
        lines.append(f"now: attempt {item.attempt} by {on_one_line(item.bot or '?')}{_said(item.progress)}")
        lines += _log(item.progress)
    before = len(item.attempts) - ATTEMPTS_MAX
    if before > 0:
        lines.append(f"… {before} earlier attempts; --json has them")
    for attempt in item.attempts[-ATTEMPTS_MAX:]:
        lines += _of_attempt(attempt)
    return lines


def _of_attempt(attempt: Attempt) -> list[str]:
    bot = on_one_line(attempt.bot_name or attempt.bot)
    when = f"{attempt.started_at:%H:%M:%SZ} to {attempt.ended_at:%H:%M:%SZ}"
    lines = [f"attempt {attempt.attempt} by {bot}, {when}: {attempt.ending}"]
    message = (attempt.error or {}).get("message") or attempt.reason
    if message:
        lines += trouble.said("  said  ", str(message))
    if attempt.progress is not None:
        lines += [f"  reached{said}"] if (said := _said(attempt.progress)) else []
        lines += _log(attempt.progress)
    return lines


def _said(progress: ProgressOut) -> str:
    fraction = "" if progress.fraction is None else f" {progress.fraction:.0%}"
    return fraction + (f": {on_one_line(progress.message)}" if progress.message else "")


def _log(progress: ProgressOut) -> list[str]:
    return [f"  log   {on_one_line(line)}" for line in progress.log]
