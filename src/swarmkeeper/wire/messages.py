"""The request that sends a message. The message as delivered is in answers.py."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from swarmkeeper.wire.requests import LeaseId
from swarmkeeper.wire.shapes import Name, Object, OnlyServerSets, Request, json_within

PAYLOAD_BYTES_MAX = 64 * 1024


class MessageRequest(Request):
    """A message to a bot about a task. The original `BotMessage` schema is a valid body."""

    id: OnlyServerSets = None
    from_bot: OnlyServerSets = None
    task_id: OnlyServerSets = None
    timestamp: OnlyServerSets = None
    to_bot: Annotated[Name | None, Field(description="Bot name or id; null for every bot that works on the task.")] = (
        None
    )
    payload: Annotated[Object, json_within(PAYLOAD_BYTES_MAX), Field(description="Any object of at most 64 KiB.")] = (
        Field(default_factory=dict)
    )
    lease_id: Annotated[
        LeaseId | None,
        Field(description="The sender's lease. Optional if the key has one bot working on the task."),
    ] = None
