"""Bots of level http: real SDK bots, run by its runner. Their code is random (bots.py) or a user's own.

The SDK itself claims, sends heartbeats, reports and retries.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

from swarmkeeper.core.model import Json
from swarmkeeper.sdk.answers import Accept, Answer, Ask, Done, Failed, Later, Plan, Reject, Rework
from swarmkeeper.sdk.bots import BaseBot, EvaluatorBot, ExecutorBot, PlannerBot
from swarmkeeper.sdk.client import Client
from swarmkeeper.sdk.context import Candidate, Context
from swarmkeeper.sdk.errors import ApiError, Refused
from swarmkeeper.sdk.runner import serve
from swarmkeeper.sim.kernel.chance import SeededChance
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.faults import Fault
from swarmkeeper.sim.kernel.loop import SECOND, Host
from swarmkeeper.sim.kernel.network import Network
from swarmkeeper.sim.oracle.http_answers import HttpModel
from swarmkeeper.sim.oracle.seen import LeaseSeen
from swarmkeeper.sim.play import bots
from swarmkeeper.sim.play.bots import (
    HANGS_SECONDS,
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
)
from swarmkeeper.sim.play.host import Environment
from swarmkeeper.sim.play.http.http_edge import HttpEdge, SimTransport
from swarmkeeper.sim.play.scenarios import Fleet
from swarmkeeper.sim.user_code import TROUBLE, UserCodeFails
from swarmkeeper.wire.requests import SubTask, TaskDefinition

KeyOf = Callable[[str], Awaitable[str]]
# A replaced bot finishes its leases, without a time limit.
DRAIN_SECONDS = 1e6


@dataclass(frozen=True, slots=True)
class UserBotPart:
    """A user's own bot: its name in the run, and the function that makes it for each process (user_bots.py)."""

    name: str
    make: Callable[[SdkBotProcess], BaseBot]


class SdkBot(SimBot):
    def __init__(
        self,
        env: Environment,
        network: Network[HttpEdge],
        model: HttpModel,
        provider: Provider,
        key_of: KeyOf,
        type_: str,
        number: int,
        fleet: Fleet,
        user_bot: UserBotPart | None = None,
        tenant: int = 1,
    ) -> None:
        super().__init__(env, type_, number, fleet, tenant, known_as=None if user_bot is None else user_bot.name)
        self.network, self.model, self.provider, self.key_of, self.user_bot = network, model, provider, key_of, user_bot

    def new_process(self, host: Host, number: int) -> SdkBotProcess:
        return SdkBotProcess(self, host, number)


class SdkBotProcess:
    """One process of a bot. It is also the edge of its own attempts (`BotEdge`)."""

    def __init__(self, bot: SdkBot, host: Host, number: int) -> None:
        self.bot, self.host, self.number = bot, host, number
        self.name = f"{bot.name}/{number}"
        self.stop = asyncio.Event()
        self._behaviour = Behaviour(bot, bot.provider, self, host, self)
        self._transport = SimTransport(
            bot.network, bot.model, host, source=bot.name, connection=self.name, number=number
        )
        self._client: Client | None = None
        self._contexts: dict[str, Context] = {}  # of current attempts, by lease

    def superseded(self) -> None:
        self.stop.set()

    async def run(self) -> None:
        key = await self.bot.key_of(self.bot.name)
        chance = SeededChance(self.bot.env.choice.seed, f"sdk/{self.name}")
        self._client = Client("http://swarmkeeper", key, transport=self._transport, chance=chance)
        user_bot = self.bot.user_bot
        if user_bot is None:
            await self._serve(_BOTS[self.bot.type](self), self._client)
            return
        try:
            await self._serve(user_bot.make(self), self._client)
        except (UserCodeFails, ApiError, TypeError, ValueError) as error:
            self.bot.model.broken(TROUBLE, "-", f"{self.bot.name} cannot take part: {error}")

    async def _serve(self, bot: BaseBot, client: Client) -> None:
        await serve([bot], client, stop=self.stop, drain_seconds=DRAIN_SECONDS)

    def on_sdk_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Handle an event that the SDK passes to the bot's `on_event`."""
        if kind == "registered":
            self.bot.id = fields["bot_id"]
        elif kind in ("lost", "cancelled", "refused", "trouble"):
            reached(f"a bot heard `{kind}`")

    # ---- an attempt ------------------------------------------------------------------------------------------------

    async def attempt(self, context: Context, judged: tuple[str, ...] = ()) -> Answer:
        lease = self.bot.model.leased[context.lease_id]
        self._contexts[lease.lease_id] = context
        try:
            return _answer_of(await self._behaviour.attempt(lease, judged), context)
        finally:
            del self._contexts[lease.lease_id]
            self._behaviour.ended(lease)

    async def around(self, context: Context, work: Callable[[], Awaitable[object]]) -> object:
        """Run an attempt of a user's own bot, with faults of its process and its requests."""
        lease = self.bot.model.leased[context.lease_id]
        faults, bounds = self.bot.env.faults, self.bot.env.scenario.bounds
        place = self._behaviour.place(lease)
        for kind, vanish in (("bot.crash", False), ("bot.vanish", True)):
            if fault := faults.strike(kind, place):
                die = partial(self._die, fault, vanish=vanish)
                when = self.bot.fleet.work_seconds * fault.unit("when")
                self.bot.env.loop.call_later(when, die, context=contextvars.Context())
        if faults.strike("bot.zombie", place):
            self.bot.replace()
        if fault := faults.strike("bot.freeze", place):
            self.host.pause(round(fault.amount(bounds.lease_seconds) * SECOND))
        if faults.strike("bot.mute", place):
            self._transport.muted.add(lease.lease_id)
        answer = await work()
        if faults.strike("bot.hang", place):
            await asyncio.sleep(HANGS_SECONDS)
        if fault := faults.strike("bot.slow", place):
            await asyncio.sleep(fault.amount(bounds.timeout_seconds))
        if fault := faults.strike("bot.late", place):
            self._transport.muted.add(lease.lease_id)
            await asyncio.sleep(fault.amount(bounds.lease_seconds))
        if fault := faults.strike("bot.duplicate", place):
            self._transport.again[lease.lease_id] = (fault, bounds.lease_seconds)
        return answer

    def _die(self, fault: Fault, *, vanish: bool) -> None:
        if self.host.alive:
            self.bot.crash(self, fault, vanish=vanish)

    # ---- as the edge of an attempt ---------------------------------------------------------------------------------

    async def work(self, lease: LeaseSeen, seconds: float) -> None:
        context = self._contexts[lease.lease_id]
        await asyncio.sleep(seconds / 2)
        context.progress(0.5)
        context.checkpoint({"at": lease.attempt})
        await asyncio.sleep(seconds / 2)

    def mute(self, lease: LeaseSeen) -> None:
        self._transport.muted.add(lease.lease_id)

    def answers(self, lease: LeaseSeen) -> None:
        """Draw whether the report is sent twice. The SDK sends it, so the transport repeats it."""
        env = self.bot.env
        if fault := env.faults.strike("bot.duplicate", self._behaviour.place(lease)):
            self._transport.again[lease.lease_id] = (fault, env.scenario.bounds.lease_seconds)

    async def send(self, lease: LeaseSeen, content: Content, *, under: LeaseSeen | None = None) -> None:
        """Send a report directly, because the runner would not send it."""
        assert self._client is not None, "the process has not registered"
        to = under or lease
        body = {"bot_id": self.bot.id, "lease_id": to.lease_id, "status": "succeeded", **_body_of(content)}
        try:
            await self._client.calls.call("POST", f"/tasks/{to.task}/results", body)
        except Refused:
            reached("a plan or verdict was refused, to be mended")
        except ApiError as error:
            reached(f"a strange report was refused: {error.code}")


