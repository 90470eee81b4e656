"""Broker for one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

# A slow subscriber may miss hints beyond this number.
HINTS_MAX = 1_000


class _Hints:
    """Pending hints of one subscriber, without duplicates. Waiting for a hint may be cancelled."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, None] = {}
        self._more = asyncio.Event()

    def put(self, body: bytes) -> None:
        if len(self._waiting) < HINTS_MAX:
            self._waiting[body] = None
            self._more.set()

    def __aiter__(self) -> _Hints:
        return self

    async def __anext__(self) -> bytes:
        while not self._waiting:
            self._more.clear()
            await self._more.wait()
        body = next(iter(self._waiting))
        del self._waiting[body]
        return body


class LocalBroker:
    """Implements `core.ports.Broker` for one process. Publishing never waits, and is free without subscribers."""

    def __init__(self) -> None:
        self._subscribers: dict[str, dict[int, _Hints]] = {}

    async def run(self) -> None:
        """Return at once: there are no other processes to exchange hints with."""

    async def publish(self, topic: str, body: bytes = b"") -> None:
        for hints in self._subscribers.get(topic, {}).values():
            hints.put(body)

    def send_if(self, needed: Callable[[], bool]) -> None:
        """Do nothing: hints are never sent to other processes."""

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[AsyncIterator[bytes]]:
        hints = _Hints()
        subscribers = self._subscribers.setdefault(topic, {})
        subscribers[id(hints)] = hints
        try:
            yield hints
        finally:
            del subscribers[id(hints)]
            if not subscribers:
                self._subscribers.pop(topic, None)
