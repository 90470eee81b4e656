"""Broker for the servers that share a store in PostgreSQL: NOTIFY and LISTEN, on a connection of its own.

Publishing only notes a hint; those of some milliseconds leave together, after the commits that they tell of. A hint
that is lost with the connection only causes a delay: subscribers also read the store at intervals.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from swarmkeeper.broker.local import LocalBroker

CHANNEL = "swarmkeeper"
SECONDS_TO_GATHER = 0.005
SECONDS_BETWEEN_TRIES = 0.5
PAYLOAD_MAX = 7_900  # bytes; the server takes less than 8,000

_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError)


class PostgresBroker:
    """Implements `core.ports.Broker`: hints reach subscribers in this process at once, and in others by NOTIFY."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._local = LocalBroker()
        self._waiting: dict[tuple[str, bytes], None] = {}
        self._more = asyncio.Event()

    async def publish(self, topic: str, body: bytes = b"") -> None:
        await self._local.publish(topic, body)
        self._waiting[topic, body] = None
        self._more.set()

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._local.subscribe(topic) as hints:
            yield hints

    async def run(self) -> None:
        """Exchange hints with the other servers, for ever. A connection that is lost is opened again."""
        while True:
            with suppress(*_LOST):
                await self._exchange()
            await asyncio.sleep(SECONDS_BETWEEN_TRIES)

    async def _exchange(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=5, server_settings={"application_name": "swarmkeeper"})
        heard: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        own = connection.get_server_pid()
        hearing: asyncio.Task[None] | None = None
        try:
            connection.add_termination_listener(lambda _: self._more.set())
            await connection.add_listener(CHANNEL, lambda _, pid, __, text: heard.put_nowait((pid, str(text))))
            hearing = asyncio.create_task(self._hear(heard, own))
            while True:
                await self._more.wait()
                if connection.is_closed():
                    return
                await asyncio.sleep(SECONDS_TO_GATHER)
                self._more.clear()
                hints, self._waiting = list(self._waiting), {}
                for topic, body in hints:
                    text = f"{topic} {body.decode()}"
                    if len(text) <= PAYLOAD_MAX:  # a longer one is left out, as if it were lost
                        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, text)
        finally:
            if hearing is not None:
                hearing.cancel()
            connection.terminate()

    async def _hear(self, heard: asyncio.Queue[tuple[int, str]], own: int) -> None:
        while True:
            pid, text = await heard.get()
            if pid != own:
                topic, _, body = text.partition(" ")
                await self._local.publish(topic, body.encode())
