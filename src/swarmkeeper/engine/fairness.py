"""Share the engine's time between tenants: waiting commands, and slices of background jobs.

Theory. Stride scheduling, in the form of start-time fair queueing: a served tenant advances by cost / weight, and the
tenant that is furthest behind is next (ties by tenant id, so that a rerun decides the same). A tenant that starts to
wait begins at the others' current position: idle time earns no credit. So while two tenants both wait, the service
they get, each divided by its weight, differs by no more than the cost of their two most expensive items.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Generic, TypeVar

from swarmkeeper.core.model import BackgroundJob
from swarmkeeper.core.ports import Transaction

SCALE = 1 << 20  # positions are integers: a cost of 1 at weight 1
WEIGHT_MAX = 1000
REMEMBERED = 1024  # positions kept before outdated ones are dropped

RECENT_TURNS = 256  # about two seconds of a busy engine

T = TypeVar("T")


class StrideScheduler:
    """Choose which waiting tenant is next."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = weights  # by tenant; the default is 1
        self._reached: dict[str, int] = {}
        self._now = 0

    def due(self, tenant: str) -> tuple[int, str]:
        """Return the tenant's sort key: the smallest is next. It stays the same while the tenant waits."""
        return max(self._reached.get(tenant, 0), self._now), tenant

    def served(self, tenant: str, cost: int = 1) -> None:
        """Record that the next tenant was served at this cost."""
        self._now = self.due(tenant)[0]
        self._reached[tenant] = self._now + max(1, cost * SCALE // self._weights.get(tenant, 1))
        if len(self._reached) > REMEMBERED:
            self._reached = {id_: reached for id_, reached in self._reached.items() if reached > self._now}


class FairQueue(Generic[T]):
    """A queue that is first-in, first-out within a tenant, and fair between tenants."""

    def __init__(self, weights: Mapping[str, int], room: int) -> None:
        self._weights = weights
        self._turns = StrideScheduler(weights)
        self._items: dict[str, deque[T]] = {}  # by waiting tenant, none empty
        self._order: list[tuple[int, str]] = []  # heap: one entry for each waiting tenant
        self._room = room
        self._length = 0
        self._turn = 0
        self._last: dict[str, int] = {}  # by tenant: the turn in which it was last served

    def __len__(self) -> int:
        return self._length

    def has_room(self, tenant: str) -> bool:
        """Whether this tenant may add one more item.

        When the queue is full, a tenant that has less than its share may still add, up to twice the room.
        """
        if self._length < self._room:
            return True
        if self._length >= 2 * self._room:
            return False
        weights = sum(self._weights.get(waiting, 1) for waiting in self._items.keys() | {tenant})
        own = len(self._items.get(tenant, ()))
        return own < self._room * self._weights.get(tenant, 1) // weights

    def put(self, tenant: str, item: T) -> None:
        items = self._items.get(tenant)
        if items is None:
            items = self._items[tenant] = deque()
            heappush(self._order, self._turns.due(tenant))
        items.append(item)
        self._length += 1

    def turn(self) -> int:
        """Begin the next batch; return the number of tenants that wait now or were served in recent batches."""
        self._turn += 1
        self._last = {tenant: turn for tenant, turn in self._last.items() if self._turn - turn <= RECENT_TURNS}
        return len(self._last.keys() | self._items.keys())

    def first(self) -> T:
        """Return the next item without removing it; the queue must not be empty."""
        return self._items[self._order[0][1]][0]

    def take(self, cost: int = 1) -> T:
        """Remove and return the next item, and charge its tenant the cost."""
        _, tenant = heappop(self._order)
        items = self._items[tenant]
        item = items.popleft()
        self._length -= 1
        self._turns.served(tenant, cost)
        self._last[tenant] = self._turn
        if items:
            heappush(self._order, self._turns.due(tenant))
        else:
            del self._items[tenant]
        return item

    def take_all(self) -> list[T]:
        return [self.take() for _ in range(self._length)]


class JobTurns:
    """Choose the background job that gets the next slice: tenants by weight, then round robin over a tenant's tasks."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._turns = StrideScheduler(weights)
        self._after: dict[str, str] = {}  # by tenant: the task whose job had the last slice

    async def next(self, transaction: Transaction) -> BackgroundJob | None:
        tenants = await transaction.job_tenants()
        if not tenants:
            return None
        tenant = min(tenants, key=self._turns.due)
        return (await transaction.next_jobs(1, self._after.get(tenant, ""), tenant))[0]

    def served(self, job: BackgroundJob | None) -> None:
        """Record which job was served; None if no job was open."""
        if job is None:
            self._after.clear()
            return
        self._turns.served(job.tenant)
        self._after[job.tenant] = job.task
