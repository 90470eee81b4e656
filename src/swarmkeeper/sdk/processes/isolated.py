"""The child's side of `isolation = "process"`: makes the bot, does one attempt, sends its answer, and ends.

isolation.py starts it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import faulthandler
import fcntl
import importlib
import inspect
import json
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from types import FrameType, ModuleType
from typing import Any, BinaryIO

from swarmkeeper.core.states import Kind
from swarmkeeper.sdk import bots
from swarmkeeper.sdk.answers import Answer, Ask, Done, Failed, Later
from swarmkeeper.sdk.attempts import preparing
from swarmkeeper.sdk.attempts.failures import OwnCode
from swarmkeeper.sdk.attempts.sendable import readable, sendable
from swarmkeeper.sdk.attempts.user_code import Outcome, Raised, Returned, awaited, called
from swarmkeeper.sdk.bots import BaseBot, executor, takes_context
from swarmkeeper.sdk.context import Context, Outbox
from swarmkeeper.sdk.processes.isolation import OURS, Job, Origin, Setup
from swarmkeeper.sdk.processes.loading import loading
from swarmkeeper.wire.answers import BotMessage

Json = Any

# A high file number: some code closes or writes to low numbers that it believes to be its own.
_FILE_MIN = 900


class NotTheSame(Exception):
    """The bot made in the child differs from its parent's."""


class ParentPipe:
    """The pipe to the bot's process. Each message is one line of JSON."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._process = os.getpid()
        self._lock = threading.Lock()

    def send(self, kind: str, value: Json) -> None:
        """Send a message.

        Raises:
            ValueError, TypeError: `value` has no JSON form.
            RuntimeError: this process is a fork of the attempt's process.
            SystemExit: the pipe is closed.
        """
        if os.getpid() != self._process:
            raise RuntimeError("the context of an attempt cannot be used in a process that was forked")
        frame = memoryview(json.dumps({kind: value}, allow_nan=False).encode() + b"\n")
        with self._lock:
            while frame:
                try:
                    frame = frame[os.write(self._file, frame) :]
                except OSError as error:
                    sys.exit(f"the pipe to the bot is gone: the code in here closed it ({error.strerror})")


class ChildContext(Context):
    """A context that checks each report here, at the author's line, and sends it to the bot's process."""

    _pipe: ParentPipe

    def progress(self, fraction: float, message: str | None = None) -> None:
        super().progress(fraction, message)
        self._pipe.send("progress", [float(fraction), self._message])

    def log(self, line: str) -> None:
        super().log(line)
        self._pipe.send("log", self._log[-1])

    def _line(self, line: str) -> None:
        self._pipe.send("line", line)

    def use(self, *, tokens: float = 0, cost_micro_usd: float = 0, unpriced_tokens: float = 0) -> None:
        super().use(tokens=tokens, cost_micro_usd=cost_micro_usd, unpriced_tokens=unpriced_tokens)
        used = {"tokens": tokens, "cost_micro_usd": cost_micro_usd, "unpriced_tokens": unpriced_tokens}
        self._pipe.send("use", used)

    def checkpoint(self, value: Json) -> None:
        super().checkpoint(value)
        self._pipe.send("checkpoint", self._checkpoint)

    def tell(self, bot: str | None, payload: Mapping[str, Json]) -> None:
        super().tell(bot, payload)
        self._pipe.send("tell", [bot, self._outgoing.pop().payload])


def main(results: int) -> None:
    """Do one attempt. `results` is the number of the file that the bot's process reads; work comes on stdin."""
    faulthandler.enable()
    pipe = ParentPipe(_move_to_high_number(results))
    work = os.fdopen(_move_to_high_number(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    if nothing != 0:
        os.dup2(nothing, 0)
        os.close(nothing)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # the interpreter's own streams
    setup = _read(work)
    assert isinstance(setup, Setup), "the first message"
    sys.argv = list(setup.argv)
    refusal = RuntimeError(
        'the bot\'s file serves it whenever it is imported: put that under `if __name__ == "__main__":`'
    )
    try:
        with loading(refusal):
            bot = _make_bot(setup.origin)
            code = bot.code()
    except BaseException as error:  # also SystemExit, from a file that parses arguments when it is imported
        traceback.print_exc()
        pipe.send("ready", f"the bot cannot be made in a child process: {type(error).__name__}: {error}")
        return
    pipe.send("ready", None)
    job = _read(work)
    if isinstance(job, Job):  # None: the bot needs this process no more
        _IsolatedAttempt(pipe, bot, code, job).run(work)


def _move_to_high_number(file: int) -> int:
    """Move a file to a high number that other code does not use and that no program inherits."""
    try:
        moved = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, _FILE_MIN)
    except OSError:  # above the limit of open files
        moved = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 3)
    if file != 0:
        os.close(file)
    return moved


def _read(work: BinaryIO) -> object:
    """Read the next message from the bot's process; None at the end."""
    length = work.read(8)
    if len(length) < 8:
        return None
    return pickle.loads(work.read(int.from_bytes(length, "big")))  # noqa: S301 - from the parent process


# ---- making the bot --------------------------------------------------------------------------------------------------


