"""The calls of an intruder at level core: every command that takes an id."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from swarmkeeper.core import commands
from swarmkeeper.core.commands import Command
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Principal
from swarmkeeper.sim.kernel.network import IncomingRequest, NoAnswer
from swarmkeeper.sim.oracle.tenant_isolation import named, tenant_id
from swarmkeeper.sim.play.core.core_bots import CoreBot
from swarmkeeper.sim.play.core.core_edge import CoreEdge
from swarmkeeper.sim.play.host import Environment, Party, canonical
from swarmkeeper.sim.play.intruder import Ids, intruder_name


class CoreIntruderEdge(Party[CoreEdge]):
    """Calls with keys of the intruder's own tenant, and as caller bot."""

    def __init__(self, env: Environment, tenant: int, bot: CoreBot) -> None:
        id_ = tenant_id(tenant)
        super().__init__(env, intruder_name(tenant), Principal(id_, f"key_{named(id_, 'client')}", "client"))
        self._bot = bot
        self.tries: Sequence[str] = sorted(_TRIES)

    async def answer(self, try_: str, what: str, ids: Ids) -> str | None:
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

    def _report(self, task: str, lease: str, bot: str | None = None) -> commands.ReportResult:
        body = canonical({"output": "mine"})
        return commands.ReportResult(
            by=self._bot.by,
            bot=bot or self._bot.id,
            task=task,
            lease_id=lease,
            content=body,
            content_hash=hashlib.sha256(body).hexdigest(),
            output=b'"mine"',
        )


Try = Callable[[CoreIntruderEdge, Ids], Callable[[CoreEdge, IncomingRequest], Awaitable[Any]]]


def _does(command: Callable[[CoreIntruderEdge, Ids], Command[Any]]) -> Try:
    return lambda caller, ids: lambda edge, call: edge.do(call, command(caller, ids))


_TRIES: Mapping[str, Try] = {
    "look": lambda caller, ids: lambda edge, call: edge.task(call, caller.by, ids["task"]),
    "cancel": _does(lambda caller, ids: commands.Cancel(by=caller.by, task=ids["task"])),
    "pause": _does(lambda caller, ids: commands.Pause(by=caller.by, task=ids["task"])),
    "resume": _does(lambda caller, ids: commands.Resume(by=caller.by, task=ids["task"])),
    "retry": _does(lambda caller, ids: commands.RetryFailedTask(by=caller.by, task=ids["task"])),
    "archive": _does(lambda caller, ids: commands.Archive(by=caller.by, task=ids["task"])),
    "update": _does(lambda caller, ids: commands.Update(by=caller.by, task=ids["task"], priority=0)),
    "tell": _does(lambda caller, ids: commands.SendMessage(by=caller.by, task=ids["task"], to_bot=None, payload=b"1")),
    "drain": _does(lambda caller, ids: commands.Drain(by=caller._as("operator"), bot=ids["bot"])),
    "decide": _does(
        lambda caller, ids: commands.Decide(by=caller._as("approver"), approval=ids["approval"], verb="reject")
    ),
    "beat": _does(lambda caller, ids: commands.SendHeartbeat(by=caller._bot.by, bot=ids["bot"])),
    "beat lease": _does(
        lambda caller, ids: commands.SendHeartbeat(
            by=caller._bot.by,
            bot=caller._bot.id,
            heartbeats=(commands.LeaseHeartbeat(lease_id=ids["lease"], checkpoint=b"1"),),
        )
    ),
    "claim": lambda caller, ids: (
        lambda edge, call: edge.lease(call, commands.ClaimWork(by=caller._bot.by, bot=ids["bot"], claim_id="nosy"), 0)
    ),
    "report": _does(lambda caller, ids: caller._report(ids["task"], ids["lease"])),
    "report as": _does(lambda caller, ids: caller._report(ids["task"], ids["lease"], ids["bot"])),
    "release": _does(lambda caller, ids: commands.ReleaseLease(by=caller._bot.by, lease_id=ids["lease"])),
    "ask": _does(lambda caller, ids: commands.AskQuestion(by=caller._bot.by, lease_id=ids["lease"], question="what?")),
}
