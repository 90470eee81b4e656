"""Normalises a text for matching: NFC, without invisible characters, each character with its offset in the original.

Secrets found in a view are redacted in the original; the view itself is never shown. encoded.py handles encoded text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Invisible characters, which can be put between the letters of a secret so that no rule matches: soft hyphen,
# grapheme joiner, Arabic letter mark, Hangul fillers, zero widths, bidi marks and isolates, word joiner and the
# invisible operators, variation selectors, byte order mark, interlinear anchors, tags.
_INVISIBLE_RANGES = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF9, 0xFFFB),
    (0xE0000, 0xE01EF),
)
_ANY_INVISIBLE = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _INVISIBLE_RANGES) + "]")
_INVISIBLE = {code: None for first, last in _INVISIBLE_RANGES for code in range(first, last + 1)}

# Full-width forms of the ASCII characters, other spaces, and the quotes of printed text. They are compared as what they
# look like.
_WIDE = (
    {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    | dict.fromkeys((0x00A0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), 0x20)
    | dict.fromkeys((0x201C, 0x201D, 0x201E, 0x201F), 0x22)
    | dict.fromkeys((0x2018, 0x2019, 0x201A, 0x201B), 0x27)
)
_ANY_WIDE = re.compile("[\u00a0\u2000-\u200a\u2018-\u201f\u202f\u205f\u3000\uff01-\uff5e]")

# How terminals are told colours: between the letters of a name and its value, or attached to a token.
_COLOUR = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")


def _is_signed(code: int) -> bool:
    return code in _INVISIBLE or 0xA0 < code < 0xFF00


def _sign(code: int) -> str:
    raw = chr(code).encode()
    # There are hundreds of the longest ones, which differ only in the last byte.
    return "".join(f"\\x{byte:02x}" for byte in raw[:3])


# Patterns for UTF-8 read as Latin-1: characters that folding removes between ASCII letters, and characters that NFC or
# a comparison without case turns into ASCII letters.
TRANSFORMED = (
    *sorted({_sign(code) for code in (*_INVISIBLE, *_WIDE, 0x212A, 0x017F, 0x037E, 0x1FEF) if _is_signed(code)}),
    r"\xef(?:\xbc[\x81-\xbf]|\xbd[\x80-\x9e])",  # full-width
    r"[!-~]\xc2\xa0[!-~\xc2]",  # a hard space; two bytes alone are too frequent in anything binary
    r"\x1b\[[0-9;?]{0,20}[A-Za-z]",
)


@dataclass(frozen=True, slots=True)
class View:
    text: str
    starts: tuple[int, ...] | None = None  # for each character of `text`, the start of its original; None: the same
    ends: tuple[int, ...] | None = None  # and the end

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the original for `text[start:end]`, with the invisible characters inside it."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


def folded(text: str) -> str:
    """Return the text as rules see it, for a quick check whether anything matches."""
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    if text.isascii():
        return text
    text = _narrow(text)
    return text if _is_plain(text) else unicodedata.normalize("NFC", text.translate(_INVISIBLE))


def plain(text: str) -> View:
    """Return the view that detectors match against."""
    text = _narrow(text)
    if _is_plain(text):
        return View(text)
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in _clusters(text):
        visible = _COLOUR.sub("", text[start:end]).translate(_INVISIBLE)
        composed = unicodedata.normalize("NFC", visible)
        letters.append(composed)
        starts.extend([start] * len(composed))
        ends.extend([end] * len(composed))
    return View("".join(letters), tuple(starts), tuple(ends))


def _narrow(text: str) -> str:
    """Replace full-width characters; the length stays the same."""
    return text if text.isascii() or _ANY_WIDE.search(text) is None else text.translate(_WIDE)


def _is_plain(text: str) -> bool:
    if "\x1b" in text and _COLOUR.search(text) is not None:
        return False
    return text.isascii() or (_ANY_INVISIBLE.search(text) is None and unicodedata.is_normalized("NFC", text))


def _clusters(text: str) -> list[tuple[int, int]]:
    """Cut the text before each character that cannot combine with the one before it, and before each colour."""
    coloured = {at for match in _COLOUR.finditer(text) for at in range(match.start() + 1, match.end())}
    cuts = [at for at, letter in enumerate(text) if at == 0 or (at not in coloured and not _joins(letter))]
    return list(zip(cuts, [*cuts[1:], len(text)], strict=True))


def _joins(letter: str) -> bool:
    # Marks join the character before them, and so do vowels and final consonants of decomposed Hangul. Invisible
    # characters belong to their predecessor, so that redacting a span removes its joiners, too.
    if letter.isascii():
        return False
    code = ord(letter)
    return code in _INVISIBLE or unicodedata.category(letter)[0] == "M" or 0x1161 <= code <= 0x11FF
