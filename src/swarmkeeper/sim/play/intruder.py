"""Somebody of one tenant who tries what another has: looks at it, stops it, speaks and works in its name.

They learn the ids by magic. Each is tried beside one that was never given to anything, with the same call: both must be
answered alike, or the answer tells what is there. The edge of a level knows what can be tried there.
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
Ids = Mapping[str, str]  # "task", "lease" … -> one that is another tenant's
TRIED = "somebody tried what is another tenant's"


class IntruderEdge(Protocol):
    """The calls of a level that name something."""

    host: Host
    tries: Sequence[str]  # names of what can be tried, in order

    async def answer(self, try_: str, what: str, ids: Ids) -> str | None:
        """Try it once with these ids; `what` names the request. Return the answer, None where none can be compared."""


def intruder_name(tenant: int) -> str:
    return named(tenant_id(tenant), "nosy")


class Intruder:
    def __init__(self, env: Environment, tenant: int, edge: IntruderEdge) -> None:
        self.host = edge.host
        self._env, self._edge = env, edge
        self._tenant, self._name = tenant_id(tenant), intruder_name(tenant)

    async def run(self) -> None:
        """Try one thing after another for as long as tasks come."""
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
        invented = {kind: _invented(one, env.choice, self._name, n, kind) for kind, one in ids.items()}
        said = [
            _masked(await self._edge.answer(try_, f"{try_.replace(' ', '_')}.{n}{which}", some), some)
            for which, some in (("a", ids), ("b", invented))
        ]
        if None in said:
            return
        reached(f"{TRIED}: {try_}")
        if said[0] != said[1]:
            why = f"{self._tenant}: {try_} is answered with {said[0]}, and not {said[1]}"
            env.model.broken("2.tenant", env.model.title(ids["task"]), why)


def _drawn(model: Model, choice: NamedChoice, tenant: str, key: Sequence[object]) -> dict[str, str] | None:
    """One of each kind that is another tenant's, where there is one, as far as it can be of one story."""
    leases = [lease for lease in model.leases.values() if lease.tenant != tenant]
    approvals = [one.id for one in model.approvals.values() if one.tenant != tenant]
    if not leases:
        return None
    lease = choice.pick(leases, "which", "lease", *key)
    found = {"task": lease.task, "work": lease.work, "lease": lease.lease_id, "bot": lease.bot}
    return {**found, "approval": choice.pick(approvals, "which", "approval", *key) if approvals else "apr_" + "0" * 26}


def _invented(one: str, choice: NamedChoice, *key: object) -> str:
    return one[:-8] + "".join(str(choice.below(10, "invented", *key, n)) for n in range(8))


def _masked(said: str | None, ids: Ids) -> str | None:
    """Without the ids that were asked for, and without those of the answer itself."""
    if said is None:
        return None
    for kind, one in ids.items():
        said = said.replace(one, kind)
    return ID.sub("an id", said)
