"""A run at level http: the whole HTTP application as the orchestrator, with real bots and clients of the SDK.

Scenario, seeds, faults and invariants are those of level core. Only the layers between engine and participants differ.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import metrics

from swarmkeeper.app import Orchestrator
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Limits
from swarmkeeper.core.ports import Clock, Entropy, StoreUnavailable
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.observe.logs import Log
from swarmkeeper.sdk.bots import BaseBot
from swarmkeeper.settings import Settings
from swarmkeeper.sim.core_run import CoreRun
from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.faulty_broker import FaultyBroker
from swarmkeeper.sim.kernel.faulty_store import FaultyStore
from swarmkeeper.sim.kernel.loop import SECOND, Host
from swarmkeeper.sim.kernel.network import Network
from swarmkeeper.sim.oracle.http_answers import HttpModel
from swarmkeeper.sim.oracle.tenant_isolation import named, tenant_id
from swarmkeeper.sim.outcome import Case, RunOutcome
from swarmkeeper.sim.play.bots import Provider
from swarmkeeper.sim.play.engine import policed_rules, rules
from swarmkeeper.sim.play.http.bulk_people import BulkOperator
from swarmkeeper.sim.play.http.http_edge import HttpEdge
from swarmkeeper.sim.play.http.http_intruder import HttpIntruderEdge
from swarmkeeper.sim.play.http.sdk_bots import SdkBot, SdkBotProcess, UserBotPart
from swarmkeeper.sim.play.http.sdk_people import WATCHER, FeedFollower, SdkCalls
from swarmkeeper.sim.play.http.user_bots import among_faults
from swarmkeeper.sim.play.intruder import Intruder
from swarmkeeper.sim.play.orchestrator import SimulatedOrchestrator
from swarmkeeper.sim.play.people import Approver, Operator, TaskClient
from swarmkeeper.sim.play.scenarios import Fleet, Scenario
from swarmkeeper.sim.user_code import UserBot, path_of, swarm_of

Part = tuple[str, int, Fleet, UserBotPart | None]  # type, number, fleet; the last for a user's own bot only

PEOPLE = ("client", "operator", "approver", WATCHER)
# A follower gives up a silently dead stream after this time, and reads the feed again.
FEED_SECONDS = 90
ENDS_MAX = 50  # how often a coroutine may wait while it is being closed


class _Settings(Settings):
    """Settings with the bounds of a scenario, which may exceed those of an operator."""

    bounds: Limits

    def limits(self) -> Limits:
        return self.bounds


class _Log(Log):
    """Passes log events to the simulation, and writes nothing."""

    def __init__(self, forward: Any, clock: Clock) -> None:
        super().__init__(io.StringIO(), rules(), clock.now, level="error")
        self._forward = forward

    def __call__(self, event: str, **fields: Any) -> None:
        self._forward(event, **fields)


class ProductOrchestrator(Orchestrator):
    """The product's own composition, on the store and broker of the simulation."""

    def __init__(
        self,
        store: FaultyStore,
        broker: FaultyBroker,
        bounds: Limits,
        clock: Clock,
        entropy: Entropy,
        log: Log,
        rules: Rulebook,
    ) -> None:
        settings = _Settings(store="sqlite://:memory:", log_level="error")
        object.__setattr__(settings, "bounds", bounds)
        super().__init__(settings, clock=clock, entropy=entropy, rules=rules, log=log, inline=True)
        self.store, self.broker = store, broker

    async def begin(self) -> None:
        """Start on the open store.

        Raises:
            StoreUnavailable: the store cannot be used now; try again.
        """
        kept = await self.store.start()
        await self._start(kept, kept.pepper)


@dataclass(frozen=True, slots=True)
class KeyHolder:
    tenant: str
    known_as: str
    role: str


