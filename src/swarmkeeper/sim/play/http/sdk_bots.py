"""The bots of the second level: real bots of the SDK, run by its runner, whose code behaves by chance.

What comes of an attempt is drawn as for the bots of level core (core_bots.py), from the item's name, round and number
of tries: equal seeds give equal answers at both levels. What the SDK itself does (claims, beats, reports, tries again)
is left to it.
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
from swarmkeeper.sim.kernel.chance import Chance
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.faults import Fault
from swarmkeeper.sim.kernel.loop import SECOND, Host
from swarmkeeper.sim.kernel.network import Network
from swarmkeeper.sim.oracle.http_answers import HttpModel
from swarmkeeper.sim.oracle.seen import LeaseSeen
from swarmkeeper.sim.oracle.tenant_isolation import named, tenant_id
from swarmkeeper.sim.play.core.core_bots import HANGS_SECONDS, OVERSIZED, SECRET, Provider, befalls
from swarmkeeper.sim.play.host import Environment
from swarmkeeper.sim.play.http.http_edge import HttpEdge, SimTransport
from swarmkeeper.sim.play.scenarios import AGAIN, ASKS_AGAIN, Fleet, plan_of, rework_of, skills_of
from swarmkeeper.sim.user_code import TROUBLE, UserCodeFails
from swarmkeeper.wire.requests import SubTask, TaskDefinition

KeyOf = Callable[[str], Awaitable[str]]
# A bot that was replaced finishes what it holds, however long that takes.
DRAIN_SECONDS = 1e6


@dataclass(frozen=True, slots=True)
class UserBotPart:
    """A bot of the user's own: its name in the run, and who makes it for each of its processes (user_bots.py)."""

    name: str
    make: Callable[[SdkBotProcess], BaseBot]


class SdkBot:
    """One bot: its present process, and what becomes of it."""

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
        own: UserBotPart | None = None,
        tenant: int = 1,
    ) -> None:
        self.env, self.network, self.model, self.provider, self.key_of = env, network, model, provider, key_of
        self.type, self.fleet, self.own = type_, fleet, own
        self.known_as = f"{type_.lower()}-{number}" if own is None else own.name  # to the orchestrator
        self.name = named(tenant_id(tenant), self.known_as)
        self.skills = skills_of(env.scenario, number)
        self.id = ""
        self._runs = 0
        self._process: SdkBotProcess | None = None

    def start(self) -> None:
        """A new process. The one before, if it lives, finishes what it holds."""
        before = self._process
        self._runs += 1
        self._process = SdkBotProcess(self, Host(self.env.loop, f"{self.name}/{self._runs}"), self._runs)
        self._process.host.start(self._process.run())
        if before is not None and before.host.alive:
            before.stop.set()

    def crash(self, process: SdkBotProcess, fault: Fault, *, vanish: bool) -> None:
        self.env.trace("crash", self.name, fault.name)
        process.host.die()
        if not vanish:
            self.network.drop(process.name)
        if process is self._process:
            down = fault.amount(self.env.scenario.bounds.lease_seconds)
            self.env.loop.call_later(down, self.start, context=contextvars.Context())

    def replace(self) -> None:
        """Another process takes this one's name, while it lives."""
        self.env.loop.call_soon(self.start, context=contextvars.Context())


