"""Events as they happen. One reader at the feed's end for the whole process, which hands each event to whoever follows
it; a follower reads the store by itself only to catch up.

A follower is registered before its last look back, and hears live from the very place up to which that look saw:
nothing falls between the two, nothing comes twice. Permission is the caller's: see `Queries.may_follow`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from swarmkeeper.core import named_reads
from swarmkeeper.core.named_reads import EventRow, fetch
from swarmkeeper.core.ports import Broker, Store, StoreDamaged, StoreUnavailable
from swarmkeeper.core.states import TASK_CLOSED
from swarmkeeper.engine.loop import Log
from swarmkeeper.reads import views
from swarmkeeper.reads.views import View

TOPIC = "events"  # what the engine hints at after each batch that told something
LAG_MAX = 1_000  # events that may wait for one follower
PAGE = 500
SOME = 100  # events that a follower takes at once
# What it takes to wake one follower, about. After each look that told something the feed rests for five times as long
# as all of them take, so that however many follow, they take a sixth of the loop.
WAKE_SECONDS = 0.00004
REST_TIMES = 5
WOKEN_AT_ONCE = 50  # before others have their turn: two milliseconds
LOOK_SECONDS = 1.0  # how much a lost hint costs, and only while somebody follows

_CLOSED = frozenset(str(status) for status in TASK_CLOSED)


class Told:
    """One event, for all who follow it: what is made of it is made once."""

    __slots__ = ("_form", "_view", "row")

    def __init__(self, row: EventRow) -> None:
        self.row = row
        self._view: View | None = None
        self._form: bytes | None = None

    @property
    def view(self) -> View:
        if self._view is None:
            self._view = views.event(self.row)
        return self._view

    def form(self, write: Callable[[View], bytes]) -> bytes:
        """The event as `write` writes it; there is one way of writing in a process."""
        if self._form is None:
            self._form = write(self.view)
        return self._form


class Subscription:
    """An iterator over events, oldest first. Waiting for the next may be cancelled, and nothing is lost by it.

    It ends when its task is over and all was told, when it lags too far behind (`lagging`), and when the feed stops.
    Whoever wants more subscribes again after `cursor`.
    """

    def __init__(self, feed: Feed, tenant: str, task: str | None, after: int) -> None:
        self.cursor = after  # of the last event that was taken
        self.lagging = False
        self._feed = feed
        self._tenant = tenant
        self._task = task
        self._read_to = after
        self._waiting: deque[Told] = deque()
        self._more = asyncio.Event()
        self._live = False
        self._over = False  # the task is, as far as was read
        self._stopped = False
        self._nudged = False

    @property
    def key(self) -> tuple[str, str | None]:
        return self._tenant, self._task

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> View:
        while (told := await self.some(1)) is not None:
            if told:
                return told[0].view
        raise StopAsyncIteration

    async def some(self, most: int = SOME) -> list[Told] | None:
        """The next events as soon as there are any; none where it was nudged; None where it has ended."""
        while not self._waiting:
            if self.lagging or self._stopped or (self._live and self._over):
                return None
            if self._nudged:
                self._nudged = False
                return []
            if not self._live:
                await self._catch_up()
            else:
                self._more.clear()
                await self._more.wait()
        told = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self.cursor = told[-1].row.seq
        return told

    def nudge(self) -> None:
        """Have `some` return, whether or not there is anything."""
        self._nudged = True
        self._more.set()

    async def begin(self) -> None:
        if self._task is not None:
            found = await fetch(self._feed.store, named_reads.TASK_ROW, tenant=self._tenant, task=self._task)
            self._over = bool(found) and found[0].status in _CLOSED

    async def _catch_up(self) -> None:
        """Read one page; with the last one, go live where the feed's reader stands."""
        end = self._feed.cursor
        found = await self._read()
        for row in found:
            self._take(Told(row))
        if len(found) < PAGE and end is not None and end == self._feed.cursor:
            # What the reader has handed out so far was committed before that look, so it was seen.
            self._live = True

    async def _read(self) -> list[EventRow]:
        store, after = self._feed.store, self._read_to
        if self._task is None:
            return await fetch(store, named_reads.EVENTS_OF_TENANT, tenant=self._tenant, after=after, limit=PAGE)
        return await fetch(store, named_reads.EVENTS_OF_TASK, task=self._task, after=after, limit=PAGE)

    def put(self, told: Sequence[Told]) -> None:
        """Take events that have just happened; but none that it still has to look back further than."""
        for each in told:
            if not self._live or each.row.seq <= self._read_to:
                continue
            if len(self._waiting) >= LAG_MAX:
                self.lagging = True
                self._live = False
            else:
                self._take(each)
        self._more.set()

    def _take(self, told: Told) -> None:
        row = told.row
        self._read_to = row.seq
        self._waiting.append(told)
        if self._task is not None and row.kind.startswith("task."):
            to = views.json_of(row.body).get("to")
            self._over = to in _CLOSED if to is not None else self._over

    def stop(self) -> None:
        self._stopped = True
        self._more.set()


