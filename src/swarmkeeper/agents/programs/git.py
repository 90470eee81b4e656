"""Runs git on repositories that tasks name. Nothing in a repository may make git run a program or reach the network."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from swarmkeeper.sdk.context import Context
from swarmkeeper.sdk.processes.output import HeadAndTail

GIT_SECONDS_MAX = 600.0  # a checkout of a very large repository takes minutes
OUTPUT_BYTES_MAX = 1024 * 1024
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")  # SHA-1 or SHA-256

# Hooks, and the programs that settings of a repository may name. Filters stay: they come from the settings of a
# repository under an allowed root, never from the files that a checkout contains.
_NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
_SAFE = (
    *("-c", "core.fsmonitor=false", "-c", "safe.bareRepository=explicit", "-c", "submodule.recurse=false"),
    *("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.quotePath=false", "-c", "core.autocrlf=false"),
)
_VARIABLES = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",  # a partial clone would fetch from an address in its settings
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C.UTF-8",
}


class GitFailed(Exception):
    """Git refused, or failed. The message is git's own."""


class RunsWords(Protocol):
    """Runs one command and returns its exit code, stdout and stderr."""

    def __call__(
        self, words: Sequence[str], environment: Mapping[str, str], folder: Path, given: bytes | None, most: int
    ) -> tuple[int, str, str]: ...


class Git:
    """Git with the settings above.

    Args:
        environment: all that git gets.
        run: how it is run: within an attempt, or on its own.
        hooks: whether hooks of the repository may run.
    """

    def __init__(self, environment: Mapping[str, str], run: RunsWords, *, hooks: bool = False) -> None:
        self._environment = {**environment, **_VARIABLES}
        self._run = run
        self._settings = _SAFE if hooks else (*_NO_HOOKS, *_SAFE)

    def __call__(
        self,
        *words: str,
        folder: Path,
        given: bytes | None = None,
        most: int = OUTPUT_BYTES_MAX,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Run git in a folder; return what it writes.

        Args:
            given: its stdin.
            most: bytes kept of its output; of a longer one, the beginning and the end.
            variables: further variables of its environment.

        Raises:
            GitFailed: it did not exit with 0, or git is not installed.
        """
        environment = {**self._environment, **(variables or {})}
        try:
            code, out, err = self._run(["git", *self._settings, *words], environment, folder, given, most)
        except (OSError, TimeoutError, subprocess.TimeoutExpired) as error:
            raise GitFailed(f"git {words[0]}: {type(error).__name__}: {error}") from error
        if code != 0:
            said = [line for line in err.splitlines() if line.strip()] or [f"exit code {code}"]
            raise GitFailed(f"git {words[0]}: {said[-1][:500]}")
        return out

    def asks(self, *words: str, folder: Path) -> str | None:
        """Run git and return the one line that it writes; None if it fails."""
        with contextlib.suppress(GitFailed):
            return self(*words, folder=folder).rstrip("\n") or None
        return None


def in_attempt(context: Context) -> RunsWords:
    """Run commands within an attempt: they end when it ends."""

    def run(
        words: Sequence[str], environment: Mapping[str, str], folder: Path, given: bytes | None, most: int
    ) -> tuple[int, str, str]:
        ran = context.run_sync(
            list(words), env=environment, inherit_env=False, cwd=folder, input=given, log=False,
            timeout=GIT_SECONDS_MAX, output_bytes_max=most,
        )  # fmt: skip
        return ran.code, ran.stdout, ran.stderr

    return run


def on_its_own(
    words: Sequence[str], environment: Mapping[str, str], folder: Path, given: bytes | None, most: int
) -> tuple[int, str, str]:
    """Run a command after an attempt has ended, when the attempt's own commands are refused. For a minute at most."""
    process = subprocess.Popen(
        words, env=dict(environment), cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(given, timeout=60)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    kept = HeadAndTail(most)
    kept.add(out)
    return process.returncode, kept.text(), err[-10_000:].decode(errors="replace")
