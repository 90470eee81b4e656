"""Runs each attempt of an executor in a child process of its own: the bot's side of `isolation = "process"`. The
child's side is isolated.py.

Theory. A child is started ahead, imports the author's file, makes the bot, and waits for one attempt; then it ends, and
another takes its place. It is spawned, not forked: a copy of a process with threads may hold locks that nobody frees.
It runs under the supervisor that commands have, so that it ends with all that it started, whatever happens to either
side. Work goes to it by its stdin, pickled; what comes back on a pipe of its own is JSON, and is not trusted: the code
in there may have written anything anywhere.
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
from swarmkeeper.sdk.processes.output import Lines
from swarmkeeper.sdk.processes.subprocesses import Ended, Feed, Supervised

if TYPE_CHECKING:
    from swarmkeeper.sdk.bots import BaseBot
    from swarmkeeper.sdk.context import Outbox
    from swarmkeeper.wire.requests import SubTask

log = logging.getLogger("swarmkeeper.bot")

# What a child may say in one go. The largest output that is taken has a tenth of it.
FRAME_BYTES_MAX = 128 * 1024 * 1024
# The path comes first: this package may lie on a part of it that only this process knows.
_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv.pop())
from swarmkeeper.sdk.processes.isolated import main
main(int(sys.argv[1]))
"""
_LAST_LINES = 200  # kept of what a child writes: a stack is told outermost last
_WORDS_MAX = 500
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)')
OURS = {"_session", "_made_with"}  # attributes that are not the author's
Json = Any
ANSWERS: dict[str, type[Done | Failed | Later | Ask]] = {each.__name__: each for each in (Done, Failed, Later, Ask)}


class CannotIsolate(ValueError):
    """A child process could not make this bot; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Origin:
    """How a child process comes to the bot that its parent has."""

    module: str
    main: bool  # the module that Python was started with
    file: str | None  # of the module; None: it can be imported by its name alone
    name: str  # of the class or function in it, dotted
    arguments: bytes  # pickled: what the class was called with
    settings: bytes  # pickled: those of BaseBot, as they are now
    attributes: frozenset[str]  # that the bot has in the parent


@dataclass(frozen=True, slots=True)
class Setup:
    """What a child is told before any work."""

    argv: tuple[str, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt, as it goes to the child."""

    subtask: SubTask
    about: dict[str, Json]  # what the Context is made of


def framed(value: object) -> bytes:
    data = pickle.dumps(value)
    return len(data).to_bytes(8, "big") + data


# ---- where the bot comes from ----------------------------------------------------------------------------------------


