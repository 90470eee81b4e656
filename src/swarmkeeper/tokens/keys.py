"""The public keys of an issuer (a JWK Set, RFC 7517), and the check of a signature with one of them.

Signatures are checked by joserfc. Only asymmetric algorithms exist here: so a public key is never taken for the secret
of an HMAC, whatever a token says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from swarmkeeper.tokens.compact import KID_MAX, Compact, strict_json

KEYS_MAX = 100
SET_BYTES_MAX = 256 << 10
# Shorter ones can be broken. Longer ones would hold up every other call while a signature is checked.
RSA_BITS_MIN, RSA_BITS_MAX = 2048, 4096
_RSA_EXPONENT_MAX = 1 << 32  # likewise; nearly all keys have 65537

# algorithm -> key type, and curve or None
ALGORITHMS: Mapping[str, tuple[str, str | None]] = MappingProxyType(
    {
        **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
        "ES256": ("EC", "P-256"),
        "ES384": ("EC", "P-384"),
        "ES512": ("EC", "P-521"),
        "EdDSA": ("OKP", "Ed25519"),
        "Ed25519": ("OKP", "Ed25519"),
    }
)
_KINDS: Mapping[str, type[Key]] = MappingProxyType({"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey})
# What a public key is made of. `use`, `key_ops` and `alg` are checked here: `alg` may be the other name of Ed25519, and
# `use` may be that of SPIFFE.
_PUBLIC = ("kty", "kid", "n", "e", "crv", "x", "y")


class BadIssuerKeys(Exception):
    """What an issuer publishes is no set of keys that can be used."""


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """One public key."""

    kid: str | None
    thumbprint: str  # RFC 7638: the same for the same key
    algorithms: frozenset[str]  # those of the issuer for which it may be used
    _key: Key

    def signed(self, token: Compact) -> bool:
        """Whether this key signed the token."""
        if token.algorithm not in self.algorithms:
            return False
        model = JWSRegistry.algorithms[token.algorithm]
        try:
            model.check_key(self._key)
            return bool(model.verify(token.signed, token.signature, self._key))
        except (JoseError, ValueError):
            return False


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of an issuer that can be used."""

    keys: tuple[VerifyKey, ...]
    unused: tuple[str, ...] = ()  # why others cannot be used

    def key_for(self, token: Compact) -> VerifyKey | None:
        """Return the key that a token names; without a name, the only one for its algorithm."""
        fitting = [key for key in self.keys if token.algorithm in key.algorithms]
        if token.kid is not None:
            return next((key for key in fitting if key.kid == token.kid), None)
        return fitting[0] if len(fitting) == 1 else None

    def has(self, thumbprint: str) -> bool:
        return any(key.thumbprint == thumbprint for key in self.keys)


def read_keys(content: bytes, algorithms: Sequence[str], uses: Sequence[str] = ("sig",)) -> KeySet:
    """Read a JWK Set. Keys that cannot be used are left out: providers publish those for other uses, too.

    Args:
        uses: what `use` may say, if a key has it.

    Raises:
        BadIssuerKeys: it is none, has no key that can be used, or two of one name.
    """
    if len(content) > SET_BYTES_MAX:
        raise BadIssuerKeys(f"the set of keys has more than {SET_BYTES_MAX >> 10} KiB")
    try:
        found = strict_json(content)
    except ValueError as error:
        raise BadIssuerKeys(f"the set of keys {error}") from None
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise BadIssuerKeys("the set of keys is not a JSON object with a list `keys`")
    if len(listed) > KEYS_MAX:
        raise BadIssuerKeys(f"the set has more than {KEYS_MAX} keys")
    keys: list[VerifyKey] = []
    unused: list[str] = []
    for number, each in enumerate(listed, 1):
        try:
            keys.append(_key(each, algorithms, uses))
        except BadIssuerKeys as error:
            unused.append(f"key {number}: {error}")
    if not keys:
        raise BadIssuerKeys(
            f"the set has no key for {', '.join(algorithms)}" + "".join(f"; {why}" for why in unused[:3])
        )
    names = [key.kid for key in keys]
    if len(set(names)) != len(names):
        raise BadIssuerKeys("two keys of the set have the same kid")
    return KeySet(tuple(keys), tuple(unused))


def _key(found: Any, algorithms: Sequence[str], uses: Sequence[str]) -> VerifyKey:
    if not isinstance(found, dict):
        raise BadIssuerKeys("it is not a JSON object")
    kind = found.get("kty")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise BadIssuerKeys("its kty is not one of RSA, EC, OKP")
    if "d" in found:
        raise BadIssuerKeys("it is a private key")
    kid, use, operations, own = (found.get(name) for name in ("kid", "use", "key_ops", "alg"))
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= KID_MAX):
        raise BadIssuerKeys(f"its kid does not have 1 to {KID_MAX} characters")
    if use is not None and use not in uses:
        raise BadIssuerKeys(f"its use is not {' or '.join(uses)}")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        raise BadIssuerKeys("its key_ops are without verify")
    allowed = frozenset(
        name
        for name in algorithms
        if ALGORITHMS[name][0] == kind
        and ALGORITHMS[name][1] in (None, found.get("crv"))
        and own in (None, name, *({"EdDSA", "Ed25519"} if kind == "OKP" and name in ("EdDSA", "Ed25519") else ()))
    )
    if not allowed:
        raise BadIssuerKeys("it is not for one of the allowed algorithms")
    try:
        key = _KINDS[kind].import_key({name: found[name] for name in _PUBLIC if name in found})
        raw = key.public_key
        thumbprint = key.thumbprint()
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        raise BadIssuerKeys("it is not a valid public key") from None
    if isinstance(raw, RSAPublicKey):
        if not RSA_BITS_MIN <= raw.key_size <= RSA_BITS_MAX:
            raise BadIssuerKeys(f"an RSA key has {RSA_BITS_MIN} to {RSA_BITS_MAX} bits")
        if raw.public_numbers().e > _RSA_EXPONENT_MAX:
            raise BadIssuerKeys("its exponent is too large")
    return VerifyKey(kid, thumbprint, allowed, key)
