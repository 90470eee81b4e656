"""The outgoing stream in Valkey or Redis: XADD to one key. Some events are added in one transaction, all or none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from valkey.exceptions import ValkeyError

from swarmkeeper.broker.addresses import shown
from swarmkeeper.broker.valkey import client_of
from swarmkeeper.core.ports import OutgoingEvent


class ValkeyStream:
    """Implements `core.ports.OutgoingStream`."""

    def __init__(self, url: str, name: str, length: int) -> None:
        """
        Args:
            name: the key of the stream.
            length: about how many entries the stream keeps; 0: all.
        """
        self.name = f"valkey:{name}"
        self.place = f"{shown(url)}/{name}"
        self._client = client_of(url)
        self._key, self._length = name, length

    async def open(self) -> None:
        await self._client.ping()

    async def append(self, events: Sequence[OutgoingEvent]) -> int:
        async with self._client.pipeline(transaction=True) as pipeline:
            for event in events:
                fields: dict[str, bytes] = {
                    "event": event.body,
                    "tenant": event.tenant.encode(),
                    "type": event.kind.encode(),
                }
                pipeline.xadd(self._key, fields, maxlen=self._length or None, approximate=True)
            await pipeline.execute()
        return len(events)

    async def close(self) -> None:
        with suppress(OSError, TimeoutError, ValkeyError):
            async with asyncio.timeout(2):
                await self._client.connection_pool.disconnect(inuse_connections=True)
