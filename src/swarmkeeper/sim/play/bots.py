"""Random behaviour of bots, for all levels: how long they work, what they answer, and how they die, hang, send wrong
reports or report late. The edge of a level (`BotEdge`) carries it out: core/core_bots.py by commands, http/sdk_bots.py
through the SDK.

The outcome of an attempt is drawn from the item's name, round and number of tries. It depends neither on the bot nor on
lost leases, so equal seeds give equal answers at all levels.
"""

from __future__ import annotations

import asyncio
import contextvars
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from swarmkeeper.core.model import Json
from swarmkeeper.sim.kernel.faults import Fault
from swarmkeeper.sim.kernel.loop import SECOND, Host
from swarmkeeper.sim.oracle.seen import LeaseSeen
from swarmkeeper.sim.oracle.tenant_isolation import named, tenant_id
from swarmkeeper.sim.play.host import Environment
from swarmkeeper.sim.play.scenarios import AGAIN, ASKS_AGAIN, Fleet, plan_of, rework_of, skills_of

# Redaction recognizes it by its shape. It must never appear in evidence.
SECRET = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
OVERSIZED = 256 * 1024
HANGS_SECONDS = 1e6  # so long that the bot loses its lease first
PAST_MAX = 8  # ended leases that a process remembers


# ---- answers of a bot ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GiveBack:
    seconds: float | None  # until the item may be handed out again; None: at once


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailureContent:
    kind: str  # an error class
    words: str
    retry_after: float  # seconds, for `rate_limited`
    scope: str | None = None  # likewise


@dataclass(frozen=True, slots=True)
class PlanContent:
    subtasks: Sequence[dict[str, Json]]


@dataclass(frozen=True, slots=True)
class VerdictContent:
    decision: str
    score: float | None = None
    reasons: tuple[str, ...] = ()
    targets: Sequence[dict[str, Json]] = ()  # each with `subtask` and `feedback`
    added: Sequence[dict[str, Json]] | None = None

    def as_json(self) -> dict[str, Json]:
        """Return the verdict as a bot sends it, without empty fields."""
        plain: dict[str, Json] = {"decision": self.decision}
        if self.score is not None:
            plain["score"] = self.score
        if self.reasons:
            plain["reasons"] = list(self.reasons)
        if self.decision == "rework":
            plain["targets"] = list(self.targets)
        if self.added is not None:
            plain["subtasks"] = list(self.added)
        return plain


@dataclass(frozen=True, slots=True)
class OutputContent:
    output: dict[str, Json]


@dataclass(frozen=True, slots=True)
class UnreadableContent:
    """A malformed plan or verdict."""

    wanted: str  # "plan" or "verdict"
    number: int


Content = FailureContent | PlanContent | VerdictContent | OutputContent | UnreadableContent


@dataclass(frozen=True, slots=True)
class WorkResult:
    content: FailureContent | PlanContent | VerdictContent | OutputContent
    tokens: int


Answer = GiveBack | Question | WorkResult


# ---- edge, provider and processes ------------------------------------------------------------------------------------


class BotEdge(Protocol):
    """How a level carries out an attempt of its bots."""

    async def work(self, lease: LeaseSeen, seconds: float) -> None:
        """Work for this many seconds, and report progress as the level does."""

    def mute(self, lease: LeaseSeen) -> None:
        """Stop sending heartbeats for this lease."""

    def answers(self, lease: LeaseSeen) -> None:
        """Called before the final content is made, after all wrong reports have been sent."""

    async def send(self, lease: LeaseSeen, content: Content, *, under: LeaseSeen | None = None) -> None:
        """Send a report that may be refused while the attempt goes on. `under`: use that lease instead."""


class Provider:
    """The model provider of all bots. In a storm, it refuses every call as rate limited."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._until = 0

    def stormy(self, place: str) -> bool:
        if fault := self._env.faults.strike("provider.storm", place):
            bounds = self._env.scenario.bounds
            self._until = self._env.loop.now + round(fault.amount(bounds.timeout_seconds) * SECOND)
        return self._until > self._env.loop.now and not self._env.faults.healed


class BotProcess(Protocol):
    name: str  # of its connections
    host: Host

    async def run(self) -> None: ...

    def superseded(self) -> None:
        """Another process has taken the bot's name while this one lives."""


