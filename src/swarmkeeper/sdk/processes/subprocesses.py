"""Runs programs for a bot's code; none outlives the attempt that started it. POSIX only.

supervisor.py ensures this even if the bot's process is killed.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Self

from swarmkeeper.sdk.attempts.user_code import Threads
from swarmkeeper.sdk.processes.output import HeadAndTail, LineSplitter

# Between SIGTERM and SIGKILL: enough to save progress. Another bot may be at this work already.
GRACE_SECONDS = 2.0
# How long to wait for more output after the supervisor has reported the program's end.
SILENCE_SECONDS_MAX = 5.0
SIGNALS_SECONDS = 0.5  # see background.py
TIMEOUT_SECONDS_MAX = 10**8  # three years; timers have a maximum
OUTPUT_BYTES_MAX = 1024 * 1024
# A command must not see the bot's own credentials.
_WITHHELD = tuple(f"SWARMKEEPER_{name}{end}" for name in ("API_KEY", "BOOTSTRAP_KEY") for end in ("", "_FILE"))
# Runs supervisor.py as a module: Python compiles a script at each start, and a module once.
_SUPERVISE = "import sys; sys.path.append(sys.argv[1]); from supervisor import main; sys.path.pop(); main(sys.argv[2:])"
_FOLDER = str(Path(__file__).parent)

Argv = str | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended and what it wrote. Of long output, the beginning and the end are kept."""

    command: str  # as typed in a shell
    code: int  # exit code; negative: the number of the signal that ended it
    stdout: str
    stderr: str
    stdout_truncated: bool = False
    stderr_truncated: bool = False

    @property
    def ok(self) -> bool:
        return self.code == 0


class CommandFailed(Exception):
    """A command run with `check=True` did not exit with 0."""

    def __init__(self, result: CommandResult) -> None:
        super().__init__(f"{_quoted(result.command)} {ended_with(result.code)}{_last_line(result)}")
        self.result = result


class CommandTimedOut(TimeoutError):
    """A command was killed because it ran longer than its `timeout`."""

    def __init__(self, result: CommandResult, timeout: float) -> None:
        super().__init__(f"{_quoted(result.command)} did not end within {timeout:g} s{_last_line(result)}")
        self.result = result


@dataclass(frozen=True, slots=True)
class ProgramEnd:
    """How a program ended, as its supervisor reported it. `why` is "parent" if this process ended it."""

    code: int
    why: Literal["itself", "timeout", "parent"]


class StdinFeed:
    """The standard input of a program. Any thread may add to it while the program runs."""

    def __init__(self, data: bytes = b"", *, last: bool = False) -> None:
        self._lock = threading.Lock()
        self._data = [data]
        self._last = last
        self.woken, self._wake = os.pipe()  # `woken` is readable while there is data to take
        self._closed = False
        os.write(self._wake, b"x")

    def add(self, data: bytes) -> None:
        with self._lock:
            if not self._closed:
                if not self._data:
                    os.write(self._wake, b"x")
                self._data.append(data)

    def take(self) -> tuple[bytes, bool]:
        """Take the data added since the last call; also say whether no more will come."""
        with self._lock:
            taken, self._data = self._data, []
            if taken:
                os.read(self.woken, 1)
            return b"".join(taken), self._last

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self.woken)
                os.close(self._wake)


