"""One attempt of a program: its folder and checkout, the call, what it said, and the answer made of that."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from swarmkeeper import files
from swarmkeeper.agents.caps import CapReached, Caps, ModelUsage
from swarmkeeper.agents.masking import masked_json, masker
from swarmkeeper.agents.outputs import made_sendable
from swarmkeeper.agents.programs import endings
from swarmkeeper.agents.programs.environment import environment_for, values_of
from swarmkeeper.agents.programs.folders import AttemptFolders
from swarmkeeper.agents.programs.formats import ClaudeEvents, CodexEvents, GeminiEvents
from swarmkeeper.agents.programs.git import Git, GitFailed, in_attempt, on_its_own
from swarmkeeper.agents.programs.reading import EventReader, ProgramReader, Said, Totals, format_of, json_in
from swarmkeeper.agents.programs.repositories import BadRepository, Start, repository_of, start_of
from swarmkeeper.agents.programs.words import (
    ProgramCall,
    PromptTooLong,
    call_of,
    found_program,
    resumed_command,
    session_name,
)
from swarmkeeper.agents.programs.worktrees import BranchMoved, Checkout, saved_ref
from swarmkeeper.agents.prompt import Prompt, shortened
from swarmkeeper.agents.run import AgentRun, Cost
from swarmkeeper.sdk.answers import Answer, Done, Failed, Later
from swarmkeeper.sdk.attempts.sendable import readable
from swarmkeeper.sdk.context import Context
from swarmkeeper.sdk.processes.output import LINE_BYTES_MAX
from swarmkeeper.sdk.processes.subprocesses import CommandResult, CommandTimedOut
from swarmkeeper.wire.requests import SubTask

Json = Any

log = logging.getLogger("swarmkeeper.bot")

# Characters of an answer; the rest is cut out of its middle. With the diff it stays below the bound of an output, even
# if each character becomes six bytes of JSON.
ANSWER_LENGTH_MAX = 300_000
KEPT_BYTES_MAX = 8 * 1024 * 1024  # of stdout, for a program that prints one JSON value or a text
MISSING_SECONDS = 60.0  # until work is offered again that this bot cannot start
_STDERR_LINES = 20  # of stderr in the log
_TITLE_LENGTH_MAX = 72


@dataclass(frozen=True, slots=True)
class ProgramOptions:
    """How a program is run; see `command_bot`."""

    command: tuple[str, ...]
    resume: tuple[str, ...]
    reads: str | None
    reads_files: bool
    env: Mapping[str, str | None]
    worktree: bool
    roots: tuple[Path, ...]
    repository: str | None
    hooks: bool
    folder: Path | None
    timeout_seconds: float | None
    output_bytes_max: int
    diff_bytes_max: int
    caps: Caps
    cost: Cost | None
    exits: Mapping[int, endings.Kind]
    author: tuple[str, str]


class OutputTooLong(Exception):
    """A program printed more than it may."""


class NotStarted(Exception):
    """The program is there, and the system does not start it."""


class ProgramAttempt:
    """One attempt. `run` is called once, in a thread."""

    def __init__(self, options: ProgramOptions, folders: AttemptFolders, subtask: SubTask, context: Context) -> None:
        self._options, self._folders = options, folders
        self._subtask, self._context = subtask, context
        self._environment = environment_for(options.env)
        self._masked = masker({**os.environ, **values_of(options.env)})
        self._git = Git(self._environment, in_attempt(context))
        self._said = Said()
        self._run = AgentRun(context, options.caps, work_id=context.work_id, cost=self._cost_of, masked=self._masked)
        self._priced = 0
        self._about: dict[str, Json] = {}
        self._checkout: Checkout | None = None
        self._start: Start | None = None

    def run(self) -> Answer:
        """Run the program and return the answer. Whatever happens, the attempt's folder is removed."""
        try:
            home = self._folders.claim(self._context.work_id, {})
        except OSError as error:
            return Later(MISSING_SECONDS, f"this bot cannot make a folder for the attempt: {error}")
        answer: Answer | None = None
        try:
            answer = self._answer(home)
            return answer
        except (BadRepository, PromptTooLong) as error:
            return Failed(self._masked(str(error)), kind="not_retryable")
        except CapReached as error:
            return Failed(str(error), kind="not_retryable")
        except OutputTooLong:
            most = self._options.output_bytes_max
            return Failed(f"the program printed more than {most:,} bytes and was killed", kind="not_retryable")
        except NotStarted as error:
            return Failed(str(error))
        except (BranchMoved, GitFailed) as error:
            return Failed(self._masked(str(error)))
        finally:
            self._close(home, succeeded=isinstance(answer, Done))

    # ---- before the program

    def _answer(self, home: Path) -> Answer:
        options = self._options
        program = found_program(options.command[0], self._environment)
        if program is None:
            return Later(MISSING_SECONDS, f"the program {options.command[0]!r} is not on this bot's machine")
        session = self._session()
        folder = self._folder(home, session)
        prompt = Prompt.of(self._subtask, self._context).text()
        if self._resumed_files is False:
            session = None
        ran = self._ran(program, folder, home, prompt, session)
        if session is not None and endings.session_is_gone(ran, self._said, self._format):
            self._context.log("the program does not know the session any more: it begins anew")
            self._said = Said()
            ran = self._ran(program, folder, home, prompt, None)
        failed = endings.failure_after(
            ran, self._said, format_=self._format, exits=options.exits, now=datetime.fromtimestamp(_now(), UTC)
        )
        if failed is not None:
            return replace(failed, why=self._masked(failed.why))
        return Done(self._output(ran))

    _resumed_files: bool | None = None  # whether the files of the interrupted session are there; None: not asked for
    _format: str | None = None

    def _session(self) -> str | None:
        """Return the session to continue: one of this program, on this machine, where its files are."""
        kept = self._context.resumed_from
        if not self._options.resume or not isinstance(kept, dict):
            return None
        if kept.get("program") != self._options.command[0] or kept.get("host") != socket.gethostname():
            return None
        return session_name(kept.get("session"))

    def _folder(self, home: Path, session: str | None) -> Path:
        """Return the folder in which the program runs: a checkout, the author's folder, or an empty one.

        Raises:
            BadRepository, GitFailed: there can be no checkout.
        """
        options, given = self._options, self._subtask.input
        folder = home / home.name  # git calls its own folder for the worktree like this one: no other bot's is
        named = given.get("repository", options.repository)
        if not options.worktree or named is None:
            if options.folder is not None:
                return options.folder
            folder.mkdir(mode=files.PRIVATE_FOLDER)
            return folder
        repository = repository_of(self._git, named, options.roots)
        previous = self._context.previous
        reworked = previous.output if previous is not None and self._context.feedback else None
        start = start_of(self._git, repository, given, reworked)
        if session is not None:
            saved = self._git.asks(
                "rev-parse", "--verify", "--quiet", "--end-of-options",
                f"{saved_ref(self._context.work_id)}^{{commit}}", folder=repository.top,
            )  # fmt: skip
            self._resumed_files = saved is not None or start.commit != start.base
            if saved is not None:
                start = Start(saved, start.base, start.branch, start.branch_was)
        self._about = {
            "common": str(repository.common), "checkout": str(folder), "base": start.commit,
            "work": self._context.work_id, "session": False,
        }  # fmt: skip
        self._folders.note(home, self._about)
        self._start = start
        git = Git(self._environment, in_attempt(self._context), hooks=options.hooks)
        self._checkout = Checkout.add(git, repository, start, folder)
        self._about["admin"] = self._checkout.admin.name
        self._folders.note(home, self._about)
        return folder

    # ---- the program

    def _ran(self, program: str, folder: Path, home: Path, prompt: str, session: str | None) -> CommandResult:
        """Run the program once.

        Raises:
            CapReached, PromptTooLong: see there.
        """
        options = self._options
        prompt_file = home / "prompt.txt"
        files.write(prompt_file, readable(prompt), durable=False)
        command = options.command if session is None else resumed_command(options.command, options.resume)
        call = call_of(command, prompt, prompt_file=prompt_file, session=session, reads_files=options.reads_files)
        before = self._priced
        totals = Totals(
            self._run, self._said, lambda cost: self._context.use(cost_micro_usd=cost), lambda: self._priced - before
        )
        readers: dict[str, Callable[[], EventReader]] = {
            name: (lambda kind=kind: kind(self._said, self._run, totals))  # type: ignore[misc]  # its type is the dict's
            for name, kind in (("claude", ClaudeEvents), ("codex", CodexEvents), ("gemini", GeminiEvents))
        }
        reader = ProgramReader(options.reads, readers, self._line)
        try:
            ran = self._started(program, call, folder, self._reads(reader, home))
        except CommandTimedOut as error:
            ran = CommandResult(error.result.command, 124, error.result.stdout, error.result.stderr)
            self._said.error = f"it ran longer than its {options.timeout_seconds:g} s and was killed"
        except OSError as error:
            raise NotStarted(f"the program cannot be started: {error.strerror or error}") from error
        reader.end()
        self._format = reader.format
        for line in ran.stderr[-_STDERR_LINES * LINE_BYTES_MAX :].splitlines()[-_STDERR_LINES:]:
            self._context.log(self._masked(line[:LINE_BYTES_MAX]))
        if reader.broken:
            self._context.log(f"{reader.broken} lines of the program's output could not be read")
        self._read_whole(ran, readers)
        return ran

    def _started(
        self, program: str, call: ProgramCall, folder: Path, on_stdout: Callable[[bytes], None]
    ) -> CommandResult:
        environment = dict(self._environment)
        if self._context.traceparent:
            environment["TRACEPARENT"] = self._context.traceparent
        if not self._options.hooks:
            environment |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath"}
            environment["GIT_CONFIG_VALUE_0"] = "/dev/null"
        return self._context.run_sync(
            [program, *call.words[1:]],
            timeout=self._options.timeout_seconds,
            input=call.stdin,
            env=environment,
            inherit_env=False,
            cwd=folder,
            log=False,
            output_bytes_max=KEPT_BYTES_MAX,
            on_stdout=on_stdout,
        )

    def _reads(self, reader: ProgramReader, home: Path) -> Callable[[bytes], None]:
        """Return what takes the program's output."""
        count = 0

        def take(data: bytes) -> None:
            nonlocal count
            count += len(data)
            if count > self._options.output_bytes_max:
                raise OutputTooLong
            reader.add(data)
            self._keep_session(home)

        return take

    def _keep_session(self, home: Path) -> None:
        """Make a checkpoint of the session when it is first known."""
        session = self._said.session
        if not self._options.resume or session is None or self._about.get("session") == session:
            return
        self._about["session"] = session
        if self._checkout is not None:
            self._folders.note(home, self._about)
        self._run.checkpoint({"program": self._options.command[0], "host": socket.gethostname(), "session": session})

    def _read_whole(self, ran: CommandResult, readers: Mapping[str, Callable[[], EventReader]]) -> None:
        """Read an output that is one JSON value on several lines."""
        said = self._said
        if said.ended or ran.stdout_truncated or self._format in ("text", "codex"):
            return
        found = json_in(ran.stdout)
        last = found[-1] if isinstance(found, list) and found else found
        if self._format != "json" and isinstance(last, dict):
            known = format_of(last)
            if known is not None and self._format in (None, known):
                self._format = known
                readers[known]()(last)
                return
        if self._format == "json" or (self._format is None and isinstance(found, dict)):
            self._format = "json"
            said.output, said.has_output = found, found is not None
            if found is None and ran.ok:
                said.error = "its output is no JSON value"

    def _line(self, line: str) -> None:
        self._context.log(self._masked(line))
        self._run.report(line)

    def _cost_of(self, model: str | None, usage: ModelUsage) -> int | None:
        cost = None if self._options.cost is None else self._options.cost(model, usage)
        self._priced += max(cost or 0, 0)
        return cost

    # ---- after the program

    def _output(self, ran: CommandResult) -> dict[str, Json]:
        """Return the output: the answer, and what became of the checkout.

        Raises:
            GitFailed, BranchMoved: the changes cannot be kept.
            Unsendable: the answer has no JSON form.
        """
        said = self._said
        if said.has_output:
            made = made_sendable(masked_json(said.output, self._masked))
        else:
            text = ran.stdout if not endings.has_events(self._format) else said.answer or ""
            made = {"text": _bounded(self._masked(text))}
        if said.session is not None:
            made.setdefault("session", said.session)
        if self._checkout is not None and self._start is not None:
            made |= self._changed()
        return made_sendable(made)

    def _changed(self) -> dict[str, Json]:
        assert self._checkout is not None, "only called with a checkout"
        assert self._start is not None, "only called with a checkout"
        subtask, context = self._subtask, self._context
        first = subtask.description.strip().partition("\n\n")[0]  # up to an empty line, as git's own titles
        title = " ".join(first.split())[:_TITLE_LENGTH_MAX] or "Changes of a program"
        change = self._checkout.finish(
            self._git,
            self._start,
            branch=f"swarmkeeper/{_part(context.work_id)}-{context.attempt}",
            message=f"{title}\n\nSwarmkeeper-Task: {context.task_id}\nSwarmkeeper-Work: {context.work_id}\n",
            author=self._options.author,
            diff_bytes_max=self._options.diff_bytes_max,
        )
        made = change.as_output()
        made["diff"] = self._masked(change.diff)
        return made

    def _close(self, home: Path, *, succeeded: bool) -> None:
        """Remove the attempt's folder. Work that can be continued is kept in the repository."""
        try:
            if self._about:
                retire(home, self._about, self._environment, self._options.author, done=succeeded)
        except Exception:
            log.exception("the checkout of an attempt could not be ended; the next start removes it")
            return
        self._folders.release(home)


