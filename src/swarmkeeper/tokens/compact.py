"""Parses a signed token in its compact form (RFC 7515, RFC 7519), before anything in it is trusted.

Libraries are lenient where formats allow several spellings of one content: padding, unused bits at the end of a base64
text, names that occur twice. Two readers may then understand one signed text differently. So one spelling is accepted.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from swarmkeeper.tokens.refusals import refused

TOKEN_BYTES_MAX = 8 << 10
KID_MAX = 256  # characters
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
# These bring a key along, or change what is signed or how it is read (RFC 7515, 7516, 7797).
_REFUSED = ("jwk", "jku", "x5u", "x5c", "crit", "b64", "enc", "zip", "epk")


@dataclass(frozen=True, slots=True)
class Compact:
    """A token whose signature is not verified yet."""

    algorithm: str
    kid: str | None
    typ: str | None  # in lower case
    claims: Mapping[str, Any]
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse(text: str) -> Compact:
    """Parse a token.

    Raises:
        AuthenticationFailed: it is no signed token in the one accepted spelling.
    """
    if len(text) > TOKEN_BYTES_MAX:
        raise refused(f"it has more than {TOKEN_BYTES_MAX >> 10} KiB")
    parts = text.split(".")
    if len(parts) == 5:
        raise refused("it is encrypted (JWE); signed tokens alone are accepted")
    if len(parts) != 3:
        raise refused("it does not have three parts")
    header, payload, signature = map(_decoded, parts)
    names = _object(header, "header")
    for name in _REFUSED:
        if name in names:
            raise refused(f"its header has {name}: keys and rules come from the configuration alone")
    algorithm, kid, typ = (_text(names, name) for name in ("alg", "kid", "typ"))
    if algorithm is None:
        raise refused("its header has no alg")
    if kid is not None and not 0 < len(kid) <= KID_MAX:
        raise refused(f"its kid does not have 1 to {KID_MAX} characters")
    typ = None if typ is None else typ.lower().removeprefix("application/")
    signed = text[: text.rindex(".")].encode("ascii")
    return Compact(algorithm, kid, typ, _object(payload, "payload"), signed, signature)


def _decoded(part: str) -> bytes:
    if not _BASE64URL.fullmatch(part):
        raise refused("a part is empty or not base64url without padding")
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise refused("a part is not base64url") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode("ascii") != part:
        raise refused("a part is not written in the one way that base64url has for its content")
    return decoded


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        found = strict_json(content)
    except ValueError as error:
        raise refused(f"its {what} {error}") from None
    if not isinstance(found, dict):
        raise refused(f"its {what} is not a JSON object")
    return found


def strict_json(content: bytes) -> Any:
    """Parse JSON in which no name occurs twice and every number is finite.

    Raises:
        ValueError: it is no such JSON; the message is a predicate.
    """
    try:
        found = _DECODER.decode(content.decode("utf-8"))
        if b"\\u" in content:  # so can half of a surrogate pair be written, which is no text
            json.dumps(found, ensure_ascii=False).encode()
    except _Ambiguous:
        raise ValueError("has a name twice") from None
    except (ValueError, RecursionError):
        raise ValueError("is not valid JSON") from None
    return found


class _Ambiguous(Exception):
    """A JSON object has a name twice."""


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Ambiguous
    return found


def _no_number(written: str) -> None:
    raise ValueError("JSON has no NaN and no infinity")


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError("the number is too large")
    return number


# Made once: that takes as long as reading a token with it.
_DECODER = json.JSONDecoder(object_pairs_hook=_no_name_twice, parse_constant=_no_number, parse_float=_finite)


def _text(names: Mapping[str, Any], name: str) -> str | None:
    value = names.get(name)
    if value is None and name not in names:
        return None
    if not isinstance(value, str):
        raise refused(f"{name} in its header is not a string")
    return value
