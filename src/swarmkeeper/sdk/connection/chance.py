"""The one place of the SDK where chance comes from: jitter of pauses, and keys that make retries safe."""

from __future__ import annotations

import random  # noqa: TID251 - the marked place; all else receives a Chance
from typing import Protocol


class Chance(Protocol):
    """What `random.Random` offers and the SDK needs: pass a seeded one for runs that repeat exactly."""

    def random(self) -> float: ...

    def getrandbits(self, k: int, /) -> int: ...


def real() -> Chance:
    """From the operating system, so that processes forked from one parent do not draw the same."""
    return random.SystemRandom()


def pause(chance: Chance, attempt: int, *, first: float = 0.2, most: float = 15.0) -> float:
    """Seconds to wait before the n-th retry (from 1): exponential, full jitter.

    Full jitter, because a fleet that lost its server together must not come back together.
    """
    return chance.random() * min(most, first * 2.0 ** min(attempt, 30))


def token(chance: Chance) -> str:
    """A word nobody has used before."""
    return f"{chance.getrandbits(128):032x}"
