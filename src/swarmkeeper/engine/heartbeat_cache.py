"""Leases as last committed, to answer from memory those heartbeats that report nothing new.

Such a heartbeat changes nothing, so it needs neither the store nor a batch. The cache holds copies of what a batch has
read or written, since a later batch may change the records before it commits. A heartbeat that is not covered, or
would write something, goes through a batch.
"""

from __future__ import annotations

from collections.abc import Iterable

from swarmkeeper.core import lookups
from swarmkeeper.core.answers import Directive, HeartbeatResult
from swarmkeeper.core.commands import SendHeartbeat
from swarmkeeper.core.decide.decisions.heartbeats import is_quiet
from swarmkeeper.core.decide.effects.owners import why_not_own
from swarmkeeper.core.decide.undo_log import copied
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import BotRecord, LeaseRecord
from swarmkeeper.core.ports import Changes, Rules
from swarmkeeper.core.states import TASK_CLOSED


class HeartbeatCache:
    def __init__(self) -> None:
        self._bots: dict[str, BotRecord] = {}
        self._leases: dict[str, LeaseRecord] = {}  # by lease id
        self._of_work: dict[str, str] = {}  # work id -> lease id
        self._of_task: dict[str, set[str]] = {}  # task id -> work ids

    def answer(self, beat: SendHeartbeat, now: int, rules: Rules) -> HeartbeatResult | None:
        """Return the answer of a batch if it would write nothing; None if a batch must decide."""
        bot = self._bots.get(beat.bot)
        if bot is None or bot.tenant != beat.by.tenant or not rules.may(beat.by, "work.beat"):
            return None
        if why_not_own(beat.by, bot) is not None:
            return None
        directives = []
        for pulse in beat.heartbeats:
            lease = self._leases.get(pulse.lease_id)
            if lease is None or lease.bot != bot.id or not is_quiet(lease, pulse, now):
                return None
            directives.append(Directive(pulse.lease_id, "continue", lease.expires_at, lease.task))
        return HeartbeatResult(tuple(directives), drain=bot.status != "active")

    def learn(self, beat: SendHeartbeat, working: WorkingSet) -> None:
        """Store what a committed batch knew after it decided this heartbeat."""
        bot = working.known(lookups.BOT, beat.bot)
        if bot is None:
            return
        self._bots[bot.id] = copied(bot)
        for pulse in beat.heartbeats:
            work_id = working.known(lookups.LEASE_ID, pulse.lease_id)
            lease = None if work_id is None else working.known(lookups.LEASE, work_id)
            task = None if lease is None else working.known(lookups.TASK, lease.task)
            if lease is not None and not lease.cancelled and task is not None and task.status not in TASK_CLOSED:
                self._leases[lease.lease_id] = copied(lease)
                self._of_work[lease.work] = lease.lease_id
                self._of_task.setdefault(lease.task, set()).add(lease.work)

    def committed(self, changes: Changes) -> None:
        """Drop what was changed; the next heartbeat goes through a batch and fills the cache again."""
        for work in changes.leases_gone:
            self._forget(work)
        for work in changes.leases:
            self._forget(work)
        for task in changes.tasks.values():
            if task.status in TASK_CLOSED:
                for work in list(self._of_task.get(task.id, ())):
                    self._forget(work)
        for bot in changes.bots:
            self._bots.pop(bot, None)

    def forget(self, *, bots: Iterable[str] = (), tasks: Iterable[str] = (), works: Iterable[str] = ()) -> None:
        """Drop what is kept of these, because another server may have changed them."""
        for bot in bots:
            self._bots.pop(bot, None)
        for task in tasks:
            works = (*works, *self._of_task.get(task, ()))
        for work in works:
            self._forget(work)

    def forget_all(self) -> None:
        """Drop everything: another process may have written."""
        for kept in (self._bots, self._leases, self._of_work, self._of_task):
            kept.clear()

    def _forget(self, work: str) -> None:
        lease_id = self._of_work.pop(work, None)
        if lease_id is None:
            return
        lease = self._leases.pop(lease_id)
        works = self._of_task[lease.task]
        works.discard(work)
        if not works:
            del self._of_task[lease.task]
