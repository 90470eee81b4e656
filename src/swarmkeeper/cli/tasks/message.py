"""`task message` and `task messages`: sends a message about a task to bots, and lists the messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.framework import documents, terminal
from swarmkeeper.cli.framework.connection import Connection, connected, sendable
from swarmkeeper.cli.framework.flags import TaskId, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.wire.answers import BotMessage


@connected
def message(
    connection: Connection,
    task_id: TaskId,
    text: Annotated[str, typer.Argument(help='Text, sent as {"text": …}, or @FILE with a JSON object.')],
    to: Annotated[
        str | None, flag("--to", help="The name or id of a bot. By default, all bots that work on the task.")
    ] = None,
) -> None:
    """Send a message about a task to a bot, which receives it with a heartbeat. Prints the message's id."""
    payload = _payload(text)
    sendable(payload)
    sent = connection.call(lambda client: client.tell(task_id, payload, to=to))
    terminal.say_json(sent.model_dump(mode="json")) if connection.as_json else terminal.say(str(sent.id))


@connected
def messages(
    connection: Connection,
    task_id: TaskId,
    after: Annotated[str | None, flag("--after", help="Only messages after this id.")] = None,
) -> None:
    """List the messages of a task, oldest first."""

    def show(message: BotMessage) -> None:
        terminal.say_json(message.model_dump(mode="json")) if connection.as_json else terminal.say(_line(message))

    connection.each(lambda client: client.messages(task_id, after=after), show)


def _line(message: BotMessage) -> str:
    said = message.payload.get("text") if set(message.payload) == {"text"} else None
    words = said if isinstance(said, str) else json.dumps(message.payload, ensure_ascii=False)
    way = f"{message.from_bot} → {message.to_bot or 'all'}"
    return f"{message.timestamp:%H:%M:%S}  {terminal.on_one_line(way)}  {terminal.on_one_line(words)}"


def _payload(text: str) -> dict[str, Any]:
    if not text.startswith("@"):
        return {"text": text}
    value = documents.argument(text, what="the file")
    if not isinstance(value, dict):
        raise CliError("file", "the file does not contain a JSON object", exit_code=Exit.USAGE)
    return value
