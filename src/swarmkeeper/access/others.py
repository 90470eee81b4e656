"""Keeps what this server remembers in step with what other servers write to a shared store.

Every server follows the feed of all events to its end, and forgets what they name. An event is in the feed within
milliseconds after its commit, in order, and none is left out: so this needs no other messages between servers. Hints
of a broker only make it faster.

Memory may answer while it is *fresh*: the feed was read to its end less than FRESH ago, and nothing older waits to get
its number. Otherwise callers ask the store.

When bots were last heard is no event. Servers tell each other every ten seconds: a bot that polls at one of them is not
away for the others. They also tell their version and redaction rules, since a secret that one server hides must not be
shown by another.

A secret that one server releases is told to the others by its event. Each says up to which event it knows them: the
server that releases one waits for that before it answers (secrets/broker.py). It does not wait for a server that has
not told anything for SERVER_READ, since that has ended. If such a server has only stood still, it answers no call until
it has told the others that it is there, and has then read the feed to its end: before, it would not hide those secrets.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from swarmkeeper.access.identity import Identity
from swarmkeeper.access.key_watch import KeyWatch
from swarmkeeper.core import named_reads
from swarmkeeper.core.errors import Overloaded
from swarmkeeper.core.named_reads import EventRow, fetch
from swarmkeeper.core.ports import (
    EVENTS_TOPIC,
    LOOK_TOPIC,
    MET_TOPIC,
    WRITTEN_TOPIC,
    Broker,
    LogWriter,
    ServerSeen,
    SharedStore,
    StoreDamaged,
    StoreUnavailable,
)
from swarmkeeper.core.states import TASK_ENDS
from swarmkeeper.engine.loop import Engine
from swarmkeeper.engine.task_waiters import TaskWaiters

SECOND = 1_000_000
FRESH = SECOND
LATE = SECOND  # an event that waits for its number for longer is worth a line in the log
LOOK_SECONDS = 0.25  # the delay if a hint is lost
PAGE = 500
PRESENCE_SECONDS = 10.0  # between exchanges of when bots were heard
SERVER_READ = 25 * SECOND  # a server that has not told for so long has ended
ENDED = SERVER_READ - SECOND  # one that has not told for so long answers no call before it has done so
PRESENCE_READ = 60 * SECOND  # what others told in this time: some exchanges may fail, and some commits come late


class NewestMessages(Protocol):
    """What a server remembers of messages."""

    newest: dict[str, str]  # by task
    is_fresh: Callable[[], bool]


class SharedBroker(Broker, Protocol):
    """A broker that may be told that there is nobody to send hints to."""

    def send_if(self, needed: Callable[[], bool]) -> None: ...


class Secrets(Protocol):
    """What a server knows of secrets that were released."""

    async def load(self) -> None: ...
    async def learn(self, released: Iterable[tuple[str, str, int]]) -> bool: ...


class Payloads(Protocol):
    """The bodies that a server remembers."""

    def forget_all(self) -> None: ...


class TaskVersions(Protocol):
    """The versions of tasks that a server remembers."""

    is_fresh: Callable[[], bool]

    def happened(self, task: str, sequence: int) -> None: ...
    def forget_all(self) -> None: ...


class Others:
    """Follows what other servers write, for the parts of this server that keep something in memory."""

    def __init__(
        self,
        store: SharedStore,
        broker: SharedBroker,
        log: LogWriter,
        monotonic: Callable[[], int],
        engine: Engine,
        identity: Identity,
        key_watch: KeyWatch,
        task_waiters: TaskWaiters,
        messages: NewestMessages,
        secrets: Secrets,
        payloads: Payloads,
        known_tasks: TaskVersions,
        followers: Callable[[], int],
        about: Callable[[], ServerSeen],
    ) -> None:
        """
        Args:
            followers: how many callers follow the feed at this server.
        """
        self._store, self._broker, self._log, self._monotonic = store, broker, log, monotonic
        self._engine, self._identity, self._key_watch = engine, identity, key_watch
        self._task_waiters, self._messages = task_waiters, messages
        self._secrets, self._payloads, self._known_tasks = secrets, payloads, known_tasks
        self._known = 0  # up to which event this server knows the secrets that were released
        self._ignorant = False  # one of them could not be read
        self._about, self._followers = about, followers
        self._servers: Sequence[ServerSeen] = ()
        self._warned_of: list[str] = []
        self._cursor = 0
        self._fresh_until = 0
        self._met_at = 0  # when this server has told the others last that it is there
        self._ends_at = 0  # when it counts as ended for them, as of a meeting after which it has read the feed
        self._is_late = False

    def is_fresh(self) -> bool:
        return self._monotonic() < self._fresh_until

    def check_time(self) -> None:
        """Check that no other server can have released secrets without waiting until this one knows them.

        Raises:
            Overloaded: this server stood still for so long that it counts as ended.
        """
        if self._monotonic() >= self._ends_at:
            raise Overloaded("this server stood still, and reads what the others did meanwhile", retry_after=1)

    def flows(self) -> list[str]:
        """Return what each of the other servers told of the work that came and went."""
        own = self._about().id
        return [each.flow for each in self._servers if each.flow and each.id != own]

    def warnings(self) -> list[str]:
        """Say which of the other servers have other redaction rules than this one, and what the database lacks."""
        own, servers = self._about(), self._servers
        warnings = []
        different = sorted(each.id for each in servers if each.rules != own.rules and each.id != own.id)
        if different:
            where = f"{len(different)} of {len(servers)} servers ({', '.join(different)})"
            warnings.append(f"other redaction rules than here at {where}: give all the same files")
        if len(servers) > self._store.servers_max:
            warnings.append(
                f"the database has room for the locks of {self._store.servers_max} servers, and {len(servers)} run:"
                " raise max_locks_per_transaction"
            )
        if self._store.not_durable:
            warnings.append(
                f"a crash of the database's machine may lose what was acknowledged, or the whole store:"
                f" {self._store.not_durable} there"
            )
        return warnings

    async def begin(self) -> None:
        """Begin at the end of the feed. Call this before anything is remembered."""
        newest = await fetch(self._store, named_reads.NEWEST_EVENT)
        self._cursor = newest[0].seq if newest else 0
        await self._secrets.load()  # what is released from here on comes with the feed
        self._known = self._cursor
        await self._engine.reload_weights()  # as of this moment
        await self._share_presence()
        await self._broker.publish(MET_TOPIC)  # before the first hint that may be left out
        self._broker.send_if(self._has_others)
        self._store.on_numbered(lambda: self._broker.publish(EVENTS_TOPIC), followed=self._is_followed)
        # A server that has released a secret before it could see this one has not waited for it.
        await self.look()
        self._engine.is_fresh = self._identity.is_fresh = self._messages.is_fresh = self.is_fresh
        self._known_tasks.is_fresh = self.is_fresh
        self._identity.check_time = self.check_time

    async def run(self) -> None:
        """Follow the feed, the hints about work, and when bots are heard, for ever."""
        await asyncio.gather(
            self._follow_feed(),
            self._follow_work(),
            self._follow_written(),
            self._follow_presence(),
            self._follow_met(),
        )

    def _has_others(self) -> bool:
        """Whether other servers run, which hints are for. One that has just started says so itself."""
        return len(self._servers) > 1

    def _is_followed(self) -> bool:
        """Whether other servers, or callers with open streams, wait for the events of this server's commits."""
        return self._has_others() or self._followers() > 0

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

    async def _follow_written(self) -> None:
        """Number what other servers write as soon as they say so, if this server numbers events."""
        async with self._broker.subscribe(WRITTEN_TOPIC) as hints:
            async for _ in hints:
                self._store.look_for_events()

    async def _follow_presence(self) -> None:
        while True:
            await asyncio.sleep(PRESENCE_SECONDS)
            try:
                await self._share_presence()
            except (StoreUnavailable, StoreDamaged) as error:
                self._log("others_unknown", reason=str(error))

    async def _follow_met(self) -> None:
        """Look at once who else runs when a server says that it has started. A lost hint delays that by seconds."""
        async with self._broker.subscribe(MET_TOPIC) as hints:
            async for _ in hints:
                with suppress(StoreUnavailable, StoreDamaged):
                    await self._meet()

    async def _share_presence(self) -> None:
        presence = self._identity.presence
        untold = presence.take_untold()
        try:
            heard = await self._store.share_presence(untold, microseconds=PRESENCE_READ)
        except BaseException:
            presence.keep_untold(bot for bot, *_ in untold)
            raise
        presence.hear(heard)
        await self._meet()
        before, self._warned_of = self._warned_of, self.warnings()
        for warning in self._warned_of:
            if warning not in before:
                self._log("servers_warning", reason=warning)

    async def _meet(self) -> None:
        asked = self._monotonic()
        own = replace(self._about(), known=self._known)
        self._servers = await self._store.meet(own, microseconds=SERVER_READ)
        self._met_at = asked

    async def all_know(self, seq: int) -> bool:
        """Whether every server knows the secrets that were released up to this event."""
        await self._meet()
        return all(server.known >= seq for server in self._servers)

    async def leave(self) -> None:
        """Tell the others that this server ends: they need not wait for it any more."""
        with suppress(StoreUnavailable, StoreDamaged):  # then they see it within some seconds
            await self._store.leave(self._about().id)

    async def look(self) -> None:
        """Read the feed to its end."""
        if self._monotonic() >= self._met_at + ENDED:
            await self._meet()
        ends_at = self._met_at + ENDED
        asked = self._monotonic()
        # First how long events wait for their number: what is numbered until then is read below.
        late = await self._waiting()
        while True:
            numbered = self._store.numbered_after(self._cursor)
            if numbered is None:
                events = await fetch(self._store, named_reads.EVENTS_AFTER, after=self._cursor, limit=PAGE)
            else:
                events = [EventRow(*row) for row in numbered]
            if events:
                await self._wrote(events)
                self._cursor = events[-1].seq
                if not self._ignorant:
                    self._known = self._cursor
            if len(events) < PAGE:
                break
        self._fresh_until, self._ends_at = asked + FRESH - late, ends_at
        if self._is_late != (late > LATE):
            self._is_late = not self._is_late
            self._log("events_late" if self._is_late else "events_in_time", milliseconds=late // 1000)

    async def _waiting(self) -> int:
        """Return for how many microseconds an event may have waited for its number."""
        ago = self._store.numbered_ago()
        if ago is not None:
            return int(ago * SECOND)
        waiting = await fetch(self._store, named_reads.EVENTS_WAIT)
        return waiting[0].microseconds

    async def _wrote(self, events: Sequence[EventRow]) -> None:
        tasks: dict[str, str] = {}  # with their tenants
        works, bots, keys = set[str](), set[str](), set[str]()
        released: list[tuple[str, str, int]] = []
        for event in events:
            kind = event.kind.partition(".")[0]
            if event.work is not None:
                works.add(event.work)
            if event.task is not None:
                tasks[event.task] = event.tenant
                self._known_tasks.happened(event.task, event.sequence)
            if _is_erased(event):
                continue  # what it said is forgotten with the event of the erasure
            if kind == "bot":
                bots.add(self._bot_changed(event))
            elif kind in ("key", "person"):
                keys |= self._caller_changed(event)
            elif event.kind == "secret.released":
                released += [(event.tenant, tag, event.seq) for tag in _body(event)["tags"]]
            elif kind == "task":
                self._task_changed(event)
        # An event of a work item says nothing of the others of its task.
        of_tasks = {event.task for event in events if event.task is not None and event.work is None}
        self._engine.forget(bots=bots, tasks=of_tasks, works=works)
        if keys:
            self._identity.forget(keys)
            await self._key_watch.check()
        closed = {event.task or "" for event in events if event.kind in TASK_ENDS}
        for task in self._task_waiters.awaited(tasks, closed):
            for row in await fetch(self._store, named_reads.TASK_ROW, tenant=tasks[task], task=task):
                self._task_waiters.changed(task, row.version, final=row.outcome is not None)
        await self._tenants_changed({event.kind for event in events})
        if released:
            await self._learn(released)

    async def _tenants_changed(self, kinds: set[str]) -> None:
        if "tenant.erased" in kinds:
            await self._tenant_erased()
        killed = any(kind.startswith("kill.") for kind in kinds)
        if killed or any(kind.startswith("tenant.") for kind in kinds):
            await self._engine.reload_weights()
        if killed:
            self._engine.look_again()  # ends the polls of what is killed, and tries those of what was lifted

    async def _tenant_erased(self) -> None:
        """Forget the keys and bodies of a tenant; and what events said that this server has not read in time."""
        await self._store.forget_erased()
        self._payloads.forget_all()
        self._known_tasks.forget_all()
        self._identity.forget_persons()
        await self._key_watch.check()

    async def _learn(self, released: Sequence[tuple[str, str, int]]) -> None:
        """Make released secrets known to this server, and tell the others."""
        self._ignorant = not await self._secrets.learn(released) or self._ignorant
        if not self._ignorant:
            self._known = max(seq for _, _, seq in released)
            await self._meet()

    def _caller_changed(self, event: EventRow) -> set[str]:
        """Forget a person that was changed; return the ids to forget as keys."""
        body = _body(event)
        if "person" in body:
            self._identity.forget_persons()
        return {body.get("key") or body["person"]}

    def _task_changed(self, event: EventRow) -> None:
        if event.kind == "task.message":
            assert event.task is not None, "a message belongs to a task"
            self._messages.newest[event.task] = _body(event)["message"]
        elif event.kind == "task.archived":
            self._messages.newest.pop(event.task or "", None)

    def _bot_changed(self, event: EventRow) -> str:
        bot: str = _body(event)["bot"]
        if event.kind == "bot.deleted":
            self._identity.forget_bot(bot)
        if event.kind in ("bot.deleted", "bot.draining"):
            self._engine.end_polls(bot)
        return bot


def _is_erased(event: EventRow) -> bool:
    return event.body.startswith('{"erased":true')


def _body(event: EventRow) -> Any:
    return json.loads(event.body)
