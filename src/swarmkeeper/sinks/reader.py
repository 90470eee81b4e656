"""Reads the audit logs of all tenants, and the feed if wanted, and sends them to one sink.

Theory. The sink has a cursor in each tenant's log (how many records it has got) and one in the feed. A batch takes
records after the cursors; records of one tenant stay in order. When the sink has the first n of a batch, the cursors of
these move in memory, and at most once a second in the store, all in one commit. So after a crash the records of about a
second come again, and none is left out. Several servers share a sink: owned.py says how.

Nothing is skipped. An answer that refuses a record stops the sink: it tries the same record again, once a minute, until
somebody has acted. Only records that left the store before they were sent cannot be sent: a record tells of the gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from swarmkeeper.core import named_reads
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import Broker, Changes, LogWriter, ReadsOnly, Store
from swarmkeeper.outgoing import owned
from swarmkeeper.outgoing.owned import SECOND, SECONDS_BETWEEN_NOTES, OwnedReader
from swarmkeeper.outgoing.publisher import missing
from swarmkeeper.sinks import records
from swarmkeeper.sinks.file import SinkTable
from swarmkeeper.sinks.records import NO_TENANT, SinkRecord
from swarmkeeper.sinks.sink_reads import SINK_HEADS, SINK_RECORDS, SinkHeadRow
from swarmkeeper.sinks.spans import SpanMaker
from swarmkeeper.sinks.targets.target import RecordRefused, SinkTarget, TargetBusy

PAGE = 200  # records; that takes a few milliseconds, and each call to the other side costs as much as ten
BATCH_BYTES = 1 << 20
# With the time since the owner has called last, it stays within the time for which the sink is owned.
SEND_SECONDS_MAX = 10.0
STOPPED_SECONDS = 60.0  # between two tries of what was refused
WATCH_SECONDS = 1.0


def own_name(sink: str) -> str:
    """Return the name of the row by which a server owns the sink."""
    return f"sink/{sink}"


def cursor_prefix(sink: str) -> str:
    """Return what names of cursors in tenants' logs begin with; the tenant's id follows."""
    return f"sink/{sink}/audit/"


def feed_cursor(sink: str) -> str:
    return f"sink/{sink}/events"


@dataclass(frozen=True, slots=True)
class Lag:
    """What a sink has not got yet, of everything in the store."""

    records: int = 0  # audit records and events
    oldest: int | None = None  # time of the oldest one; None: it has all

    def seconds(self, now: int) -> float:
        return 0.0 if self.oldest is None else max(0, now - self.oldest) / SECOND


async def lag_of(store: ReadsOnly, sink: str, table: SinkTable) -> Lag:
    """Return what a sink lacks, as the store knows it: about a second old while it runs.

    Raises:
        StoreUnavailable, StoreDamaged: it is not known.
    """
    unsent = await fetch(store, SINK_HEADS, prefix=cursor_prefix(sink)) if table.reads_audit else []
    count = sum(head.size - max(head.cursor, head.begin) for head in unsent)
    oldest = [head.oldest for head in unsent if head.oldest is not None]
    if table.reads_events:
        (feed,) = await fetch(store, named_reads.SINK, name=feed_cursor(sink))
        rows = await fetch(store, named_reads.EVENTS_AFTER, after=feed.seq, limit=1)
        if rows:
            count += max(1, feed.behind)
            oldest.append(rows[0].at)
    return Lag(count, min(oldest, default=None))


@dataclass(slots=True)
class SinkFigures:
    sent: int = 0  # records, by this server since its start
    failures: int = 0  # failed tries, likewise
    lag: Lag = Lag()
    stopped: bool = False  # the other side has refused a record
    problem: str = ""  # why it waits; empty: it does not
    failed_at: int = 0  # wall clock, of the last failure

    @property
    def behind(self) -> int:
        return self.lag.records


class SinkReader(OwnedReader):
    def __init__(
        self,
        name: str,
        table: SinkTable,
        target: SinkTarget,
        store: Store,
        broker: Broker,
        *,
        owner: str,
        monotonic: Callable[[], int],
        wall: Callable[[], int],
        log: LogWriter,
        on_lag: Callable[[], None] = lambda: None,
        spans: SpanMaker | None = None,
    ) -> None:
        """
        Args:
            spans: makes what is sent from events, in place of audit records and events.
            owner: what only this server has.
            on_lag: called each time the lag was read.
        """
        super().__init__(own_name(name), store, broker, owner=owner, monotonic=monotonic)
        self.sink, self.table, self._target = name, table, target
        self._wall, self._log, self._on_lag, self._spans = wall, log, on_lag, spans
        self.figures = SinkFigures()
        self._cursors: dict[str, int] = {}  # by name; moved by this server since it became the owner
        self._unnoted: set[str] = set()
        self._owned_at = 0
        self._leave_alone = 0.0  # seconds

    # ---- sending -----------------------------------------------------------------------------------------------------

    async def _begin(self, cursor: int) -> None:
        self._owned_at = self._noted_at
        self._cursors, self._unnoted = {}, set()
        if self.table.reads_events:
            (row,) = await fetch(self._store, named_reads.SINK, name=feed_cursor(self.sink))
            self._cursors[feed_cursor(self.sink)] = row.seq

    async def _send_all(self, hints: AsyncIterator[bytes]) -> None:
        async with asyncio.timeout(owned.APPEND_SECONDS_MAX):
            await self._target.open()
        while True:
            batch = await self._next()
            if not await self._remain_owner():
                return
            await self._note()
            if batch:
                await self._send(batch)
            else:
                self._goes_on()
            if len(batch) < PAGE:
                await self._rest(hints, self._target.pace if batch else 0.0)

    async def _rest(self, hints: AsyncIterator[bytes], pace: float) -> None:
        """Wait for new records; at least for the pace, and no longer than until the cursors are to be noted."""
        if pace:
            await asyncio.sleep(pace)
            return
        due = owned.LOOK_SECONDS
        if self._unnoted:
            due = max(0.0, SECONDS_BETWEEN_NOTES - (self._monotonic() - self._noted_at) / SECOND)
        await self._hint(hints, due)

    async def _next(self) -> list[SinkRecord]:
        """Return the next records, in order: of each tenant's log, then of the feed."""
        found: list[SinkRecord] = []
        unsent = await fetch(self._store, SINK_HEADS, prefix=cursor_prefix(self.sink)) if self.table.reads_audit else []
        for head in unsent:
            if len(found) >= PAGE:
                break
            found += await self._next_of(head, PAGE - len(found))
        if self.table.reads_events and len(found) < PAGE:
            found += await self._next_events(PAGE - len(found))
        return _of_a_size(found)

    async def _next_of(self, head: SinkHeadRow, most: int) -> list[SinkRecord]:
        cursor = cursor_prefix(self.sink) + head.tenant
        place = max(head.cursor, self._cursors.get(cursor, 0))
        if place >= head.size:
            return []
        asked = {"tenant": head.tenant, "begin": place, "limit": most}
        found: list[SinkRecord] = []
        for row in await fetch(self._store, SINK_RECORDS, **asked):
            if row.place > place:
                found.append(
                    self._gap("audit", head.tenant, place, row.place - 1, row.place - place, cursor, row.place)
                )
            found.append(records.of_audit(row, head.tenant, cursor, self.table.record_bytes))
            place = row.place + 1
        if not found and head.begin >= head.size:  # retention has removed all that the sink lacked
            found.append(self._gap("audit", head.tenant, place, head.size - 1, head.size - place, cursor, head.size))
        return found

    async def _next_events(self, most: int) -> list[SinkRecord]:
        cursor = feed_cursor(self.sink)
        after = self._cursors[cursor]
        rows = await fetch(self._store, named_reads.EVENTS_AFTER, after=after, limit=most)
        if self._spans is not None:
            return await self._spans.records(rows, cursor)
        found: list[SinkRecord] = []
        if rows and rows[-1].seq - after != len(rows):
            gaps = await fetch(self._store, named_reads.FEED_GAPS)
            gone = missing(after, [row.seq for row in rows], gaps)
            if gone:
                first, last, count = gone[0][0], gone[-1][1], sum(each[2] for each in gone)
                found.append(self._gap("events", NO_TENANT, first, last, count, cursor, rows[0].seq - 1))
        return [*found, *(records.of_event(row, cursor, self.table.record_bytes) for row in rows)]

    def _gap(self, what: str, tenant: str, first: int, last: int, count: int, cursor: str, upto: int) -> SinkRecord:
        self._log("sink_gap", sink=self.sink, what=what, tenant=tenant, first=first, last=last, count=count)
        return records.of_gap(what, tenant, first, last, count, self._wall(), cursor, upto)

    async def _send(self, batch: Sequence[SinkRecord]) -> None:
        async with asyncio.timeout(SEND_SECONDS_MAX):
            count = await self._target.send(batch)
        for record in batch[:count]:
            self._cursors[record.cursor] = record.seq
            self._unnoted.add(record.cursor)
        self._sent += count
        self.figures.sent += count
        self._goes_on()

    # ---- the store ---------------------------------------------------------------------------------------------------

    async def _remain_owner(self) -> bool:
        """Remain the owner; return False if another server is by now."""
        called_at = self._monotonic()
        if called_at - self._owned_at < owned.OWN_AGAIN_SECONDS / 2 * SECOND:
            return True
        if await self._store.keep_sink(self._name, self._owner, 0, seconds=owned.OWNED_SECONDS) is None:
            return False
        self._owned_at = called_at
        return True

    async def _note(self) -> None:
        """Let the store know the cursors that have moved, if it is time."""
        if self._unnoted and self._monotonic() - self._noted_at >= SECONDS_BETWEEN_NOTES * SECOND:
            await self._note_cursors()

    async def _note_cursors(self) -> None:
        moved = {name: self._cursors[name] for name in self._unnoted}
        async with self._store.begin() as transaction:
            await transaction.save(Changes(sink_cursors=moved))
        self._unnoted.clear()
        self._noted_at = self._monotonic()

    async def _note_last(self) -> None:
        try:
            if self._unnoted:
                await self._note_cursors()
        finally:
            await self._store.keep_sink(self._name, self._owner, 0, seconds=0)

    async def _disconnect(self) -> None:
        await self._target.close()

    # ---- how it is ---------------------------------------------------------------------------------------------------

    def _waits(self, error: Exception) -> None:
        super()._waits(error)
        figures = self.figures
        figures.failures += 1
        figures.failed_at = self._wall()
        figures.problem = self._reason
        self._leave_alone = 0.0
        if isinstance(error, TargetBusy) and error.retry_after is not None:
            self._leave_alone = error.retry_after
        was_stopped, figures.stopped = figures.stopped, isinstance(error, RecordRefused)
        if figures.stopped:
            self._leave_alone = STOPPED_SECONDS
            if not was_stopped:
                self._told_at = self._monotonic()
                self._log("sink_stopped", sink=self.sink, place=self._target.place, reason=self._reason)

    def _least_wait(self) -> float:
        return self._leave_alone if self._waits_since is not None else 0.0

    def _goes_on(self) -> None:
        super()._goes_on()
        self.figures.problem, self.figures.stopped, self._leave_alone = "", False, 0.0

    def _watch_seconds(self) -> float:
        return WATCH_SECONDS if self.table.required else owned.WATCH_SECONDS

    async def _look(self) -> None:
        before = self.figures.lag
        lag = await lag_of(self._store, self.sink, self.table)
        self.figures.lag = lag
        if not self._owns and lag.oldest is None and before.oldest is not None:
            self._goes_on()  # another server has sent it
        self._on_lag()

    def _tell_waits(self, seconds: int) -> None:
        event = "sink_stopped" if self.figures.stopped else "sink_waits"
        behind = self.figures.lag.records
        place = self._target.place
        self._log(event, sink=self.sink, place=place, reason=self._reason, behind=behind, seconds=seconds)

    def _tell_goes_on(self) -> None:
        self._log("sink_goes_on", sink=self.sink, place=self._target.place, behind=self.figures.lag.records)


def _of_a_size(found: list[SinkRecord]) -> list[SinkRecord]:
    """Return the first ones, at least one, that are no larger than a batch may be."""
    size = 0
    for count, record in enumerate(found):
        size += len(record.body)
        if count and size > BATCH_BYTES:
            return found[:count]
    return found
