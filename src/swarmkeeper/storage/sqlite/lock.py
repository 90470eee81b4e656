"""Locks a store for one orchestrator, whatever name of the file a second one uses.

Theory. Two locks are taken:
- One on the database file itself, so that it holds for every name of the file (a link, another mount) and survives the
  removal of other files. It is an open-file-description lock on one byte far behind the bytes that SQLite locks.
- One on `<name>.lock` beside the file. That file names the process that holds the store. Versions before 0.4.0 know
  only this lock, and systems without open-file-description locks have only this one.

A trap of POSIX: when a process closes any descriptor of a file, it loses all its record locks on that file, including
SQLite's. So descriptors of the database file are closed only when no store of this process has it open.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from collections import Counter
from pathlib import Path
from typing import ClassVar

from swarmkeeper import files
from swarmkeeper.storage.refusals import StoreHeld, StoreRefused

_BYTE = 1 << 62  # SQLite locks bytes at 2^30, and databases end at 2^48
_SET_LOCK = getattr(fcntl, "F_OFD_SETLK", None) if sys.platform == "linux" else None

Identity = tuple[int, int]  # device and inode


def identity_of(path: Path) -> Identity:
    """Return device and inode of the file at `path`, following links.

    Raises:
        OSError: there is no such file.
    """
    found = path.stat()
    return found.st_dev, found.st_ino


class Users:
    """Counts the stores of this process that have a file open; closes its idle descriptors when the last one leaves."""

    _open: ClassVar[Counter[Identity]] = Counter()
    _idle: ClassVar[dict[Identity, list[int]]] = {}

    @classmethod
    def enter(cls, file: Identity) -> None:
        cls._open[file] += 1

    @classmethod
    def leave(cls, file: Identity, descriptor: int | None = None) -> None:
        """Count one store less, and take over `descriptor`. Call it after SQLite's connections are closed."""
        if descriptor is not None:
            cls._idle.setdefault(file, []).append(descriptor)
        cls._open[file] -= 1
        if not cls._open[file]:
            del cls._open[file]
            for idle in cls._idle.pop(file, ()):
                os.close(idle)


class FileLock:
    """The lock of one store, held from `take` to `release`.

    The lock file is never removed: otherwise two processes could lock two different files of that name.
    """

    def __init__(self, path: Path) -> None:
        """Args: `path` is the existing database file, with links resolved."""
        self._path = path
        self._beside: int | None = None
        self.descriptor: int | None = None  # of the database file; pass it to `Users.leave`

    def take(self) -> None:
        """Take the lock without waiting.

        Raises:
            StoreHeld: another orchestrator has the store open; the message says which process.
            StoreRefused: the file system does not support locks.
        """
        name = self._path.with_name(self._path.name + ".lock")
        self._beside = files.descriptor(name, os.O_RDWR)
        try:
            # flock, not lockf: it belongs to the descriptor, so it also excludes a second store in this process.
            fcntl.flock(self._beside, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._lock_file()
        except BlockingIOError:
            holder = os.pread(self._beside, 32, 0).decode("ascii", "replace").strip()
            self.release()
            raise StoreHeld(
                f"another orchestrator (process {holder or 'unknown'}) has this store open: "
                "stop it first, or use another store"
            ) from None
        except OSError as error:
            self.release()
            raise StoreRefused(f"{self._path} cannot be locked ({error.strerror}): use another file system") from None
        os.ftruncate(self._beside, 0)
        os.pwrite(self._beside, f"{os.getpid()}\n".encode(), 0)

    def _lock_file(self) -> None:
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        if _SET_LOCK is not None:
            fcntl.fcntl(self.descriptor, _SET_LOCK, _flock(fcntl.F_WRLCK))

    def release(self) -> None:
        """Release the lock. `descriptor` stays open."""
        if self.descriptor is not None and _SET_LOCK is not None:
            fcntl.fcntl(self.descriptor, _SET_LOCK, _flock(fcntl.F_UNLCK))
        if self._beside is not None:
            os.close(self._beside)
            self._beside = None


def _flock(kind: int) -> bytes:
    """Return Linux's `struct flock` for the one byte."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, _BYTE, 1, 0)