def retire(
    home: Path, about: Mapping[str, Json], environment: Mapping[str, str], author: tuple[str, str], *, done: bool
) -> None:
    """End the checkout of an attempt: keep its unfinished work if its session can be continued, and unregister it.

    Args:
        home: the attempt's folder; the sweep has moved it.
        about: what the attempt noted in its owner file.
        done: its work is done, and nothing has to be kept.
    """
    common, registered = about.get("common"), about.get("checkout")
    if not isinstance(common, str) or not isinstance(registered, str):
        return
    from swarmkeeper.agents.programs.worktrees import admin_of

    admin = admin_of(Path(common), Path(registered))
    if admin is None:
        for name in {Path(registered).name, about.get("admin")}:
            _remove_unfinished(Path(common), name)
        return
    checkout = Checkout(home / Path(registered).name, admin, Path(common), Path(registered))
    git = Git(environment, on_its_own)
    work, base = about.get("work"), about.get("base")
    try:
        if isinstance(work, str) and isinstance(base, str) and checkout.folder.is_dir():
            if done:
                with contextlib.suppress(GitFailed):
                    checkout.run(git, "update-ref", "-d", saved_ref(work))
            elif about.get("session"):
                checkout.save(git, work, base, author)
    except GitFailed as error:
        log.warning("unfinished work of an attempt is not kept: %s", error)
    finally:
        checkout.unregister()


def _remove_unfinished(common: Path, name: Json) -> None:
    """Remove git's folder for a worktree that a killed process was making, or had almost removed."""
    if isinstance(name, str) and name not in ("", "..") and Path(name).name == name:
        admin = common / "worktrees" / name
        if admin.is_dir() and not (admin / "gitdir").exists():
            shutil.rmtree(admin, ignore_errors=True)


def _bounded(text: str) -> str:
    """Return an answer in sendable form, cut before it is escaped, which takes much memory, and after it."""
    return shortened(readable(shortened(text, ANSWER_LENGTH_MAX)), ANSWER_LENGTH_MAX)


def _part(name: str) -> str:
    """Return a name as a part of a branch's name."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter == "-") else "-" for letter in name)


def _now() -> float:
    import time  # noqa: TID251 - a rate limit ends at a time of the wall clock

    return time.time()
