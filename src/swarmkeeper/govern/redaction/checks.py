"""Checks that a regular expression cannot do: is this really a card number, an IBAN, a token?

A check takes the text of a candidate and returns how many of its first characters are the secret; None if it is none.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import msgspec

from swarmkeeper.govern.redaction import values, wallets
from swarmkeeper.govern.redaction.names import SecretKind, kind_of
from swarmkeeper.govern.redaction.values import entropy

# How many of the first characters are the secret, or from where to where; None: nothing is.
Check = Callable[[str], int | tuple[int, int] | None]

_SEPARATORS = " -."

# Card brands by their first digits, and how long their numbers are (ISO/IEC 7812 as the networks publish it).
_BRANDS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (300, 305, (14,)),
    (340, 349, (15,)),
    (352, 358, (16,)),
    (360, 369, (14,)),
    (370, 379, (15,)),
    (380, 399, (14, 16)),
    (400, 499, (13, 16, 19)),
    (501, 503, (12, 13, 14, 15, 16, 17, 18, 19)),
    (510, 559, (16,)),
    (561, 561, (12, 13, 14, 15, 16, 17, 18, 19)),
    (589, 589, (12, 13, 14, 15, 16, 17, 18, 19)),
    (630, 630, (12, 13, 14, 15, 16, 17, 18, 19)),
    (675, 676, (12, 13, 14, 15, 16, 17, 18, 19)),
    (222, 272, (16,)),
    (601, 601, (16, 19)),
    (620, 629, (16, 17, 18, 19)),
    (644, 659, (16, 19)),
)

# Length of an IBAN by country (ISO 13616 registry).
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE BI",
        18: "DK FI FO GL NL SD FK",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK MN",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BF CM CF CG CI DJ DZ FR GR IT MC MR MG SM BJ SN MZ",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV ML CV NE TG",
        29: "BR EG PS QA UA YE",
        30: "JO KW MU",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}


def luhn(candidate: str) -> int | None:
    """A payment card number: length of a brand, correct check digit (ISO/IEC 7812-1)."""
    return next((len(text) for text in _heads(candidate) if _is_card(_squeezed(text))), None)


def mod97(candidate: str) -> int | None:
    """An IBAN: length of its country, correct check digits (ISO 7064)."""
    return next((len(text) for text in _heads(candidate) if _is_iban(_squeezed(text).upper())), None)


def jwt(candidate: str) -> int | None:
    """A JWS or JWE in compact form: one part is a header that names an algorithm (RFC 7515)."""
    parts = candidate.split(".")
    return len(candidate) if any(_is_jose_header(part) for part in parts[:-2]) else None


def basic(candidate: str) -> int | None:
    """Credentials of the Basic scheme: base64 of text with a colon (RFC 7617)."""
    try:
        return len(candidate) if b":" in base64.b64decode(candidate, validate=True) else None
    except binascii.Error:
        return None


def mixed(candidate: str) -> int | None:
    """A generated token: letters and digits, or more varied than a word."""
    letters = any(letter.isalpha() for letter in candidate)
    digits = any(letter.isdigit() for letter in candidate)
    return len(candidate) if (letters and digits) or (letters and entropy(candidate) >= 3.7) else None


def varied(candidate: str) -> int | None:
    """A generated token, beyond doubt: long, of letters and digits, and more varied than a name with a number."""
    return len(candidate) if values.is_very_varied(candidate) else None


def block(candidate: str) -> int | None:
    """The first lines of an indented block: those with the indentation of the first, or more."""
    lines = candidate.splitlines(keepends=True)
    indentation = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    size = 0
    for line in lines:
        if line.strip() and len(line) - len(line.lstrip()) < indentation:
            break
        size += len(line)
    kept = candidate[:size].rstrip()
    return None if not kept.strip() or values.stands_for_a_secret(kept.strip()) else len(kept)


def _named_block(name: str, value: str, bare: bool) -> int | None:
    """An indented block under the name of a password or secret."""
    del bare
    return block(value) if kind_of(name) in (SecretKind.PASSWORD, SecretKind.SECRET) else None


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "base58": wallets.base58check,
        "basic": basic,
        "bip39": wallets.seed_phrase,
        "block": block,
        "jwt": jwt,
        "luhn": luhn,
        "mixed": mixed,
        "mod97": mod97,
        "varied": varied,
    }
)

# Checks by a checksum: what passes is real, even if it contains a word such as `example`.
CHECKSUMS = frozenset({"base58", "bip39", "luhn", "mod97"})

# Checks that also need the name of the value, which is the group `name` of the pattern. A value in the group `bare` has
# no quotes around it.
NAMED_CHECKS: Mapping[str, values.NamedCheck] = MappingProxyType(
    {
        "argument": values.argument,
        "any-secret": values.any_secret,
        "client-id": values.client_id,
        "named-block": _named_block,
        "password": values.password,
        "password-of-user": values.password_of_user,
        "prose": values.prose,
        "varied-secret": values.varied_secret,
        "secret": values.secret,
    }
)


def _heads(candidate: str) -> Iterator[str]:
    """Yield the candidate, then the candidate without its last groups: other digits may follow a number."""
    yield candidate
    for end in range(len(candidate) - 1, 0, -1):
        if candidate[end] in _SEPARATORS:
            yield candidate[:end]


def _squeezed(text: str) -> str:
    return "".join(letter for letter in text if letter not in _SEPARATORS)


def _is_card(digits: str) -> bool:
    if not 12 <= len(digits) <= 19 or not any(
        first <= int(digits[:3]) <= last and len(digits) in lengths for first, last, lengths in _BRANDS
    ):
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _is_iban(text: str) -> bool:
    if len(text) != _IBAN_LENGTHS.get(text[:2]):
        return False
    return int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1


def _is_jose_header(part: str) -> bool:
    try:
        header = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, msgspec.DecodeError):  # not base64, not UTF-8, not JSON
        return False
    return isinstance(header, dict) and "alg" in header
