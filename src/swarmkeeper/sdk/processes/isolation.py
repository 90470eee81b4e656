"""Runs each attempt of an executor in a child process: the parent's side of `isolation = "process"`. The child's side
is isolated.py.

Theory. A child is started in advance, imports the author's file, makes the bot, waits for one attempt, does it, and
ends; another child replaces it. It is spawned, not forked: a copy of a process with threads may hold locks that no
thread frees. It runs under the supervisor that commands have, so it ends with all that it started, whatever happens to
parent or child. The parent sends work to its stdin, pickled. Answers come back as JSON on a pipe of their own and are
not trusted: the code in the child may write to any of its files.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swarmkeeper.sdk.answers import Ask, Done, Failed, Later
from swarmkeeper.sdk.attempts.failures import OwnCode, Place, RaisedElsewhere, shown
from swarmkeeper.sdk.attempts.user_code import Outcome, Raised, Returned, Running, Stopped, called
from swarmkeeper.sdk.bots import settings_of
from swarmkeeper.sdk.processes import subprocesses
from swarmkeeper.sdk.processes.output import LineSplitter
from swarmkeeper.sdk.processes.subprocesses import ProgramEnd, StdinFeed, SupervisedProgram

if TYPE_CHECKING:
    from swarmkeeper.sdk.bots import BaseBot
    from swarmkeeper.sdk.context import Outbox
    from swarmkeeper.wire.requests import SubTask

log = logging.getLogger("swarmkeeper.bot")

# The longest frame from a child: more than ten times the largest output.
FRAME_BYTES_MAX = 128 * 1024 * 1024
# Set sys.path first: only the parent may know the entry that holds this package.
_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv.pop())
from swarmkeeper.sdk.processes.isolated import main
main(int(sys.argv[1]))
"""
_LAST_LINES = 200  # kept of a child's output: enough for the stack that faulthandler writes
_LINE_LENGTH_MAX = 500
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)')
OURS = {"_session", "_made_with"}  # attributes that the SDK sets
Json = Any
ANSWERS: dict[str, type[Done | Failed | Later | Ask]] = {each.__name__: each for each in (Done, Failed, Later, Ask)}


class CannotIsolate(ValueError):
    """A child process cannot make this bot; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Origin:
    """How a child process makes the parent's bot."""

    module: str
    main: bool  # whether Python was started with this module
    file: str | None  # of the module; None: import it by name
    name: str  # dotted name of the class or function in the module
    arguments: bytes  # pickled arguments that the class was called with
    settings: bytes  # pickled current settings of the bot
    attributes: frozenset[str]  # names of the bot's attributes in the parent


