"""Keeps an output that could not be sent in a file for the bot's author: the work was done, and paid for.

The folder is `$XDG_STATE_HOME/swarmkeeper/unsent` (by default `~/.local/state/…`); if that cannot be written, it is a
folder for this user among the temporary files. It keeps the newest 100 files, up to a gibibyte.
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
    """Write `content` to a new file and return its path. Only the owner can read it.

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
    assert refused is not None, "there is at least one folder"
    raise refused


def _folders() -> Iterator[Path]:
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield (state if state.is_absolute() else Path.home() / ".local" / "state") / "swarmkeeper" / "unsent"
    user = os.getuid() if hasattr(os, "getuid") else os.getlogin()
    yield Path(tempfile.gettempdir()) / f"swarmkeeper-unsent-{user}"


def _make(folder: Path) -> None:
    # In a folder that everyone can write to, another user may have made it, or a link in its place.
    if folder.is_symlink():
        raise PermissionError(f"{folder} is a link")
    files.folder(folder)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        raise PermissionError(f"{folder} is not this user's folder")


def _make_room(folder: Path, coming: int) -> None:
    """Delete the oldest files."""
    kept = []
    for entry in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another bot may delete it at the same time
            found = entry.lstat()
            kept.append((found.st_mtime_ns, found.st_size, entry))
    size = sum(length for _, length, _ in kept) + coming
    for deleted, (_, length, entry) in enumerate(sorted(kept)):
        if len(kept) - deleted < FILES_MAX and size <= BYTES_MAX:
            return
        entry.unlink(missing_ok=True)
        size -= length
