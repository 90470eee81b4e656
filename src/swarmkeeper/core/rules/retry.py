"""When an item that failed, or was put off, may be tried again."""

from __future__ import annotations

from swarmkeeper.core import ids

SECOND = 1_000_000  # the unit of time throughout is the microsecond

BACKOFF_FIRST = 1 * SECOND
BACKOFF_MAX = 300 * SECOND
# So many times in a row a bot may give work back for no longer than it likes: bots that stop do so.
PUT_OFF_AS_ASKED = 2


def backoff(failures: int, seed: bytes, purpose: str) -> int:
    """Microseconds to wait after the n-th failure: exponential with full jitter, at most five minutes.

    Full jitter, because items that failed together (a provider's outage) should not come back together.
    """
    ceiling = min(BACKOFF_MAX, BACKOFF_FIRST << min(max(failures - 1, 0), 30))
    return int(ids.fraction(seed, purpose) * ceiling)


def rate_limited(asked: int | None, put_off: int, left: int, seed: bytes) -> int:
    """Microseconds to wait for a provider that refuses for now: no less than it asked for, and spread by a quarter.

    Each wait is also as long as those in a row before it together, so that a small `asked`, or none, cannot make the
    work go round every second.

    Args:
        put_off: how long it was put off in a row so far.
        left: until it is given up; a wait that was not asked for ends there, for a last try.
    """
    least = min(BACKOFF_MAX, max(BACKOFF_FIRST, put_off), left)
    wait = max(asked or 0, least)
    return wait + int(ids.fraction(seed, "rate_limited") * wait / 4)


def put_off_again(asked: int, times: int, put_off: int) -> int:
    """Microseconds until work that a bot gave back is handed out again: what the bot asked for, at first.

    Later also a quarter of the time that the work was put off in a row so far. A bot that asks for a short delay over
    and over (it polls something) hears of it a quarter late at most, and cannot go round for ever.

    Args:
        times: how often in a row it was put off so far.
    """
    if times < PUT_OFF_AS_ASKED:
        return asked
    return max(asked, min(BACKOFF_MAX, max(BACKOFF_FIRST, put_off // 4)))
