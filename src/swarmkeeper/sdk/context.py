"""What a bot's code may know and say about the attempt it is in, beyond the work itself. Speaks to no server: the
runner carries what is said here with the next heartbeat or report.

Everything here may be used from a thread as well as from a coroutine.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from swarmkeeper.core.rules.heartbeat_log import joined
from swarmkeeper.sdk.attempts.sendable import cut, sendable, within
from swarmkeeper.sdk.processes.subprocesses import OUTPUT_BYTES_MAX, Argv, CommandResult, Commands, Options
from swarmkeeper.wire.answers import Answered, BotMessage, Feedback, Previous
from swarmkeeper.wire.requests import SubTask, TaskDefinition

Json = Any

# The orchestrator's bounds, told at the line of code that breaks them rather than by a refused heartbeat.
CHECKPOINT_BYTES_MAX = 64 * 1024
MESSAGE_BYTES_MAX = 64 * 1024
TEXT_LENGTH_MAX = 8_000
LOG_LINES_MAX = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an evaluator reviews: the results of a whole task, or that of one subtask."""

    of: Literal["task", "subtask"]
    task: TaskDefinition
    results: Mapping[str, Json]  # key of a subtask → its output
    round: int = 1  # one more with each rework
    subtask: SubTask | None = None  # the one under review, where `of` is "subtask"


@dataclass(frozen=True, slots=True)
class Message:
    """Something for another bot on the same task; `to_bot` None is for whoever works on it."""

    to_bot: str | None
    payload: Mapping[str, Json]


