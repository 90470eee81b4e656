"""How a text is looked at for matching: in NFC, without invisible characters, each knowing its place in the original.

What is found in a view is redacted in the original; the view itself is never shown. What stands encoded in a text is
read in encoded.py.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Characters that a reader does not see, put between the letters of a secret so that no rule sees it: soft hyphen,
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


def _sign(code: int) -> str:
    raw = chr(code).encode()
    # There are hundreds of the longest ones, which differ in the last byte.
    return "".join(f"\\x{byte:02x}" for byte in raw[:3])


# Patterns of what stands in UTF-8, read as Latin-1, where folding takes something away from between ASCII, or where NFC
# or a comparison without case makes a letter of ASCII of something else.
TRANSFORMED = tuple(sorted({_sign(code) for code in (*_INVISIBLE, 0x212A, 0x017F, 0x037E, 0x1FEF)}))


@dataclass(frozen=True, slots=True)
class View:
    text: str
    starts: tuple[int, ...] | None = None  # for each character of `text`, where its original begins; None: the same
    ends: tuple[int, ...] | None = None  # and where it ends

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that `text[start:end]` came from, invisible characters inside it included."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


def folded(text: str) -> str:
    """The text as rules see it, for asking whether anything is there at all."""
    return text if _is_plain(text) else unicodedata.normalize("NFC", text.translate(_INVISIBLE))


def plain(text: str) -> View:
    """The view that detectors match against."""
    if _is_plain(text):
        return View(text)
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in _clusters(text):
        visible = text[start:end].translate(_INVISIBLE)
        composed = unicodedata.normalize("NFC", visible)
        letters.append(composed)
        starts.extend([start] * len(composed))
        ends.extend([end] * len(composed))
    return View("".join(letters), tuple(starts), tuple(ends))


def _is_plain(text: str) -> bool:
    return text.isascii() or (_ANY_INVISIBLE.search(text) is None and unicodedata.is_normalized("NFC", text))


def _clusters(text: str) -> list[tuple[int, int]]:
    """Cut the text where no composition reaches across: before each character that cannot join the one before it."""
    cuts = [at for at, letter in enumerate(text) if at == 0 or not _joins(letter)]
    return list(zip(cuts, [*cuts[1:], len(text)], strict=True))


def _joins(letter: str) -> bool:
    # Marks join what stands before them, and so do the vowels and final consonants of Hangul written letter by letter.
    # Invisible characters belong to their predecessor, so that a redacted span does not leave its joiners behind.
    if letter.isascii():
        return False
    code = ord(letter)
    return code in _INVISIBLE or unicodedata.category(letter)[0] == "M" or 0x1161 <= code <= 0x11FF
