"""An operator who begins operations on many tasks (level http), by ids and by filters.

What comes of them is checked on the rows (oracle/checks.py), and at the end of the run each must have ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Principal
from swarmkeeper.core.states import TASK_CLOSED
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.oracle.tenant_isolation import named, tenant_id
from swarmkeeper.sim.play.host import Environment, Party

EVERY_SECONDS = 120.0
NAME = "operator"


class BulkOperator(Party[Any]):
    """Its edge is `SdkEdge`: people of level core have no such calls."""

    def __init__(self, env: Environment, tenant: int = 1) -> None:
        tenant_ = tenant_id(tenant)
        name = named(tenant_, NAME)
        super().__init__(env, name, Principal(tenant_, f"key_{name}", NAME))

    async def run(self) -> None:
        env, round_ = self.env, 0
        while not env.ended.is_set():
            await asyncio.sleep(EVERY_SECONDS)
            round_ += 1
            if not env.ended.is_set() and env.choice.hit(env.scenario.people.bulk, "bulk", self.name, round_):
                await self._begin(round_)

    async def _begin(self, round_: int) -> None:
        action, chosen = self._chosen(round_)
        key = f"bulk-{round_}"
        try:
            await self.ask(f"bulk.{round_}", lambda edge, call: edge.bulk(action, chosen, key))
            reached(f"an operation on many tasks began: {action}")
        except SwarmkeeperError as error:
            reached(f"an operation on many tasks was refused: {error.code}")

    def _chosen(self, round_: int) -> tuple[str, Mapping[str, Any]]:
        choice = self.env.choice
        kind = choice.pick(["cancel some", "cancel by label", "retry all"], "bulk", "what", self.name, round_)
        if kind == "retry all":
            return "retry", {"filter": {"outcome": ["failed", "cancelled"]}}
        if kind == "cancel by label":
            return "cancel", {"filter": {"label": ["patched:yes"], "status": ["PLANNED", "IN_PROGRESS"]}}
        tasks = [task for task in self.env.model.tasks.values() if task.tenant == self.by.tenant]
        some = [
            task.id
            for task in sorted(tasks, key=lambda each: each.title)
            if choice.hit(0.1 if task.status in TASK_CLOSED else 0.3, "bulk", "of", task.title, round_)
        ]
        return "cancel", {"ids": [*some, "tsk_none"]}
