"""A witness: follows one tenant's audit log from another machine, and cosigns it only while it grows.

It keeps the last checkpoint that it has cosigned. A newer one is cosigned only if the log's own tiles prove that it
begins with the kept one. If they do not, the log was cut or rewritten, or it shows different people different records
(a fork): the witness then keeps both checkpoints, which together are the evidence, and cosigns nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from swarmkeeper.transparency import checkpoints, notes
from swarmkeeper.transparency.checkpoints import Head
from swarmkeeper.transparency.notes import BadKey, BadNote, SigningKey, VerifierKey
from swarmkeeper.transparency.outside import CHECKPOINT, FileMissing, Folder, Source, consistent
from swarmkeeper.transparency.tiles import BadTile

FORK = "fork"  # the checkpoint that does not go on from the kept one


class Fork(Exception):
    """The log does not go on from what was cosigned. The message says where the evidence is."""


class Witness:
    def __init__(
        self,
        source: Source,
        folder: Folder,
        keys: Sequence[VerifierKey],
        own: SigningKey,
        *,
        wall: Callable[[], int],
    ) -> None:
        """
        Args:
            folder: of this witness and this log alone.
            keys: of the log.
            own: the key for cosignatures.
            wall: the time in microseconds.

        Raises:
            BadKey: the witness's key is not for cosignatures.
        """
        if own.algorithm != notes.COSIGNATURE:
            raise BadKey("a witness needs a key of its own: make it with --witness")
        self._source, self._folder, self._keys, self._own, self._wall = source, folder, keys, own, wall

    async def look(self) -> tuple[Head, bool]:
        """Cosign the log's newest checkpoint, if there is a new one; return it, and whether it is new.

        Raises:
            Fork: the log does not go on from what was cosigned.
            BadNote: what the log shows is no checkpoint of it; or the kept one is damaged.
            BadFile: a file of the folder cannot be used.
            FileMissing: it shows none, or not the tiles for a proof.
        """
        if await self._kept(FORK) is not None:
            raise Fork(f"a fork was found earlier: see the files `{CHECKPOINT}` and `{FORK}` in {self._folder.path}")
        data = await self._source.get(CHECKPOINT)
        head, note = checkpoints.verified(data, self._keys)
        kept = await self._kept(CHECKPOINT)
        if kept is not None:
            try:
                old = checkpoints.verified(kept, self._keys, head.origin)[0]
            except BadNote as bad:
                raise BadNote(
                    f"the witness's own file `{CHECKPOINT}` in {self._folder.path} is damaged, so it cannot tell"
                    f" whether the log goes on from it: {bad}"
                ) from None
            if (old.size, old.root) == (head.size, head.root):
                return head, False
            try:
                goes_on = await consistent(self._source, old, head)
            except BadTile as bad:
                raise FileMissing(str(bad)) from None
            if not goes_on:
                self._folder.put(FORK, data)
                raise Fork(
                    f"the log of {head.size} records does not begin with the {old.size} that were cosigned: the files"
                    f" `{CHECKPOINT}` and `{FORK}` in {self._folder.path} prove it"
                )
        cosigned = note.with_signatures([checkpoints.cosign(note, self._own, self._wall() // 1_000_000)])
        self._folder.put(CHECKPOINT, str(cosigned).encode())
        return head, True

    async def _kept(self, path: str) -> bytes | None:
        try:
            return await self._folder.get(path)
        except FileMissing:
            return None
