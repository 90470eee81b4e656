"""The named reads of this room: rows of audit logs, their tiles and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from swarmkeeper.core.ports import Read


class AuditHeadRow(NamedTuple):
    tenant: str
    size: int
    root: bytes
    begin: int  # index of the first record that is still there
    signed: int | None  # size of the newest checkpoint


class AuditLogRow(NamedTuple):
    size: int
    root: bytes
    begin: int
    frontier: bytes | None  # of the records that have left


class CheckpointRow(NamedTuple):
    size: int
    root: bytes
    at: int
    note: str


class HashRow(NamedTuple):
    place: int
    hash: bytes


class EntryRow(NamedTuple):
    place: int
    leaf: bytes


class EndRow(NamedTuple):
    place: int | None


AUDIT_HEADS = Read("audit_heads", AuditHeadRow)
AUDIT_LOG = Read("audit_log", AuditLogRow, "tenant")
NEWEST_CHECKPOINT = Read("newest_checkpoint", CheckpointRow, "tenant")
AUDIT_HASHES = Read("audit_hashes", HashRow, "tenant", "level", "begin", "end")
AUDIT_HASHES_END = Read("audit_hashes_end", EndRow, "tenant", "level")
AUDIT_LEAF_HASHES = Read("audit_leaf_hashes", HashRow, "tenant", "begin", "end")
AUDIT_ENTRIES = Read("audit_entries", EntryRow, "tenant", "begin", "end")

READS: Mapping[str, Read[Any]] = {str(read): read for read in list(vars().values()) if isinstance(read, Read)}
