"""API keys: `swk_<id>_<secret>_<checksum>`. Creates keys from given random bytes, parses them, and makes their digests.

All three parts are base62, so `_` occurs only between them. The checksum distinguishes a typo from a wrong key without
asking the store, and lets scanners recognise a key. The secret has 256 bits, so a keyed hash is enough at rest: nobody
can guess it, and a slow hash would cost every call a third of a second.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from dataclasses import dataclass, field

PREFIX = "swk"
ENTROPY_BYTES = 32  # at least: the size of the secret

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LETTERS = frozenset(_ALPHABET)
_ID_LENGTH = 10
_SECRET_LENGTH = 43  # 62^43 is just above 2^256
_CHECKSUM_LENGTH = 6  # 62^6 is above 2^32
# Of the 62 letters, a random secret has about 31 different ones, and fewer than 12 once in 10^20.
_DIFFERENT_LEAST = 12
_LENGTH = len(PREFIX) + _ID_LENGTH + _SECRET_LENGTH + _CHECKSUM_LENGTH + 3


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key. `text` is shown to its owner once; only the id and the secret's digest are stored."""

    public_id: str  # the ten characters in the key itself
    secret: str = field(repr=False)
    text: str = field(repr=False)


def new_key(entropy: bytes) -> NewKey:
    """Create a key from at least 32 random bytes. The same bytes give the same key."""
    if len(entropy) < ENTROPY_BYTES:
        raise ValueError(f"a key needs at least {ENTROPY_BYTES} random bytes")
    # Expanded to far more bits than are used, so that the remainders are almost evenly distributed.
    stretched = hashlib.shake_256(b"swarmkeeper api key" + entropy).digest(72)
    public_id = _base62(int.from_bytes(stretched[:16]), _ID_LENGTH)
    secret = _base62(int.from_bytes(stretched[16:]), _SECRET_LENGTH)
    return NewKey(public_id, secret, written(public_id, secret))


def written(public_id: str, secret: str) -> str:
    """Return the key's text. The id stays the same when the key gets a new secret."""
    return f"{PREFIX}_{public_id}_{secret}_{_checksum(public_id, secret)}"


def parse(text: str) -> tuple[str, str] | None:
    """Return the public id and the secret of a key; None if the shape or the checksum is wrong."""
    if len(text) != _LENGTH:
        return None
    parts = text.split("_")
    if len(parts) != 4:
        return None
    prefix, public_id, secret, checksum = parts
    if prefix != PREFIX or [*map(len, parts[1:])] != [_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH]:
        return None
    if not _LETTERS.issuperset(public_id + secret + checksum) or checksum != _checksum(public_id, secret):
        return None
    return public_id, secret


def is_weak(secret: str) -> bool:
    """Return whether a person made this secret up: a random one has more different letters."""
    return len(set(secret)) < _DIFFERENT_LEAST


def digest(pepper: bytes, secret: str) -> bytes:
    """Return the stored form of a secret: HMAC-SHA256 under the store's pepper."""
    return hmac.digest(pepper, secret.encode(), "sha256")


def version(digest: bytes) -> str:
    """Name a secret by its digest: for tokens, which end with the secret that they were made by."""
    return hashlib.sha256(b"version of the secret of an API key" + digest).hexdigest()[:32]


def same(digest: bytes, other: bytes) -> bool:
    """Return whether two digests are equal, in constant time."""
    return hmac.compare_digest(digest, other)


def _checksum(public_id: str, secret: str) -> str:
    return _base62(zlib.crc32(f"{PREFIX}_{public_id}_{secret}".encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, letter = divmod(number, 62)
        letters.append(_ALPHABET[letter])
    return "".join(reversed(letters))
