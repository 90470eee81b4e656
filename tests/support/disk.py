"""A disk below SQLite with failing writes and power cuts: an `apsw` VFS over the real one.

Theory. All processes see a write at once, but it is durable only when a sync of that file has returned. So the real
files (which SQLite maps, locks and reads as always, including its shared memory) are what the machine sees, and a list
records every act on them, in order. The list decides what a power cut leaves: synced data survives; of other data, each
sector may survive or not, independent of its neighbours. A failed sync is worse than none: the system drops the data
that it could not write, and a later successful sync does not bring it back. Nothing waits for a real device.

Not modelled: decaying sectors, misdirected writes, devices that falsely report a sync, and lost entries of new files in
a folder (a created file is always found again).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

import apsw

from swarmkeeper.sim.kernel.chance import SeededChance

SECTORS = (512, 4096)  # sizes in bytes that a device writes atomically


class DiskOperation(StrEnum):
    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Act:
    """An operation on a file."""

    kind: DiskOperation
    file: str  # its name in the folder
    at: int = 0  # offset of a write, or the new length of the file
    data: bytes = b""
    failed: bool = False  # a failed sync: its data may be lost
    folder: bool = False  # the folder was synced with it, so deletions are durable


class Left(StrEnum):
    """Which unsynced data a power cut leaves."""

    ALL = "all"  # as when only the process dies
    NOTHING = "nothing"
    FIRST = "first"  # the oldest writes, and a part of the last one
    ANY = "any"  # any sectors


# Called before each act; returns the error to raise, or None.
Breaks = Callable[[DiskOperation, str], type[apsw.Error] | None]


class Disk:
    """One folder on its own simulated disk. Open its files with `vfs`."""

    _serial: ClassVar[itertools.count[int]] = itertools.count(1)

    def __init__(self, folder: Path, found: Mapping[str, bytes] | None = None) -> None:
        """Args: `found` are durable files that already exist. The folder is created if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()  # as SQLite resolves it
        self.acts: list[Act] = []
        self.breaks: Breaks = _never
        self._found = dict(found or {})
        for name, content in self._found.items():
            (folder / name).write_bytes(content)
        self._vfs = _Vfs(f"swarmkeeper-disk-{next(self._serial)}", self)
        self._synced = _Synced(0, {name: bytearray(content) for name, content in self._found.items()}, [])

    @property
    def vfs(self) -> str:
        return self._vfs.vfs_name

    def gone(self) -> None:
        """Unregister the disk after use."""
        self._vfs.unregister()

    def survivors(self, left: Left, seed: int = 0, *, acts: int | None = None) -> dict[str, bytes]:
        """Return the files that survive a power cut after so many acts (default: all)."""
        count = len(self.acts) if acts is None else acts
        chance = SeededChance(seed, f"power/{left}/{count}")
        if count < self._synced.acts:
            self._synced = _Synced(0, {name: bytearray(content) for name, content in self._found.items()}, [])
        self._synced.go_on(self.acts[self._synced.acts : count])
        now = self._synced.copy()
        now.go_on(self.acts[now.acts : count], chance)
        safe, pending = now.safe, now.pending
        match left:
            case Left.ALL:
                remains: Iterable[Act] = pending
            case Left.NOTHING:
                remains = ()
            case Left.FIRST:
                whole = chance.below(len(pending) + 1)
                remains = [*pending[:whole], *_some(pending[whole : whole + 1], chance)]
            case Left.ANY:
                remains = _some(pending, chance)
        # A created file exists, but without any guaranteed content.
        for act in pending:
            if act.kind is not DiskOperation.DELETE:
                safe.setdefault(act.file, bytearray())
        _apply(safe, remains)
        return {name: bytes(content) for name, content in safe.items()}


@dataclass
class _Synced:
    """What is durable after so many acts, and which of them are not."""

    acts: int
    safe: dict[str, bytearray]
    pending: list[Act]

    def copy(self) -> _Synced:
        return _Synced(self.acts, {name: content[:] for name, content in self.safe.items()}, self.pending[:])

    def go_on(self, acts: Iterable[Act], chance: SeededChance | None = None) -> None:
        """Follow more acts: without `chance`, until one that failed, because what is left of it is random."""
        for act in acts:
            if act.failed and chance is None:
                return
            self.acts += 1
            if act.kind is not DiskOperation.SYNC:
                self.pending.append(act)
            if act.kind is DiskOperation.SYNC or act.folder:
                of_it, self.pending = _split(self.pending, act)
                _apply(self.safe, _some(of_it, chance) if act.failed and chance is not None else of_it)


