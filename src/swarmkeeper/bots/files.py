"""Lists the files of a directory to review, and reads them. Each bot does its own measuring."""

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

# A longer text is data that was committed; reading it takes long and shows little.
BYTES_MAX = 1024 * 1024
SNIFFED_BYTES = 8192
CLOCK_TICK_SECONDS = 0.01  # resolution of timestamps in a file system
MARKER = re.compile(r"\b(?:TODO|FIXME|XXX)\b")  # of unfinished work
_SKIPPED = frozenset(
    {".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".tox", ".nox", "site-packages"}
    | {".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".swarmkeeper"}
)
_WARNINGS = threading.Lock()

Language = Literal["python", "text"]


@dataclass(frozen=True, slots=True)
class Listing:
    """The files to review under a root, by relative name, in order."""

    files: tuple[str, ...]
    binary: int  # passed over; the report counts them
    large: int

    def passed_over(self) -> dict[str, int]:
        return {"binary": self.binary, "large": self.large}


class DirectoryNotFound(Exception):
    """The path of the task is not a directory that this bot can read."""


def root_of(input: object) -> Path:  # noqa: A002 - the field's name
    """Return the directory that a task names.

    Raises:
        DirectoryNotFound: the task names none, or it is not on this machine.
    """
    path = input.get("path", input.get("root")) if isinstance(input, dict) else None
    if not isinstance(path, str) or not path:
        raise DirectoryNotFound('the input of a review is {"path": "/a/directory"}')
    root = Path(path)
    if not root.is_dir():
        raise DirectoryNotFound("the path to review is not a directory on this bot's machine")
    return root


def listing(root: Path) -> Listing:
    """List the text files under `root`: those that Git tracks or would add; without Git, all of them."""
    files: list[str] = []
    binary = large = 0
    for name in sorted(set(_git_files(root) or _all_files(root))):
        path = root / name
        # Links are never followed: they lead out of the directory, or in circles.
        if path.is_symlink() or not path.is_file() or not _is_utf8(name):
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
    """Return a file's content; None if it is gone or outside `root`."""
    path = root / name
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            return None
        return path.read_bytes()
    except OSError:
        return None


def changed_since(root: Path, name: str, moment: datetime) -> bool:
    """Return whether a file was written or removed after `moment`.

    Uses the time of the last inode change, which programs cannot set. For a removed file, uses the folder's.
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
    """Yield name, content and text of every file that still exists."""
    for name in names:
        content = read(root, name)
        if content is not None:
            yield name, content, content.decode("utf-8", errors="replace")


def parsed(text: str) -> ast.Module | None:
    """Return the syntax tree; None if this is not Python (of the running version)."""
    try:
        # Warnings of the compiler about the reviewed code must not reach our terminal; the switch is process-wide.
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _git_files(root: Path) -> list[str]:
    # The repository's settings may name a program to run; a review must not start it.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(root), "ls-files", "-z", "--cached", "--others"]
    # Git sets these for its hooks; they would point it at another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        listed = subprocess.run(
            [*command, "--exclude-standard"], capture_output=True, check=True, timeout=60, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]


def _all_files(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        # A virtual environment may have any name; it is recognised by its configuration file.
        folders[:] = [
            name for name in folders if name not in _SKIPPED and not (Path(folder, name) / "pyvenv.cfg").exists()
        ]
        for name in names:
            yield Path(folder, name).relative_to(root).as_posix()


def _is_utf8(name: str) -> bool:
    """Return whether a name can be written in JSON: file systems allow bytes that are not text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
