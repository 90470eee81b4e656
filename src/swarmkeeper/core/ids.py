"""Identifiers: a prefix, then 26 characters that sort by creation time. Lease ids are entirely random.

Each character is one of 32 and comes from its own byte, so that `bytes.translate` (C code) can write an id.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b, sha256

# In ASCII order (RFC 4648, "extended hex"), so that ids sort like the numbers that they encode.
_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUV"
_PAIRS = tuple(chr(first) + chr(second) for first in _ALPHABET for second in _ALPHABET)  # of ten bits
_LETTER_OF = bytes(_ALPHABET[byte & 31] for byte in range(256))


def timed(prefix: str, at: int, seed: bytes, purpose: str) -> str:
    """Return an id for the time `at` (microseconds): 48 bits of milliseconds, then 80 bits from seed and purpose."""
    chance = blake2b(purpose.encode(), key=seed, digest_size=16).digest()
    return prefix + _time(at // 1000) + chance.translate(_LETTER_OF).decode("ascii")


def secret(prefix: str, seed: bytes, purpose: str) -> str:
    """Return an id that reveals nothing and cannot be guessed: 160 bits from seed and purpose."""
    chance = blake2b(purpose.encode(), key=seed, digest_size=32).digest()
    return f"{prefix}_{chance.translate(_LETTER_OF).decode('ascii')}"


@lru_cache(maxsize=64)  # all ids of one batch have the same time
def _time(milliseconds: int) -> str:
    """Return an underscore and ten characters, which hold 48 bits, left-aligned."""
    bits = milliseconds << 2
    assert 0 <= bits < 1 << 50, "the time must be within eight thousand years of 1970"
    pairs = _PAIRS
    first, second = pairs[bits >> 40], pairs[bits >> 30 & 1023]
    return f"_{first}{second}{pairs[bits >> 20 & 1023]}{pairs[bits >> 10 & 1023]}{pairs[bits & 1023]}"


def fraction(seed: bytes, purpose: str) -> float:
    """Return a number in [0, 1) that depends only on seed and purpose."""
    chance = blake2b(purpose.encode(), key=seed, digest_size=8).digest()
    return int.from_bytes(chance) / 2**64


def salt(seed: bytes) -> bytes:
    """Return 32 bytes that salt the hash of an audit record's body."""
    return sha256(b"salt" + seed).digest()


def next_seed(seed: bytes) -> bytes:
    """Return a seed that shows nothing of this one, and that no salt or id shows."""
    return sha256(b"next" + seed).digest()
