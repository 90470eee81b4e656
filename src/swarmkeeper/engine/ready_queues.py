"""The items that may be leased to one tenant's bots, best first, over all queues and priorities.

Theory. Items of one queue and priority are ordered by the start of their tasks (`QueueEntry.position`), so that tasks
started first are finished first. A priority rises by one for each minute that its oldest item has waited
(`QueueEntry.since`), so that low ones get their turn. These are two orders of the same rows, and both have an index:

- If the highest priority wins by itself, the item of the task that was started first is taken.
- If a lower priority wins by age, its oldest item is taken. If it could pass that turn to newer items, urgent items
  would wait for items that came after them.

Each order is read from its front, a few rows at a time, and no further than needed. Items that this batch has added to
a queue are used from memory, and not written first to be read again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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


def _rows(n: int) -> int:
    """Return how many rows to read of a line of which about `n` items will be needed."""
    return min(max(n, ROWS_MIN), ROWS_MAX)


def _age(item: QueueEntry) -> Position:
    return item.since, item.work


@dataclass(slots=True, eq=False)
class _Line:
    """The items of one queue and priority in one of the two orders, as far as they have been read."""

    queue: int
    priority: int
    since: int  # no item in it has waited longer
    by_age: bool
    items: list[QueueEntry] = field(default_factory=list)
    begin: int = 0  # all items before this index are taken
    whole: bool = False  # all items have been read

    @property
    def is_begun(self) -> bool:
        return self.whole or bool(self.items)

    def key(self, item: QueueEntry) -> Position:
        return _age(item) if self.by_age else _position(item)


class ReadyQueues:
    def __init__(self, transaction: Transaction, working: WorkingSet, tenant: str) -> None:
        self._transaction = transaction
        self._now = working.now
        self._tenant = tenant
        self._known: set[int] = set()  # queues whose lines are known
        self._lines: list[_Line] = []
        self._moved = set(working.changes.ready)  # items whose stored position is outdated
        self._add_new([ready for ready in working.changes.ready.values() if ready and ready.tenant == tenant])

    async def first(self, queues: Collection[int], n: int, taken: Collection[str]) -> list[QueueEntry]:
        """Return the first `n` items of these queues, or all if there are fewer, without the taken ones."""
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

    async def read_ahead(self, wanted: Mapping[frozenset[int], int]) -> None:
        """Read the heads of all lines that most searches begin with at once: each of a server costs a round trip.

        Args:
            wanted: how many items will be asked of each set of queues.
        """
        rows: dict[int, int] = {}  # by number of a line
        for queues, n in wanted.items():
            lines = [
                number for number, line in enumerate(self._lines) if line.queue in queues and not line.by_age and n > 0
            ]
            top = max((self._lines[number].priority for number in lines), default=0)
            of_top = [number for number in lines if self._lines[number].priority == top]
            lines = [number for number in of_top if not self._lines[number].is_begun]
            for number in lines:
                rows[number] = rows.get(number, 0) + -(-n // len(lines))
        unread = {self._lines[number]: n for number, n in rows.items()}
        if len(unread) > 1:
            asked = [(line.queue, line.priority, _rows(n)) for line, n in unread.items()]
            found = await self._transaction.queue_heads(self._tenant, asked)
            for line, (*_, limit), items in zip(unread, asked, found, strict=True):
                line.whole = len(items) < limit
                line.items = [item for item in items if item.work not in self._moved]

    async def of_owner(self, queues: Collection[int], owner: str, limit: int) -> list[QueueEntry]:
        """Return up to `limit` items of each line that do not exclude this owner. Save all changes first."""
        found: list[QueueEntry] = []
        for queue, priority, _ in await self._transaction.levels(self._tenant, sorted(queues)):
            found += await self._transaction.queue_entries(self._tenant, owner, queue, priority, limit)
        return match.choose(found, self._now)

    async def _next(self, levels: dict[int, _Level], rows: int) -> QueueEntry | None:
        """Return the best item of all priorities, or None; remove empty priorities from `levels`."""
        while levels:
            top = max(levels)
            # Usually no lower priority has aged enough, and its items need not be read.
            rivals = [
                priority
                for priority in levels
                if priority < top and match.aged(priority, levels[priority].since, self._now) >= top
            ]
            chosen, oldest = top, None
            if rivals:
                chosen, oldest = await self._oldest(levels, [top, *rivals])
            item = oldest if chosen != top else await levels[top].first(rows, by_age=False)
            if item is not None:
                return item
            del levels[chosen]
        return None

    async def _oldest(self, levels: dict[int, _Level], rivals: Sequence[int]) -> tuple[int, QueueEntry | None]:
        """Return the priority with the highest aged value (of equals the longer wait), and its oldest item."""
        best: tuple[tuple[int, int, int], int, QueueEntry] | None = None
        for priority in rivals:
            item = await levels[priority].first(ROWS_MIN, by_age=True)
            if item is None:
                return priority, None
            key = (-match.aged(priority, item.since, self._now), item.since, -priority)
            if best is None or key < best[0]:
                best = key, priority, item
        assert best is not None, "there is at least one priority"
        return best[1:]

    def _add_new(self, items: list[QueueEntry]) -> None:
        def line_of(item: QueueEntry) -> tuple[int, int]:
            return item.queue, item.priority

        for line, grouped in groupby(sorted(items, key=line_of), key=line_of):
            here = sorted(grouped, key=_age)
            since = here[0].since
            self._lines.append(_Line(*line, since, by_age=True, items=here, whole=True))
            self._lines.append(_Line(*line, since, by_age=False, items=sorted(here, key=_position), whole=True))

    async def know(self, queues: Collection[int]) -> None:
        """Ask which priorities of these queues have items, as far as that is not known."""
        unknown = sorted(set(queues) - self._known)
        if unknown:
            self._known.update(unknown)
            for level in await self._transaction.levels(self._tenant, unknown):
                self._lines += [_Line(*level, by_age=by_age) for by_age in (False, True)]

    async def _of(self, queues: Collection[int]) -> list[_Line]:
        await self.know(queues)
        return [line for line in self._lines if line.queue in queues]

    async def at(self, line: _Line, position: int, rows: int, taken: Collection[str]) -> tuple[QueueEntry | None, int]:
        """Return the first item of a line at or after `position` that is not taken (or None), and its position."""
        while True:
            while position < len(line.items):
                item = line.items[position]
                if item.work not in taken:
                    return item, position
                position += 1
            if line.whole:
                return None, position
            await self._read(line, _rows(rows))

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
    """The lines of one priority, merged in either order, for one search."""

    def __init__(self, queue_entries: ReadyQueues, taken: Collection[str], gone: Collection[str]) -> None:
        self._heads, self._taken = queue_entries, taken
        self._gone = gone  # `taken`, and the items found by this search
        self._lines: dict[bool, list[_Line]] = {False: [], True: []}
        self._orders: dict[bool, list[tuple[Position, int, int, QueueEntry]]] = {}  # heaps

    def add(self, line: _Line) -> None:
        self._lines[line.by_age].append(line)

    @property
    def since(self) -> int:
        """When its oldest item joined its queue, at the earliest."""
        return min(line.since for line in self._lines[True])

    async def first(self, rows: int, *, by_age: bool) -> QueueEntry | None:
        """Return its first available item in that order; `rows` is about how many will be needed."""
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
        share = -(-rows // max(1, sum(not line.whole for line in lines)))
        order = []
        for number, line in enumerate(lines):
            while line.begin < len(line.items) and line.items[line.begin].work in self._taken:
                line.begin += 1
            item, position = await self._heads.at(line, line.begin, share, self._gone)
            if item is not None:
                order.append((line.key(item), number, position, item))
        heapify(order)
        return order
