"""Bots that behave by chance: each claims, works for a while, beats, and reports, as the bots of the SDK do; and each
can die, hang, lie or come too late.

What comes of an attempt is drawn from the item's name, round and number of tries: it does not depend on which bot has
it, nor on how often a lease was lost on the way.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from swarmkeeper.core import commands, graph
from swarmkeeper.core.decide import review
from swarmkeeper.core.errors import Invalid, InvalidPlan, SwarmkeeperError
from swarmkeeper.core.model import Failure, Json, Principal
from swarmkeeper.core.states import ErrorClass
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.faults import Fault
from swarmkeeper.sim.kernel.loop import SECOND, Host
from swarmkeeper.sim.kernel.network import NoAnswer
from swarmkeeper.sim.oracle.seen import LeaseSeen
from swarmkeeper.sim.oracle.tenant_isolation import named, tenant_id
from swarmkeeper.sim.play.host import Environment, Party
from swarmkeeper.sim.play.scenarios import AGAIN, ASKS_AGAIN, Fleet, plan_of, rework_of, skills_of

# Redaction knows it by its shape. Nothing of the evidence may ever hold it.
SECRET = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
OVERSIZED = 256 * 1024
HANGS_SECONDS = 1e6  # until it is told that its lease is lost


def canonical(value: Json) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@dataclass(slots=True)
class HeldLease:
    lease: LeaseSeen
    work: asyncio.Task[None] | None = None
    mute: bool = False  # no heartbeat for it
    progress: int = 0


class Provider:
    """What all bots' models run on: it has storms."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._until = 0

    def stormy(self, place: str) -> bool:
        if fault := self._env.faults.strike("provider.storm", place):
            bounds = self._env.scenario.bounds
            self._until = self._env.loop.now + round(fault.amount(bounds.timeout_seconds) * SECOND)
        return self._until > self._env.loop.now and not self._env.faults.healed


class Mortal(Protocol):
    """A bot, to its process."""

    def crash(self, process: Any, fault: Fault, *, vanish: bool) -> None: ...

    def replace(self) -> None: ...


async def befalls(bot: Mortal, process: Any, host: Host, env: Environment, place: str, seconds: float) -> float:
    """What happens to a bot's process in an attempt of so many seconds; how many it takes then. Who dies, dies here."""
    faults, bounds = env.faults, env.scenario.bounds
    for kind, vanish in (("bot.crash", False), ("bot.vanish", True)):
        if fault := faults.strike(kind, place):
            await asyncio.sleep(seconds * fault.unit("when"))
            bot.crash(process, fault, vanish=vanish)
            await asyncio.get_running_loop().create_future()
    if faults.strike("bot.zombie", place):
        bot.replace()
    if fault := faults.strike("bot.freeze", place):
        host.pause(round(fault.amount(bounds.lease_seconds) * SECOND))
    if fault := faults.strike("bot.slow", place):
        seconds += fault.amount(bounds.timeout_seconds)
    return seconds


class CoreBot(Party):
    """One bot: its present process, and what becomes of it."""

    def __init__(
        self, env: Environment, provider: Provider, type_: str, number: int, fleet: Fleet, tenant: int = 1
    ) -> None:
        self.known_as = f"{type_.lower()}-{number}"  # to the orchestrator; other tenants have bots of that name, too
        name, role = named(tenant_id(tenant), self.known_as), f"bot:{type_.lower()}"
        super().__init__(env, name, Principal(tenant_id(tenant), f"key_{name}", role, bot=self.known_as))
        self._provider, self._type, self._number, self._fleet = provider, type_, number, fleet
        self._runs = 0
        self.id = ""

    def start(self) -> None:
        """A new process. The one before, if it lives, does not know of it."""
        self._runs += 1
        self.host = Host(self.env.loop, f"{self.name}/{self._runs}")
        process = CoreBotProcess(self, self.host, self._runs)
        self.process = process.name
        self.host.start(process.run())

    def crash(self, process: CoreBotProcess, fault: Fault, *, vanish: bool) -> None:
        self.env.trace("crash", self.name, fault.name)
        process.host.die()
        if not vanish:
            self.env.network.drop(process.name)
        if process.host is self.host:
            down = fault.amount(self.env.scenario.bounds.lease_seconds)
            self.env.loop.call_later(down, self.start, context=contextvars.Context())

    def replace(self) -> None:
        """Another process takes this one's name, while it lives."""
        self.env.loop.call_soon(self.start, context=contextvars.Context())

    @property
    def skills(self) -> tuple[str, ...]:
        return skills_of(self.env.scenario, self._number)


class CoreBotProcess:
    def __init__(self, bot: CoreBot, host: Host, number: int) -> None:
        self.bot, self.host, self.number = bot, host, number
        self.name = f"{bot.name}/{number}"
        self.env = bot.env
        self._choice, self._faults, self._fleet = bot.env.choice, bot.env.faults, bot._fleet
        self._held: dict[str, HeldLease] = {}
        self._changed = asyncio.Event()
        self._past: list[LeaseSeen] = []  # leases that are over

    async def run(self) -> None:
        bot = self.bot
        register = commands.Register(
            by=bot.by, type=bot._type, version="1", name=bot.known_as, skills=bot.skills, capacity=self._fleet.capacity
        )
        bot.id = (await bot.ask(f"register.{self.number}", lambda edge, call: edge.do(call, register)))[0]
        self.host.start(self._beat_forever())
        await self._claim_while_current()

    # ---- claiming --------------------------------------------------------------------------------------------------

    async def _claim_while_current(self) -> None:
        """Until another process has this one's name; what is held by then is worked on."""
        wait = self.env.scenario.poll_seconds
        n = 0
        while self.bot.host is self.host:
            room = self._fleet.capacity - len(self._held)
            if room <= 0:
                self._changed.clear()
                await self._changed.wait()
                continue
            n += 1
            # Half of those that were restarted ask for what their last process may have got.
            again = self.number > 1 and n == 1 and self._choice.hit(0.5, "again", self.name)
            known_as = self.bot.known_as
            claim_id = f"{known_as}/{self.number - 1}/1" if again else f"{known_as}/{self.number}/{n}"
            claim = commands.Claim(by=self.bot.by, bot=self.bot.id, most=room, claim_id=claim_id)
            try:
                took = self._take(await self._lease(claim, wait))
            except SwarmkeeperError:
                await asyncio.sleep(5)
                continue
            if not took:
                await asyncio.sleep(1)

    async def _lease(self, claim: commands.Claim, wait: float) -> tuple[LeaseSeen, ...]:
        what = f"lease.{self.number}"
        return await self.bot.ask(what, lambda edge, call: edge.lease(call, claim, wait), seconds=wait + 10)

    def _take(self, leases: tuple[LeaseSeen, ...]) -> bool:
        for lease in leases:
            if lease.lease_id not in self._held and all(lease.lease_id != one.lease_id for one in self._past):
                held = self._held[lease.lease_id] = HeldLease(lease)
                held.work = self.host.spawn(self._work(held))
        self._changed.set()
        return bool(leases)

    # ---- beating ---------------------------------------------------------------------------------------------------

    async def _beat_forever(self) -> None:
        while True:
            heard = [held for held in self._held.values() if not held.mute]
            if heard:
                await self._beat(heard)
            self._changed.clear()
            every = min((held.lease.ttl for held in heard), default=0) / SECOND / 3
            if not every:
                await self._changed.wait()
                continue
            try:
                async with asyncio.timeout(every):
                    known = set(self._held)
                    while known >= set(self._held):  # one that is new is told of at once
                        self._changed.clear()
                        await self._changed.wait()
            except TimeoutError:
                pass

    async def _beat(self, heard: list[HeldLease]) -> None:
        for held in heard:
            held.progress += 1
        pulses = tuple(
            commands.Pulse(
                lease_id=held.lease.lease_id,
                progress={"done": held.progress} if held.progress % 4 == 0 else None,
                checkpoint=canonical({"at": held.progress}) if held.progress % 8 == 0 else None,
            )
            for held in heard
        )
        beat = commands.Beat(by=self.bot.by, bot=self.bot.id, pulses=pulses)
        try:
            beaten = await self.bot.once(f"beat.{self.number}", lambda edge, call: edge.beat(call, beat))
        except (SwarmkeeperError, NoAnswer):
            return
        for one in beaten.directives:
            known = self._held.get(one.lease_id)
            if known is not None and one.directive != "continue":
                reached(f"a bot heard `{one.directive}`")
                if known.work is not None:
                    known.work.cancel()
                self._over(known)

    def _over(self, held: HeldLease) -> None:
        if self._held.pop(held.lease.lease_id, None) is not None:
            self._past = [*self._past[-7:], held.lease]
        self._changed.set()

    # ---- working ---------------------------------------------------------------------------------------------------

    async def _work(self, held: HeldLease) -> None:
        lease, faults, bounds = held.lease, self._faults, self.env.scenario.bounds
        place = f"{self.bot.name}:{lease.label}"
        try:
            seconds = min(
                self._fleet.seconds(self._choice, "seconds", lease.label, lease.round, lease.tries),
                bounds.timeout_seconds * 0.9,
            )
            seconds = await befalls(self.bot, self, self.host, self.env, place, seconds)
            held.mute = faults.strike("bot.mute", place) is not None
            if faults.strike("bot.hang", place):
                seconds = HANGS_SECONDS
            await asyncio.sleep(seconds)
            if fault := faults.strike("bot.late", place):
                held.mute = True
                await asyncio.sleep(fault.amount(bounds.lease_seconds))
            await self._finish(held, place)
        except SwarmkeeperError as error:
            reached(f"an attempt ended with {error.code}")
        finally:
            if self.host.alive:
                self._over(held)

    async def _finish(self, held: HeldLease, place: str) -> None:
        lease = held.lease
        key = ("outcome", lease.label, lease.round, lease.tries)
        outcome = self._fleet.outcome(self._choice, *key)
        if self._provider_is_stormy(place):
            outcome = "rate_limited"
        once = self._choice.hit(AGAIN, "now", lease.label, lease.attempt)  # what costs no try must not go on for ever
        if outcome in ("released", "deferred", "rate_limited") and not once and not self._provider_is_stormy(place):
            outcome = "done"
        if outcome in ("released", "deferred"):
            delay = 0 if outcome == "released" else round(self._choice.waiting(20, "delay", *key) * SECOND) + 1
            back = commands.Release(by=self.bot.by, lease_id=lease.lease_id, delay=delay)
            await self.bot.ask(f"release.{lease.label}", lambda edge, call: edge.do(call, back))
        elif outcome == "asks" and self._choice.hit(ASKS_AGAIN, "ask", lease.label, lease.attempt):
            question = commands.Ask(by=self.bot.by, lease_id=lease.lease_id, question="which?", choices=("a", "b"))
            await self.bot.ask(f"ask.{lease.label}", lambda edge, call: edge.do(call, question))
        else:
            await self._report(lease, place, "done" if outcome == "asks" else outcome)

    def _provider_is_stormy(self, place: str) -> bool:
        return self.bot._provider.stormy(place)

    # ---- reporting -------------------------------------------------------------------------------------------------

    async def _report(self, lease: LeaseSeen, place: str, outcome: str) -> None:
        faults = self._faults
        if fault := faults.strike("bot.wrong_fence", place):
            await self._send_wrong(lease, fault)
        for kind, wrong in (("bot.garbage", self._garbage(lease)), ("bot.wrong_schema", self._unreadable(lease))):
            if faults.strike(kind, place):
                await self._send_refused(lease, wrong)
        key = (lease.label, lease.round, lease.attempt)
        if outcome == "done" and lease.kind != "execute" and self._choice.hit(self._fleet.unsound, "unsound", *key):
            await self._send_refused(lease, self._unsound(lease))
        report = self._content(lease, place, outcome)
        more = self._choice.hit(0.5, "more", *key)
        claim = commands.Claim(by=self.bot.by, bot=self.bot.id, most=1, claim_id=lease.lease_id) if more else None
        try:
            _, leases = await self.bot.ask(
                f"report.{lease.label}", lambda edge, call: edge.report(call, report, claim), seconds=20
            )
            self._take(leases)
        finally:
            if self.host.alive and (fault := faults.strike("bot.duplicate", place)):
                self.host.start(self._send_again(report, lease, fault))

    async def _send_again(self, report: commands.Report, lease: LeaseSeen, fault: Fault) -> None:
        await asyncio.sleep(fault.amount(self.env.scenario.bounds.lease_seconds))
        await self._send_refused(lease, report)

    async def _send_refused(self, lease: LeaseSeen, report: commands.Report) -> None:
        """Send what will, or may, be refused; the lease lives on."""
        try:
            await self.bot.ask(f"report.{lease.label}", lambda edge, call: edge.report(call, report), seconds=20)
        except (Invalid, InvalidPlan):
            reached("a plan or verdict was refused, to be mended")
        except SwarmkeeperError as error:
            reached(f"a strange report was refused: {error.code}")

    async def _send_wrong(self, lease: LeaseSeen, fault: Fault) -> None:
        """The result of this lease, under another that the bot had before."""
        others = [one for one in self._past if one.kind == lease.kind]
        if others:
            old = others[int(fault.unit("which") * len(others))]
            report = replace(self._content(lease, "-", "done"), lease_id=old.lease_id, task=old.task)
            await self._send_refused(lease, report)

    def _made(self, lease: LeaseSeen, content: Json, **given: Any) -> commands.Report:
        body = canonical(content)
        return commands.Report(
            by=self.bot.by,
            bot=self.bot.id,
            task=lease.task,
            lease_id=lease.lease_id,
            content=body,
            content_hash=hashlib.sha256(body).hexdigest(),
            **given,
        )

    def _content(self, lease: LeaseSeen, place: str, outcome: str) -> commands.Report:
        secret = SECRET if self._faults.strike("bot.secret", place) else ""
        times = 100 if self._faults.strike("provider.spike", place) else 1
        usage: Mapping[str, int] = {"tokens": self._fleet.tokens * times}
        if outcome != "done":
            words = f"it did not work {secret}"
            wait = round(self._choice.waiting(10, "wait", lease.label, lease.attempt) * SECOND)
            failure = Failure(ErrorClass(outcome), words, wait if outcome == "rate_limited" else None)
            return self._made(lease, {"failure": outcome, "words": words}, failure=failure, usage=usage)
        if lease.kind == "plan":
            plan = plan_of(self.env.scenario, self._choice, lease.title)
            return self._made(lease, {"plan": plan}, plan=tuple(map(graph.from_json, plan)), usage=usage)
        if lease.kind == "review":
            verdict = self._verdict(lease, secret)
            return self._made(lease, {"verdict": verdict}, verdict=review.from_json(verdict), usage=usage)
        output: dict[str, Json] = {"of": lease.label, "round": lease.round, "said": secret}
        if self._faults.strike("bot.oversized", place):
            output["long"] = "x" * OVERSIZED
        return self._made(lease, {"output": output}, output=canonical(output), usage=usage)

    def _verdict(self, lease: LeaseSeen, secret: str) -> dict[str, Json]:
        choice, key = self._choice, ("verdict", lease.label, lease.round)
        decision = choice.weighted(list(self.env.scenario.verdicts.items()), *key)
        verdict: dict[str, Json] = {
            "decision": decision,
            "score": choice.below(100, "score", *key) / 100,
            "reasons": [f"so it is {secret}"],
        }
        if decision == "rework":
            targets, added = rework_of(choice, lease.judges, *key)
            verdict["targets"] = [{"subtask": one, "feedback": words} for one, words in targets.items()]
            verdict["subtasks"] = added
        return verdict

    # ---- what nobody should send -----------------------------------------------------------------------------------

    def _garbage(self, lease: LeaseSeen) -> commands.Report:
        if lease.kind == "execute":
            verdict = {"decision": "accept"}
            return self._made(lease, {"verdict": verdict}, verdict=review.from_json(verdict))
        return self._made(lease, {"output": "\x00?"}, output=b'"?"')

    def _unreadable(self, lease: LeaseSeen) -> commands.Report:
        wanted = {"plan": "plan", "review": "verdict"}.get(lease.kind, "plan")
        errors = ((f"/{wanted}", "type", "must be an object"),)
        return self._made(lease, {wanted: 7, "n": lease.attempt}, errors=errors, errors_in=wanted)

    def _unsound(self, lease: LeaseSeen) -> commands.Report:
        if lease.kind == "plan":
            plan = [{"key": "a", "depends_on": ["b"]}, {"key": "b", "depends_on": ["a"]}]
            return self._made(lease, {"plan": plan}, plan=tuple(map(graph.from_json, plan)))
        verdict = {"decision": "rework", "targets": [{"subtask": "nobody"}]}
        return self._made(lease, {"verdict": verdict}, verdict=review.from_json(verdict))
