"""Grant leases to the polls of one batch; see polls.py for how they wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from swarmkeeper.core import lookups
from swarmkeeper.core.decide import key_lines, killed, work_rates
from swarmkeeper.core.decide.decisions import budgets
from swarmkeeper.core.decide.decisions import work as decisions
from swarmkeeper.core.decide.effects import closing, cooldowns, owners
from swarmkeeper.core.decide.loaded_rows import NotLoaded
from swarmkeeper.core.decide.policies import shown_labels
from swarmkeeper.core.decide.undo_log import copied
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.kills.lookups import KILLS
from swarmkeeper.core.kills.records import KILLED
from swarmkeeper.core.model import BotRecord, LeaseRecord, QueueEntry
from swarmkeeper.core.ports import Key, Transaction
from swarmkeeper.core.rules.cooldowns import cooldown_id, is_closed, scope_of
from swarmkeeper.core.rules.graph import SUBTASKS_MAX
from swarmkeeper.core.rules.match import choose
from swarmkeeper.core.states import Kind
from swarmkeeper.engine.lease_facts import Granted
from swarmkeeper.engine.polls import RATE_LIMITED, Claimed, Poll, PollState, Scheduler
from swarmkeeper.engine.ready_queues import ReadyQueues

# Items read beyond the number wanted, because some cannot be leased (held back, or excluded for the bot's owner). If
# that is not enough, more are read up to HEADS_MAX, and then once more without those that exclude the owner.
HEADS_SPARE = 2
HEADS_MAX = 576
TASK_PAGE = 500  # items of a task that are read at once, for a token that is for this task alone
RESTING_MIN = 4  # parked polls that are loaded together, at least
GRANTS_MAX = 64  # leases granted in one batch; polls that can wait are served in the next
ROUNDS_MAX = 1_000  # detects endless loads; see batch.py

Save = Callable[[], Awaitable[None]]  # writes the changes so far, so that loads see them


class Dispatcher:
    """Grant the leases of one batch: polls are served in order of arrival, then by bot."""

    def __init__(self, scheduler: Scheduler, working: WorkingSet, transaction: Transaction) -> None:
        self._scheduler = scheduler
        self._working = working
        self._transaction = transaction
        self._heads: dict[str, ReadyQueues] = {}  # by tenant
        self._taken: set[str] = set()
        self._held: dict[str, int] = {}  # bot id -> its leases before this batch
        self._answered: list[Poll] = []

    def _may_have_work(self, poll: Poll) -> bool:
        """Whether this poll is to be tried again, or an item entered one of its queues."""
        bot = poll.bot
        if poll.state is PollState.DUE:
            return True
        if bot is None:
            return False
        if poll.found.reason == RATE_LIMITED and self._working.opened:
            names = (cooldown_id(bot.tenant, scope_of(bot)), work_rates.opened_name(bot.tenant))
            if not self._working.opened.keys().isdisjoint(names):
                return True
        return not self._serves(poll, bot).isdisjoint(self._working.touched)

    async def run(self, new: list[Poll], save: Save) -> list[Poll]:
        """Decide all polls that may get work; return those to answer: with leases, or empty if they may not park."""
        # Most batches add no items; then parked polls must cost almost nothing.
        if self._working.touched or self._working.opened:
            parked = [poll for poll in self._scheduler.parked.values() if self._may_have_work(poll)]
        else:
            parked = self._scheduler.due()
        self._working.touched.clear()  # from here on: what these tries themselves put into queues
        self._scheduler.begin_batch()
        waiting = [poll for poll in parked + new if poll.open]
        polls = sorted(waiting, key=lambda poll: (poll.arrival, poll.claim.bot))
        if not polls:
            return []
        # New items can serve at most as many parked polls; the others are loaded only if an item is left.
        came = max(RESTING_MIN, sum(item is not None for item in self._working.changes.ready.values()))
        rests = {poll.arrival for poll in parked if poll.state is not PollState.DUE}
        resting = [poll for poll in polls if poll.arrival in rests]
        await self._load([poll for poll in polls if poll.arrival not in rests] + resting[:came])
        unloaded = {poll.arrival: poll for poll in resting[came:]}
        answered = self._answered
        granted = 0
        for poll in polls:
            if not poll.open:
                continue
            if granted >= GRANTS_MAX and poll.parks:
                self._scheduler.retry(poll)
                continue
            if poll.arrival in unloaded and not await self._wake(poll, unloaded, came):
                continue
            before = poll.found.reason
            poll.begin_try()
            found = await self._decide(poll, save)
            poll.end_try(found)
            granted += len(found.leases)
            if found.leases or not poll.parks or poll.answer.done() or poll.is_stopped(before):
                answered.append(poll)
        self._try_again(new)
        return answered

    def _try_again(self, new: list[Poll]) -> None:
        """Have the next batch try the polls for which these tries made work ready.

        A budget or key that refuses an item lets the next of its line through, and one that fails its dependents.
        """
        for poll in (*self._scheduler.parked.values(), *new) if self._working.touched else ():
            waits = poll.state is PollState.WAITING and poll.parks and poll.bot is not None
            if waits and self._may_have_work(poll):
                self._scheduler.retry(poll)

    async def _wake(self, poll: Poll, unloaded: dict[int, Poll], number: int) -> bool:
        """If work may be left for this parked poll, load it with those behind it; return whether it may get work."""
        bot = poll.bot
        assert bot is not None, "a parked poll was tried before, and has its bot"
        entries = self._heads.get(bot.tenant)
        if entries is not None and not await entries.first(self._serves(poll, bot), 1, self._taken):
            return False
        following = list(unloaded.values())[:number]
        for resting in following:
            del unloaded[resting.arrival]
        await self._load(following)
        return poll.open

    def _serves(self, poll: Poll, bot: BotRecord) -> frozenset[int]:
        return self._scheduler.served(poll, bot, self._working.queues)

    def _open(self, bot: BotRecord, queues: frozenset[int]) -> frozenset[int]:
        """Return those of the queues whose skills are not killed, and whose rates allow a lease now."""
        working = self._working
        queues = killed.alive(working, bot.tenant, queues)
        if bot.tenant not in working.rates:
            return queues
        skills_of = working.queues.by_id
        return frozenset(
            queue for queue in queues if work_rates.allowed_of(working, bot.tenant, skills_of[queue].skills)
        )

    async def _load(self, polls: list[Poll]) -> None:
        needs: dict[Key, None] = {}
        for poll in polls:
            needs.update(dict.fromkeys(poll.claim.needs()))
            if poll.claim.by.tenant in self._working.budgets.tenants:
                needs[lookups.TENANT, poll.claim.by.tenant] = None
        await self._load_missing(needs)
        wanted_of: dict[tuple[str, frozenset[int]], int] = {}  # by tenant and set of queues
        able = []
        for poll in polls:
            try:
                bot = owners.own_bot(self._working, poll.claim.by, poll.claim.bot, "work.lease")
            except SwarmkeeperError as error:
                self._scheduler.unpark(poll)
                poll.refuse(error)
                continue
            poll.bot = bot
            if not poll.with_report:
                self._working.arrivals.polled(bot.id, poll.claim.claim_id, self._working.now)
            able.append((poll, bot))
        tenants = {bot.tenant for _, bot in able}
        await self._load_missing((KILLS, tenant) for tenant in sorted(tenants) if self._working.kills.may_have(tenant))
        for tenant in tenants if self._working.rates else ():
            await self._load_missing(
                (lookups.WORK_RATE, name) for name in work_rates.ids_of(self._working.rates, tenant)
            )
        await self._count_leases({bot.id: None for _, bot in able})
        if self._scheduler.cooling:
            await self._load_cooldowns(bot for _, bot in able)
        for poll, bot in able:
            wanted = self._most(poll, bot)
            if wanted > 0 and (poll.claim.by.token is None or poll.claim.by.token.task is None):
                source = (bot.tenant, self._open(bot, self._serves(poll, bot)))
                wanted_of[source] = wanted_of.get(source, 0) + wanted
        items: dict[str, QueueEntry] = {}
        for tenant in {tenant: None for tenant, _ in wanted_of}:
            if tenant not in self._heads:
                self._heads[tenant] = ReadyQueues(self._transaction, self._working, tenant)
            # Of all polls at once: a server in PostgreSQL is asked once.
            await self._heads[tenant].know({queue for of, queues in wanted_of if of == tenant for queue in queues})
            await self._heads[tenant].read_ahead({queues: n for (of, queues), n in wanted_of.items() if of == tenant})
        for (tenant, queues), wanted in wanted_of.items():
            entries = await self._heads[tenant].first(queues, min(wanted, HEADS_MAX), ())
            items.update((item.work, item) for item in entries)
        await self._load_items(list(items.values()))

    async def _count_leases(self, bots: Iterable[str]) -> None:
        new = [bot for bot in bots if bot not in self._held]
        if new:
            counted, saved = await self._transaction.leases_held(new), self._working.held_saved
            self._held.update((bot, counted.get(bot, 0) - saved.get(bot, 0)) for bot in new)

    async def _load_cooldowns(self, bots: Iterable[BotRecord]) -> None:
        ids = dict.fromkeys(cooldown_id(bot.tenant, scope_of(bot)) for bot in bots)
        await self._load_missing((lookups.COOLDOWN, name) for name in ids if name in self._scheduler.cooling)

    def _most(self, poll: Poll, bot: BotRecord) -> int:
        """Return how many leases the poll may get: none while its bot's scope cools, one as a probe."""
        most = min(self._room(bot), poll.claim.most)
        if bot.tenant in self._working.rates:
            most = min(most, work_rates.allowed_to(self._working, bot))
        cooldown = cooldowns.of(self._working, bot)
        return most if cooldown is None else 0 if is_closed(cooldown) else min(most, 1)

    def _room(self, bot: BotRecord) -> int:
        return bot.capacity - self._held[bot.id] - self._working.held.get(bot.id, 0)

    async def _load_items(self, entries: list[QueueEntry]) -> None:
        needs: list[Key] = []
        for item in entries:
            needs += [(lookups.WORK, item.work), (lookups.TASK, item.task)]
            self._working.rows.setdefault((lookups.LEASE, item.work), None)  # a queued item has no lease
        await self._load_missing(dict.fromkeys(needs))
        limited = [work for item in entries if (work := self._working.work(item.work)).limits is not None]
        if limited:
            await self._load_missing((lookups.KEY_LIMIT, name) for work in limited for name in key_lines.ids_of(work))
        # The owner who takes a review is excluded from the others of its round.
        tasks: dict[str, None] = dict.fromkeys(
            item.task for item in entries if self._working.work(item.work).kind is Kind.REVIEW
        )
        keys = [(task, key) for task in tasks for key in closing.review_keys(self._working.task(task))]
        await self._load_missing((lookups.WORK_KEY, key) for key in keys)
        found = [self._working.get(lookups.WORK_KEY, key) for key in keys]
        await self._load_missing((lookups.WORK, work) for work in found if work is not None)

    async def _load_missing(self, needs: Iterable[Key]) -> None:
        missing = [want for want in needs if want not in self._working.rows]
        if missing:
            self._working.put_loaded(await self._transaction.load(missing))

    async def _decide(self, poll: Poll, save: Save) -> Claimed:
        bot = poll.bot
        assert bot is not None, "a poll is loaded with its bot before it is tried"
        if killed.of_bot(self._working, bot) is not None:
            return Claimed((), KILLED)
        if (again := await self._granted_before(poll, bot)) is not None:
            return Claimed(again, None)
        if bot.status != "active":
            return Claimed((), "draining")
        if bot.tenant in self._working.budgets.tenants and budgets.no_allowance(self._working, bot.tenant):
            return Claimed((), "nothing_ready")
        served = self._serves(poll, bot)
        queues = self._open(bot, served)
        most = self._most(poll, bot)
        if most <= 0:
            return Claimed((), RATE_LIMITED if self._room(bot) > 0 else "at_capacity")
        if poll.claim.by.token is not None and (only := poll.claim.by.token.task) is not None:
            of_task = await self._of_task(poll, bot, only, queues, most, save)
            return Claimed(of_task, None if of_task else "nothing_ready" if queues else "no_match")
        if bot.tenant not in self._heads:  # the bot had no room when its poll was loaded
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
            # Rows of a task that was just held are still being removed: try again to see what is behind them.
            if not found and len(further) >= HEADS_MAX:
                self._scheduler.retry(poll, soon=False)
        if not found:
            if served and not (open_ := killed.alive(self._working, bot.tenant, served)):
                return Claimed((), KILLED)
            if served and len(queues) < len(open_):
                return Claimed((), RATE_LIMITED)
            return Claimed((), "nothing_ready" if queues else "no_match")
        return Claimed(found, None)

    async def _of_task(
        self, poll: Poll, bot: BotRecord, task_id: str, queues: frozenset[int], most: int, save: Save
    ) -> tuple[Granted, ...]:
        """Lease up to `most` items of one task, for a token that is for this task alone."""
        await save()
        after, found = "", list[QueueEntry]()
        for _ in range(-(-SUBTASKS_MAX // TASK_PAGE) + 1):
            want = lookups.HELD_WORKS.of((task_id, after, TASK_PAGE))
            self._working.rows.pop(want, None)  # it lists what may have changed
            await self._load_missing([want])
            ids = self._working.get(lookups.HELD_WORKS, (task_id, after, TASK_PAGE))
            works = [work for work in self._working.works(ids) if work.queue in queues and work.tenant == bot.tenant]
            found += [
                QueueEntry(
                    *(work.id, work.queue, work.tenant, work.priority, work.position, work.since, work.task),
                    excluded=work.excluded,
                )
                for work in works
                if work.start_due is not None and work.id not in self._taken and bot.owner not in work.excluded
            ]
            if len(ids) < TASK_PAGE:
                break
            after = ids[-1]
        for begin in range(0, len(found := choose(found, self._working.now)), HEADS_MAX):
            some = found[begin : begin + HEADS_MAX]
            await self._load_items(some)
            if granted := await self._take(poll, bot, some, most, save):
                return granted
        return ()

    async def _granted_before(self, poll: Poll, bot: BotRecord) -> tuple[Granted, ...] | None:
        """Return the live leases of an earlier call with the same claim id, whose answer was lost; None without any."""
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
        await self._load_missing(
            want for lease in live for want in ((lookups.WORK, lease.work), (lookups.TASK, lease.task))
        )
        live = [lease for lease in live if owners.within(self._working, poll.claim.by, lease.task, lease.work)]
        if not live:
            return None
        granted = self._granted(live)
        # Each answer with a lease raises its version, so that only the loss of the last one takes the lease back.
        self._working.begin(actor_type="bot", actor=bot.id, by=poll.claim.by, seed=poll.seed)
        for lease in live:
            self._working.edit_lease(lease)
        self._working.finish()
        for earlier in self._answered:  # a batch raises a version once: the loss of these takes nothing back
            if earlier.claim.claim_id == poll.claim.claim_id and earlier.claim.bot == poll.claim.bot:
                earlier.repeated = True
        return granted

    def _granted(self, leases: Iterable[LeaseRecord]) -> tuple[Granted, ...]:
        working = self._working
        return tuple(
            Granted(copied(lease), copied(working.work(lease.work)), copied(working.task(lease.task)))
            for lease in leases
        )

    async def _take(
        self, poll: Poll, bot: BotRecord, entries: list[QueueEntry], most: int, save: Save, *, all_or_none: bool = False
    ) -> tuple[Granted, ...] | None:
        """Lease up to `most` of these items; with `all_or_none`, do nothing and return None if there are fewer."""
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
                if leases or self._working.has_events():  # a budget at its limit has effects, even without a lease
                    tasks = dict.fromkeys(lease.task for lease in leases)
                    task = self._working.task(next(iter(tasks))) if len(tasks) == 1 else None
                    own = {"works": [lease.work for lease in leases]}
                    labels = shown_labels(self._working, own["works"])
                    body = {"labels": labels} if labels else None
                    self._working.record("work.lease", bot.id, task=task, body=body, own=own)
                    if not leases:
                        poll.renew_seed()
                self._working.finish()
            except NotLoaded as missing:
                self._working.undo()
                await save()
                await self._load_missing(missing.needs)
                continue
            self._taken.update(lease.work for lease in leases)
            return self._granted(leases)
        raise AssertionError("a claim asks for more and more rows")

    def _take_some(self, poll: Poll, bot: BotRecord, entries: list[QueueEntry], most: int) -> list[LeaseRecord]:
        leases: list[LeaseRecord] = []
        ttl = poll.claim.ttl or self._working.limits.lease_ttl
        for item in entries:
            if len(leases) >= most:
                break
            lease = decisions.take(self._working, poll.claim, bot, item, ttl)
            if lease is not None:
                leases.append(lease)
        if leases and (due := cooldowns.of(self._working, bot)) is not None:
            cooldowns.probe(self._working, due)
        return leases
