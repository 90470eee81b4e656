"""Identifiers: a prefix, then 26 characters that sort by time of birth; lease ids are random throughout.

Each character is one of 32 and comes from a byte of its own, so that writing an id is a table walk in C.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b, sha256

# In the order of their codes (RFC 4648, "extended hex"), so that ids sort as what they write.
_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUV"
_LETTER_OF = bytes(_ALPHABET[byte & 31] for byte in range(256))


def timed(prefix: str, at: int, seed: bytes, purpose: str) -> str:
    """An id born at `at` (microseconds): 48 bits of milliseconds, then 80 bits drawn from seed and purpose."""
    chance = blake2b(purpose.encode(), key=seed, digest_size=16).digest()
    return prefix + _time(at // 1000) + chance.translate(_LETTER_OF).decode("ascii")


def secret(prefix: str, seed: bytes, purpose: str) -> str:
    """An id that tells nothing and cannot be guessed: 160 bits drawn from seed and purpose."""
    chance = blake2b(purpose.encode(), key=seed, digest_size=32).digest()
    return f"{prefix}_{chance.translate(_LETTER_OF).decode('ascii')}"


@lru_cache(maxsize=64)  # all ids of one batch are born in the same moment
def _time(milliseconds: int) -> str:
    """An underscore, then 48 bits at the head of ten characters."""
    bits = milliseconds << 2
    assert 0 <= bits < 1 << 50, "a moment of the next eight thousand years"
    return "_" + "".join(chr(_ALPHABET[bits >> shift & 31]) for shift in range(45, -5, -5))


def fraction(seed: bytes, purpose: str) -> float:
    """A number in [0, 1) drawn from seed and purpose: the same for the same arguments."""
    chance = blake2b(purpose.encode(), key=seed, digest_size=8).digest()
    return int.from_bytes(chance) / 2**64


def salt(seed: bytes) -> bytes:
    """Thirty-two bytes for the commitment to an audit record's body."""
    return sha256(b"salt" + seed).digest()
