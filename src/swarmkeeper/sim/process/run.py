"""A run at level process: real processes, wall time, a store on disk. The orchestrator is killed with SIGKILL and bots
kill themselves. Each time the orchestrator is dead, and at the end, the history is compared with the store.

Start at `run_processes(Case(seed))`. The seed decides the faults and the outcomes of attempts; the machine decides the
timing. So no two runs are equal, there is no digest, and a failure cannot be shrunk: play the case again, or at a level
that is deterministic.
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

import msgspec

from swarmkeeper import files
from swarmkeeper.core.commands import Command
from swarmkeeper.sdk.client import Client as SdkClient
from swarmkeeper.sim import cases
from swarmkeeper.sim.kernel.chance import SeededChance
from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.coverage import counting, reached
from swarmkeeper.sim.kernel.faults import Fault
from swarmkeeper.sim.kernel.loop import SECOND, Host
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.kernel.trace import Trace, TraceLine
from swarmkeeper.sim.outcome import Case, RunOutcome, ended_as
from swarmkeeper.sim.play.host import Environment
from swarmkeeper.sim.play.http.sdk_people import WATCHER, SdkCalls, SdkEdge
from swarmkeeper.sim.play.people import Approver, TaskClient
from swarmkeeper.sim.process.bot import Orders
from swarmkeeper.sim.process.history import History, Stored, open_tasks_and_leases
from swarmkeeper.sim.process.runtime import (
    PACE,
    AnswerRecorder,
    ObservedCall,
    ProcessFaults,
    Wall,
    WireTransport,
    sped_up,
)
from swarmkeeper.sim.process.server import SERVE, ServerProcess, environment
from swarmkeeper.sim.process.stored_rows import StoredRows, rows_of

PEOPLE = ("client", "approver", WATCHER)
POLL_SECONDS = 0.1  # between reads of the bots' lines
# The last events of the feed may still be in flight when all work has ended.
FEED_SECONDS_MAX = 15.0
WATCH_SECONDS = 2.0  # between polls of people: real time passes, and a poll is cheap


def run_processes(
    case: Case,
    *,
    keep: bool = False,
    server: Sequence[str] = SERVE,
    store: str = "",
    between: Callable[[str], None] | None = None,
) -> RunOutcome:
    """Play a case with real processes, at `runtime.PACE` times its pace, to its end or the first violation.

    The outcome's `trace_hash` is empty, because runs differ. `server` is the orchestrator's program, as arguments of
    Python. `store` is the URL of an empty database in PostgreSQL; by default the store is a file. `between`
    is called with the store's URL each time the orchestrator is dead, after the store was checked.

    Raises:
        ValueError: the case uses what this level does not support.
    """
    if case.bots is not None or case.invariants is not None or case.scenario.task is not None or case.chaos:
        raise ValueError("level process does not support `bots`, `invariants`, `chaos` and the scenario's `task`")
    if case.scenario.tenants > 1:
        raise ValueError("level process plays one tenant")
    with tempfile.TemporaryDirectory(prefix="swarmkeeper-sim-") as folder, counting() as found:
        driver = Driver(case, Path(folder), server, store, between, keep=keep)
        return asyncio.run(driver.play(found))


@dataclass(slots=True)
class RemoteBot:
    """One bot and its live processes, the last of which is the current one."""

    type: str
    number: int
    key: str = ""
    runs: int = 0
    registered: bool = False  # the orchestrator has answered it
    struck: list[str] = field(default_factory=list)
    processes: list[RemoteProcess] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.type.lower()}-{self.number}"


@dataclass(slots=True)
class RemoteProcess:
    """One process of a bot."""

    bot: RemoteBot
    orders: Path
    pid: int = 0  # 0: not started yet
    code: int | None = None  # exit code; None: it runs
    read: int = 0  # bytes read of its lines
    down: float | None = None  # seconds until a restart, if it announced a crash
    expected: bool = False  # its end is not a failure

    def signal(self, number: signal.Signals) -> None:
        if self.pid and self.code is None:
            os.kill(self.pid, number)


class Driver:
    def __init__(
        self,
        case: Case,
        folder: Path,
        server: Sequence[str],
        store: str,
        between: Callable[[str], None] | None,
        *,
        keep: bool,
    ) -> None:
        self.case, self.folder, self.scenario = case, folder, sped_up(case.scenario)
        bounds = self.scenario.bounds
        self.server = ServerProcess(
            store or f"sqlite:///{folder / 'swarm.db'}",
            program=server,
            log=folder / "server.log",
            settings={
                "lease_seconds": bounds.lease_seconds,
                "timeout_seconds": bounds.timeout_seconds,
                "schedule_to_start_seconds": bounds.schedule_to_start_seconds,
            },
        )
        self.choice = NamedChoice(case.seed)
        self._between, self._keep = between, keep
        self._healed = folder / "healed"
        self._background: set[asyncio.Task[Any]] = set()
        self._lines: list[TraceLine] = []
        self._keys: dict[str, str] = {}
        self._bots: list[RemoteBot] = []
        self._fork_server: Child | None = None

    # ---- the story -------------------------------------------------------------------------------------------------

    async def play(self, found: Counter[str]) -> RunOutcome:
        self.wall = wall = Wall()
        asyncio.get_running_loop().set_exception_handler(self._exception_lost)
        trace = cast(Trace, self._trace)
        self.model = Stored(wall.loop, trace)
        self.history = History(self.model)
        self.faults = ProcessFaults(self.choice, trace, self.scenario, only=self.case.faults, healed=self._healed)
        self._store: StoredRows | None = None
        try:
            await self._play_until_over(self._story())
        finally:
            await self._clean_up()
        violation = self.model.violation
        return RunOutcome(
            case=self.case,
            violation=violation,
            trace_hash="",
            faults=tuple(self.faults.struck) + tuple(name for bot in self._bots for name in bot.struck),
            reached=Counter(found),
            statuses={task.title: ended_as(task.status, task.outcome) for task in self.model.tasks.values()},
            seconds=wall.now / SECOND,
            commits=0,  # not visible from outside
            steps=len(self.history.answers),
            boots=self.server.starts,
            places={},
            lines=self._lines,
        )

    async def _play_until_over(self, story: Any) -> None:
        """Run to the end of the story, or to the first violation."""
        played = asyncio.create_task(story)
        over = asyncio.create_task(self.wall.over.wait())
        await asyncio.wait((played, over), return_when=asyncio.FIRST_COMPLETED)
        for task in (over, played):
            if not task.done():
                task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await played

    async def _story(self) -> None:
        await self._start_fork_server()
        admin = await self.server.key("admin")
        await self.server.start()
        self._trace("boot", "orchestrator", "1")
        self._store = rows_of(self.server.store_url)
        await self._give_keys(admin)
        self._start(self._poll_processes())
        for bot in self._bots:
            self._start_bot(bot)
        while not all(bot.registered for bot in self._bots):  # noqa: ASYNC110  # time starts when all bots are ready
            await asyncio.sleep(POLL_SECONDS)
        client = self._people()
        await self._inject_faults()
        self._heal()
        await self._settle(client)
        await self._end()

    async def _give_keys(self, admin: str) -> None:
        async with SdkClient(self.server.url, admin, chance=SeededChance(self.case.seed, "sdk/admin")) as client:
            for name in PEOPLE:
                self._keys[name] = (await client.create_key(cast(Any, name))).key or ""
            for type_, fleet in self.scenario.fleets.items():
                for number in range(1, fleet.count + 1):
                    bot = RemoteBot(type_, number)
                    role = cast(Any, f"bot:{type_.lower()}")
                    bot.key = (await client.create_key(role, bot=bot.name)).key or ""
                    self._bots.append(bot)

    def _people(self) -> TaskClient:
        """Start the people of the other levels on real connections. Return the client."""
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
        """Follow the feed from the first event on, across broken connections."""
        calls = self.client_of(WATCHER)
        lives = self.server.starts
        async for event in calls.events(follow=True):
            self.history.received.append((event.kind, event.data["audit_id"], event.data["task_id"]))
            if self.server.starts != lives:
                lives = self.server.starts
                reached("the feed was followed on after the orchestrator had died")

    def client_of(self, name: str) -> SdkClient:
        transport = WireTransport(self.server.url, Host(self.wall.loop, name), AnswerRecorder(name, self.history.note))
        chance = SeededChance(self.case.seed, f"sdk/{name}")
        return SdkClient(self.server.url, self._keys[name], transport=transport, chance=chance)

    # ---- the orchestrator ------------------------------------------------------------------------------------------

    async def _inject_faults(self) -> None:
        """Inject the faults of the orchestrator, moment by moment. A moment is half of a lease's TTL. Restart time is
        not counted, so that a slow machine gets the same faults."""
        moment = self.scenario.bounds.lease_seconds / 2
        ways = (("orch.crash", self._crash), ("orch.pause", self._pause), ("orch.upgrade", self._upgrade))
        for _ in range(math.ceil(self.scenario.hours * 3600 / moment)):
            strikes = []
            for kind, act in ways:
                if fault := self.faults.strike(kind, "orchestrator:moment"):
                    strikes.append((fault.unit("when"), fault, act))
            before = 0.0
            for when, fault, act in sorted(strikes, key=lambda strike: strike[0]):
                await asyncio.sleep((when - before) * moment)
                before = when
                await act(fault)
            await asyncio.sleep((1 - before) * moment)

    async def _crash(self, fault: Fault) -> None:
        await self.server.stop(signal.SIGKILL)
        reached("the orchestrator was killed with -9")
        await self._dead(fault.name, fault.amount(self.scenario.bounds.lease_seconds))

    async def _upgrade(self, fault: Fault) -> None:
        await self._stop_server()
        reached("the orchestrator was stopped in order")
        await self._dead(fault.name, 0.0)

    async def _stop_server(self) -> None:
        if code := await self.server.stop():
            why = f"asked to stop, it ended with {code}: {self.server.log_tail()}"
            self.model.broken("0.engine", "orchestrator", why)

    async def _pause(self, fault: Fault) -> None:
        self.server.send_signal(signal.SIGSTOP)
        reached("the orchestrator stood still")
        await asyncio.sleep(fault.amount(self.scenario.bounds.lease_seconds))
        self.server.send_signal(signal.SIGCONT)

    async def _dead(self, why: str, down: float) -> None:
        """The orchestrator is dead, so nothing writes: check the store, then start a new orchestrator on it."""
        self._trace("crash", "orchestrator", why)
        await self._check_store(audit=False)
        if self._between is not None:
            self._between(self.server.store_url)
        await asyncio.sleep(down)
        await self.server.start()
        self._trace("boot", "orchestrator", str(self.server.starts))

    async def _check_store(self, *, audit: bool) -> None:
        assert self._store is not None
        for bot in self._bots:
            for process in bot.processes:
                self._read_lines(process)
        async with self._store.view() as view:
            self.model.read(view)
            self.history.check()
            self.model.check(view, audit=audit)

    # ---- bots ------------------------------------------------------------------------------------------------------

    async def _start_fork_server(self) -> None:
        with files.append(self.folder / "fork_server.log") as log:
            self._fork_server = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "swarmkeeper.sim.process.bot"),
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                env=environment({}),
            )
        assert self._fork_server.stdout is not None
        self._start(self._watch_fork_server(self._fork_server.stdout))

    async def _watch_fork_server(self, output: asyncio.StreamReader) -> None:
        """Record which processes start and end."""
        while line := await output.readline():
            ((kind, value),) = json.loads(line).items()
            for bot in self._bots:
                for process in bot.processes:
                    if kind == "born" and str(process.orders) == value[0]:
                        process.pid = value[1]
                    elif kind == "ended" and process.pid == value[0]:
                        process.code = value[1]
        self.model.broken("0.fault", "-", "the fork server of the bots has ended")

    def _start_bot(self, bot: RemoteBot) -> None:
        bot.runs += 1
        orders = self.folder / f"{bot.name}-{bot.runs}.json"
        content = Orders(
            case=cases.to_json(self.case),
            type=bot.type,
            number=bot.number,
            run=bot.runs,
            url=self.server.url,
            key=bot.key,
            store=self.server.store_url,
            lines=str(orders.with_suffix(".lines")),
            healed=str(self._healed),
            struck=tuple(bot.struck),
        )
        files.write(orders, msgspec.json.encode(content))
        bot.processes.append(RemoteProcess(bot, orders))
        assert self._fork_server is not None
        assert self._fork_server.stdin is not None
        self._fork_server.stdin.write(os.fsencode(orders) + b"\n")

    async def _poll_processes(self) -> None:
        """Read the bots' lines, and continue or restart bots that have stopped or ended."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            for bot in self._bots:
                for process in list(bot.processes):
                    self._read_lines(process)
                    if process.code is not None:
                        bot.processes.remove(process)
                        self.ended_as(bot, process)
            server = self.server.process
            if server is not None and server.returncode is not None:
                why = f"it ended by itself, with {server.returncode}: {self.server.log_tail()}"
                self.model.broken("0.engine", "orchestrator", why)

    def _read_lines(self, process: RemoteProcess) -> None:
        lines = process.orders.with_suffix(".lines")
        if not lines.exists():
            return
        with lines.open("rb") as file:
            file.seek(process.read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        process.read += len(whole)
        for line in whole.splitlines():
            ((kind, value),) = json.loads(line).items()
            self._handle_line(process.bot, process, kind, value)

    def _handle_line(self, bot: RemoteBot, process: RemoteProcess, kind: str, value: Any) -> None:
        match kind:
            case "answered":
                bot.registered = True
                self.history.note(ObservedCall(**value))
            case "reached":
                reached(value)
            case "trace":
                what, entity, text = value
                self._trace(what, entity, text)
                if what == "fault":
                    bot.struck.append(text)
            case "freeze":
                self._start(self._continue_later(process, value))
            case "gone":
                process.down, process.expected = value["down"], True
                reached("a bot vanished" if value["vanish"] else "a bot was killed with -9")
                if value["vanish"]:
                    process.down = None
                    self._start(self._start_bot_later(bot, value["down"]))
            case "replace":
                reached("a bot was replaced while it lived")
                process.expected = True
                process.signal(signal.SIGTERM)
                self._start(self._start_bot_later(bot, 0.0))
            case _:
                raise AssertionError(f"no bot writes {kind}")

    async def _continue_later(self, process: RemoteProcess, seconds: float) -> None:
        ends = self.wall.now + round(seconds * SECOND)
        while self.wall.now < ends and not self.faults.healed:  # noqa: ASYNC110  # healing has no event
            await asyncio.sleep(POLL_SECONDS)
        process.signal(signal.SIGCONT)
        reached("a bot stood still, and went on")

    async def _start_bot_later(self, bot: RemoteBot, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._start_bot(bot)

    def ended_as(self, bot: RemoteBot, process: RemoteProcess) -> None:
        if not process.expected:
            log = process.orders.with_suffix(".log").read_text(encoding="utf-8", errors="replace")[-2000:]
            self.model.broken("0.lost-exception", bot.name, f"it ended with {process.code}: {log}")
        elif process.down is not None:
            self._start(self._start_bot_later(bot, process.down))

    # ---- the end ---------------------------------------------------------------------------------------------------

    def _heal(self) -> None:
        self._trace("heal", "world", "")
        self.faults.heal()
        files.create(self._healed)
        self.env.ended.set()

    async def _settle(self, client: TaskClient) -> None:
        """Faults have stopped: every acknowledged task must end, and no lease may be left."""
        assert self._store is not None
        ends = self.wall.now + round(self.scenario.heal_hours * 3600 * SECOND)
        while True:
            async with self._store.view() as view:
                titles, leases = open_tasks_and_leases(view)
            if not (titles or leases or client.under_way):
                return
            if self.wall.now >= ends:
                what = ", ".join(titles[:5]) or f"{leases} leases, and {client.under_way} watched tasks"
                self.model.broken("7.liveness", titles[0] if titles else "-", f"still open: {what}")
                return
            await asyncio.sleep(0.5)

    async def _end(self) -> None:
        """Check everything a last time, once all work has ended."""
        assert self._store is not None
        await self._wait_for_feed()
        for bot in self._bots:
            for process in bot.processes:
                process.expected, process.down = True, None
                process.signal(signal.SIGKILL)  # also those that are stopped
        await self._stop_server()
        await self._check_store(audit=True)
        if len(self.history.received) < len(self.model.feed):
            words = self.model.feed[len(self.history.received)]
            self.model.broken("5.feed", words[2], f"{words[0]} was never received by the follower of the feed")
        for title in self.model.open_tasks()[:1]:
            self.model.broken("7.liveness", title, "it has not ended")
        for line in self.server.logged_errors()[:1]:
            self.model.broken("0.fault", "orchestrator", line)

    async def _wait_for_feed(self) -> None:
        """Wait until the follower has received all events. No new ones are expected."""
        assert self._store is not None
        ends = self.wall.now + round(FEED_SECONDS_MAX * SECOND)
        while self.wall.now < ends:
            if len(self.history.received) >= await self._store.events():
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _clean_up(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._fork_server is not None and self._fork_server.stdin is not None:
            self._fork_server.stdin.close()  # it kills all bots when its stdin ends
            await self._fork_server.wait()
        await self.server.stop(signal.SIGKILL)
        if self._store is not None:
            await self._store.close()

    # ---- background tasks and the trace ----------------------------------------------------------------------------

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background_ended)

    def _background_ended(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.model.broken("0.lost-exception", "-", repr(error))

    def _exception_lost(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.model.broken("0.lost-exception", "-", repr(context.get("exception") or context.get("message")))

    def _trace(self, kind: str, entity: str, text: str = "") -> None:
        if self._keep:
            self._lines.append(TraceLine(self.wall.now, kind, entity, text))


class _RealSdkCalls(SdkCalls):
    def __init__(self, driver: Driver) -> None:
        unused: Any = None  # there is no simulated network
        super().__init__(unused, driver.model, unused, driver.scenario, driver.choice, unused)
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
