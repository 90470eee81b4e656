"""`command_bot`: any agent program of the command line as an executor."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from swarmkeeper.agents.caps import Caps
from swarmkeeper.agents.programs.attempt import ProgramAttempt, ProgramOptions, retire
from swarmkeeper.agents.programs.endings import Kind, has_events
from swarmkeeper.agents.programs.environment import checked_names, environment_for
from swarmkeeper.agents.programs.folders import AttemptFolders, default_home
from swarmkeeper.agents.programs.words import checked_command
from swarmkeeper.agents.programs.worktrees import DIFF_BYTES_BOUND, DIFF_BYTES_MAX, author_of
from swarmkeeper.agents.run import Cost
from swarmkeeper.sdk.answers import Answer
from swarmkeeper.sdk.bots import ExecutorBot
from swarmkeeper.sdk.context import Context
from swarmkeeper.sdk.processes.subprocesses import TIMEOUT_SECONDS_MAX
from swarmkeeper.wire.requests import SubTask

Reads = Literal["claude", "codex", "gemini", "text", "json"]

log = logging.getLogger("swarmkeeper.bot")

# An agent program works for long: a hundred turns, each of which reads all that was said before from a cache.
CAPS = Caps(requests=500, tool_calls=2_000, tokens=20_000_000)
OUTPUT_BYTES_MAX = 256 * 1024 * 1024
_READS = ("claude", "codex", "gemini", "text", "json")
_READ_FILES = frozenset({"claude", "codex", "gemini", "aider"})  # programs that understand a request to read a file


class CommandBot(ExecutorBot):
    """An executor that runs a program for each subtask. `command_bot` makes it."""

    dedicated = True  # a program that changes files takes no work that did not ask for it

    def __init__(self, options: ProgramOptions, folders: AttemptFolders, settings: Mapping[str, Any]) -> None:
        for name, value in settings.items():
            setattr(self, name, value)
        self._options, self._folders = options, folders
        self._sweeping = threading.Lock()
        self._swept = False

    def execute(self, subtask: SubTask, context: Context) -> Answer:
        """Run the program for one attempt. A plain function: it runs in a thread of its own."""
        self._sweep()
        return ProgramAttempt(self._options, self._folders, subtask, context).run()

    def source_name(self) -> str | None:
        """Return the program's name: what the bot is called if neither its author nor its key says."""
        return Path(self._options.command[0]).stem or None

    def on_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Sweep when the bot starts, though there may be no work for it."""
        if kind == "registered":
            threading.Thread(target=self._sweep, name="swarmkeeper-sweep", daemon=True).start()

    def _sweep(self) -> None:
        """Remove what killed bots have left, once; work waits until that is done."""
        with self._sweeping:
            if self._swept:
                return
            self._swept = True
            environment, author = environment_for(self._options.env), self._options.author
            try:
                self._folders.sweep(lambda home, about: retire(home, about, environment, author, done=False))
            except OSError as error:
                log.warning("what earlier bots left in %s cannot be removed: %s", self._folders.home, error)


def command_bot(
    command: Sequence[str],
    *,
    skills: Collection[str],
    name: str | None = None,
    reads: Reads | None = None,
    worktree: bool = False,
    roots: Iterable[str | Path] = (),
    repository: str | Path | None = None,
    hooks: bool = False,
    env: Iterable[str] | Mapping[str, str | None] = (),
    resume: Sequence[str] = (),
    timeout_seconds: float | None = None,
    folder: str | Path | None = None,
    home: str | Path | None = None,
    caps: Caps = CAPS,
    cost: Cost | None = None,
    exits: Mapping[int, Kind] | None = None,
    author: tuple[str, str] = ("swarmkeeper", "swarmkeeper@localhost"),
    output_bytes_max: int = OUTPUT_BYTES_MAX,
    diff_bytes_max: int = DIFF_BYTES_MAX,
    **settings: Any,
) -> CommandBot:
    """Return a bot that runs an agent program for each subtask. POSIX only.

    Args:
        command: a list of words; no shell reads it. `{prompt}` becomes the prompt, `{prompt_file}` the path of a file
            with it; without either, the prompt goes to stdin.
        name: None: the name that the bot's key is bound to, else the program's.
        skills: what the bot takes: work that needs one of them, and no other.
        reads: the format of the program's output; None: found out from the first lines.
        worktree: give each attempt a checkout of its own, if its input names a `repository` or this bot has one.
        roots: folders in which repositories may lie; by default the folder in which the bot is made.
        repository: of attempts whose input names none; it must lie in a root.
        hooks: let hooks of the repository run, both for git's checkout and for git in the program.
        env: names of variables that the program gets from the bot's environment; or names with values.
        resume: words that continue an interrupted session, added to the command: `["--resume", "{session}"]`. If they
            begin with the program's name they are the whole command.
        timeout_seconds: until the program is killed; None: as long as the attempt may take.
        folder: where the program runs when there is no checkout; None: in an empty folder for each attempt.
        home: where the folders of attempts are; None: `~/.local/state/swarmkeeper/programs`.
        caps: what one attempt may use at most. The program is killed when it goes beyond, and the work fails.
        cost: the price of tokens, for programs that do not say what they cost.
        exits: what exit codes of this program mean: `{75: "rate_limited"}`.
        author: name and email in the commits.
        output_bytes_max: bytes that the program may print until it is killed.
        diff_bytes_max: bytes of the diff in the output, 512 KiB at most; a longer one is cut in its middle.
        settings: further settings of a bot: capacity, instance, labels, lease_seconds…

    Raises:
        TypeError, ValueError: an argument is wrong; the message says which.
    """
    words = checked_command(command)
    options = ProgramOptions(
        command=words,
        resume=_checked_resume(resume, command, words),
        reads=_checked_reads(reads),
        reads_files=has_events(reads) or Path(words[0]).name in _READ_FILES,
        env=checked_names(env),
        worktree=worktree,
        roots=_checked_roots(roots, worktree=worktree),
        repository=_checked_repository(repository, worktree=worktree),
        hooks=_checked_hooks(hooks, worktree=worktree),
        folder=None if folder is None else Path(folder).absolute(),
        timeout_seconds=_checked_timeout(timeout_seconds),
        output_bytes_max=_positive("output_bytes_max", output_bytes_max),
        diff_bytes_max=_positive("diff_bytes_max", diff_bytes_max, most=DIFF_BYTES_BOUND),
        caps=caps,
        cost=cost,
        exits=_checked_exits(exits or {}),
        author=author_of(author),
    )
    own: dict[str, Any] = {"name": name, "skills": _checked_skills(skills)}
    folders = AttemptFolders(Path(home).absolute() if home is not None else default_home())
    return CommandBot(options, folders, {**own, **_checked_settings(settings)})


def _checked_skills(skills: object) -> frozenset[str]:
    if isinstance(skills, str) or not isinstance(skills, Collection) or not skills:
        raise ValueError('skills names at least one: {"code.change"}; the bot takes only work that needs one of them')
    return frozenset(skills)


def _checked_resume(resume: object, given: Sequence[str], words: tuple[str, ...]) -> tuple[str, ...]:
    if resume == () or resume == []:
        return ()
    if not isinstance(resume, str) and isinstance(resume, Sequence) and resume and resume[0] == given[0]:
        resume = [words[0], *resume[1:]]
        made = checked_command(resume, "resume")
    else:
        made = checked_command(["resume", *resume] if isinstance(resume, list | tuple) else resume, "resume")[1:]
    if not any("{session}" in word for word in made):
        raise ValueError('resume has a word with {session}: ["--resume", "{session}"]')
    return made


def _checked_reads(reads: object) -> str | None:
    if reads is not None and reads not in _READS:
        raise ValueError(f"reads is one of {', '.join(_READS)}, or left out")
    return reads if isinstance(reads, str) else None


def _checked_roots(roots: Iterable[str | Path], *, worktree: bool) -> tuple[Path, ...]:
    if isinstance(roots, str | Path):
        raise TypeError('roots is a list of folders: ["/srv/repositories"]')
    found = tuple(Path(root).resolve() for root in roots)
    if found and not worktree:
        raise ValueError("roots has no effect without worktree=True")
    for root in found:
        if not root.is_dir():
            raise ValueError(f"roots names a folder that does not exist: {root}")
    return found or ((Path.cwd().resolve(),) if worktree else ())


def _checked_repository(repository: str | Path | None, *, worktree: bool) -> str | None:
    if repository is not None and not worktree:
        raise ValueError("repository has no effect without worktree=True")
    return None if repository is None else str(Path(repository).absolute())


def _checked_hooks(hooks: bool, *, worktree: bool) -> bool:
    if hooks and not worktree:
        raise ValueError("hooks has no effect without worktree=True")
    return hooks


def _checked_timeout(seconds: float | None) -> float | None:
    if seconds is not None and not 0 < seconds <= TIMEOUT_SECONDS_MAX:
        raise ValueError("timeout_seconds is a number of seconds above 0, or None")
    return seconds


def _positive(name: str, value: object, *, most: int = 1 << 40) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= most:
        raise ValueError(f"{name} is a number of bytes, 2 to {most:,}")
    return value


def _checked_exits(exits: Mapping[int, Kind]) -> Mapping[int, Kind]:
    for code, kind in exits.items():
        if isinstance(code, bool) or not isinstance(code, int) or code == 0:
            raise ValueError("exits has exit codes as keys, and 0 is never a failure")
        if kind not in ("retryable", "not_retryable", "rate_limited"):
            raise ValueError(f"exits[{code}] is retryable, not_retryable or rate_limited")
    return dict(exits)


def _checked_settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    known = {"instance", "version", "capacity", "endpoint", "labels", "lease_seconds"}
    for name in settings:
        if name not in known:
            raise TypeError(f"command_bot has no setting {name!r}; further settings are {', '.join(sorted(known))}")
    return settings
