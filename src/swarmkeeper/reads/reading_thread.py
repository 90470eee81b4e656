"""Looks at what there is without holding up whoever does something: on a thread of their own, by turns.

What is shown may be ten thousand rows, and to read and to write them down takes as long as hundreds of commands. The
thread has a store of its own to read from, so that each look still sees all that was answered before it was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from swarmkeeper.core.model import Principal
from swarmkeeper.engine.request_turns import Lane
from swarmkeeper.reads.approval_queries import ApprovalQueries
from swarmkeeper.reads.audit_queries import AuditQueries
from swarmkeeper.reads.explain import Explainer
from swarmkeeper.reads.lease_views import Leases
from swarmkeeper.reads.message_queries import Messages
from swarmkeeper.reads.queries import Queries

Shown = TypeVar("Shown")


@dataclass(frozen=True, slots=True)
class Reads:
    """All that can be looked at."""

    queries: Queries
    leases: Leases
    audit_queries: AuditQueries
    approval_queries: ApprovalQueries
    messages: Messages
    explainer: Explainer


class Looks:
    def __init__(self, reads: Reads, weights: Mapping[str, int], *, threaded: bool) -> None:
        """Args: `threaded` is for reads whose store is theirs alone; others are done in the caller's place."""
        self._reads = reads
        self._lane = Lane(weights)
        self._thread = ThreadPoolExecutor(1, "swarmkeeper-looks") if threaded else None

    async def look(self, by: Principal, work: Callable[[Reads], Coroutine[Any, Any, Shown]]) -> Shown:
        """What `work` makes of what there is. It waits for nothing but reads."""
        if self._thread is None:
            return await work(self._reads)
        async with self._lane.turn(by):
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._whole, work)

    def _whole(self, work: Callable[[Reads], Coroutine[Any, Any, Shown]]) -> Shown:
        """On the thread, where reads do not wait: so this ends with the first step."""
        steps = work(self._reads)
        try:
            steps.send(None)
        except StopIteration as done:
            shown: Shown = done.value
            return shown
        steps.close()
        raise AssertionError("a look waits for nothing but reads")

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()
