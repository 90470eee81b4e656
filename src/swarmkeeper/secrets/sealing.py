"""Encrypts values at rest: AES-256-GCM under a master key, bound to the row that the value is in.

The key ring has the current master key and earlier ones. New values are sealed under the first key; the broker seals
old ones again when it starts (broker.py), so that an earlier key can then be removed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from swarmkeeper.core.secrets.records import Sealed

KEY_BYTES = 32
_NONCE_BYTES = 12
_PURPOSE = b"swarmkeeper/secrets/key id/1"


class BadKeys(Exception):
    """A master key cannot be used, or is not the one that values in the store were sealed under."""


class KeyRing:
    """Master keys, the current one first.

    Raises:
        BadKeys: there is no key, or one of another size.
    """

    def __init__(self, keys: Sequence[bytes], random: Callable[[int], bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise BadKeys(f"a master key has {KEY_BYTES} bytes: `swarmkeeper secret key` makes one")
        self._ciphers = {_id_of(key): AESGCM(key) for key in keys}
        self.current = _id_of(keys[0])
        self._random = random

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self._ciphers)

    def seal(self, value: str, *bound: str) -> Sealed:
        """Encrypt a value for the row that `bound` names: table, then key."""
        nonce = self._random(_NONCE_BYTES)
        body = self._ciphers[self.current].encrypt(nonce, value.encode("utf-8", "surrogatepass"), bound_data(bound))
        return Sealed(self.current, nonce, body)

    def open(self, sealed: Sealed, *bound: str) -> str:
        """Decrypt a value.

        Raises:
            BadKeys: its key is not on the ring, or the value was changed or moved from another row.
        """
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise BadKeys(
                f"a value in the store is encrypted under master key {sealed.key_id}, which is none of the given ones"
                f" ({', '.join(sorted(self.ids))})"
            )
        try:
            return cipher.decrypt(sealed.nonce, sealed.body, bound_data(bound)).decode("utf-8", "surrogatepass")
        except InvalidTag:
            raise BadKeys(f"a value in the store was changed: {' '.join(bound[:3])}") from None


def keys_of(text: str) -> list[bytes]:
    """Read master keys: one a line, in base64, the current one first. Lines that begin with # are comments.

    Raises:
        BadKeys: a line is no key; the message names the line, and nothing of what is in it.
    """
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                key = base64.b64decode(line.strip(), validate=True)
            except (binascii.Error, ValueError):
                key = b""
            if len(key) != KEY_BYTES:
                raise BadKeys(f"line {number} is no master key: `swarmkeeper secret key` makes one")
            keys.append(key)
    if not keys:
        raise BadKeys("there is no master key: `swarmkeeper secret key` makes one")
    return keys


def _id_of(key: bytes) -> str:
    return hmac.digest(key, _PURPOSE, "sha256").hex()[:16]


def bound_data(bound: Sequence[str]) -> bytes:
    """Return the associated data: parts with their lengths, so that no two rows have the same."""
    parts = [part.encode() for part in bound]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
