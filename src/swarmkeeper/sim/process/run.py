"""A run at level process: real processes on this machine, wall time, a store on disk. The orchestrator is killed with
-9, bots kill themselves, and the history is held against the store, each time the orchestrator is dead and at the
end.

Start at `run_processes(Case(seed))`. The seed decides what is drawn: which faults, and what an attempt comes to. The
machine decides which process is how fast. So no two runs are equal, there is no digest, and a failure is not shrunk:
it is played again until it shows at a level that can.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE
from asyncio.subprocess import Process as Child
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import apsw
import msgspec

from swarmkeeper import files
from swarmkeeper.core.commands import Command
from swarmkeeper.sdk.client import Client as SdkClient
from swarmkeeper.sim import cases
from swarmkeeper.sim.kernel.chance import Chance
from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.coverage import counting, reached
from swarmkeeper.sim.kernel.faults import Fault
from swarmkeeper.sim.kernel.loop import SECOND, Host
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.kernel.trace import Trace, TraceLine
from swarmkeeper.sim.outcome import Case, Outcome, ended_as
from swarmkeeper.sim.play.host import Environment
from swarmkeeper.sim.play.http.sdk_people import WATCHER, SdkCalls, SdkEdge
from swarmkeeper.sim.play.people import Approver, TaskClient
from swarmkeeper.sim.process.bot import Orders, looking_at
from swarmkeeper.sim.process.history import History, Stored, open_things
from swarmkeeper.sim.process.runtime import PACE, Answered, Clerk, ProcessFaults, Wall, WireTransport, hurried
from swarmkeeper.sim.process.server import SERVE, Server, environment

PEOPLE = ("client", "approver", WATCHER)
LISTEN_SECONDS = 0.1  # between looks at what bots have written
# What the feed tells last may be under way still when all else has ended.
HEAR_SECONDS_MAX = 15.0
WATCH_SECONDS = 2.0  # between looks of people: nothing is virtual here, and a look is cheap


def run_processes(
    case: Case,
    *,
    keep: bool = False,
    server: Sequence[str] = SERVE,
    between: Callable[[Path], None] | None = None,
) -> Outcome:
    """Play a case with real processes, at `runtime.PACE` times its pace, to its end or the first violation.

    Its `trace_hash` is empty: nothing here is byte for byte the same twice. `server` is the program of the
    orchestrator; `between` is called with the store's path whenever it is dead, once the store was looked at.
    """
    if case.bots is not None or case.invariants is not None or case.scenario.task is not None or case.chaos:
        raise ValueError("level process plays its own bots and tasks, and no invariants or interleavings of one's own")
    if case.scenario.tenants > 1:
        raise ValueError("level process plays one tenant")
    with tempfile.TemporaryDirectory(prefix="swarmkeeper-sim-") as folder, counting() as found:
        driver = Driver(case, Path(folder), server, between, keep=keep)
        return asyncio.run(driver.play(found))


@dataclass(slots=True)
class Remote:
    """One bot: its processes so far, the last of which is the present one."""

    type: str
    number: int
    key: str = ""
    runs: int = 0
    there: bool = False  # the orchestrator knows it
    struck: list[str] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.type.lower()}-{self.number}"


@dataclass(slots=True)
class Body:
    """One process of a bot."""

    bot: Remote
    orders: Path
    pid: int = 0  # it is not there yet
    code: int | None = None  # what it ended with
    read: int = 0  # bytes of its lines
    down: float | None = None  # it has said that it goes, and for how long
    expected: bool = False  # its end is no surprise

    def signal(self, number: signal.Signals) -> None:
        if self.pid and self.code is None:
            os.kill(self.pid, number)


class Driver:
    def __init__(
        self, case: Case, folder: Path, server: Sequence[str], between: Callable[[Path], None] | None, *, keep: bool
    ) -> None:
        self.case, self.folder, self.scenario = case, folder, hurried(case.scenario)
        self.server = Server(server, folder, self.scenario)
        self.choice = NamedChoice(case.seed)
        self._between, self._keep = between, keep
        self._healed = folder / "healed"
        self._background: set[asyncio.Task[Any]] = set()
        self._lines: list[TraceLine] = []
        self._keys: dict[str, str] = {}
        self._bots: list[Remote] = []
        self._nest: Child | None = None

    # ---- the story -------------------------------------------------------------------------------------------------

    async def play(self, found: Counter[str]) -> Outcome:
        self.wall = wall = Wall()
        asyncio.get_running_loop().set_exception_handler(self._lost)
        trace = cast(Trace, self._trace)
        self.model = Stored(wall.loop, trace)
        self.history = History(self.model)
        self.faults = ProcessFaults(self.choice, trace, self.scenario, only=self.case.faults, healed=self._healed)
        self._store: apsw.Connection | None = None
        try:
            await self._until_over(self._story())
        finally:
            await self._clear_away()
        violation = self.model.violation
        return Outcome(
            case=self.case,
            violation=violation,
            trace_hash="",
            faults=tuple(self.faults.struck) + tuple(name for bot in self._bots for name in bot.struck),
            reached=Counter(found),
            statuses={task.title: ended_as(task.status, task.outcome) for task in self.model.tasks.values()},
            seconds=wall.now / SECOND,
            commits=0,  # nobody outside sees them
            steps=len(self.history.answers),
            boots=self.server.lives,
            places={},
            lines=self._lines,
        )

    async def _until_over(self, story: Any) -> None:
        """To the end of the story, or to the first thing that is broken."""
        played = asyncio.create_task(story)
        over = asyncio.create_task(self.wall.over.wait())
        await asyncio.wait((played, over), return_when=asyncio.FIRST_COMPLETED)
        for one in (over, played):
            if not one.done():
                one.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await played

    async def _story(self) -> None:
        await self._build_nest()
        admin = await self.server.first_key()
        await self.server.start()
        self._trace("boot", "orchestrator", "1")
        self._store = looking_at(self.server.store)
        await self._give_keys(admin)
        self._start(self._listen())
        for bot in self._bots:
            self._start_bot(bot)
        while not all(bot.there for bot in self._bots):  # noqa: ASYNC110  # so that a slow machine meets the same
            await asyncio.sleep(LISTEN_SECONDS)
        client = self._people()
        await self._fate()
        self._heal()
        await self._settle(client)
        await self._end()

    async def _give_keys(self, admin: str) -> None:
        async with SdkClient(self.server.url, admin, chance=Chance(self.case.seed, "sdk/admin")) as client:
            for name in PEOPLE:
                self._keys[name] = (await client.create_key(cast(Any, name))).key or ""
            for type_, fleet in (
                ("Planner", self.scenario.planners),
                ("Executor", self.scenario.executors),
                ("Evaluator", self.scenario.evaluators),
            ):
                for number in range(1, fleet.count + 1):
                    bot = Remote(type_, number)
                    role = cast(Any, f"bot:{type_.lower()}")
                    bot.key = (await client.create_key(role, bot=bot.name)).key or ""
                    self._bots.append(bot)

    def _people(self) -> TaskClient:
        """Those of the other levels, who speak over real connections."""
        desk = _RealSdkCalls(self)
        self.env = Environment(
            self.scenario,
            self.wall.loop,
            VirtualClock(self.wall.loop),
            self.choice,
            self.faults,
            cast(Trace, self._trace),
            cast(Any, desk),
            self.model,
            asyncio.Event(),
        )
        client, approver = _RealClient(self.env), _RealApprover(self.env)
        for person in (client, approver):
            person.host.start(person.run())
        self._start(self._follow())
        return client

    async def _follow(self) -> None:
        """Hear all that happens, from the first event on, over broken connections."""
        calls = self.client_of(WATCHER)
        lives = self.server.lives
        async for event in calls.events(follow=True):
            self.history.heard.append((event.kind, event.data["audit_id"], event.data["task_id"]))
            if self.server.lives != lives:
                lives = self.server.lives
                reached("the feed was followed on after the orchestrator had died")

    def client_of(self, name: str) -> SdkClient:
        transport = WireTransport(self.server.url, Host(self.wall.loop, name), Clerk(name, self.history.note))
        chance = Chance(self.case.seed, f"sdk/{name}")
        return SdkClient(self.server.url, self._keys[name], transport=transport, chance=chance)

    # ---- the orchestrator ------------------------------------------------------------------------------------------

    async def _fate(self) -> None:
        """Moment by moment: what happens to the orchestrator. A moment is half of a lease's life; how long it takes to
        start again is not counted, so that a slow machine meets the same."""
        moment = self.scenario.bounds.lease_seconds / 2
        ways = (("orch.crash", self._crash), ("orch.pause", self._pause), ("orch.upgrade", self._upgrade))
        for _ in range(math.ceil(self.scenario.hours * 3600 / moment)):
            strikes = []
            for kind, act in ways:
                if fault := self.faults.strike(kind, "orchestrator:moment"):
                    strikes.append((fault.unit("when"), fault, act))
            before = 0.0
            for when, fault, act in sorted(strikes, key=lambda one: one[0]):
                await asyncio.sleep((when - before) * moment)
                before = when
                await act(fault)
            await asyncio.sleep((1 - before) * moment)

    async def _crash(self, fault: Fault) -> None:
        self.server.signal(signal.SIGKILL)
        await self.server.gone()
        reached("the orchestrator was killed with -9")
        await self._dead(fault.name, fault.amount(self.scenario.bounds.lease_seconds))

    async def _upgrade(self, fault: Fault) -> None:
        self.server.signal(signal.SIGTERM)
        if code := await self.server.gone():
            self.model.broken("0.engine", "orchestrator", f"told to stop, it ended with {code}: {self.server.tail()}")
        reached("the orchestrator was stopped in order")
        await self._dead(fault.name, 0.0)

    async def _pause(self, fault: Fault) -> None:
        self.server.signal(signal.SIGSTOP)
        reached("the orchestrator stood still")
        await asyncio.sleep(fault.amount(self.scenario.bounds.lease_seconds))
        self.server.signal(signal.SIGCONT)

    async def _dead(self, why: str, down: float) -> None:
        """Nobody writes now: look at everything, then start another on what is there."""
        self._trace("crash", "orchestrator", why)
        self._look(audit=False)
        if self._between is not None:
            self._between(self.server.store)
        await asyncio.sleep(down)
        await self.server.start()
        self._trace("boot", "orchestrator", str(self.server.lives))

    def _look(self, *, audit: bool) -> None:
        assert self._store is not None
        for bot in self._bots:
            for body in bot.bodies:
                self._hear(body)
        with self._store:  # one view of all tables
            self.model.read(self._store)
            self.history.check()
            self.model.check(self._store, audit=audit)

    # ---- bots ------------------------------------------------------------------------------------------------------

    async def _build_nest(self) -> None:
        with files.append(self.folder / "nest.log") as log:
            self._nest = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "swarmkeeper.sim.process.bot"),
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                env=environment(),
            )
        assert self._nest.stdout is not None
        self._start(self._births(self._nest.stdout))

    async def _births(self, told: asyncio.StreamReader) -> None:
        """Which processes come and go."""
        while line := await told.readline():
            ((kind, value),) = json.loads(line).items()
            for bot in self._bots:
                for body in bot.bodies:
                    if kind == "born" and str(body.orders) == value[0]:
                        body.pid = value[1]
                    elif kind == "ended" and body.pid == value[0]:
                        body.code = value[1]
        self.model.broken("0.fault", "-", "the nest of the bots is gone")

    def _start_bot(self, bot: Remote) -> None:
        bot.runs += 1
        orders = self.folder / f"{bot.name}-{bot.runs}.json"
        who = Orders(
            case=cases.to_json(self.case),
            type=bot.type,
            number=bot.number,
            run=bot.runs,
            url=self.server.url,
            key=bot.key,
            store=str(self.server.store),
            lines=str(orders.with_suffix(".lines")),
            healed=str(self._healed),
            struck=tuple(bot.struck),
        )
        files.write(orders, msgspec.json.encode(who))
        bot.bodies.append(Body(bot, orders))
        assert self._nest is not None
        assert self._nest.stdin is not None
        self._nest.stdin.write(os.fsencode(orders) + b"\n")

    async def _listen(self) -> None:
        """Hear what bots write, and do for them what they cannot do themselves."""
        while True:
            await asyncio.sleep(LISTEN_SECONDS)
            for bot in self._bots:
                for body in list(bot.bodies):
                    self._hear(body)
                    if body.code is not None:
                        bot.bodies.remove(body)
                        self.ended_as(bot, body)
            child = self.server.child
            if child is not None and child.returncode is not None:
                why = f"it ended by itself, with {child.returncode}: {self.server.tail()}"
                self.model.broken("0.engine", "orchestrator", why)

    def _hear(self, body: Body) -> None:
        lines = body.orders.with_suffix(".lines")
        if not lines.exists():
            return
        with lines.open("rb") as file:
            file.seek(body.read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        body.read += len(whole)
        for line in whole.splitlines():
            ((kind, value),) = json.loads(line).items()
            self._heard(body.bot, body, kind, value)

    def _heard(self, bot: Remote, body: Body, kind: str, value: Any) -> None:
        match kind:
            case "answered":
                bot.there = True
                self.history.note(Answered(**value))
            case "reached":
                reached(value)
            case "trace":
                what, entity, text = value
                self._trace(what, entity, text)
                if what == "fault":
                    bot.struck.append(text)
            case "freeze":
                self._start(self._thaw(body, value))
            case "gone":
                body.down, body.expected = value["down"], True
                reached("a bot vanished" if value["vanish"] else "a bot was killed with -9")
                if value["vanish"]:
                    body.down = None
                    self._start(self._again(bot, value["down"]))
            case "replace":
                reached("a bot was replaced while it lived")
                body.expected = True
                body.signal(signal.SIGTERM)
                self._start(self._again(bot, 0.0))
            case _:
                raise AssertionError(f"no bot writes {kind}")

    async def _thaw(self, body: Body, seconds: float) -> None:
        ends = self.wall.now + round(seconds * SECOND)
        while self.wall.now < ends and not self.faults.healed:  # noqa: ASYNC110  # healing has no event
            await asyncio.sleep(LISTEN_SECONDS)
        body.signal(signal.SIGCONT)
        reached("a bot stood still, and went on")

    async def _again(self, bot: Remote, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._start_bot(bot)

    def ended_as(self, bot: Remote, body: Body) -> None:
        if not body.expected:
            said = body.orders.with_suffix(".log").read_text(encoding="utf-8", errors="replace")[-2000:]
            self.model.broken("0.lost-exception", bot.name, f"it ended with {body.code}: {said}")
        elif body.down is not None:
            self._start(self._again(bot, body.down))

    # ---- the end ---------------------------------------------------------------------------------------------------

    def _heal(self) -> None:
        self._trace("heal", "world", "")
        self.faults.heal()
        files.create(self._healed)
        self.env.ended.set()

    async def _settle(self, client: TaskClient) -> None:
        """Nothing goes wrong any more: all that was acknowledged ends, and nothing is left over."""
        assert self._store is not None
        ends = self.wall.now + round(self.scenario.heal_hours * 3600 * SECOND)
        while True:
            with self._store:
                titles, leases = open_things(self._store)
            if not (titles or leases or client.under_way):
                return
            if self.wall.now >= ends:
                what = ", ".join(titles[:5]) or f"{leases} leases, and {client.under_way} tasks are watched"
                self.model.broken("7.liveness", titles[0] if titles else "-", f"still open: {what}")
                return
            await asyncio.sleep(0.5)

    async def _end(self) -> None:
        """The last look at everything, when nobody does anything any more."""
        assert self._store is not None
        await self._all_heard()
        for bot in self._bots:
            for body in bot.bodies:
                body.expected, body.down = True, None
                body.signal(signal.SIGKILL)  # also one that stands still
        self.server.signal(signal.SIGTERM)
        if code := await self.server.gone():
            self.model.broken("0.engine", "orchestrator", f"told to stop, it ended with {code}: {self.server.tail()}")
        self._look(audit=True)
        if len(self.history.heard) < len(self.model.told):
            words = self.model.told[len(self.history.heard)]
            self.model.broken("5.feed", self.model.title(words[2]), f"{words[0]} was never heard by who follows")
        for title in self.model.open_tasks()[:1]:
            self.model.broken("7.liveness", title, "it has not ended")
        for line in self.server.faults()[:1]:
            self.model.broken("0.fault", "orchestrator", line)

    async def _all_heard(self) -> None:
        """The number of events stands still by now."""
        assert self._store is not None
        ends = self.wall.now + round(HEAR_SECONDS_MAX * SECOND)
        while self.wall.now < ends:
            ((count,),) = self._store.execute("SELECT count(*) FROM event").fetchall()
            if len(self.history.heard) >= int(str(count)):
                return
            await asyncio.sleep(LISTEN_SECONDS)

    async def _clear_away(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._nest is not None and self._nest.stdin is not None:
            self._nest.stdin.close()  # it takes all bots with it
            await self._nest.wait()
        if self.server.child is not None and self.server.child.returncode is None:
            self.server.signal(signal.SIGKILL)
            await self.server.gone()
        if self._store is not None:
            self._store.close()

    # ---- small things ----------------------------------------------------------------------------------------------

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.model.broken("0.lost-exception", "-", repr(error))

    def _lost(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.model.broken("0.lost-exception", "-", repr(context.get("exception") or context.get("message")))

    def _trace(self, kind: str, entity: str, text: str = "") -> None:
        if self._keep:
            self._lines.append(TraceLine(self.wall.now, kind, entity, text))


class _RealSdkCalls(SdkCalls):
    def __init__(self, driver: Driver) -> None:
        nowhere: Any = None  # no simulated network lies between
        super().__init__(nowhere, driver.model, nowhere, driver.scenario, driver.choice, nowhere)
        self._driver = driver

    async def _edge(self, source: str) -> SdkEdge:
        if source not in self._edges:
            self._edges[source] = SdkEdge(self._driver.client_of(source), self._driver.scenario, self._driver.choice)
        return self._edges[source]


class _RealClient(TaskClient):
    watch_seconds = WATCH_SECONDS

    def _at(self, seconds: float, title: str, command: Command[Any], *, stubborn: bool = False) -> None:
        super()._at(seconds / PACE, title, command, stubborn=stubborn)


class _RealApprover(Approver):
    look_seconds = WATCH_SECONDS
