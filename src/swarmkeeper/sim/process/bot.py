"""The program of the bots of level process: real ones of the SDK over real HTTP. They behave by the same choices as
those of level http (sdk_bots.py), and kill themselves. Each has a process of its own.

`python -m swarmkeeper.sim.process.bot` is the nest: it forks a bot for each file of orders that it reads from stdin.
A bot is there at once, because all is loaded by then. The nest says on stdout when a bot is born and when one has
ended, and takes all with it when stdin ends. A bot writes line by line into a file of its own what it is answered and
what happens to it. A line is there as soon as it is written, whatever becomes of the process.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import apsw
import msgspec

from swarmkeeper import files
from swarmkeeper.core.model import Json
from swarmkeeper.sdk.answers import Answer, Failed, Later
from swarmkeeper.sdk.context import Context
from swarmkeeper.sim import cases
from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.coverage import counting
from swarmkeeper.sim.kernel.faults import Fault
from swarmkeeper.sim.kernel.loop import SECOND, Host, VirtualLoop
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.kernel.trace import Trace
from swarmkeeper.sim.oracle.http_answers import HttpModel
from swarmkeeper.sim.oracle.seen import LeaseSeen
from swarmkeeper.sim.play.bots import Provider
from swarmkeeper.sim.play.host import Environment
from swarmkeeper.sim.play.http.sdk_bots import SdkBot, SdkBotProcess
from swarmkeeper.sim.play.scenarios import Fleet
from swarmkeeper.sim.process.runtime import PACE, Answered, Clerk, ProcessFaults, Wall, WireTransport, hurried

LOOK_SECONDS = 0.05  # of the nest after its processes


@dataclass(frozen=True, slots=True)
class Orders:
    """Who a process is."""

    case: dict[str, Any]
    type: str
    number: int
    run: int  # the how manieth process of this bot
    url: str
    key: str
    store: str  # to look up what the SDK does not tell: an item's key, round and tries
    lines: str  # where it writes
    healed: str
    struck: tuple[str, ...]  # faults of its earlier lives


class Lines:
    """What this process has to tell the driver. Each line is one write, and out of the process with it."""

    def __init__(self, path: str) -> None:
        self._file = files.descriptor(Path(path), os.O_WRONLY | os.O_APPEND)

    def __call__(self, kind: str, value: Json) -> None:
        os.write(self._file, json.dumps({kind: value}).encode() + b"\n")


class _Reached(Counter[str]):
    """Told at once: a process that is killed tells nothing afterwards."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def __setitem__(self, what: str, count: int) -> None:
        super().__setitem__(what, count)
        self._lines("reached", what)


class _StoredLeases:
    """What was leased, as the store has it, one by one. Choices go by it, work does not."""

    _ROW = """SELECT g.lease_id, work.id, work.task, task.title, work.key, work.kind, g.attempt, work.tries, work.round,
                     g.bot, 0, 0
                FROM (SELECT lease_id, work, attempt, bot FROM lease UNION ALL
                      SELECT lease_id, work, attempt, bot FROM attempt) AS g
                JOIN work ON work.id = g.work JOIN task ON task.id = work.task WHERE g.lease_id = ?"""

    def __init__(self, store: str) -> None:
        self._store = looking_at(Path(store))

    def __getitem__(self, lease_id: str) -> LeaseSeen:
        row: Any = self._store.execute(self._ROW, (lease_id,)).fetchone()
        if row is None:
            raise KeyError(lease_id)
        return LeaseSeen(*row)


def looking_at(store: Path) -> apsw.Connection:
    """A connection to look with. It writes nothing, not even when it is the last one that is closed."""
    connection = apsw.Connection(str(store), apsw.SQLITE_OPEN_READWRITE)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.set_busy_timeout(10_000)
    connection.execute("PRAGMA query_only = ON")
    return connection


class _LeasesAlone:
    """As much of the model as bots look at."""

    def __init__(self, store: str) -> None:
        self.leased = _StoredLeases(store)


class _Body(Host):
    """This process."""

    def __init__(self, loop: VirtualLoop, name: str, lines: Lines) -> None:
        super().__init__(loop, name)
        self._lines = lines

    def pause(self, microseconds: int) -> None:
        """Stop here, in the middle of whatever it was, until the driver lets it go on."""
        self._lines("freeze", microseconds / SECOND)
        os.kill(os.getpid(), signal.SIGSTOP)


