"""Runs reads on a separate thread, in fair turns, so that they do not hold up commands.

A read may return ten thousand rows; reading and encoding them takes as long as hundreds of commands. The thread has its
own connection to the store, so a read sees everything that was committed before it began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from swarmkeeper.access.request_turns import Lane
from swarmkeeper.core.model import Principal
from swarmkeeper.core.ports import Changes
from swarmkeeper.reads.approval_queries import ApprovalQueries
from swarmkeeper.reads.audit_queries import AuditQueries
from swarmkeeper.reads.explain import Explainer
from swarmkeeper.reads.lease_views import Leases
from swarmkeeper.reads.message_queries import Messages
from swarmkeeper.reads.queries import Queries
from swarmkeeper.transparency.published import PublishedLogs

Shown = TypeVar("Shown")

SMALL_BYTES = 16 << 10
SMALL_ROWS = 20
SMALL_TASKS_MAX = 20_000  # known at a time, the newest


@dataclass(frozen=True, slots=True)
class Reads:
    """The read services available on the thread."""

    queries: Queries
    leases: Leases
    audit_queries: AuditQueries
    approval_queries: ApprovalQueries
    messages: Messages
    explainer: Explainer
    published_logs: PublishedLogs


class SmallTasks:
    """The tasks that may be read on the event loop: that takes less than a millisecond, and no change of threads.

    A task is small while its subtasks and all payloads that were committed for it are few and short, and nothing else
    of variable size is shown with it. So this process must have seen all its commits, from the first one on.
    """

    def __init__(self) -> None:
        self._bytes: dict[str, int] = {}  # of the task's payloads, by task id

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._bytes

    def committed(self, changes: Changes) -> None:
        known = self._bytes
        for task_id, task in changes.tasks.items():
            if task.version == 1:
                known[task_id] = 0
            if task.n_total > SMALL_ROWS or task.failure is not None:
                known.pop(task_id, None)
        for written in changes.payloads.values():
            if written is not None and written[0] in known:
                known[written[0]] += len(written[1])
                if known[written[0]] > SMALL_BYTES:
                    del known[written[0]]
        for attempt in changes.attempts:
            if attempt.error is not None or attempt.reason is not None or attempt.progress is not None:
                known.pop(attempt.task, None)
        for lease in changes.leases.values():
            if lease.progress is not None:
                known.pop(lease.task, None)
        while len(known) > SMALL_TASKS_MAX:
            del known[next(iter(known))]

    def forget_all(self) -> None:
        """Call this after another process has written."""
        self._bytes.clear()


class ReadingThread:
    def __init__(self, reads: Reads, weights: Mapping[str, int], *, threaded: bool) -> None:
        """Args: `threaded` is for reads with their own connection; without it, reads run on the caller's event loop."""
        self._reads = reads
        self._lane = Lane(weights)
        self._thread = ThreadPoolExecutor(1, "swarmkeeper-looks") if threaded else None

    async def look(self, by: Principal, work: Callable[[Reads], Coroutine[Any, Any, Shown]]) -> Shown:
        """Run `work` in the caller's turn and return its result. It must await nothing but reads."""
        if self._thread is None:
            return await work(self._reads)
        async with self._lane.turn(by):
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._whole, work)

    def _whole(self, work: Callable[[Reads], Coroutine[Any, Any, Shown]]) -> Shown:
        """Run `work` to its end on the thread. Reads do not suspend there, so one step is enough."""
        steps = work(self._reads)
        try:
            steps.send(None)
        except StopIteration as done:
            shown: Shown = done.value
            return shown
        steps.close()
        raise AssertionError("work on the reading thread must await only reads")

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()
