"""Who gets the work: polls that wait for it, and the hand-over of what may be leased now.

A poll is parked while there is nothing for it. Nothing polls inside: a parked poll is looked at again when something
came into a queue that it can be served from, or its bot has room again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field

from swarmkeeper.core import lookups
from swarmkeeper.core.commands import Claim
from swarmkeeper.core.decide.decisions import work as decisions
from swarmkeeper.core.decide.effects import closing, owners
from swarmkeeper.core.decide.working_set import NotLoaded, WorkingSet
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Bot, Lease, QueueEntry, Task, Work
from swarmkeeper.core.ports import Key, Transaction
from swarmkeeper.core.rules import match
from swarmkeeper.core.rules.match import QueueBook
from swarmkeeper.core.states import Kind
from swarmkeeper.engine.ready_queues import ReadyQueues

# Beyond what is asked for, because a head may turn out not to be had (held back, closed to the bot's owner). Where one
# is not, more are looked at, as far as HEADS_MAX, and then once more without those that are closed to its owner.
HEADS_SPARE = 2
HEADS_MAX = 576
RESTING_MIN = 4  # polls that wait are loaded together, at least
GRANTS_MAX = 64  # in one batch; whoever can wait is served in the next
ROUNDS_MAX = 1_000  # a bound for what never ends; see batch.py
SERVED_REMEMBERED = 10_000
# Polls of one bot that wait at a time. It needs one for each lease that it has room for at the most; two overlap where
# a connection was lost and its bot has asked again before we hear of that.
POLLS_LEAST, POLLS_MOST = 2, 64

Save = Callable[[], Awaitable[None]]  # writes what has changed so far, so that loads see it


@dataclass(frozen=True, slots=True)
class Granted:
    """A lease, and what it is for, as they are with the batch that granted it."""

    lease: Lease
    item: Work
    of_task: Task

    @property
    def work(self) -> str:
        return self.lease.work

    @property
    def lease_id(self) -> str:
        return self.lease.lease_id


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
    rides: bool = False  # it came with a report, beside the bot's own polls


@dataclass(slots=True)
class Scheduler:
    held: dict[str, int]  # bot id -> live leases
    parked: dict[int, Poll] = field(default_factory=dict)  # by arrival
    restless: bool = False  # some parked poll is to be looked at, though nothing came in
    _of_bot: dict[str, dict[int, Poll]] = field(default_factory=dict)  # those that are parked
    _served: dict[tuple[str, int, tuple[str, ...] | None], tuple[int, frozenset[int]]] = field(default_factory=dict)

    def park(self, poll: Poll) -> None:
        """Let a poll wait; the oldest of its bot ends where that has more than it can have use for."""
        self.parked[poll.arrival] = poll
        of_bot = self._of_bot.setdefault(poll.claim.bot, {})
        of_bot[poll.arrival] = poll
        capacity = POLLS_LEAST if poll.bot is None else poll.bot.capacity
        while len(of_bot) > min(max(capacity, POLLS_LEAST), POLLS_MOST):
            self.end(next(iter(of_bot.values())))

    def unpark(self, poll: Poll) -> None:
        """It waits no more."""
        if self.parked.pop(poll.arrival, None) is None:
            return
        of_bot = self._of_bot[poll.claim.bot]
        del of_bot[poll.arrival]
        if not of_bot:
            del self._of_bot[poll.claim.bot]

    def parked_of(self, bot_id: str) -> list[Poll]:
        return list(self._of_bot.get(bot_id, {}).values())

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
        for other in self.parked_of(poll.claim.bot):
            if other.claim.claim_id == poll.claim.claim_id and other is not poll:
                self.end(other)

    def end(self, poll: Poll) -> None:
        """Answer a poll empty-handed."""
        self.unpark(poll)
        if not poll.answer.done():
            poll.answer.set_result(Claimed((), poll.reason or "nothing_ready"))

    def end_all(self, bot_id: str) -> None:
        for poll in self.parked_of(bot_id):
            self.end(poll)

    def forget(self, poll: Poll) -> None:
        """Nobody waits for this poll any more: it gets nothing."""
        poll.gone = True
        self.unpark(poll)

    def parked_bots(self) -> Iterable[str]:
        return list(self._of_bot)

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
        for bot_id in freed.union(changed):
            for poll in self._of_bot.get(bot_id, {}).values():
                if poll.reason == "at_capacity" or bot_id in changed:
                    poll.fresh = self.restless = True


class Dispatcher:
    """One batch's hand-over: leases go to polls in the order in which these arrived, then by bot."""

    def __init__(self, scheduler: Scheduler, working: WorkingSet, transaction: Transaction) -> None:
        self._scheduler = scheduler
        self._working = working
        self._transaction = transaction
        self._heads: dict[str, ReadyQueues] = {}  # by tenant
        self._taken: set[str] = set()

    def looks_again(self, poll: Poll) -> bool:
        """Whether something came in that this poll may be served from."""
        bot = poll.bot
        return poll.fresh or (bot is not None and not self._serves(poll, bot).isdisjoint(self._working.touched))

    async def run(self, new: list[Poll], save: Save) -> list[Poll]:
        """Decide all polls that have a chance; the ones that got an answer (with leases, or none and may not park)."""
        # Most batches bring nothing that anybody waits for: then those who wait cost next to nothing.
        parked = list(self._scheduler.parked.values())
        if self._working.touched:
            parked = [poll for poll in parked if self.looks_again(poll)]
        else:
            parked = [poll for poll in parked if poll.fresh]
        self._scheduler.restless = False
        waiting = [poll for poll in parked + new if not poll.gone and not poll.answer.done()]
        polls = sorted(waiting, key=lambda poll: (poll.arrival, poll.claim.bot))
        if not polls:
            return []
        # What came in can serve no more of those that wait than it is; the others are loaded where something is left.
        came = max(RESTING_MIN, sum(item is not None for item in self._working.changes.ready.values()))
        rests = {poll.arrival for poll in parked if not poll.fresh}
        resting = [poll for poll in polls if poll.arrival in rests]
        await self._load([poll for poll in polls if poll.arrival not in rests] + resting[:came])
        unloaded = {poll.arrival: poll for poll in resting[came:]}
        answered = []
        granted = 0
        for poll in polls:
            if poll.gone or poll.answer.done():
                continue
            if granted >= GRANTS_MAX and poll.parks:
                poll.fresh = self._scheduler.restless = True
                continue
            if poll.arrival in unloaded and not await self._wake(poll, unloaded, came):
                continue
            poll.fresh = False
            poll.found = await self._decide(poll, save)
            granted += len(poll.found)
            if poll.found or not poll.parks or poll.answer.done():
                answered.append(poll)
        return answered

    async def _wake(self, poll: Poll, unloaded: dict[int, Poll], number: int) -> bool:
        """Load one that waits, with those behind it, if there may be something for it; whether there may."""
        bot = poll.bot
        assert bot is not None, "one that waits was looked at"
        entries = self._heads.get(bot.tenant)
        if entries is not None and not await entries.first(self._serves(poll, bot), 1, self._taken):
            return False
        following = list(unloaded.values())[:number]
        for one in following:
            del unloaded[one.arrival]
        await self._load(following)
        return not poll.gone

    def _serves(self, poll: Poll, bot: Bot) -> frozenset[int]:
        return self._scheduler.served(poll, bot, self._working.queues)

    async def _load(self, polls: list[Poll]) -> None:
        needs: dict[Key, None] = {}
        for poll in polls:
            needs.update(dict.fromkeys(poll.claim.needs()))
        await self._load_missing(needs)
        need: dict[tuple[str, frozenset[int]], int] = {}  # by whose polls, and what they can be served from
        for poll in polls:
            try:
                bot = owners.own_bot(self._working, poll.claim.by, poll.claim.bot, "work.lease")
            except SwarmkeeperError as error:
                poll.answer.set_exception(error)
                self._scheduler.forget(poll)
                continue
            poll.bot = bot
            if not poll.rides:
                self._working.arrivals.polled(bot.id, poll.claim.claim_id, self._working.now)
            wanted = min(self._room(bot), poll.claim.most)
            if wanted > 0:
                asked = (bot.tenant, self._serves(poll, bot))
                need[asked] = need.get(asked, 0) + wanted
        items: dict[str, QueueEntry] = {}
        for (tenant, queues), wanted in need.items():
            if tenant not in self._heads:
                self._heads[tenant] = ReadyQueues(self._transaction, self._working, tenant)
            entries = await self._heads[tenant].first(queues, min(wanted, HEADS_MAX), ())
            items.update((item.work, item) for item in entries)
        await self._load_items(list(items.values()))

    def _room(self, bot: Bot) -> int:
        return bot.capacity - self._scheduler.held.get(bot.id, 0) - self._working.held.get(bot.id, 0)

    async def _load_items(self, entries: list[QueueEntry]) -> None:
        needs: list[Key] = []
        for item in entries:
            needs += [lookups.WORK.of(item.work), lookups.TASK.of(item.task), lookups.TREE.of(item.tenant)]
            self._working.rows.setdefault(lookups.LEASE.of(item.work), None)  # what stands in a queue has none
        await self._load_missing(dict.fromkeys(needs))
        # A review closes the others of its round to whoever takes it.
        tasks: dict[str, None] = dict.fromkeys(
            item.task for item in entries if self._working.work(item.work).kind is Kind.REVIEW
        )
        keys = [(task, key) for task in tasks for key in closing.review_keys(self._working.task(task))]
        await self._load_missing(lookups.WORK_KEY.of(key) for key in keys)
        found = [self._working.get(lookups.WORK_KEY, key) for key in keys]
        await self._load_missing(lookups.WORK.of(work) for work in found if work is not None)

    async def _load_missing(self, needs: Iterable[Key]) -> None:
        missing = [want for want in needs if want not in self._working.rows]
        if missing:
            self._working.put_loaded(await self._transaction.load(missing))

    async def _decide(self, poll: Poll, save: Save) -> tuple[Granted, ...]:
        bot = poll.bot
        if bot is None:
            return ()
        if (again := await self._granted_before(poll, bot)) is not None:
            return again
        poll.reason = None
        if bot.status != "active":
            poll.reason = "draining"
            return ()
        queues = self._serves(poll, bot)
        most = min(self._room(bot), poll.claim.most)
        if most <= 0:
            poll.reason = "at_capacity"
            return ()
        if bot.tenant not in self._heads:  # another poll's answer made room
            self._heads[bot.tenant] = ReadyQueues(self._transaction, self._working, bot.tenant)
        entries = self._heads[bot.tenant]
        looked_at = most
        found: tuple[Granted, ...] | None = None
        while found is None:
            items = await entries.first(queues, looked_at, self._taken)
            await self._load_items(items)
            whole = len(items) < looked_at or looked_at >= HEADS_MAX
            found = await self._take(poll, bot, items, most, save, all_or_none=not whole)
            looked_at = min(2 * looked_at + HEADS_SPARE, HEADS_MAX)
        if not found and len(items) >= HEADS_MAX:
            await save()
            further = await entries.of_owner(queues, bot.owner, HEADS_MAX)
            await self._load_items(further)
            found = await self._take(poll, bot, further, most, save) or ()
            # Rows of a task that was just held back are still being taken out: see again what lies behind them.
            poll.fresh = not found and len(further) >= HEADS_MAX
        if not found:
            poll.reason = "nothing_ready" if queues else "no_match"
        return found

    async def _granted_before(self, poll: Poll, bot: Bot) -> tuple[Granted, ...] | None:
        """The live leases of an earlier call with the same claim id, whose answer was lost."""
        if poll.claim.claim_id is None:
            return None
        works = self._working.get(lookups.CLAIM, (bot.id, poll.claim.claim_id))
        leases = [self._working.get(lookups.LEASE, work) for work in works]
        live = [
            lease
            for lease in leases
            if lease is not None
            and lease.bot == bot.id
            and lease.claim_id == poll.claim.claim_id
            and not lease.cancelled
        ]
        if not live:
            return None
        await self._load_missing(
            want for lease in live for want in (lookups.WORK.of(lease.work), lookups.TASK.of(lease.task))
        )
        return self._granted(live)

    def _granted(self, leases: Iterable[Lease]) -> tuple[Granted, ...]:
        working = self._working
        return tuple(Granted(lease, working.work(lease.work), working.task(lease.task)) for lease in leases)

    async def _take(
        self, poll: Poll, bot: Bot, entries: list[QueueEntry], most: int, save: Save, *, all_or_none: bool = False
    ) -> tuple[Granted, ...] | None:
        """Lease up to `most` of these; with `all_or_none` None, and nothing done, where they are fewer."""
        if not entries:
            return ()
        for _ in range(ROUNDS_MAX):
            self._working.begin(
                actor_type="bot", actor=bot.id, by=poll.claim.by, seed=poll.seed, trace=poll.claim.trace
            )
            try:
                leases = self._take_some(poll, bot, entries, most)
                if all_or_none and len(leases) < most:
                    self._working.undo()
                    return None
                if leases:
                    tasks = dict.fromkeys(lease.task for lease in leases)
                    one = self._working.task(leases[0].task) if len(tasks) == 1 else None
                    own = {"works": [lease.work for lease in leases]}
                    self._working.record("work.lease", bot.id, task=one, own=own)
                self._working.finish()
            except NotLoaded as missing:
                self._working.undo()
                await save()
                await self._load_missing(missing.needs)
                continue
            self._taken.update(lease.work for lease in leases)
            return self._granted(leases)
        raise AssertionError("a claim asks for ever more rows")

    def _take_some(self, poll: Poll, bot: Bot, entries: list[QueueEntry], most: int) -> list[Lease]:
        leases: list[Lease] = []
        ttl = poll.claim.ttl or self._working.limits.lease_ttl
        for item in entries:
            if len(leases) >= most:
                break
            lease = decisions.take(self._working, poll.claim, bot, item, ttl)
            if lease is not None:
                leases.append(lease)
        return leases
