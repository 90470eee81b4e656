"""Whose long work has the next slice: by turns between tenants, then round robin over each one's tasks."""

from __future__ import annotations

from collections.abc import Mapping

from swarmkeeper.core.model import Chore
from swarmkeeper.core.ports import Unit
from swarmkeeper.service.shares import Turns


class ChoreTurns:
    def __init__(self, weights: Mapping[str, int]) -> None:
        self._turns = Turns(weights)
        self._after: dict[str, str] = {}  # by tenant: the task whose chore had the last slice

    async def next(self, unit: Unit) -> Chore | None:
        tenants = await unit.chore_tenants()
        if not tenants:
            return None
        tenant = min(tenants, key=self._turns.due)
        return (await unit.next_chores(1, self._after.get(tenant, ""), tenant))[0]

    def served(self, chore: Chore | None) -> None:
        """Take in whose it was; None where there was none to be served."""
        if chore is None:
            self._after.clear()
            return
        self._turns.served(chore.tenant)
        self._after[chore.tenant] = chore.task
