"""Rates: how many leases, and how many tokens, a minute may have for a skill, a scope or a tenant.

Each rate is a token bucket, kept as one time (the generic cell rate algorithm): each lease moves it on by an interval,
and leases are granted while it is not ahead of the clock by more than a tolerance. A tenth of a minute's leases may
come at once; the interval is chosen so that no sixty seconds have more leases than the rate says. Tokens are known
only after a request, so they are paid afterwards: while more were used than the rate allows, nothing is leased.
"""

from __future__ import annotations

from dataclasses import replace

from swarmkeeper.core.model import WorkRate

MINUTE = 60_000_000
AT_ONCE = 10  # a tenth of the leases of a minute may come at once
TENANT = "tenant"  # the key of the rate of all leases of a tenant


def of_skill(skill: str) -> str:
    return f"skill:{skill}"


def of_scope(scope: str) -> str:
    return f"scope:{scope}"


def spacing(per_minute: int) -> tuple[int, int]:
    """Return (microseconds between leases, microseconds by which leases may come early)."""
    at_once = max(1, per_minute // AT_ONCE)
    interval = -(-MINUTE // (per_minute - at_once + 1))
    return interval, (at_once - 1) * interval


def opens_at(rate: WorkRate) -> int:
    """Return when the rate allows the next lease; it may be in the past."""
    moment = 0
    if rate.per_minute is not None:
        moment = rate.calls_at - spacing(rate.per_minute)[1]
    if rate.tokens_per_minute is not None:
        moment = max(moment, rate.tokens_at - MINUTE // AT_ONCE)
    return moment


def allowed(rate: WorkRate, now: int) -> int:
    """Return how many leases the rate allows now; tokens allow any number, or none."""
    if opens_at(rate) > now:
        return 0
    if rate.per_minute is None:
        return 1 << 30
    interval, early = spacing(rate.per_minute)
    return (now + early - max(rate.calls_at, now)) // interval + 1


def leased(rate: WorkRate, now: int) -> WorkRate:
    """Return the rate after a lease."""
    if rate.per_minute is None:
        return rate
    return replace(rate, calls_at=max(rate.calls_at, now) + spacing(rate.per_minute)[0])


def used(rate: WorkRate, now: int, tokens: int) -> WorkRate:
    """Return the rate after an attempt has used tokens."""
    if rate.tokens_per_minute is None or tokens <= 0:
        return rate
    return replace(rate, tokens_at=max(rate.tokens_at, now) + tokens * MINUTE // rate.tokens_per_minute)
