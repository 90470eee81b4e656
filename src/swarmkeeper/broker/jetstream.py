"""The outgoing stream in NATS JetStream.

Each event is a message of its own, with the event's id as `Nats-Msg-Id`: within its window for duplicates, JetStream
drops one that it has already. The next event is sent when the stream has confirmed the one before it, so that none can
be stored without those before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import quote

from nats.aio.client import Client as NatsClient
from nats.errors import MaxPayloadError
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import NoStreamResponseError

from swarmkeeper.broker import nats
from swarmkeeper.broker.addresses import shown
from swarmkeeper.broker.remote import ConnectionLost
from swarmkeeper.core.ports import EventTooLarge, OutgoingEvent

SECONDS_AT_ONCE = 1.0  # after so long, the caller may note what is stored
SECONDS_TO_CONFIRM = 4.0
DUPLICATES_SECONDS = 600.0


class JetStreamStream:
    """Implements `core.ports.OutgoingStream`."""

    def __init__(self, url: str, name: str, length: int) -> None:
        """
        Args:
            name: of the stream, and the first part of its subjects.
            length: the number of messages that the stream keeps, if it is made here; 0: all.
        """
        self.name = f"nats:{name}"
        self.place = f"{shown(url)}/{name}"
        self._url, self._stream, self._length = url, name, length
        self._client: NatsClient | None = None
        self._context: JetStreamContext | None = None

    async def open(self) -> None:
        await self.close()
        self._client = await nats.connect(self._url, closed=lambda: None)
        self._context = self._client.jetstream(timeout=SECONDS_TO_CONFIRM)

    async def append(self, events: Sequence[OutgoingEvent]) -> int:
        end = asyncio.get_running_loop().time() + SECONDS_AT_ONCE
        for stored, event in enumerate(events, 1):
            try:
                await self._append(event)
            except MaxPayloadError:
                if stored > 1:
                    return stored - 1  # the caller comes back with this one first
                raise EventTooLarge(f"{len(event.body)} bytes are more than the server takes") from None
            if asyncio.get_running_loop().time() > end:
                return stored
        return len(events)

    async def _append(self, event: OutgoingEvent) -> None:
        if self._client is None or self._context is None or self._client.is_closed:
            raise ConnectionLost("the connection was closed")
        subject = f"{self._stream}.{_token(event.tenant)}.{event.kind}"
        headers = {"Nats-Msg-Id": event.id, "Content-Type": "application/cloudevents+json; charset=utf-8"}
        try:
            await self._context.publish(subject, event.body, headers=headers)
        except NoStreamResponseError:
            # No stream takes the subject. One that somebody else has made is used as it is.
            await self._context.add_stream(
                StreamConfig(
                    name=self._stream,
                    subjects=[f"{self._stream}.>"],
                    max_msgs=self._length or -1,
                    duplicate_window=DUPLICATES_SECONDS,
                )
            )
            await self._context.publish(subject, event.body, headers=headers)

    async def close(self) -> None:
        client, self._client, self._context = self._client, None, None
        if client is not None:
            await nats.close(client)


def _token(text: str) -> str:
    """Return a text as one part of a subject."""
    return quote(text, safe="").replace(".", "%2E")
