"""The feed of events: from where a reader goes on, and live delivery.

One reader per process reads the end of the feed and passes each event to its followers; a follower reads the store
itself only to catch up.

A follower is registered before its last catch-up read, and receives live events from exactly where that read ended. So
it misses no event and gets none twice. The caller checks permissions: see `Queries.may_follow`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

from swarmkeeper.core import named_reads
from swarmkeeper.core.errors import CursorTooOld, Invalid
from swarmkeeper.core.named_reads import CursorRow, EventRow, fetch
from swarmkeeper.core.ports import EVENTS_TOPIC, Broker, LogWriter, Reader, Store, StoreDamaged, StoreUnavailable
from swarmkeeper.core.states import TASK_CLOSED
from swarmkeeper.govern.cursors import CursorOfAnotherStore, Cursors, NotACursor
from swarmkeeper.reads import views
from swarmkeeper.reads.views import View

LAG_MAX = 1_000  # events that may be queued for one follower
PAGE = 500
SOME = 100  # events that a follower takes at once
# The approximate time to wake one follower. After each read with events, the feed rests for REST_TIMES as long as
# waking all followers takes, so that any number of followers uses at most a sixth of the event loop.
WAKE_SECONDS = 0.00004
REST_TIMES = 5
WOKEN_AT_ONCE = 50  # followers woken before the event loop runs others: two milliseconds
LOOK_SECONDS = 1.0  # the delay if a hint is lost; the feed is read this often only while it has followers


class Position(NamedTuple):
    """Where a caller wants to go on."""

    text: str = ""  # a cursor, or LATEST; empty: from the begin
    where: str = ""  # the pointer to it in the request


START = Position()
LATEST = "latest"  # after the newest event that there is


async def number_of(after: Position, cursors: Cursors, tenant: str, store: Reader, *, of_task: bool) -> int:
    """Return the number that a cursor stands for, after checking that no event after it has left.

    The events of a task leave only with the task. The number 0 asks for what is still there.

    Raises:
        Invalid: it is no cursor of this tenant.
        CursorTooOld: events after it have left, or it is of another store, or of the one that was lost before this one
            was restored from a backup.
    """
    if not after.text:
        return 0
    if after.text == LATEST:
        newest = await fetch(store, named_reads.NEWEST_EVENT)
        return newest[0].seq if newest else 0
    left: list[CursorRow] = []
    try:
        number = cursors.decode(tenant, after.text)
    except NotACursor:
        detail = (after.where, "invalid", "must be the id of an event of this feed")
        raise Invalid("there is no such cursor", details=(detail,)) from None
    except CursorOfAnotherStore:
        left.append(CursorRow(0))
    else:
        if number == 0:
            return 0
        left += await fetch(store, named_reads.FEED_GAP, tenant=tenant, cursor=number)
    if left or not of_task:
        starts = await fetch(store, named_reads.FEED_START, tenant=tenant)
        left += [row for row in starts if left or number < row.seq]
    if left:
        raise CursorTooOld(cursors.encode(tenant, max(row.seq for row in left)))
    return number


_CLOSED = frozenset(str(status) for status in TASK_CLOSED)


class FeedEvent:
    """One event, shared by all its followers, so that it is converted only once."""

    __slots__ = ("_cursors", "_form", "_view", "row")

    def __init__(self, row: EventRow, cursors: Cursors) -> None:
        self.row = row
        self._cursors = cursors
        self._view: View | None = None
        self._form: bytes | None = None

    @property
    def view(self) -> View:
        if self._view is None:
            self._view = views.event(self.row, self._cursors.encode(self.row.tenant, self.row.seq))
        return self._view

    def form(self, write: Callable[[View], bytes]) -> bytes:
        """Return the event as encoded by `write`. The result is cached: a process must always pass the same `write`."""
        if self._form is None:
            self._form = write(self.view)
        return self._form


class Subscription:
    """An iterator over events, oldest first. Cancelling a wait for the next event loses nothing.

    It ends when its task is closed and all events were delivered, when it lags too far behind (`lagging`), and when the
    feed stops. To continue, subscribe again after `cursor`.
    """

    def __init__(self, feed: Feed, tenant: str, task: str | None, after: int) -> None:
        self.cursor = after  # number of the last event delivered
        self.lagging = False
        self._feed = feed
        self._tenant = tenant
        self._task = task
        self._read_to = after
        self._waiting: deque[FeedEvent] = deque()
        self._more = asyncio.Event()
        self._live = False
        self._over = False  # the task is closed, according to the events read so far
        self._stopped = False
        self._nudged = False

    @property
    def key(self) -> tuple[str, str | None]:
        return self._tenant, self._task

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> View:
        while (events := await self.some(1)) is not None:
            if events:
                return events[0].view
        raise StopAsyncIteration

    async def some(self, most: int = SOME) -> list[FeedEvent] | None:
        """Wait for the next events and return them; an empty list after `nudge`; None at the end."""
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
        events = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self.cursor = events[-1].row.seq
        return events

    def nudge(self) -> None:
        """Make `some` return, even without events."""
        self._nudged = True
        self._more.set()

    async def begin(self) -> None:
        if self._task is not None:
            found = await fetch(self._feed.store, named_reads.TASK_ROW, tenant=self._tenant, task=self._task)
            self._over = bool(found) and found[0].status in _CLOSED

    async def _catch_up(self) -> None:
        """Read one page; after the last one, go live at the position of the feed's reader."""
        end = self._feed.cursor
        found = await self._read()
        for row in found:
            self._take(FeedEvent(row, self._feed.cursors))
        if len(found) < PAGE and end is not None and end == self._feed.cursor:
            # All events that the reader has delivered so far were committed before this read, so it included them.
            self._live = True

    async def _read(self) -> list[EventRow]:
        store, after = self._feed.store, self._read_to
        if self._task is None:
            return await fetch(store, named_reads.EVENTS_OF_TENANT, tenant=self._tenant, after=after, limit=PAGE)
        return await fetch(store, named_reads.EVENTS_OF_TASK, task=self._task, after=after, limit=PAGE)

    def put(self, events: Sequence[FeedEvent]) -> None:
        """Queue live events; skip them while the subscription is still catching up."""
        for event in events:
            if not self._live or event.row.seq <= self._read_to:
                continue
            if len(self._waiting) >= LAG_MAX:
                self.lagging = True
                self._live = False
            else:
                self._take(event)
        self._more.set()

    def _take(self, event: FeedEvent) -> None:
        row = event.row
        self._read_to = row.seq
        self._waiting.append(event)
        if self._task is not None and row.kind.startswith("task."):
            to = views.json_of(row.body).get("to")
            self._over = to in _CLOSED if to is not None else self._over

    def stop(self) -> None:
        self._stopped = True
        self._more.set()