class Context:
    """The second parameter of `plan`, `execute` and `review`, for methods that have one."""

    def __init__(
        self,
        *,
        task_id: str,
        work_id: str,
        lease_id: str,
        attempt: int,
        upstream: Mapping[str, Json] | None = None,
        feedback: Sequence[Feedback] = (),
        previous: Previous | None = None,
        answers: Sequence[Answered] = (),
        resumed_from: Json = None,
        traceparent: str | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.task_id = task_id
        self.work_id = work_id
        self.lease_id = lease_id
        self.attempt = attempt  # counted from 1
        self.upstream = dict(upstream or {})  # key of a subtask that this one depends on → its output
        self.feedback = tuple(feedback)
        self.previous = previous
        self.answers = tuple(answers)
        self.resumed_from = resumed_from  # the last checkpoint of an earlier attempt; None: start afresh
        self.traceparent = traceparent  # W3C; hand it on to whatever you call
        self._wake = wake
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._fraction: float | None = None
        self._message: str | None = None
        self._log: list[str] = []
        self._usage: dict[str, int] = {}
        self._checkpoint: Json = None
        self._checkpoint_set = False
        self._outgoing: list[Message] = []
        self._heard: dict[str, BotMessage] = {}
        self._commands = Commands(self._line)
        self._forward: Callable[[BotMessage], object] | None = None  # to the process that the code runs in

    def progress(self, fraction: float, message: str | None = None) -> None:
        """How far the work is, 0 to 1; told with the next heartbeat."""
        if not 0 <= fraction <= 1:
            raise ValueError("progress lies between 0 and 1")
        with self._lock:
            self._fraction = float(fraction)
            self._message = None if message is None else cut(str(message), TEXT_LENGTH_MAX)

    def log(self, line: str) -> None:
        """A line for whoever watches. Between two heartbeats the last 100 are kept."""
        with self._lock:
            self._log = [*self._log, cut(str(line), TEXT_LENGTH_MAX)][-LOG_LINES_MAX:]

    async def run(
        self,
        command: Argv,
        *,
        timeout: float | None = None,
        input: str | bytes | None = None,  # noqa: A002 - as subprocess.run has it
        env: Mapping[str, str | None] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        check: bool = False,
        log: bool = True,
        output_bytes_max: int = OUTPUT_BYTES_MAX,
    ) -> CommandResult:
        """Run a program, and return how it ended; it is killed with all that it started when this attempt ends.

        Each line that it writes is logged, and the last is the progress message. What it leaves running when it exits
        is killed, too. Cancelling the caller kills it first: SIGTERM to its group, SIGKILL after two seconds.

        Args:
            command: a list of words, or one text for the shell. Values from outside belong into a list.
            timeout: seconds until it is killed; None: as long as the attempt lasts.
            input: what it reads; without, it reads nothing.
            env: changes to the bot's environment; None takes a variable away. The bot's key is not handed on.
            cwd: the folder that it runs in.
            check: raise CommandFailed where it does not exit with 0.
            log: False: its lines stay in the result.
            output_bytes_max: how much of stdout, and of stderr, is kept; of more, the beginning and the end.

        Raises:
            CommandTimedOut: it ran for longer than `timeout`.
            CommandFailed: see `check`.
            OSError: there is no such program or folder.
        """
        return await self._commands.run(command, Options(timeout, input, env, cwd, check, log, output_bytes_max))

    def run_sync(
        self,
        command: Argv,
        *,
        timeout: float | None = None,
        input: str | bytes | None = None,  # noqa: A002 - as subprocess.run has it
        env: Mapping[str, str | None] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        check: bool = False,
        log: bool = True,
        output_bytes_max: int = OUTPUT_BYTES_MAX,
    ) -> CommandResult:
        """Do the same as `run`, for a plain `def`.

        Where the work is no longer wanted, it raises asyncio.CancelledError, which ends the function: let it pass.
        """
        return self._commands.run_sync(command, Options(timeout, input, env, cwd, check, log, output_bytes_max))

    def _line(self, line: str) -> None:
        """Take a line of a command's output."""
        self.log(line)
        with self._lock:
            self._message = cut(line, TEXT_LENGTH_MAX)

    def use(self, *, tokens: float = 0, cost_micro_usd: float = 0) -> None:
        """Add to what this attempt has used, each rounded up. The runner reports the total."""
        if tokens < 0 or cost_micro_usd < 0:
            raise ValueError("use is counted up, never down")
        with self._lock:
            for name, amount in (("tokens", tokens), ("cost_micro_usd", cost_micro_usd)):
                if amount:
                    self._usage[name] = self._usage.get(name, 0) + math.ceil(amount)

    def checkpoint(self, value: Json) -> None:
        """Keep `value` (at most 64 KiB of JSON) for the next attempt, should this one not end well.

        Raises:
            Unsendable: some of it has no form in JSON, or it is too long. Let through, it fails the work for good.
        """
        # A copy: the caller may go on to change what it passed, and each checkpoint must be told from the last.
        made = within(sendable(value, "the checkpoint", inside=3), CHECKPOINT_BYTES_MAX, "the checkpoint")
        with self._lock:
            self._checkpoint = made
            self._checkpoint_set = True

    def tell(self, bot: str | None, payload: Mapping[str, Json]) -> None:
        """Send a message of at most 64 KiB to a bot, by name or id; None: to whoever works on this task.

        It leaves at once, and comes with a heartbeat of whoever it is for, at least once. The result is reported after
        it; an orchestrator that refuses the message (no such bot, the task is over) fails this attempt.

        Raises:
            Unsendable: as with `checkpoint`.
        """
        made = within(sendable(payload, "the message", at="/payload", inside=1), MESSAGE_BYTES_MAX, "the message")
        with self._lock:
            self._outgoing.append(Message(bot, made if isinstance(made, dict) else {"value": made}))
        self._wake()

    @property
    def messages(self) -> tuple[BotMessage, ...]:
        """What others told this bot about the task, as far as it has come by now, in order; see `BaseBot.on_message`.

        With each attempt they come afresh, those too that were sent before it began.
        """
        with self._lock:
            return tuple(self._heard.values())

    @property
    def cancelled(self) -> bool:
        """True once the work is no longer wanted here. A coroutine is cancelled too; a thread must look."""
        return self._cancelled.is_set()


class Outbox:
    """The runner's side of a context: what is yet to be told about it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._told: object = None  # the checkpoint that the orchestrator has, as an object
        self._told_any = False

    def cancel(self) -> None:
        self._context._cancelled.set()
        self.end_commands()

    def kill_commands(self) -> None:
        """Kill what this attempt runs: its code has answered. It may be called again, to mend its answer."""
        self._context._commands.kill()

    def end_commands(self) -> None:
        """Kill what this attempt runs, and let it run nothing more: it is over, or no longer wanted."""
        self._context._commands.end()

    def usage(self) -> dict[str, int]:
        with self._context._lock:
            return dict(self._context._usage)

    def messages(self) -> list[Message]:
        """Those said since the last look."""
        context = self._context
        with context._lock:
            waiting, context._outgoing = context._outgoing, []
        return waiting

    def heard(self, message: BotMessage) -> bool:
        """Take in a message; False for one that came before."""
        context = self._context
        name = message.id or ""
        with context._lock:
            if name in context._heard:
                return False
            context._heard[name] = message
            forward = context._forward
        if forward is not None:
            forward(message)
        return True

    def about(self) -> dict[str, Json]:
        """What a context that knows the same is made of."""
        names = (
            *("task_id", "work_id", "lease_id", "attempt", "upstream", "feedback", "previous", "answers"),
            *("resumed_from", "traceparent"),
        )
        return {name: getattr(self._context, name) for name in names}

    def forward(self, hear: Callable[[BotMessage], object]) -> None:
        """Let the process that the author's code runs in hear all messages: those that came, and those to come."""
        context = self._context
        with context._lock:
            heard, context._forward = list(context._heard.values()), hear
        for message in heard:
            hear(message)

    def say(self, what: str, value: Json) -> None:
        """Take what the author's code said in another process.

        Raises:
            ValueError, TypeError: it is not what a context there says.
        """
        context = self._context
        match what:
            case "progress":
                context.progress(*value)
            case "log":
                context.log(value)
            case "line":
                context._line(value)
            case "use":
                context.use(**value)
            case "checkpoint":
                context.checkpoint(value)
            case "tell":
                context.tell(*value)
            case _:
                raise ValueError(what)

    def checkpoint_waits(self) -> bool:
        """True while the latest checkpoint is known to this process alone."""
        context = self._context
        with context._lock:
            return context._checkpoint_set and not (self._told_any and self._told is context._checkpoint)

    def beat(self) -> dict[str, Json]:
        """This attempt's part of a heartbeat."""
        context = self._context
        with context._lock:
            part: dict[str, Json] = {"lease_id": context.lease_id}
            if progress := self._progress():
                part["progress"] = progress
            if context._usage:
                part["usage"] = dict(context._usage)
            if context._checkpoint_set:
                part["checkpoint"] = context._checkpoint
            if context._heard:
                part["messages_after"] = next(reversed(context._heard))
        return part

    def last_words(self) -> dict[str, Json]:
        """What goes with the call that ends the attempt: lines that no heartbeat has told, and how far it came.

        No more of it than is kept, so that the call itself is never too large.
        """
        with self._context._lock:
            return joined(None, self._progress())

    def _progress(self) -> dict[str, Json]:
        context = self._context
        said = {"fraction": context._fraction, "message": context._message, "log": context._log or None}
        return {name: value for name, value in said.items() if value is not None}

    def told(self, part: Mapping[str, Json]) -> None:
        """That heartbeat arrived: its lines need not be said again."""
        context = self._context
        with context._lock:
            said = part.get("progress", {}).get("log", [])
            if said and context._log[: len(said)] == said:
                context._log = context._log[len(said) :]
            if "checkpoint" in part:
                self._told, self._told_any = part["checkpoint"], True