class SdkBotProcess:
    def __init__(self, bot: SdkBot, host: Host, number: int) -> None:
        self.bot, self.host, self.number = bot, host, number
        self.name = f"{bot.name}/{number}"
        self.env = bot.env
        self.stop = asyncio.Event()
        self._choice, self._faults, self._fleet = bot.env.choice, bot.env.faults, bot.fleet
        self._past: list[LeaseSeen] = []  # leases that are over
        self._transport = SimTransport(
            bot.network, bot.model, host, source=bot.name, connection=self.name, number=number
        )
        self._client: Client | None = None

    async def run(self) -> None:
        key = await self.bot.key_of(self.bot.name)
        chance = Chance(self._choice.seed, f"sdk/{self.name}")
        self._client = Client("http://swarmkeeper", key, transport=self._transport, chance=chance)
        own = self.bot.own
        if own is None:
            await self._serve(_BOTS[self.bot.type](self), self._client)
            return
        try:
            await self._serve(own.make(self), self._client)
        except (UserCodeFails, ApiError, TypeError, ValueError) as error:
            self.bot.model.broken(TROUBLE, "-", f"{self.bot.name} cannot take part: {error}")

    async def _serve(self, bot: BaseBot, client: Client) -> None:
        await serve([bot], client, stop=self.stop, drain_seconds=DRAIN_SECONDS)

    def heard(self, kind: str, fields: Mapping[str, Any]) -> None:
        """What the SDK tells its bot's author."""
        if kind == "registered":
            self.bot.id = fields["bot_id"]
        elif kind in ("lost", "cancelled", "refused", "trouble"):
            reached(f"a bot heard `{kind}`")

    # ---- an attempt ------------------------------------------------------------------------------------------------

    async def attempt(self, context: Context, judges: tuple[str, ...] = ()) -> Answer:
        lease = self.bot.model.leased[context.lease_id]
        try:
            await self._pass_time(lease, context)
            return await self._answer(lease, context, judges)
        finally:
            self._past = [*self._past[-7:], lease]

    async def _pass_time(self, lease: LeaseSeen, context: Context) -> None:
        faults, bounds = self._faults, self.env.scenario.bounds
        place = f"{self.bot.name}:{lease.label}"
        seconds = min(
            self._fleet.seconds(self._choice, "seconds", lease.label, lease.round, lease.tries),
            bounds.timeout_seconds * 0.9,
        )
        seconds = await befalls(self.bot, self, self.host, self.env, place, seconds)
        if faults.strike("bot.mute", place):
            self._transport.muted.add(lease.lease_id)
        if faults.strike("bot.hang", place):
            seconds = HANGS_SECONDS
        await asyncio.sleep(seconds / 2)
        context.progress(0.5)
        context.checkpoint({"at": lease.attempt})
        await asyncio.sleep(seconds / 2)
        if fault := faults.strike("bot.late", place):
            self._transport.muted.add(lease.lease_id)
            await asyncio.sleep(fault.amount(bounds.lease_seconds))

    async def around(self, context: Context, work: Callable[[], Awaitable[object]]) -> object:
        """An attempt of a bot of the user's own, and what happens to it on the way."""
        lease = self.bot.model.leased[context.lease_id]
        faults, bounds = self._faults, self.env.scenario.bounds
        place = f"{self.bot.name}:{lease.label}"
        for kind, vanish in (("bot.crash", False), ("bot.vanish", True)):
            if fault := faults.strike(kind, place):
                die = partial(self._die, fault, vanish=vanish)
                when = self._fleet.work_seconds * fault.unit("when")
                self.env.loop.call_later(when, die, context=contextvars.Context())
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

    async def _answer(self, lease: LeaseSeen, context: Context, judges: tuple[str, ...]) -> Answer:
        place = f"{self.bot.name}:{lease.label}"
        key = ("outcome", lease.label, lease.round, lease.tries)
        outcome = self._outcome(lease, place, key)
        if outcome == "released":
            return Later(0)
        if outcome == "deferred":
            return Later(round(self._choice.waiting(20, "delay", *key)) + 1)
        if outcome == "asks" and self._choice.hit(ASKS_AGAIN, "ask", lease.label, lease.attempt):
            return Ask("which?", choices=("a", "b"))
        await self._stray(lease, place, sound=outcome in ("done", "asks"))
        if fault := self._faults.strike("bot.duplicate", place):
            self._transport.again[lease.lease_id] = (fault, self.env.scenario.bounds.lease_seconds)
        secret = SECRET if self._faults.strike("bot.secret", place) else ""
        context.use(tokens=self._fleet.tokens * (100 if self._faults.strike("provider.spike", place) else 1))
        if outcome in ("done", "asks"):
            return self._good(lease, place, secret, judges)
        wait = round(self._choice.waiting(10, "wait", lease.label, lease.attempt))
        limited = outcome == "rate_limited"
        kind = cast(Literal["retryable", "not_retryable", "rate_limited"], outcome)
        return Failed(f"it did not work {secret}", kind, retry_after_seconds=wait if limited else None)

    def _outcome(self, lease: LeaseSeen, place: str, key: tuple[object, ...]) -> str:
        outcome = self._fleet.outcome(self._choice, *key)
        stormy = self.bot.provider.stormy(place)
        if stormy:
            return "rate_limited"
        once = self._choice.hit(AGAIN, "now", lease.label, lease.attempt)  # what costs no try must not go on for ever
        return "done" if outcome in ("released", "deferred", "rate_limited") and not once else outcome

    def _good(self, lease: LeaseSeen, place: str, secret: str, judges: tuple[str, ...]) -> Answer:
        if lease.kind == "plan":
            return Plan(plan_of(self.env.scenario, self._choice, lease.title))
        if lease.kind == "review":
            return self._verdict(lease, secret, judges)
        output: dict[str, Json] = {"of": lease.label, "round": lease.round, "said": secret}
        if self._faults.strike("bot.oversized", place):
            output["long"] = "x" * OVERSIZED
        return Done(output)

    def _verdict(self, lease: LeaseSeen, secret: str, judges: tuple[str, ...]) -> Answer:
        choice, key = self._choice, ("verdict", lease.label, lease.round)
        decision = choice.weighted(list(self.env.scenario.verdicts.items()), *key)
        score, reasons = choice.below(100, "score", *key) / 100, [f"so it is {secret}"]
        if decision == "accept":
            return Accept(score, reasons)
        if decision == "reject":
            return Reject(reasons, score=score)
        targets, added = rework_of(choice, judges, *key)
        return Rework(targets, reasons, score=score, subtasks=added)

    # ---- what nobody should send: past the runner, which would not ---------------------------------------------------

    async def _stray(self, lease: LeaseSeen, place: str, *, sound: bool) -> None:
        faults = self._faults
        if (fault := faults.strike("bot.wrong_fence", place)) and (
            others := [one for one in self._past if one.kind == lease.kind]
        ):
            old = others[int(fault.unit("which") * len(others))]
            await self._send(old, {"status": "succeeded", **_plain(lease, "wrong")})
        if faults.strike("bot.garbage", place):
            strange: dict[str, Json] = {"verdict": {"decision": "accept"}}
            await self._send(lease, strange if lease.kind == "execute" else {"output": {"said": "?"}})
        if faults.strike("bot.wrong_schema", place):
            await self._send(lease, {"verdict" if lease.kind == "review" else "plan": {"n": lease.attempt}})
        key = (lease.label, lease.round, lease.attempt)
        if sound and lease.kind != "execute" and self._choice.hit(self._fleet.unsound, "unsound", *key):
            await self._send(lease, _unsound(lease))

    async def _send(self, lease: LeaseSeen, content: dict[str, Json]) -> None:
        """Send what will, or may, be refused; the lease that is worked on lives on."""
        assert self._client is not None, "a process that works has registered"
        body = {"bot_id": self.bot.id, "lease_id": lease.lease_id, "status": "succeeded", **content}
        try:
            await self._client.calls.call("POST", f"/tasks/{lease.task}/results", body)
        except Refused:
            reached("a plan or verdict was refused, to be mended")
        except ApiError as error:
            reached(f"a strange report was refused: {error.code}")


