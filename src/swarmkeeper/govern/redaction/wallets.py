"""Checks for secrets of wallets: seed phrases (BIP-39) and keys in Base58Check. Both carry checksums."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

_BASE58 = {letter: n for n, letter in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_SIZES = (24, 21, 18, 15, 12)
_SPACED = {code: 0x20 for code in range(128) if not chr(code).isalpha()}
_RUN_OF_KNOWN = b"\1" * _SIZES[-1]
_WORD = re.compile("[a-zA-Z]+")


def base58check(candidate: str) -> int | None:
    """A key whose last four bytes are the checksum of the others."""
    number = 0
    for letter in candidate:
        digit = _BASE58.get(letter)
        if digit is None:
            return None
        number = number * 58 + digit
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    payload, check = raw[:-4], raw[-4:]
    return len(candidate) if hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4] == check else None


def seed_phrase(candidate: str) -> tuple[int, int] | None:
    """Words in a row that are in the list of BIP-39, of which 12, 15, 18, 21 or 24 have their checksum right.

    If there are several, all that is between the first and the last is hidden: so every text is read once.
    """
    numbers = _numbers()
    # Almost every text fails here. So offsets are looked for only later.
    if _RUN_OF_KNOWN not in bytes(map(numbers.__contains__, candidate.lower().translate(_SPACED).split())):
        return None
    spans: list[tuple[int, int]] = []
    run: list[tuple[int, int, int]] = []  # number, start, end of each word
    for match in _WORD.finditer(candidate):
        number = numbers.get(match[0].lower())
        if number is not None:
            run.append((number, match.start(), match.end()))
            continue
        spans += _phrase_in(run)
        run.clear()
    spans += _phrase_in(run)
    return (spans[0][0], spans[-1][1]) if spans else None


def _phrase_in(run: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Return where the run has a phrase: from its first word to the end of the run; at most one."""
    for first in range(len(run) - _SIZES[-1] + 1):
        for size in _SIZES:
            words = run[first : first + size]
            if len(words) == size and _is_phrase([number for number, _, _ in words]):
                return [(words[0][1], run[-1][2])]
    return []


def _is_phrase(words: list[int]) -> bool:
    value = 0
    for word in words:
        value = value << 11 | word
    check_bits = len(words) // 3
    entropy = (value >> check_bits).to_bytes(len(words) * 4 // 3, "big")
    return hashlib.sha256(entropy).digest()[0] >> (8 - check_bits) == value & ((1 << check_bits) - 1)


@cache
def _numbers() -> Mapping[str, int]:
    words = resources.files("swarmkeeper.govern").joinpath("rules/bip39-english.txt").read_text(encoding="ascii")
    return {word: number for number, word in enumerate(words.split())}
