"""The sink `jsonl`: a file with one record in each line, which is replaced by a new one at a size.

What `send` returns for is on the disk. A write that fails half way is undone; a line that a crash has cut off is
removed when the file is opened: its record is sent again.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from swarmkeeper.sinks.file import Entry, JsonlTable
from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.targets.target import OneCallThread

MODE = 0o600
_BLOCK = 64 << 10


class JsonlTarget:
    """Implements `SinkTarget`."""

    pace = 0.5

    def __init__(self, entry: Entry, table: JsonlTable) -> None:
        self._path = entry.path(table.path).absolute()
        self._rotate_bytes, self._keep = table.rotate_bytes, table.keep
        self.place = str(self._path)
        self._worker = OneCallThread(entry.name)
        self._file = -1

    async def open(self) -> None:
        await self._worker.run(self._open)

    async def send(self, records: Sequence[SinkRecord]) -> int:
        data = b"".join(record.body + b"\n" for record in records)
        await self._worker.run(lambda: self._append(data))
        return len(records)

    async def close(self) -> None:
        # A file that cannot be closed now is closed with the process. What is in it was synced when it was written.
        with suppress(OSError, TimeoutError):
            await self._worker.run(self._close)

    # ---- in the thread -----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._close()
        is_new = not self._path.exists()
        # No link: who may write to the folder must not choose another file of ours.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.open(self._path, flags, MODE)
        try:
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise OSError(f"{self._path} is not a regular file")
            _lock(self._file)
            os.fchmod(self._file, MODE)
            whole = _whole_lines(self._file)
            if whole != os.fstat(self._file).st_size:
                os.ftruncate(self._file, whole)
                os.fsync(self._file)
            if is_new:
                sync_folder(self._path.parent)
        except BaseException:
            self._close()
            raise

    def _append(self, data: bytes) -> None:
        if self._file < 0:
            raise OSError("the file was closed")
        size = os.fstat(self._file).st_size
        if size and size + len(data) > self._rotate_bytes:
            self._rotate()
            size = 0
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            # Remove what was written of the batch. If that fails as well, the next `open` removes a part of a line.
            with suppress(OSError):
                os.ftruncate(self._file, size)
            self._close()
            raise

    def _rotate(self) -> None:
        """Rename the file to `.1`, that one to `.2` and so on; the last one is removed."""
        self._close()
        numbered = [self._path.with_name(f"{self._path.name}.{number}") for number in range(1, self._keep + 1)]
        for older, newer in zip(reversed(numbered), [*reversed(numbered[:-1]), self._path], strict=True):
            if newer.exists():
                newer.replace(older)
        sync_folder(self._path.parent)
        self._open()

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def _lock(file: int) -> None:
    """Keep other processes away, as long as the file is open.

    Raises:
        OSError: another process has it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError("another process writes to this file") from None


def _whole_lines(file: int) -> int:
    """Return the length of a file without the part of a line at its end."""
    end = os.fstat(file).st_size
    while end:
        begin = max(0, end - _BLOCK)
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def sync_folder(folder: Path) -> None:
    """Make sure that new names in a folder are on the disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