class HttpOrchestrator(SimulatedOrchestrator):
    """The orchestrator's process, with the HTTP application instead of only the engine."""

    def __init__(self, *args: Any, parties: Sequence[KeyHolder], **options: Any) -> None:
        super().__init__(*args, **options)
        self._parties = parties
        self._keys: dict[str, str] = {}  # by name of the holder
        self._keyed = asyncio.Event()
        self._swarms: list[
            ProductOrchestrator
        ] = []  # dead processes too: garbage collection would run their `finally` blocks
        self._serving: tuple[ProductOrchestrator, HttpEdge] | None = None

    async def key_of(self, name: str) -> str:
        await self._keyed.wait()
        return self._keys[name]

    async def _live(self, host: Host, store: FaultyStore) -> None:
        await store.open()
        if self.runs > 1:
            self._model.compare("after a restart")
        log = _Log(self._log, self._clock)
        book = policed_rules() if self._policed else rules()
        broker = FaultyBroker(self._faults)
        swarm = ProductOrchestrator(store, broker, self._limits, self._clock, self._entropy, log, book)
        self._swarms.append(swarm)
        while True:
            try:
                await swarm.begin()
                break
            except StoreUnavailable:
                await asyncio.sleep(1)
        self.engine = swarm.engine
        self._watch(swarm.engine)
        async with store.still():  # the engine already runs
            self._model.check_rows("after a restart")
        await self._give_keys(swarm)
        network = cast("Network[HttpEdge]", self._network)
        edge = HttpEdge(swarm.app, cast(HttpModel, self._model), network, host)
        network.serve(host, edge)
        self._serving = (swarm, edge)
        await swarm.ended.wait()
        self._model.broken("0.engine", "orchestrator", "the engine's loop ended by itself")

    async def _give_keys(self, swarm: ProductOrchestrator) -> None:
        for holder in self._parties:
            name = named(holder.tenant, holder.known_as)
            while name not in self._keys:
                bot = holder.known_as if holder.role.startswith("bot:") else None
                try:
                    self._keys[name] = await swarm.make_key(
                        holder.role, bot=bot, tenant=holder.tenant, scope="tenant" if holder.role == "client" else None
                    )
                except (SwarmkeeperError, StoreUnavailable):
                    await asyncio.sleep(1)
            if self._model.isolation is not None:
                self._model.isolation.key_holders[self._keys[name]] = holder.tenant
        self._keyed.set()

    async def _upgrade(self) -> None:
        """Shut down gracefully: answer accepted requests, then let another version take over."""
        host = self.host
        if self._serving is None or host is None:
            return
        swarm, _ = self._serving
        reached("the orchestrator was upgraded")
        swarm.drain()
        while swarm.engine.running and host.alive:  # noqa: ASYNC110  # the product has no event for it
            await asyncio.sleep(0.05)
        if host.alive:
            self._trace("crash", "orchestrator", "stopped in order")
            self._gone()
            self._boot_in(2.0)

    def _gone(self) -> None:
        super()._gone()
        if self._serving is not None:
            self._serving[1].gone()
            self._serving = None

    def _log(self, event: str, **fields: Any) -> None:
        if event in ("internal", "engine_ended"):
            self._model.broken("0.fault", "orchestrator", f"{event}: {fields}")
        super()._log(event, **fields)


