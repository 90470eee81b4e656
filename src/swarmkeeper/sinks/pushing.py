"""Pushes the server's metrics to a sink, again and again.

Nothing is kept for a collector that is away: each push has every metric, and sums go on from where they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from prometheus_client import Metric

from swarmkeeper.core.ports import Clock, LogWriter
from swarmkeeper.outgoing.owned import TELL_AGAIN_SECONDS
from swarmkeeper.sinks.file import MetricsTable
from swarmkeeper.sinks.reader import SinkFigures
from swarmkeeper.sinks.targets.metrics import MetricsTarget
from swarmkeeper.sinks.targets.target import RecordRefused, TargetBusy

SECOND = 1_000_000
PUSH_SECONDS_MAX = 10.0
LAST_SECONDS_MAX = 2.0  # what the last values at a stop may take


class MetricsPusher:
    """Implements what `Sinks` needs of a reader: `run`, and how it is."""

    def __init__(
        self, name: str, table: MetricsTable, target: MetricsTarget, server: str, clock: Clock, log: LogWriter
    ) -> None:
        """Args: server: which server it is, in the whole swarm."""
        self.sink, self.table = name, table
        self._target, self._server, self._clock, self._log = target, server, clock, log
        self.figures = SinkFigures()
        self.families: Callable[[], Iterable[Metric]] = tuple
        self._began = clock.now()
        self._is_open = False
        self._told_at: int | None = None  # when the log was told that it fails
        self._failing_since = 0

    async def run(self) -> None:
        """Push for ever; the last time when it is cancelled."""
        try:
            while True:
                leave_alone = await self._push()
                await asyncio.sleep(max(self.table.interval, leave_alone))
        finally:
            with suppress(Exception):
                async with asyncio.timeout(LAST_SECONDS_MAX):
                    await self._export()
            await self._target.close()

    async def _push(self) -> float:
        """Push once; return for how many seconds the collector wants to be left alone."""
        try:
            async with asyncio.timeout(PUSH_SECONDS_MAX):
                await self._export()
        except Exception as error:  # whatever a driver raises: the next push has all values, too
            await self._failed(error)
            return (error.retry_after or 0.0) if isinstance(error, TargetBusy) else 0.0
        self.figures.sent += 1
        self.figures.problem, self.figures.stopped = "", False
        if self._told_at is not None:
            self._told_at = None
            self._log("sink_goes_on", sink=self.sink, place=self._target.place, behind=0)
        return 0.0

    async def _export(self) -> None:
        if not self._is_open:
            await self._target.open()
            self._is_open = True
        await self._target.push(self.families(), self._server, self._began, self._clock.now())

    async def _failed(self, error: Exception) -> None:
        self._is_open = False
        await self._target.close()
        figures, now = self.figures, self._clock.monotonic()
        figures.failures += 1
        figures.failed_at = self._clock.now()
        figures.problem, figures.stopped = str(error) or type(error).__name__, isinstance(error, RecordRefused)
        if self._told_at is None:
            self._failing_since = now
        elif now - self._told_at < TELL_AGAIN_SECONDS * SECOND:
            return
        self._told_at = now
        event, seconds = "sink_stopped" if figures.stopped else "sink_waits", (now - self._failing_since) // SECOND
        self._log(event, sink=self.sink, place=self._target.place, reason=figures.problem, behind=0, seconds=seconds)
