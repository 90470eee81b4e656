"""Verifies and copies a published audit log without the store that it comes from: from a server, or from a folder.

Everything is computed anew from the records: nothing but the verifier keys, and what was kept of the log before, has to
be trusted.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from swarmkeeper import files
from swarmkeeper.core.rules.tree import Frontier, leaf_hash
from swarmkeeper.files import BadFile
from swarmkeeper.transparency import checkpoints, proofs, tiles
from swarmkeeper.transparency.checkpoints import Head
from swarmkeeper.transparency.notes import BadNote, SignedNote, VerifierKey
from swarmkeeper.transparency.proofs import Subtree
from swarmkeeper.transparency.tiles import ENTRIES, WIDTH, BadTile, Tile

CHECKPOINT = "checkpoint"
FILE_BYTES_MAX = WIDTH * (2 + 0xFFFF)  # of a bundle: its records have lengths of two bytes
_READABLE = 0o644  # it is published
FACTS = "log"  # JSON: the first record that is still there, and the verifier keys as the log itself says


class FileMissing(Exception):
    """The published log does not have this file."""


class Source(Protocol):
    """A published log, by the paths of c2sp.org/tlog-tiles."""

    async def get(self, path: str) -> bytes:
        """Raises: FileMissing."""


class Folder:
    """A published log in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def get(self, path: str) -> bytes:
        """Return a file of the folder, which somebody else may have made.

        Raises:
            FileMissing: there is none.
            BadFile: it is no plain file, or larger than any of a log.
        """
        return self._read(path)

    def _read(self, path: str) -> bytes:
        at = self.path / path
        if not os.path.lexists(at):
            raise FileMissing(path)
        try:
            return files.read_bytes(at, FILE_BYTES_MAX)
        except BadFile as bad:
            raise BadFile(f"the file `{path}` {bad}") from None

    def put(self, path: str, data: bytes) -> None:
        """Write a file whole or not at all.

        Raises:
            BadFile: a link leads out of the folder, or something else than a file is there.
        """
        at = self.path / path
        whole = at.resolve()
        if not whole.is_relative_to(self.path.resolve()) or (whole.exists() and not whole.is_file()):
            raise BadFile(f"the file `{path}` is no plain file of this folder: nothing is written there")
        at.parent.mkdir(parents=True, exist_ok=True)
        files.write(at, data, mode=_READABLE)


@dataclass(frozen=True, slots=True)
class LogVerification:
    """What verifying a published log has found. `incomplete`: what is there is right, but something is missing."""

    status: Literal["whole", "tampered", "incomplete"]
    head: Head | None = None
    records: int = 0  # read
    begin: int = 0  # the first record that is still there
    signers: tuple[str, ...] = ()  # names of the keys that have signed
    witnesses: tuple[str, ...] = ()
    index: int | None = None  # of the first bad record
    reason: str = ""


async def begin_of(source: Source) -> int:
    """Return the index of the first record that is still there, as the log itself says: it proves nothing.

    Raises:
        BadNote: what the log says cannot be read.
    """
    try:
        begin = msgspec.json.decode(await source.get(FACTS), type=_Facts).begin
    except FileMissing:
        return 0
    except (msgspec.DecodeError, UnicodeDecodeError):
        begin = -1
    if begin < 0:
        raise BadNote(f"the file `{FACTS}` of the log cannot be read")
    return begin


class _Facts(msgspec.Struct):
    begin: int


async def verify(
    source: Source,
    keys: Sequence[VerifierKey],
    *,
    since: bytes | None = None,
    witnesses: Sequence[VerifierKey] = (),
) -> LogVerification:
    """Verify a published log: signatures, every record that is still there, the root, and what was kept before.

    Args:
        keys: of the log.
        since: an older checkpoint of it, which was kept elsewhere.
        witnesses: keys of witnesses, each of which must have cosigned the checkpoint.
    """
    try:
        return await _verify(source, keys, since, witnesses)
    except BadFile as bad:
        return LogVerification("incomplete", reason=str(bad))


async def _verify(
    source: Source, keys: Sequence[VerifierKey], since: bytes | None, witnesses: Sequence[VerifierKey]
) -> LogVerification:
    found = LogVerification("whole")
    try:
        try:
            data = await source.get(CHECKPOINT)
        except FileMissing:
            return LogVerification("incomplete", reason="the log has no checkpoint")
        head, note = checkpoints.verified(data, keys)
        found = replace(found, head=head, signers=_names(note, keys), witnesses=_cosigned(note, witnesses))
        old = None if since is None else checkpoints.verified(since, keys, head.origin)[0]
        begin = await begin_of(source)
    except BadNote as bad:
        return replace(found, status="tampered", reason=str(bad))
    lacking = {key.name for key in witnesses} - set(found.witnesses)
    if lacking:
        return replace(found, status="incomplete", reason=f"not cosigned by {', '.join(sorted(lacking))}")
    if old is not None and old.size > head.size:
        reason = f"the log has {head.size} records, and the older checkpoint {old.size}: it was cut, or replaced"
        return replace(found, status="tampered", reason=reason)
    return await _records(source, found, head, old, begin)


