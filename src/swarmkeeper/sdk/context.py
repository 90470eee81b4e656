"""The context of an attempt: what a bot's code may read and report beyond the work itself.

The runner sends what is reported here with the next heartbeat or report; only `secret` makes a call. Everything here
may be used from threads and from coroutines.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from swarmkeeper.core.rules.heartbeat_log import joined
from swarmkeeper.sdk.attempts.secrets import SCHEME, AskForSecrets, Masking, cannot_ask
from swarmkeeper.sdk.attempts.sendable import cut, sendable, within
from swarmkeeper.sdk.processes.subprocesses import OUTPUT_BYTES_MAX, Argv, CommandOptions, CommandResult, Commands
from swarmkeeper.wire.answers import Answered, BotMessage, Feedback, Previous
from swarmkeeper.wire.requests import SubTask, TaskDefinition
from swarmkeeper.wire.shapes import MIB

Json = Any

# The orchestrator's bounds. Checked here, so that the error is raised at the line that breaks them.
CHECKPOINT_BYTES_MAX = MIB
MESSAGE_BYTES_MAX = 64 * 1024
TEXT_LENGTH_MAX = 8_000
LOG_LINES_MAX = 100
_NO_CHECKPOINT: Json = object()  # a checkpoint may be None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an evaluator reviews: the results of a whole task, or the result of one subtask."""

    of: Literal["task", "subtask"]
    task: TaskDefinition
    results: Mapping[str, Json]  # subtask key → output
    round: int = 1  # increases with each rework
    subtask: SubTask | None = None  # the subtask under review if `of` is "subtask"


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to another bot about this task; `to_bot` None: to every bot that works on the task."""

    to_bot: str | None
    payload: Mapping[str, Json]


class Context:
    """The context of an attempt: the optional second parameter of `plan`, `execute` and `review`."""

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
        allowance: Mapping[str, int] | None = None,
        wake: Callable[[], None] = lambda: None,
        ask_for_secrets: AskForSecrets = cannot_ask,
    ) -> None:
        self.task_id = task_id
        self.work_id = work_id
        self.lease_id = lease_id
        self.attempt = attempt  # counted from 1
        self.upstream = dict(upstream or {})  # key of a subtask this one depends on → its output
        self.feedback = tuple(feedback)
        self.previous = previous
        self.answers = tuple(answers)
        self.resumed_from = resumed_from  # the last checkpoint of an earlier attempt; None: start from the beginning
        self.traceparent = traceparent  # W3C Trace Context; pass it to the services you call
        # What this attempt may use of a budget, in cost_micro_usd and tokens; None: no budget limits it. If it uses
        # more, it is cancelled, unless the budget has room.
        self.allowance = None if allowance is None else dict(allowance)
        self._wake = wake
        self._ask_for_secrets = ask_for_secrets
        self.masked = Masking()  # replaces the secrets that this attempt has got in a text
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._fraction: float | None = None
        self._message: str | None = None
        self._log: list[str] = []
        self._usage: dict[str, int] = {}
        self._checkpoint: Json = _NO_CHECKPOINT
        self._outgoing: list[OutgoingMessage] = []
        self._received: dict[str, BotMessage] = {}
        self._commands = Commands(self._line)
        self._forward: Callable[[BotMessage], object] | None = None  # to the child process that runs the code

    def progress(self, fraction: float, message: str | None = None) -> None:
        """Report how far the work is, from 0 to 1. Sent with the next heartbeat.

        Raises:
            ValueError: `fraction` is outside 0 to 1.
        """
        if not 0 <= fraction <= 1:
            raise ValueError("progress must be between 0 and 1")
        with self._lock:
            self._fraction = float(fraction)
            self._message = None if message is None else cut(self.masked(str(message)), TEXT_LENGTH_MAX)

    def log(self, line: str) -> None:
        """Add a line to the attempt's log. The last 100 lines between two heartbeats are kept."""
        with self._lock:
            self._log = [*self._log, cut(self.masked(str(line)), TEXT_LENGTH_MAX)][-LOG_LINES_MAX:]

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
        inherit_env: bool = True,
        on_stdout: Callable[[bytes], None] | None = None,
    ) -> CommandResult:
        """Run a program and return its result. The program and all that it started are killed when this attempt ends.

        Each line of output is logged, and the last line is the progress message. Processes still running when the
        program exits are killed, too. If the caller is cancelled, the program is killed first: SIGTERM to its group,
        SIGKILL after two seconds.

        Args:
            command: a list of words, or one text for the shell. Pass values from outside in a list.
            timeout: seconds until the program is killed; None: no limit but the attempt's.
            input: its standard input; None: empty.
            env: changes to the bot's environment; None removes a variable. The bot's key is never passed on.
            cwd: its working folder.
            check: raise CommandFailed if it does not exit with 0.
            log: False: keep its output out of the attempt's log.
            output_bytes_max: bytes kept of stdout and of stderr each; of longer output, the beginning and the end.
            inherit_env: False: the program gets only what `env` sets, `PATH` included.
            on_stdout: called in another thread with each piece of stdout, which is then not logged. If it raises, the
                program is killed, and this call raises the same.

        Raises:
            CommandTimedOut: it ran longer than `timeout`.
            CommandFailed: see `check`.
            OSError: the program or folder does not exist.
        """
        options = CommandOptions(timeout, input, env, cwd, check, log, output_bytes_max, inherit_env, on_stdout)
        return await self._commands.run(command, options)

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
        inherit_env: bool = True,
        on_stdout: Callable[[bytes], None] | None = None,
    ) -> CommandResult:
        """Do the same as `run`, for a plain `def`.

        If the work is cancelled, it raises asyncio.CancelledError to end your function: do not catch it.
        """
        options = CommandOptions(timeout, input, env, cwd, check, log, output_bytes_max, inherit_env, on_stdout)
        return self._commands.run_sync(command, options)

    def _line(self, line: str) -> None:
        """Log a line of a command's output and make it the progress message."""
        self.log(line)
        with self._lock:
            self._message = cut(self.masked(line), TEXT_LENGTH_MAX)

    async def secret(self, name: str) -> str:
        """Return the value of a secret that the input of this work refers to with `secret://`.

        Keep it in memory, and ask again in the next attempt. What this attempt logs and reports as progress or as an
        error has the value masked; the orchestrator hides it in all that it records.

        Args:
            name: what stands in the input, with or without `secret://`.

        Raises:
            NotFound: this work may have no such secret.
            Conflict: the lease is lost.
            Busy: the lease or the secret has had too many calls.
            RuntimeError: the code runs in a process of its own (`isolated`), which has no connection.
        """
        return self._got(await asyncio.wrap_future(self._ask_for_secrets([name.removeprefix(SCHEME)])))

    def secret_sync(self, name: str) -> str:
        """Do the same as `secret`, for a plain `def`.

        Raises:
            RuntimeError: it was called in a coroutine, whose event loop it would stop.
        """
        if _in_coroutine():
            raise RuntimeError("in a coroutine, write `await context.secret(…)`: this call would wait for itself")
        return self._got(self._ask_for_secrets([name.removeprefix(SCHEME)]).result())

    def _got(self, values: list[str]) -> str:
        self.masked.add(values)
        return values[0]

    def use(self, *, tokens: float = 0, cost_micro_usd: float = 0, unpriced_tokens: float = 0) -> None:
        """Add to the usage of this attempt; each amount is rounded up. The runner reports the total.

        Args:
            unpriced_tokens: those of `tokens` whose cost you do not know. Budgets show them, but cannot limit what
                they cost.

        Raises:
            ValueError: an amount is negative.
        """
        used = {"tokens": tokens, "cost_micro_usd": cost_micro_usd, "unpriced_tokens": unpriced_tokens}
        if min(used.values()) < 0:
            raise ValueError("usage must not be negative")
        with self._lock:
            for name, amount in used.items():
                if amount:
                    self._usage[name] = self._usage.get(name, 0) + math.ceil(amount)

    def checkpoint(self, value: Json) -> None:
        """Keep `value` (at most 1 MiB of JSON) for the next attempt, in case this one does not succeed.

        Raises:
            Unsendable: a part of it has no JSON form, or it is too long. If you do not catch it, the work fails for
                good.
        """
        # A copy: the caller may change `value` later, and each checkpoint is a new object (see `Outbox`).
        made = within(sendable(value, "the checkpoint", inside=3), CHECKPOINT_BYTES_MAX, "the checkpoint")
        with self._lock:
            self._checkpoint = made

    def tell(self, bot: str | None, payload: Mapping[str, Json]) -> None:
        """Send a message of at most 64 KiB to a bot, by name or id; None: to every bot that works on this task.

        It is sent at once, before this attempt's result, and arrives with the receiver's heartbeat, at least once. If
        the orchestrator refuses it (the bot does not exist, the task is over), this attempt fails.

        Raises:
            Unsendable: as for `checkpoint`.
        """
        made = within(sendable(payload, "the message", at="/payload", inside=1), MESSAGE_BYTES_MAX, "the message")
        with self._lock:
            self._outgoing.append(OutgoingMessage(bot, made if isinstance(made, dict) else {"value": made}))
        self._wake()

    @property
    def messages(self) -> tuple[BotMessage, ...]:
        """The messages about the task received so far, in order; see also `BaseBot.on_message`.

        Each attempt receives all of them again, including those sent before it began.
        """
        with self._lock:
            return tuple(self._received.values())

    @property
    def cancelled(self) -> bool:
        """True once this attempt's work is lost or cancelled. A coroutine is cancelled, too; a thread must check."""
        return self._cancelled.is_set()


