"""Broker through Valkey or Redis: publish and subscribe on one channel, on two connections.

A subscriber hears its own messages, too. They are left out, but they are of use: a server that has heard nothing for a
while sends itself one, so that it notices a connection that is dead and was never closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from valkey.asyncio import Valkey
from valkey.asyncio.client import PubSub

from swarmkeeper.broker.addresses import shown
from swarmkeeper.broker.remote import SECONDS_SILENT, SECONDS_TO_CONNECT, ConnectionLost, RemoteBroker
from swarmkeeper.core.ports import LogWriter

CHANNEL = "swarmkeeper-hints"
_ALIVE = "-"  # the topic of messages that a server sends itself


def client_of(url: str) -> Valkey:
    """Return a client, which connects when it is used.

    Raises:
        ValueError, TypeError: an option in the address is wrong.
    """
    client: Valkey = Valkey.from_url(
        url, socket_connect_timeout=SECONDS_TO_CONNECT, socket_keepalive=True, client_name="swarmkeeper"
    )
    # Opens nothing, but refuses options that do not exist.
    client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # the driver has types, but not here
    return client


class ValkeyBroker(RemoteBroker):
    def __init__(self, url: str, name: str, own: str, log: LogWriter) -> None:
        """
        Args:
            name: of the store whose servers exchange hints.
            own: what only this server has: marks its messages.
        """
        super().__init__(shown(url), log)
        self._client = client_of(url)
        self._channel = f"{CHANNEL}:{name}"
        self._own = own.encode()

    async def _exchange(self) -> None:
        subscriber = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            async with asyncio.timeout(SECONDS_TO_CONNECT):
                await subscriber.subscribe(self._channel)
                await self._send([(_ALIVE, b"")])  # heard only once the subscription is in force
                while not await self._hear(subscriber):
                    pass
            self._connected()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._send_all())
                both.create_task(self._hear_all(subscriber))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            # Cut the connections first, so that closing sends nothing to a server that may not answer.
            await self._client.connection_pool.disconnect(inuse_connections=True)
            await subscriber.aclose()  # type: ignore[no-untyped-call]  # the driver has types, but not here

    async def _send_all(self) -> None:
        while True:
            hints = await self._gathered(SECONDS_SILENT)
            async with asyncio.timeout(SECONDS_TO_CONNECT + SECONDS_SILENT):
                await self._send(hints or [(_ALIVE, b"")])

    async def _send(self, hints: Sequence[tuple[str, bytes]]) -> None:
        async with self._client.pipeline(transaction=False) as pipeline:
            for topic, body in hints:
                pipeline.publish(self._channel, b"%s %s %s" % (self._own, topic.encode(), body))
            await pipeline.execute()

    async def _hear_all(self, subscriber: PubSub) -> None:
        while True:
            try:
                async with asyncio.timeout(2 * SECONDS_SILENT):
                    await self._hear(subscriber)
            except TimeoutError:
                raise ConnectionLost(f"nothing was heard for {2 * SECONDS_SILENT:g} s") from None

    async def _hear(self, subscriber: PubSub) -> bool:
        """Take one message; return whether there was one."""
        message = await subscriber.get_message(ignore_subscribe_messages=True, timeout=None)
        if message is None:
            return False
        own, topic, body = message["data"].split(b" ", 2)
        if own != self._own:
            await self._heard(topic.decode(), body)
        return True
