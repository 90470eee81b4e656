"""Random numbers from one seed. Each purpose has its own stream, so drawing more from one does not shift another."""

from __future__ import annotations

import hashlib


class SeededChance:
    """Implements `core.ports.Entropy` and `sdk.chance.Chance`. For simulations only: the seed reveals every draw."""

    def __init__(self, seed: int, purpose: str = "engine") -> None:
        self._root = f"{seed}/{purpose}"
        self._drawn = 0

    def stream(self, purpose: str) -> SeededChance:
        """Return the substream for `purpose`. The same purpose always gives the same stream, from its beginning."""
        child = SeededChance.__new__(SeededChance)
        child._root, child._drawn = f"{self._root}/{purpose}", 0
        return child

    def seed(self) -> bytes:
        return self._draw(16)

    def secret(self, size: int) -> bytes:
        return b"".join(self._draw(min(64, size - start)) for start in range(0, size, 64))

    def fraction(self) -> float:
        """Return a number in [0, 1), uniformly distributed."""
        return (int.from_bytes(self._draw(8)) >> 11) / (1 << 53)

    def random(self) -> float:
        return self.fraction()

    def getrandbits(self, k: int, /) -> int:
        return int.from_bytes(self.secret(-(-k // 8))) >> (-k % 8)

    def below(self, bound: int) -> int:
        """Return an integer from 0 to `bound` - 1."""
        return int(self.fraction() * bound)

    def _draw(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.blake2b(f"{self._root}#{self._drawn}".encode(), digest_size=size).digest()
