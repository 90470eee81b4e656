"""Notices when the files that a store was opened on are no longer the ones under their names, or were written over.

Theory. SQLite goes by descriptors: when its database is removed, renamed or replaced, it goes on with the files that
have no name any more, and whoever opens the name meets another store. So device and inode of the database and of its
two side files (`-wal`, `-shm`) are compared before each transaction and after each commit. A commit is acknowledged
only when the files had their names after it; then it has happened in the store that anybody would open.

A database that is written over in place (`cp other.db store.db`) keeps its inode. That is told from SQLite's own
writing by the first page: it begins with a fixed word and holds the mark that every store draws when it is made. It is
read only where time or size of the file have changed. An older copy of the same store has the same mark: that it was
copied over the file of a running server is not noticed here.
"""

from __future__ import annotations

import os
from pathlib import Path

from swarmkeeper.core.ports import StoreLost
from swarmkeeper.storage.sqlite.lock import Identity

_MAGIC = b"SQLite format 3\x00"
# Of the header, see https://www.sqlite.org/fileformat2.html#the_database_header
_PAGE_SIZE = slice(16, 18)
_MARK = slice(60, 64)  # "user version"
_HEADER_BYTES = 100
SIDES = ("-wal", "-shm")


class Watch:
    """Looks at the files of one store. Begin it when the database is open and its side files are there."""

    def __init__(self, name: Path, descriptor: int) -> None:
        """Args: `name` is what the store was opened by; `descriptor` is of the database file."""
        self.real = name.resolve()
        self._name = name.absolute()
        self._descriptor = descriptor
        self._sides = tuple(Path(f"{self.real}{side}") for side in SIDES)
        self._written: tuple[int, int] | None = None  # when and to which size the database was written last
        self._header = self._read_header()
        self.reason: str | None = None  # why the store is lost; None while it is not
        self.is_overwritten = False
        found = os.fstat(descriptor)
        self._identities = ((found.st_dev, found.st_ino), *map(_identity, self._sides))

    def look(self) -> None:
        """Compare what is there with what was opened.

        Raises:
            StoreLost: now or earlier, it was another.
        """
        if self.reason is None:
            self.reason = self._trouble()
        if self.reason is not None:
            raise StoreLost(self.reason)

    def has_own_side(self, side: str) -> bool:
        """Whether this side file still has its name."""
        place = SIDES.index(side)
        return _identity(self._sides[place]) == self._identities[1 + place]

    def is_nameless(self) -> bool:
        """Whether no name at all leads to the database any more: it ends with this process."""
        return os.fstat(self._descriptor).st_nlink == 0

    def lacks_sides_alone(self) -> bool:
        """Whether the database has its name, and side files have gone that no others have been made for."""
        database, *sides = self._identities
        now = [_identity(path) for path in self._sides]
        return _identity(self._name) == database and all(
            one in (None, former) for one, former in zip(now, sides, strict=True)
        )

    def _trouble(self) -> str | None:
        try:
            found = self._name.stat()
        except OSError as error:
            return f"the database file is gone from {self._name} ({error.strerror})"
        database, *sides = self._identities
        if (found.st_dev, found.st_ino) != database:
            return f"{self._name} is another file than the one that was opened"
        for path, identity in zip(self._sides, sides, strict=True):
            if _identity(path) != identity:
                return f"{path} is gone or is another file than the one that was opened"
        written = (found.st_mtime_ns, found.st_size)
        if written != self._written:
            header = self._read_header()
            if not _follows(header, self._header):
                self.is_overwritten = True
                return f"{self._name} was written over by something else than SQLite"
            self._written, self._header = written, header
        return None

    def _read_header(self) -> bytes:
        return os.pread(self._descriptor, _HEADER_BYTES, 0)


def _follows(header: bytes, former: bytes) -> bool:
    """Whether SQLite can have made the one of the other."""
    # A store that was made a moment ago has its mark in the write-ahead log alone.
    same_mark = header[_MARK] == former[_MARK] or former[_MARK] == bytes(4)
    return header.startswith(_MAGIC) and header[_PAGE_SIZE] == former[_PAGE_SIZE] and same_mark


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
