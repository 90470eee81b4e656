"""A reader that runs on one server at a time: the one that owns its row in the store.

Theory. The owner calls again and again; each call keeps other servers away for some seconds. If the owner dies or
stands still, another server takes over. The old one may not know this yet, and go on for a moment. So a reader must do
no harm if two of them run: it sends in order from a cursor in the store, and moves the cursor only after the other side
has what comes before it.

After a failure it lets go, so that another server may try, and waits: longer each time, and not as long as its
neighbours, so that they do not all return at once.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from swarmkeeper.core.ports import EVENTS_TOPIC, Broker, Store

SECOND = 1_000_000
LOOK_SECONDS = 1.0  # the delay if a hint is lost
# If the owner dies, another server takes over after so long. The owner calls again after a third of it, and a call of
# the other side may take no longer than another third.
OWNED_SECONDS = 15.0
OWN_AGAIN_SECONDS = OWNED_SECONDS / 3
APPEND_SECONDS_MAX = OWNED_SECONDS / 3
# Noting the cursor is a commit: it waits while there is more to send, because after a crash some repeats do no harm.
SECONDS_BETWEEN_NOTES = 1.0
TAKE_OVER_SECONDS = 2.0  # how often other servers try to become the owner
WAIT_SECONDS_MIN, WAIT_SECONDS_MAX = 0.5, 15.0
WATCH_SECONDS = 5.0
TELL_AGAIN_SECONDS = 60.0


class OwnedReader(ABC):
    def __init__(self, name: str, store: Store, broker: Broker, *, owner: str, monotonic: Callable[[], int]) -> None:
        """
        Args:
            name: of the row in the store.
            owner: what only this server has: letters and digits drawn at random.
        """
        self._name, self._store, self._broker = name, store, broker
        self._owner, self._monotonic = owner, monotonic
        self._owns = False
        self._sent = 0  # by this server since its start
        self._noted_at = 0
        self._waits_since: int | None = None  # when sending failed, and has failed since
        self._reason = ""
        self._told_at = 0
        # From 0.75 to 1, other on each server.
        self._haste = 0.75 + sum(owner.encode()) % 64 / 256

    async def run(self) -> None:
        """Read and send for ever."""
        watching = asyncio.create_task(self._watch(), name=f"swarmkeeper-watch-{self._name}")
        try:
            async with self._broker.subscribe(EVENTS_TOPIC) as hints:
                await self._run(hints)
        finally:
            watching.cancel()

    async def _run(self, hints: AsyncIterator[bytes]) -> None:
        wait = WAIT_SECONDS_MIN
        while True:
            sent = self._sent
            try:
                found = await self._store.keep_sink(self._name, self._owner, 0, seconds=OWNED_SECONDS)
                self._noted_at = self._monotonic()
                if found is None:
                    await asyncio.sleep(TAKE_OVER_SECONDS)
                    continue
                self._owns = True
                await self._begin(found)
                await self._send_all(hints)
            except Exception as error:  # of the store, or whatever a driver raises: all of it may be temporary
                self._waits(error)
            finally:
                await self._let_go()
            if self._sent > sent:
                wait = WAIT_SECONDS_MIN
            await asyncio.sleep(max(wait * self._haste, self._least_wait()))
            wait = min(2 * wait, WAIT_SECONDS_MAX)

    @abstractmethod
    async def _begin(self, cursor: int) -> None:
        """Begin where the store says: this server is the owner now."""

    @abstractmethod
    async def _send_all(self, hints: AsyncIterator[bytes]) -> None:
        """Connect, and send until another server has become the owner.

        Raises:
            Exception: anything, from the store or the other side.
        """

    @abstractmethod
    async def _disconnect(self) -> None:
        """Disconnect. Never raises."""

    @abstractmethod
    async def _note_last(self) -> None:
        """Note the cursor, and let another server become the owner."""

    @abstractmethod
    async def _look(self) -> None:
        """Learn how much is still to be sent, by any server. May raise what a store raises."""

    @abstractmethod
    def _tell_waits(self, seconds: int) -> None:
        """Log that it waits, and has waited for so many seconds."""

    @abstractmethod
    def _tell_goes_on(self) -> None:
        """Log that it goes on."""

    def _least_wait(self) -> float:
        """Return for how many seconds the other side wants to be left alone."""
        return 0.0

    async def _hint(self, hints: AsyncIterator[bytes], seconds: float = LOOK_SECONDS) -> None:
        """Wait for something new, or a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await anext(hints)

    async def _let_go(self) -> None:
        """Disconnect, note the cursor and let another server send: it may reach the other side."""
        if not self._owns:
            return
        self._owns = False
        await self._disconnect()
        with suppress(Exception):  # what the store does not know is sent again
            async with asyncio.timeout(APPEND_SECONDS_MAX):
                await self._note_last()

    # ---- how it is -------------------------------------------------------------------------------------------------

    def _waits(self, error: Exception) -> None:
        self._reason = str(error) or type(error).__name__
        if self._waits_since is None:
            self._waits_since = self._monotonic()
            self._told_at = 0

    def _goes_on(self) -> None:
        if self._waits_since is not None:
            if self._told_at:
                self._tell_goes_on()
            self._waits_since = None

    def _watch_seconds(self) -> float:
        return WATCH_SECONDS

    async def _watch(self) -> None:
        """Look how much is still to be sent, and tell the log again and again while it waits."""
        while True:
            with suppress(Exception):  # the engine logs errors of the store
                await self._look()
            now = self._monotonic()
            if self._waits_since is not None and (
                not self._told_at or now - self._told_at >= TELL_AGAIN_SECONDS * SECOND
            ):
                self._told_at = now
                self._tell_waits((now - self._waits_since) // SECOND)
            await asyncio.sleep(self._watch_seconds())
