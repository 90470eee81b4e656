"""Checks that a regular expression cannot do: is this really a card number, an IBAN, a token?

A check takes the text of a candidate and returns how many of its first characters are the secret; None if it is none.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import msgspec

Check = Callable[[str], int | None]

_SEPARATORS = " -"

# Card brands by their first digits, and how long their numbers are (ISO/IEC 7812 as the networks publish it).
_BRANDS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (300, 305, (14,)),
    (340, 349, (15,)),
    (352, 358, (16,)),
    (360, 369, (14,)),
    (370, 379, (15,)),
    (380, 399, (14, 16)),
    (400, 499, (13, 16, 19)),
    (510, 559, (16,)),
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
    return next((len(text) for text in _heads(candidate) if _is_iban(_squeezed(text))), None)


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


def entropy(text: str) -> float:
    """Return the Shannon entropy, in bits per character."""
    size = len(text)
    return -sum(count / size * math.log2(count / size) for count in Counter(text).values())


CHECKS: Mapping[str, Check] = MappingProxyType(
    {"basic": basic, "jwt": jwt, "luhn": luhn, "mixed": mixed, "mod97": mod97}
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
    if not 13 <= len(digits) <= 19 or not any(
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
