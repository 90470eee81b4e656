"""`task message` and `task messages`: telling bots something about a task, and reading what was told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli import documents, running, terminal
from swarmkeeper.cli.flags import ApiKey, ApiKeyFile, AsJson, Url, flag
from swarmkeeper.cli.task import TaskId
from swarmkeeper.cli.terminal import Exit, Failure

if TYPE_CHECKING:
    from swarmkeeper.wire.answers import BotMessage


def message(
    task_id: TaskId,
    text: Annotated[str, typer.Argument(help='A text, sent as {"text": …}; or @FILE that holds a JSON object.')],
    to: Annotated[str | None, flag("--to", help="A bot's name or id; else whoever works on the task.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Tell a bot something about a task; it hears it with a heartbeat. Prints the message's id."""
    payload = _payload(text)
    running.sendable(payload)
    settings = running.settings_of(url=url, api_key=api_key, api_key_file=api_key_file)

    async def work() -> BotMessage:
        async with running.client_of(settings) as client:
            return await client.tell(task_id, payload, to=to)

    sent = running.run(work())
    terminal.say_json(sent.model_dump(mode="json")) if as_json else terminal.say(str(sent.id))


def messages(
    task_id: TaskId,
    after: Annotated[str | None, flag("--after", help="Only those after the message of this id.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """What was said about a task, the oldest first."""
    settings = running.settings_of(url=url, api_key=api_key, api_key_file=api_key_file)

    async def work() -> None:
        async with running.client_of(settings) as client:
            async for one in client.messages(task_id, after=after):
                if as_json:
                    terminal.say_json(one.model_dump(mode="json"))
                else:
                    said = one.payload.get("text") if set(one.payload) == {"text"} else None
                    words = said if isinstance(said, str) else json.dumps(one.payload, ensure_ascii=False)
                    way = f"{one.from_bot} → {one.to_bot or 'all'}"
                    terminal.say(
                        f"{one.timestamp:%H:%M:%S}  {terminal.on_one_line(way)}  {terminal.on_one_line(words)}"
                    )

    running.run(work())


def _payload(text: str) -> dict[str, Any]:
    if not text.startswith("@"):
        return {"text": text}
    value = documents.argument(text, what="the file")
    if not isinstance(value, dict):
        raise Failure("file", "the file holds no JSON object", exit_code=Exit.USAGE)
    return value