class SupervisedProgram:
    """A program under a supervisor, with pipes to its stdin, stdout and stderr. Any thread may call `end`.

    Raises:
        OSError: the folder, or Python itself, cannot be used.
        RuntimeError: this is not POSIX, or Python's own path is not known.
    """

    def __init__(
        self,
        program: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        stdin: StdinFeed | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        self._program = program
        self._feed = stdin
        self._lock = threading.Lock()
        self.end_requested = False
        self._reaped = False
        # The program may have stopped its supervisor (SIGSTOP); SIGKILL ends a stopped process, too.
        self._kill_timer = threading.Timer(GRACE_SECONDS + SILENCE_SECONDS_MAX, self._kill)
        self._kill_timer.daemon = True
        with ExitStack() as ours, ExitStack() as theirs:  # files to close: ours only if this fails
            if stdin is not None:
                ours.callback(stdin.close)
            if os.name != "posix" or not sys.executable:
                raise RuntimeError("running programs needs POSIX and a Python interpreter in a file (sys.executable)")
            control, self._control = _pipe(theirs, ours)
            self._status, status = _pipe(ours, theirs)
            words = [str(control), str(status), str(os.getpid()), str(timeout or 0), str(GRACE_SECONDS)]
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _SUPERVISE, _FOLDER, *words, *program],
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=environment,
                cwd=folder,
                pass_fds=(control, status, *inherited),
                start_new_session=True,
            )
            ours.pop_all()

    def end(self) -> None:
        """Let the supervisor end the program and all that it started. Does not wait."""
        with self._lock:
            if self.end_requested:
                return
            self.end_requested = True
            os.close(self._control)
            if not self._reaped:
                self._kill_timer.start()

    def _kill(self) -> None:
        with self._lock:
            if not self._reaped:  # later the process id may be another process's
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def pump(
        self,
        *,
        stdout: Callable[[bytes], None],
        stderr: Callable[[bytes], None],
        others: Mapping[int, Callable[[bytes], None]] = {},
    ) -> ProgramEnd:
        """Transfer bytes until the program and all that it started have ended. Called once.

        `others` are further files to read from, each with a callback, which gets b"" at the end of the file.

        Raises:
            OSError: the program could not be started.
        """
        process = self._process
        assert process.stdout is not None, "stdout is a pipe"
        assert process.stderr is not None, "stderr is a pipe"
        status_bytes = bytearray()
        readers = {process.stdout.fileno(): stdout, process.stderr.fileno(): stderr, **others}
        try:
            with _PipeTransfer(readers, (self._status, status_bytes), process.stdin, self._feed) as carrier:
                try:
                    carrier.carry()
                except BaseException:  # an interrupt, or an exception of a callback
                    self.end()
                    carrier.carry()
                    raise
        finally:
            self._kill()  # in case a process of the group is left
            with self._lock:
                self._reaped = True
            self._kill_timer.cancel()
            self.end()
            for file in (process.stdin, process.stdout, process.stderr):
                if file is not None:
                    file.close()
            if self._feed is not None:
                self._feed.close()
            os.close(self._status)
            process.wait()
        return self._parse_status(status_bytes.decode())

    def _parse_status(self, line: str) -> ProgramEnd:
        match line.split():
            case ["exit", code, ("itself" | "timeout" | "parent") as why]:
                return ProgramEnd(int(code), why)
            case ["errno", number]:
                raise OSError(int(number), os.strerror(int(number)), self._program[0])
            case _:  # the supervisor was killed, and its group with it
                return ProgramEnd(-signal.SIGKILL, "itself")


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """Make a pipe; the stacks close its ends."""
    ends = os.pipe()
    for end, stack in zip(ends, (reader, writer), strict=True):
        stack.callback(os.close, end)
    return ends


