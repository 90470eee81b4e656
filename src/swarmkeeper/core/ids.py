"""Identifiers: a prefix, then 26 characters that sort by creation time. Lease ids are entirely random.

Each character is one of 32 and comes from its own byte, so that `bytes.translate` (C code) can write an id.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b, sha256

# In ASCII order (RFC 4648, "extended hex"), so that ids sort like the numbers that they encode.
_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUV"
_PAIRS = tuple(chr(first) + chr(second) for first in _ALPHABET for second in _ALPHABET)  # of ten bits
TOKEN_PREFIX = "oid"
_SUBJECT_END = len(TOKEN_PREFIX) + 1 + 26
_OWNER_END = _SUBJECT_END + 20
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


def traceparent(seed: bytes) -> str:
    """Return the traceparent of a call that came without one: a new trace, whose parent is a span that nobody sends.

    That the parent is the end of the trace id tells it from a caller's span.
    """
    trace = seed[:16].hex()
    return f"00-{trace}-{trace[16:]}-01"


def span_id(*about: str) -> str:
    """Return the id of the span that is about these words: a task's id, or that of the lease of an attempt."""
    return sha256("\0".join(("span", *about)).encode()).hexdigest()[:16]


def of_token(tenant: str, issuer: str, subject: str, owner: str) -> str:
    """Return the key id of callers with tokens: it is the same for all tokens of one subject in one tenant.

    Its end depends on the owner alone, so that two ids can be compared by owner, without a table of subjects.
    """
    subject_hash = blake2b(f"{tenant}\0{issuer}\0{subject}".encode(), digest_size=26).digest()
    return f"{TOKEN_PREFIX}_{subject_hash.translate(_LETTER_OF).decode('ascii')}{_owner_mark(owner)}"


def of_person(token_key_id: str, person: str) -> str:
    """Return the key id of callers with tokens that belong to a person: its end depends on the person alone."""
    return token_key_id + _person_mark(person)


def is_token(key_id: str) -> bool:
    """Whether this is the key id of callers with tokens."""
    return key_id.startswith(f"{TOKEN_PREFIX}_")


def is_same_person(key_id: str, caller: str, owner: str | None, person: str | None) -> bool:
    """Whether a token's key id belongs to a caller: the subject is the same, or the person.

    Owners are compared only if one of the two has no person.

    Args:
        caller: the caller's own key id.
    """
    if not is_token(key_id):
        return False
    if key_id[:_SUBJECT_END] == caller[:_SUBJECT_END]:
        return True
    if person is not None and key_id[_OWNER_END:]:
        return key_id[_OWNER_END:] == _person_mark(person)
    return owner is not None and key_id[_SUBJECT_END:_OWNER_END] == _owner_mark(owner)


def _owner_mark(owner: str) -> str:
    return blake2b(owner.encode(), person=b"owner", digest_size=20).digest().translate(_LETTER_OF).decode("ascii")


def _person_mark(person: str) -> str:
    return blake2b(person.encode(), person=b"person", digest_size=18).digest().translate(_LETTER_OF).decode("ascii")
