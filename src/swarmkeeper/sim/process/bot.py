"""Program of the bots of level process: real SDK bots over real HTTP, each in its own process. They make the same
choices as the bots of level http (sdk_bots.py), and kill themselves when a fault says so.

`python -m swarmkeeper.sim.process.bot` is the fork server: it reads paths of order files from stdin and forks a bot for
each. A bot starts at once, because all modules are already loaded. The fork server reports on stdout when a bot starts
and ends, and kills all bots when stdin ends. Each bot writes the answers it gets and its faults to its own file, one
per line. A line is complete once written, even if the process is killed.
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
from swarmkeeper.sim.play.bots import Provider
from swarmkeeper.sim.play.host import Environment
from swarmkeeper.sim.play.http.sdk_bots import SdkBot, SdkBotProcess
from swarmkeeper.sim.play.scenarios import Fleet
from swarmkeeper.sim.process.runtime import (
    PACE,
    AnswerRecorder,
    ObservedCall,
    ProcessFaults,
    Wall,
    WireTransport,
    sped_up,
)
from swarmkeeper.sim.process.stored_rows import leases_of

POLL_SECONDS = 0.05  # between checks for ended processes


@dataclass(frozen=True, slots=True)
class Orders:
    """Input of one bot process."""

    case: dict[str, Any]
    type: str
    number: int
    run: int  # the number of this bot's process, from 1
    url: str
    key: str
    store: str  # URL, to read what the SDK does not give: an item's key, round and tries
    lines: str  # path of the file that it writes
    healed: str
    struck: tuple[str, ...]  # faults that struck earlier processes of this bot


class OutputLines:
    """Output of this process for the driver. Each line is one unbuffered write."""

    def __init__(self, path: str) -> None:
        self._file = files.descriptor(Path(path), os.O_WRONLY | os.O_APPEND)

    def __call__(self, kind: str, value: Json) -> None:
        os.write(self._file, json.dumps({kind: value}).encode() + b"\n")


class _Reached(Counter[str]):
    """Counter that reports each situation at once, because the process may be killed."""

    def __init__(self, lines: OutputLines) -> None:
        super().__init__()
        self._lines = lines

    def __setitem__(self, what: str, count: int) -> None:
        super().__setitem__(what, count)
        self._lines("reached", what)


class _LeasesOnly:
    """The part of the model that bots read."""

    def __init__(self, store: str) -> None:
        self.leased = leases_of(store)


class _ThisProcess(Host):
    """This process."""

    def __init__(self, loop: VirtualLoop, name: str, lines: OutputLines) -> None:
        super().__init__(loop, name)
        self._lines = lines

    def pause(self, microseconds: int) -> None:
        """Stop this process at once (SIGSTOP) until the driver continues it."""
        self._lines("freeze", microseconds / SECOND)
        os.kill(os.getpid(), signal.SIGSTOP)


class _RealBot(SdkBot):
    def __init__(self, orders: Orders, env: Environment, fleet: Fleet, lines: OutputLines) -> None:
        async def key_of(name: str) -> str:
            return orders.key

        model = cast(HttpModel, _LeasesOnly(orders.store))
        unused: Any = None  # there is no simulated network
        super().__init__(env, unused, model, Provider(env), key_of, orders.type, orders.number, fleet)
        self._lines = lines

    def crash(self, process: SdkBotProcess, fault: Fault, *, vanish: bool) -> None:
        down = fault.amount(self.env.scenario.bounds.lease_seconds)
        self._lines("gone", {"down": down, "vanish": vanish})
        # A process that vanishes closes no connection, so it is only stopped; the driver kills it at the end.
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


async def run_until_stopped(orders: Orders, lines: OutputLines) -> None:
    """Run the bot until SIGTERM from the driver, then finish its leases."""
    case = cases.from_json(orders.case)
    scenario, choice, wall = sped_up(case.scenario), NamedChoice(case.seed), Wall()

    def trace(kind: str, entity: str, text: str = "") -> None:
        lines("trace", [kind, entity, text])

    faults = ProcessFaults(
        choice,
        cast(Trace, trace),
        scenario,
        only=case.faults,
        healed=Path(orders.healed),
        struck_before=orders.struck,
    )
    unused: Any = None  # bots of this level use neither the network nor the model of the environment
    env = Environment(
        scenario,
        wall.loop,
        VirtualClock(wall.loop),
        choice,
        faults,
        cast(Trace, trace),
        unused,
        unused,
        asyncio.Event(),
    )
    bot = _RealBot(orders, env, scenario.fleets[orders.type], lines)
    host = _ThisProcess(wall.loop, f"{bot.name}/{orders.run}", lines)

    def note(answered: ObservedCall) -> None:
        lines("answered", asdict(answered))

    transport = WireTransport(orders.url, host, AnswerRecorder(bot.name, note))
    process = _RealBotProcess(bot, host, orders.run, transport)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, process.stop.set)
    await process.run()


def run_bot(orders: Orders) -> None:
    lines = OutputLines(orders.lines)
    with counting(_Reached(lines)):
        asyncio.run(run_until_stopped(orders, lines))


# ---- the fork server -------------------------------------------------------------------------------------------------


def _run_child(path: Path) -> None:
    """Run a forked child to its end. Never returns."""
    code = 1
    try:
        os.close(0)
        log = files.descriptor(path.with_suffix(".log"), os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        run_bot(msgspec.json.decode(path.read_bytes(), type=Orders))
        code = 0
    except BaseException:  # a child must never continue as a second fork server
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _send_line(kind: str, value: Json) -> None:
    os.write(1, json.dumps({kind: value}).encode() + b"\n")


def fork_server() -> None:
    alive: set[int] = set()
    pending = b""
    while True:
        if select.select([0], [], [], POLL_SECONDS)[0]:
            chunk = os.read(0, 65_536)
            if not chunk:
                break
            *paths, pending = (pending + chunk).split(b"\n")
            for path in map(os.fsdecode, paths):
                pid = os.fork()
                if pid == 0:
                    _run_child(Path(path))
                alive.add(pid)
                _send_line("born", [path, pid])
        for pid in sorted(alive):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                alive.discard(pid)
                _send_line("ended", [pid, os.waitstatus_to_exitcode(status)])
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    fork_server()
