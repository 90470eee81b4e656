"""Who gets the work: polls that wait for it, and the hand-over of what may be leased now.

A poll is parked while there is nothing for it. Nothing polls inside: a parked poll is looked at again when something
came into a queue that it can be served from, or its bot has room again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field

from swarmkeeper.core import match
from swarmkeeper.core.commands import Claim
from swarmkeeper.core.decide import progress
from swarmkeeper.core.decide import work as decisions
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.match import QueueBook
from swarmkeeper.core.model import Bot, Lease, Ready
from swarmkeeper.core.ports import Unit, Want
from swarmkeeper.core.states import Kind
from swarmkeeper.core.world import NotLoaded, World

# Beyond twice what is asked for, because a head may turn out not to be had (held back, closed to the bot's owner).
# Where that is so for all of them, a second look goes as far as HEADS_MAX.
HEADS_SPARE = 8
HEADS_MAX = 576
ROUNDS_MAX = 1_000  # a bound for what never ends; see batch.py
SERVED_REMEMBERED = 10_000

Save = Callable[[], Awaitable[None]]  # writes what has changed so far, so that loads see it


@dataclass(frozen=True, slots=True)
class Granted:
    work: str
    lease_id: str


@dataclass(frozen=True, slots=True)
class Claimed:
    leases: tuple[Granted, ...]
    reason: str | None  # why there are none: nothing_ready | no_match | at_capacity | draining


@dataclass(slots=True, eq=False)
class Poll:
    """One request for work, from its arrival to its answer."""

    claim: Claim
    seed: bytes
    arrival: int
    answer: asyncio.Future[Claimed]
    parks: bool  # whether it may wait
    bot: Bot | None = None
    reason: str | None = None
    fresh: bool = True  # not looked at yet, or to be looked at again whatever came in
    found: tuple[Granted, ...] | None = None  # decided, not yet committed
    gone: bool = False  # nobody waits for it any more


@dataclass(slots=True)
class Scheduler:
    held: dict[str, int]  # bot id -> live leases
    parked: dict[int, Poll] = field(default_factory=dict)  # by arrival
    restless: bool = False  # some parked poll is to be looked at, though nothing came in
    _served: dict[tuple[str, int, tuple[str, ...] | None], tuple[int, frozenset[int]]] = field(default_factory=dict)

    def park(self, poll: Poll) -> None:
        self.parked[poll.arrival] = poll

    def served(self, poll: Poll, bot: Bot, queues: QueueBook) -> frozenset[int]:
        """The queues that this poll can be served from; an answer keeps until there are more queues."""
        key = (bot.id, bot.row_version, poll.claim.skills)
        known = self._served.get(key)
        if known is None or known[0] != len(queues.by_id):
            if len(self._served) >= SERVED_REMEMBERED:
                self._served.clear()
            found = (queue.id for queue in queues.by_id.values() if match.serves(bot, queue, poll.claim.skills))
            known = self._served[key] = (len(queues.by_id), frozenset(found))
        return known[1]

    def forget_served(self) -> None:
        """Queues that were new were taken back."""
        self._served.clear()

    def end_older(self, poll: Poll) -> None:
        """A second poll with the same claim id ends the one that is parked."""
        if poll.claim.claim_id is None:
            return
        for other in list(self.parked.values()):
            if other.claim.bot == poll.claim.bot and other.claim.claim_id == poll.claim.claim_id and other is not poll:
                self.end(other)

    def end(self, poll: Poll) -> None:
        """Answer a poll empty-handed."""
        self.parked.pop(poll.arrival, None)
        if not poll.answer.done():
            poll.answer.set_result(Claimed((), poll.reason or "nothing_ready"))

    def end_all(self, bot_id: str) -> None:
        for poll in [poll for poll in self.parked.values() if poll.claim.bot == bot_id]:
            self.end(poll)

    def forget(self, poll: Poll) -> None:
        """Nobody waits for this poll any more: it gets nothing."""
        poll.gone = True
        self.parked.pop(poll.arrival, None)

    def parked_bots(self) -> Iterable[str]:
        return dict.fromkeys(poll.claim.bot for poll in self.parked.values())

    def committed(self, held: dict[str, int], changed: Collection[str]) -> None:
        """Take in how many leases each bot got or gave back, and which bots have other skills or another status.

        Polls of whoever has room again, or was changed, are looked at again.
        """
        for bot_id, change in held.items():
            left = self.held.get(bot_id, 0) + change
            if left > 0:
                self.held[bot_id] = left
            else:
                self.held.pop(bot_id, None)
        freed = {bot_id for bot_id, change in held.items() if change < 0}
        for poll in self.parked.values():
            if (poll.claim.bot in freed and poll.reason == "at_capacity") or poll.claim.bot in changed:
                poll.fresh = self.restless = True


class HandOver:
    """One batch's hand-over: leases go to polls in the order in which these arrived, then by bot."""

    def __init__(self, scheduler: Scheduler, world: World, unit: Unit) -> None:
        self._scheduler = scheduler
        self._world = world
        self._unit = unit
        self._heads: dict[str, list[Ready]] = {}  # by tenant
        self._cut: set[tuple[str, int]] = set()  # (tenant, queue) whose heads are not all there is
        self._taken: set[str] = set()

    def looks_again(self, poll: Poll) -> bool:
        """Whether something came in that this poll may be served from."""
        bot = poll.bot
        return poll.fresh or (bot is not None and not self._serves(poll, bot).isdisjoint(self._world.touched))

    async def run(self, new: list[Poll], save: Save) -> list[Poll]:
        """Decide all polls that have a chance; the ones that got an answer (with leases, or none and may not park)."""
        self._scheduler.restless = False
        parked = [poll for poll in self._scheduler.parked.values() if self.looks_again(poll)]
        waiting = [poll for poll in parked + new if not poll.gone and not poll.answer.done()]
        polls = sorted(waiting, key=lambda poll: (poll.arrival, poll.claim.bot))
        if not polls:
            return []
        await save()
        await self._load(polls)
        answered = []
        for poll in polls:
            if poll.gone or poll.answer.done():
                continue
            poll.fresh = False
            poll.found = await self._decide(poll, save)
            if poll.found or not poll.parks or poll.answer.done():
                answered.append(poll)
        return answered

    def _serves(self, poll: Poll, bot: Bot) -> frozenset[int]:
        return self._scheduler.served(poll, bot, self._world.queues)

    async def _load(self, polls: list[Poll]) -> None:
        wants: dict[Want, None] = {}
        for poll in polls:
            wants.update(dict.fromkeys(poll.claim.wants()))
        await self._load_missing(wants)
        need: dict[str, int] = {}
        queues: dict[str, dict[int, None]] = {}
        kinds: dict[str, dict[frozenset[int], None]] = {}  # of polls, by what they can be served from
        for poll in polls:
            try:
                bot = decisions.own_bot(self._world, poll.claim.by, poll.claim.bot, "work.lease")
            except SwarmkeeperError as error:
                poll.answer.set_exception(error)
                self._scheduler.forget(poll)
                continue
            poll.bot = bot
            need[bot.tenant] = need.get(bot.tenant, 0) + poll.claim.most
            served = self._serves(poll, bot)
            kinds.setdefault(bot.tenant, {})[served] = None
            queues.setdefault(bot.tenant, {}).update(dict.fromkeys(sorted(served)))
        for tenant, wanted in queues.items():
            limit = min(2 * need[tenant] + HEADS_SPARE, HEADS_MAX)
            heads = await self._unit.candidates(tenant, "", list(wanted), limit)
            counts: dict[tuple[int, int], int] = {}
            for item in heads:
                counts[item.queue, item.priority] = counts.get((item.queue, item.priority), 0) + 1
            self._cut.update((tenant, queue) for (queue, _), count in counts.items() if count >= limit)
            ranked = match.choose(heads, self._world.now)
            # The first ones for each kind of poll, so that a long queue does not hide a short one that another serves.
            kept: set[str] = set()
            for served in kinds[tenant]:
                kept.update([item.work for item in ranked if item.queue in served][:limit])
            self._heads[tenant] = [item for item in ranked if item.work in kept]
            self._cut.update((tenant, item.queue) for item in ranked if item.work not in kept)
            await self._load_items(self._heads[tenant])

    async def _load_items(self, heads: list[Ready]) -> None:
        wants: list[Want] = []
        for item in heads:
            wants += [("work", item.work), ("task", item.task), ("lease", item.work)]
        await self._load_missing(dict.fromkeys(wants))
        # A review closes the others of its round to whoever takes it.
        tasks: dict[str, None] = dict.fromkeys(
            item.task for item in heads if self._world.work(item.work).kind is Kind.REVIEW
        )
        keys = [(task, key) for task in tasks for key in progress.review_keys(self._world.task(task))]
        await self._load_missing(("work_key", key) for key in keys)
        found = [self._world.look("work_key", key) for key in keys]
        await self._load_missing(("work", work) for work in found if work is not None)

    async def _load_missing(self, wants: Iterable[Want]) -> None:
        missing = [want for want in wants if want not in self._world.rows]
        if missing:
            self._world.put_loaded(await self._unit.load(missing))

    async def _decide(self, poll: Poll, save: Save) -> tuple[Granted, ...]:
        bot = poll.bot
        if bot is None:
            return ()
        if (again := self._granted_before(poll, bot)) is not None:
            return again
        poll.reason = None
        if bot.status != "active":
            poll.reason = "draining"
            return ()
        queues = self._serves(poll, bot)
        room = bot.capacity - self._scheduler.held.get(bot.id, 0) - self._world.held.get(bot.id, 0)
        if room <= 0:
            poll.reason = "at_capacity"
            return ()
        heads = [
            item for item in self._heads.get(bot.tenant, []) if item.queue in queues and item.work not in self._taken
        ]
        found = await self._take(poll, bot, heads, min(room, poll.claim.most), save)
        cut = [queue for queue in sorted(queues) if (bot.tenant, queue) in self._cut]
        if not found and cut:
            further = await self._unit.candidates(bot.tenant, bot.owner, cut, HEADS_MAX)
            await self._load_items(further)
            ranked = match.choose(further, self._world.now)
            found = await self._take(poll, bot, ranked, min(room, poll.claim.most), save)
            # Rows of a task that was just held back are still being taken out: see again what lies behind them.
            poll.fresh = not found and len(further) >= HEADS_MAX
        if not found:
            poll.reason = "nothing_ready" if queues else "no_match"
        return found

    def _granted_before(self, poll: Poll, bot: Bot) -> tuple[Granted, ...] | None:
        """The live leases of an earlier call with the same claim id, whose answer was lost."""
        if poll.claim.claim_id is None:
            return None
        works = self._world.look("claim", (bot.id, poll.claim.claim_id))
        leases: list[Lease | None] = [self._world.look("lease", work) for work in works]
        live = [
            Granted(lease.work, lease.lease_id)
            for lease in leases
            if lease is not None
            and lease.bot == bot.id
            and lease.claim_id == poll.claim.claim_id
            and not lease.cancelled
        ]
        return tuple(live) or None

    async def _take(self, poll: Poll, bot: Bot, heads: list[Ready], most: int, save: Save) -> tuple[Granted, ...]:
        if not heads:
            return ()
        for _ in range(ROUNDS_MAX):
            self._world.begin(actor_type="bot", actor=bot.id, by=poll.claim.by, seed=poll.seed, trace=poll.claim.trace)
            try:
                leases = self._take_some(poll, bot, heads, most)
                if leases:
                    tasks = dict.fromkeys(lease.task for lease in leases)
                    one = self._world.task(leases[0].task) if len(tasks) == 1 else None
                    body = {"works": [lease.work for lease in leases]}
                    self._world.record("work.lease", bot.id, task=one, body=body)
                self._world.finish()
            except NotLoaded as missing:
                self._world.undo()
                await save()
                await self._load_missing(missing.wants)
                continue
            self._taken.update(lease.work for lease in leases)
            return tuple(Granted(lease.work, lease.lease_id) for lease in leases)
        raise AssertionError("a claim asks for ever more rows")

    def _take_some(self, poll: Poll, bot: Bot, heads: list[Ready], most: int) -> list[Lease]:
        leases: list[Lease] = []
        ttl = poll.claim.ttl or self._world.limits.lease_ttl
        for item in heads:
            if len(leases) >= most:
                break
            lease = decisions.take(self._world, poll.claim, bot, item, ttl)
            if lease is not None:
                leases.append(lease)
        return leases
