"""Polls: requests for work, with the states of one and the register of the parked ones.

A poll is parked while no work is ready for it. There is no internal polling: a parked poll is tried again when an item
entered one of its queues, or when its bot has room again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from swarmkeeper.core import ids
from swarmkeeper.core.commands import ClaimWork
from swarmkeeper.core.decide import work_rates
from swarmkeeper.core.decide.effects.owners import asked_skills
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.kills.records import KILLED, KillBook
from swarmkeeper.core.model import BotRecord
from swarmkeeper.core.ports import Changes, Store
from swarmkeeper.core.rules import match
from swarmkeeper.core.rules.match import QueueBook
from swarmkeeper.engine.lease_facts import Granted

SERVED_REMEMBERED = 10_000
# Parked polls of one bot. A bot needs at most one for each lease that it has room for. Two overlap if a connection is
# lost and the bot asks again before the server notices.
POLLS_LEAST, POLLS_MOST = 2, 64
RATE_LIMITED = "rate_limited"  # the reason of a poll whose bot's scope cools


@dataclass(frozen=True, slots=True)
class Claimed:
    leases: tuple[Granted, ...]
    reason: str | None  # why there are no leases: see wire/answers.py


class PollState(Enum):
    DUE = "due"  # the next batch tries it
    WAITING = "waiting"  # tried without result; tried again when an item enters one of its queues
    GRANTED = "granted"  # leases found, not yet committed
    ANSWERED = "answered"  # with leases, without, or with an error
    ABANDONED = "abandoned"  # the caller no longer waits


# The allowed moves; a poll stays where it is if another is asked for.
MOVES: Mapping[PollState, frozenset[PollState]] = MappingProxyType(
    {
        PollState.DUE: frozenset(PollState) - {PollState.DUE},
        PollState.WAITING: frozenset(PollState) - {PollState.WAITING},
        PollState.GRANTED: frozenset({PollState.WAITING, PollState.ANSWERED, PollState.ABANDONED}),
        PollState.ANSWERED: frozenset({PollState.ABANDONED}),  # the connection was lost while the answer was sent
        PollState.ABANDONED: frozenset(),
    }
)


@dataclass(slots=True, eq=False)
class Poll:
    """One request for work, from its arrival to its answer. Change it only through its methods."""

    claim: ClaimWork
    seed: bytes
    arrival: int
    answer: asyncio.Future[Claimed]
    parks: bool  # whether it may wait
    with_report: bool = False  # it came with a report, in addition to the bot's own polls
    request: str = ""  # request id
    bot: BotRecord | None = None
    state: PollState = PollState.DUE
    # What the last try found. Kept when answered: the leases are taken back if the caller does not receive them.
    found: Claimed = Claimed((), None)
    repeated: bool = False  # a later call with its claim id found the same leases in the same batch

    @property
    def leases_lost_with_it(self) -> tuple[Granted, ...]:
        """Return the leases that nobody gets if its answer is lost."""
        return () if self.repeated else self.found.leases

    @property
    def open(self) -> bool:
        """Whether its caller still waits."""
        return self.state is not PollState.ABANDONED and not self.answer.done()

    def retry(self) -> None:
        """Have the next batch try it again, unless leases were found for it."""
        self._move(PollState.DUE)

    def begin_try(self) -> None:
        """Wait, unless this try finds leases or asks for another try."""
        self._move(PollState.WAITING)

    def end_try(self, found: Claimed) -> None:
        """Keep what the try found, until the batch is committed."""
        self.found, self.repeated = found, False
        if found.leases:
            self._move(PollState.GRANTED)

    def renew_seed(self) -> None:
        """Give what its next try writes ids of its own: this one has written something, and found no lease."""
        self.seed = ids.next_seed(self.seed)

    def is_stopped(self, before: str | None) -> bool:
        """Whether it is to end because of a kill that came while it was parked; `before` is its reason until then.

        A poll that comes after the kill may wait: else its bot would ask again and again.
        """
        return self.found.reason == KILLED and before not in (None, KILLED)

    def undo(self) -> None:
        """Drop the leases of a batch that was rolled back."""
        self.found = Claimed((), self.found.reason)
        if self.state is PollState.GRANTED:
            self._move(PollState.WAITING)

    def deliver(self) -> None:
        """Answer with the leases found, which are committed, or with the reason why there are none."""
        self._answer(self.found)

    def end(self) -> None:
        """Answer without leases."""
        self._answer(Claimed((), self.found.reason or "nothing_ready"))

    def refuse(self, error: SwarmkeeperError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
        self._move(PollState.ANSWERED)

    def abandon(self) -> None:
        """Drop it: the caller no longer waits. It gets no more leases."""
        self._move(PollState.ABANDONED)

    def _answer(self, claimed: Claimed) -> None:
        if not self.answer.done():
            self.answer.set_result(claimed)
        self._move(PollState.ANSWERED)

    def _move(self, state: PollState) -> None:
        if state in MOVES[self.state]:
            self.state = state


@dataclass(slots=True)
class Scheduler:
    parked: dict[int, Poll] = field(default_factory=dict)  # by arrival
    has_due: bool = False  # run a batch for parked polls, although no new items came in
    # Ids of cooldowns, so that no row is looked for where there is none. A batch reads the rows themselves.
    cooling: set[str] = field(default_factory=set)
    rates: dict[str, dict[str, int | None]] = field(default_factory=dict)  # by tenant and key; see decide/work_rates.py
    kills: KillBook = field(default_factory=KillBook)
    _some_due: bool = False  # a parked poll may be due; saves a look at each of them in every batch
    _retry_undone: bool = False  # all polls were to be tried again while this batch was being committed
    _of_bot: dict[str, dict[int, Poll]] = field(default_factory=dict)  # parked polls, by bot and arrival
    _served: dict[tuple[str, int, tuple[str, ...] | None], tuple[int, frozenset[int]]] = field(default_factory=dict)

    def park(self, poll: Poll) -> None:
        """Park a poll; end the bot's oldest polls if it has more than it can use."""
        self.parked[poll.arrival] = poll
        self._some_due = self._some_due or poll.state is PollState.DUE
        of_bot = self._of_bot.setdefault(poll.claim.bot, {})
        of_bot[poll.arrival] = poll
        capacity = POLLS_LEAST if poll.bot is None else poll.bot.capacity
        while len(of_bot) > min(max(capacity, POLLS_LEAST), POLLS_MOST):
            self.end(next(iter(of_bot.values())))

    def unpark(self, poll: Poll) -> None:
        """Remove a poll from the parked ones, if it is there."""
        if self.parked.pop(poll.arrival, None) is None:
            return
        of_bot = self._of_bot[poll.claim.bot]
        del of_bot[poll.arrival]
        if not of_bot:
            del self._of_bot[poll.claim.bot]

    def parked_of(self, bot_id: str) -> list[Poll]:
        return list(self._of_bot.get(bot_id, {}).values())

    def served(self, poll: Poll, bot: BotRecord, queues: QueueBook) -> frozenset[int]:
        """Return the ids of the queues that can serve this poll; cached until a new queue is created."""
        key = (bot.id, bot.row_version, asked_skills(poll.claim))
        known = self._served.get(key)
        if known is None or known[0] != len(queues.by_id):
            if len(self._served) >= SERVED_REMEMBERED:
                self._served.clear()
            found = (queue.id for queue in queues.by_id.values() if match.serves(bot, queue, key[2]))
            known = self._served[key] = (len(queues.by_id), frozenset(found))
        return known[1]

    def end_older(self, poll: Poll) -> None:
        """End a parked poll with the same claim id."""
        if poll.claim.claim_id is None:
            return
        for other in self.parked_of(poll.claim.bot):
            if other.claim.claim_id == poll.claim.claim_id and other is not poll:
                self.end(other)

    def end(self, poll: Poll) -> None:
        """Answer a poll without leases."""
        self.unpark(poll)
        poll.end()

    def end_all(self, bot_id: str) -> None:
        for poll in self.parked_of(bot_id):
            self.end(poll)

    def forget(self, poll: Poll) -> None:
        """Drop a poll whose caller no longer waits; it gets no leases."""
        poll.abandon()
        self.unpark(poll)

    def due(self) -> list[Poll]:
        """Return the parked polls that are to be tried again although no new items came in."""
        return [poll for poll in self.parked.values() if poll.state is PollState.DUE] if self._some_due else []

    def retry(self, poll: Poll, *, soon: bool = True) -> None:
        """Have the next batch try a poll again although no new items came in; run that batch `soon`."""
        poll.retry()
        self._some_due = True
        self.has_due = self.has_due or soon

    def retry_all(self) -> None:
        for poll in self.parked.values():
            self.retry(poll)
        self._retry_undone = True

    def retry_serving(self, queues: Collection[int], book: QueueBook) -> None:
        """Have the next batch try the polls that these queues serve, and those that wait for something else."""
        for poll in self.parked.values():
            if (
                poll.bot is None
                or poll.found.reason in ("at_capacity", RATE_LIMITED)
                or not self.served(poll, poll.bot, book).isdisjoint(queues)
            ):
                self.retry(poll)

    async def read(self, store: Store) -> None:
        """Read again what another process may have changed: rates and kills. A batch that runs keeps its rates."""
        self.rates = work_rates.by_tenant(await store.read("all_rates", {}))
        self.kills.tenants = {row["id"]: None for row in await store.read("killed_tenants", {})}

    def begin_batch(self) -> None:
        self.has_due = self._some_due = self._retry_undone = False

    def undo(self, polls: Iterable[Poll]) -> None:
        """Drop what a batch that was rolled back has found for these polls and the parked ones."""
        for poll in (*polls, *self.parked.values()):
            undone = poll.state is PollState.GRANTED
            poll.undo()
            if undone and self._retry_undone:
                self.retry(poll)
        self._some_due = True
        self._served.clear()  # new queues were rolled back

    def parked_bots(self) -> Iterable[str]:
        return list(self._of_bot)

    def limited(self, changes: Changes) -> None:
        """Remember the rates, cooldowns and kills of the store. A removed rate is known until they are read again."""
        for rate in changes.rates.values():
            if rate is not None:
                self.rates.setdefault(rate.tenant, {})[rate.key] = rate.most
        for name, cooldown in changes.cooldowns.items():
            if cooldown is None:
                self.cooling.discard(name)
            else:
                self.cooling.add(name)
        if changes.kills:
            self.kills.tenants.update(dict.fromkeys(kill.tenant for kill in changes.kills.values() if kill is not None))
            self.retry_all()

    def committed(self, held: dict[str, int], changed: Collection[str]) -> None:
        """Retry polls of bots that have room again or were changed.

        Args:
            held: by bot id, leases granted less leases ended.
            changed: ids of bots whose skills or status changed.
        """
        freed = {bot_id for bot_id, change in held.items() if change < 0}
        for bot_id in freed.union(changed):
            for poll in self._of_bot.get(bot_id, {}).values():
                if poll.found.reason == "at_capacity" or bot_id in changed:
                    self.retry(poll)