class SimBot(ABC):
    """One bot: its current process, and its restarts. Subclasses create the process of their level."""

    def __init__(
        self, env: Environment, type_: str, number: int, fleet: Fleet, tenant: int = 1, *, known_as: str | None = None
    ) -> None:
        # The name known to the orchestrator; other tenants have bots of that name, too.
        self.known_as = known_as or f"{type_.lower()}-{number}"
        self.name = named(tenant_id(tenant), self.known_as)
        self.env, self.type, self.fleet = env, type_, fleet
        self.skills: tuple[str, ...] = skills_of(env.scenario, number)
        self.id = ""  # empty until it is registered
        self.process: BotProcess | None = None
        self._runs = 0

    @abstractmethod
    def new_process(self, host: Host, number: int) -> BotProcess: ...

    def start(self) -> None:
        """Start a new process. The previous one, if it lives, finishes its leases."""
        before = self.process
        self._runs += 1
        self.process = self.new_process(Host(self.env.loop, f"{self.name}/{self._runs}"), self._runs)
        self.process.host.start(self.process.run())
        if before is not None and before.host.alive:
            before.superseded()

    def crash(self, process: Any, fault: Fault, *, vanish: bool) -> None:
        """Kill a process at once, and restart it if it is the current one. `vanish`: leave its connections open."""
        self.env.trace("crash", self.name, fault.name)
        process.host.die()
        if not vanish:
            self.env.network.drop(process.name)
        if process is self.process:
            down = fault.amount(self.env.scenario.bounds.lease_seconds)
            self.env.loop.call_later(down, self.start, context=contextvars.Context())

    def replace(self) -> None:
        """Start another process under this bot's name while the current one lives."""
        self.env.loop.call_soon(self.start, context=contextvars.Context())


# ---- an attempt ------------------------------------------------------------------------------------------------------


