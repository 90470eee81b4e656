"""Detects that an open store's files were removed, renamed, replaced or overwritten.

Theory. SQLite keeps descriptors open: when its database is removed, renamed or replaced, it continues with the unnamed
files, while the name leads to another store. So device and inode of the database and of its two side files (`-wal`,
`-shm`) are compared before each transaction and after each commit. A commit is acknowledged only if the files still had
their names after it; so it is in the store that a reader of the name opens.

A database that is overwritten in place (`cp other.db store.db`) keeps its inode. The first page shows the difference to
SQLite's own writes: it begins with a fixed string and holds a random mark that each store gets when it is created. It
is read only if the file's time or size changed. An older copy of the same store has the same mark, so copying it over
the file of a running server is not detected.
"""

from __future__ import annotations

import os
from pathlib import Path

from swarmkeeper.core.ports import StoreLost
from swarmkeeper.storage.sqlite.lock import Identity

_MAGIC = b"SQLite format 3\x00"
# Fields of the header, see https://www.sqlite.org/fileformat2.html#the_database_header
_PAGE_SIZE = slice(16, 18)
_MARK = slice(60, 64)  # "user version"
_HEADER_BYTES = 100
SIDES = ("-wal", "-shm")


class Watch:
    """Compares the files of one store with those that were opened. Create it once all three files exist."""

    def __init__(self, name: Path, descriptor: int) -> None:
        """Args: `name` is the path that the store was opened with; `descriptor` is of the database file."""
        self.real = name.resolve()
        self._name = name.absolute()
        self._descriptor = descriptor
        self._sides = tuple(f"{self.real}{side}" for side in SIDES)
        self._checked = (str(self._name), *self._sides)
        self._written: tuple[int, int] | None = None  # mtime and size of the database at its last write
        self._header = self._read_header()
        self.reason: str | None = None  # why the store is lost, or None
        self.is_overwritten = False
        found = os.fstat(descriptor)
        self._identities = ((found.st_dev, found.st_ino), *map(_identity, self._sides))

    def check(self) -> None:
        """Compare the files with those that were opened.

        Raises:
            StoreLost: they differ, now or at an earlier call.
        """
        if self.reason is None:
            self.reason = self._trouble()
        if self.reason is not None:
            raise StoreLost(self.reason)

    def has_own_side(self, side: str) -> bool:
        """Whether this side file still has its name."""
        index = SIDES.index(side)
        return _identity(self._sides[index]) == self._identities[1 + index]

    def is_nameless(self) -> bool:
        """Whether the database has no name left, so that it is gone when this process ends."""
        return os.fstat(self._descriptor).st_nlink == 0

    def lacks_sides_alone(self) -> bool:
        """Whether only side files are missing: the database has its name, and no side file was replaced."""
        database, *sides = self._identities
        now = [_identity(side) for side in self._sides]
        return _identity(self._checked[0]) == database and all(
            identity in (None, former) for identity, former in zip(now, sides, strict=True)
        )

    def _trouble(self) -> str | None:
        # This runs twice for each transaction; `os.stat` with a text costs half of `Path.stat`.
        try:
            found = os.stat(self._checked[0])  # noqa: PTH116
        except OSError as error:
            return f"the database file is gone from {self._name} ({error.strerror})"
        database, *sides = self._identities
        if (found.st_dev, found.st_ino) != database:
            return f"{self._name} is not the file that was opened"
        for path, identity in zip(self._checked[1:], sides, strict=True):
            if _identity(path) != identity:
                return f"{path} is gone, or is not the file that was opened"
        written = (found.st_mtime_ns, found.st_size)
        if written != self._written:
            header = self._read_header()
            if not _follows(header, self._header):
                self.is_overwritten = True
                return f"{self._name} was overwritten, and not by SQLite"
            self._written, self._header = written, header
        return None

    def _read_header(self) -> bytes:
        return os.pread(self._descriptor, _HEADER_BYTES, 0)


def _follows(header: bytes, former: bytes) -> bool:
    """Whether SQLite itself can have changed `former` into `header`."""
    # A new store has its mark only in the write-ahead log.
    same_mark = header[_MARK] == former[_MARK] or former[_MARK] == bytes(4)
    return header.startswith(_MAGIC) and header[_PAGE_SIZE] == former[_PAGE_SIZE] and same_mark


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino
