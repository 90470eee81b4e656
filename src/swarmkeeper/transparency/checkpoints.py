"""Checkpoints: the size and root of a tenant's audit log, signed (c2sp.org/tlog-checkpoint), and cosigned by witnesses
(c2sp.org/tlog-cosignature, Ed25519).

A checkpoint that somebody else keeps is what an audit log can be held against later: no later one of the same log may
be smaller, or begin with other records.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from swarmkeeper.core.rules.tree import HASH_BYTES
from swarmkeeper.transparency import notes
from swarmkeeper.transparency.notes import BadNote, Signature, SignedNote, SigningKey, VerifierKey

_TIME_BYTES = 8


@dataclass(frozen=True, slots=True)
class Head:
    """What a checkpoint says."""

    origin: str  # the log's name, unique in the world
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def origin_of(name: str, tenant: str) -> str:
    """Return the name of a tenant's log: each tenant has a log of its own, and a key with that name."""
    return f"{name}/{tenant}"


def sign(head: Head, keys: Sequence[SigningKey]) -> SignedNote:
    """Sign a checkpoint with each key, under the log's name."""
    return notes.sign(str(head), [key.named(head.origin) for key in keys])


def parse(note: SignedNote) -> Head:
    """Read what a checkpoint says, whoever has signed it.

    Raises:
        BadNote: it is no checkpoint.
    """
    lines = note.text.split("\n")
    if len(lines) < 4 or not all(lines[:-1]):
        raise BadNote("a checkpoint has three lines: the log's name, its size and its root")
    origin, size, root = lines[:3]
    if not (size.isascii() and size.isdigit()) or (size != "0" and size.startswith("0")) or len(size) > 18:
        raise BadNote("the second line of a checkpoint is the size of the log")
    try:
        data = base64.b64decode(root, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != HASH_BYTES or base64.b64encode(data).decode() != root:
        raise BadNote("the third line of a checkpoint is a root of 32 bytes, in base64")
    return Head(origin, int(size), data)


def verified(data: bytes, keys: Sequence[VerifierKey], origin: str | None = None) -> tuple[Head, SignedNote]:
    """Read a checkpoint, and verify that one of the keys has signed it.

    Args:
        origin: the log's name; by default that of one of the keys.

    Raises:
        BadNote: it is none, is another log's, or is signed by nobody of them.
    """
    note = notes.parse(data)
    head = parse(note)
    notes.verify(note, keys)
    known = {origin} if origin is not None else {key.name for key in keys}
    if head.origin not in known:
        raise BadNote(f"this is a checkpoint of the log {head.origin!r}, and not of {', '.join(sorted(known))}")
    return head, note


# ---- witnesses -----------------------------------------------------------------------------------------------------


def cosign(note: SignedNote, key: SigningKey, seconds: int) -> Signature:
    """Return a witness's signature: at this time (POSIX seconds), this was the largest tree of the log that it saw."""
    assert key.algorithm == notes.COSIGNATURE, "a witness has a key for cosignatures"
    signed = seconds.to_bytes(_TIME_BYTES) + key.signature(_cosigned(note.text, seconds))
    return Signature(key.name, key.verifier.id, signed)


def cosigned_at(note: SignedNote, key: VerifierKey) -> int | None:
    """Return when this witness has cosigned, in POSIX seconds; None if it has not.

    Raises:
        BadNote: its signature is wrong.
    """
    found = note.by(key)
    if found is None:
        return None
    seconds = int.from_bytes(found.signature[:_TIME_BYTES])
    if not key.has_signed(_cosigned(note.text, seconds), found.signature[_TIME_BYTES:]):
        raise BadNote(f"the cosignature of {key.name} is wrong")
    return seconds


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()
