"""What is published of a tenant's audit log: its checkpoint, its tiles, and proofs of single records."""

from __future__ import annotations

import base64
from collections.abc import Callable

from swarmkeeper.core.decide import policies
from swarmkeeper.core.errors import PermissionDenied, ResourceNotFound
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import ReadsOnly, Rules
from swarmkeeper.transparency import log_reads, tiles
from swarmkeeper.transparency.log_reads import CheckpointRow
from swarmkeeper.transparency.stored_log import LeftLog, StoredLog


class PublishedLogs:
    def __init__(
        self,
        store: ReadsOnly,
        rules: Rules,
        *,
        on_read: Callable[[Principal, str, str | None], None] = lambda principal, action, task: None,
    ) -> None:
        """
        Args:
            on_read: called when records are read, not only their hashes, for the audit log.
        """
        self._store, self._rules, self._on_read = store, rules, on_read

    async def checkpoint(self, principal: Principal) -> bytes:
        """Return the newest signed checkpoint.

        Raises:
            PermissionDenied, ResourceNotFound: the role may not read the log; nothing was signed yet.
        """
        return (await self._open(principal))[1].note.encode()

    async def begin(self, principal: Principal) -> int:
        """Return the index of the first record that is still there.

        Raises: as for `checkpoint`.
        """
        return (await self._open(principal))[0].begin

    async def tile(self, principal: Principal, path: str) -> tuple[bytes, bool]:
        """Return the bytes of a tile or bundle of the signed log, and whether they never change.

        Raises:
            PermissionDenied, ResourceNotFound: as for `checkpoint`; the signed log has no such tile, or no more.
        """
        log, signed = await self._open(principal)
        tile = tiles.parse_path(f"tile/{path}")
        if tile is None or tile.width > tiles.width_of(tile.level, tile.number, signed.size):
            raise ResourceNotFound("the signed log has no such tile")
        try:
            data = await log.tile(tile)
        except LeftLog as left:
            raise ResourceNotFound(str(left)) from None
        if tile.level == tiles.ENTRIES:
            self._on_read(principal, "audit.read", None)
        return data, tile.width == tiles.WIDTH

    async def proof(self, principal: Principal, index: int) -> bytes:
        """Return a record with the proof that the newest checkpoint covers it (c2sp.org/tlog-proof).

        The proof's `extra` is the record, as it is hashed: so it can be verified without anything else.

        Raises:
            PermissionDenied, ResourceNotFound: as for `checkpoint`; the record is not signed yet, or has left the log.
        """
        log, signed = await self._open(principal)
        if not log.begin <= index < signed.size:
            raise ResourceNotFound(f"the signed log has the records from {log.begin} to {signed.size - 1}")
        try:
            hashes = await log.inclusion(index, signed.size)
        except LeftLog as left:
            raise ResourceNotFound(str(left)) from None
        asked = {"tenant": principal.tenant, "begin": index, "end": index + 1}
        (record,) = await fetch(self._store, log_reads.AUDIT_ENTRIES, **asked)
        self._on_read(principal, "audit.read", None)
        lines = ["c2sp.org/tlog-proof@v1", f"extra {_text(record.leaf)}", f"index {index}"]
        lines += [_text(each) for each in hashes]
        return "\n".join([*lines, "", signed.note]).encode()

    async def _open(self, principal: Principal) -> tuple[StoredLog, CheckpointRow]:
        if not self._rules.may(principal, "audit.read"):
            raise PermissionDenied(self._rules.why_not(principal, "audit.read"))
        policies.audit(self._rules, principal)
        log = await StoredLog.open(self._store, principal.tenant)
        signed = None if log is None else await log.checkpoint()
        if log is None or signed is None:
            raise ResourceNotFound("no checkpoint was signed yet: see the setting audit_key_file")
        return log, signed


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
