"""Choose which request is processed next when there are more than the server can process.

Tenants take turns by weight, as in the engine (engine/fairness.py), and a tenant's keys take turns. So a caller who
sends ten thousand requests delays their own requests, and those of others by one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from swarmkeeper.core.model import Principal
from swarmkeeper.engine.fairness import StrideScheduler

# Short requests that are processed before the loop looks at its sockets again: about 2 ms of work.
COST_A_TICK = 8
COST_BYTES = 512  # of a body take as long as the rest of a short request


class RequestQueue:
    """Waiting requests, in fair order."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._turns = StrideScheduler(weights)
        self._of: dict[str, dict[str, deque[tuple[asyncio.Future[None], int]]]] = {}  # by tenant and key, none empty

    def __bool__(self) -> bool:
        return bool(self._of)

    def served(self, tenant: str, cost: int) -> None:
        self._turns.served(tenant, cost)

    async def wait(self, by: Principal, cost: int, given_up: Callable[[], None] = lambda: None) -> None:
        """Wait for this request's turn.

        A cancelled request is skipped; `given_up` is called if its turn had come already.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._of.setdefault(by.tenant, {}).setdefault(by.key_id, deque()).append((turn, cost))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                given_up()
            raise

    def next(self) -> int:
        """Start the next request; return its cost, or 0 if none waits."""
        while self._of:
            tenant = min(self._of, key=self._turns.due)
            keys = self._of[tenant]
            key, turns = next(iter(keys.items()))
            del keys[key]
            turn, cost = turns.popleft()
            if turns:
                keys[key] = turns  # behind the tenant's other keys
            if not keys:
                del self._of[tenant]
            if not turn.done():
                self.served(tenant, cost)
                turn.set_result(None)
                return cost
        return 0


class RequestPacer:
    """Let short requests through as they arrive, up to a limit of work for each turn of the loop."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._queue = RequestQueue(weights)
        self._left = COST_A_TICK
        self._ticking = False

    async def turn(self, by: Principal, cost: int = 1) -> None:
        """Wait until this request may be processed; usually at once."""
        if not self.at_once(by, cost):
            await self._queue.wait(by, cost)

    def at_once(self, by: Principal, cost: int = 1) -> bool:
        """Whether this request may be processed now: it counts as processed. Otherwise, wait for its `turn`."""
        self._go_on()
        if self._left <= 0 or self._queue:
            return False
        self._left -= cost
        self._queue.served(by.tenant, cost)
        return True

    def _go_on(self) -> None:
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        """Renew the limit after a turn of the loop; waiting requests go first."""
        self._ticking = False
        self._left = min(COST_A_TICK, self._left + COST_A_TICK)
        while self._left > 0 and (cost := self._queue.next()):
            self._left -= cost
        if self._left < COST_A_TICK:
            self._go_on()


class Lane:
    """Let one request in at a time."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._queue = RequestQueue(weights)
        self._taken = False

    @asynccontextmanager
    async def turn(self, by: Principal, cost: int = 1) -> AsyncIterator[None]:
        """Hold the lane for the block. The holders of waiting data limit how much may wait."""
        if self._taken:
            await self._queue.wait(by, cost, self._free)
        else:
            self._queue.served(by.tenant, cost)
        self._taken = True
        try:
            yield
        finally:
            self._free()

    def _free(self) -> None:
        self._taken = self._queue.next() > 0
