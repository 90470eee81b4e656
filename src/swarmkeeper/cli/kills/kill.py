"""`kill bot|owner|skill|tenant|list|lift`: stops something at once, and lets it work again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

app = typer.Typer(no_args_is_help=True, help="Stop a bot, an owner, a skill or the tenant at once; list and lift.")

Reason = Annotated[str, flag("--reason", help="Why; shown to all who wait for it.")]
Until = Annotated[str | None, flag("--until", help="When it ends by itself: 2026-01-31T23:59:59Z. Else: by `lift`.")]
COLUMNS = ("id", "kind", "name", "reason", "placed_by", "placed_at", "until")


@app.command()
@connected
def bot(
    connection: Connection,
    name: Annotated[str, typer.Argument(help="Its name or id.")],
    reason: Reason,
    until: Until = None,
) -> None:
    """Stop a bot: it gets no more work, and its leases are revoked. Needs a key of role operator or admin."""
    _place(connection, "bot", name, reason, until)


@app.command()
@connected
def owner(
    connection: Connection, name: Annotated[str, typer.Argument(help="The owner.")], reason: Reason, until: Until = None
) -> None:
    """Stop all bots of an owner. Needs a key of role operator or admin."""
    _place(connection, "owner", name, reason, until)


@app.command()
@connected
def skill(
    connection: Connection, name: Annotated[str, typer.Argument(help="The skill.")], reason: Reason, until: Until = None
) -> None:
    """Grant no more work that requires a skill. Needs a key of role operator or admin."""
    _place(connection, "skill", name, reason, until)


@app.command()
@connected
def tenant(
    connection: Connection,
    name: Annotated[str, typer.Argument(help="The key's own.")],
    reason: Reason,
    until: Until = None,
) -> None:
    """Stop all work of the tenant, and refuse submissions. Needs a key of role admin."""
    _place(connection, "tenant", name, reason, until)


def _place(connection: Connection, kind: str, name: str, reason: str, until: str | None) -> None:
    moment = None if until is None else _moment(until)
    kill = connection.call(lambda client: client.place_kill(kind, name, reason=reason, until=moment))
    ends = f"until {kill.until:%Y-%m-%dT%H:%M:%SZ}, or" if kill.until is not None else "until"
    connection.say_done(kill, f"{kind} {name} is killed {ends} `swarmkeeper kill lift {kill.id}`")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        detail = f"--until {text}: no time with a zone, such as 2026-01-31T23:59:59Z"
        raise CliError("invalid", detail, exit_code=Exit.USAGE)
    return moment


@app.command("list")
@connected
def list_(connection: Connection) -> None:
    """List what is stopped in the tenant. Needs a key of role operator, auditor or admin."""
    connection.say_all(lambda client: client.kills(), COLUMNS)


@app.command()
@connected
def lift(connection: Connection, kill_id: Annotated[str, typer.Argument(metavar="ID", help="The kill: kil_…")]) -> None:
    """Let what was stopped work again."""
    connection.call(lambda client: client.lift_kill(kill_id))
    connection.say_done({"id": kill_id, "lifted": True}, f"{kill_id} is lifted")