class Feed:
    """`run` is the one reader; it must be running for anybody to hear live."""

    def __init__(self, store: Store, broker: Broker, log: Log) -> None:
        self.store = store
        self.cursor: int | None = None  # up to where events were handed out; None while nobody follows
        self._broker = broker
        self._log = log
        self._followers: dict[tuple[str, str | None], dict[int, Subscription]] = {}
        self._wanted = asyncio.Event()
        self._over = False

    @asynccontextmanager
    async def subscribe(self, tenant: str, task: str | None = None, *, after: int = 0) -> AsyncIterator[Subscription]:
        """Follow a tenant's events, or one task's, from after a cursor on."""
        subscription = Subscription(self, tenant, task, after)
        if self.cursor is None:
            newest = await fetch(self.store, named_reads.NEWEST_EVENT)
            if self.cursor is None:
                self.cursor = newest[0].seq if newest else 0
        of_key = self._followers.setdefault(subscription.key, {})
        of_key[id(subscription)] = subscription
        self._wanted.set()
        if self._over:
            subscription.stop()  # who was told so, and came back at once over the same connection, is told again
        try:
            await subscription.begin()
            yield subscription
        finally:
            of_key.pop(id(subscription), None)
            if not of_key and self._followers.get(subscription.key) is of_key:
                del self._followers[subscription.key]
            if not self._followers:
                self.cursor = None
                self._wanted.clear()

    @property
    def followers(self) -> int:
        return sum(len(of_key) for of_key in self._followers.values())

    async def run(self) -> None:
        """Read the end of the feed for ever: when hinted at, and each second while somebody follows."""
        try:
            async with self._broker.subscribe(TOPIC) as hints:
                while True:
                    await self._wanted.wait()
                    try:
                        async with asyncio.timeout(LOOK_SECONDS):
                            await anext(hints)
                    except TimeoutError:
                        pass
                    try:
                        if await self._look():
                            await asyncio.sleep(self.followers * WAKE_SECONDS * REST_TIMES)
                    except (StoreUnavailable, StoreDamaged) as error:
                        self._log("feed_waits", reason=str(error))
        finally:
            self._over = True
            for subscription in self._all():
                subscription.stop()

    def _all(self) -> list[Subscription]:
        return [one for of_key in self._followers.values() for one in of_key.values()]

    async def _look(self) -> bool:
        """Hand out what is new; whether there was anything."""
        told = False
        while self.cursor is not None:
            found = await fetch(self.store, named_reads.EVENTS_AFTER, after=self.cursor, limit=PAGE)
            if found:
                told = True
                await self._hand_out([Told(row) for row in found])
            if len(found) < PAGE:
                break
        return told

    async def _hand_out(self, told: Sequence[Told]) -> None:
        """Give events to those who follow them now. Who goes live from here on has read them in the store."""
        self.cursor = told[-1].row.seq
        of_key: dict[tuple[str, str | None], list[Told]] = {}
        for each in told:
            tenant, task = each.row.tenant, each.row.task
            for key in ((tenant, None),) if task is None else ((tenant, None), (tenant, task)):
                if key in self._followers:
                    of_key.setdefault(key, []).append(each)
        those = [(one, own) for key, own in of_key.items() for one in self._followers[key].values()]
        for woken, (subscription, own) in enumerate(those, 1):
            subscription.put(own)
            if woken % WOKEN_AT_ONCE == 0:
                await asyncio.sleep(0)
