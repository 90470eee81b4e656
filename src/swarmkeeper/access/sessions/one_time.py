"""Tokens that sign a browser in once, within a minute. They are in the memory of one process, and end with it.

`swarmkeeper dev` puts one into the link that it prints: an API key would stay in the browser's history.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable

from swarmkeeper.core.model import Principal

GOOD_FOR = 60_000_000
KEPT_MAX = 100
ENTROPY_BYTES = 32


class OneTimeTokens:
    def __init__(self, monotonic: Callable[[], int]) -> None:
        self._monotonic = monotonic
        self._kept: dict[bytes, tuple[Principal, int]] = {}  # by hash: whose, and until when

    def made(self, principal: Principal, entropy: bytes) -> str:
        """Return a token that is worth as much as this caller's credential."""
        assert len(entropy) >= ENTROPY_BYTES, "a token that can be guessed is none"
        text = urlsafe_b64encode(entropy).decode().rstrip("=")
        self._kept[_hash(text)] = principal, self._monotonic() + GOOD_FOR
        if len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        return text

    def take(self, text: str) -> Principal | None:
        """Return whose token it is, and forget it; None if there is none, or it is too old."""
        principal, until = self._kept.pop(_hash(text), (None, 0))
        return principal if self._monotonic() < until else None


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="replace")).digest()
