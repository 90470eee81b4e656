"""Reads what was published, as programs outside do."""

import json
from dataclasses import dataclass
from typing import Any

import nats
from nats.js.errors import NotFoundError
from valkey.asyncio import Valkey

from tests.support.brokers import BrokerServer, NatsServer

NAME = "swarmkeeper-events"


@dataclass(frozen=True)
class Message:
    body: dict[str, Any]
    about: dict[str, str]  # subject and headers, or the other fields

    @property
    def seq(self) -> int:
        return int(self.body["id"])


async def published(server: BrokerServer, name: str = NAME, after: int = 0) -> list[Message]:
    """Return everything in a stream, in its order, but for so many at its beginning."""
    if isinstance(server, NatsServer):
        return await _of_nats(server, name, after)
    client: Valkey = Valkey.from_url(server.url)
    try:
        entries = await client.xrange(name)
        found = [{key.decode(): value.decode() for key, value in fields.items()} for _, fields in entries]
        return [Message(json.loads(fields.pop("event")), fields) for fields in found[after:]]
    finally:
        await client.aclose()


async def _of_nats(server: BrokerServer, name: str, after: int) -> list[Message]:
    client = await nats.connect(server.url)
    try:
        context = client.jetstream()
        try:
            info = await context.stream_info(name)
        except NotFoundError:
            return []
        found = []
        for number in range(max(1, info.state.first_seq) + after, info.state.last_seq + 1):
            try:
                message = await context.get_msg(name, number)
            except NotFoundError:  # the stream is full, and has removed it meanwhile
                continue
            assert message.data is not None
            assert message.subject is not None
            about = {"subject": message.subject, **(message.headers or {})}
            found.append(Message(json.loads(message.data), about))
        return found
    finally:
        await client.close()


def first_times(messages: list[Message]) -> list[int]:
    """Return the numbers of the events in the order in which each came first."""
    return list(dict.fromkeys(message.seq for message in messages))
