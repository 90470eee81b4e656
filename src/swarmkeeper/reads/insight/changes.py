"""What has changed in a tenant, told to pages that show it: at most two messages a second, however much happens.

One reader for each tenant follows the feed (reads/feed.py) while somebody listens, and tells all of its listeners. A
message names the tasks that changed, up to a bound: a page reads those again, or all. To miss nothing, a listener that
comes back with a cursor is first told what happened since, as read from the store; it may be told a task twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from swarmkeeper.core import named_reads
from swarmkeeper.core.errors import CursorTooOld, PermissionDenied
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import LogWriter, Reader, Rules, StoreDamaged, StoreUnavailable
from swarmkeeper.core.states import TaskStatus
from swarmkeeper.core.tallies.reads import TASK_COUNTS
from swarmkeeper.reads.approval_queries import OPEN_MAX
from swarmkeeper.reads.feed import LATEST, Feed, FeedEvent, Position, Subscription
from swarmkeeper.reads.insight.insight_reads import EVENTS_OF_TENANT_TASKS, OPEN_APPROVALS_COUNT, PARTIES_OF_TASKS
from swarmkeeper.reads.reading_thread import ReadingThread, Reads
from swarmkeeper.reads.views import View

PAUSE_SECONDS = 0.5  # between two messages
TOGETHER_SECONDS = 0.02  # what happens within it after a quiet time goes into one message
TASKS_MAX = 200  # named in a message
MISSED_MAX = 5_000  # events that are looked through for a listener that comes back
_IDS_AT_ONCE = 500
_OF_TASKS = frozenset({"task", "work", "approval"})

Counts = Mapping[str, int]
# Returns the counts that a message shows, of a tenant. It is called twice a second while much happens.
CountsOf = Callable[[Reader, str], Awaitable[Counts]]


async def counts_of(reader: Reader, tenant: str) -> Counts:
    """Return what is open, and how many tasks have each status."""
    rows = await fetch(reader, named_reads.TENANT_ROW, tenant=tenant)
    if not rows:
        return {}
    counts = {"open_tasks": rows[0].open_tasks, "open_subtasks": rows[0].open_subtasks}
    counts |= {str(status): 0 for status in TaskStatus}
    for row in await fetch(reader, TASK_COUNTS, tenant=tenant, party=None):
        counts[row.status] += row.number
    return counts


@dataclass(frozen=True, slots=True)
class WhatChanged:
    """What a message says. It is shared by listeners, and never changed."""

    cursor: int
    counts: Counts | None = None
    approvals_open: int | None = None
    tasks: frozenset[str] | None = frozenset()  # None: too many to name
    also: frozenset[str] = frozenset()  # what else changed: bot, key, kill …

    def after(self, before: WhatChanged | None) -> WhatChanged:
        """Return one message in place of two."""
        if before is None:
            return self
        newer = self if self.cursor >= before.cursor else before
        return replace(newer, tasks=_joined(before.tasks, self.tasks), also=before.also | self.also)


def _joined(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return None
    both = one | other
    return both if len(both) <= TASKS_MAX else None


@dataclass(slots=True)
class _Happened:
    """What happened since the last message, as read from the feed."""

    cursor: int
    tasks: set[str] = field(default_factory=set)
    also: set[str] = field(default_factory=set)
    many: bool = False

    def add(self, seq: int, kind: str, task: str | None) -> None:
        self.cursor = seq
        family = kind.partition(".")[0]
        if task is not None:
            self.tasks.add(task)
        if task is None or family not in _OF_TASKS:
            self.also.add(family)


class Listener:
    """One open page."""

    def __init__(self, by: Principal, *, sees_approvals: bool, sees_all: bool) -> None:
        self.by = by
        self.sees_approvals = sees_approvals
        self.sees_all = sees_all  # it may read the whole feed
        self.ended = False
        self._told: WhatChanged | None = None
        self._more = asyncio.Event()

    def tell(self, told: WhatChanged) -> None:
        self._told = told.after(self._told)
        self._more.set()

    def end(self) -> None:
        self.ended = True
        self._more.set()

    def nudge(self) -> None:
        """Make `next` return, even without a message."""
        self._more.set()

    async def next(self) -> WhatChanged | None:
        """Wait for the next message; None after `nudge` and at the end."""
        if self._told is None and not self.ended:
            await self._more.wait()
        self._more.clear()
        told, self._told = self._told, None
        return told


class ChangeFeed:
    """Tells listeners what has changed.

    Args:
        counts: see `CountsOf`.
    """

    def __init__(
        self, feed: Feed, thread: ReadingThread, rules: Rules, log: LogWriter, *, counts: CountsOf = counts_of
    ) -> None:
        self.counts = counts
        self._feed, self._thread, self._rules, self._log = feed, thread, rules, log
        self._tenants: dict[str, _TenantReader] = {}

    @property
    def readers(self) -> int:
        return len(self._tenants)

    @asynccontextmanager
    async def listen(self, by: Principal, after: Position) -> AsyncIterator[Listener]:
        """Yield a listener that is first told how things are, and what happened after the cursor, if there is one.

        Raises:
            PermissionDenied: the role may not read tasks.
            Invalid: it is no cursor of this tenant.
        """
        self.check(by)
        listener = self._listener(by)
        reader = self._tenants.get(by.tenant)
        if reader is None or reader.is_over:
            reader = self._tenants[by.tenant] = _TenantReader(by.tenant, self._feed, self._built, self._log)
        reader.add(listener)
        try:
            await reader.begun()
            # From here on it hears of everything; what was before is read now.
            listener.tell(await self.since(by, after))
            yield listener
        finally:
            if reader.remove(listener) and self._tenants.get(by.tenant) is reader:
                del self._tenants[by.tenant]
                await reader.stop()

    def check(self, by: Principal) -> None:
        """Check that the caller may hear of changes.

        Raises:
            PermissionDenied: the role may not read tasks.
        """
        if not self._rules.may(by, "task.read"):
            raise PermissionDenied(self._rules.why_not(by, "task.read"))

    def _listener(self, by: Principal) -> Listener:
        sees_approvals = self._rules.may(by, "approval.read") and not by.sees_own
        return Listener(by, sees_approvals=sees_approvals, sees_all=self._rules.may(by, "event.read"))

    async def since(self, by: Principal, after: Position) -> WhatChanged:
        """Return how things are, and what happened after the cursor.

        Raises:
            Invalid: it is no cursor of this tenant.
        """

        async def whole(reads: Reads) -> tuple[_Happened, Counts, int]:
            queries = reads.queries
            latest = await queries.number_after(by, None, Position(LATEST))
            happened = _Happened(latest)
            if after.text and after.text != LATEST:
                try:
                    happened.cursor = await queries.number_after(by, None, after)
                    found = await fetch(
                        queries.reader,
                        EVENTS_OF_TENANT_TASKS,
                        tenant=by.tenant,
                        after=happened.cursor,
                        limit=MISSED_MAX + 1,
                    )
                    for row in found:
                        happened.add(row.seq, row.kind, row.task)
                    happened.many = len(found) > MISSED_MAX
                except CursorTooOld:
                    happened.many = True
                if happened.many:
                    happened.cursor = latest
            return happened, *await self._numbers(reads, by.tenant)

        happened, counts, approvals = await self._thread.look(by, whole)
        return await self._for(self._listener(by), happened, counts, approvals)

    async def _numbers(self, reads: Reads, tenant: str) -> tuple[Counts, int]:
        reader = reads.queries.reader
        (counted,) = await fetch(reader, OPEN_APPROVALS_COUNT, tenant=tenant, most=OPEN_MAX)
        return await self.counts(reader, tenant), counted.number

    async def _built(self, listeners: Sequence[Listener], happened: _Happened) -> None:
        """Tell all listeners of a tenant what happened."""
        by = listeners[0].by
        counts, approvals = await self._thread.look(by, lambda reads: self._numbers(reads, by.tenant))
        same: dict[Any, WhatChanged] = {}
        for listener in listeners:
            kind = (listener.by.party if listener.by.sees_own else None, listener.sees_approvals, listener.sees_all)
            told = same.get(kind)
            if told is None:
                told = same[kind] = await self._for(listener, happened, counts, approvals)
            # Whose tasks did not change hears nothing: not even that something happened.
            if not listener.by.sees_own or told.tasks is None or told.tasks:
                listener.tell(told)

    async def _for(self, listener: Listener, happened: _Happened, counts: Counts, approvals: int) -> WhatChanged:
        tasks = happened.tasks
        if listener.by.sees_own and happened.tasks:
            tasks = await self._thread.look(listener.by, lambda reads: _own(reads, listener.by, happened.tasks))
        named = None if happened.many or len(tasks) > TASKS_MAX else frozenset(tasks)
        return WhatChanged(
            happened.cursor,
            None if listener.by.sees_own else counts,
            approvals if listener.sees_approvals else None,
            named,
            frozenset(happened.also) if listener.sees_all and not listener.by.sees_own else frozenset(),
        )


async def _own(reads: Reads, by: Principal, tasks: Iterable[str]) -> set[str]:
    """Return those of the tasks that the caller may know of."""
    every, found = sorted(tasks), set[str]()
    for begin in range(0, len(every), _IDS_AT_ONCE):
        ids = json.dumps(every[begin : begin + _IDS_AT_ONCE])
        rows = await fetch(reads.queries.reader, PARTIES_OF_TASKS, tenant=by.tenant, ids=ids)
        found |= {row.id for row in rows if by.sees(row.party)}
    return found


def view(told: WhatChanged, cursor: str) -> View:
    """Return a message in wire format."""
    return {
        "cursor": cursor,
        "counts": None if told.counts is None else dict(told.counts),
        "approvals_open": told.approvals_open,
        "tasks": "many" if told.tasks is None else sorted(told.tasks),
        "also": sorted(told.also),
    }


class _TenantReader:
    """Follows the feed of one tenant while it has listeners."""

    def __init__(
        self,
        tenant: str,
        feed: Feed,
        built: Callable[[Sequence[Listener], _Happened], Awaitable[None]],
        log: LogWriter,
    ) -> None:
        self._tenant, self._feed, self._built, self._log = tenant, feed, built, log
        self._listeners: dict[int, Listener] = {}
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._told_at = 0.0  # time of the event loop
        self._running = asyncio.create_task(self._run(), name="swarmkeeper-changes")

    @property
    def is_over(self) -> bool:
        return self._running.done()

    def add(self, listener: Listener) -> None:
        self._listeners[id(listener)] = listener

    def remove(self, listener: Listener) -> bool:
        """Remove a listener; return whether it was the last one."""
        self._listeners.pop(id(listener), None)
        return not self._listeners

    async def begun(self) -> None:
        """Wait until the feed is followed.

        Raises:
            StoreUnavailable: it cannot be.
        """
        await asyncio.shield(self._ready)

    async def stop(self) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        try:
            goes_on = True
            while goes_on:
                goes_on = await self._follow()
        except (StoreUnavailable, StoreDamaged) as error:
            self._log("changes_wait", reason=str(error))
            if not self._ready.done():
                self._ready.set_exception(error)
                self._ready.exception()  # it is raised where somebody waits for it
        finally:
            self._ready.cancel()
            for listener in list(self._listeners.values()):
                listener.end()

    async def _follow(self) -> bool:
        """Tell what happens until the feed ends; return whether to go on, because this reader was too slow."""
        newest = await fetch(self._feed.store, named_reads.NEWEST_EVENT)
        at = newest[0].seq if newest else 0
        lagged = self._ready.done()  # then something may have been missed
        async with self._feed.subscribe(self._tenant, after=at) as feed:
            if not lagged:
                self._ready.set_result(None)
            else:
                await self._tell(_Happened(at, many=True))
            while (happened := await self._next(feed)) is not None:
                await self._tell(happened)
            return feed.lagging

    async def _next(self, feed: Subscription) -> _Happened | None:
        """Wait for events, and collect those that come until it is time for a message."""
        events: list[FeedEvent] | None = []
        while not events:
            if (events := await feed.some()) is None:
                return None
        happened = _Happened(feed.cursor)
        loop = asyncio.get_running_loop()
        # What one commit causes comes in a few pieces.
        until = max(loop.time() + TOGETHER_SECONDS, self._told_at + PAUSE_SECONDS)
        waking = loop.call_at(until, feed.nudge)
        try:
            while events is not None:
                for event in events:
                    happened.add(event.row.seq, event.row.kind, event.row.task)
                if loop.time() >= until:
                    return happened
                events = await feed.some()
        finally:
            waking.cancel()
        if feed.lagging:
            return None  # `_follow` tells that there is much
        return happened

    async def _tell(self, happened: _Happened) -> None:
        self._told_at = asyncio.get_running_loop().time()
        try:
            await self._built(list(self._listeners.values()), happened)
        except (StoreUnavailable, StoreDamaged) as error:
            self._log("changes_wait", reason=str(error))
            for listener in list(self._listeners.values()):
                listener.end()  # it comes back with its cursor
