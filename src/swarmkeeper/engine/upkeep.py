"""What the engine does without being asked: it fires timers that are due, and runs slices of background jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swarmkeeper.core.model import BackgroundJob, Timer
from swarmkeeper.core.ports import Changes, Store, Transaction
from swarmkeeper.engine.fairness import StrideScheduler

TIMERS_MAX = 256  # fired in one batch
ANY_TIME = 1 << 62
PURGE_EVERY, PURGE_ROWS = 60_000_000, 500  # microseconds, and keys at a time


async def purge(store: Store, now: int) -> int:
    """Remove some of the expired idempotency keys; return when to go on."""
    async with store.begin() as transaction:
        gone = await transaction.purge(now, PURGE_ROWS)
    return now if gone == PURGE_ROWS else now + PURGE_EVERY


class Upkeep:
    """Chooses the timers and the job of a batch. What it remembers changes only once that batch is committed."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self.next_due: int | None = None  # when the next timer is due
        self.jobs = False  # whether a job is open
        self.turns = JobTurns(weights)
        self._coming: int | None = None
        self._job: BackgroundJob | None = None

    async def choose(self, transaction: Transaction, now: int) -> tuple[Sequence[Timer], BackgroundJob | None]:
        timers: list[Timer] = []
        self._coming = self.next_due
        if self.next_due is not None and self.next_due <= now:
            timers = await transaction.due(now, TIMERS_MAX)
            coming = await transaction.due(ANY_TIME, len(timers) + 1)
            self._coming = coming[-1].due if len(coming) > len(timers) else None
        self._job = await self.turns.next(transaction) if self.jobs else None
        return timers, self._job

    def committed(self) -> None:
        """Remember that what was chosen last is done."""
        self.next_due = self._coming
        self.jobs = self.jobs and self.turns.open
        self.turns.served(self._job)

    def saved(self, changes: Changes) -> None:
        """Learn of the timers and jobs that were saved."""
        for due in changes.timers.values():
            if due is not None and (self.next_due is None or due < self.next_due):
                self.next_due = due
        if any(job is not None for job in changes.jobs.values()):
            self.jobs = True


class JobTurns:
    """Choose the background job that gets the next slice: tenants by weight, then round robin over a tenant's tasks."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._turns = StrideScheduler(weights)
        self._after: dict[str, str] = {}  # by tenant: the task whose job had the last slice
        self.open = False  # whether there was a job when it was last asked for one

    async def next(self, transaction: Transaction) -> BackgroundJob | None:
        """Return the job whose turn it is; None if there is none that no other writer has now."""
        tenants = await transaction.job_tenants()
        self.open = bool(tenants)
        for tenant in sorted(tenants, key=self._turns.due):
            for job in await transaction.next_jobs(1, self._after.get(tenant, ""), tenant):
                return job
        return None

    def served(self, job: BackgroundJob | None) -> None:
        """Record which job was served, if any."""
        if job is None:
            if not self.open:
                self._after.clear()
            return
        self._turns.served(job.tenant)
        self._after[job.tenant] = job.task