class _PipeTransfer:
    """Reads from several files until the status file ends; meanwhile writes the feed to the program's stdin."""

    def __init__(
        self,
        readers: Mapping[int, Callable[[bytes], object]],
        status: tuple[int, bytearray],
        sink: IO[bytes] | None,
        feed: StdinFeed | None,
    ) -> None:
        self._status, self._status_bytes = status
        self._sink = sink
        self._left = memoryview(b"")
        self._selector = selectors.DefaultSelector()
        for file, callback in {**readers, self._status: self._status_bytes.extend}.items():
            os.set_blocking(file, False)
            self._selector.register(file, selectors.EVENT_READ, callback)
        if sink is not None and feed is not None:
            os.set_blocking(sink.fileno(), False)
            self._selector.register(feed.woken, selectors.EVENT_READ, feed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()

    def carry(self) -> None:
        """Transfer bytes until the status file ends, then read what is left in the others."""
        while self._status in self._selector.get_map():
            over = b"\n" in self._status_bytes
            ready = self._selector.select(SILENCE_SECONDS_MAX if over else SIGNALS_SECONDS)
            if over and not ready:
                return  # a process that even SIGKILL cannot end, blocked in a driver or a network file system
            for key, _ in ready:
                if isinstance(key.data, StdinFeed):
                    self._write(key.data)
                else:
                    self._read(key)
        for key in list(self._selector.get_map().values()):
            while not isinstance(key.data, StdinFeed) and self._read(key):
                pass

    def _read(self, key: selectors.SelectorKey) -> bool:
        """Read once from a file; False if there is no data now, or the file has ended."""
        try:
            data = os.read(key.fd, 65_536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # a socket whose other end was killed
        if not data:
            self._selector.unregister(key.fd)
        if data or key.fd != self._status:
            key.data(data)
        return bool(data)

    def _write(self, feed: StdinFeed) -> None:
        """Write as much as possible; then watch the pipe while data is left, else the feed."""
        assert self._sink is not None, "a feed comes with a sink"
        more, ended = feed.take()
        if more:
            self._left = memoryview(bytes(self._left) + more)
        try:
            self._left = self._left[os.write(self._sink.fileno(), self._left) :] if self._left else self._left
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._left, ended = memoryview(b""), True  # the program has closed its stdin
        for file in (feed.woken, self._sink.fileno()):
            if file in self._selector.get_map():
                self._selector.unregister(file)
        if self._left:
            self._selector.register(self._sink.fileno(), selectors.EVENT_WRITE, feed)
        elif ended:
            self._sink.close()
        else:
            self._selector.register(feed.woken, selectors.EVENT_READ, feed)


class Commands:
    """Runs the commands of one attempt. Any thread may run one, several at a time."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.on_line = on_line  # called with each line of output
        self._lock = threading.Lock()
        self._over = False
        self._running: set[SupervisedProgram] = set()

    def end(self) -> None:
        """Kill running commands and refuse new ones. Does not wait."""
        self._over = True
        self.kill()

    def kill(self) -> None:
        """Kill running commands. Does not wait."""
        with self._lock:
            running = list(self._running)
        for each in running:
            each.end()

    async def run(self, command: Argv, options: CommandOptions) -> CommandResult:
        call = _CommandRun(self, command, options)
        # A loop with virtual time has no threads and runs it at once.
        ended = asyncio.get_running_loop().run_in_executor(Threads("swarmkeeper-command"), call.run)
        cancelled: asyncio.CancelledError | None = None
        while not ended.done():
            try:
                await asyncio.shield(ended)
            except asyncio.CancelledError as error:
                # The caller may start the same work elsewhere at once: the command must be dead before this ends.
                call.end()
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return call.outcome.result()

    def run_sync(self, command: Argv, options: CommandOptions) -> CommandResult:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("run_sync would block the event loop: write `await context.run(…)` here")
        call = _CommandRun(self, command, options)
        call.run()
        return call.outcome.result()

    def begin(self, make: Callable[[], SupervisedProgram]) -> SupervisedProgram:
        """Start a program.

        Raises:
            asyncio.CancelledError: the attempt is over.
        """
        with self._lock:
            if self._over:
                raise asyncio.CancelledError
            made = make()
            self._running.add(made)
            return made

    def forget(self, supervised: SupervisedProgram) -> None:
        with self._lock:
            self._running.discard(supervised)


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """How a command is run; see `Context.run`."""

    timeout: float | None = None
    input: str | bytes | None = None
    env: Mapping[str, str | None] | None = None
    cwd: str | os.PathLike[str] | None = None
    check: bool = False
    log: bool = True
    output_bytes_max: int = OUTPUT_BYTES_MAX
    inherit_env: bool = True
    on_stdout: Callable[[bytes], None] | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None and not 0 < self.timeout <= TIMEOUT_SECONDS_MAX:
            raise ValueError("a command's timeout is a number of seconds above 0, or None for no limit")
        if self.output_bytes_max < 2:
            raise ValueError("output_bytes_max is 2 or more: half for the beginning, half for the end")


class _CommandRun:
    """One run of one command."""

    def __init__(self, commands: Commands, command: Argv, options: CommandOptions) -> None:
        self._commands = commands
        self._argv = argv_of(command)
        self._shown = command if isinstance(command, str) else shlex.join(self._argv)
        self._options = options
        self._lock = threading.Lock()
        self._supervised: SupervisedProgram | None = None
        self._unwanted = False
        self.outcome: Future[CommandResult] = Future()

    def end(self) -> None:
        with self._lock:
            self._unwanted = True
            if self._supervised is not None:
                self._supervised.end()

    def run(self) -> None:
        """Run the command and set `outcome`."""
        try:
            self.outcome.set_result(self._run())
        except BaseException as error:
            self.outcome.set_exception(error)

    def _run(self) -> CommandResult:
        options = self._options
        kept = HeadAndTail(options.output_bytes_max), HeadAndTail(options.output_bytes_max)
        lines = [LineSplitter(self._commands.on_line) for _ in kept] if options.log else []
        reads_stdout: Callable[[bytes], None] | None = lines[0].add if lines else None
        if options.on_stdout is not None:
            reads_stdout = _until_it_raises(options.on_stdout)
        supervised = self._start()
        try:
            ended = supervised.pump(
                stdout=_all(kept[0].add, *([reads_stdout] if reads_stdout else [])),
                stderr=_all(kept[1].add, *(each.add for each in lines[1:])),
            )
        finally:
            self._commands.forget(supervised)
        for each in lines:
            each.end()
        out, err = kept
        result = CommandResult(self._shown, ended.code, out.text(), err.text(), out.truncated, err.truncated)
        if ended.why == "parent":
            raise asyncio.CancelledError
        if ended.why == "timeout":
            assert options.timeout is not None, "only a set timeout can expire"
            raise CommandTimedOut(result, options.timeout)
        if options.check and not result.ok:
            raise CommandFailed(result)
        return result

    def _start(self) -> SupervisedProgram:
        options, given = self._options, self._options.input
        data = given.encode() if isinstance(given, str) else given

        def make() -> SupervisedProgram:
            return SupervisedProgram(
                self._argv,
                environment=environment_of(options.env, inherit=options.inherit_env),
                folder=options.cwd,
                timeout=options.timeout,
                stdin=None if data is None else StdinFeed(data, last=True),
            )

        with self._lock:
            if self._unwanted:
                raise asyncio.CancelledError
            self._supervised = self._commands.begin(make)
            return self._supervised


def argv_of(command: Argv) -> list[str]:
    """Return a command as a list of words; a single text is run by the shell.

    Raises:
        ValueError: it is empty, or holds a NUL.
    """
    words = ["/bin/sh", "-c", command] if isinstance(command, str) else [os.fsdecode(word) for word in command]
    if not words or not words[0] or (isinstance(command, str) and not command.strip()):
        raise ValueError("the command is empty")
    if any("\0" in word for word in words):
        raise ValueError("a word of a command cannot hold a NUL")
    return words


def environment_of(changes: Mapping[str, str | None] | None, *, inherit: bool = True) -> dict[str, str]:
    """Return this process's environment with the changes, without the bot's credentials; None removes a variable.

    Without `inherit`, return the changes alone.
    """
    environment = {name: value for name, value in os.environ.items() if inherit and name not in _WITHHELD}
    for name, value in (changes or {}).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    return environment


def _all(*callbacks: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def call_all(data: bytes) -> None:
        for callback in callbacks:
            callback(data)

    return call_all


def _until_it_raises(callback: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return a callback that raises once and then does nothing: the supervisor needs time to end the program."""
    raised = False

    def call(data: bytes) -> None:
        nonlocal raised
        if not raised:
            try:
                callback(data)
            except BaseException:
                raised = True
                raise

    return call


def _quoted(command: str) -> str:
    """Quote a command for a message: its beginning, on one line."""
    line = " ".join(command.split())
    return f"`{line if len(line) <= 80 else line[:79] + '…'}`"


def ended_with(code: int) -> str:
    """Say in words how a program ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _last_line(result: CommandResult) -> str:
    """Return the last line of stderr, else of stdout: it mostly says why."""
    lines: list[str] = []
    for text in (result.stderr, result.stdout):
        whole = LineSplitter(lines.append)
        whole.add(text.encode())
        whole.end()
        if lines:
            return f": {lines[-1][:500]}"
    return ""
