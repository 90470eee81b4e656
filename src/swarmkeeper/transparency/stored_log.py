"""Reads tiles and proofs of a tenant's audit log from the store.

Of every full tile its root is stored, so a root or a proof needs the hashes of a few tiles: some hundred rows, also in
a log of millions. Records that retention has removed leave the frontier of their tree, which stands for them: proofs of
the records that are still there need no others.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import Reader, TileHash
from swarmkeeper.core.rules.tree import Frontier
from swarmkeeper.transparency import log_reads, proofs, tiles
from swarmkeeper.transparency.log_reads import AuditLogRow, CheckpointRow
from swarmkeeper.transparency.proofs import Range, Subtree
from swarmkeeper.transparency.tiles import ENTRIES, WIDTH, Tile


class LeftLog(Exception):
    """The hashes that are asked for have left the log with the records that they are of."""


class StoredLog:
    """One tenant's log, as it was when `open` read its size. It only grows, so everything below stays right."""

    def __init__(self, store: Reader, tenant: str, log: AuditLogRow) -> None:
        self._store, self._tenant = store, tenant
        self.size, self.root, self.begin = log.size, log.root, log.begin
        left = Frontier.from_bytes(log.frontier or b"")
        self._left = dict(zip(proofs.complete_subtrees(0, left.size), left.subtrees, strict=True))

    @classmethod
    async def open(cls, store: Reader, tenant: str) -> StoredLog | None:
        """Return the tenant's log; None if it has no records."""
        found = await fetch(store, log_reads.AUDIT_LOG, tenant=tenant)
        return cls(store, tenant, found[0]) if found else None

    async def checkpoint(self) -> CheckpointRow | None:
        """Return the newest signed checkpoint."""
        found = await fetch(self._store, log_reads.NEWEST_CHECKPOINT, tenant=self._tenant)
        return found[0] if found else None

    # ---- hashes ------------------------------------------------------------------------------------------------------

    async def root_at(self, size: int) -> bytes:
        """Return the root that the log had, or would have had, with so many records.

        Raises:
            LeftLog: it was that of records that have left.
        """
        return await self._root((0, size))

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that the tree of this size has the record with this index.

        Raises:
            ValueError: it has not.
            LeftLog: the record has left the log.
        """
        return [await self._root(each) for each in proofs.inclusion_path(index, size)]

    async def _root(self, leaves: Range) -> bytes:
        return proofs.fold([await self._subtree(each) for each in proofs.complete_subtrees(*leaves)])

    async def _subtree(self, subtree: Subtree) -> bytes:
        if (left := self._left.get(subtree)) is not None:
            return left
        level, begin, end = tiles.in_tiles(subtree)
        hashes = await self._hashes(level, begin, end)
        if len(hashes) == end - begin:
            return proofs.root_of([*hashes.values()])
        height, number = subtree
        if height == 0 or (number + 1) << height <= self.begin:
            raise LeftLog(f"the records up to {self.begin} have left the log")
        # A part of it has left: the frontier stands for that part.
        halves = [await self._subtree((height - 1, 2 * number + side)) for side in (0, 1)]
        return proofs.root_of(halves)

    async def _hashes(self, level: int, begin: int, end: int) -> dict[int, bytes]:
        """Return those hashes of a level that are stored, by their number, in order."""
        if level == 0:
            found = await fetch(self._store, log_reads.AUDIT_LEAF_HASHES, tenant=self._tenant, begin=begin, end=end)
        else:
            given = {"tenant": self._tenant, "level": level, "begin": begin, "end": end}
            found = await fetch(self._store, log_reads.AUDIT_HASHES, **given)
        return {row.place: row.hash for row in found}

    # ---- tiles -------------------------------------------------------------------------------------------------------

    async def tile(self, tile: Tile) -> bytes:
        """Return the bytes of a tile or bundle. It must be one of this log.

        Raises:
            LeftLog: some of its records have left.
        """
        begin, end = tile.begin, tile.begin + tile.width
        if tile.level == ENTRIES:
            entries = await fetch(self._store, log_reads.AUDIT_ENTRIES, tenant=self._tenant, begin=begin, end=end)
            parts: Sequence[bytes] = [row.leaf for row in entries]
        else:
            parts = [*(await self._hashes(tile.level, begin, end)).values()]
        if len(parts) != tile.width:
            raise LeftLog(f"records of {tile.path} have left the log")
        return tiles.bundle(parts) if tile.level == ENTRIES else b"".join(parts)

    async def missing_roots(self, limit: int) -> list[TileHash]:
        """Return roots of full tiles that are not stored yet, at most so many of level 1, and those above them."""
        found: list[TileHash] = []
        level, hashes = 0, self.size  # how many hashes the level below has
        new: dict[int, bytes] = {}  # of the level below
        while hashes >= WIDTH:
            ((stored,),) = await fetch(self._store, log_reads.AUDIT_HASHES_END, tenant=self._tenant, level=level + 1)
            # What is left of a tile, together with the frontier, gives its root; of a tile that has left, nothing does.
            first = max(stored or 0, self.begin // WIDTH ** (level + 1))
            last = min(hashes // WIDTH, first + limit)
            above: dict[int, bytes] = {}
            for place in range(first, last):
                begin, end = place * WIDTH, (place + 1) * WIDTH
                below = new | await self._hashes(level, begin, end)
                try:
                    if below.keys() >= set(range(begin, end)):
                        above[place] = proofs.root_of([below[at] for at in range(begin, end)])
                    else:
                        above[place] = await self._subtree((tiles.HEIGHT * (level + 1), place))
                except LeftLog:
                    continue
            found += [TileHash(self._tenant, level + 1, place, each) for place, each in above.items()]
            level, hashes, new = level + 1, last, above
        return found