@dataclass(frozen=True, slots=True)
class Setup:
    """The first message to a child."""

    argv: tuple[str, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt, as it is sent to the child."""

    subtask: SubTask
    about: dict[str, Json]  # the arguments of its Context


def framed(value: object) -> bytes:
    """Pickle a message and put its length in front (8 bytes)."""
    data = pickle.dumps(value)
    return len(data).to_bytes(8, "big") + data


# ---- where the bot comes from ----------------------------------------------------------------------------------------


def origin_of(bot: BaseBot) -> Origin:
    """Return how a child process makes this bot.

    Raises:
        CannotIsolate: it cannot.
    """
    code = bot.code()
    made_of: object = code if bot._of_function else type(bot)
    name, module = getattr(made_of, "__qualname__", ""), getattr(made_of, "__module__", "") or ""
    if not name or "<" in name:
        raise CannotIsolate(
            f"isolation='process' needs a class or function at the top of a file, which a child process can import: "
            f"{name or type(made_of).__name__} is not one"
        )
    holder = sys.modules.get(module)
    found: object = holder
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not bot and found is not made_of:
        raise CannotIsolate(f"isolation='process' needs {module}.{name} to be the bot: it is something else there")
    file = getattr(holder, "__file__", None)
    if main := module == "__main__":
        spec = getattr(holder, "__spec__", None)
        if spec is None and file is None:
            raise CannotIsolate("isolation='process' needs the bot in a file: a child process cannot import a session")
        module = "__main__" if spec is None else spec.name
    try:
        arguments = pickle.dumps(((), {}) if bot._of_function else bot._made_with)
        settings = pickle.dumps(settings_of(bot))
    except Exception as error:
        raise CannotIsolate(
            f"isolation='process' makes {name} anew in a child process, and what it was made with cannot go there: "
            f"{error}. Make such things in __init__, or in execute"
        ) from None
    own = frozenset(vars(bot)) - OURS
    return Origin(module, main, None if file is None else os.path.abspath(file), name, arguments, settings, own)  # noqa: PTH100


# ---- children --------------------------------------------------------------------------------------------------------


class Child:
    """A child process, from its start to its end. A thread of this process reads and writes its pipes."""

    def __init__(self, setup: Setup, label: Callable[[], str], own: OwnCode) -> None:
        self._label, self._own = label, own
        self._lock = threading.Lock()
        self._frames = bytearray()
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._outbox: Outbox | None = None
        self._answer: Outcome | None = None
        self._fault: str | None = None  # why its messages are no longer read
        self._unwanted = False
        self.ended = False
        self.ready: Future[str | None] = Future()  # None, or why it is not ready
        self.outcome: Future[Outcome] = Future()
        self._feed = StdinFeed(framed(setup))
        # The interpreter's own options (-X, -W, -O…), as multiprocessing passes them on.
        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # there since 3.4
        reader, writer = os.pipe()
        try:
            self._process = SupervisedProgram(
                [sys.executable, *flags, "-c", _BOOT, str(writer), json.dumps(sys.path)],
                environment=os.environ,
                stdin=self._feed,
                inherited=[writer],
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        threading.Thread(target=self._live, args=(reader,), name="swarmkeeper-child", daemon=True).start()

    def begin(self, job: Job, outbox: Outbox) -> bool:
        """Send it the attempt; False if it has ended already."""
        with self._lock:
            if self.ended:
                return False
            self._outbox = outbox
        self._feed.add(framed(job))
        outbox.forward(lambda message: self._feed.add(framed(message)))
        return True

    def end(self) -> None:
        """Kill it; its answer is not wanted."""
        self._unwanted = True
        self._process.end()

    # ---- its thread

    def _live(self, reader: int) -> None:
        lines = LineSplitter(self._line), LineSplitter(self._line)
        try:
            ended = self._process.pump(stdout=lines[0].add, stderr=lines[1].add, others={reader: self._receive})
        except OSError as error:
            ended = ProgramEnd(1, "itself")
            self._fault = f"could not be started: {error.strerror}"
        finally:
            os.close(reader)
        for each in lines:
            each.end()
        with self._lock:
            self.ended = True
        if not self.ready.done():
            self.ready.set_result(self._crash(ended))
        self.outcome.set_result(self._outcome(ended))

    def _line(self, line: str) -> None:
        self._last_lines.append(line)
        log.info("%s: %s", self._label(), line)

    def _receive(self, data: bytes) -> None:
        if self._fault is not None:
            return
        self._frames += data
        frames: list[bytes] = []
        if b"\n" in data:
            *frames, rest = bytes(self._frames).split(b"\n")
            self._frames = bytearray(rest)
        try:
            for frame in frames:
                self._take(json.loads(frame))
            if len(self._frames) > FRAME_BYTES_MAX:
                raise ValueError("a frame without end")
        except Exception:
            # Any error means that the author's code wrote to the SDK's pipe.
            self._fault = "wrote an invalid message to the pipe to its bot"
            self._process.end()

    def _take(self, frame: dict[str, Json]) -> None:
        [(kind, value)] = frame.items()
        if kind == "ready":
            self.ready.set_result(value)
            return
        outbox = self._outbox
        if outbox is None or self._answer is not None:
            raise ValueError("not now")
        match kind:
            case "progress" | "log" | "use" | "checkpoint" | "tell" | "line":
                outbox.apply(kind, value)
            case "answer":
                self._answer = Returned(ANSWERS[value["type"]](**value["fields"]))
            case "raised":
                failure = Failed(**value.pop("failure"))
                self._answer = Raised(RaisedElsewhere(**value, failure=failure), in_thread=True)
            case _:
                raise ValueError(kind)
        if self._answer is not None:
            # The child runs its exit handlers and ends; after the grace period it is killed.
            self._process.end()

    def _outcome(self, ended: ProgramEnd) -> Outcome:
        if self._answer is not None:
            return self._answer
        if self._unwanted:
            return Stopped()
        return Raised(RaisedElsewhere("ProcessCrashed", self._crash(ended)), in_thread=True)

    def _crash(self, ended: ProgramEnd) -> str:
        text = f"the child process {self._fault or subprocesses.ended_with(ended.code) + ' before it answered'}"
        if ended.code == -signal.SIGKILL and self._fault is None:
            text += " (out of memory?)"
        lines, place = _split_dump(self._last_lines)
        own = self._own.innermost(place)
        text += "" if own is None else f" (at {shown(own)})"
        return f"{text}; the last line it wrote: {lines[-1][:_LINE_LENGTH_MAX]}" if lines else text


def _split_dump(lines: Iterable[str]) -> tuple[list[str], list[Place]]:
    """Separate the code's own output from a stack dump of faulthandler; return both, the stack outermost first."""
    own: list[str] = []
    places: list[Place] = []
    dumped = current = False
    for line in lines:
        dumped = dumped or line.startswith("Fatal Python error: ")
        current = line.startswith("Current thread ") or (current and not line.startswith("Thread "))
        if not dumped:
            own.append(line)
        elif current and (found := _FRAME.fullmatch(line)):
            places.append((found["file"], int(found["line"]), found["name"]))
    return own, places[::-1]


class Children:
    """The child processes of one bot: those that wait for an attempt, and those that do one."""

    def __init__(self, bot: BaseBot, label: Callable[[], str], own: OwnCode) -> None:
        self._bot = bot
        self._setup: Setup | None = None
        self._label, self._own = label, own
        self._lock = threading.Lock()
        self._idle: deque[Child] = deque()
        self._busy: set[Child] = set()
        self._starting = 0
        self._closed = False

    async def warm(self) -> None:
        """Start the first child and wait until it is ready.

        Raises:
            CannotIsolate: the child cannot make the bot; says why.
        """
        trouble = await asyncio.get_running_loop().run_in_executor(_StartInstead(self._first), _no_trouble)
        if trouble is not None:
            raise CannotIsolate(f"isolation='process': {trouble}")
        self._refill_soon()

    def start(self, job: Job, outbox: Outbox, call: Callable[[], object]) -> Running:
        """Start the attempt in a child. The outcome is set once the child and all that it started have ended.

        `call` does the same in this process. A loop with virtual time, which has no other processes, runs that instead.
        """
        begun: list[Child] = []

        def begin() -> Future[Outcome]:
            begun.append(self._begin(job, outbox))
            return begun[0].outcome

        def end() -> None:
            for child in begun:
                child.end()

        outcome = asyncio.get_running_loop().run_in_executor(_StartInstead(begin), called, call)
        return Running(outcome, list, end)

    def close(self) -> None:
        """Kill all children."""
        with self._lock:
            self._closed = True
            children = [*self._idle, *self._busy]
            self._idle.clear()
        for each in children:
            each.end()

    def _first(self) -> Future[str | None]:
        self._setup = Setup(tuple(sys.argv), origin_of(self._bot))
        child = self._child()
        with self._lock:
            self._idle.append(child)
        return child.ready

    def _begin(self, job: Job, outbox: Outbox) -> Child:
        while not (child := self._next()).begin(job, outbox):
            pass  # it died while it waited: take another
        with self._lock:
            self._busy.add(child)

        def ended(_: object) -> None:
            with self._lock:
                self._busy.discard(child)

        child.outcome.add_done_callback(ended)
        self._refill_soon()
        return child

    def _next(self) -> Child:
        with self._lock:
            if self._idle:
                return self._idle.popleft()
        return self._child()

    def _child(self) -> Child:
        assert self._setup is not None, "warm() has started the first child"
        return Child(self._setup, self._label, self._own)

    def _refill_soon(self) -> None:
        if self._setup is not None:  # None: time is virtual, and there are no children
            threading.Thread(target=self._refill, name="swarmkeeper-children", daemon=True).start()

    def _refill(self) -> None:
        """Keep one child ready for each free slot, and at least one: an attempt should not wait for imports."""
        while self._reserve_start():
            child = None
            try:
                child = self._child()
            except OSError as error:
                log.warning("%s: no child process can be started (%s)", self._label(), error.strerror)
                return  # the next attempt tries again; if that fails, it reports the reason
            finally:
                with self._lock:
                    self._starting -= 1
                    if child is not None and not self._closed:
                        self._idle.append(child)
                        child = None
                if child is not None:
                    child.end()

    def _reserve_start(self) -> bool:
        with self._lock:
            missing = len(self._idle) + self._starting < max(1, self._bot.capacity - len(self._busy))
            if self._closed or not missing:
                return False
            self._starting += 1
            return True


class _StartInstead(Executor):
    """Ignores the function that it is given and calls `start` instead.

    A loop with virtual time bypasses executors and runs the function.
    """

    def __init__(self, start: Callable[[], Future[Any]]) -> None:
        self._start = start

    def submit(self, *_: object, **__: object) -> Future[Any]:
        return self._start()


def _no_trouble() -> str | None:
    return None