class Behaviour:
    """The behaviour of one process of a bot, attempt by attempt."""

    def __init__(self, bot: SimBot, provider: Provider, process: Any, host: Host, edge: BotEdge) -> None:
        self._bot, self._provider, self._process, self._host, self._edge = bot, provider, process, host, edge
        self._env, self._fleet = bot.env, bot.fleet
        self._choice, self._faults = bot.env.choice, bot.env.faults
        self.past: list[LeaseSeen] = []  # ended leases, the newest last

    def ended(self, lease: LeaseSeen) -> None:
        self.past = [*self.past[1 - PAST_MAX :], lease]

    def place(self, lease: LeaseSeen) -> str:
        """Return the place of an attempt's faults: `bot:task/item`."""
        return f"{self._bot.name}:{lease.label}"

    async def attempt(self, lease: LeaseSeen, judged: Sequence[str]) -> Answer:
        """Work on an item. `judged` are the keys of the subtasks to review."""
        await self._pass_time(lease)
        return await self._answer(lease, judged)

    async def _pass_time(self, lease: LeaseSeen) -> None:
        faults, bounds, place = self._faults, self._env.scenario.bounds, self.place(lease)
        seconds = min(
            self._fleet.seconds(self._choice, "seconds", lease.label, lease.round, lease.tries),
            bounds.timeout_seconds * 0.9,
        )
        seconds = await self._strike_process(place, seconds)
        if faults.strike("bot.mute", place):
            self._edge.mute(lease)
        if faults.strike("bot.hang", place):
            seconds = HANGS_SECONDS
        await self._edge.work(lease, seconds)
        if fault := faults.strike("bot.late", place):
            self._edge.mute(lease)
            await asyncio.sleep(fault.amount(bounds.lease_seconds))

    async def _strike_process(self, place: str, seconds: float) -> float:
        """Let process faults strike an attempt of `seconds`. Return how long it takes then; never return on a crash."""
        faults, bounds = self._faults, self._env.scenario.bounds
        for kind, vanish in (("bot.crash", False), ("bot.vanish", True)):
            if fault := faults.strike(kind, place):
                await asyncio.sleep(seconds * fault.unit("when"))
                self._bot.crash(self._process, fault, vanish=vanish)
                await asyncio.get_running_loop().create_future()
        if faults.strike("bot.zombie", place):
            self._bot.replace()
        if fault := faults.strike("bot.freeze", place):
            self._host.pause(round(fault.amount(bounds.lease_seconds) * SECOND))
        if fault := faults.strike("bot.slow", place):
            seconds += fault.amount(bounds.timeout_seconds)
        return seconds

    async def _answer(self, lease: LeaseSeen, judged: Sequence[str]) -> Answer:
        place = self.place(lease)
        key = ("outcome", lease.label, lease.round, lease.tries)
        outcome = self._outcome(lease, place, key)
        if outcome == "released":
            return GiveBack(None)
        if outcome == "deferred":
            return GiveBack(self._choice.waiting(20, "delay", *key))
        if outcome == "asks" and self._choice.hit(ASKS_AGAIN, "ask", lease.label, lease.attempt):
            return Question("which?", ("a", "b"))
        outcome = "done" if outcome == "asks" else outcome
        await self._send_wrong_reports(lease, place, sound=outcome == "done")
        self._edge.answers(lease)
        secret = SECRET if self._faults.strike("bot.secret", place) else ""
        tokens = self._fleet.tokens * (100 if self._faults.strike("provider.spike", place) else 1)
        if outcome == "done":
            return WorkResult(self._content(lease, place, secret, judged), tokens)
        wait = self._choice.waiting(10, "wait", lease.label, lease.attempt)
        scope = "provider" if self._env.scenario.limited and outcome == "rate_limited" else None
        return WorkResult(FailureContent(outcome, f"it did not work {secret}", wait, scope), tokens)

    def _outcome(self, lease: LeaseSeen, place: str, key: tuple[object, ...]) -> str:
        outcome = self._fleet.outcome(self._choice, *key)
        if self._provider.stormy(place):
            return "rate_limited"
        # These outcomes cost no try, so without a second draw they would repeat for ever.
        again = self._choice.hit(AGAIN, "now", lease.label, lease.attempt)
        return "done" if outcome in ("released", "deferred", "rate_limited") and not again else outcome

    def _content(
        self, lease: LeaseSeen, place: str, secret: str, judged: Sequence[str]
    ) -> PlanContent | VerdictContent | OutputContent:
        if lease.kind == "plan":
            return PlanContent(plan_of(self._env.scenario, self._choice, lease.title))
        if lease.kind == "review":
            return self._verdict(lease, secret, judged)
        output: dict[str, Json] = {"of": lease.label, "round": lease.round, "said": secret}
        if self._faults.strike("bot.oversized", place):
            output["long"] = "x" * OVERSIZED
        return OutputContent(output)

    def _verdict(self, lease: LeaseSeen, secret: str, judged: Sequence[str]) -> VerdictContent:
        choice, key = self._choice, ("verdict", lease.label, lease.round)
        decision = choice.weighted(list(self._env.scenario.verdicts.items()), *key)
        score, reasons = choice.below(100, "score", *key) / 100, (f"so it is {secret}",)
        if decision != "rework":
            return VerdictContent(decision, score, reasons)
        targets, added = rework_of(choice, judged, *key)
        listed: list[dict[str, Json]] = [{"subtask": key, "feedback": words} for key, words in targets.items()]
        return VerdictContent(decision, score, reasons, listed, added)

    # ---- wrong reports ---------------------------------------------------------------------------------------------

    async def _send_wrong_reports(self, lease: LeaseSeen, place: str, *, sound: bool) -> None:
        faults, send = self._faults, self._edge.send
        if (fault := faults.strike("bot.wrong_fence", place)) and (
            others := [past for past in self.past if past.kind == lease.kind]
        ):
            await send(lease, _valid_content(lease), under=others[int(fault.unit("which") * len(others))])
        if faults.strike("bot.garbage", place):
            strange = VerdictContent("accept") if lease.kind == "execute" else OutputContent({"said": "?"})
            await send(lease, strange)
        if faults.strike("bot.wrong_schema", place):
            await send(lease, UnreadableContent("verdict" if lease.kind == "review" else "plan", lease.attempt))
        key = (lease.label, lease.round, lease.attempt)
        if sound and lease.kind != "execute" and self._choice.hit(self._fleet.unsound, "unsound", *key):
            await send(lease, _invalid_content(lease))


def _valid_content(lease: LeaseSeen) -> Content:
    """Return a valid result for a lease of this kind."""
    if lease.kind == "plan":
        return PlanContent([{"key": "a", "description": "wrong"}])
    if lease.kind == "review":
        return VerdictContent("accept", reasons=("wrong",))
    return OutputContent({"said": "wrong"})


def _invalid_content(lease: LeaseSeen) -> Content:
    if lease.kind == "plan":
        return PlanContent(
            [
                {"key": "a", "description": "a", "depends_on": ["b"]},
                {"key": "b", "description": "b", "depends_on": ["a"]},
            ]
        )
    return VerdictContent("rework", targets=[{"subtask": "nobody"}])
