"""Intruder: a member of one tenant who tries to read, stop or impersonate entities of another tenant.

The simulator gives the intruder ids of the other tenant. Each call is made twice, with these ids and with ids that do
not exist. Both answers must be equal, or else they reveal which ids exist. The edge of a level has its list of calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.loop import Host
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.oracle.model import Model
from swarmkeeper.sim.oracle.tenant_isolation import ID, named, tenant_id
from swarmkeeper.sim.play.host import Environment

INTRUDER_SECONDS = 10.0  # mean time between tries
Ids = Mapping[str, str]  # "task", "lease" … -> id of another tenant's entity
TRIED = "somebody tried what is another tenant's"


class IntruderEdge(Protocol):
    """The calls of a level that take an id."""

    host: Host
    tries: Sequence[str]  # names of the calls, in order

    async def answer(self, try_: str, what: str, ids: Ids) -> str | None:
        """Make the call `try_` with these ids; `what` names the request. Return None if no answer can be compared."""


def intruder_name(tenant: int) -> str:
    return named(tenant_id(tenant), "nosy")


class Intruder:
    def __init__(self, env: Environment, tenant: int, edge: IntruderEdge) -> None:
        self.host = edge.host
        self._env, self._edge = env, edge
        self._tenant, self._name = tenant_id(tenant), intruder_name(tenant)

    async def run(self) -> None:
        """Make one call after another while tasks are submitted."""
        choice, n = self._env.choice, 0
        while True:
            n += 1
            await asyncio.sleep(choice.waiting(INTRUDER_SECONDS, "nosy", self._name, n))
            if self._env.ended.is_set():
                return
            ids = _drawn(self._env.model, choice, self._tenant, (self._name, n))
            if ids is not None:
                await self._try(choice.pick(self._edge.tries, "try", self._name, n), n, ids)

    async def _try(self, try_: str, n: int, ids: Ids) -> None:
        env = self._env
        invented = {kind: _invented(id_, env.choice, self._name, n, kind) for kind, id_ in ids.items()}
        answers = [
            _masked(await self._edge.answer(try_, f"{try_.replace(' ', '_')}.{n}{which}", some), some)
            for which, some in (("a", ids), ("b", invented))
        ]
        if None in answers:
            return
        reached(f"{TRIED}: {try_}")
        if answers[0] != answers[1]:
            why = f"{self._tenant}: {try_} is answered with {answers[0]}, for unknown ids with {answers[1]}"
            env.model.broken("2.tenant", ids["task"], why)


def _drawn(model: Model, choice: NamedChoice, tenant: str, key: Sequence[object]) -> dict[str, str] | None:
    """Draw another tenant's ids, one of each kind, of the same lease where possible. None if it holds no lease."""
    leases = [lease for lease in model.leases.values() if lease.tenant != tenant]
    approvals = [approval.id for approval in model.approvals.values() if approval.tenant != tenant]
    if not leases:
        return None
    lease = choice.pick(leases, "which", "lease", *key)
    found = {"task": lease.task, "work": lease.work, "lease": lease.lease_id, "bot": lease.bot}
    return {**found, "approval": choice.pick(approvals, "which", "approval", *key) if approvals else "apr_" + "0" * 26}


def _invented(id_: str, choice: NamedChoice, *key: object) -> str:
    return id_[:-8] + "".join(str(choice.below(10, "invented", *key, n)) for n in range(8))


def _masked(answer: str | None, ids: Ids) -> str | None:
    """Replace the requested ids by their kinds, and all other ids by "an id"."""
    if answer is None:
        return None
    for kind, id_ in ids.items():
        answer = answer.replace(id_, kind)
    return ID.sub("an id", answer)