def _names(note: SignedNote, keys: Sequence[VerifierKey]) -> tuple[str, ...]:
    return tuple(f"{key.name} ({key.id.hex()})" for key in keys if note.by(key) is not None)


def _cosigned(note: SignedNote, witnesses: Sequence[VerifierKey]) -> tuple[str, ...]:
    return tuple(key.name for key in witnesses if checkpoints.cosigned_at(note, key) is not None)


async def _records(source: Source, found: LogVerification, head: Head, old: Head | None, begin: int) -> LogVerification:
    """Read all records, and compute the roots."""
    first = min(-(-begin // WIDTH) * WIDTH, head.size // WIDTH * WIDTH)  # of the first whole bundle
    reading = TileHashes(source, head.size)
    try:
        left = [await reading.subtree(each) for each in proofs.complete_subtrees(0, first)]
    except (FileMissing, BadTile) as bad:
        reason = f"the hashes of the records before {first} are missing: {bad}"
        return replace(found, status="incomplete", reason=reason)
    frontier, known = Frontier(first, left), old is None
    found = replace(found, begin=first)
    for number in range(first // WIDTH, -(-head.size // WIDTH)):
        bundle = Tile(ENTRIES, number, tiles.width_of(ENTRIES, number, head.size))
        try:
            entries = tiles.entries_in(await source.get(bundle.path), bundle)
        except FileMissing:
            reason = f"the records from {bundle.begin} on are missing"
            return replace(found, status="incomplete", index=bundle.begin, reason=reason)
        except BadTile as bad:
            return replace(found, status="tampered", index=bundle.begin, reason=str(bad))
        for entry in entries:
            if old is not None and frontier.size == old.size:
                known = frontier.root() == old.root
            frontier.append(leaf_hash(entry))
    found = replace(found, records=head.size - first)
    if frontier.root() != head.root:
        return replace(found, status="tampered", reason="the records do not give the root in the checkpoint")
    if old is not None and not known:
        try:
            known = await consistent(source, old, head)
        except (FileMissing, BadTile) as bad:
            reason = f"the older checkpoint, of {old.size} records, cannot be compared any more: {bad} is missing"
            return replace(found, status="incomplete", reason=reason)
    if not known:
        assert old is not None, "without an older checkpoint there is nothing to compare"
        reason = f"the first {old.size} records are not those of the older checkpoint: the log was rewritten"
        return replace(found, status="tampered", reason=reason)
    return found


class TileHashes:
    """Reads hashes of a published log of this size from its tiles. Nothing says yet that they are right."""

    def __init__(self, source: Source, size: int) -> None:
        self._source, self._size = source, size
        self._read: dict[Tile, list[bytes]] = {}

    async def root(self, begin: int, end: int) -> bytes:
        """Return the root of a range of records.

        Raises:
            FileMissing, BadTile: a tile is missing, or is none.
        """
        return proofs.fold([await self.subtree(each) for each in proofs.complete_subtrees(begin, end)])

    async def subtree(self, subtree: Subtree) -> bytes:
        """Return the hash of a complete subtree.

        Raises:
            FileMissing, BadTile: as for `root`.
        """
        level, begin, end = tiles.in_tiles(subtree)
        number = begin // WIDTH
        tile = Tile(level, number, tiles.width_of(level, number, self._size))
        if tile not in self._read:
            self._read[tile] = tiles.hashes_in(await self._source.get(tile.path), tile)
        return proofs.root_of(self._read[tile][begin - tile.begin : end - tile.begin])


# ---- copying -------------------------------------------------------------------------------------------------------


async def consistent(source: Source, old: Head, new: Head) -> bool:
    """Return whether the log's tiles prove that the tree `new` begins with the tree `old`.

    Raises:
        FileMissing, BadTile: the log does not have the tiles for a proof.
    """
    if old.size > new.size:
        return False
    if old.size in (0, new.size):
        return proofs.verify_consistency(old.size, new.size, old.root, new.root, [])
    reading = TileHashes(source, new.size)
    path = proofs.consistency_path(old.size, new.size)
    proof = [await reading.root(begin, end) for begin, end in path]
    return proofs.verify_consistency(old.size, new.size, old.root, new.root, proof)


async def export(source: Source, folder: Folder, keys: Sequence[VerifierKey]) -> LogVerification:
    """Copy a published log into a folder, verified; only what is new since the last time. The checkpoint comes last.

    Returns:
        the verification of the folder. If it is not whole, the folder keeps its former checkpoint.
    """
    facts = await source.get(FACTS)
    data = await source.get(CHECKPOINT)
    try:
        head, _ = checkpoints.verified(data, keys)
        try:
            since: bytes | None = await folder.get(CHECKPOINT)
        except FileMissing:
            since = None
        had = 0 if since is None else checkpoints.verified(since, keys, head.origin)[0].size
        begin = await begin_of(source)
    except BadNote as bad:
        return LogVerification("tampered", reason=str(bad))
    if had > head.size:
        reason = f"the log has {head.size} records, and {had} were exported: it was cut, or replaced"
        return LogVerification("tampered", head, reason=reason)
    wanted = [tile for tile in tiles.tiles_of(head.size, after=had) if not _has_left(tile, begin)]
    for tile in wanted:
        try:
            folder.put(tile.path, await source.get(tile.path))
        except FileMissing:
            if tile.level == ENTRIES:
                return LogVerification("incomplete", head, reason=f"{tile.path} is missing")
    staged = _Staged(folder, {CHECKPOINT: data, FACTS: facts})
    found = await verify(staged, keys, since=since)
    if found.status == "whole":
        folder.put(FACTS, facts)
        folder.put(CHECKPOINT, data)
    return found


def _has_left(tile: Tile, begin: int) -> bool:
    return tile.level <= 0 and tile.begin < begin


class _Staged:
    """A folder with some files that it gets later."""

    def __init__(self, folder: Folder, later: dict[str, bytes]) -> None:
        self._folder, self._later = folder, later

    async def get(self, path: str) -> bytes:
        return self._later[path] if path in self._later else await self._folder.get(path)


# ---- single records ------------------------------------------------------------------------------------------------

_PROOF = "c2sp.org/tlog-proof@v1"
_PARTS = "sha256-salted-parts"  # how a record commits to its body: see `AuditBody` of the API
_SALT_BYTES = 16


class OpenedBody(msgspec.Struct):
    """What a server says of a record's body. Nothing of it is proved before `proved_body`."""

    index: int
    erased: bool = False
    alg: str = ""
    salt: str | None = None
    body: str | None = None
    rest: str | None = None


class _Committed(msgspec.Struct):
    alg: str
    commitment: str


class _CommittingLeaf(msgspec.Struct):
    body: _Committed


@dataclass(frozen=True, slots=True)
class ProvedRecord:
    index: int
    record: bytes  # as it is hashed: JSON
    head: Head


def proved(data: bytes, keys: Sequence[VerifierKey]) -> ProvedRecord:
    """Return the record in a proof (c2sp.org/tlog-proof, with the record as its `extra`), if the proof holds.

    Raises:
        BadNote: it does not, or is none; the message says why.
    """
    try:
        text, _, note = data.decode().partition("\n\n")
        first, extra, index, *hashes = text.split("\n")
        given = [base64.b64decode(each, validate=True) for each in (extra.removeprefix("extra "), *hashes)]
        at = int(index.removeprefix("index "))
    except (UnicodeDecodeError, ValueError):
        raise BadNote("this is no proof of a record") from None
    if first != _PROOF or not extra.startswith("extra ") or index != f"index {at}":
        raise BadNote("this is no proof of a record")
    head, _ = checkpoints.verified(note.encode(), keys)
    record, *proof = given
    if not proofs.verify_inclusion(leaf_hash(record), at, head.size, proof, head.root):
        raise BadNote(f"the proof does not show that the record is number {at} of the log")
    return ProvedRecord(at, record, head)


def proved_body(record: ProvedRecord, data: bytes) -> str | None:
    """Return the body of a proved record, if the record commits to it; None if it was erased.

    Args:
        data: JSON, as `GET /audit/{index}/body` gives it.

    Raises:
        BadNote: the record commits to another body, or this is none; the message says why.
    """
    try:
        said = msgspec.json.decode(data, type=OpenedBody)
        committed = msgspec.json.decode(record.record, type=_CommittingLeaf).body
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadNote("this is no body of a record") from None
    if said.index != record.index:
        raise BadNote(f"the body is that of record {said.index}, and the proof that of record {record.index}")
    if said.erased:
        return None
    if said.salt is None or said.body is None or said.rest is None:
        raise BadNote("a record of this earlier version commits to its body as a whole: only the store can verify it")
    try:
        salt, rest = bytes.fromhex(said.salt), bytes.fromhex(said.rest)
        shown = sha256(salt + said.body.encode()).digest()
    except ValueError:
        raise BadNote("this is no body of a record") from None
    if len(salt) != _SALT_BYTES:  # else a part of the body could be passed off as salt
        raise BadNote("this is no body of a record: its salt has another length")
    found = sha256(shown + rest).hexdigest()
    if committed.alg != _PARTS or found != committed.commitment:
        raise BadNote(f"record {record.index} commits to another body")
    return said.body