class HttpRun(CoreRun):
    model_type = HttpModel
    orchestrator_type = HttpOrchestrator

    def __init__(self, case: Case, url: str, **options: Any) -> None:
        brought = [] if case.bots is None else swarm_of(case.bots)
        self._scenario = _adapted(case.scenario, brought)
        self._parts = _list_parts(self._scenario, case.bots, brought)
        super().__init__(case, url, **options)

    def orchestrator_options(self) -> dict[str, Any]:
        parts = [
            (user_bot.name if user_bot else f"{type_.lower()}-{n}", f"bot:{type_.lower()}")
            for type_, n, _, user_bot in self._parts
        ]
        parts += [(name, name) for name in PEOPLE]
        return {"parties": [KeyHolder(tenant_id(tenant), *part) for tenant in self.tenants for part in parts]}

    def create_participants(self) -> None:
        scenario = self._scenario
        network, model = cast("Network[HttpEdge]", self.network), cast(HttpModel, self.model)
        key_of = cast(HttpOrchestrator, self.orchestrator).key_of
        desk = SdkCalls(network, model, Host(self.loop, "desk"), scenario, self.choice, key_of)
        self.env = self.environment(scenario, desk)
        provider = Provider(self.env)
        self.bots, self.clients, self.people = [], [], []
        self._watchers: list[FeedFollower] = []
        for tenant in self.tenants:
            bots = [SdkBot(self.env, network, model, provider, key_of, *part, tenant) for part in self._parts]
            client = TaskClient(self.env, tenant)
            watcher = FeedFollower(
                network, model, Host(self.loop, named(tenant_id(tenant), WATCHER)), self.choice, key_of, tenant
            )
            self.bots += bots
            self.clients.append(client)
            self._watchers.append(watcher)
            self.people += (client, Operator(self.env, bots, tenant), Approver(self.env, tenant), watcher)
            if scenario.people.bulk:
                self.people.append(BulkOperator(self.env, tenant))
            if tenant > 1:
                edge = HttpIntruderEdge(self.env, network, model, key_of, tenant, bots[-1])
                self.people.append(Intruder(self.env, tenant, edge))

    def _settled(self) -> bool:
        return super()._settled() and not self._open_operations()

    def _open_operations(self) -> list[str]:
        """Return the operations on many tasks that have not ended."""
        if not self._scenario.people.bulk:
            return []
        host, connection = self.orchestrator.host, self.model.connection
        if host is None or not host.alive or connection is None:
            return ["unknown, as the orchestrator is down"]
        return [row[0] for row in connection().execute("SELECT id FROM operation WHERE ended_at IS NULL")]

    def _left(self) -> None:
        if (operation := self._open_operations()) and not self.model.open_tasks():
            self.model.broken("7.operation", operation[0], "it does not end, although faults have stopped")
            return
        super()._left()

    def _end(self) -> None:
        super()._end()
        for watcher in self._watchers:
            if not watcher.missed(self.loop.now - FEED_SECONDS * SECOND):
                continue
            words = cast(HttpModel, self.model).feed_events[watcher.tenant][watcher.received]
            self.model.broken("5.feed", words[2], f"{words[0]} was never received by the follower of the feed")

    def play(self, found: Counter[str]) -> RunOutcome:
        with _quiet_libraries(self.clock):
            return super().play(found)

    def clean_up(self) -> None:
        """Close remaining coroutines while their loop exists: garbage collection cannot close those that await while
        closing."""
        for left in asyncio.all_tasks(self.loop):
            work = left.get_coro()
            for _ in range(ENDS_MAX):
                if not inspect.iscoroutine(work) or inspect.getcoroutinestate(work) == inspect.CORO_CLOSED:
                    break
                with contextlib.suppress(RuntimeError):  # it awaits while closing
                    work.close()


def _adapted(scenario: Scenario, brought: Sequence[UserBot]) -> Scenario:
    """Adapt the scenario to the user's bots: their planner makes the plans, and their executors define the skills."""
    executors = [user_bot for user_bot in brought if user_bot.type == "Executor"]
    if any(user_bot.type == "Planner" for user_bot in brought):
        scenario = replace(scenario, planned_by_client=0)
    if executors:
        skills = tuple(sorted({skill for user_bot in executors for skill in user_bot.skills}))
        skilled = 1.0 if all(user_bot.dedicated for user_bot in executors) else scenario.skilled
        scenario = replace(scenario, skills=skills, skilled=skilled)
    return scenario


def _list_parts(scenario: Scenario, target: str | None, brought: Sequence[UserBot]) -> list[Part]:
    """List all bots. Each of the user's bots runs as often as its fleet has bots; types without a user's bot are
    played by random bots."""
    found: list[Part] = []
    for type_, fleet in scenario.fleets.items():
        theirs = [user_bot for user_bot in brought if user_bot.type == type_]
        for number in range(1, fleet.count + 1):
            if not theirs:
                found.append((type_, number, fleet, None))
            for user_bot in theirs:
                # Plans may assign work by name, so keep the given name if only one bot has it.
                name = user_bot.word if user_bot.named and fleet.count == 1 else f"{user_bot.word}-{number}"
                make = partial(_make, user_bot, str(target))
                found.append((type_, number, fleet, UserBotPart(name, make)))
    return found


def _make(user_bot: UserBot, target: str, process: SdkBotProcess) -> BaseBot:
    return among_faults(user_bot.make(), process, path_of(target))


@contextmanager
def _quiet_libraries(clock: VirtualClock) -> Iterator[None]:
    """Keep libraries from reading the real clock for unused values: times of log lines and creation times of metrics.

    Errors are still logged, and hit a guard.
    """
    before, level = metrics.__dict__["time"], logging.root.manager.disable
    logging.disable(logging.WARNING)
    metrics.__dict__["time"] = SimpleNamespace(time=lambda: clock.now() / SECOND)
    try:
        yield
    finally:
        metrics.__dict__["time"] = before
        logging.disable(level)
