"""`audit list`: shows a server's audit log. store.py verifies the log of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from swarmkeeper.cli.admin.store import audit as app
from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import flag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from swarmkeeper.sdk.client import Client
    from swarmkeeper.wire.answers import AuditLog

__all__ = ["app"]


@app.command("list")
@connected
def list_(
    connection: Connection,
    task: Annotated[str | None, flag("--task", metavar="TASK_ID", help="Only records of this task: tsk_…")] = None,
    actor: Annotated[
        str | None, flag("--actor", help="Only records of this actor: the id of a bot, key or other actor.")
    ] = None,
    action: Annotated[str | None, flag("--action", help="Only records of this kind, such as task.submit.")] = None,
    resource: Annotated[
        str | None, flag("--resource", help="Only records about this: the id of a subtask, approval, bot …")
    ] = None,
    after: Annotated[int | None, flag("--after", min=0, help="Only records after this index.")] = None,
    since: Annotated[
        str | None, flag("--since", metavar="TIME", help="Only of this time or later: 2026-11-29T08:00:00Z.")
    ] = None,
    until: Annotated[str | None, flag("--until", metavar="TIME", help="Only before this time.")] = None,
) -> None:
    """List audit records in order. Needs a key of role auditor or admin."""

    def show(record: AuditLog) -> None:
        if connection.as_json:
            terminal.say_json(record.model_dump(mode="json", by_alias=True))
        else:
            terminal.say(_line(record))

    def records(client: Client) -> AsyncIterator[AuditLog]:
        return client.audit(task, actor=actor, action=action, resource=resource, after=after, since=since, until=until)

    connection.each(records, show)


def _line(record: AuditLog) -> str:
    actor = "-" if record.actor is None else f"{record.actor.type}:{record.actor.id}"
    words = [str(record.index), record.timestamp.isoformat(timespec="milliseconds"), actor, record.event]
    words += [record.resource or "-", record.outcome or "-"]
    return "  ".join(terminal.on_one_line(word) for word in words)
