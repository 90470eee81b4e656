"""Quotas of keys and tenants for shared resources: tasks a minute, request bytes, polls, streams, waits.

They are counted in memory, in the serving process, and start at zero after a restart. Quotas on stored data (open work,
stored bytes) are counted in the store, in the transaction that changes them: see core/decide/decisions/tenants.py.

Theory. `ConcurrencyLimiter` counts concurrent use, by key and by tenant, so that one key cannot use up its tenant's
quota, and one tenant cannot use up the server. `RateLimiter` is a token bucket that fills evenly and holds a third of a
minute's quota: it allows bursts and stops floods.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from swarmkeeper.core.errors import Overloaded, RateLimited
from swarmkeeper.core.model import Principal
from swarmkeeper.engine.fairness import FairQueue

MIB = 1 << 20
MINUTE = 60_000_000
BURST_LEAST = 500  # tasks at once: the size of the largest batch
KEYS_REMEMBERED = 10_000  # buckets; the least recently used are forgotten first
RETRY_SECONDS = 1.0  # most requests release what they hold within a second
# An explanation lists a limit as nearly reached from this fraction on.
NEAR = 0.8
# The maximum of all decoded bodies in progress, and so of a single one, as `decoded_bytes` estimates them. The largest
# plan takes a tenth of it; 8 MiB of four-digit numbers pass, a few MiB of `{}` do not. Together with the raw bodies,
# this keeps the process under 300 MB for any input.
DECODED_BYTES = 120 * MIB


@dataclass(frozen=True, slots=True)
class Bound:
    """The quota of one key and of one tenant; 0 means no bound."""

    key: int
    tenant: int


@dataclass(frozen=True, slots=True)
class QuotaBounds:
    """The configured quotas. `swarmkeeper docs limits` explains the defaults."""

    tasks_a_minute: Bound = Bound(3_000, 6_000)
    body_bytes: Bound = Bound(24 * MIB, 48 * MIB)
    body_bytes_in_all: int = 64 * MIB
    polls: Bound = Bound(2_000, 4_000)
    followers: Bound = Bound(200, 1_000)
    waits: Bound = Bound(500, 2_000)


@dataclass(frozen=True, slots=True)
class LimitUsage:
    """The current use of one limit."""

    limit: str
    scope: str  # key | tenant
    used: int
    most: int | None  # None: no bound


class ConcurrencyLimiter:
    """Counts concurrent use, by key and by tenant."""

    def __init__(self, limit: str, what: str, bound: Bound) -> None:
        self.limit, self.bound = limit, bound
        self.total = 0
        self.refused = 0
        self._what = what
        self._of: dict[tuple[str, str], int] = {}  # (scope, key id or tenant) -> how many

    def take(self, by: Principal, number: int = 1) -> None:
        """Add `number` to what this key holds.

        Raises:
            RateLimited: the key or its tenant would exceed its quota.
        """
        of, scopes = self._of, self._scopes(by)
        for scope, name, most in scopes:
            held = of.get((scope, name), 0)
            if most and held + number > most:
                self.refused += 1
                raise RateLimited(
                    f"this {scope} may have {most} {self._what} at a time, and has {held}",
                    details=((f"/limits/{self.limit}/{scope}", "limit", f"at most {most} at a time"),),
                    retry_after=RETRY_SECONDS,
                )
        self.total += number
        for scope, name, _ in scopes:
            of[scope, name] = of.get((scope, name), 0) + number

    def give_back(self, by: Principal, number: int = 1) -> None:
        """Subtract `number` from what this key holds."""
        self.total -= number
        for scope, name, _ in self._scopes(by):
            left = self._of.get((scope, name), 0) - number
            if left > 0:
                self._of[scope, name] = left
            else:
                self._of.pop((scope, name), None)

    @contextmanager
    def held(self, by: Principal) -> Iterator[None]:
        """Hold one until the block ends."""
        self.take(by)
        try:
            yield
        finally:
            self.give_back(by)

    def of_tenant(self, tenant: str) -> int:
        return self._of.get(("tenant", tenant), 0)

    @property
    def tenants(self) -> int:
        """The number of tenants that hold any."""
        return sum(scope == "tenant" for scope, _ in self._of)

    def usage(self, by: Principal) -> list[LimitUsage]:
        return [
            LimitUsage(self.limit, scope, self._of.get((scope, name), 0), most or None)
            for scope, name, most in self._scopes(by)
        ]

    def _scopes(self, by: Principal) -> tuple[tuple[str, str, int], tuple[str, str, int]]:
        return ("key", f"{by.tenant} {by.key_id}", self.bound.key), ("tenant", by.tenant, self.bound.tenant)


@dataclass(slots=True)
class _Bucket:
    left: float
    at: int


class RateLimiter:
    """Limits a rate per minute, by key and by tenant. `now` is monotonic time in microseconds."""

    def __init__(self, limit: str, what: str, bound: Bound, now: Callable[[], int]) -> None:
        self.limit, self.bound = limit, bound
        self.refused = 0
        self._what, self._now = what, now
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, by: Principal, number: int = 1) -> None:
        """Take `number` from the buckets of the key and its tenant.

        Raises:
            RateLimited: one of them has less; nothing was taken.
        """
        now = self._now()
        scopes = [scope for scope in self._scopes(by) if scope[2]]
        for scope, name, rate in scopes:
            bucket = self._filled(scope, name, rate, now)
            if bucket.left < number:
                self.refused += 1
                seconds = (number - bucket.left) * 60 / rate
                raise RateLimited(
                    f"this {scope} may {self._what} {rate} tasks a minute: wait {math.ceil(seconds)} s",
                    details=((f"/limits/{self.limit}/{scope}", "limit", f"at most {rate} a minute"),),
                    retry_after=seconds,
                )
        for scope, name, rate in scopes:
            self._filled(scope, name, rate, now).left -= number

    def usage(self, by: Principal) -> list[LimitUsage]:
        """Return the use of each bucket: `most` is its size, `used` the part that is not available now."""
        now = self._now()
        found = []
        for scope, name, rate in self._scopes(by):
            used = 0
            if rate and (bucket := self._buckets.get((scope, name))) is not None:
                left = min(float(_most(rate)), bucket.left + (now - bucket.at) * rate / MINUTE)
                used = _most(rate) - int(left)
            found.append(LimitUsage(self.limit, scope, used, _most(rate) if rate else None))
        return found

    def headers(self, by: Principal) -> tuple[tuple[str, str], ...]:
        """Return `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers); empty without a bound."""
        policies, states = [], []
        for usage in self.usage(by):
            if usage.most is None:
                continue
            rate = self.bound.key if usage.scope == "key" else self.bound.tenant
            policies.append(f'"{usage.scope}";q={usage.most};w={math.ceil(usage.most * 60 / rate)}')
            states.append(f'"{usage.scope}";r={usage.most - usage.used};t={math.ceil(usage.used * 60 / rate)}')
        if not policies:
            return ()
        return (("ratelimit-policy", ", ".join(policies)), ("ratelimit", ", ".join(states)))

    def _filled(self, scope: str, name: str, rate: int, now: int) -> _Bucket:
        bucket = self._buckets.pop((scope, name), None) or _Bucket(float(_most(rate)), now)
        bucket.left = min(float(_most(rate)), bucket.left + (now - bucket.at) * rate / MINUTE)
        bucket.at = now
        self._buckets[scope, name] = bucket
        if len(self._buckets) > KEYS_REMEMBERED:
            del self._buckets[next(iter(self._buckets))]
        return bucket

    def _scopes(self, by: Principal) -> tuple[tuple[str, str, int], tuple[str, str, int]]:
        return ("key", f"{by.tenant} {by.key_id}", self.bound.key), ("tenant", by.tenant, self.bound.tenant)


def _most(rate: int) -> int:
    """Return the bucket size for `rate` a minute."""
    return max(BURST_LEAST, rate // 3)


@dataclass(slots=True)
class Intake:
    """Bounds the bytes of request bodies in memory: being read, or read and not answered yet."""

    bodies: ConcurrencyLimiter
    in_all: int
    refused: int = 0
    _decoded: int = 0  # estimated bytes of the decoded bodies in progress
    _waiting: FairQueue[tuple[int, asyncio.Future[None]]] = field(default_factory=lambda: FairQueue({}, 0))

    def take(self, by: Principal, number: int) -> None:
        """Hold `number` more bytes.

        Raises:
            RateLimited: the key or its tenant would hold too many.
            Overloaded: all callers together would. A tenant below its share is admitted up to twice the bound.
        """
        if self.in_all and self.bodies.total + number > self.in_all:
            own = self.bodies.of_tenant(by.tenant)
            share = self.in_all // max(1, self.bodies.tenants + (own == 0))
            if own + number > share or self.bodies.total + number > 2 * self.in_all:
                self.refused += 1
                raise Overloaded("too many bytes of requests are in progress", retry_after=RETRY_SECONDS)
        self.bodies.take(by, number)

    def give_back(self, by: Principal, number: int) -> None:
        self.bodies.give_back(by, number)

    async def begin(self, tenant: str, decoded: int) -> int:
        """Wait until a body of this decoded size may be processed; return the value to pass to `end`.

        Tenants take turns, so that a small body waits for at most one large body of another tenant.
        """
        if not self._waiting and self._decoded + decoded <= DECODED_BYTES:
            self._decoded += decoded
            return decoded
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put(tenant, (decoded, turn))
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.end(decoded)  # it had just got its turn
            raise
        return decoded

    def end(self, decoded: int) -> None:
        """Finish a body and admit the next ones."""
        self._decoded -= decoded
        while self._waiting:
            following, turn = self._waiting.first()
            if not turn.done() and self._decoded + following > DECODED_BYTES:
                return
            self._waiting.take(1 + following // MIB)
            if not turn.done():  # otherwise its caller has given up
                self._decoded += following
                turn.set_result(None)


def decoded_bytes(body: bytes) -> int:
    """Estimate the memory of a decoded JSON document in bytes: at least what CPython needs.

    Commas and brackets give an upper bound on the number of values; those within strings are counted too.
    """
    return 3 * len(body) + 40 * body.count(b",") + 64 * body.count(b"[") + 240 * body.count(b"{")


class Quotas:
    """All quotas that are counted in memory."""

    def __init__(self, bounds: QuotaBounds, now: Callable[[], int]) -> None:
        self.submissions = RateLimiter("tasks_a_minute", "submit", bounds.tasks_a_minute, now)
        self.polls = ConcurrencyLimiter("polls", "parked polls", bounds.polls)
        self.followers = ConcurrencyLimiter("followers", "streams of events", bounds.followers)
        self.waits = ConcurrencyLimiter("waits", "waits for tasks", bounds.waits)
        bodies = ConcurrencyLimiter("body_bytes", "bytes of requests being worked on", bounds.body_bytes)
        self.intake = Intake(bodies, bounds.body_bytes_in_all)

    def usage(self, by: Principal) -> list[LimitUsage]:
        """Return the use of each limit by this key and its tenant."""
        return [usage for limit in self._limits for usage in limit.usage(by)]

    def refused(self) -> dict[str, int]:
        """Return the number of refusals by each limit since the start."""
        counted = {limit.limit: limit.refused for limit in self._limits}
        return counted | {"body_bytes_in_all": self.intake.refused}

    def held(self) -> dict[str, int]:
        """Return what all callers together hold of each limit."""
        return {limit.limit: limit.total for limit in self._limits if isinstance(limit, ConcurrencyLimiter)}

    @property
    def _limits(self) -> tuple[RateLimiter | ConcurrencyLimiter, ...]:
        return self.submissions, self.intake.bodies, self.polls, self.followers, self.waits
