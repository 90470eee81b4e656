"""The outgoing stream in NATS JetStream.

Each event is a message of its own, with the event's id as `Nats-Msg-Id`: within its window for duplicates, JetStream
drops one that it has already. Many are sent at once, each on condition that the one before it is the last one in the
stream: so none is stored without those before it, whatever fails between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from urllib.parse import quote

from nats.aio.client import Client as NatsClient
from nats.errors import MaxPayloadError
from nats.js import JetStreamContext
from nats.js.api import PubAck, StreamConfig
from nats.js.errors import APIError, NoStreamResponseError

from swarmkeeper.broker import nats
from swarmkeeper.broker.addresses import shown
from swarmkeeper.broker.remote import ConnectionLost
from swarmkeeper.core.ports import EventTooLarge, OutgoingEvent

AT_ONCE_MAX = 64
SECONDS_AT_ONCE = 1.0  # after so long, the caller may note what is stored
SECONDS_TO_CONFIRM = 4.0
DUPLICATES_SECONDS = 600.0
_TOO_LARGE = 10054  # JetStream's code for a message that exceeds the bound of its stream


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
        self._at_once = AT_ONCE_MAX
        self._client: NatsClient | None = None
        self._context: JetStreamContext | None = None

    async def open(self) -> None:
        await self.close()
        self._client = await nats.connect(self._url, closed=lambda: None)
        self._context = self._client.jetstream(timeout=SECONDS_TO_CONFIRM)

    async def append(self, events: Sequence[OutgoingEvent]) -> int:
        end = asyncio.get_running_loop().time() + SECONDS_AT_ONCE
        stored = 0
        while stored < len(events) and asyncio.get_running_loop().time() < end:
            try:
                ack = await self._append(events[stored])
            except Exception as error:
                if stored:
                    return stored  # the caller comes back with this one first, and meets the same trouble
                if _is_too_large(error):
                    raise EventTooLarge(f"{len(events[0].body)} bytes are more than it takes") from None
                raise
            stored += 1
            if not ack.duplicate:
                stored += await self._append_after(events[stored - 1], events[stored : stored + self._at_once - 1])
        return stored

    async def _append_after(self, last: OutgoingEvent, events: Sequence[OutgoingEvent]) -> int:
        """Append events at once, each on condition that the one before it is the last one in the stream.

        Returns:
            how many of the first ones are stored.
        """
        sent = [self._append(event, after=before.id) for before, event in pairwise((last, *events))]
        answers = await asyncio.gather(*sent, return_exceptions=True)
        stored = next((place for place, answer in enumerate(answers) if isinstance(answer, BaseException)), len(events))
        # Others write to the stream, too, or it has some of the events already: fewer at once waste less.
        self._at_once = min(AT_ONCE_MAX, 2 * self._at_once) if stored == len(events) else max(1, self._at_once // 2)
        return stored

    async def _append(self, event: OutgoingEvent, *, after: str | None = None) -> PubAck:
        if self._client is None or self._context is None or self._client.is_closed:
            raise ConnectionLost("the connection was closed")
        subject = f"{self._stream}.{_token(event.tenant)}.{event.kind}"
        headers = {"Nats-Msg-Id": event.id, "Content-Type": "application/cloudevents+json; charset=utf-8"}
        if after is not None:
            headers["Nats-Expected-Last-Msg-Id"] = after
        try:
            return await self._context.publish(subject, event.body, headers=headers)
        except NoStreamResponseError:
            if after is not None:
                raise
        # No stream takes the subject, so make one. (If an operator has made one that does, it is used unchanged.)
        await self._context.add_stream(
            StreamConfig(
                name=self._stream,
                subjects=[f"{self._stream}.>"],
                max_msgs=self._length or -1,
                duplicate_window=DUPLICATES_SECONDS,
            )
        )
        return await self._context.publish(subject, event.body, headers=headers)

    async def close(self) -> None:
        client, self._client, self._context = self._client, None, None
        if client is not None:
            await nats.close(client)


def _is_too_large(error: Exception) -> bool:
    """Return whether the server takes no message of this size, or the stream does not."""
    return isinstance(error, MaxPayloadError) or (isinstance(error, APIError) and error.err_code == _TOO_LARGE)


def _token(text: str) -> str:
    """Return a text as one part of a subject."""
    return quote(text, safe="").replace(".", "%2E")