class Feed:
    """The reader of the feed's end. `run` must be running for followers to get live events."""

    def __init__(self, store: Store, broker: Broker, cursors: Cursors, log: LogWriter) -> None:
        self.store = store
        self.cursors = cursors
        self.cursor: int | None = None  # number of the last event delivered; None while there are no followers
        self._broker = broker
        self._log = log
        self._followers: dict[tuple[str, str | None], dict[int, Subscription]] = {}
        self._wanted = asyncio.Event()
        self._over = False
        self._at_end: list[Callable[[], None]] = []

    @property
    def is_over(self) -> bool:
        """Whether the server stops: nothing is delivered any more."""
        return self._over

    def at_end(self, call: Callable[[], None]) -> None:
        """Call this when the feed stops."""
        self._at_end.append(call)

    def hints(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Give hints that there are new events, for who reads them itself."""
        return self._broker.subscribe(EVENTS_TOPIC)

    @asynccontextmanager
    async def subscribe(self, tenant: str, task: str | None = None, *, after: int = 0) -> AsyncIterator[Subscription]:
        """Subscribe to the events of a tenant, or of one task, after the number `after`."""
        subscription = Subscription(self, tenant, task, after)
        if self.cursor is None:
            newest = await fetch(self.store, named_reads.NEWEST_EVENT)
            if self.cursor is None:
                self.cursor = newest[0].seq if newest else 0
        of_key = self._followers.setdefault(subscription.key, {})
        of_key[id(subscription)] = subscription
        self._wanted.set()
        if self._over:
            subscription.stop()  # the feed has stopped; also stop a follower that reconnected over an open connection
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
        """Read the end of the feed for ever: after each hint, and each second, while there are followers."""
        try:
            async with self._broker.subscribe(EVENTS_TOPIC) as hints:
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
            for call in self._at_end:
                call()

    def _all(self) -> list[Subscription]:
        return [subscription for of_key in self._followers.values() for subscription in of_key.values()]

    async def _look(self) -> bool:
        """Deliver new events; return whether there were any."""
        found_any = False
        while self.cursor is not None:
            found = await fetch(self.store, named_reads.EVENTS_AFTER, after=self.cursor, limit=PAGE)
            if found:
                found_any = True
                await self._hand_out([FeedEvent(row, self.cursors) for row in found])
            if len(found) < PAGE:
                break
        return found_any

    async def _hand_out(self, events: Sequence[FeedEvent]) -> None:
        """Deliver events to their live followers. Subscriptions that go live later have read them from the store."""
        self.cursor = events[-1].row.seq
        of_key: dict[tuple[str, str | None], list[FeedEvent]] = {}
        for event in events:
            tenant, task = event.row.tenant, event.row.task
            for key in ((tenant, None),) if task is None else ((tenant, None), (tenant, task)):
                if key in self._followers:
                    of_key.setdefault(key, []).append(event)
        deliveries = [(follower, own) for key, own in of_key.items() for follower in self._followers[key].values()]
        for woken, (subscription, own) in enumerate(deliveries, 1):
            subscription.put(own)
            if woken % WOKEN_AT_ONCE == 0:
                await asyncio.sleep(0)
