"""Tiles: the hashes and entries of a log in files of 256, as c2sp.org/tlog-tiles specifies them.

A tile of level 0 has the hashes of 256 records; one of level 1, the roots of 256 full tiles of level 0; and so on. A
full tile never changes. The last one of a level may be partial: its path then says how many hashes it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from swarmkeeper.core.rules.tree import HASH_BYTES
from swarmkeeper.transparency.proofs import Subtree

HEIGHT = 8
WIDTH = 1 << HEIGHT
ENTRIES = -1  # the "level" of bundles of entries
_LEVEL_MAX = 63
_LENGTH_BYTES = 2
ENTRY_MAX = (1 << 8 * _LENGTH_BYTES) - 1

_PATH = re.compile(r"tile/(entries|0|[1-9]\d?)/((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII)


class BadTile(ValueError):
    """A tile or bundle is not what its path says."""


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    level: int  # ENTRIES for a bundle
    number: int  # in its level, from the left
    width: int = WIDTH

    @property
    def path(self) -> str:
        level = "entries" if self.level == ENTRIES else str(self.level)
        groups = [f"{self.number % 1000:03}"]
        rest = self.number // 1000
        while rest:
            groups.append(f"x{rest % 1000:03}")
            rest //= 1000
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"

    @property
    def begin(self) -> int:
        """Return the number of its first hash in its level; of its first record for level 0 and bundles."""
        return self.number * WIDTH


def parse_path(path: str) -> Tile | None:
    """Return the tile of a path such as `tile/0/x001/234.p/56`; None if it is not the path of one."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    level = ENTRIES if found[1] == "entries" else int(found[1])
    number = int(found[2].replace("/", "").replace("x", ""))
    width = WIDTH if found[3] is None else int(found[3])
    tile = Tile(level, number, width)
    if level > _LEVEL_MAX or width > WIDTH or (found[3] is not None and width == WIDTH) or tile.path != path:
        return None
    return tile


def width_of(level: int, number: int, size: int) -> int:
    """Return how many hashes a tile has in a tree of this size; 0 if there is no such tile."""
    hashes = size >> HEIGHT * max(level, 0)
    return max(0, min(WIDTH, hashes - number * WIDTH))


def tiles_of(size: int, *, after: int = 0) -> Iterator[Tile]:
    """Yield the tiles and bundles of a tree of this size, but those that are full in the tree of size `after`."""
    for level in (ENTRIES, *range(_LEVEL_MAX + 1)):
        hashes, had = size >> HEIGHT * max(level, 0), after >> HEIGHT * max(level, 0)
        if not hashes:
            return
        for number in range(had // WIDTH, -(-hashes // WIDTH)):
            yield Tile(level, number, width_of(level, number, size))


def in_tiles(subtree: Subtree) -> tuple[int, int, int]:
    """Return where the hash of a complete subtree is: the level, and the first and last-but-one hash to fold."""
    height, number = subtree
    level = height // HEIGHT
    count = 1 << height % HEIGHT
    return level, number * count, (number + 1) * count


def hashes_in(data: bytes, tile: Tile) -> list[bytes]:
    """Return the hashes of a tile.

    Raises:
        BadTile: it has another number of them than its path says.
    """
    if len(data) != tile.width * HASH_BYTES:
        raise BadTile(f"{tile.path} has {len(data)} bytes, and not {tile.width * HASH_BYTES}")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def bundle(entries: Iterable[bytes]) -> bytes:
    """Return the bytes of a bundle: each entry after its length in two bytes."""
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES) + entry for entry in entries)


def entries_in(data: bytes, tile: Tile) -> Sequence[bytes]:
    """Return the entries of a bundle.

    Raises:
        BadTile: it has another number of them than its path says, or ends in the middle of one.
    """
    entries = []
    at = 0
    while at < len(data):
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(data[at:begin])
        if begin > len(data) or at > len(data):
            raise BadTile(f"{tile.path} ends in the middle of an entry")
        entries.append(data[begin:at])
    if len(entries) != tile.width:
        raise BadTile(f"{tile.path} has {len(entries)} entries, and not {tile.width}")
    return entries
