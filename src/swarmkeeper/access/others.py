"""Keeps what this server remembers in step with what other servers write to a shared store.

Every server follows the feed of all events to its end, and forgets what they name. An event is in the feed within
milliseconds after its commit, in order, and none is left out: so this needs no other messages between servers. Hints
of a broker only make it faster.

Memory may answer while it is *fresh*: the feed was read to its end less than FRESH ago, and nothing older waits to get
its number. Otherwise callers ask the store.

When bots were last heard is no event. Servers tell each other every ten seconds: a bot that polls at one of them is not
away for the others.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from swarmkeeper.access.identity import Identity
from swarmkeeper.access.key_watch import KeyWatch
from swarmkeeper.core import named_reads
from swarmkeeper.core.named_reads import EventRow, fetch
from swarmkeeper.core.ports import (
    EVENTS_TOPIC,
    LOOK_TOPIC,
    Broker,
    LogWriter,
    SharedStore,
    StoreDamaged,
    StoreUnavailable,
)
from swarmkeeper.engine.loop import Engine
from swarmkeeper.engine.task_waiters import TaskWaiters

SECOND = 1_000_000
FRESH = SECOND
LATE = SECOND  # an event that waits for its number for longer is worth a line in the log
LOOK_SECONDS = 0.25  # the delay if a hint is lost
PAGE = 500
PRESENCE_SECONDS = 10.0  # between exchanges of when bots were heard
PRESENCE_READ = 60 * SECOND  # what others told in this time: some exchanges may fail, and some commits come late


class NewestMessages(Protocol):
    """What a server remembers of messages."""

    newest: dict[str, str]  # by task
    is_fresh: Callable[[], bool]


class Others:
    """Follows what other servers write, for the parts of this server that keep something in memory."""

    def __init__(
        self,
        store: SharedStore,
        broker: Broker,
        log: LogWriter,
        monotonic: Callable[[], int],
        engine: Engine,
        identity: Identity,
        key_watch: KeyWatch,
        task_waiters: TaskWaiters,
        messages: NewestMessages,
    ) -> None:
        self._store, self._broker, self._log, self._monotonic = store, broker, log, monotonic
        self._engine, self._identity, self._key_watch = engine, identity, key_watch
        self._task_waiters, self._messages = task_waiters, messages
        self._cursor = 0
        self._fresh_until = 0
        self._is_late = False

    def is_fresh(self) -> bool:
        return self._monotonic() < self._fresh_until

    async def begin(self) -> None:
        """Begin at the end of the feed. Call this before anything is remembered."""
        newest = await fetch(self._store, named_reads.NEWEST_EVENT)
        self._cursor = newest[0].seq if newest else 0
        await self._engine.reload_weights()  # as of this moment
        await self._share_presence()
        self._engine.is_fresh = self._identity.is_fresh = self._messages.is_fresh = self.is_fresh

    async def run(self) -> None:
        """Follow the feed, the hints about work, and when bots are heard, for ever."""
        await asyncio.gather(self._follow_feed(), self._follow_work(), self._follow_presence())

    async def _follow_feed(self) -> None:
        async with self._broker.subscribe(EVENTS_TOPIC) as hints:
            while True:
                try:
                    await self.look()
                except (StoreUnavailable, StoreDamaged) as error:
                    self._log("others_unknown", reason=str(error))
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await anext(hints)
                except TimeoutError:
                    pass

    async def _follow_work(self) -> None:
        """Wake polls for the items that other servers add."""
        async with self._broker.subscribe(LOOK_TOPIC) as hints:
            async for hint in hints:
                self._engine.look_at([int(queue) for queue in hint.split(b",") if queue.isdigit()])

    async def _follow_presence(self) -> None:
        while True:
            await asyncio.sleep(PRESENCE_SECONDS)
            try:
                await self._share_presence()
            except (StoreUnavailable, StoreDamaged) as error:
                self._log("others_unknown", reason=str(error))

    async def _share_presence(self) -> None:
        presence = self._identity.presence
        untold = presence.take_untold()
        try:
            heard = await self._store.share_presence(untold, microseconds=PRESENCE_READ)
        except BaseException:
            presence.keep_untold(bot for bot, *_ in untold)
            raise
        presence.hear(heard)

    async def look(self) -> None:
        """Read the feed to its end."""
        asked = self._monotonic()
        # First how long events wait for their number: what is numbered until then is read below.
        waiting = await fetch(self._store, named_reads.EVENTS_WAIT)
        while True:
            events = await fetch(self._store, named_reads.EVENTS_AFTER, after=self._cursor, limit=PAGE)
            if events:
                await self._wrote(events)
                self._cursor = events[-1].seq
            if len(events) < PAGE:
                break
        late = waiting[0].microseconds
        self._fresh_until = asked + FRESH - late
        if self._is_late != (late > LATE):
            self._is_late = not self._is_late
            self._log("events_late" if self._is_late else "events_in_time", milliseconds=late // 1000)

    async def _wrote(self, events: Sequence[EventRow]) -> None:
        tasks: dict[str, str] = {}  # with their tenants
        works, bots, keys = set[str](), set[str](), set[str]()
        for event in events:
            kind = event.kind.partition(".")[0]
            if event.work is not None:
                works.add(event.work)
            if event.task is not None:
                tasks[event.task] = event.tenant
            if kind == "bot":
                bots.add(self._bot_changed(event))
            elif kind == "key":
                keys.add(_body(event)["key"])
            elif event.kind == "task.message":
                assert event.task is not None, "a message belongs to a task"
                self._messages.newest[event.task] = _body(event)["message"]
            elif event.kind == "task.archived":
                self._messages.newest.pop(event.task or "", None)
        # An event of a work item says nothing of the others of its task.
        of_tasks = {event.task for event in events if event.task is not None and event.work is None}
        self._engine.forget(bots=bots, tasks=of_tasks, works=works)
        if keys:
            self._identity.forget(keys)
            await self._key_watch.check()
        for task in self._task_waiters.awaited(tasks):
            for row in await fetch(self._store, named_reads.TASK_ROW, tenant=tasks[task], task=task):
                self._task_waiters.changed(task, row.version, final=row.outcome is not None)
        if any(event.kind.startswith("tenant.") for event in events):
            await self._engine.reload_weights()

    def _bot_changed(self, event: EventRow) -> str:
        bot: str = _body(event)["bot"]
        if event.kind == "bot.deleted":
            self._identity.forget_bot(bot)
        if event.kind in ("bot.deleted", "bot.draining"):
            self._engine.end_polls(bot)
        return bot


def _body(event: EventRow) -> Any:
    return json.loads(event.body)
