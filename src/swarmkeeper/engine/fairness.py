"""Whose turn it is where tenants compete for the engine's time: commands that wait, and slices of long work.

Theory. Stride scheduling, as start-time fair queueing has it: whoever is served moves on by cost / weight, and the one
that is furthest behind comes next (ties by tenant id, so that a rerun decides the same). One that begins to wait starts
where the others are now: it is owed nothing for the time in which it wanted nothing. So over any time in which two
tenants both wait, what they got, each divided by its weight, differs by no more than their two dearest items do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Generic, TypeVar

SCALE = 1 << 20  # positions are integers: a cost of 1 at weight 1
WEIGHT_MAX = 1000
REMEMBERED = 1024  # positions kept before those that no longer matter are forgotten

RECENT_TURNS = 256  # about two seconds', where the engine is busy

T = TypeVar("T")


class StrideScheduler:
    """Who comes next of those who wait."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = weights  # of tenants; one that is not there has weight 1
        self._reached: dict[str, int] = {}
        self._now = 0

    def due(self, tenant: str) -> tuple[int, str]:
        """Sort key: who has the smallest comes next. It keeps for as long as the tenant waits."""
        return max(self._reached.get(tenant, 0), self._now), tenant

    def served(self, tenant: str, cost: int = 1) -> None:
        """The one that came next got something of that cost."""
        self._now = self.due(tenant)[0]
        self._reached[tenant] = self._now + max(1, cost * SCALE // self._weights.get(tenant, 1))
        if len(self._reached) > REMEMBERED:
            self._reached = {one: reached for one, reached in self._reached.items() if reached > self._now}


class FairQueue(Generic[T]):
    """What waits, first come first served within a tenant, by turns between them."""

    def __init__(self, weights: Mapping[str, int], room: int) -> None:
        self._weights = weights
        self._turns = StrideScheduler(weights)
        self._items: dict[str, deque[T]] = {}  # of those who wait, none empty
        self._order: list[tuple[int, str]] = []  # heap: one entry for each who waits
        self._room = room
        self._length = 0
        self._turn = 0
        self._last: dict[str, int] = {}  # the turn in which each was served last

    def __len__(self) -> int:
        return self._length

    def has_room(self, tenant: str) -> bool:
        """Whether one more of this tenant may wait. Who fills the room does not keep out one that has less in it than
        its share, up to twice the room."""
        if self._length < self._room:
            return True
        if self._length >= 2 * self._room:
            return False
        waiting = sum(self._weights.get(one, 1) for one in self._items.keys() | {tenant})
        own = len(self._items.get(tenant, ()))
        return own < self._room * self._weights.get(tenant, 1) // waiting

    def put(self, tenant: str, item: T) -> None:
        items = self._items.get(tenant)
        if items is None:
            items = self._items[tenant] = deque()
            heappush(self._order, self._turns.due(tenant))
        items.append(item)
        self._length += 1

    def turn(self) -> int:
        """Begin the next batch; how many tenants want something, now or within the last few."""
        self._turn += 1
        self._last = {one: turn for one, turn in self._last.items() if self._turn - turn <= RECENT_TURNS}
        return len(self._last.keys() | self._items.keys())

    def first(self) -> T:
        """What comes next; there must be something."""
        return self._items[self._order[0][1]][0]

    def take(self, cost: int = 1) -> T:
        """Take out what comes next, at that cost for its tenant."""
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
