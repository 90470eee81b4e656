"""Bots of level core: they claim, heartbeat and report by commands, as the SDK does over HTTP. Behaviour: bots.py."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from swarmkeeper.core import commands
from swarmkeeper.core.decide.decisions import review
from swarmkeeper.core.errors import Invalid, InvalidPlan, SwarmkeeperError
from swarmkeeper.core.model import AttemptFailure, Json, Principal
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import ErrorClass
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.faults import Fault
from swarmkeeper.sim.kernel.loop import SECOND, Host
from swarmkeeper.sim.kernel.network import IncomingRequest, NoAnswer
from swarmkeeper.sim.oracle.seen import LeaseSeen
from swarmkeeper.sim.oracle.tenant_isolation import tenant_id
from swarmkeeper.sim.play.bots import (
    Behaviour,
    Content,
    FailureContent,
    GiveBack,
    OutputContent,
    PlanContent,
    Provider,
    Question,
    SimBot,
    UnreadableContent,
    VerdictContent,
    WorkResult,
)
from swarmkeeper.sim.play.core.core_edge import CoreEdge
from swarmkeeper.sim.play.host import CALL_SECONDS, Environment, Party, canonical
from swarmkeeper.sim.play.scenarios import Fleet

_T = TypeVar("_T")

REPORT_SECONDS = 20.0  # timeout of a report


@dataclass(slots=True)
class BotLease:
    lease: LeaseSeen
    work: asyncio.Task[None] | None = None
    mute: bool = False  # send no heartbeat for it
    progress: int = 0


class CoreBot(SimBot):
    process: CoreBotProcess | None

    def __init__(
        self, env: Environment, provider: Provider, type_: str, number: int, fleet: Fleet, tenant: int = 1
    ) -> None:
        super().__init__(env, type_, number, fleet, tenant)
        self.provider = provider
        role = f"bot:{type_.lower()}"
        self.by = Principal(tenant_id(tenant), f"key_{self.name}", role, bot=self.known_as)
        self._party: Party[CoreEdge] = Party(env, self.name, self.by)

    def new_process(self, host: Host, number: int) -> CoreBotProcess:
        process = CoreBotProcess(self, host, number)
        self._party.process = process.name
        return process

    async def ask(
        self, what: str, ask: Callable[[CoreEdge, IncomingRequest], Awaitable[_T]], *, seconds: float = CALL_SECONDS
    ) -> _T:
        return await self._party.ask(what, ask, seconds=seconds)

    async def once(self, what: str, ask: Callable[[CoreEdge, IncomingRequest], Awaitable[_T]]) -> _T:
        return await self._party.once(what, ask)


class CoreBotProcess:
    """One process of a bot. It is also the edge of its own attempts (`BotEdge`)."""

    def __init__(self, bot: CoreBot, host: Host, number: int) -> None:
        self.bot, self.host, self.number = bot, host, number
        self.name = f"{bot.name}/{number}"
        self._behaviour = Behaviour(bot, bot.provider, self, host, self)
        self._held: dict[str, BotLease] = {}
        self._changed = asyncio.Event()

    def superseded(self) -> None:
        """Do nothing: `_claim_while_current` checks this before each claim."""

    async def run(self) -> None:
        bot = self.bot
        register = commands.Register(
            by=bot.by, type=bot.type, version="1", name=bot.known_as, skills=bot.skills, capacity=bot.fleet.capacity
        )
        bot.id = (await bot.ask(f"register.{self.number}", lambda edge, call: edge.do(call, register)))[0]
        self.host.start(self._beat_forever())
        await self._claim_while_current()

    # ---- claims ----------------------------------------------------------------------------------------------------

    async def _claim_while_current(self) -> None:
        """Claim work until another process takes the bot's name. Work on current leases continues after that."""
        wait = self.bot.env.scenario.poll_seconds
        n = 0
        while self.bot.process is self:
            room = self.bot.fleet.capacity - len(self._held)
            if room <= 0:
                self._changed.clear()
                await self._changed.wait()
                continue
            n += 1
            # Half of the restarted processes repeat the first claim of the previous process, which may have got leases.
            again = self.number > 1 and n == 1 and self.bot.env.choice.hit(0.5, "again", self.name)
            known_as = self.bot.known_as
            claim_id = f"{known_as}/{self.number - 1}/1" if again else f"{known_as}/{self.number}/{n}"
            claim = commands.ClaimWork(by=self.bot.by, bot=self.bot.id, most=room, claim_id=claim_id)
            try:
                took = self._take(await self._lease(claim, wait))
            except SwarmkeeperError:
                await asyncio.sleep(5)
                continue
            if not took:
                await asyncio.sleep(1)

    async def _lease(self, claim: commands.ClaimWork, wait: float) -> tuple[LeaseSeen, ...]:
        what = f"lease.{self.number}"
        return await self.bot.ask(what, lambda edge, call: edge.lease(call, claim, wait), seconds=wait + 10)

    def _take(self, leases: tuple[LeaseSeen, ...]) -> bool:
        for lease in leases:
            ended = [past.lease_id for past in self._behaviour.past]
            if lease.lease_id not in self._held and lease.lease_id not in ended:
                held = self._held[lease.lease_id] = BotLease(lease)
                held.work = self.host.spawn(self._work(held))
        self._changed.set()
        return bool(leases)

    # ---- heartbeats ------------------------------------------------------------------------------------------------

    async def _beat_forever(self) -> None:
        while True:
            unmuted = [held for held in self._held.values() if not held.mute]
            if unmuted:
                await self._beat(unmuted)
            self._changed.clear()
            every = min((held.lease.ttl for held in unmuted), default=0) / SECOND / 3
            if not every:
                await self._changed.wait()
                continue
            try:
                async with asyncio.timeout(every):
                    known = set(self._held)
                    while known >= set(self._held):  # a new lease gets a heartbeat at once
                        self._changed.clear()
                        await self._changed.wait()
            except TimeoutError:
                pass

    async def _beat(self, unmuted: list[BotLease]) -> None:
        for held in unmuted:
            held.progress += 1
        heartbeats = tuple(
            commands.LeaseHeartbeat(
                lease_id=held.lease.lease_id,
                progress={"done": held.progress} if held.progress % 4 == 0 else None,
                checkpoint=canonical({"at": held.progress}) if held.progress % 8 == 0 else None,
            )
            for held in unmuted
        )
        beat = commands.SendHeartbeat(by=self.bot.by, bot=self.bot.id, heartbeats=heartbeats)
        try:
            beaten = await self.bot.once(f"beat.{self.number}", lambda edge, call: edge.beat(call, beat))
        except (SwarmkeeperError, NoAnswer):
            return
        for answer in beaten.directives:
            known = self._held.get(answer.lease_id)
            if known is not None and answer.directive != "continue":
                reached(f"a bot heard `{answer.directive}`")
                if known.work is not None:
                    known.work.cancel()
                self._over(known)

    def _over(self, held: BotLease) -> None:
        if self._held.pop(held.lease.lease_id, None) is not None:
            self._behaviour.ended(held.lease)
        self._changed.set()

    # ---- work ------------------------------------------------------------------------------------------------------

    async def _work(self, held: BotLease) -> None:
        lease = held.lease
        try:
            answer = await self._behaviour.attempt(lease, lease.judges)
            if isinstance(answer, WorkResult):
                await self._report(lease, answer)
            elif isinstance(answer, GiveBack):
                delay = 0 if answer.seconds is None else round(answer.seconds * SECOND) + 1
                back = commands.ReleaseLease(by=self.bot.by, lease_id=lease.lease_id, delay=delay)
                await self.bot.ask(f"release.{lease.label}", lambda edge, call: edge.do(call, back))
            else:
                await self._ask(lease, answer)
        except SwarmkeeperError as error:
            reached(f"an attempt ended with {error.code}")
        finally:
            if self.host.alive:
                self._over(held)

    async def _ask(self, lease: LeaseSeen, question_content: Question) -> None:
        question = commands.AskQuestion(
            by=self.bot.by, lease_id=lease.lease_id, question=question_content.text, choices=question_content.choices
        )
        await self.bot.ask(f"ask.{lease.label}", lambda edge, call: edge.do(call, question))

    # ---- as the edge of an attempt ---------------------------------------------------------------------------------

    async def work(self, lease: LeaseSeen, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def mute(self, lease: LeaseSeen) -> None:
        if held := self._held.get(lease.lease_id):
            held.mute = True

    def answers(self, lease: LeaseSeen) -> None:
        """Do nothing: `_report` draws whether the report is sent twice."""

    async def send(self, lease: LeaseSeen, content: Content, *, under: LeaseSeen | None = None) -> None:
        await self._send_refused(lease, self._command(under or lease, content))

    # ---- reports ---------------------------------------------------------------------------------------------------

    async def _report(self, lease: LeaseSeen, result: WorkResult) -> None:
        env, bot = self.bot.env, self.bot
        report = self._command(lease, result.content, usage={"tokens": result.tokens})
        more = env.choice.hit(0.5, "more", lease.label, lease.round, lease.attempt)
        claim = commands.ClaimWork(by=bot.by, bot=bot.id, most=1, claim_id=lease.lease_id) if more else None
        try:
            _, leases = await bot.ask(
                f"report.{lease.label}", lambda edge, call: edge.report(call, report, claim), seconds=REPORT_SECONDS
            )
            self._take(leases)
        finally:
            if self.host.alive and (fault := env.faults.strike("bot.duplicate", self._behaviour.place(lease))):
                self.host.start(self._send_again(report, lease, fault))

    async def _send_again(self, report: commands.ReportResult, lease: LeaseSeen, fault: Fault) -> None:
        await asyncio.sleep(fault.amount(self.bot.env.scenario.bounds.lease_seconds))
        await self._send_refused(lease, report)

    async def _send_refused(self, lease: LeaseSeen, report: commands.ReportResult) -> None:
        """Send a report that may be refused; the lease continues then."""
        try:
            await self.bot.ask(
                f"report.{lease.label}", lambda edge, call: edge.report(call, report), seconds=REPORT_SECONDS
            )
        except (Invalid, InvalidPlan):
            reached("a plan or verdict was refused, to be mended")
        except SwarmkeeperError as error:
            reached(f"a strange report was refused: {error.code}")

    def _command(
        self, lease: LeaseSeen, content: Content, *, usage: Mapping[str, int] | None = None
    ) -> commands.ReportResult:
        plain, given = _parts_of(content)
        if usage is not None:
            given["usage"] = usage
        body = canonical(plain)
        return commands.ReportResult(
            by=self.bot.by,
            bot=self.bot.id,
            task=lease.task,
            lease_id=lease.lease_id,
            content=body,
            content_hash=hashlib.sha256(body).hexdigest(),
            **given,
        )


def _parts_of(content: Content) -> tuple[Json, dict[str, Any]]:
    """Return the content as a bot sends it, and the command's fields as the HTTP routes derive them."""
    match content:
        case FailureContent(kind, words, retry_after, scope):
            wait = round(retry_after * SECOND) if kind == "rate_limited" else None
            return {"failure": kind, "words": words}, {"failure": AttemptFailure(ErrorClass(kind), words, wait, scope)}
        case PlanContent(subtasks):
            plan: list[Json] = list(subtasks)
            return {"plan": plan}, {"plan": tuple(map(graph.from_json, subtasks))}
        case VerdictContent():
            verdict = content.as_json()
            return {"verdict": verdict}, {"verdict": review.from_json(verdict)}
        case OutputContent(output):
            return {"output": output}, {"output": canonical(output)}
        case UnreadableContent(wanted, number):
            errors = ((f"/{wanted}", "type", "must be an object"),)
            return {wanted: 7, "n": number}, {"errors": errors, "errors_in": wanted}
