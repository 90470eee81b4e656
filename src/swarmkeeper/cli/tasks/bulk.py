"""`task bulk`: one command on many tasks, and what came of each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.wire.insight.bulk import OperationItem, OperationState

ACTIONS = ("cancel", "pause", "resume", "retry", "archive")
_LOOK_SECONDS = 0.5
_SHOWN = 20  # refused tasks that are listed


TaskIds = Annotated[list[str] | None, typer.Argument(metavar="[TASK_ID]...", help="tsk_…; or give filters.")]
Labels = Annotated[list[str] | None, flag("--label", help="Tasks with this label: key:value. May be repeated.")]
NoWait = Annotated[bool, flag("--no-wait", help="Print the id of the operation, and do not wait for its end.")]


@connected
def bulk(
    connection: Connection,
    action: Annotated[str, typer.Argument(help="cancel, pause, resume, retry or archive.")],
    task_ids: TaskIds = None,
    status: Annotated[list[str] | None, flag("--status", help="Tasks with this status. May be repeated.")] = None,
    outcome: Annotated[list[str] | None, flag("--outcome", help="Tasks with this outcome. May be repeated.")] = None,
    label: Labels = None,
    reason: Annotated[str | None, flag("--reason", help="The reason. It is stored.")] = None,
    dry_run: Annotated[bool, flag("--dry-run", help="Only say what would happen to each task.")] = False,
    no_wait: NoWait = False,
) -> None:
    """Cancel, pause, resume, retry or archive many tasks, one by one. It goes on at the server, also after a crash.

    Exits with 6 if a task was refused.
    """
    if action not in ACTIONS:
        raise CliError("action", f"the action is one of {', '.join(ACTIONS)}", exit_code=Exit.USAGE)
    filters = {name: given for name, given in (("status", status), ("outcome", outcome), ("label", label)) if given}
    if bool(task_ids) == bool(filters):
        detail = "give either the ids of tasks or filters: --status, --outcome, --label"
        raise CliError("tasks", detail, exit_code=Exit.USAGE)
    chosen: dict[str, Any] = {"ids": task_ids} if task_ids else {"filter": filters}

    async def work(client: Client) -> tuple[OperationState, list[OperationItem]]:
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
