"""Publishes the feed to a stream outside.

Theory. The store keeps a cursor for the stream: all events up to it are stored there. One server at a time owns it
(owned.py). The owner reads the events after the cursor, appends them in order, waits until the other side has stored
them, and only then moves the cursor. So nothing is left out, whatever dies when; what was appended and not yet noted is
appended again. A server that stood still while another one took over may append once more what it had read: those are
repeats, too, since the cursor had not passed them when the other one began.

Events that left the store before they were published cannot be published any more: their number is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import msgspec

from swarmkeeper.core import named_reads
from swarmkeeper.core.named_reads import EventRow, FeedGapRow, fetch
from swarmkeeper.core.ports import Broker, EventTooLarge, LogWriter, OutgoingEvent, OutgoingStream, Store
from swarmkeeper.govern.cursors import Cursors
from swarmkeeper.outgoing import owned
from swarmkeeper.outgoing.owned import SECOND, SECONDS_BETWEEN_NOTES, OwnedReader
from swarmkeeper.reads import views

PAGE = 100

encode = msgspec.json.Encoder().encode


def outgoing(row: EventRow, cursors: Cursors) -> OutgoingEvent:
    """Return an event in the form of the feed, with what a reader of all tenants needs besides.

    The stream is the operator's: the id is the number, which grows from event to event, so that repeats can be told.
    The cursor is what the tenant is shown as the id.
    """
    body = {
        **views.event(row, str(row.seq)),
        "datacontenttype": "application/json",
        "tenant": row.tenant,
        "cursor": cursors.encode(row.tenant, row.seq),
    }
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


class Publisher(OwnedReader):
    def __init__(
        self,
        stream: OutgoingStream,
        store: Store,
        broker: Broker,
        *,
        cursors: Cursors,
        owner: str,
        monotonic: Callable[[], int],
        log: LogWriter,
    ) -> None:
        """
        Args:
            owner: what only this server has.
        """
        super().__init__(stream.name, store, broker, owner=owner, monotonic=monotonic)
        self._stream, self._cursors, self._log = stream, cursors, log
        self.figures = OutgoingFigures()
        self._cursor = 0  # stored on the other side up to here
        self._noted = 0  # as the store knows
        self._told_to = 0  # the log knows which events up to here are missing
        self._waits_at = 0  # the cursor when publishing began to fail

    async def _begin(self, cursor: int) -> None:
        self._cursor = self._noted = cursor

    async def _send_all(self, hints: AsyncIterator[bytes]) -> None:
        async with asyncio.timeout(owned.APPEND_SECONDS_MAX):
            await self._stream.open()
        while True:
            rows = await fetch(self._store, named_reads.EVENTS_AFTER, after=self._cursor, limit=PAGE)
            if not await self._note(at_once=not rows):
                return
            if rows:
                await self._append(rows)
                continue
            self._goes_on()
            await self._hint(hints)

    async def _append(self, rows: Sequence[EventRow]) -> None:
        if rows[-1].seq - self._cursor != len(rows):
            await self._tell_missing(rows)
        events = [outgoing(row, self._cursors) for row in rows]
        try:
            async with asyncio.timeout(owned.APPEND_SECONDS_MAX):
                stored = await self._stream.append(events)
        except EventTooLarge as error:
            self._log("outgoing_too_large", stream=self._stream.place, first=events[0].seq, reason=str(error))
            self.figures.skipped += 1
            self._cursor = events[0].seq
            return
        self._sent += stored
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
        if age < owned.OWN_AGAIN_SECONDS and not (has_moved and (at_once or age >= SECONDS_BETWEEN_NOTES)):
            return True
        cursor, called_at = self._cursor, self._monotonic()
        if await self._store.keep_sink(self._name, self._owner, cursor, seconds=owned.OWNED_SECONDS) is None:
            return False
        self._noted, self._noted_at = cursor, called_at
        return True

    async def _disconnect(self) -> None:
        await self._stream.close()

    async def _note_last(self) -> None:
        await self._store.keep_sink(self._name, self._owner, self._cursor, seconds=0)

    # ---- how it is -------------------------------------------------------------------------------------------------

    def _waits(self, error: Exception) -> None:
        if self._waits_since is None:
            self._waits_at = self._cursor
        super()._waits(error)

    async def _look(self) -> None:
        (row,) = await fetch(self._store, named_reads.SINK, name=self._name)
        self.figures.behind = max(0, row.behind - max(0, self._cursor - row.seq))
        if row.seq > self._waits_at:
            self._goes_on()  # perhaps another server does

    def _tell_waits(self, seconds: int) -> None:
        place, behind = self._stream.place, self.figures.behind
        self._log("outgoing_waits", stream=place, reason=self._reason, behind=behind, seconds=seconds)

    def _tell_goes_on(self) -> None:
        self._log("outgoing_goes_on", stream=self._stream.place, behind=self.figures.behind)
