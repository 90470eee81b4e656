"""What brokers between servers have in common.

Publishing only notes a hint, so it never waits and never fails. A task in the background sends what was noted, at most
each few milliseconds and equal hints once, and opens the connection again whenever it is lost. Hints are lost with it:
that only causes a delay, because subscribers also read the store at intervals.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from swarmkeeper.broker.local import HINTS_MAX, LocalBroker
from swarmkeeper.core.ports import LogWriter

SECONDS_TO_CONNECT = 5
SECONDS_TO_GATHER = 0.005
SECONDS_BETWEEN_TRIES = 0.5
# A connection that carried nothing for so long is tried out, and is lost if it then stays silent for as long again.
SECONDS_SILENT = 10.0
HINT_BYTES_MAX = 7_900  # PostgreSQL takes less than 8,000


class ConnectionLost(Exception):
    """The connection to the broker ended, or stays silent."""


class RemoteBroker(ABC):
    """Implements `core.ports.Broker`: hints reach subscribers in this process at once, and in others by `_exchange`."""

    def __init__(self, place: str, log: LogWriter) -> None:
        """
        Args:
            place: where the other side is, for the log: without credentials.
        """
        self._place = place
        self._log = log
        self._local = LocalBroker()
        self._waiting: dict[str, dict[bytes, None]] = {}  # by topic
        self._more = asyncio.Event()
        self._gathered_at = 0.0
        self._is_lost = False
        self._needed: Callable[[], bool] = lambda: True
        self.is_connected = False

    def send_if(self, needed: Callable[[], bool]) -> None:
        """Send hints to other processes only while this says so: alone, a server need not."""
        self._needed = needed

    async def publish(self, topic: str, body: bytes = b"") -> None:
        await self._local.publish(topic, body)
        if not self._needed():
            return
        waiting = self._waiting.setdefault(topic, {})
        # Without a connection, or with a slow one, hints beyond this number are lost.
        if len(waiting) < HINTS_MAX:
            waiting[body] = None
            self._more.set()

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._local.subscribe(topic) as hints:
            yield hints

    async def run(self) -> None:
        """Exchange hints with the other servers, for ever. A connection that is lost is opened again."""
        while True:
            try:
                await self._exchange()
            except Exception as error:  # whatever a driver raises: the server goes on, and so must this
                reason = str(error) or type(error).__name__
            else:
                reason = "the connection was closed"
            finally:
                self.is_connected = False
            if not self._is_lost:
                self._is_lost = True
                self._log("broker_lost", broker=self._place, reason=reason)
            await asyncio.sleep(SECONDS_BETWEEN_TRIES)

    @abstractmethod
    async def _exchange(self) -> None:
        """Connect and exchange hints until the connection ends: return, or raise any error."""

    def _connected(self) -> None:
        """Note that hints are exchanged from now on."""
        self.is_connected = True
        if self._is_lost:
            self._is_lost = False
            self._log("broker_back", broker=self._place)

    def _wake(self) -> None:
        """Make `_gathered` return."""
        self._more.set()

    async def _gathered(self, seconds: float | None = None) -> list[tuple[str, bytes]]:
        """Wait for hints of this process and return them; an empty list after `seconds`, or if woken."""
        now = asyncio.get_running_loop().time
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._more.wait()
                # The first one after a pause leaves at once; those that follow it soon leave together.
                await asyncio.sleep(self._gathered_at + SECONDS_TO_GATHER - now())
        self._gathered_at = now()
        self._more.clear()
        waiting, self._waiting = self._waiting, {}
        return [(topic, body) for topic, bodies in waiting.items() for body in bodies if len(body) <= HINT_BYTES_MAX]

    async def _heard(self, topic: str, body: bytes) -> None:
        """Pass on a hint of another server."""
        await self._local.publish(topic, body)
