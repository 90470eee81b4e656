"""What may be handed out to the bots of one tenant, the best first over all queues and priorities.

Theory. Items of one queue and priority are ordered by when their tasks were begun (`QueueEntry.position`), so that
what was begun is finished first. A priority counts for one more with each minute that its oldest item has waited
(`QueueEntry.since`), so that low ones get their turn. These are two orders of the same rows, and both have an index:

- A turn that the highest priority has by itself goes to the task that was begun first.
- A turn that a lower priority has for its age goes to the item of that age. Were newer items handed out for it, what is
  urgent would wait for more than what waited before it came.

Each order is read from its front, a few rows at a time, and never further than what is asked for. What this batch has
put into a queue stands in memory, and is not stored only to be read again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from itertools import groupby

from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import QueueEntry
from swarmkeeper.core.ports import Transaction
from swarmkeeper.core.rules import match

ROWS_MIN = 2  # read from a line at once
ROWS_MAX = 128

Position = tuple[int, str]


def _position(item: QueueEntry) -> Position:
    return item.position, item.work


def _age(item: QueueEntry) -> Position:
    return item.since, item.work


@dataclass(slots=True, eq=False)
class _Line:
    """The items of one queue and priority in one of the two orders, as far as they were read."""

    queue: int
    priority: int
    since: int  # no item in it has waited longer
    by_age: bool
    items: list[QueueEntry] = field(default_factory=list)
    begin: int = 0  # before it, all are taken
    whole: bool = False  # there is nothing behind what was read

    def key(self, item: QueueEntry) -> Position:
        return _age(item) if self.by_age else _position(item)


class ReadyQueues:
    def __init__(self, transaction: Transaction, working: WorkingSet, tenant: str) -> None:
        self._transaction = transaction
        self._now = working.now
        self._tenant = tenant
        self._looked: set[int] = set()  # queues whose lines are known
        self._lines: list[_Line] = []
        self._moved = set(working.changes.ready)  # stands elsewhere by now than is stored, or nowhere
        self._add_new([ready for ready in working.changes.ready.values() if ready and ready.tenant == tenant])

    async def first(self, queues: Collection[int], n: int, taken: Collection[str]) -> list[QueueEntry]:
        """The first `n` of these queues, or all there are, without those that are taken."""
        if n <= 0:
            return []
        gone = set(taken)
        levels: dict[int, _Level] = {}
        for line in await self._of(queues):
            if line.priority not in levels:
                levels[line.priority] = _Level(self, taken, gone)
            levels[line.priority].add(line)
        found: list[QueueEntry] = []
        while len(found) < n and (item := await self._next(levels, n - len(found))) is not None:
            gone.add(item.work)
            found.append(item)
        return found

    async def of_owner(self, queues: Collection[int], owner: str, limit: int) -> list[QueueEntry]:
        """Up to `limit` of each line that are not closed to this owner. Only after everything was stored."""
        found: list[QueueEntry] = []
        for queue, priority, _ in await self._transaction.levels(self._tenant, sorted(queues)):
            found += await self._transaction.queue_entries(self._tenant, owner, queue, priority, limit)
        return match.choose(found, self._now)

    async def _next(self, levels: dict[int, _Level], rows: int) -> QueueEntry | None:
        """The best item of all priorities; one that has nothing more is taken out of them."""
        while levels:
            top = max(levels)
            # Mostly nothing lower can be level with it yet, and need not be read to know that.
            rivals = [one for one in levels if one < top and match.aged(one, levels[one].since, self._now) >= top]
            chosen, oldest = top, None
            if rivals:
                chosen, oldest = await self._oldest(levels, [top, *rivals])
            item = oldest if chosen != top else await levels[top].first(rows, by_age=False)
            if item is not None:
                return item
            del levels[chosen]
        return None

    async def _oldest(self, levels: dict[int, _Level], rivals: Sequence[int]) -> tuple[int, QueueEntry | None]:
        """The priority that counts for most with its age (of equals the one that waits longer), and its oldest item."""
        best: tuple[tuple[int, int, int], int, QueueEntry] | None = None
        for priority in rivals:
            item = await levels[priority].first(ROWS_MIN, by_age=True)
            if item is None:
                return priority, None
            key = (-match.aged(priority, item.since, self._now), item.since, -priority)
            if best is None or key < best[0]:
                best = key, priority, item
        assert best is not None, "there are some"
        return best[1:]

    def _add_new(self, items: list[QueueEntry]) -> None:
        def line_of(item: QueueEntry) -> tuple[int, int]:
            return item.queue, item.priority

        for line, grouped in groupby(sorted(items, key=line_of), key=line_of):
            here = sorted(grouped, key=_age)
            since = here[0].since
            self._lines.append(_Line(*line, since, by_age=True, items=here, whole=True))
            self._lines.append(_Line(*line, since, by_age=False, items=sorted(here, key=_position), whole=True))

    async def _of(self, queues: Collection[int]) -> list[_Line]:
        unknown = sorted(set(queues) - self._looked)
        if unknown:
            self._looked.update(unknown)
            for level in await self._transaction.levels(self._tenant, unknown):
                self._lines += [_Line(*level, by_age=by_age) for by_age in (False, True)]
        return [line for line in self._lines if line.queue in queues]

    async def at(self, line: _Line, position: int, rows: int, taken: Collection[str]) -> tuple[QueueEntry | None, int]:
        """The first item of a line from that place on that can be had, and its place."""
        while True:
            while position < len(line.items):
                item = line.items[position]
                if item.work not in taken:
                    return item, position
                position += 1
            if line.whole:
                return None, position
            await self._read(line, min(max(rows, ROWS_MIN), ROWS_MAX))

    async def _read(self, line: _Line, rows: int) -> None:
        after = line.key(line.items[-1]) if line.items else None
        while True:
            found = await self._transaction.queue_entries(
                self._tenant, "", line.queue, line.priority, rows, after, by_age=line.by_age
            )
            line.whole = len(found) < rows
            new = [item for item in found if item.work not in self._moved]
            line.items += new
            if new or line.whole:
                return
            after = line.key(found[-1])


class _Level:
    """The lines of one priority, merged in either order, in one look through them."""

    def __init__(self, queue_entries: ReadyQueues, taken: Collection[str], gone: Collection[str]) -> None:
        self._heads, self._taken = queue_entries, taken
        self._gone = gone  # those, and what was found in this look
        self._lines: dict[bool, list[_Line]] = {False: [], True: []}
        self._orders: dict[bool, list[tuple[Position, int, int, QueueEntry]]] = {}  # heaps

    def add(self, line: _Line) -> None:
        self._lines[line.by_age].append(line)

    @property
    def since(self) -> int:
        """None of its items has waited longer."""
        return min(line.since for line in self._lines[True])

    async def first(self, rows: int, *, by_age: bool) -> QueueEntry | None:
        """Its first item in that order that can still be had; about so many will be asked for."""
        order = self._orders.get(by_age)
        if order is None:
            order = self._orders[by_age] = await self._begin(by_age, rows)
        while order:
            _, number, position, item = order[0]
            if item.work not in self._gone:
                return item
            line = self._lines[by_age][number]
            following, position = await self._heads.at(line, position + 1, rows, self._gone)
            if following is None:
                heappop(order)
            else:
                heapreplace(order, (line.key(following), number, position, following))
        return None

    async def _begin(self, by_age: bool, rows: int) -> list[tuple[Position, int, int, QueueEntry]]:
        lines = self._lines[by_age]
        share = -(-rows // len(lines))
        order = []
        for number, line in enumerate(lines):
            while line.begin < len(line.items) and line.items[line.begin].work in self._taken:
                line.begin += 1
            item, position = await self._heads.at(line, line.begin, share, self._gone)
            if item is not None:
                order.append((line.key(item), number, position, item))
        heapify(order)
        return order
