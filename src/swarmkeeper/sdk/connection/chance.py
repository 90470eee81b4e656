"""The SDK's only source of randomness: jitter of pauses, and keys that make retries safe."""

from __future__ import annotations

import random  # noqa: TID251 - the only place; all other code receives a Chance
from typing import Protocol


class Chance(Protocol):
    """The part of `random.Random` that the SDK uses. Pass a seeded one to repeat a run exactly."""

    def random(self) -> float: ...

    def getrandbits(self, k: int, /) -> int: ...


def real() -> Chance:
    """Return the operating system's randomness: processes forked from one parent must not draw the same numbers."""
    return random.SystemRandom()


def pause(chance: Chance, attempt: int, *, first: float = 0.2, most: float = 15.0) -> float:
    """Return the seconds to wait before retry number `attempt` (from 1): exponential backoff with full jitter.

    Full jitter, so that bots which lost their server at once do not come back at once.
    """
    return chance.random() * min(most, first * 2.0 ** min(attempt, 30))


def token(chance: Chance) -> str:
    """Return a new unique word."""
    return f"{chance.getrandbits(128):032x}"
