"""`hold list|place|release`: legal holds, under which nothing is erased."""

from __future__ import annotations

from typing import Annotated

import typer

from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import flag

app = typer.Typer(no_args_is_help=True, help="Legal holds: what is under one is not erased, however old it is.")

Task = Annotated[str | None, typer.Argument(help="The task: tsk_…; without it, everything of the tenant.")]
Reason = Annotated[str, flag("--reason", help="Why; it is stored in the audit record.")]
COLUMNS = ("task_id", "reason", "placed_by", "placed_at")


@app.command("list")
@connected
def list_(connection: Connection) -> None:
    """List the legal holds of the tenant and of its tasks. Needs a key of role operator, auditor or admin."""
    rows = [hold.model_dump(mode="json") for hold in connection.all(lambda client: client.legal_holds())]
    whole = {} if connection.as_json else {"task_id": "(all)"}
    connection.say_rows([row if row["task_id"] else {**row, **whole} for row in rows], COLUMNS)


@app.command()
@connected
def place(connection: Connection, reason: Reason, task: Task = None) -> None:
    """Keep a task, or everything of the tenant, until the hold is released. Needs a key of role operator or admin."""
    hold = connection.call(lambda client: client.place_legal_hold(task, reason=reason))
    connection.say_done(hold, f"{task or 'everything of the tenant'} is kept until the hold is released")


@app.command()
@connected
def release(connection: Connection, reason: Reason, task: Task = None) -> None:
    """Release a legal hold: what was kept long enough is erased soon. Needs a key of role operator or admin."""
    state = connection.call(lambda client: client.release_legal_hold(task, reason=reason))
    connection.say_done(state, f"{task or 'the tenant'} is not under a legal hold")
