"""Share the engine's time between tenants: waiting commands, and slices of background jobs.

Theory. Stride scheduling, in the form of start-time fair queueing: a served tenant advances by cost / weight, and the
tenant that is furthest behind is next (ties by tenant id, so that a rerun decides the same). A tenant that starts to
wait begins at the others' current position: idle time earns no credit. So while two tenants both wait, the service
they get, each divided by its weight, differs by no more than the cost of their two most expensive items.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import Generic, TypeVar

from swarmkeeper.engine.batch import Queued
from swarmkeeper.engine.polls import Poll

SCALE = 1 << 20  # positions are integers: a cost of 1 at weight 1
WEIGHT_MAX = 1000
REMEMBERED = 1024  # positions kept before outdated ones are dropped

RECENT_TURNS = 256  # about two seconds of a busy engine

# Each of these amounts takes about as long as one ordinary command.
COST_BYTES = 32 << 10
COST_LEASES = 2
COST_ROWS = 4
COST_CHARACTERS = 512  # to redact; measured with text that is slow to redact
TENANTS_KNOWN_MAX = 1024  # tenants whose row counts are remembered

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


class Costs:
    """Estimates the engine time of commands and claims before they are decided; an ordinary command is 1."""

    def __init__(self) -> None:
        self._rows_of: dict[str, float] = {}  # by tenant: recent average of rows written per command

    def of(self, item: Queued | Poll) -> int:
        """Return the estimated cost, at least 1."""
        if isinstance(item, Poll):
            return 1 + item.claim.most // COST_LEASES
        command = item.command
        rider = 0 if item.poll is None else item.poll.claim.most // COST_LEASES
        # The rows that a command writes are known only once it is decided; assume the recent average of its tenant.
        rows = max(command.rows, int(self._rows_of.get(command.by.tenant, 0)))
        redaction = command.redacted_characters // COST_CHARACTERS
        return 1 + command.size // COST_BYTES + redaction + rows // COST_ROWS + rider

    def learn(self, commands: Sequence[Queued]) -> None:
        """Update the averages with the rows that these commands have written."""
        rows_of: dict[str, list[int]] = {}
        for queued in commands:
            rows_of.setdefault(queued.command.by.tenant, []).append(queued.rows)
        for tenant, rows in rows_of.items():
            usual = (self._rows_of.pop(tenant, 0.0) + sum(rows) / len(rows)) / 2
            if usual >= COST_ROWS:  # fewer rows are part of a command's base cost
                self._rows_of[tenant] = usual
        while len(self._rows_of) > TENANTS_KNOWN_MAX:
            del self._rows_of[next(iter(self._rows_of))]
