"""Choose the background job that gets the next slice: fair between tenants, then round robin over a tenant's tasks."""

from __future__ import annotations

from collections.abc import Mapping

from swarmkeeper.core.model import BackgroundJob
from swarmkeeper.core.ports import Transaction
from swarmkeeper.engine.fairness import StrideScheduler


class JobTurns:
    def __init__(self, weights: Mapping[str, int]) -> None:
        self._turns = StrideScheduler(weights)
        self._after: dict[str, str] = {}  # by tenant: the task whose job had the last slice

    async def next(self, transaction: Transaction) -> BackgroundJob | None:
        tenants = await transaction.job_tenants()
        if not tenants:
            return None
        tenant = min(tenants, key=self._turns.due)
        return (await transaction.next_jobs(1, self._after.get(tenant, ""), tenant))[0]

    def served(self, job: BackgroundJob | None) -> None:
        """Record which job was served; None if no job was open."""
        if job is None:
            self._after.clear()
            return
        self._turns.served(job.tenant)
        self._after[job.tenant] = job.task
