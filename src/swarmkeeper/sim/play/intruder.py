"""Somebody of one tenant who tries what another has: looks at it, stops it, speaks and works in its name.

They learn the ids by magic. Each is tried beside one that was never given to anything, with the same call: both must be
answered alike, or the answer tells what is there.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from swarmkeeper.core import commands
from swarmkeeper.core.commands import Command
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Principal
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.kernel.network import Call, NoAnswer
from swarmkeeper.sim.oracle.model import Model
from swarmkeeper.sim.oracle.tenant_isolation import ID, named, tenant_id
from swarmkeeper.sim.play.core.core_bots import CoreBot, canonical
from swarmkeeper.sim.play.core.core_edge import CoreEdge
from swarmkeeper.sim.play.host import Environment, Party

INTRUDER_SECONDS = 10.0  # mean time between tries
Ids = Mapping[str, str]  # "task", "lease" … -> one that is another tenant's
TRIED = "somebody tried what is another tenant's"


class Intruder(Party):
    def __init__(self, env: Environment, tenant: int, bot: CoreBot) -> None:
        id_ = tenant_id(tenant)
        name = named(id_, "nosy")
        super().__init__(env, name, Principal(id_, f"key_{named(id_, 'client')}", "client"))
        self._bot = bot

    async def run(self) -> None:
        await pry(self.env, self.by.tenant, self.name, sorted(_TRIES), self._answer)

    async def _answer(self, try_: str, what: str, ids: Ids) -> str | None:
        """What is said to it; None: nothing that could be compared."""
        if not self._bot.id:
            return None
        try:
            return repr(await self.once(what, _TRIES[try_](self, ids)))
        except NoAnswer:
            return None
        except SwarmkeeperError as error:
            return None if error.retryable else f"{error.code}: {error}"

    def _as(self, role: str) -> Principal:
        return replace(self.by, role=role, key_id=f"key_{named(self.by.tenant, role)}")

    def _report(self, task: str, lease: str, bot: str | None = None) -> commands.Report:
        body = canonical({"output": "mine"})
        return commands.Report(
            by=self._bot.by,
            bot=bot or self._bot.id,
            task=task,
            lease_id=lease,
            content=body,
            content_hash=hashlib.sha256(body).hexdigest(),
            output=b'"mine"',
        )


Try = Callable[[Intruder, Ids], Callable[[CoreEdge, Call], Awaitable[Any]]]


def _does(command: Callable[[Intruder, Ids], Command]) -> Try:
    return lambda intruder, ids: lambda edge, call: edge.do(call, command(intruder, ids))


_TRIES: Mapping[str, Try] = {
    "look": lambda intruder, ids: lambda edge, call: edge.task(call, intruder.by, ids["task"]),
    "cancel": _does(lambda intruder, ids: commands.Cancel(by=intruder.by, task=ids["task"])),
    "pause": _does(lambda intruder, ids: commands.Pause(by=intruder.by, task=ids["task"])),
    "resume": _does(lambda intruder, ids: commands.Resume(by=intruder.by, task=ids["task"])),
    "retry": _does(lambda intruder, ids: commands.Retry(by=intruder.by, task=ids["task"])),
    "archive": _does(lambda intruder, ids: commands.Archive(by=intruder.by, task=ids["task"])),
    "update": _does(lambda intruder, ids: commands.Update(by=intruder.by, task=ids["task"], priority=0)),
    "tell": _does(lambda intruder, ids: commands.Tell(by=intruder.by, task=ids["task"], to_bot=None, payload=b"1")),
    "drain": _does(lambda intruder, ids: commands.Drain(by=intruder._as("operator"), bot=ids["bot"])),
    "decide": _does(
        lambda intruder, ids: commands.Decide(by=intruder._as("approver"), approval=ids["approval"], verb="reject")
    ),
    "beat": _does(lambda intruder, ids: commands.Beat(by=intruder._bot.by, bot=ids["bot"])),
    "beat lease": _does(
        lambda intruder, ids: commands.Beat(
            by=intruder._bot.by, bot=intruder._bot.id, pulses=(commands.Pulse(lease_id=ids["lease"], checkpoint=b"1"),)
        )
    ),
    "claim": lambda intruder, ids: (
        lambda edge, call: edge.lease(call, commands.Claim(by=intruder._bot.by, bot=ids["bot"], claim_id="nosy"), 0)
    ),
    "report": _does(lambda intruder, ids: intruder._report(ids["task"], ids["lease"])),
    "report as": _does(lambda intruder, ids: intruder._report(ids["task"], ids["lease"], ids["bot"])),
    "release": _does(lambda intruder, ids: commands.Release(by=intruder._bot.by, lease_id=ids["lease"])),
    "ask": _does(lambda intruder, ids: commands.Ask(by=intruder._bot.by, lease_id=ids["lease"], question="what?")),
}


async def pry(
    env: Environment,
    tenant: str,
    name: str,
    tries: Sequence[str],
    answer: Callable[[str, str, Ids], Awaitable[str | None]],
) -> None:
    """Try one thing after another for as long as tasks come; `answer` does it once, and says what was answered."""
    choice, n = env.choice, 0
    while True:
        n += 1
        await asyncio.sleep(choice.waiting(INTRUDER_SECONDS, "nosy", name, n))
        if env.ended.is_set():
            return
        ids = _drawn(env.model, choice, tenant, (name, n))
        if ids is None:
            continue
        invented = {kind: _invented(one, choice, name, n, kind) for kind, one in ids.items()}
        try_ = choice.pick(tries, "try", name, n)
        said = [
            _masked(await answer(try_, f"{try_.replace(' ', '_')}.{n}{which}", some), some)
            for which, some in (("a", ids), ("b", invented))
        ]
        if None in said:
            continue
        reached(f"{TRIED}: {try_}")
        if said[0] != said[1]:
            about = env.model.title(ids["task"])
            env.model.broken("2.tenant", about, f"{tenant}: {try_} is answered with {said[0]}, and not {said[1]}")


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