def _never(kind: DiskOperation, file: str) -> None:
    return None


def _split(pending: list[Act], sync: Act) -> tuple[list[Act], list[Act]]:
    """Split pending acts into those that the sync covers, and the others."""
    about: list[Act] = []
    rest: list[Act] = []
    deleted: dict[str, int] = {}  # file -> index of its deletion; later acts are on a new file of that name
    if sync.folder and not sync.failed:
        deleted = {act.file: place for place, act in enumerate(pending) if act.kind is DiskOperation.DELETE}
    for place, act in enumerate(pending):
        (about if act.file == sync.file or place <= deleted.get(act.file, -1) else rest).append(act)
    return about, rest


def _apply(files: dict[str, bytearray], acts: Iterable[Act]) -> None:
    for act in acts:
        if act.kind is DiskOperation.DELETE:
            files.pop(act.file, None)
            continue
        content = files.setdefault(act.file, bytearray())
        if act.kind is DiskOperation.TRUNCATE:
            del content[act.at :]
        else:
            if act.at > len(content):
                content.extend(bytes(act.at - len(content)))  # a hole reads as zeros
            content[act.at : act.at + len(act.data)] = act.data


def _some(acts: Iterable[Act], chance: SeededChance) -> list[Act]:
    """Return the acts that reach the disk, sector by sector; the share of survivors is random."""
    odds = chance.fraction()
    sector = SECTORS[chance.below(len(SECTORS))]
    kept = []
    for act in acts:
        if act.kind is not DiskOperation.WRITE:
            if chance.fraction() < odds:
                kept.append(act)
            continue
        place = act.at
        end = act.at + len(act.data)
        while place < end:
            after = min(end, (place // sector + 1) * sector)
            if chance.fraction() < odds:
                kept.append(Act(DiskOperation.WRITE, act.file, place, act.data[place - act.at : after - act.at]))
            place = after
    return kept


class _Vfs(apsw.VFS):
    def __init__(self, name: str, disk: Disk) -> None:
        self.vfs_name = name
        self._disk = disk
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # SQLite's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or Path(path).parent != self._disk.folder:
            return apsw.VFSFile("", name, flags)  # a temporary file of SQLite, which ends with the process
        return _File(name, flags, Path(path).name, self._disk)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802  # SQLite's name
        name = Path(filename).name
        if error := self._disk.breaks(DiskOperation.DELETE, name):
            raise error("the disk cannot take it")
        super().xDelete(filename, False)  # the real folder need not survive a power cut
        self._disk.acts.append(Act(DiskOperation.DELETE, name, folder=syncdir))


class _File(apsw.VFSFile):
    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int], file: str, disk: Disk) -> None:
        self._file, self._disk = file, disk
        # With the first sync of a journal that it has made, SQLite syncs the folder.
        self._made = file.endswith(("-wal", "-journal")) and not (disk.folder / file).exists()
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # SQLite's name
        error = self._disk.breaks(DiskOperation.WRITE, self._file)
        if error is not None:
            data = data[: len(data) // 2]  # only half of it was written
        super().xWrite(data, offset)
        self._disk.acts.append(Act(DiskOperation.WRITE, self._file, offset, bytes(data)))
        if error is not None:
            raise error("the disk cannot take it")

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  # SQLite's name
        if error := self._disk.breaks(DiskOperation.TRUNCATE, self._file):
            raise error("the disk cannot take it")
        super().xTruncate(newsize)
        self._disk.acts.append(Act(DiskOperation.TRUNCATE, self._file, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's name
        error = self._disk.breaks(DiskOperation.SYNC, self._file)
        self._disk.acts.append(Act(DiskOperation.SYNC, self._file, failed=error is not None, folder=self._made))
        if error is not None:
            raise error("the disk does not answer")
        self._made = False
