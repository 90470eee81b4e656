"""`erase`: erases tasks because somebody asks for it, for instance all that hold the data of one person."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.wire.answers import Task

SUBJECT = "subject"  # the label that says whose data a task holds
STOPPING_SECONDS = 60.0  # how long a task may take until it can be erased, and then until it is gone
LOOK_SECONDS = 0.5
ERASED = "erased"


@connected
def erase(
    connection: Connection,
    reason: Annotated[str, flag("--reason", help="Why. It stays in the audit log for good: name no person in it.")],
    task_ids: Annotated[list[str] | None, typer.Argument(metavar="[TASK_ID]...", help="tsk_…")] = None,
    subject: Annotated[str | None, flag("--subject", help="All tasks with the label subject:SUBJECT.")] = None,
    label: Annotated[str | None, flag("--label", help="All tasks with this label: key:value.")] = None,
    cancel: Annotated[bool, flag("--cancel", help="Cancel tasks that have not ended, then erase them.")] = False,
    dry_run: Annotated[bool, flag("--dry-run", help="Only say what would be erased.")] = False,
) -> None:
    """Erase tasks with all that belongs to them. This cannot be undone. Needs a key of role admin.

    The audit log keeps its records and proofs, without their bodies. What cannot be erased is listed, and the exit code
    is 6: run the command again when it can be. Exit 0: nothing of what was asked for is left.
    """
    if not (task_ids or subject or label):
        raise CliError("usage", "say what to erase: task ids, --subject or --label", exit_code=Exit.USAGE)
    if subject and label:
        raise CliError("usage", "--subject is a label: leave --label out", exit_code=Exit.USAGE)
    by_label = f"{SUBJECT}:{subject}" if subject else label

    async def work(client: Client) -> list[dict[str, str]]:
        tasks = [await client.get(task_id) for task_id in task_ids or ()]
        if by_label:
            tasks += [task async for task in client.tasks(label=by_label)]
        found = {task.id: task for task in tasks}.values()
        return [await _erased(client, task, reason, cancel=cancel, dry_run=dry_run) for task in found]

    rows = connection.call(work)
    connection.say_rows(rows, ("task_id", "state", "title"))
    if not dry_run and any(row["state"] != ERASED for row in rows):
        raise typer.Exit(Exit.CONFLICT)


@connected
def erase_tenant(
    connection: Connection,
    tenant: Annotated[str, typer.Argument(help="The id of the tenant, the key's own.")],
    reason: Annotated[str, flag("--reason", help="Why. It stays in the audit log for good: name no person in it.")],
) -> None:
    """Destroy the data keys of a tenant: nothing that it stored can be read any more. This cannot be undone.

    Needs a store with encrypted bodies, and a key of role admin of another person than the one who killed the tenant
    (`swarmkeeper kill tenant`). Its tasks must have ended. Their rows leave in the background. The audit log keeps its
    records and proofs, without their bodies. Backups from before can still be read.
    """
    connection.call(lambda client: _erase_tenant(client, tenant, reason))
    if connection.as_json:
        terminal.say_json({"tenant": tenant, "erased": True})
    else:
        terminal.say(f"the data keys of tenant {tenant} were destroyed")


async def _erase_tenant(client: Client, tenant: str, reason: str) -> None:
    from swarmkeeper.sdk.errors import Conflict

    clock = asyncio.get_running_loop().time
    until = clock() + STOPPING_SECONDS
    while True:
        try:
            await client.erase_tenant(tenant, reason=reason)
            return
        except Conflict as error:
            if not error.retryable or clock() > until:
                raise
        await asyncio.sleep(LOOK_SECONDS)


async def _erased(client: Client, task: Task, reason: str, *, cancel: bool, dry_run: bool) -> dict[str, str]:
    """Erase a task, wait until it is gone, and return what became of it."""
    if dry_run:
        state = "would be erased" if task.outcome or cancel else "has not ended"
    else:
        state = await _erase(client, task, reason, cancel=cancel)
    return {"task_id": task.id, "state": state, "title": task.title}


async def _erase(client: Client, task: Task, reason: str, *, cancel: bool) -> str:
    from swarmkeeper.sdk.errors import Conflict, NotFound

    clock = asyncio.get_running_loop().time
    until = clock() + STOPPING_SECONDS
    try:
        if cancel and task.outcome is None:
            await client.cancel(task.id, reason)
        while True:
            try:
                await client.erase_task(task.id, reason=reason)
                break
            except Conflict as error:
                if not error.retryable or clock() > until:
                    return error.detail
            await asyncio.sleep(LOOK_SECONDS)
        while clock() < until:
            await client.get(task.id)
            await asyncio.sleep(LOOK_SECONDS)
    except NotFound:  # also if another caller was faster
        return ERASED
    return "is being erased"
