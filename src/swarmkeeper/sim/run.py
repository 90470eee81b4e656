"""One run: a scenario, a seed and perhaps a list of faults go in, what happened comes out, the same every time.

First things go wrong, and nothing may be broken (safety). Then the world heals, and everything that was acknowledged
must come to its end (liveness). The first violation ends the run.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from swarmkeeper.sim.invariants import UserInvariant, Violation
from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.coverage import counting
from swarmkeeper.sim.kernel.faults import Faults
from swarmkeeper.sim.kernel.loop import SECOND, Deadlock, Host, VirtualLoop, virtual_loop
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.kernel.network import Network
from swarmkeeper.sim.kernel.nondeterminism_guards import nondeterminism_guards
from swarmkeeper.sim.kernel.trace import ALWAYS, Trace, TraceLine
from swarmkeeper.sim.oracle.model import Model
from swarmkeeper.sim.oracle.tenant_isolation import TenantIsolation
from swarmkeeper.sim.play.core_bots import SECRET, CoreBot, Provider
from swarmkeeper.sim.play.core_edge import CoreEdge
from swarmkeeper.sim.play.host import Environment
from swarmkeeper.sim.play.intruder import Intruder
from swarmkeeper.sim.play.orchestrator import Orchestrator, rules
from swarmkeeper.sim.play.people import Approver, Operator, TaskClient
from swarmkeeper.sim.play.scenarios import SCENARIOS, Fleet, Scenario
from swarmkeeper.sim.user_code import TROUBLE, UserCodeFails, invariants_of, touched
from swarmkeeper.storage.sqlite.store import MEMORY

FULL_EVERY = 1_500  # commits
SETTLED_EVERY = 30.0  # seconds of virtual time between looks whether all has ended
_MEMORY_DISK = Path("/dev/shm")  # noqa: S108  # files of a run are its own, below a new folder


@dataclass(frozen=True, slots=True)
class Case:
    """What makes a run: equal cases give equal runs."""

    seed: int
    scenario: Scenario = field(default_factory=lambda: SCENARIOS["standard"])
    faults: tuple[str, ...] | None = None  # these alone; None: as the seed has them
    chaos: bool = False  # what is ready runs in any order
    file: bool = False  # the store is a file, else memory; it makes no difference to what happens
    # core: engine and store; http: the whole application, and bots and clients of the SDK; process: see run.py
    level: Literal["core", "http", "process"] = "core"
    bots: str | None = None  # `FILE.py:NAME`, bots of the user's own, over HTTP; see user_code.py
    invariants: str | None = None  # `FILE.py`, invariants of the user's own


@dataclass(frozen=True, slots=True)
class Outcome:
    case: Case
    violation: Violation | None
    trace_hash: str
    faults: tuple[str, ...]  # that struck
    reached: Counter[str]
    statuses: dict[str, str]  # by title: how each task ended
    seconds: float  # of virtual time
    commits: int
    steps: int
    boots: int
    places: Mapping[str, int]  # what commits were about before it healed, and how often: there the store can fail
    lines: Sequence[TraceLine] = ()  # of the trace, where it was kept

    def about(self, entity: str) -> list[TraceLine]:
        """The lines that tell the story of one task or item, and of whatever it is part of."""
        title, _, _ = entity.partition("/")
        kept = {title, entity}
        return [line for line in self.lines if line.entity in kept or line.kind in ALWAYS]


def run(
    case: Case, *, keep: bool = False, invariants: Sequence[UserInvariant] = (), full_every: int = FULL_EVERY
) -> Outcome:
    """Play a case to its end, or to the first violation. `keep` keeps the lines of the trace.

    Raises:
        UserCodeFails: the user's own code cannot be played.
    """
    with ExitStack() as stack:
        url = MEMORY
        if case.file:
            place = str(_MEMORY_DISK) if _MEMORY_DISK.is_dir() else None
            url = str(Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place))) / "swarm.db")
        rules()  # are read before the guards are set
        collects = gc.isenabled()
        gc.disable()  # when it runs depends on the machine
        if collects:
            stack.callback(gc.enable)
        found = stack.enter_context(counting())
        own = [path for path in (case.bots, case.invariants) if path is not None]
        if own:
            stack.enter_context(redirect_stdout(sys.stderr))  # what it prints is talk, and no data of ours
        if case.invariants is not None:
            invariants = [*invariants, *invariants_of(case.invariants)]
        game = _played(case)(case, url, keep=keep, invariants=invariants, full_every=full_every)

        def tripped(words: str) -> None:
            theirs = touched(words, own) if own else None
            game.model.broken("0.real-world" if theirs is None else TROUBLE, "-", theirs or _touched(words))

        stack.enter_context(nondeterminism_guards(tripped))
        outcome = game.play(found)
        if outcome.violation is not None and outcome.violation.invariant == TROUBLE:
            raise UserCodeFails(outcome.violation.why)
        return outcome


def _touched(words: str) -> str:
    """Say which guard was touched, and on what occasion: what logs an error asks for the time to write it down with."""
    error = sys.exc_info()[1]
    return words if error is None else f"{words} (while dealing with {error!r})"


class Actor(Protocol):
    """Somebody with a process that is started with the run."""

    host: Host

    async def run(self) -> None: ...


def _played(case: Case) -> type[Run]:
    if case.level == "core":
        if case.bots is not None or case.scenario.task is not None:
            raise ValueError("bots of one's own, and what a task is, are for level http")
        return Run
    if case.level != "http":
        raise ValueError("a case of real processes is not played under virtual time: see run.py")
    # Here and not above: the first level needs nothing of HTTP.
    from swarmkeeper.sim.http_run import HttpRun

    return HttpRun


class Run:
    model_type: type[Model] = Model
    orchestrator_type: type[Orchestrator] = Orchestrator

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
        self.model = self.model_type(self.loop, self.trace, secret=SECRET, full_every=full_every, own=invariants)
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
            **self.orchestrator_options(),
        )
        self.places: Mapping[str, int] = {}
        self.take_part()

    def orchestrator_options(self) -> Mapping[str, Any]:
        """What it takes beyond that."""
        return {}

    def take_part(self) -> None:
        """Make all who take part."""
        self.env = Environment(
            self.case.scenario,
            self.loop,
            self.clock,
            self.choice,
            self.faults,
            self.trace,
            self.network,
            self.model,
            asyncio.Event(),
        )
        provider = Provider(self.env)
        self.bots: list[CoreBot] = []
        self.clients: list[TaskClient] = []
        self.people: list[Actor] = []
        for tenant in self.tenants:
            bots = [CoreBot(self.env, provider, *one, tenant) for one in self.fleets()]
            people = TaskClient(self.env, tenant), Operator(self.env, bots, tenant), Approver(self.env, tenant)
            self.bots += bots
            self.clients.append(people[0])
            self.people += people
            if self.model.isolation is not None:
                self.model.isolation.belong(one.by for one in (*bots, *people))
            if tenant > 1:
                self.people.append(Intruder(self.env, tenant, bots[-1]))

    @property
    def tenants(self) -> range:
        """By their numbers."""
        return range(1, self.case.scenario.tenants + 1)

    def fleets(self) -> list[tuple[str, int, Fleet]]:
        """Type, number and kind of each bot."""
        scenario = self.case.scenario
        types = (
            ("Planner", scenario.planners),
            ("Executor", scenario.executors),
            ("Evaluator", scenario.evaluators),
        )
        return [(type_, number, fleet) for type_, fleet in types for number in range(1, fleet.count + 1)]

    def play(self, found: Counter[str]) -> Outcome:
        loop, model = self.loop, self.model
        story = loop.create_task(self._story(), context=contextvars.Context())
        story.add_done_callback(lambda done: loop.stop())
        try:
            loop.run_forever()
        except Deadlock as nothing:
            model.broken("7.liveness", "-", str(nothing))
        except BaseException:  # somebody interrupts: what is half done ends in silence
            self.clear_away()
            loop.close()
            raise
        if model.violation is None and (error := story.exception()) is not None:
            raise error
        for trouble in loop.troubles[:1]:
            model.broken("0.lost-exception", "-", repr(trouble.get("exception") or trouble.get("message")))
        if self.orchestrator.store is not None:
            self.orchestrator.store.drop()
        outcome = Outcome(
            case=self.case,
            violation=model.violation,
            trace_hash=self.trace.hash,
            faults=tuple(self.faults.struck),
            reached=Counter(found),  # what is left of dead processes is cleared away later
            statuses={task.title: _ended(task.status, task.outcome) for task in model.tasks.values()},
            seconds=loop.now / SECOND,
            commits=model.commits,
            steps=loop.steps,
            boots=self.orchestrator.runs,
            places=self.places,
            lines=self.trace.lines,
        )
        self.clear_away()
        loop.close()
        return outcome

    def clear_away(self) -> None:
        """What is left when all is over is dropped with its loop."""

    async def _story(self) -> None:
        self.orchestrator.boot()
        for bot in self.bots:
            bot.start()
        for person in self.people:
            person.host.start(person.run())
        fate = self.loop.create_task(self.orchestrator.fate())
        await asyncio.sleep(self.case.scenario.hours * 3600)
        self.env.ended.set()
        self.faults.heal()
        self.network.heal()
        self.clock.skew(0)
        self.trace("heal", "world")
        self.places = dict(self.model.places)
        await fate
        await self._settle()

    async def _settle(self) -> None:
        """Nothing goes wrong any more: all that was acknowledged ends, and nothing is left over."""
        until = self.loop.time() + self.case.scenario.heal_hours * 3600
        while self.loop.time() < until:
            await asyncio.sleep(SETTLED_EVERY)
            if self._settled():
                await asyncio.sleep(SETTLED_EVERY)
                self._end()
                return
        left = self.model.open_tasks()
        if not left:
            watched = sum(client.under_way for client in self.clients)
            why = f"all tasks have ended, but {len(self.model.leases)} leases are left, {watched} watched"
            self.model.broken("7.liveness", "-", why)
            return
        still = ", ".join(self.model.open_works(self.model.acknowledged[left[0]])) or "nothing"
        self.model.broken("7.liveness", left[0], f"{len(left)} tasks do not end; of this one {still} is open")

    def _settled(self) -> bool:
        watched = any(client.under_way for client in self.clients)
        return not watched and not self.model.open_tasks() and not self.model.leases

    def _end(self) -> None:
        """The last look at everything, when nobody does anything any more."""
        self.model.check_rows("at the end", audit=True)
        engine = self.orchestrator.engine
        leased = Counter(lease.bot for lease in self.model.leases.values())  # somebody may have begun anew
        if engine is not None and engine.scheduler.held != leased:
            why = f"it counts {engine.scheduler.held}, leased are {dict(leased)}"
            self.model.broken("0.held", "orchestrator", why)


def _ended(status: Any, outcome: Any) -> str:
    return str(status) if outcome is None else f"{status} ({outcome})"


def shortened(case: Case, outcome: Outcome) -> Case:
    """The same case, cut off behind its violation where that did not need the healing."""
    violation = outcome.violation
    if violation is None or violation.invariant == "7.liveness":
        return case
    hours = min(case.scenario.hours, violation.at / SECOND / 3600 + 0.05)
    return replace(case, scenario=replace(case.scenario, hours=hours))
