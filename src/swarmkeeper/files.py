"""Writes files that hold data: readable by their owner alone from the first byte, and whole or not there at all.

A file is written under another name in the same folder, synced, and renamed. A process that dies in between leaves the
former file as it was, and beside it one whose name begins with a dot and ends with `.new`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def write(path: Path, content: str | bytes, *, mode: int = PRIVATE_FILE, durable: bool = True) -> None:
    """Replace the content of a file, or leave there what was there. What a link leads to is written; the link stays.

    Args: another `mode` is for what holds no data, such as code that is written as a sample; what is old in a moment
        need not be `durable`, and does not wait for the disk.

    Raises:
        OSError: it cannot be written.
    """
    raw = content.encode() if isinstance(content, str) else content
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:  # a pipe or a device, which is read as it is written
            stream.write(raw)
        return
    with (
        beside(path, durable=durable) as new,
        os.fdopen(descriptor(new, os.O_WRONLY | os.O_EXCL, mode), "wb") as opened,
    ):
        opened.write(raw)


@contextmanager
def beside(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A name in the same folder to write to; when the block ends well, what stands there becomes `path`.

    Raises:
        OSError: it cannot be synced or renamed; `path` is as it was.
    """
    path = path.resolve()
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)  # of a process of this number that died
    try:
        yield new
        if durable:
            sync(new)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    if not durable:
        return
    with suppress(OSError):  # some file systems cannot; the file itself is safe, and has its name
        sync(path.parent)


def create(path: Path) -> None:
    """Make an empty file that is not there yet.

    Raises:
        OSError: it is there, or cannot be made.
    """
    os.close(descriptor(path, os.O_WRONLY | os.O_EXCL))


def descriptor(path: Path, flags: int, mode: int = PRIVATE_FILE) -> int:
    """Open a file by the words of `os.open`; it is made where it is not there.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, mode)


def append(path: Path) -> TextIO:
    """Open a log for writing at its end; it is made where it is not there.

    Raises:
        OSError: it cannot be opened.
    """
    return os.fdopen(descriptor(path, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8", buffering=1)


def folder(path: Path) -> None:
    """Have a folder that its owner alone may enter; the folders above it are made as usual.

    Raises:
        OSError: it cannot be made, or is another user's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    if path.stat().st_mode & ~PRIVATE_FOLDER & 0o777:
        path.chmod(PRIVATE_FOLDER)


def sync(path: Path) -> None:
    """Wait until the disk has a file's content, or the names in a folder.

    Raises:
        OSError: it has not.
    """
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
