"""Keeps a second orchestrator out of a store, under whatever name it comes.

Theory. Two locks are taken. One is on the database file itself, so that it holds for every name of it (a link, another
mount) and does not go away with a file beside it. It is an open-file-description lock on one byte far behind the bytes
that SQLite locks, and so does not meet SQLite's own. The other is on `<name>.lock` beside the file: it says which
process holds the store, versions before 0.4.0 know only that one, and systems without the first kind have nothing else.

A trap of POSIX: when a process closes any descriptor of a file, it loses all record locks on that file, SQLite's too.
So descriptors of the database file are closed only when no store of this process has it open any more.
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

_BYTE = 1 << 62  # SQLite's own are at 2^30, and databases end at 2^48
_SET_LOCK = getattr(fcntl, "F_OFD_SETLK", None) if sys.platform == "linux" else None

Identity = tuple[int, int]  # device and inode


def identity_of(path: Path) -> Identity:
    """Which file a name leads to.

    Raises:
        OSError: to none.
    """
    found = path.stat()
    return found.st_dev, found.st_ino


class Users:
    """Counts the stores of this process that have a file open, and closes descriptors of it after the last one."""

    _open: ClassVar[Counter[Identity]] = Counter()
    _idle: ClassVar[dict[Identity, list[int]]] = {}

    @classmethod
    def enter(cls, file: Identity) -> None:
        cls._open[file] += 1

    @classmethod
    def leave(cls, file: Identity, descriptor: int | None = None) -> None:
        """Call it when SQLite's connections are closed."""
        if descriptor is not None:
            cls._idle.setdefault(file, []).append(descriptor)
        cls._open[file] -= 1
        if not cls._open[file]:
            del cls._open[file]
            for idle in cls._idle.pop(file, ()):
                os.close(idle)


class FileLock:
    """Held from `take` to `release`. The file beside the store stays: removing it would let two processes lock two."""

    def __init__(self, path: Path) -> None:
        """Args: `path` is the database file, which is there, with no link in its name."""
        self._path = path
        self._beside: int | None = None
        self.descriptor: int | None = None  # of the database file; to be given to `Users.leave`

    def take(self) -> None:
        """Take it at once.

        Raises:
            StoreHeld: another orchestrator has the store open; the message says which process.
            StoreRefused: the file system knows no locks.
        """
        name = self._path.with_name(self._path.name + ".lock")
        self._beside = files.descriptor(name, os.O_RDWR)
        try:
            # flock, not lockf: it belongs to this opening of the file, so that it holds within one process too.
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
        """Let others take it. `descriptor` stays open."""
        if self.descriptor is not None and _SET_LOCK is not None:
            fcntl.fcntl(self.descriptor, _SET_LOCK, _flock(fcntl.F_UNLCK))
        if self._beside is not None:
            os.close(self._beside)
            self._beside = None


def _flock(kind: int) -> bytes:
    """A `struct flock` for one byte, as Linux has it."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, _BYTE, 1, 0)