def _plain(lease: LeaseSeen, word: str) -> dict[str, Json]:
    if lease.kind == "plan":
        return {"plan": {"subtasks": [{"key": "a", "description": word}]}}
    if lease.kind == "review":
        return {"verdict": {"decision": "accept", "reasons": [word]}}
    return {"output": {"said": word}}


def _unsound(lease: LeaseSeen) -> dict[str, Json]:
    if lease.kind == "plan":
        circle = [
            {"key": "a", "description": "a", "depends_on": ["b"]},
            {"key": "b", "description": "b", "depends_on": ["a"]},
        ]
        return {"plan": {"subtasks": circle}}
    return {"verdict": {"decision": "rework", "targets": [{"subtask": "nobody"}]}}


# ---- what an author writes -----------------------------------------------------------------------------------------


class _ChanceBot(BaseBot):
    def __init__(self, process: SdkBotProcess) -> None:
        self.process = process
        self.skills = process.bot.skills
        self.instance = ""  # not this machine's: a run depends on nothing but code and seed
        self.capacity = process.bot.fleet.capacity

    def on_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        self.process.heard(kind, fields)


class _Planner(_ChanceBot, PlannerBot):
    async def plan(self, task: TaskDefinition, context: Context) -> Answer:
        return await self.process.attempt(context)


class _Executor(_ChanceBot, ExecutorBot):
    async def execute(self, subtask: SubTask, context: Context) -> Answer:
        return await self.process.attempt(context)


class _Evaluator(_ChanceBot, EvaluatorBot):
    async def review(self, candidate: Candidate, context: Context) -> Answer:
        judges = tuple(candidate.results) if candidate.of == "task" else ()
        return await self.process.attempt(context, judges)


_BOTS: Mapping[str, type[_ChanceBot]] = {"Planner": _Planner, "Executor": _Executor, "Evaluator": _Evaluator}
