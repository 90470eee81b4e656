"""All sinks of a server: starts their readers, refuses calls while a required one is behind, and tells how they are."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import Broker, Clock, LogWriter, Store
from swarmkeeper.engine.loop import Engine
from swarmkeeper.sinks import spans
from swarmkeeper.sinks.bad_sinks import ReadSecret
from swarmkeeper.sinks.file import Entry, MetricsTable, TracesTable, read
from swarmkeeper.sinks.gate import SinkGate
from swarmkeeper.sinks.reader import SinkFigures, SinkReader, cursor_prefix, lag_of
from swarmkeeper.sinks.sink_reads import SINK_HEADS
from swarmkeeper.sinks.spans import SpanMaker
from swarmkeeper.sinks.targets.choice import target_of
from swarmkeeper.sinks.targets.target import SinkTarget

if TYPE_CHECKING:
    from prometheus_client import Metric

    from swarmkeeper.sinks.pushing import MetricsPusher
    from swarmkeeper.sinks.targets.metrics import MetricsTarget

SECOND = 1_000_000
# A sink that is in order has a record within a second or two. What belongs to older ones is kept until it has them.
KEPT_BACK = 10 * SECOND
# After a start, sinks have what was left over from the last run to send first: that is no reason to refuse calls.
BEGIN = 5 * SECOND


class Sinks:
    """The sinks of a file. Nothing is started before `run`."""

    def __init__(
        self, entries: Sequence[Entry], targets: Mapping[str, SinkTarget], clock: Clock, log: LogWriter
    ) -> None:
        self._entries, self._targets, self._clock, self._log = entries, targets, clock, log
        self.gate = SinkGate(clock.monotonic)
        self._readers: list[SinkReader] = []
        self._pushers: list[MetricsPusher] = []
        self._store: Store | None = None
        self._engine: Engine | None = None
        self._began = 0

    @classmethod
    def of_file(cls, file: str, read_secret: ReadSecret, clock: Clock, log: LogWriter) -> Sinks:
        """Read the file of sinks.

        Raises:
            BadSinks: it cannot be used.
        """
        entries = read(Path(file), read_secret)
        return cls(entries, {entry.name: target_of(entry, clock.now) for entry in entries}, clock, log)

    def attach(self, engine: Engine, store: Store, broker: Broker, owner: str, text: Callable[[str, str], str]) -> None:
        """Make the readers, and let the gate decide which commands the engine takes.

        Args:
            owner: what only this server has.
            text: redaction, of text of a tenant.
        """
        self._store, self._engine = store, engine
        if any(entry.table.required for entry in self._entries):
            engine.gate = self.gate
        for entry in self._entries:
            if isinstance(entry.table, MetricsTable):
                self._pushers.append(self._pusher(entry, entry.table, owner))
                continue
            self._readers.append(
                SinkReader(
                    entry.name,
                    entry.table,
                    self._targets[entry.name],
                    store,
                    broker,
                    owner=owner,
                    monotonic=self._clock.monotonic,
                    wall=self._clock.now,
                    log=self._log,
                    on_lag=self._judge,
                    spans=_spans_of(entry, store, text),
                )
            )

    def _pusher(self, entry: Entry, table: MetricsTable, owner: str) -> MetricsPusher:
        from swarmkeeper.sinks.pushing import MetricsPusher

        target = cast("MetricsTarget", self._targets[entry.name])
        server = f"{platform.node()}/{owner}"
        return MetricsPusher(entry.name, table, target, server, self._clock, self._log)

    def measure(self, families: Callable[[], Iterable[Metric]]) -> bool:
        """Push these metrics; return whether any sink wants them."""
        for pusher in self._pushers:
            pusher.families = families
        return bool(self._pushers)

    def trace_of_lease(self) -> Callable[[str, str], str] | None:
        """Return what makes a lease's traceparent from that of its task and its id; None without traces."""
        ratios = [entry.table.sample for entry in self._entries if isinstance(entry.table, TracesTable)]
        if not ratios:
            return None
        ratio = max(ratios)
        return lambda traceparent, lease_id: spans.of_lease(traceparent, lease_id, ratio)

    async def run(self) -> None:
        """Send for ever."""
        self._began = self._clock.monotonic()
        async with asyncio.TaskGroup() as group:
            for pusher in self._pushers:
                group.create_task(pusher.run(), name=f"swarmkeeper-sink-{pusher.sink}")
            for reader in self._readers:
                group.create_task(reader.run(), name=f"swarmkeeper-sink-{reader.sink}")

    # ---- required sinks ----------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        """Refuse commands if a required sink is further behind than it may be, or take them again."""
        behind = self._behind()
        if self._clock.monotonic() - self._began < BEGIN or not self.gate.set(behind=bool(behind)):
            return
        if not behind:
            self._log("sinks_admit")
            return
        self._log("sinks_refuse", sinks=",".join(behind))
        assert self._engine is not None, "readers run after `attach`"
        for poll in list(self._engine.scheduler.parked.values()):
            self._engine.end(poll)  # work that is handed out would be something new

    def _behind(self) -> list[str]:
        assert self._engine is not None, "readers run after `attach`"
        now = self._engine.now()
        return [
            reader.sink
            for reader in self._readers
            if reader.table.required and reader.figures.lag.seconds(now) > reader.table.max_lag
        ]

    # ---- retention ---------------------------------------------------------------------------------------------------

    async def unread(self) -> Callable[[str], int | None]:
        """Return a function that says from when on a tenant's records are not to be erased yet.

        It returns a time in microseconds: what is older may go. None: nothing may go, because a sink is behind.

        Raises:
            StoreUnavailable, StoreDamaged: it is not known.
        """
        assert self._store is not None, "it is used after `attach`"
        assert self._engine is not None, "likewise"
        began = self._engine.now()
        oldest: dict[str, int] = {}
        of_all = began - SECOND  # what is written while this is read
        for entry in self._entries:
            if not entry.table.reads_audit:
                continue  # spans are no evidence: nothing is kept for them
            for head in await fetch(self._store, SINK_HEADS, prefix=cursor_prefix(entry.name)):
                if head.oldest is not None:
                    oldest[head.tenant] = min(oldest.get(head.tenant, head.oldest), head.oldest)
            if entry.table.events:
                lag = await lag_of(self._store, entry.name, entry.table)
                of_all = min(of_all, of_all if lag.oldest is None else lag.oldest)

        def until(tenant: str) -> int | None:
            bound = min(of_all, oldest.get(tenant, of_all))
            return None if bound < began - KEPT_BACK else bound

        return until

    # ---- how they are ------------------------------------------------------------------------------------------------

    def figures(self) -> Mapping[str, tuple[SinkFigures, float]]:
        """Return by sink what is counted, and how many seconds it is behind."""
        now = 0 if self._engine is None else self._engine.now()
        every: tuple[SinkReader | MetricsPusher, ...] = (*self._readers, *self._pushers)
        return {each.sink: (each.figures, each.figures.lag.seconds(now)) for each in every}

    def warnings(self) -> list[str]:
        found = []
        behind = self._behind() if self.gate.closed else []
        for name, (figures, seconds) in self.figures().items():
            if figures.problem:
                what = "has stopped" if figures.stopped else "waits"
                count = figures.lag.records  # of metrics, nothing is kept
                lacks = f"; it lacks {count} records, the oldest of {seconds:.0f} s ago" if count else ""
                found.append(f"the sink {name} {what}: {figures.problem}{lacks}")
            elif name in behind:
                found.append(f"the sink {name} lacks {figures.lag.records} records, the oldest of {seconds:.0f} s ago")
        if self.gate.closed:
            found.append(f"calls that change something are refused: required sinks are behind: {', '.join(behind)}")
        return found


def _spans_of(entry: Entry, store: Store, text: Callable[[str, str], str]) -> SpanMaker | None:
    return SpanMaker(store, entry.table.sample, text) if isinstance(entry.table, TracesTable) else None
