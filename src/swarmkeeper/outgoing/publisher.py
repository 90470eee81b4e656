"""Publishes the feed to a stream outside.

Theory. The store keeps a cursor for the stream: all events up to it are stored there. One server at a time owns it, for
some seconds from each call on. The owner reads the events after the cursor, appends them in order, waits until the
other side has stored them, and only then moves the cursor. So nothing is left out, whatever dies when; what was
appended and not yet noted is appended again. A server that stood still while another one took over may append once more
what it had read: those are repeats, too, since the cursor had not passed them when the other one began.

Events that left the store before they were published cannot be published any more: their number is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from swarmkeeper.core import named_reads
from swarmkeeper.core.named_reads import EventRow, FeedGapRow, fetch
from swarmkeeper.core.ports import (
    EVENTS_TOPIC,
    Broker,
    EventTooLarge,
    LogWriter,
    OutgoingEvent,
    OutgoingStream,
    Store,
)
from swarmkeeper.reads import views

SECOND = 1_000_000
PAGE = 100
LOOK_SECONDS = 1.0  # the delay if a hint is lost
# If the owner dies, another server takes over after so long. The owner calls again after a third of it, and a call of
# the other side may take no longer than another third.
OWNED_SECONDS = 15.0
OWN_AGAIN_SECONDS = OWNED_SECONDS / 3
APPEND_SECONDS_MAX = OWNED_SECONDS / 3
# Noting the cursor is a commit: it waits while there are events, because after a crash some repeats do no harm.
SECONDS_BETWEEN_NOTES = 1.0
TAKE_OVER_SECONDS = 2.0  # how often other servers try to become the owner
WAIT_SECONDS_MIN, WAIT_SECONDS_MAX = 0.5, 15.0
WATCH_SECONDS = 5.0
TELL_AGAIN_SECONDS = 60.0

encode = msgspec.json.Encoder().encode


def outgoing(row: EventRow) -> OutgoingEvent:
    """Return an event in the form of the feed, with what a reader of all tenants needs besides."""
    body = {**views.event(row), "datacontenttype": "application/json", "tenant": row.tenant}
    return OutgoingEvent(row.seq, row.id, row.tenant, row.kind, encode(body))


def missing(after: int, numbers: Sequence[int], gaps: Sequence[FeedGapRow]) -> list[tuple[int, int, int]]:
    """Return (first, last, count) of the numbers that are left out between `after` and the last one.

    Args:
        numbers: of events, ascending.
        gaps: numbers that no event ever had; they are not counted.
    """
    found = []
    for number in numbers:
        first, last = after + 1, number - 1
        after = max(after, number)
        never = sum(max(0, min(last, gap.upto) - max(first, gap.after + 1) + 1) for gap in gaps)
        if last - first + 1 > never:
            found.append((first, last, last - first + 1 - never))
    return found


@dataclass(slots=True)
class OutgoingFigures:
    published: int = 0  # events, by this server since its start
    skipped: int = 0  # events that had left the store before, or were too large
    behind: int = 0  # events that are still to be published, by any server; about 5 s old


class Publisher:
    def __init__(
        self,
        stream: OutgoingStream,
        store: Store,
        broker: Broker,
        *,
        owner: str,
        monotonic: Callable[[], int],
        log: LogWriter,
    ) -> None:
        """
        Args:
            owner: what only this server has.
        """
        self._stream, self._store, self._broker = stream, store, broker
        self._owner, self._monotonic, self._log = owner, monotonic, log
        self.figures = OutgoingFigures()
        self._cursor = 0  # stored on the other side up to here
        self._noted = 0  # as the store knows
        self._noted_at = 0
        self._owns = False
        self._told_to = 0  # the log knows which events up to here are missing
        self._waits_since: int | None = None  # when publishing failed, and has failed since
        self._waits_at = 0  # the cursor then
        self._reason = ""
        self._told_at = 0

    async def run(self) -> None:
        """Publish for ever."""
        watching = asyncio.create_task(self._watch(), name="swarmkeeper-outgoing-watch")
        try:
            async with self._broker.subscribe(EVENTS_TOPIC) as hints:
                await self._run(hints)
        finally:
            watching.cancel()

    async def _run(self, hints: AsyncIterator[bytes]) -> None:
        wait = WAIT_SECONDS_MIN
        while True:
            published = self.figures.published
            try:
                if not await self._own():
                    await asyncio.sleep(TAKE_OVER_SECONDS)
                    continue
                await self._publish(hints)
            except Exception as error:  # of the store, or whatever a driver raises: all of it may be temporary
                self._waits(error)
            finally:
                await self._let_go()
            if self.figures.published > published:
                wait = WAIT_SECONDS_MIN
            await asyncio.sleep(wait)
            wait = min(2 * wait, WAIT_SECONDS_MAX)

    async def _own(self) -> bool:
        """Become the owner, and begin at the store's cursor; return False if another server is."""
        found = await self._store.keep_sink(self._stream.name, self._owner, 0, seconds=OWNED_SECONDS)
        self._noted_at = self._monotonic()
        if found is None:
            return False
        self._cursor = self._noted = found
        self._owns = True
        return True

    async def _publish(self, hints: AsyncIterator[bytes]) -> None:
        """Publish until another server has become the owner.

        Raises:
            Exception: anything, from the store or the other side.
        """
        async with asyncio.timeout(APPEND_SECONDS_MAX):
            await self._stream.open()
        while True:
            rows = await fetch(self._store, named_reads.EVENTS_AFTER, after=self._cursor, limit=PAGE)
            if not await self._note(at_once=not rows):
                return
            if rows:
                await self._append(rows)
                continue
            self._goes_on()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await anext(hints)

    async def _append(self, rows: Sequence[EventRow]) -> None:
        if rows[-1].seq - self._cursor != len(rows):
            await self._tell_missing(rows)
        events = [outgoing(row) for row in rows]
        try:
            async with asyncio.timeout(APPEND_SECONDS_MAX):
                stored = await self._stream.append(events)
        except EventTooLarge as error:
            self._log("outgoing_too_large", stream=self._stream.place, first=events[0].seq, reason=str(error))
            self.figures.skipped += 1
            self._cursor = events[0].seq
            return
        self.figures.published += stored
        self._cursor = events[stored - 1].seq
        self._goes_on()

    async def _tell_missing(self, rows: Sequence[EventRow]) -> None:
        gaps = await fetch(self._store, named_reads.FEED_GAPS)
        found = missing(max(self._cursor, self._told_to), [row.seq for row in rows], gaps)
        self._told_to = rows[-1].seq
        if not found:
            return
        count = sum(count for _, _, count in found)
        self.figures.skipped += count
        self._log(
            "outgoing_skipped",
            stream=self._stream.place,
            first=found[0][0],
            last=found[-1][1],
            count=count,
            reason="these events left the store before they were published",
        )

    async def _note(self, *, at_once: bool) -> bool:
        """Let the store know the cursor, and remain the owner; return False if this server is not any more.

        Args:
            at_once: note a cursor that has moved now, because there is nothing else to do.
        """
        age = (self._monotonic() - self._noted_at) / SECOND
        has_moved = self._cursor > self._noted
        if age < OWN_AGAIN_SECONDS and not (has_moved and (at_once or age >= SECONDS_BETWEEN_NOTES)):
            return True
        cursor, called_at = self._cursor, self._monotonic()
        if await self._store.keep_sink(self._stream.name, self._owner, cursor, seconds=OWNED_SECONDS) is None:
            return False
        self._noted, self._noted_at = cursor, called_at
        return True

    async def _let_go(self) -> None:
        """Disconnect, note the cursor and let another server publish: it may reach the other side."""
        if not self._owns:
            return
        self._owns = False
        await self._stream.close()
        with suppress(Exception):  # what the store does not know is published again
            async with asyncio.timeout(APPEND_SECONDS_MAX):
                await self._store.keep_sink(self._stream.name, self._owner, self._cursor, seconds=0)

    # ---- how it is -------------------------------------------------------------------------------------------------

    def _waits(self, error: Exception) -> None:
        self._reason = str(error) or type(error).__name__
        if self._waits_since is None:
            self._waits_since = self._monotonic()
            self._waits_at = self._cursor
            self._told_at = 0

    def _goes_on(self) -> None:
        if self._waits_since is not None:
            if self._told_at:
                self._log("outgoing_goes_on", stream=self._stream.place, behind=self.figures.behind)
            self._waits_since = None

    async def _watch(self) -> None:
        """Count what is still to be published, and tell the log again and again while it waits."""
        while True:
            with suppress(Exception):  # the engine logs errors of the store
                (row,) = await fetch(self._store, named_reads.SINK, name=self._stream.name)
                self.figures.behind = max(0, row.behind - max(0, self._cursor - row.seq))
                if row.seq > self._waits_at:
                    self._goes_on()  # perhaps another server does
            now = self._monotonic()
            if self._waits_since is not None and (
                not self._told_at or now - self._told_at >= TELL_AGAIN_SECONDS * SECOND
            ):
                self._told_at = now
                self._log(
                    "outgoing_waits",
                    stream=self._stream.place,
                    reason=self._reason,
                    behind=self.figures.behind,
                    seconds=(now - self._waits_since) // SECOND,
                )
            await asyncio.sleep(WATCH_SECONDS)
