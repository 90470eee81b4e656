"""The record of a session. Plain values; the cookie itself is stored nowhere."""

from __future__ import annotations

from dataclasses import dataclass

HOUR = 3_600_000_000
IDLE_MAX = 12 * HOUR  # a night: who goes home is signed out in the morning
AGE_MAX = 7 * 24 * HOUR  # however much it is used
OF_ONE_KEY_MAX = 20  # the least recently used one ends for another


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A sign-in of a browser. It is worth what its key or token is worth at each call, and ends with that."""

    id: str
    tenant: str
    key_id: str  # as the caller is known: of the key's record, or made from the token's subject
    created_at: int  # times are microseconds of the wall clock
    digest: str  # HMAC of the cookie, in hexadecimal digits
    seal: bytes  # HMAC of what says whose it is: a row that is changed in the store counts no more
    used_at: int  # to about a minute
    ends_at: int
    public_id: str | None = None  # of the key; None: a token of an identity provider
    secret_digest: bytes | None = None  # of the key's secret with which it was opened
    login: str | None = None  # JSON: who the token said that the caller is; None: it was opened with a key

    def is_open(self, wall: int) -> bool:
        return wall < self.ends_at and wall - self.used_at < IDLE_MAX
