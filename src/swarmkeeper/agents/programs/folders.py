"""The folder of each attempt on this machine, and the sweep that removes those whose bot has died.

Theory. An attempt's folder appears complete: it is made under a name that says which process makes it, gets its owner
file (process id, start time of the process, boot, host), and is then renamed. A process is only known by all of these
together, because ids are used again. The sweep takes a folder by renaming it, under a lock, after it has read the owner
file; so no two sweeps take one folder, and none takes a folder that a living attempt has just made. A process that dies
at any point leaves a folder whose name or file says who owned it. What cannot be judged (another host's folder on a
shared disk, an unreadable owner file) is left alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import time  # noqa: TID251 - the sweep waits for processes of the real world
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmkeeper import files

Json = Any
Retire = Callable[[Path, Mapping[str, Json]], None]  # the folder, what its owner noted

log = logging.getLogger("swarmkeeper.bot")

OWNER_FILE = "owner.json"
# A program whose bot was killed gets a second until its supervisor notices, and two more to end.
DYING_SECONDS_MAX = 6.0
_NAMES_MAX = 1_000
# A folder that process `pid` makes (`new`) or removes (`old`); the last part is the name it gets or had.
_IN_WORK = re.compile(r"\.(?:new|old)-(?P<pid>\d+)-(?P<started>[0-9A-Za-z]+)-\d+-(?P<name>.+)")


@dataclass(frozen=True, slots=True)
class FolderOwner:
    """A process, so exactly that it is never mistaken for a later one with its id."""

    pid: int
    started: str
    boot: str
    host: str

    @classmethod
    def here(cls) -> FolderOwner:
        pid = os.getpid()
        return cls(pid, started(pid) or "unknown", _boot(), socket.gethostname())

    def lives(self) -> bool:
        """Whether it may be alive. Of a process on another host nothing is known."""
        if self.host != socket.gethostname():
            return True
        return self.boot == _boot() and started(self.pid) == self.started


def started(pid: int) -> str | None:
    """Return a word for the moment at which a process was started; None if there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    shown = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return re.sub(r"[^0-9A-Za-z]", "", shown.stdout) or None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def default_home() -> Path:
    """Return the folder for attempts: in the user's state, else among the temporary files."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    with contextlib.suppress(RuntimeError):  # a user without a home
        return (state if state.is_absolute() else Path.home() / ".local" / "state") / "swarmkeeper" / "programs"
    return Path(tempfile.gettempdir()) / f"swarmkeeper-programs-{os.getuid()}"


class AttemptFolders:
    """The folders of attempts under one home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def claim(self, name: str, about: Mapping[str, Json]) -> Path:
        """Make a folder that no other attempt has. Attempts at the same work get the same path, if it is free.

        Raises:
            OSError: it cannot be made.
        """
        owner, home = FolderOwner.here(), self._ready_home()
        name = re.sub(r"[^0-9A-Za-z_-]", "_", name)[:80]
        new = home / _in_work("new", owner, name)
        new.mkdir(mode=files.PRIVATE_FOLDER)
        try:
            _write_owner(new, owner, about)
            with locked(self.home / ".lock"):
                # Git still knows the path of a checkout that is being removed.
                taken = {made["name"] for entry in home.glob(".old-*") if (made := _IN_WORK.fullmatch(entry.name))}
                names = (name if number == 1 else f"{name}-{number}" for number in range(1, _NAMES_MAX))
                path = next((home / each for each in names if each not in taken and not (home / each).exists()), None)
                if path is None:
                    raise FileExistsError(f"{home} holds {_NAMES_MAX} folders of this work")
                new.rename(path)
        except BaseException:
            _remove_tree(new)
            raise
        return path

    def note(self, folder: Path, about: Mapping[str, Json]) -> None:
        """Replace what the owner file says besides the owner.

        Raises:
            OSError: it cannot be written.
        """
        _write_owner(folder, FolderOwner.here(), about)

    def release(self, folder: Path) -> None:
        """Remove a folder of this process. What cannot be removed now is left to the next sweep."""
        try:
            _remove_tree(folder)
        except OSError as error:
            log.warning("the folder %s of an attempt is left for the next start: %s", folder, error)

    def sweep(self, retire: Retire) -> int:
        """Remove the folders whose owner is dead; return how many. Each is given to `retire` before, moved away.

        It waits a few seconds for programs that still run in such a folder: their supervisors are ending them.

        Raises:
            OSError: the home cannot be read.
        """
        swept = 0
        for entry in sorted(self._ready_home().iterdir()):
            try:
                swept += self._swept(entry, retire)
            except OSError as error:
                log.warning("the folder %s of a dead attempt cannot be removed: %s", entry, error)
        return swept

    def _swept(self, entry: Path, retire: Retire) -> bool:
        if entry.is_symlink() or not entry.is_dir() or not self._abandoned(entry):
            return False
        deadline = time.monotonic() + DYING_SECONDS_MAX
        while _in_use(entry):
            if time.monotonic() > deadline:
                log.warning("%s is left alone: a process of a dead bot still works in it", entry)
                return False
            time.sleep(0.1)
        in_work = _IN_WORK.fullmatch(entry.name)
        taken = entry.with_name(_in_work("old", FolderOwner.here(), in_work["name"] if in_work else entry.name))
        with locked(self.home / ".lock"):
            if not self._abandoned(entry):
                return False
            entry.rename(taken)
        with contextlib.suppress(FileNotFoundError):  # a folder that was never ready has no owner file
            retire(taken, _read_owner(taken)[1])
        _remove_tree(taken)
        return True

    def _abandoned(self, entry: Path) -> bool:
        """Whether a folder's owner is surely dead. What this process could not remove waits for the next start."""
        if (in_work := _IN_WORK.fullmatch(entry.name)) is not None:
            pid = int(in_work["pid"])
            return started(pid) != in_work["started"]
        try:
            owner = _read_owner(entry)[0]
        except FileNotFoundError:
            return False  # another sweep was quicker
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("%s is left alone: its %s cannot be read", entry, OWNER_FILE)
            return False
        return not owner.lives()

    def _ready_home(self) -> Path:
        files.folder(self.home)
        found = self.home.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(f"{self.home} is not this user's folder")
        return self.home


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock of a file: against other processes, and other threads, as the file is opened anew.

    Raises:
        OSError: the file cannot be made.
    """
    number = files.descriptor(file, os.O_RDWR)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _write_owner(folder: Path, owner: FolderOwner, about: Mapping[str, Json]) -> None:
    record = {"pid": owner.pid, "started": owner.started, "boot": owner.boot, "host": owner.host, "about": dict(about)}
    files.write(folder / OWNER_FILE, json.dumps(record), durable=False)


def _read_owner(folder: Path) -> tuple[FolderOwner, Mapping[str, Json]]:
    record = json.loads((folder / OWNER_FILE).read_bytes())
    owner = FolderOwner(int(record["pid"]), str(record["started"]), str(record["boot"]), str(record["host"]))
    return owner, dict(record["about"])


def _in_use(folder: Path) -> bool:
    """Whether a process works in a folder. Without /proc, none is known."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                return True
    return False


def _in_work(what: str, owner: FolderOwner, name: str) -> str:
    return f".{what}-{owner.pid}-{owner.started}-{threading.get_ident()}-{name}"


def _remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it. Follows no links.

    Raises:
        OSError: something in it cannot be removed.
    """
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except PermissionError:  # package managers make folders that nobody may write to
        folder.chmod(files.PRIVATE_FOLDER)
        for root, inner, _ in os.walk(folder):
            for name in inner:
                if not (path := Path(root, name)).is_symlink():
                    path.chmod(files.PRIVATE_FOLDER)
        shutil.rmtree(folder)
