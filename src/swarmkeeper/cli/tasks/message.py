"""`task message` and `task messages`: telling bots something about a task, and reading what was told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.framework import documents, terminal
from swarmkeeper.cli.framework.connection import Connection, connected, sendable
from swarmkeeper.cli.framework.flags import TaskId, flag
from swarmkeeper.cli.framework.terminal import Exit, Failure

if TYPE_CHECKING:
    from swarmkeeper.wire.answers import BotMessage


@connected
def message(
    connection: Connection,
    task_id: TaskId,
    text: Annotated[str, typer.Argument(help='A text, sent as {"text": …}; or @FILE that holds a JSON object.')],
    to: Annotated[str | None, flag("--to", help="A bot's name or id; else whoever works on the task.")] = None,
) -> None:
    """Tell a bot something about a task; it hears it with a heartbeat. Prints the message's id."""
    payload = _payload(text)
    sendable(payload)
    sent = connection.call(lambda client: client.tell(task_id, payload, to=to))
    terminal.say_json(sent.model_dump(mode="json")) if connection.as_json else terminal.say(str(sent.id))


@connected
def messages(
    connection: Connection,
    task_id: TaskId,
    after: Annotated[str | None, flag("--after", help="Only those after the message of this id.")] = None,
) -> None:
    """What was said about a task, the oldest first."""

    def show(one: BotMessage) -> None:
        terminal.say_json(one.model_dump(mode="json")) if connection.as_json else terminal.say(_line(one))

    connection.each(lambda client: client.messages(task_id, after=after), show)


def _line(one: BotMessage) -> str:
    said = one.payload.get("text") if set(one.payload) == {"text"} else None
    words = said if isinstance(said, str) else json.dumps(one.payload, ensure_ascii=False)
    way = f"{one.from_bot} → {one.to_bot or 'all'}"
    return f"{one.timestamp:%H:%M:%S}  {terminal.on_one_line(way)}  {terminal.on_one_line(words)}"


def _payload(text: str) -> dict[str, Any]:
    if not text.startswith("@"):
        return {"text": text}
    value = documents.argument(text, what="the file")
    if not isinstance(value, dict):
        raise Failure("file", "the file holds no JSON object", exit_code=Exit.USAGE)
    return value
