"""Which files of a directory are reviewed, and how they are read. What is measured in them is each bot's own."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

# A text longer than this is data that somebody committed; reading it takes long and says little.
BYTES_MAX = 1024 * 1024
SNIFFED_BYTES = 8192
CLOCK_TICK_SECONDS = 0.01  # a file system dates a change by the last tick of its clock, which may be so long ago
MARKER = re.compile(r"\b(?:TODO|FIXME|XXX)\b")  # of work that is left to do
_NEVER = frozenset(
    {".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".tox", ".nox", "site-packages"}
    | {".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".swarmkeeper"}
)
_WARNINGS = threading.Lock()

Language = Literal["python", "text"]


@dataclass(frozen=True, slots=True)
class Listing:
    """What there is to review under a root, by name relative to it, in order."""

    files: tuple[str, ...]
    binary: int  # passed over, and so said in the report
    large: int

    def passed_over(self) -> dict[str, int]:
        return {"binary": self.binary, "large": self.large}


class NotThere(Exception):
    """The path of the task is no directory that this bot can read."""


def root_of(input: object) -> Path:  # noqa: A002 - the field's name
    """The directory that a task is about.

    Raises:
        NotThere: the task names none, or it is not on this machine.
    """
    path = input.get("path", input.get("root")) if isinstance(input, dict) else None
    if not isinstance(path, str) or not path:
        raise NotThere('the input of a review is {"path": "/a/directory"}')
    root = Path(path)
    if not root.is_dir():
        raise NotThere("the path to review is no directory on this bot's machine")
    return root


def listing(root: Path) -> Listing:
    """The text files under `root`: those that Git knows or would add, or all of them where there is no Git."""
    files: list[str] = []
    binary = large = 0
    for name in sorted(set(_of_git(root) or _walked(root))):
        path = root / name
        # Links are never followed: they lead out of what was asked to be reviewed, or around in circles.
        if path.is_symlink() or not path.is_file() or not _sayable(name):
            continue
        try:
            with path.open("rb") as opened:
                head = opened.read(SNIFFED_BYTES)
                size = os.fstat(opened.fileno()).st_size
        except OSError:
            continue
        if b"\0" in head:
            binary += 1
        elif size > BYTES_MAX:
            large += 1
        else:
            files.append(name)
    return Listing(tuple(files), binary, large)


def language(name: str) -> Language:
    return "python" if name.endswith((".py", ".pyi")) else "text"


def read(root: Path, name: str) -> bytes | None:
    """A file's content; None where it is gone, or lies outside of `root`."""
    path = root / name
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            return None
        return path.read_bytes()
    except OSError:
        return None


def changed_since(root: Path, name: str, moment: datetime) -> bool:
    """Whether a file was written, or went away, after `moment`.

    By the time of the last change of its inode, which no program sets at will. Of a file that is gone, the folder that
    held it tells.
    """
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        return False
    while not path.exists() and path != root:
        path = path.parent
    try:
        return path.stat().st_ctime >= moment.timestamp() - CLOCK_TICK_SECONDS
    except OSError:
        return True


def each(root: Path, names: Iterable[str]) -> Iterator[tuple[str, bytes, str]]:
    """Name, content and text of every file that is still there."""
    for name in names:
        content = read(root, name)
        if content is not None:
            yield name, content, content.decode("utf-8", errors="replace")


def parsed(text: str) -> ast.Module | None:
    """The syntax tree, or None where this is no Python (of the version that runs us)."""
    try:
        # What the compiler has to remark on a stranger's code is not for our terminal; its switch is the process's.
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _of_git(root: Path) -> list[str]:
    # A repository's own settings may name a program to run; reading somebody's code must not start it.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(root), "ls-files", "-z", "--cached", "--others"]
    # Set by Git for its hooks, these would point it at another repository than the one at `root`.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        told = subprocess.run(
            [*command, "--exclude-standard"], capture_output=True, check=True, timeout=60, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [os.fsdecode(name) for name in told.stdout.split(b"\0") if name]


def _walked(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        # A virtual environment goes by any name; its configuration file tells it.
        folders[:] = [
            name for name in folders if name not in _NEVER and not (Path(folder, name) / "pyvenv.cfg").exists()
        ]
        for name in names:
            yield Path(folder, name).relative_to(root).as_posix()


def _sayable(name: str) -> bool:
    """Whether a name can be told in JSON: file systems allow bytes that are no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