def origin_of(bot: BaseBot) -> Origin:
    """Where a child process finds the bot's class or function.

    Raises:
        CannotIsolate: it does not.
    """
    code = bot.code()
    made_of: object = code if bot._of_function else type(bot)
    name, module = getattr(made_of, "__qualname__", ""), getattr(made_of, "__module__", "") or ""
    if not name or "<" in name:
        raise CannotIsolate(
            f"isolation='process' needs a class or function at the top of a file, which a child process can import: "
            f"{name or type(made_of).__name__} is none"
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
    """A child process, from its start to its end. Its thread, here, carries what goes to and fro."""

    def __init__(self, setup: Setup, label: Callable[[], str], own: OwnCode) -> None:
        self._label, self._own = label, own
        self._lock = threading.Lock()
        self._frames = bytearray()
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._outbox: Outbox | None = None
        self._answer: Outcome | None = None
        self._fault: str | None = None  # why what it says is no longer listened to
        self._unwanted = False
        self.ended = False
        self.ready: Future[str | None] = Future()  # None, or why it is not
        self.outcome: Future[Outcome] = Future()
        self._feed = Feed(framed(setup))
        reader, writer = os.pipe()
        try:
            self._process = Supervised(
                [sys.executable, *_flags(), "-c", _BOOT, str(writer), json.dumps(sys.path)],
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
        """Hand it the attempt; False where it has ended already."""
        with self._lock:
            if self.ended:
                return False
            self._outbox = outbox
        self._feed.add(framed(job))
        outbox.forward(lambda message: self._feed.add(framed(message)))
        return True

    def end(self) -> None:
        """Kill it: its answer is not wanted."""
        self._unwanted = True
        self._process.end()

    # ---- its thread

    def _live(self, reader: int) -> None:
        lines = Lines(self._line), Lines(self._line)
        try:
            ended = self._process.pump(stdout=lines[0].add, stderr=lines[1].add, others={reader: self._hear})
        except OSError as error:
            ended = Ended(1, "itself")
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

    def _hear(self, came: bytes) -> None:
        if self._fault is not None:
            return
        self._frames += came
        frames: list[bytes] = []
        if b"\n" in came:
            *frames, rest = bytes(self._frames).split(b"\n")
            self._frames = bytearray(rest)
        try:
            for frame in frames:
                self._take(json.loads(frame))
            if len(self._frames) > FRAME_BYTES_MAX:
                raise ValueError("a frame without end")
        except Exception:
            # Whatever is wrong with it: the code in there wrote where only we write.
            self._fault = "wrote what is not understood on the pipe to its bot"
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
                outbox.say(kind, value)
            case "answer":
                self._answer = Returned(ANSWERS[value["type"]](**value["fields"]))
            case "raised":
                failure = Failed(**value.pop("failure"))
                self._answer = Raised(RaisedElsewhere(**value, failure=failure), in_thread=True)
            case _:
                raise ValueError(kind)
        if self._answer is not None:
            # It ends by itself, with what its code registered for that. What takes longer than the grace is killed.
            self._process.end()

    def _outcome(self, ended: Ended) -> Outcome:
        if self._answer is not None:
            return self._answer
        if self._unwanted:
            return Stopped()
        return Raised(RaisedElsewhere("ProcessCrashed", self._crash(ended)), in_thread=True)

    def _crash(self, ended: Ended) -> str:
        said = f"the child process {self._fault or subprocesses.ended_with(ended.code) + ' before it answered'}"
        if ended.code == -signal.SIGKILL and self._fault is None:
            said += " (out of memory?)"
        lines, place = _parted(self._last_lines)
        own = self._own.innermost(place)
        said += "" if own is None else f" (at {shown(own)})"
        return f"{said}; the last that it wrote: {lines[-1][:_WORDS_MAX]}" if lines else said


def _parted(lines: Iterable[str]) -> tuple[list[str], list[Place]]:
    """What the code wrote, and where it stood, inwards, if faulthandler (of a fatal signal) says so in between."""
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


def _flags() -> list[str]:
    """The interpreter's own options (-X, -W, -O…), as multiprocessing hands them on."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # there since 3.4
    return flags


class Children:
    """The warm pool of one bot."""

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
        """Start the first, and wait until it is ready.

        Raises:
            CannotIsolate: it is not, and says why.
        """
        trouble = await asyncio.get_running_loop().run_in_executor(_Instead(self._first), _no_trouble)
        if trouble is not None:
            raise CannotIsolate(f"isolation='process': {trouble}")
        self._refill_soon()

    def start(self, job: Job, outbox: Outbox, call: Callable[[], object]) -> Running:
        """Have a child do it. The outcome is there once the child, and all that it started, has ended.

        `call` does the same in this process. It is called on a loop of virtual time, which knows no other processes.
        """
        begun: list[Child] = []

        def begin() -> Future[Outcome]:
            begun.append(self._begin(job, outbox))
            return begun[0].outcome

        def end() -> None:
            for child in begun:
                child.end()

        outcome = asyncio.get_running_loop().run_in_executor(_Instead(begin), called, call)
        return Running(outcome, list, end)

    def close(self) -> None:
        """Kill all of them."""
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
            pass  # it died while it waited: there are others
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
        assert self._setup is not None, "the first was started"
        return Child(self._setup, self._label, self._own)

    def _refill_soon(self) -> None:
        if self._setup is not None:  # else time is virtual
            threading.Thread(target=self._refill, name="swarmkeeper-children", daemon=True).start()

    def _refill(self) -> None:
        """Have one ready for each free place, and never none: the next attempt should not wait for imports."""
        while self._one_is_missing():
            child = None
            try:
                child = self._child()
            except OSError as error:
                log.warning("%s: no child process can be started (%s)", self._label(), error.strerror)
                return  # the next attempt tries again, and fails with the reason
            finally:
                with self._lock:
                    self._starting -= 1
                    if child is not None and not self._closed:
                        self._idle.append(child)
                        child = None
                if child is not None:
                    child.end()

    def _one_is_missing(self) -> bool:
        with self._lock:
            missing = len(self._idle) + self._starting < max(1, self._bot.capacity - len(self._busy))
            if self._closed or not missing:
                return False
            self._starting += 1
            return True


class _Instead(Executor):
    """Starts something else than what it is given. A loop of virtual time, which needs no executor, takes what it is
    given."""

    def __init__(self, start: Callable[[], Future[Any]]) -> None:
        self._start = start

    def submit(self, *_: object, **__: object) -> Future[Any]:
        return self._start()


def _no_trouble() -> str | None:
    return None
