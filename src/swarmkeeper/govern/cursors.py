"""Cursors: what a tenant is shown in place of the number of an event, or of a subtask in a list.

The store numbers the events of all tenants together. A tenant that knew two numbers of its own would know how many
events the others had in between. So it is shown the number encrypted, under a key of its own: without the store's key a
cursor says nothing, and its order is no order. Whoever reads the store itself sees the numbers.

Layout: 18 bytes, as 24 characters of base64url. Two bytes name the store, so that a cursor of another store is told
from a text that never was one; then one AES block of the number and eight zero bytes. Only a cursor that was made with
the tenant's key has these zero bytes after decryption.
"""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# The form of a cursor, and of the numbers that clients of older versions keep.
PATTERN = "^([0-9]{1,19}|[A-Za-z0-9_-]{24})$"
LENGTH = 24
_NUMBER_LENGTH_MAX = 19
_MARK_BYTES = 2
_FIRST_MAX = 0x7F  # of the first byte
_ZEROS = bytes(8)
_PURPOSE = b"swarmkeeper/cursors/1/"


class NotACursor(Exception):
    """This store has not given this text to this tenant: it is a cursor of another tenant, or none at all."""


class CursorOfAnotherStore(Exception):
    """The cursor has the form of one, and is of another store: of one with another key, or with other numbers."""


class Cursors:
    """Makes and reads the cursors of all tenants of one store. Each thread needs its own."""

    def __init__(self, key: bytes, numbers_until: int = 0, *, of: str = "events") -> None:
        """
        Args:
            key: drawn with the store.
            numbers_until: numbers up to this one are taken as cursors, because older versions have shown them. If
                greater ones were taken, a tenant could try numbers until it has those of its events.
            of: what the numbers are of. Cursors of one kind are none of another, so that they cannot be compared.
        """
        self._key, self._of_what = key, of
        self._numbers_until = numbers_until
        mark = self._derived(b"store", _MARK_BYTES)
        self._mark = bytes((mark[0] & _FIRST_MAX, *mark[1:]))  # so that a cursor begins with a letter
        self._blocks: dict[str, tuple[CipherContext, CipherContext]] = {}

    def _derived(self, purpose: bytes, length: int) -> bytes:
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=_PURPOSE + purpose).derive(self._key)

    def _of(self, tenant: str) -> tuple[CipherContext, CipherContext]:
        """Return what encrypts and decrypts the tenant's blocks, one by one: each block is a permutation of its own."""
        found = self._blocks.get(tenant)
        if found is None:
            key = algorithms.AES(self._derived(f"{self._of_what}/{tenant}".encode(), 16))
            cipher = Cipher(key, modes.ECB())  # noqa: S305  # a block at a time; no two numbers are equal
            found = self._blocks[tenant] = (cipher.encryptor(), cipher.decryptor())
        return found

    def of_subtasks(self) -> Cursors:
        """Return what hides positions in lists of subtasks: the store numbers those of all tenants together, too."""
        return Cursors(self._key, of="subtasks")

    def encode(self, tenant: str, number: int) -> str:
        """Return the tenant's cursor for the number of an event."""
        block = self._of(tenant)[0].update(number.to_bytes(8) + _ZEROS)
        return base64.urlsafe_b64encode(self._mark + block).decode("ascii")

    def decode(self, tenant: str, text: str) -> int:
        """Return the number that a cursor of the tenant stands for. A number that older versions have shown is one.

        Raises:
            NotACursor: it is none of this tenant.
            CursorOfAnotherStore: it is of another store.
        """
        if not text.isascii():
            raise NotACursor
        if text.isdecimal() and len(text) <= _NUMBER_LENGTH_MAX:
            if (number := int(text)) > self._numbers_until:
                raise CursorOfAnotherStore
            return number
        if len(text) != LENGTH:
            raise NotACursor
        try:
            whole = base64.b64decode(text, altchars=b"-_", validate=True)
        except ValueError:
            raise NotACursor from None
        mark, block = whole[:_MARK_BYTES], whole[_MARK_BYTES:]
        if mark[0] > _FIRST_MAX:
            raise NotACursor
        if mark != self._mark:
            raise CursorOfAnotherStore
        found = self._of(tenant)[1].update(block)
        if found[8:] != _ZEROS:
            raise NotACursor
        return int.from_bytes(found[:8])
