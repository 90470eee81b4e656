"""A run at level core: engine and store, with bots and people who call them without HTTP. Level http builds on it.

First, faults strike, and no invariant may break (safety). Then faults stop, and every acknowledged task must end
(liveness). The first violation ends the run.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.faults import Faults
from swarmkeeper.sim.kernel.loop import SECOND, Deadlock, Host, VirtualLoop, virtual_loop
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.kernel.network import Network
from swarmkeeper.sim.kernel.trace import Trace
from swarmkeeper.sim.oracle.model import Model
from swarmkeeper.sim.oracle.tenant_isolation import TenantIsolation
from swarmkeeper.sim.oracle.user_invariants import UserInvariant
from swarmkeeper.sim.outcome import Case, RunOutcome, ended_as
from swarmkeeper.sim.play.bots import SECRET, Provider, SimBot
from swarmkeeper.sim.play.core.core_bots import CoreBot
from swarmkeeper.sim.play.core.core_edge import CoreEdge
from swarmkeeper.sim.play.core.core_intruder import CoreIntruderEdge
from swarmkeeper.sim.play.host import Environment, OrchestratorConnection
from swarmkeeper.sim.play.intruder import Intruder
from swarmkeeper.sim.play.orchestrator import SimulatedOrchestrator
from swarmkeeper.sim.play.people import Approver, Operator, TaskClient
from swarmkeeper.sim.play.scenarios import Scenario

SETTLED_EVERY = 30.0  # virtual seconds between checks whether everything has ended


class Actor(Protocol):
    """A participant whose process is started with the run."""

    host: Host

    async def run(self) -> None: ...


class CoreRun:
    model_type: type[Model] = Model
    orchestrator_type: type[SimulatedOrchestrator] = SimulatedOrchestrator

    def __init__(
        self, case: Case, url: str, *, keep: bool, invariants: Sequence[UserInvariant], full_every: int
    ) -> None:
        self.case, scenario = case, case.scenario
        self.choice = choice = NamedChoice(case.seed)
        self.loop: VirtualLoop = virtual_loop(
            (lambda step, ready: choice.below(ready, "chaos", step)) if case.chaos else None
        )
        self.clock = VirtualClock(self.loop)
        self.trace = Trace(self.loop, keep=keep)
        self.faults = Faults(choice, self.trace, kinds=scenario.faults, only=case.faults)
        self.model = self.model_type(
            self.loop, self.trace, secret=SECRET, full_every=full_every, user_invariants=invariants
        )
        self.model.policed = bool(scenario.labelled)
        if scenario.tenants > 1:
            self.model.isolation = TenantIsolation(self.model)
        self.network: Network[CoreEdge] = Network(
            self.loop,
            choice,
            self.faults,
            self.trace,
            size=scenario.bounds.lease_seconds,
            trouble=lambda what: self.model.broken("0.fault", "orchestrator", what),
        )
        self.orchestrator = self.orchestrator_type(
            url,
            loop=self.loop,
            clock=self.clock,
            choice=choice,
            faults=self.faults,
            trace=self.trace,
            network=self.network,
            model=self.model,
            limits=scenario.bounds.limits(),
            policed=bool(scenario.labelled),
            **self.orchestrator_options(),
        )
        self.places: Mapping[str, int] = {}
        self.create_participants()

    def orchestrator_options(self) -> Mapping[str, Any]:
        """Return further arguments for `orchestrator_type`."""
        return {}

    def environment(self, scenario: Scenario, network: OrchestratorConnection) -> Environment:
        """Return the environment of the participants, who send their requests through `network`."""
        return Environment(
            scenario,
            self.loop,
            self.clock,
            self.choice,
            self.faults,
            self.trace,
            network,
            self.model,
            asyncio.Event(),
        )

    def create_participants(self) -> None:
        self.env = self.environment(self.case.scenario, self.network)
        provider = Provider(self.env)
        self.bots: list[SimBot] = []
        self.clients: list[TaskClient] = []
        self.people: list[Actor] = []
        for tenant in self.tenants:
            bots = [
                CoreBot(self.env, provider, type_, number, fleet, tenant)
                for type_, fleet in self.case.scenario.fleets.items()
                for number in range(1, fleet.count + 1)
            ]
            people = TaskClient(self.env, tenant), Operator(self.env, bots, tenant), Approver(self.env, tenant)
            self.bots += bots
            self.clients.append(people[0])
            self.people += people
            if self.model.isolation is not None:
                self.model.isolation.add_principals([bot.by for bot in bots] + [person.by for person in people])
            if tenant > 1:
                self.people.append(Intruder(self.env, tenant, CoreIntruderEdge(self.env, tenant, bots[-1])))

    @property
    def tenants(self) -> range:
        return range(1, self.case.scenario.tenants + 1)

    def play(self, found: Counter[str]) -> RunOutcome:
        loop, model = self.loop, self.model
        story = loop.create_task(self._story(), context=contextvars.Context())
        story.add_done_callback(lambda done: loop.stop())
        try:
            loop.run_forever()
        except Deadlock as deadlock:
            model.broken("7.liveness", "-", str(deadlock))
        except BaseException:  # interrupted: end unfinished work silently
            self.clean_up()
            loop.close()
            raise
        if model.violation is None and (error := story.exception()) is not None:
            raise error
        for trouble in loop.troubles[:1]:
            model.broken("0.lost-exception", "-", repr(trouble.get("exception") or trouble.get("message")))
        if self.orchestrator.store is not None:
            self.orchestrator.store.drop()
        outcome = RunOutcome(
            case=self.case,
            violation=model.violation,
            trace_hash=self.trace.hash,
            faults=tuple(self.faults.struck),
            reached=Counter(found),  # a copy: the cleanup below may reach more
            statuses={task.title: ended_as(task.status, task.outcome) for task in model.tasks.values()},
            seconds=loop.now / SECOND,
            commits=model.commits,
            steps=loop.steps,
            boots=self.orchestrator.runs,
            places=self.places,
            lines=self.trace.lines,
        )
        self.clean_up()
        loop.close()
        return outcome

    def clean_up(self) -> None:
        """Clean up remaining tasks before the loop is closed. By default, closing the loop drops them."""

    async def _story(self) -> None:
        self.orchestrator.boot()
        for bot in self.bots:
            bot.start()
        for person in self.people:
            person.host.start(person.run())
        injecting = self.loop.create_task(self.orchestrator.inject_faults())
        await asyncio.sleep(self.case.scenario.hours * 3600)
        self.env.ended.set()
        self.faults.heal()
        self.network.heal()
        self.clock.skew(0)
        self.trace("heal", "world")
        self.places = dict(self.model.places)
        if self.case.scenario.heal_hours:  # else nothing is waited for
            await injecting
        await self._settle()

    async def _settle(self) -> None:
        """Faults have stopped: every acknowledged task must end, and no lease may be left."""
        until = self.loop.time() + self.case.scenario.heal_hours * 3600
        while self.loop.time() < until:
            await asyncio.sleep(SETTLED_EVERY)
            if self._settled():
                await asyncio.sleep(SETTLED_EVERY)
                self._end()
                return
        self._left()

    def _left(self) -> None:
        """Tell what has not ended in time."""
        left = self.model.open_tasks()
        if not left:
            watched = sum(client.under_way for client in self.clients)
            why = f"all tasks have ended, but {len(self.model.leases)} leases are left, and {watched} tasks are watched"
            self.model.broken("7.liveness", "-", why)
            return
        items = ", ".join(self.model.open_works(self.model.acknowledged[left[0]])) or "none"
        self.model.broken("7.liveness", left[0], f"{len(left)} tasks do not end; open items of this one: {items}")

    def _settled(self) -> bool:
        watched = any(client.under_way for client in self.clients)
        return not watched and not self.model.open_tasks() and not self.model.leases

    def _end(self) -> None:
        """Check everything a last time, once all work has ended."""
        self.model.check_rows("at the end", audit=True)
