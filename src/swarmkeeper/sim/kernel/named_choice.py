"""Random choices by name: every choice of a simulation depends only on the seed and the choice's own name.

No stream is shared. So leaving one fault out, or drawing more often for one purpose, changes no other choice.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

_T = TypeVar("_T")


class NamedChoice:
    """Draws values by key. `key` names the purpose, e.g. ("outcome", "t7/a", 2); the same key gives the same draw."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def bytes(self, size: int, *key: object) -> bytes:
        named = "|".join(map(str, (self.seed, *key)))
        if size <= 64:
            return hashlib.blake2b(named.encode(), digest_size=size).digest()
        return hashlib.shake_256(named.encode()).digest(size)

    def unit(self, *key: object) -> float:
        """Return a number in [0, 1), uniformly distributed."""
        return (int.from_bytes(self.bytes(8, *key)) >> 11) / (1 << 53)

    def hit(self, chance: float, *key: object) -> bool:
        return chance > 0 and self.unit(*key) < chance

    def below(self, bound: int, *key: object) -> int:
        return int(self.unit(*key) * bound)

    def pick(self, of: Sequence[_T], *key: object) -> _T:
        return of[self.below(len(of), *key)]

    def weighted(self, of: Sequence[tuple[_T, float]], *key: object) -> _T:
        """Return one of these, with probabilities in proportion to the weights."""
        at = self.unit(*key) * sum(weight for _, weight in of)
        for choice, weight in of:
            at -= weight
            if at < 0:
                return choice
        return of[-1][0]

    def between(self, low: float, high: float, *key: object) -> float:
        return low + (high - low) * self.unit(*key)

    def spread(self, low: float, high: float, *key: object) -> float:
        """Return a number between the two, log-uniformly distributed."""
        return low * math.pow(high / low, self.unit(*key))

    def waiting(self, mean: float, *key: object) -> float:
        """Return an exponentially distributed waiting time with this mean."""
        return -mean * math.log(1.0 - self.unit(*key))


class NamedEntropy:
    """Implements `core.ports.Entropy`. A caller names the next draws (`expect`) before it gives the engine a command;
    draws that the engine makes by itself are named by the current time."""

    def __init__(self, choice: NamedChoice, now: Callable[[], int]) -> None:
        self._choice, self._now = choice, now
        self._about: tuple[object, ...] = ()
        self._left = 0
        self._moment = (-1, 0)

    def expect(self, *about: object, draws: int = 1) -> None:
        """Name the next `draws` draws."""
        self._about, self._left = about, draws

    def seed(self) -> bytes:
        if self._left:
            self._left -= 1
            return self._choice.bytes(16, "command", self._left, *self._about, *self._next())
        return self._choice.bytes(16, "engine", *self._next())

    def secret(self, size: int) -> bytes:
        return self._choice.bytes(size, "secret", *self._next())

    def _next(self) -> tuple[int, int]:
        now, n = self._moment
        self._moment = (now, n + 1) if now == self._now() else (self._now(), 0)
        return self._moment