class Outbox:
    """The runner's side of a context: what is still to be sent, and what arrives for it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._arrived_checkpoint: Json = _NO_CHECKPOINT  # the last checkpoint that arrived; compared by identity

    def cancel(self) -> None:
        """Tell the code that its work is no longer wanted, and kill its commands."""
        self._context._cancelled.set()
        self.end_commands()

    def kill_commands(self) -> None:
        """Kill this attempt's commands after its code answered. The code may be called again to correct its answer."""
        self._context._commands.kill()

    def end_commands(self) -> None:
        """Kill this attempt's commands and refuse new ones: the attempt is over."""
        self._context._commands.end()

    def usage(self) -> dict[str, int]:
        with self._context._lock:
            return dict(self._context._usage)

    def messages(self) -> list[OutgoingMessage]:
        """Take the messages that wait to be sent."""
        context = self._context
        if not context._outgoing:  # without the lock: who adds one wakes the sender afterwards
            return []
        with context._lock:
            waiting, context._outgoing = context._outgoing, []
        return waiting

    def receive(self, message: BotMessage) -> bool:
        """Add a received message; False if it was received before."""
        context = self._context
        name = message.id or ""
        with context._lock:
            if name in context._received:
                return False
            context._received[name] = message
            forward = context._forward
        if forward is not None:
            forward(message)
        return True

    def about(self) -> dict[str, Json]:
        """Return the arguments that make an equal context in another process."""
        names = "task_id work_id lease_id attempt upstream feedback previous answers resumed_from traceparent"
        return {name: getattr(self._context, name) for name in names.split()}

    def forward(self, send: Callable[[BotMessage], object]) -> None:
        """Pass all messages, received and future, to the child process that runs the author's code."""
        context = self._context
        with context._lock:
            received, context._forward = list(context._received.values()), send
        for message in received:
            send(message)

    def apply(self, kind: str, value: Json) -> None:
        """Apply what the author's code reported in its child process.

        Raises:
            ValueError, TypeError: a context does not send this.
        """
        context = self._context
        match kind:
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
                raise ValueError(kind)

    def checkpoint_waits(self) -> bool:
        """Whether the latest checkpoint has not reached the orchestrator yet."""
        context = self._context
        with context._lock:
            return context._checkpoint is not self._arrived_checkpoint

    def heartbeat(self) -> dict[str, Json]:
        """Return this attempt's part of a heartbeat."""
        context = self._context
        with context._lock:
            part: dict[str, Json] = {"lease_id": context.lease_id}
            if progress := self._progress():
                part["progress"] = progress
            if context._usage:
                part["usage"] = dict(context._usage)
            if context._checkpoint is not self._arrived_checkpoint:  # up to a mebibyte: sent until it arrived once
                part["checkpoint"] = context._checkpoint
            if context._received:
                part["messages_after"] = next(reversed(context._received))
        return part

    def final_progress(self) -> dict[str, Json]:
        """Return the progress and the log lines not sent yet, for the call that ends the attempt.

        Cut to what the orchestrator keeps, so that the call is never too large.
        """
        with self._context._lock:
            return joined(None, self._progress())

    def _progress(self) -> dict[str, Json]:
        context = self._context
        progress = {"fraction": context._fraction, "message": context._message, "log": context._log or None}
        return {name: value for name, value in progress.items() if value is not None}

    def arrived(self, part: Mapping[str, Json]) -> None:
        """Note that a heartbeat with this part arrived: do not send its lines again."""
        context = self._context
        with context._lock:
            sent = part.get("progress", {}).get("log", [])
            if sent and context._log[: len(sent)] == sent:
                context._log = context._log[len(sent) :]
            if "checkpoint" in part:
                self._arrived_checkpoint = part["checkpoint"]


def _in_coroutine() -> bool:
    """Return whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