def _make_bot(origin: Origin) -> BaseBot:
    found: object = _module(origin)
    for part in origin.name.split("."):
        found = getattr(found, part)
    if isinstance(found, BaseBot):
        return found
    if isinstance(found, type):
        arguments, named = pickle.loads(origin.arguments)  # noqa: S301 - as above
        bot: object = found(*arguments, **named)
    else:
        bot = executor(found)  # type: ignore[call-overload]  # the function that the parent's bot was made of
    assert isinstance(bot, BaseBot), "it is a bot in the parent"
    for name, value in pickle.loads(origin.settings).items():  # noqa: S301 - as above
        setattr(bot, name, value)
    missing = origin.attributes - set(vars(bot)) - OURS - set(bots.settings_of(bot))
    if missing:
        raise NotTheSame(
            f"{origin.name} has {', '.join(sorted(missing))} in the bot's process, set after it was made: "
            "set it in __init__, or pass it as an argument"
        )
    return bot


def _module(origin: Origin) -> ModuleType:
    """Import the author's module, under its own name if that finds the same file."""
    if origin.module == "__main__":
        # Not under that name: code under `if __name__ == "__main__":` must not run here.
        module = _from_file(origin, "__mp_main__")
    else:
        module = _by_name(origin)
    if origin.main:
        sys.modules["__main__"] = module  # pickled objects refer to it by this name
    return module


def _by_name(origin: Origin) -> ModuleType:
    try:
        spec = find_spec(origin.module)
    except (ImportError, ValueError):
        spec = None
    if origin.file is None or (spec is not None and spec.origin is not None and _same(spec.origin, origin.file)):
        return importlib.import_module(origin.module)
    return _from_file(origin, origin.module)


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _from_file(origin: Origin, name: str) -> ModuleType:
    assert origin.file is not None, "the parent has checked it"
    spec = spec_from_file_location(name, origin.file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{origin.file} is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# ---- the attempt -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class _LeaseInfo:
    """The lease, as far as preparing.py needs it."""

    kind: Kind
    lease_id: str
    work_id: str
    prepared: tuple[Answer, dict[str, Any]] | None = None


class _IsolatedAttempt:
    def __init__(self, pipe: ParentPipe, bot: BaseBot, code: Callable[..., Any], job: Job) -> None:
        self._pipe = pipe
        self._code, self._own = code, OwnCode(code)
        self._process = os.getpid()
        self._lease = _LeaseInfo(Kind.EXECUTE, job.about["lease_id"], job.about["work_id"])
        context = ChildContext(**job.about)
        context._pipe = pipe
        self._outbox = Outbox(context)
        self._arguments = (job.subtask, context) if takes_context(code) else (job.subtask,)
        self._task: asyncio.Task[Outcome] | None = None

    def run(self, work: BinaryIO) -> None:
        threading.Thread(target=self._listen, args=(work,), name="swarmkeeper-bot", daemon=True).start()
        signal.signal(signal.SIGTERM, self._unwanted)
        outcome = self._outcome()
        if os.getpid() != self._process:
            os._exit(0)  # the author's code forked, and the fork returned: only the original process answers
        # The bot's process sends SIGTERM once it has the answer; exit handlers still run.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._outbox.end_commands()
        match outcome:
            case Returned(Done() | Failed() | Later() | Ask() as answer):
                self._answer(answer)
            case Raised(error):
                self._raised(error)

    def _outcome(self) -> Outcome:
        call: Callable[[], object] = partial(preparing.call, self._code, self._arguments, self._lease)
        if not inspect.iscoroutinefunction(self._code):
            outcome = called(call)
            if not (isinstance(outcome, Returned) and inspect.isawaitable(outcome.value)):
                return outcome
            returned = outcome.value
            call = lambda: returned  # noqa: E731 - shorter than a def
        return asyncio.run(self._awaited(call))

    async def _awaited(self, call: Callable[[], object]) -> Outcome:
        self._task = asyncio.create_task(awaited(call, None))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._cancel)
        return await self._task

    def _cancel(self) -> None:
        self._outbox.cancel()
        assert self._task is not None, "the handler is set after the task"
        self._task.cancel()

    def _unwanted(self, _number: int, _frame: FrameType | None) -> None:
        self._outbox.cancel()
        raise asyncio.CancelledError

    def _listen(self, work: BinaryIO) -> None:
        while (message := _read(work)) is not None:
            assert isinstance(message, BotMessage), "only messages come during an attempt"
            self._outbox.receive(message)

    def _answer(self, answer: Done | Failed | Later | Ask) -> None:
        fields = {field.name: getattr(answer, field.name) for field in dataclasses.fields(answer)}
        try:
            self._pipe.send("answer", {"type": type(answer).__name__, "fields": sendable(fields, "the answer")})
        except (TypeError, ValueError) as error:
            self._raised(error)

    def _raised(self, error: BaseException) -> None:
        description = readable(self._own.describe(error))
        raised = {
            "kind": type(error).__name__,
            "description": description,
            "trace": readable("".join(traceback.format_exception(error))),
            "failure": dataclasses.asdict(preparing.failure_from(self._lease, error, description)),
        }
        self._pipe.send("raised", raised)
