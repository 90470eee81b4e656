"""Short-lived tokens that this server gives in exchange for an API key.

Theory. The key that signs them follows from the pepper, so all servers with this pepper have the same one, and nothing
is stored. It needs a pepper outside of the store: otherwise whoever reads the store, or a backup, could sign. A token
names its API key and is worth no more than that: with the key revoked or expired, or in another network, the token is
refused, too. It names the secret that it was made by, and ends with that: a rotation ends all tokens of the old secret.
It may have a narrower role, be for some skills or for one task, and be exchanged for one that is narrower
still and ends no later.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from swarmkeeper.access.identity import OWN_ISSUER, VerifiedOwnToken, WantedToken
from swarmkeeper.core.persons.records import TokenLogin
from swarmkeeper.tokens.compact import Compact, parse
from swarmkeeper.tokens.refusals import refused

SECOND = 1_000_000
KNOWN_MAX = 10_000
_ALGORITHM = "EdDSA"
_TYPE = "swarmkeeper+jwt"


class SignedTokens:
    """Implements `OwnTokens` of access/identity.py."""

    def __init__(self, pepper: bytes, wall: Callable[[], int]) -> None:
        self._pepper, self._wall = pepper, wall
        self._known: dict[bytes, VerifiedOwnToken] = {}  # by the hash of a token

    @cached_property
    def _signing(self) -> Ed25519PrivateKey:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"own tokens").derive(self._pepper)
        return Ed25519PrivateKey.from_private_bytes(derived)

    def made(self, public_id: str, key_id: str, secret: str, wanted: WantedToken) -> tuple[str, int]:
        """Return a token for an API key, by the version of its secret, and for how many seconds it is good."""
        now = self._wall() // SECOND
        ends = now + wanted.seconds if wanted.until is None else min(now + wanted.seconds, wanted.until // SECOND)
        claims: dict[str, Any] = {"iss": OWN_ISSUER, "sub": key_id, "key": public_id, "secret": secret}
        claims |= {"role": wanted.role, "iat": now, "exp": ends}
        if wanted.skills is not None:
            claims["skills"] = sorted(wanted.skills)
        if wanted.task is not None:
            claims["task"] = wanted.task
        parts = ({"alg": _ALGORITHM, "typ": _TYPE}, claims)
        signed = ".".join(_base64url(msgspec.json.encode(part)) for part in parts)
        return f"{signed}.{_base64url(self._signing.sign(signed.encode()))}", ends - now

    def knows(self, text: str) -> bool:
        """Whether this token was verified before."""
        return hashlib.sha256(text.encode(errors="replace")).digest() in self._known

    def verified(self, text: str) -> VerifiedOwnToken | None:
        """Return what a token says; None if it names another issuer.

        Raises:
            AuthenticationFailed: it is malformed, or says that it is ours and is not, or has expired.
        """
        shown = hashlib.sha256(text.encode(errors="replace")).digest()
        found = self._known.get(shown)
        if found is None:
            token = parse(text)
            if token.claims.get("iss") != OWN_ISSUER:
                return None
            found = self._read(token, shown.hex())
            if len(self._known) >= KNOWN_MAX:
                del self._known[next(iter(self._known))]
            self._known[shown] = found
        if self._wall() >= found.login.expires_at:
            raise refused("it has expired")
        return found

    def _read(self, token: Compact, id_: str) -> VerifiedOwnToken:
        if (token.algorithm, token.typ) != (_ALGORITHM, _TYPE):
            raise refused("its algorithm or typ is not that of this server's tokens")
        try:
            self._signing.public_key().verify(token.signature, token.signed)
        except InvalidSignature:
            raise refused("its signature is wrong") from None
        said = token.claims  # made by this server
        skills = None if "skills" not in said else frozenset(said["skills"])
        ends_at = said["exp"] * SECOND
        login = TokenLogin(OWN_ISSUER, said["sub"], id_, said["key"], ends_at, skills, said.get("task"))
        return VerifiedOwnToken(said["key"], said.get("secret", ""), said["role"], login)


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
