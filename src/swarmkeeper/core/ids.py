"""Identifiers: a prefix, then 26 characters that sort by time of birth; lease ids are random throughout."""

from __future__ import annotations

import base64
import hashlib


def timed(prefix: str, at: int, seed: bytes, purpose: str) -> str:
    """An id born at `at` (microseconds): 48 bits of milliseconds, then 80 bits drawn from seed and purpose."""
    chance = hashlib.blake2b(purpose.encode(), key=seed, digest_size=10).digest()
    # This alphabet (RFC 4648, "extended hex") sorts as the bytes it writes.
    return f"{prefix}_{base64.b32hexencode((at // 1000).to_bytes(6) + chance).rstrip(b'=').decode()}"


def secret(prefix: str, seed: bytes, purpose: str) -> str:
    """An id that tells nothing and cannot be guessed: 160 bits drawn from seed and purpose."""
    chance = hashlib.blake2b(purpose.encode(), key=seed, digest_size=20).digest()
    return f"{prefix}_{base64.b32hexencode(chance).decode()}"


def fraction(seed: bytes, purpose: str) -> float:
    """A number in [0, 1) drawn from seed and purpose: the same for the same arguments."""
    chance = hashlib.blake2b(purpose.encode(), key=seed, digest_size=8).digest()
    return int.from_bytes(chance) / 2**64


def salt(seed: bytes) -> bytes:
    """Thirty-two bytes for the commitment to an audit record's body."""
    return hashlib.sha256(b"salt" + seed).digest()
