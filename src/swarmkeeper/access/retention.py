"""Finds what was kept long enough, and asks the engine to erase it: finished tasks, and the oldest audit records.

It looks at one page of rows at a time, sends few commands at once, and then rests for REST_TIMES as long as they took.
So it uses a third of the engine at most, however much there is to erase. It remembers nothing that matters: after a
restart it looks again from the beginning, and the commands themselves check that a task may still go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from swarmkeeper.core import named_reads
from swarmkeeper.core.commands import ENGINE, Command, EraseTask, TrimAudit
from swarmkeeper.core.erasure.reads import ERASED_TENANTS
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import Clock, LogWriter, Store, StoreDamaged, StoreUnavailable
from swarmkeeper.core.retention import WHOLE_TENANT
from swarmkeeper.core.rules.tree import Frontier

SECOND = 1_000_000
LOOK_EVERY = 60 * SECOND
ERASURES_EVERY = 20 * SECOND  # how often tenants are looked for that were erased by their data keys
LOOKS_A_PERIOD = 10  # what is kept only briefly is looked for more often
EVENTS_WAIT_MAX = SECOND // 2  # events must get their numbers sooner than anything may leave
PAGE = 200
AT_ONCE = 16  # commands
REST_TIMES = 2
TRIM_ROWS = 500
# A trim makes a record and an event of its own, so it must remove many more.
TRIM_MIN = 100


@dataclass(frozen=True, slots=True)
class RetentionPeriods:
    """How long things are kept, in microseconds; 0: for ever."""

    tasks: int = 0  # after the last change of a finished task
    audit: int = 0  # audit records


# Returns a function that says for a tenant from which time on records are not to be erased yet: older ones may go.
# None: none of them may go.
Unread = Callable[[], Awaitable[Callable[[str], int | None]]]


class Retention:
    def __init__(
        self,
        store: Store,
        periods: RetentionPeriods,
        *,
        now: Callable[[], int],
        clock: Clock,
        do_all: Callable[[Sequence[Command[bool]]], Awaitable[Sequence[bool | SwarmkeeperError]]],
        log: LogWriter,
        unread: Unread | None = None,
    ) -> None:
        """
        Args:
            unread: what readers of the audit log have not got yet, which stays; None: there are no such readers.
        """
        self._store, self._periods = store, periods
        self._now, self._clock, self._do_all, self._log = now, clock, do_all, log
        self._unread = unread
        self._waits: set[str] = set()  # tenants of which nothing is erased, because a reader is behind

    async def run(self) -> None:
        """Look again and again, for ever."""
        shortest = min((period for period in (self._periods.tasks, self._periods.audit) if period), default=0)
        every = min(LOOK_EVERY, max(SECOND, shortest // LOOKS_A_PERIOD)) if shortest else LOOK_EVERY
        wait = 0
        while True:
            try:
                await self.look_for_erasures()
                if shortest and wait <= 0:
                    wait = every
                    await self.look()
            except (SwarmkeeperError, StoreUnavailable, StoreDamaged) as error:
                self._log("retention_failed", error=str(error))
            pause = min(every, ERASURES_EVERY)
            await self._clock.sleep(pause)
            wait -= pause

    async def look_for_erasures(self) -> None:
        """Erase the rows of tasks of tenants whose data keys were erased.

        Raises:
            SwarmkeeperError: from the engine; what is left is found at the next look.
        """
        for tenant in await fetch(self._store, ERASED_TENANTS):
            until = await self.erasable(tenant.tenant)
            await self._erase_tasks(tenant.tenant, min(tenant.erased_at, until), after=0, until=until)

    async def look(self) -> None:
        """Look once at everything, and have erased what was kept long enough.

        Raises:
            SwarmkeeperError: from the engine; what is left is found at the next look.
        """
        waiting = await fetch(self._store, named_reads.EVENTS_WAIT)
        if waiting[0].microseconds > EVENTS_WAIT_MAX:
            return  # events of a task that ended long ago may come to the feed yet, and must not come after it has left
        read_until = None if self._unread is None else await self._unread()
        for tenant in await fetch(self._store, named_reads.TENANTS):
            if await fetch(self._store, named_reads.LEGAL_HOLD, tenant=tenant.id, task=WHOLE_TENANT):
                continue
            until = self._now() if read_until is None else read_until(tenant.id)
            self._note_wait(tenant.id, waits=until is None)
            if until is None:
                continue
            if self._periods.tasks:
                before = min(self._now() - self._periods.tasks, until)
                await self._erase_tasks(tenant.id, before, after=self._periods.tasks, until=until)
            if self._periods.audit:
                await self._trim_audit(tenant.id, until)

    async def erasable(self, tenant: str) -> int:
        """Return until when a task of this tenant must have changed last, so that it may be erased on request now.

        What changed later may not have its numbers in the feed yet, or a sink lacks it.

        Raises:
            StoreUnavailable, StoreDamaged: it is not known.
        """
        waiting = await fetch(self._store, named_reads.EVENTS_WAIT)
        until = self._now() - waiting[0].microseconds - EVENTS_WAIT_MAX
        if self._unread is not None:
            read_until = (await self._unread())(tenant)
            until = min(until, 0 if read_until is None else read_until)
        return until

    def _note_wait(self, tenant: str, *, waits: bool) -> None:
        """Log once that nothing of a tenant is erased for now."""
        if waits and tenant not in self._waits:
            self._log("retention_waits", tenant=tenant, reason="a sink has not got this tenant's audit records yet")
        (self._waits.add if waits else self._waits.discard)(tenant)

    async def _erase_tasks(self, tenant: str, before: int, *, after: int, until: int) -> None:
        at, task = -1, ""
        while True:
            rows = await fetch(
                self._store, named_reads.OLD_TASKS, tenant=tenant, before=before, after_at=at, after_id=task, limit=PAGE
            )
            old = [row.id for row in rows if row.outcome is not None and row.updated_at <= before]
            for begin in range(0, len(old), AT_ONCE):
                by = replace(ENGINE, tenant=tenant)
                some = old[begin : begin + AT_ONCE]
                await self._do([EraseTask(by=by, task=id_, after=after, until=until) for id_ in some])
            if len(rows) < PAGE:
                return
            at, task = rows[-1].created_at, rows[-1].id

    async def _trim_audit(self, tenant: str, until: int) -> None:
        before = min(self._now() - self._periods.audit, until)
        while True:
            starts = await fetch(self._store, named_reads.AUDIT_START, tenant=tenant)
            frontier = Frontier.from_bytes(starts[0].frontier if starts else b"")
            begin, at = frontier.size, 0
            rows = await fetch(self._store, named_reads.AUDIT_FRONT, tenant=tenant, begin=begin, limit=TRIM_ROWS)
            for row in rows:
                if row.needed or row.at > before or row.place != frontier.size:
                    break
                frontier.append(row.hash)
                at = row.at
            if frontier.size - begin < TRIM_MIN:
                return
            by = replace(ENGINE, tenant=tenant)
            trim = TrimAudit(
                by=by, begin=begin, end=frontier.size, frontier=frontier.to_bytes(), root=frontier.root(), at=at
            )
            if not await self._do([trim]) or frontier.size - begin < len(rows):
                return

    async def _do(self, commands: Sequence[Command[bool]]) -> bool:
        """Carry out commands, then rest; return whether they did anything.

        Raises:
            SwarmkeeperError: one of them was refused.
        """
        began = self._clock.monotonic()
        answers = await self._do_all(commands)
        for answer in answers:
            if isinstance(answer, SwarmkeeperError):
                raise answer
        await self._clock.sleep(REST_TIMES * (self._clock.monotonic() - began))
        return any(answers)
