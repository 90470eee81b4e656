"""Delays before an item that failed, or was deferred, may be tried again."""

from __future__ import annotations

from swarmkeeper.core import ids

SECOND = 1_000_000  # times are in microseconds

BACKOFF_FIRST = 1 * SECOND
BACKOFF_MAX = 300 * SECOND
# How often in a row a bot may release work with exactly the delay it asks for, as stopping bots do.
PUT_OFF_AS_ASKED = 2


def backoff(failures: int, seed: bytes, purpose: str) -> int:
    """Return the delay after the n-th failure: exponential with full jitter, at most five minutes.

    Full jitter, because items that failed together (a provider's outage) should not be tried again together.
    """
    ceiling = min(BACKOFF_MAX, BACKOFF_FIRST << min(max(failures - 1, 0), 30))
    return int(ids.fraction(seed, purpose) * ceiling)


def rate_limited(asked: int | None, put_off: int, left: int, seed: bytes) -> int:
    """Return the delay after a provider's rate limit: at least what it asked for, plus up to a quarter of jitter.

    Each delay is at least the sum of the delays in a row before it, up to five minutes, so that a small `asked`, or
    none, cannot make the work loop every second.

    Args:
        asked: the provider's delay in microseconds, if it named one.
        put_off: total delay in a row so far.
        left: microseconds until the item is given up; a delay not asked for ends there, for a last try.
    """
    least = min(BACKOFF_MAX, max(BACKOFF_FIRST, put_off), left)
    wait = max(asked or 0, least)
    return wait + int(ids.fraction(seed, "rate_limited") * wait / 4)


def put_off_again(asked: int, times: int, put_off: int) -> int:
    """Return the delay before released work is leased again: at first what the bot asked for.

    Later it is at least a quarter of the total delay in a row so far, up to five minutes. A bot that repeats a short
    delay (to poll something) is delayed by at most a quarter more, and cannot loop for ever.

    Args:
        asked: the bot's delay in microseconds.
        times: deferrals in a row so far.
        put_off: total delay of these deferrals.
    """
    if times < PUT_OFF_AS_ASKED:
        return asked
    return max(asked, min(BACKOFF_MAX, max(BACKOFF_FIRST, put_off // 4)))
