"""Keeps what a bot made and could not send, in a file that its author can read: the work was done, and paid for.

The folder is `$XDG_STATE_HOME/swarmkeeper/unsent` (`~/.local/state/…` where that is not set), or one of the user's own
in the folder for temporary files where that cannot be written. It holds the newest hundred, and a gibibyte, at most.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from swarmkeeper import files

FILES_MAX = 100
BYTES_MAX = 1 << 30


def keep(content: bytes, name: str) -> Path:
    """Write it down; the file's path. It is born readable to its owner alone, and has its name once it is whole.

    Raises:
        OSError: no folder can be written to.
    """
    content = content[:BYTES_MAX]
    refused: OSError | None = None
    for folder in _folders():
        try:
            _make(folder)
            _make_room(folder, len(content))
            file = folder / f"{re.sub(r'[^0-9A-Za-z_-]', '_', name)[:100]}.json"
            files.write(file, content)
            return file
        except OSError as error:
            refused = error
    assert refused is not None, "there is a folder to try"
    raise refused


def _folders() -> Iterator[Path]:
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield (state if state.is_absolute() else Path.home() / ".local" / "state") / "swarmkeeper" / "unsent"
    user = os.getuid() if hasattr(os, "getuid") else os.getlogin()
    yield Path(tempfile.gettempdir()) / f"swarmkeeper-unsent-{user}"


def _make(folder: Path) -> None:
    # Anybody may have made it where anybody may write, as a link to somewhere else, too.
    if folder.is_symlink():
        raise PermissionError(f"{folder} is a link")
    files.folder(folder)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        raise PermissionError(f"{folder} is not this user's folder")


def _make_room(folder: Path, coming: int) -> None:
    """Let the oldest go."""
    kept = []
    for entry in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another bot makes room, too
            found = entry.lstat()
            kept.append((found.st_mtime_ns, found.st_size, entry))
    size = sum(each[1] for each in kept) + coming
    for place, (_, length, entry) in enumerate(sorted(kept)):
        if len(kept) - place < FILES_MAX and size <= BYTES_MAX:
            return
        entry.unlink(missing_ok=True)
        size -= length
