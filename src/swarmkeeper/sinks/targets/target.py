"""What every kind of sink offers to its reader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from swarmkeeper.sinks.records import SinkRecord

Result = TypeVar("Result")


class SinkTarget(Protocol):
    """Where records go. Every error but `RecordRefused` may be temporary: open it again, and send from the cursor."""

    place: str  # where it is, without credentials, for logs
    pace: float  # seconds between two sends while there is less than a full batch

    async def open(self) -> None:
        """Connect, or make sure that it can be connected."""

    async def send(self, records: Sequence[SinkRecord]) -> int:
        """Send in order; return how many of the first ones are there for certain, at least one.

        If it raises, some of the first ones may be there.

        Raises:
            RecordRefused: the other side takes the first record in no case.
            TargetBusy: it wants to be left alone for a while.
        """

    async def close(self) -> None:
        """Disconnect. Never raises; may be called at any time."""


class RecordRefused(Exception):
    """The other side has answered that it will not take this. Nothing is skipped: an operator must act."""


class TargetBusy(Exception):
    """The other side takes nothing now."""

    def __init__(self, why: str, retry_after: float | None) -> None:
        super().__init__(why)
        self.retry_after = retry_after  # seconds


class OneCallThread:
    """A thread for calls that block, one at a time.

    A call that was given up may still be running: until it has ended, the next one is refused. So two writes never mix.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"swarmkeeper-sink-{name}")
        self._last: Future[object] | None = None

    async def run(self, call: Callable[[], Result]) -> Result:
        """Run a call in the thread.

        Raises:
            TimeoutError: an earlier call has not ended yet.
        """
        if self._last is not None and not self._last.done():
            raise TimeoutError("an earlier call has not ended yet")
        future = self._executor.submit(call)
        self._last = future  # type: ignore[assignment]  # only whether it is done is of interest
        return await asyncio.wrap_future(future)
