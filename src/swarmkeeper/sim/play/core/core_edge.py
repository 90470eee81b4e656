"""The edge of level core: carries out requests of bots and people without HTTP.

Like the routes, it passes commands to the engine, keeps a poll while its bot is connected, and answers with plain
snapshots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from swarmkeeper.core import commands
from swarmkeeper.core.answers import HeartbeatResult, ReportReceipt
from swarmkeeper.core.commands import Command
from swarmkeeper.core.errors import ResourceNotFound, SwarmkeeperError
from swarmkeeper.core.model import Principal
from swarmkeeper.core.ports import Store
from swarmkeeper.core.states import Kind
from swarmkeeper.engine.loop import Engine, Granted, Poll, Replayed
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.named_choice import NamedEntropy
from swarmkeeper.sim.kernel.network import ClientGone, IncomingRequest
from swarmkeeper.sim.oracle.model import Model
from swarmkeeper.sim.oracle.seen import ApprovalSeen, LeaseSeen, TaskSeen

_LOOK_AGAIN_SECONDS = 0.05  # as in http/hot.py


class CoreEdge:
    """Requests to the engine; each takes the network's `IncomingRequest` first. Answers are checked before use."""

    def __init__(self, engine: Engine, store: Store, entropy: NamedEntropy, model: Model) -> None:
        self._engine, self._store, self._entropy, self._model = engine, store, entropy, model

    async def do(self, call: IncomingRequest, command: Command[Any]) -> Any:
        self._entropy.expect(call.place)
        answer = await self._engine.do(command)
        if isinstance(answer, Replayed):
            reached("a command was replayed under its idempotency key")
            answer = answer.resource
        self._model.answered(command, answer)
        return answer

    async def beat(self, call: IncomingRequest, command: commands.SendHeartbeat) -> HeartbeatResult:
        beaten: HeartbeatResult = await self.do(call, command)
        return beaten

    async def lease(self, call: IncomingRequest, claim: commands.ClaimWork, wait: float) -> tuple[LeaseSeen, ...]:
        self._entropy.expect(call.place)
        poll = self._engine.claim(claim, parks=wait > 0)
        gone = asyncio.ensure_future(call.gone.wait())
        try:
            await self._answer(poll, gone, wait)
            claimed = await poll.answer
            leases = await self._leases(claimed.leases)
            if gone.done():
                raise ClientGone
        except BaseException:
            self._engine.abandon(poll)
            raise
        finally:
            gone.cancel()
        self._model.granted(claim.bot, leases)
        return leases

    async def _answer(self, poll: Poll, gone: asyncio.Future[Any], wait: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        while not poll.answer.done():
            left = until - loop.time() if wait > 0 else None
            if left is not None and left <= 0:
                self._engine.end(poll)
                left = _LOOK_AGAIN_SECONDS
            await asyncio.wait((poll.answer, gone), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ClientGone

    async def report(
        self, call: IncomingRequest, report: commands.ReportResult, claim: commands.ClaimWork | None = None
    ) -> tuple[ReportReceipt, tuple[LeaseSeen, ...]]:
        self._entropy.expect(call.place, draws=1 if claim is None else 2)
        (answer,), claimed = await self._engine.report([report], claim)
        if isinstance(answer, SwarmkeeperError):
            reached(f"a report was refused: {answer.code}")
            raise answer
        if answer.replayed:
            reached("a report was answered as before")
        self._model.answered(report, answer)
        leases = await self._leases(claimed.leases)
        self._model.granted(report.bot, leases)
        return answer, leases

    async def task(self, call: IncomingRequest, by: Principal, task: str) -> TaskSeen:
        found = await self._store.read("task_row", {"task": task, "tenant": by.tenant})
        self._model.read_task(by.tenant, task, found[0] if found else None)
        if not found:
            raise ResourceNotFound("no such task")
        return TaskSeen(task, found[0]["status"], found[0]["outcome"], found[0]["holds"])

    async def approvals(self, call: IncomingRequest, by: Principal) -> list[ApprovalSeen]:
        page = {"tenant": by.tenant, "after": "", "state": "open", "limit": 100}
        found = await self._store.read("approvals_page", page)
        if self._model.isolation is not None:
            self._model.isolation.sent(by.tenant, (row["id"] for row in found), "a list of approvals")
        return [ApprovalSeen(**{name: row[name] for name in ApprovalSeen.__slots__}) for row in found]

    async def _leases(self, granted: Iterable[Granted]) -> tuple[LeaseSeen, ...]:
        return tuple([await self._lease(grant) for grant in granted])

    async def _lease(self, granted: Granted) -> LeaseSeen:
        lease, item, task = granted.lease, granted.item, granted.of_task
        seen = LeaseSeen.of(lease, item, task.title)
        if item.kind is not Kind.REVIEW or item.subject is not None:
            return seen
        # All subtasks, not only those with a result: a verdict may also target skipped or failed ones.
        wanted = {"task": task.id, "kind": Kind.EXECUTE}
        judged: Sequence[dict[str, Any]] = await self._store.read("graph_nodes", wanted)
        values = {name: getattr(seen, name) for name in LeaseSeen.__slots__}
        return LeaseSeen(**{**values, "judges": tuple(row["key"] for row in judged)})
