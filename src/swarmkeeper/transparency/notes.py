"""Signed notes: a text with one or more signatures, as c2sp.org/signed-note specifies them; Ed25519 keys alone.

A key has a name. Who verifies knows it as one line, `name+id+key`: such a *verifier key* is public. The secret part is
kept in a file that begins with `PRIVATE+KEY+`, in the form that Go's note package uses.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ED25519 = 0x01  # signs the text
COSIGNATURE = 0x04  # a witness's: signs time and text; see checkpoints.py
_KEY_BYTES = 32
_ID_BYTES = 4
_SECRET = "PRIVATE+KEY+"
_LINE = "— "  # an em dash and a space begin a signature
NOTE_MAX = 64 << 10  # bytes
_SIGNATURES_MAX = 100


class BadNote(ValueError):
    """This is no signed note, or nobody who is known has signed it. The message says what is wrong."""


class BadKey(ValueError):
    """This is no key. The message says what is wrong, and never what was given."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public part of a key."""

    name: str
    algorithm: int
    key: bytes

    @property
    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.algorithm]) + self.key).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_text(bytes([self.algorithm]) + self.key)}"

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `name+id+key`.

        Raises:
            BadKey: it is none, or of a kind that is not known.
        """
        name, _, rest = text.strip().partition("+")
        identity, _, encoded = rest.partition("+")
        data = _bytes(encoded, "a verifier key has the form name+id+key")
        if len(data) != 1 + _KEY_BYTES or data[0] not in (ED25519, COSIGNATURE):
            raise BadKey("this verifier key is not one of Ed25519")
        _check_name(name)
        key = cls(name, data[0], data[1:])
        if key.id.hex() != identity:
            raise BadKey("the id in this verifier key is not that of its name and key: a letter is wrong")
        return key


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs. Its name is part of every signature's id."""

    name: str
    seed: bytes = field(repr=False)
    algorithm: int = ED25519

    @property
    def verifier(self) -> VerifierKey:
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return VerifierKey(self.name, self.algorithm, public.public_bytes(Encoding.Raw, PublicFormat.Raw))

    def named(self, name: str) -> SigningKey:
        """Return the same key under another name."""
        return SigningKey(name, self.seed, self.algorithm)

    def signature(self, message: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)

    def secret(self) -> str:
        """Return the line for the file of the key."""
        return f"{_SECRET}{self.name}+{self.verifier.id.hex()}+{_text(bytes([self.algorithm]) + self.seed)}"

    @classmethod
    def parse(cls, text: str) -> SigningKey:
        """Read the line of a key's file.

        Raises:
            BadKey: it is none.
        """
        text = text.strip()
        if not text.startswith(_SECRET):
            raise BadKey(f"a signing key begins with {_SECRET}")
        name, _, rest = text.removeprefix(_SECRET).partition("+")
        identity, _, encoded = rest.partition("+")
        data = _bytes(encoded, "a signing key has the form PRIVATE+KEY+name+id+key")
        if len(data) != 1 + _KEY_BYTES or data[0] not in (ED25519, COSIGNATURE):
            raise BadKey("this signing key is not one of Ed25519")
        _check_name(name)
        key = cls(name, data[1:], data[0])
        if key.verifier.id.hex() != identity:
            raise BadKey("the id in this signing key is not that of its name and key: the file was changed")
        return key


def new_key(name: str, seed: bytes, algorithm: int = ED25519) -> SigningKey:
    """Make a key from 32 random bytes.

    Raises:
        BadKey: the name is empty, or has a space or a plus.
    """
    _check_name(name)
    assert len(seed) == _KEY_BYTES, "a key of Ed25519 has 32 bytes"
    return SigningKey(name, seed, algorithm)


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_LINE}{self.name} {_text(self.id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text, which ends with a line break, and its signatures. Nobody has verified them yet."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def by(self, key: VerifierKey) -> Signature | None:
        """Return the first signature that says that it was made with this key."""
        return next((each for each in self.signatures if (each.name, each.id) == (key.name, key.id)), None)

    def with_signatures(self, more: Iterable[Signature]) -> SignedNote:
        return SignedNote(self.text, (*self.signatures, *more))


def sign(text: str, keys: Sequence[SigningKey]) -> SignedNote:
    """Sign a text. It must end with a line break and have no control characters; then every verifier accepts it."""
    assert _is_text(text), "the text of a note is whole lines without control characters"
    data = text.encode()
    return SignedNote(text, tuple(Signature(key.name, key.verifier.id, key.signature(data)) for key in keys))


def parse(data: bytes) -> SignedNote:
    """Read a signed note, without verifying it.

    Raises:
        BadNote: it is none.
    """
    if len(data) > NOTE_MAX:
        raise BadNote(f"a note has at most {NOTE_MAX} bytes here")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise BadNote("a note is text in UTF-8") from None
    text, blank, lines = whole.rpartition("\n\n")
    text += "\n"
    if not blank or not lines.endswith("\n") or not _is_text(text):
        raise BadNote("a note is lines of text, an empty line, and signatures")
    signatures = [_signature(line) for line in lines[:-1].split("\n")]
    if len(signatures) > _SIGNATURES_MAX:
        raise BadNote(f"a note has at most {_SIGNATURES_MAX} signatures here")
    return SignedNote(text, tuple(signatures))


def verify(note: SignedNote, keys: Sequence[VerifierKey]) -> list[VerifierKey]:
    """Return those of the keys that have signed the text.

    Raises:
        BadNote: none has, or a signature of one of them is wrong.
    """
    signed = []
    for key in keys:
        signature = note.by(key)
        if signature is None:
            continue
        if not key.has_signed(note.text.encode(), signature.signature):
            raise BadNote(f"the signature of {key.name} is wrong")
        signed.append(key)
    if not signed:
        names = ", ".join(sorted({key.name for key in keys})) or "no key"
        raise BadNote(f"it is not signed by {names}")
    return signed


def _signature(line: str) -> Signature:
    if not line.startswith(_LINE):
        raise BadNote("a signature begins with an em dash and a space")
    name, _, encoded = line.removeprefix(_LINE).partition(" ")
    try:
        _check_name(name)
        data = _bytes(encoded, "a signature is written in base64")
    except BadKey as error:
        raise BadNote(str(error)) from None
    if len(data) <= _ID_BYTES:
        raise BadNote("a signature has an id of four bytes and more")
    return Signature(name, data[:_ID_BYTES], data[_ID_BYTES:])


def _is_text(text: str) -> bool:
    return len(text) > 1 and text.endswith("\n") and not any(letter < " " and letter != "\n" for letter in text)


def _check_name(name: str) -> None:
    if not name or "+" in name or any(map(str.isspace, name)) or not name.isprintable():
        raise BadKey("the name of a key is a word without spaces and plus, such as swarm.example.org/audit")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str, expected: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadKey(expected) from None
    if _text(data) != text:  # padding bits that are not zero
        raise BadKey(expected)
    return data
