"""What is said to send a message. The message itself, as it is told, is in answers.py."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from swarmkeeper.wire.requests import LeaseId
from swarmkeeper.wire.shapes import Name, Object, OnlyServerSets, Request, json_within

PAYLOAD_BYTES_MAX = 64 * 1024


class MessageRequest(Request):
    """Something to tell a bot about a task. A founding `BotMessage` is a valid body as it stands."""

    id: OnlyServerSets = None
    from_bot: OnlyServerSets = None
    task_id: OnlyServerSets = None
    timestamp: OnlyServerSets = None
    to_bot: Annotated[Name | None, Field(description="A bot's name or id; null: whoever works on the task.")] = None
    payload: Annotated[Object, json_within(PAYLOAD_BYTES_MAX), Field(description="Any object of at most 64 KiB.")] = (
        Field(default_factory=dict)
    )
    lease_id: Annotated[
        LeaseId | None,
        Field(description="Of the bot that speaks. May be left out where the key has one bot at work on the task."),
    ] = None
