"""`task bulk`: one command on many tasks, and what came of each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import flag
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.cli.tasks.listing import line_of
from swarmkeeper.cli.tasks.query_line import Understood

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.sdk.tables.client import OrderBy
    from swarmkeeper.wire.insight.bulk import OperationItem, OperationState

ACTIONS = ("cancel", "pause", "resume", "retry", "archive")
_LOOK_SECONDS = 0.5
_TASKS_MAX = 10_000  # of an operation
_SHOWN = 20  # refused tasks that are listed


TaskIds = Annotated[list[str] | None, typer.Argument(metavar="[TASK_ID]...", help="tsk_…; or give filters.")]
Labels = Annotated[list[str] | None, flag("--label", help="Tasks with this label: key:value. May be repeated.")]
NoWait = Annotated[bool, flag("--no-wait", help="Print the id of the operation, and do not wait for its end.")]


async def _ids(client: Client, line: Understood) -> list[str]:
    """Return the ids of the tasks that fit a line.

    Raises:
        CliError: there are none, or too many.
    """
    found: list[str] = []
    async for row in client.task_rows(**line.matching, order_by=cast("OrderBy", line.order_by)):
        found.append(row.id)
        if len(found) > _TASKS_MAX:
            raise CliError("tasks", f"more than {_TASKS_MAX} tasks fit the query: narrow it", exit_code=Exit.USAGE)
    if not found:
        raise CliError("tasks", "no task fits the query", exit_code=Exit.NOT_FOUND)
    return found


@connected
def bulk(
    connection: Connection,
    action: Annotated[str, typer.Argument(help="cancel, pause, resume, retry or archive.")],
    task_ids: TaskIds = None,
    status: Annotated[list[str] | None, flag("--status", help="Tasks with this status. May be repeated.")] = None,
    outcome: Annotated[list[str] | None, flag("--outcome", help="Tasks with this outcome. May be repeated.")] = None,
    label: Labels = None,
    skill: Annotated[list[str] | None, flag("--skill", help="Tasks that need this skill. May be repeated.")] = None,
    error: Annotated[str | None, flag("--error", help="Tasks with these words in an error, or this failure.")] = None,
    query: Annotated[
        str | None, flag("--query", help="Tasks of a query line, such as 'status:failed label:team=money invoice'.")
    ] = None,
    reason: Annotated[str | None, flag("--reason", help="The reason. It is stored.")] = None,
    dry_run: Annotated[bool, flag("--dry-run", help="Only say what would happen to each task.")] = False,
    no_wait: NoWait = False,
) -> None:
    """Cancel, pause, resume, retry or archive many tasks, one by one. It goes on at the server, also after a crash.

    Exits with 6 if a task was refused, and with 5 if no task fits the query.
    """
    if action not in ACTIONS:
        raise CliError("action", f"the action is one of {', '.join(ACTIONS)}", exit_code=Exit.USAGE)
    given = {"status": status, "outcome": outcome, "label": label, "skill": skill, "error": error}
    filters = {name: value for name, value in given.items() if value}
    if [bool(task_ids), bool(filters), bool(query)].count(True) != 1:
        detail = "give either the ids of tasks, filters (--status, --outcome, --label, --skill, --error), or --query"
        raise CliError("tasks", detail, exit_code=Exit.USAGE)
    chosen: dict[str, Any] = {"ids": task_ids} if task_ids else {"filter": filters}
    line = line_of([query or ""])

    async def work(client: Client) -> tuple[OperationState, list[OperationItem]]:
        if query:
            chosen.clear()
            chosen["ids"] = await _ids(client, line)
        found = await client.bulk(action, reason=reason, dry_run=dry_run, **chosen)
        while found.state == "running" and not no_wait:
            await asyncio.sleep(_LOOK_SECONDS)
            found = await client.operation(found.id)
        refused: list[OperationItem] = []
        if not no_wait and found.progress.refused:
            async for item in client.operation_items(found.id, outcome="refused"):
                refused.append(item)
                if len(refused) == _SHOWN:
                    break
        return found, refused

    found, refused = connection.call(work)
    if connection.as_json:
        terminal.say_record(found)
    elif no_wait:
        terminal.say(found.id)
    else:
        would = "would be " if dry_run else ""
        progress = found.progress
        terminal.say(f"{found.id}  {action}: {progress.done} of {progress.total} tasks {would}done")
        rows = [{"task": item.task_id, "code": item.code, "detail": item.detail} for item in refused]
        if rows:
            terminal.say(f"{progress.refused} {would}refused:")
            terminal.say_table(rows, ("task", "code", "detail"))
    if refused:
        terminal.stop(Exit.CONFLICT)