def _answer_of(answer: bots.Answer, context: Context) -> Answer:
    """Convert to the SDK's answer types, as a bot's author uses them."""
    if isinstance(answer, GiveBack):
        return Later(0 if answer.seconds is None else round(answer.seconds) + 1)
    if isinstance(answer, Question):
        return Ask(answer.text, choices=answer.choices)
    context.use(tokens=answer.tokens)
    match answer.content:
        case FailureContent(kind, words, retry_after, scope):
            wait = round(retry_after) if kind == "rate_limited" else None
            known = cast(Literal["retryable", "not_retryable", "rate_limited"], kind)
            return Failed(words, known, retry_after_seconds=wait, scope=scope)
        case PlanContent(subtasks):
            return Plan(list(subtasks))
        case OutputContent(output):
            return Done(output)
        case VerdictContent("accept", score, reasons):
            return Accept(score, list(reasons))
        case VerdictContent("reject", score, reasons):
            return Reject(list(reasons), score=score)
        case VerdictContent(_, score, reasons, targets, added):
            feedback = {str(target["subtask"]): str(target["feedback"]) for target in targets}
            return Rework(feedback, list(reasons), score=score, subtasks=list(added or ()))


def _body_of(content: Content) -> dict[str, Json]:
    match content:
        case PlanContent(subtasks):
            return {"plan": {"subtasks": list(subtasks)}}
        case VerdictContent():
            return {"verdict": content.as_json()}
        case OutputContent(output):
            return {"output": output}
        case UnreadableContent(wanted, number):
            return {wanted: {"n": number}}
        case FailureContent():
            raise AssertionError("failures are answers of the bot's own code")


# ---- bot classes ---------------------------------------------------------------------------------------------------


class _ChanceBot(BaseBot):
    def __init__(self, process: SdkBotProcess) -> None:
        self.process = process
        self.skills = process.bot.skills
        self.instance = ""  # not the machine's name: a run depends only on code and seed
        self.capacity = process.bot.fleet.capacity

    def on_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        self.process.on_sdk_event(kind, fields)


class _Planner(_ChanceBot, PlannerBot):
    async def plan(self, task: TaskDefinition, context: Context) -> Answer:
        return await self.process.attempt(context)


class _Executor(_ChanceBot, ExecutorBot):
    async def execute(self, subtask: SubTask, context: Context) -> Answer:
        return await self.process.attempt(context)


class _Evaluator(_ChanceBot, EvaluatorBot):
    async def review(self, candidate: Candidate, context: Context) -> Answer:
        judged = tuple(candidate.results) if candidate.of == "task" else ()
        return await self.process.attempt(context, judged)


_BOTS: Mapping[str, type[_ChanceBot]] = {"Planner": _Planner, "Executor": _Executor, "Evaluator": _Evaluator}
