"""When an item that failed may be tried again."""

from __future__ import annotations

from swarmkeeper.core import ids

SECOND = 1_000_000  # the unit of time throughout is the microsecond

BACKOFF_FIRST = 1 * SECOND
BACKOFF_MAX = 300 * SECOND


def backoff(failures: int, seed: bytes, purpose: str) -> int:
    """Microseconds to wait after the n-th failure: exponential with full jitter, at most five minutes.

    Full jitter, because items that failed together (a provider's outage) should not come back together.
    """
    ceiling = min(BACKOFF_MAX, BACKOFF_FIRST << min(max(failures - 1, 0), 30))
    return int(ids.fraction(seed, purpose) * ceiling)
