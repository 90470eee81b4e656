"""Writes data files atomically and readable by their owner only; reads files that somebody names.

A file is written under another name in the same folder, synced, and renamed. A process that dies in between leaves the
former file unchanged, and a file whose name begins with a dot and ends with `.new`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


class BadFile(ValueError):
    """A file cannot be used; the message says why, and does not name it."""


def read_text(path: Path, most: int, *, private: bool = False) -> str:
    """Return the text of a plain file.

    Args:
        most: how many bytes it may have.
        private: others on this machine must not be able to read it.

    Raises:
        BadFile: it cannot be read, is too large or no plain file, or others may read it.
    """
    try:
        return read_bytes(path, most, private=private).decode()
    except UnicodeDecodeError:
        raise BadFile("is not UTF-8") from None


def read_bytes(path: Path, most: int, *, private: bool = False) -> bytes:
    """Return the content of a plain file, as `read_text` does.

    Raises:
        BadFile: as for `read_text`.
    """
    try:
        status = path.stat()
        # Reading a pipe without a writer would block for ever, and with it a server that stops.
        if not stat.S_ISREG(status.st_mode):
            raise BadFile("is no plain file")
        if private and status.st_mode & 0o077:
            raise BadFile("others on this machine may read it: run `chmod 600` on it")
        with path.open("rb") as opened:
            raw = opened.read(most + 1)
    except OSError as error:
        raise BadFile(f"cannot be read: {error.strerror}") from None
    if len(raw) > most:
        raise BadFile(f"is larger than {most >> 20} MiB")
    return raw


def write(path: Path, content: str | bytes, *, mode: int = PRIVATE_FILE, durable: bool = True) -> None:
    """Replace the content of a file atomically. A link is followed and stays.

    Args:
        path: the file.
        content: a text is encoded in UTF-8.
        mode: permissions; change it only for files without data, such as sample code.
        durable: False: do not wait for the disk, for a file that is soon replaced again.

    Raises:
        OSError: it cannot be written; the former content stays.
    """
    raw = content.encode() if isinstance(content, str) else content
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:  # a pipe or a device cannot be replaced
            stream.write(raw)
        return
    with (
        beside(path, durable=durable) as new,
        os.fdopen(descriptor(new, os.O_WRONLY | os.O_EXCL, mode), "wb") as opened,
    ):
        opened.write(raw)


@contextmanager
def beside(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a new name in the same folder to write to. If the block succeeds, that file replaces `path`.

    Raises:
        OSError: it cannot be synced or renamed; `path` is unchanged.
    """
    path = path.resolve()
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)  # left by a dead process with this id
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
    with suppress(OSError):  # some file systems cannot sync folders; the file itself is safe
        sync(path.parent)


def create(path: Path) -> None:
    """Create an empty file.

    Raises:
        OSError: it exists, or cannot be created.
    """
    os.close(descriptor(path, os.O_WRONLY | os.O_EXCL))


def descriptor(path: Path, flags: int, mode: int = PRIVATE_FILE) -> int:
    """Open a file with flags of `os.open`; create it if it does not exist.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, mode)


def create_binary(path: Path) -> BinaryIO:
    """Create a file, and open it to write bytes.

    Raises:
        OSError: it exists, or cannot be created.
    """
    return os.fdopen(descriptor(path, os.O_WRONLY | os.O_EXCL), "wb")


def append(path: Path) -> TextIO:
    """Open a log for appending; create it if it does not exist.

    Raises:
        OSError: it cannot be opened.
    """
    return os.fdopen(descriptor(path, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8", buffering=1)


def folder(path: Path) -> None:
    """Make sure that a folder exists that only its owner may enter; its parents get the usual permissions.

    Raises:
        OSError: it cannot be made, or belongs to another user.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    if path.stat().st_mode & ~PRIVATE_FOLDER & 0o777:
        path.chmod(PRIVATE_FOLDER)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk.

    Raises:
        OSError: they could not be written.
    """
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
