"""Signs checkpoints of every tenant's audit log, in the background.

Before it signs, it computes from the stored records the root of the whole log, and the root that the log had when it
was signed last. If either differs from what was written down, records were changed: then nothing of this log is signed
any more, the log of the server says so, and `/readyz?verbose` warns. So whoever changes records has to change the
signed checkpoints in the store, too; and then the checkpoints that others keep tell.

Several servers may sign the same log: they sign the same records, and the store keeps each size once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import Changes, LogWriter, SignedCheckpoint, Store, StoreDamaged, StoreUnavailable
from swarmkeeper.transparency import checkpoints, log_reads, notes
from swarmkeeper.transparency.checkpoints import Head, origin_of
from swarmkeeper.transparency.log_reads import AuditHeadRow
from swarmkeeper.transparency.notes import BadKey, SigningKey
from swarmkeeper.transparency.stored_log import LeftLog, StoredLog

SIGN_SECONDS = 2.0  # between looks for new records
TILES_A_TURN = 64  # of level 1: 16,384 records


def read_keys(text: str) -> list[SigningKey]:
    """Read the text of `audit_key_file`: one key a line, all of one name. All of them sign.

    Raises:
        BadKey: it has none, one of another kind, or different names.
    """
    try:
        keys = [SigningKey.parse(line) for line in text.splitlines() if line.strip()]
    except BadKey as error:
        raise BadKey(f"audit_key_file: {error}") from None
    if not keys:
        raise BadKey("audit_key_file: it has no key")
    if len({key.name for key in keys}) > 1:
        raise BadKey("audit_key_file: its keys have different names, but the name is that of the log")
    if any(key.algorithm != notes.ED25519 for key in keys):
        raise BadKey("audit_key_file: this is the key of a witness; `swarmkeeper audit key` makes one for a log")
    return keys


class Signer:
    """Signs with all keys."""

    def __init__(self, store: Store, keys: Sequence[SigningKey], *, wall: Callable[[], int], log: LogWriter) -> None:
        """Args: `wall` is the wall clock, in microseconds."""
        self._store, self._keys, self._wall, self._log = store, keys, wall, log
        self.refused: dict[str, str] = {}  # why the log of a tenant is not signed any more

    @property
    def name(self) -> str:
        return self._keys[0].name

    def verifier_keys(self, tenant: str) -> list[str]:
        """Return what verifies the checkpoints of a tenant's log."""
        return [str(key.named(origin_of(self.name, tenant)).verifier) for key in self._keys]

    def warnings(self) -> list[str]:
        return [f"the audit log of {tenant} is not signed any more: {why}" for tenant, why in self.refused.items()]

    async def run(self) -> None:
        """Sign for ever."""
        while True:
            try:
                more = await self.sign_all()
            except (StoreUnavailable, StoreDamaged) as error:
                self._log("audit_not_signed", reason=str(error))
                more = False
            await asyncio.sleep(0 if more else SIGN_SECONDS)

    async def sign_all(self) -> bool:
        """Sign the logs that have grown; return whether more is left to do at once.

        Raises:
            StoreUnavailable, StoreDamaged: not all were signed.
        """
        more = False
        for head in await fetch(self._store, log_reads.AUDIT_HEADS):
            if head.size != head.signed and head.tenant not in self.refused:
                more |= await self._sign(head)
        return more

    async def _sign(self, head: AuditHeadRow) -> bool:
        log = await StoredLog.open(self._store, head.tenant)
        assert log is not None, "a log that has a head is never deleted"
        hashes = await log.missing_roots(TILES_A_TURN)
        if hashes:
            async with self._store.begin() as transaction:
                await transaction.save(Changes(tile_hashes=hashes))
        if len(hashes) >= TILES_A_TURN:
            return True
        try:
            why = await self._why_not(log)
        except LeftLog:
            now = await StoredLog.open(self._store, head.tenant)
            if now is not None and now.begin != log.begin:
                return True  # retention has just removed records: look again
            why = "some of its records are missing"
        if why is not None:
            self.refused[head.tenant] = why
            self._log("audit_changed", tenant=head.tenant, reason=why)
            return False
        origin = origin_of(self.name, head.tenant)
        note = checkpoints.sign(Head(origin, log.size, log.root), self._keys)
        signed = SignedCheckpoint(head.tenant, log.size, log.root, self._wall(), str(note))
        async with self._store.begin() as transaction:
            await transaction.save(Changes(checkpoints=[signed]))
        return False

    async def _why_not(self, log: StoredLog) -> str | None:
        """Return why this log must not be signed; None if it goes on from what was signed last.

        Raises:
            LeftLog: a record is missing.
        """
        if await log.root_at(log.size) != log.root:
            return "its records do not give its root"
        last = await log.checkpoint()
        if last is None or last.size < log.begin:  # retention has removed what was signed last: that was long ago
            return None
        if last.size > log.size:
            return f"it has {log.size} records, and {last.size} were signed"
        if await log.root_at(last.size) != last.root:
            return f"its first {last.size} records are not those that were signed"
        return None