class _RealBot(SdkBot):
    def __init__(self, orders: Orders, env: Environment, fleet: Fleet, lines: Lines) -> None:
        async def key_of(name: str) -> str:
            return orders.key

        model = cast(HttpModel, _LeasesAlone(orders.store))
        nothing: Any = None  # no simulated network lies between
        super().__init__(env, nothing, model, Provider(env), key_of, orders.type, orders.number, fleet)
        self._lines = lines

    def crash(self, process: SdkBotProcess, fault: Fault, *, vanish: bool) -> None:
        down = fault.amount(self.env.scenario.bounds.lease_seconds)
        self._lines("gone", {"down": down, "vanish": vanish})
        # Who vanishes closes no connection. What is left of it is taken away by the driver, at the end.
        os.kill(os.getpid(), signal.SIGSTOP if vanish else signal.SIGKILL)

    def replace(self) -> None:
        self._lines("replace", True)


class _RealBotProcess(SdkBotProcess):
    def __init__(self, bot: SdkBot, host: Host, number: int, transport: WireTransport) -> None:
        super().__init__(bot, host, number)
        self._transport = transport

    async def attempt(self, context: Context, judges: tuple[str, ...] = ()) -> Answer:
        answer = await super().attempt(context, judges)
        if isinstance(answer, Later) and answer.seconds:
            return replace(answer, seconds=round(answer.seconds / PACE) + 1)
        if isinstance(answer, Failed) and answer.retry_after_seconds is not None:
            return replace(answer, retry_after_seconds=round(answer.retry_after_seconds / PACE) + 1)
        return answer


async def live(orders: Orders, lines: Lines) -> None:
    """Until the driver says stop (SIGTERM): then what is held is finished."""
    case = cases.from_json(orders.case)
    scenario, choice, wall = hurried(case.scenario), NamedChoice(case.seed), Wall()

    def tell(kind: str, entity: str, text: str = "") -> None:
        lines("trace", [kind, entity, text])

    faults = ProcessFaults(
        choice,
        cast(Trace, tell),
        scenario,
        only=case.faults,
        healed=Path(orders.healed),
        struck_before=orders.struck,
    )
    nobody: Any = None  # bots of this level look at no network and no model by their world
    env = Environment(
        scenario, wall.loop, VirtualClock(wall.loop), choice, faults, cast(Trace, tell), nobody, nobody, asyncio.Event()
    )
    fleet = {
        "Planner": scenario.planners,
        "Executor": scenario.executors,
        "Evaluator": scenario.evaluators,
    }[orders.type]
    bot = _RealBot(orders, env, fleet, lines)
    host = _Body(wall.loop, f"{bot.name}/{orders.run}", lines)

    def note(answered: Answered) -> None:
        lines("answered", asdict(answered))

    transport = WireTransport(orders.url, host, Clerk(bot.name, note))
    process = _RealBotProcess(bot, host, orders.run, transport)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, process.stop.set)
    await process.run()


def be(orders: Orders) -> None:
    lines = Lines(orders.lines)
    with counting(_Reached(lines)):
        asyncio.run(live(orders, lines))


# ---- the nest --------------------------------------------------------------------------------------------------------


def _born(path: Path) -> None:
    """What a new process does, all its life."""
    code = 1
    try:
        os.close(0)
        log = files.descriptor(path.with_suffix(".log"), os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        be(msgspec.json.decode(path.read_bytes(), type=Orders))
        code = 0
    except BaseException:  # whatever it is: this process must never go on as a second nest
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tell(kind: str, value: Json) -> None:
    os.write(1, json.dumps({kind: value}).encode() + b"\n")


def nest() -> None:
    alive: set[int] = set()
    asked = b""
    while True:
        if select.select([0], [], [], LOOK_SECONDS)[0]:
            said = os.read(0, 65_536)
            if not said:
                break
            *paths, asked = (asked + said).split(b"\n")
            for path in map(os.fsdecode, paths):
                pid = os.fork()
                if pid == 0:
                    _born(Path(path))
                alive.add(pid)
                _tell("born", [path, pid])
        for pid in sorted(alive):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                alive.discard(pid)
                _tell("ended", [pid, os.waitstatus_to_exitcode(status)])
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    nest()
