"""The lock file that keeps a second orchestrator out of a store."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from swarmkeeper.storage.refusals import StoreHeld


class FileLock:
    """Held while open. The file stays behind: removing it would let two processes lock two files of one name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> None:
        """Take it at once, or say who has it.

        Raises:
            StoreHeld: another orchestrator has the store open.
        """
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # flock, not lockf: it belongs to this opening of the file, so that it holds within one process too.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 32, 0).decode("ascii", "replace").strip()
            os.close(file)
            raise StoreHeld(
                f"another orchestrator (process {holder or 'unknown'}) has this store open: "
                "stop it first, or use another store"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
