"""What may be handed out to the bots of one tenant, the best first over all queues and priorities.

Only heads are compared: of one queue and priority the older comes first at any time, so each such line is read from its
front, a few rows at a time, and never further than what is asked for. What this batch has put into a queue stands in
memory, and is not stored only to be read again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace

from swarmkeeper.core import match
from swarmkeeper.core.model import Ready
from swarmkeeper.core.ports import Unit
from swarmkeeper.core.world import World

ROWS_MIN = 2  # read from a line at once
ROWS_MAX = 128


@dataclass(slots=True, eq=False)
class _Line:
    """The items of one queue and priority, as far as they were read."""

    queue: int
    priority: int
    items: list[Ready] = field(default_factory=list)
    begin: int = 0  # before it, all are taken
    whole: bool = False  # there is nothing behind what was read


class Heads:
    def __init__(self, unit: Unit, world: World, tenant: str) -> None:
        self._unit = unit
        self._world = world
        self._tenant = tenant
        self._looked: set[int] = set()  # queues whose lines are known
        self._lines: list[_Line] = []
        self._moved = set(world.changes.ready)  # stands elsewhere by now than is stored, or nowhere
        self._add_new([ready for ready in world.changes.ready.values() if ready and ready.tenant == tenant])

    async def first(self, queues: Collection[int], n: int, taken: Collection[str]) -> list[Ready]:
        """The first `n` of these queues, or all there are, without those that are taken."""
        if n <= 0:
            return []
        lines = await self._of(queues)
        share = -(-n // max(1, len(lines)))
        order = []
        for number, line in enumerate(lines):
            while line.begin < len(line.items) and line.items[line.begin].work in taken:
                line.begin += 1
            item, place = await self._at(line, line.begin, share, taken)
            if item is not None:
                order.append((match.rank(item, self._world.now), number, place, item))
        heapify(order)
        found: list[Ready] = []
        while order:
            _, number, place, item = order[0]
            found.append(item)
            if len(found) == n:
                break
            following, place = await self._at(lines[number], place + 1, n - len(found), taken)
            if following is None:
                heappop(order)
            else:
                heapreplace(order, (match.rank(following, self._world.now), number, place, following))
        return found

    async def of_owner(self, queues: Collection[int], owner: str, limit: int) -> list[Ready]:
        """Up to `limit` of each line that are not closed to this owner. Only after everything was stored."""
        found: list[Ready] = []
        for queue, priority in await self._unit.levels(self._tenant, sorted(queues)):
            found += await self._unit.heads(self._tenant, owner, queue, priority, limit)
        return match.choose(found, self._world.now)

    def _add_new(self, items: list[Ready]) -> None:
        lines: dict[int, _Line] = {}
        for item in match.choose(items, self._world.now):
            lines.setdefault(item.queue, _Line(item.queue, item.priority, whole=True)).items.append(item)
        self._lines += lines.values()

    async def _of(self, queues: Collection[int]) -> list[_Line]:
        unknown = sorted(set(queues) - self._looked)
        if unknown:
            self._looked.update(unknown)
            self._lines += [_Line(*level) for level in await self._unit.levels(self._tenant, unknown)]
        return [line for line in self._lines if line.queue in queues]

    async def _at(self, line: _Line, place: int, rows: int, taken: Collection[str]) -> tuple[Ready | None, int]:
        """The first item of a line from that place on that can be had, and its place."""
        while True:
            while place < len(line.items):
                item = line.items[place]
                if item.work not in taken:
                    return item, place
                place += 1
            if line.whole:
                return None, place
            await self._read(line, min(max(rows, ROWS_MIN), ROWS_MAX))

    async def _read(self, line: _Line, rows: int) -> None:
        after = (line.items[-1].place, line.items[-1].work) if line.items else None
        while True:
            found = await self._unit.heads(self._tenant, "", line.queue, line.priority, rows, after)
            line.whole = len(found) < rows
            new = [item for item in found if item.work not in self._moved]
            line.items += new
            if new or line.whole:
                return
            after = (found[-1].place, found[-1].work)
