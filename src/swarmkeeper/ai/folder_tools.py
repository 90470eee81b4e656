"""Tools that read one folder, and nothing else: for `swarmkeeper run --files DIR`.

A path is walked name by name from the open folder, and no name is followed if it is a link. So neither `..`, nor a link
that stands there, nor one that is put there a moment later leads out of it. Names that begin with a dot are left out:
they are settings, keys and histories (.env, .git, .swarmkeeper), not documents.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_ai.toolsets import FunctionToolset

from swarmkeeper.ai.tools import ToolFolder

ENTRIES_MAX = 500  # of a list
READ_BYTES_MAX = 64 * 1024  # of one call
_SEARCHED_BYTES_MAX = 1 << 20  # of one file
_SEARCHED_ALL_MAX = 64 << 20
_FOUND_MAX = 100
_LINE_LENGTH_MAX = 300
_DEPTH_MAX = 20


class NotReadable(ValueError):
    """A path cannot be read; the message says why, and names nothing outside the folder."""


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """One file of a folder. `path` is relative, with `/`."""

    path: str
    size: int


class ReadFolder:
    """Read access to one folder.

    Args:
        path: the folder; a link there is followed, since the person who runs the swarm wrote it.

    Raises:
        OSError: there is no such folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve(strict=True)
        if not self.path.is_dir():
            raise NotADirectoryError(str(path))

    def entries(self) -> Iterator[FolderEntry]:
        """Yield its files, those of folders in it included, in order."""
        with self._opened([]) as folder:
            yield from self._walk(folder, "", 0)

    def read(self, path: str, start: int = 0, most: int = READ_BYTES_MAX) -> bytes:
        """Return at most so many bytes of a file, from `start`.

        Raises:
            NotReadable: it is outside, hidden, a link, or no plain file.
        """
        with self._opened(_names(path)) as opened:
            if not stat.S_ISREG(os.fstat(opened).st_mode):  # reading a pipe would wait for its writer
                raise NotReadable(f"{path} is not a file")
            found = b""
            while len(found) < most and (more := os.pread(opened, most - len(found), start + len(found))):
                found += more
            return found

    def _walk(self, folder: int, at: str, depth: int) -> Iterator[FolderEntry]:
        for name in sorted(os.listdir(folder)):
            if name.startswith("."):
                continue
            with suppress(OSError):  # it is gone, or may not be read
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield FolderEntry(at + name, status.st_size)
                elif stat.S_ISDIR(status.st_mode) and depth < _DEPTH_MAX:
                    inner = os.open(name, _FOLDER, dir_fd=folder)
                    try:
                        yield from self._walk(inner, f"{at}{name}/", depth + 1)
                    finally:
                        os.close(inner)

    @contextmanager
    def _opened(self, names: list[str]) -> Iterator[int]:
        """Open a path below the folder, without following a link at any of its names."""
        opened = os.open(self.path, _FOLDER)
        try:
            for number, name in enumerate(names, start=1):
                flags = _FILE if number == len(names) else _FOLDER
                try:
                    inner = os.open(name, flags, dir_fd=opened)
                except OSError as error:
                    raise NotReadable(f"{'/'.join(names)} cannot be read: {_why(error)}") from None
                os.close(opened)
                opened = inner
            yield opened
        finally:
            os.close(opened)


_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _why(error: OSError) -> str:
    import errno

    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
        return "it is a link, or no folder"
    return error.strerror or type(error).__name__


def _names(path: str) -> list[str]:
    names = [name for name in path.split("/") if name not in ("", ".")]
    if path.startswith("/") or "\0" in path or ".." in names:
        raise NotReadable("a path is relative, and within the folder")
    if not names:
        raise NotReadable("name a file")
    if any(name.startswith(".") for name in names):
        raise NotReadable("names that begin with a dot are not read")
    return names


def reading_tools(folder: ReadFolder) -> FunctionToolset[ToolFolder]:
    """Return the tools `list_files`, `read_file` and `search_files` on this folder."""
    made: FunctionToolset[ToolFolder] = FunctionToolset(max_retries=3)

    def list_files(folder_path: str = "") -> dict[str, Any]:
        """List the files with their sizes in bytes.

        Args:
            folder_path: only those below this folder; empty: all.
        """
        wanted = "/".join(_names(folder_path)) + "/" if folder_path.strip("/ ") not in ("", ".") else ""
        files: list[str] = []
        for entry in folder.entries():
            if entry.path.startswith(wanted):
                if len(files) == ENTRIES_MAX:
                    return {"files": files, "more": f"only the first {ENTRIES_MAX} are listed"}
                files.append(f"{entry.path} ({entry.size})")
        return {"files": files}

    def read_file(path: str, start: int = 0) -> dict[str, Any]:
        """Read a text file.

        Args:
            path: as `list_files` shows it.
            start: the byte to begin with, for the rest of a long file.
        """
        raw = folder.read(path, max(start, 0), READ_BYTES_MAX + 1)
        found: dict[str, Any] = {"text": raw[:READ_BYTES_MAX].decode("utf-8", "replace")}
        if len(raw) > READ_BYTES_MAX:
            found["more"] = f"the file goes on: read it again with start={max(start, 0) + READ_BYTES_MAX}"
        return found

    def search_files(text: str) -> list[str]:
        """Find the lines that contain a text, in upper or lower case, as `path:line: text`.

        Args:
            text: what to look for; not a pattern.
        """
        return list(_found(folder, text))

    for tool in (list_files, read_file, search_files):
        made.add_function(tool)
    return made


def _found(folder: ReadFolder, text: str) -> Iterator[str]:
    wanted, left, count = text.casefold(), _SEARCHED_ALL_MAX, 0
    if not wanted.strip():
        raise NotReadable("name a text to look for")
    for entry in folder.entries():
        if entry.size > _SEARCHED_BYTES_MAX or left <= 0:
            continue
        try:
            raw = folder.read(entry.path, most=_SEARCHED_BYTES_MAX)
        except NotReadable:
            continue
        left -= len(raw)
        for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), start=1):
            if wanted in line.casefold():
                yield f"{entry.path}:{number}: {line[:_LINE_LENGTH_MAX]}"
                count += 1
                if count == _FOUND_MAX:
                    return
