"""What has changed in a tenant, told to pages that show it: at most two messages a second, however much happens.

One reader follows the end of the feed while somebody listens, and tells the listeners of all tenants. It does not
follow each commit: while much happens, it asks once or twice a second what the new events are about. A message
names the tasks that changed, up to a bound: a page reads those again, or all. To miss nothing, a listener that comes
back with a cursor is first told what happened since, as read from the store; it may be told a task twice.
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
from swarmkeeper.reads.feed import LATEST, Feed, Position
from swarmkeeper.reads.insight.insight_reads import (
    CHANGES_AFTER,
    EVENTS_OF_TENANT_TASKS,
    OPEN_APPROVALS_COUNT,
    PARTIES_OF_TASKS,
    ChangeRow,
)
from swarmkeeper.reads.reading_thread import ReadingThread, Reads
from swarmkeeper.reads.views import View

PAUSE_SECONDS = 0.5  # between two messages
BUSY_TASKS = 50  # if one names more, the pause is twice as long: nobody follows so many one by one
TOGETHER_SECONDS = 0.02  # what happens within it after a quiet time goes into one message
TASKS_MAX = 200  # named in a message
MISSED_MAX = 5_000  # events that are looked through for a listener that comes back
_IDS_AT_ONCE = 500
HINT_LOST_SECONDS = 5.0  # how long what happened waits if its hint was lost, which no server of its own does
_EVENTS_AT_ONCE = 5_000  # that the reader takes in one turn of the reading thread: some milliseconds
_FORMS_MAX = 16  # of messages, which are kept while listeners send them
_OF_TASKS = frozenset({"task", "work", "approval"})

Counts = Mapping[str, int]
# Returns the counts that a message shows, of a tenant. It is called up to twice a second while much happens.
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
        self.cursor = max(self.cursor, seq)
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
        self._tenants: dict[str, dict[int, Listener]] = {}
        self._forms: dict[int, tuple[WhatChanged, bytes]] = {}
        self._reader: _EndReader | None = None
        feed.at_end(self._stop)

    @property
    def listeners(self) -> int:
        return sum(map(len, self._tenants.values()))

    @property
    def reads(self) -> bool:
        """Whether the end of the feed is followed now."""
        return self._reader is not None

    @asynccontextmanager
    async def listen(self, by: Principal, after: Position) -> AsyncIterator[Listener]:
        """Yield a listener that is first told how things are, and what happened after the cursor, if there is one.

        Raises:
            PermissionDenied: the role may not read tasks.
            Invalid: it is no cursor of this tenant.
        """
        self.check(by)
        listener = self._listener(by)
        of_tenant = self._tenants.setdefault(by.tenant, {})
        of_tenant[id(listener)] = listener
        try:
            if self._feed.is_over:
                listener.end()
            elif self._reader is None:
                self._reader = _EndReader(self._feed, self._new_events, self._tell, self._left)
            if self._reader is not None:
                await self._reader.begun()
            # From here on it hears of everything; what was before is read now.
            listener.tell(await self.since(by, after))
            yield listener
        finally:
            of_tenant.pop(id(listener), None)
            if not of_tenant and self._tenants.get(by.tenant) is of_tenant:
                del self._tenants[by.tenant]
            if not self._tenants:
                self._stop()

    def _stop(self) -> None:
        """End the reader, and all listeners if there are any."""
        if self._reader is not None:
            self._reader.stop()
            self._left(self._reader, None)

    def _left(self, reader: _EndReader, error: Exception | None) -> None:
        """Note that the reader has ended: who listens comes back with its cursor."""
        if self._reader is not reader:
            return
        self._reader = None
        if error is not None:
            self._log("changes_wait", reason=str(error))
        for of_tenant in list(self._tenants.values()):
            for listener in of_tenant.values():
                listener.end()

    def form(self, told: WhatChanged, write: Callable[[], bytes]) -> bytes:
        """Return a message as `write` encodes it: once for all listeners that send the same one."""
        known = self._forms.get(id(told))
        if known is None or known[0] is not told:
            known = self._forms[id(told)] = told, write()
            while len(self._forms) > _FORMS_MAX:
                del self._forms[next(iter(self._forms))]
        return known[1]

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

    async def _new_events(self, after: int) -> list[ChangeRow]:
        """Return what the next events of all tenants are about."""
        by = next(listener.by for of_tenant in self._tenants.values() for listener in of_tenant.values())
        return await self._thread.look(
            by, lambda reads: fetch(reads.queries.reader, CHANGES_AFTER, after=after, limit=_EVENTS_AT_ONCE)
        )

    async def _tell(self, happened: Mapping[str, _Happened]) -> None:
        """Tell all listeners what happened in their tenants."""
        for tenant, of_tenant in happened.items():
            listeners = list(self._tenants.get(tenant, {}).values())
            if listeners:
                await self._tell_tenant(listeners, of_tenant)

    async def _tell_tenant(self, listeners: Sequence[Listener], happened: _Happened) -> None:
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


class _EndReader:
    """Follows the end of the feed while somebody listens.

    Args:
        read: returns the next events after a number, up to a bound.
        tell: is given what happened, by tenant.
        left: is called at the end, with this reader, and the error if there was one.
    """

    def __init__(
        self,
        feed: Feed,
        read: Callable[[int], Awaitable[list[ChangeRow]]],
        tell: Callable[[Mapping[str, _Happened]], Awaitable[None]],
        left: Callable[[_EndReader, Exception | None], None],
    ) -> None:
        self._feed, self._read, self._tell, self._left = feed, read, tell, left
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._running = asyncio.create_task(self._run(), name="swarmkeeper-changes")

    async def begun(self) -> None:
        """Wait until the feed is followed.

        Raises:
            StoreUnavailable: it cannot be.
        """
        await asyncio.shield(self._ready)

    def stop(self) -> None:
        self._running.cancel()

    async def _run(self) -> None:
        why: Exception | None = None
        try:
            async with self._feed.hints() as hints:
                newest = await fetch(self._feed.store, named_reads.NEWEST_EVENT)
                self._ready.set_result(None)
                await self._follow(hints, newest[0].seq if newest else 0)
        except (StoreUnavailable, StoreDamaged) as error:
            why = error
            if not self._ready.done():
                self._ready.set_exception(error)
                self._ready.exception()  # it is raised where somebody waits for it
        finally:
            self._ready.cancel()
            self._left(self, why)

    async def _follow(self, hints: AsyncIterator[bytes], after: int) -> None:
        """Tell what happens after an event, for ever. A hint that was lost only delays it."""
        loop = asyncio.get_running_loop()
        told_at, pause = loop.time() - PAUSE_SECONDS, PAUSE_SECONDS
        while True:
            try:
                async with asyncio.timeout(HINT_LOST_SECONDS):
                    await anext(hints)
            except TimeoutError:
                pass
            # What one commit causes comes in a few pieces.
            await asyncio.sleep(max(TOGETHER_SECONDS, told_at + pause - loop.time()))
            happened: dict[str, _Happened] = {}
            while rows := await self._read(after):
                for row in rows:
                    of_tenant = happened.get(row.tenant)
                    if of_tenant is None:
                        of_tenant = happened[row.tenant] = _Happened(row.seq)
                    of_tenant.add(row.seq, row.kind, row.task)
                after = max(row.seq for row in rows)
                if sum(row.number for row in rows) < _EVENTS_AT_ONCE:
                    break
            if happened:
                is_busy = any(len(of_tenant.tasks) > BUSY_TASKS for of_tenant in happened.values())
                told_at, pause = loop.time(), PAUSE_SECONDS * (1 + is_busy)
                await self._tell(happened)
