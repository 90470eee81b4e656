"""What stands in a text in another writing: base64, hexadecimal, percent and backslash escapes, read once. What is made
of the readings, and how often they are read again, is decided in detectors.py.

A run is letters of base64 (either alphabet) or hexadecimal without a gap, or several such lines of a wrapped block. It
is read from each place where its beginning could be, since a word may be glued to it, and only a reading that is
mostly printable counts: digests, ids and images give none. Escapes are read line by line, each letter knowing where it
came from.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass

import re2

from swarmkeeper.govern.views import View

DECODED_MAX = 64 << 10  # characters read out of one text, readings of readings too; one that holds more is hidden whole

_RUN_MIN = 16  # twelve bytes of base64
_HEX_MIN = 24  # as many in hexadecimal
_SHORT = 512  # bytes; up to here runs are found faster by splitting the text than by asking first
_LINE_MIN = 60  # a line this long may go on in the next one: base64 wraps at 64 or 76, hexadecimal at 60

_RUN_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_HEX_LETTERS = b"0123456789abcdefABCDEF"
_UUID_LETTERS = _HEX_LETTERS + b"-"
_ID_LETTERS = b"0123456789ABCDEFGHIJKLMNOPQRSTUV"
_ID_SIZES = (30, 36)  # prefix, line, then 26 letters, or 32 in the id of a lease: see core/ids.py
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_PRINTABLE_OR_HIGH = _PRINTABLE + bytes(range(0x80, 0x100))
_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACED = bytes(code if code in _RUN_LETTERS else 0x20 for code in range(256))
_HEX_SPACED = bytes(code if code in _HEX_LETTERS else 0x20 for code in range(256))

_LETTER = "[0-9A-Za-z+/_-]"
_BREAK = r"(?:\r?\n|\\r\\n|\\n)"  # also as written in a JSON text
_ESCAPED = r"(?:%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2})"
_ANY = re2.compile(f"{_LETTER}{{{_RUN_MIN}}}|{_ESCAPED}")
_RUN = re2.compile(f"{_LETTER}{{{_RUN_MIN},}}={{0,2}}")
_BLOCK = re2.compile(f"(?:{_LETTER}{{{_LINE_MIN},}}{_BREAK})+{_LETTER}+={{0,2}}")
_BREAKS = re2.compile(_BREAK)
_ESCAPED_LINE = re2.compile(rf"[^\n]*{_ESCAPED}[^\n]*")
_ESCAPES = re2.compile(r"((?:%[0-9A-Fa-f]{2})+)|\\+(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))")


class TooMuch(Exception):
    """More stands encoded in the text than is read."""


@dataclass(slots=True)
class Budget:
    """How much may still be read out of a text."""

    left: int = DECODED_MAX

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise TooMuch


@dataclass(frozen=True, slots=True)
class Run:
    """What a run says. Wherever in it something is found, the run is what it stood in."""

    text: str
    start: int
    end: int

    def original(self, start: int, end: int) -> tuple[int, int]:
        del start, end  # neighbours share a letter of base64: part of a run is not worth keeping
        return self.start, self.end


def possible(data: bytes) -> bool:
    """Whether anything in this UTF-8 could be encoded: the fast answer to the usual case."""
    return _ANY.search(data) is not None


def glance(data: bytes) -> list[str] | None:
    """What the runs in this UTF-8 say, without their places; None: only `decoded` can tell."""
    if len(data) > _SHORT and not possible(data):
        return []
    if (b"%" in data or b"\\" in data) and _ESCAPES.search(data) is not None:
        return None
    texts: list[str] = []
    for run in data.translate(_SPACED).split():
        if len(run) >= _RUN_MIN:
            if len(run) >= _LINE_MIN and _may_be_wrapped(data):
                return None
            texts += _readings(run)
    return texts if sum(map(len, texts)) <= DECODED_MAX else None


def _may_be_wrapped(data: bytes) -> bool:
    # An empty line ends a block, and is all that stands between two short texts.
    return (b"\n" in data.replace(b"\n\n", b"") or b"\\" in data) and _BLOCK.search(data) is not None


def decoded(text: str, budget: Budget) -> Iterator[Run | View]:
    """Each reading of what stands encoded in the text, knowing where it came from.

    Raises:
        TooMuch: the budget is spent.
    """
    # One byte a character, so that places in it are places in the text.
    data = text.encode("ascii", "replace")
    for run in _runs_and_blocks(data):
        budget.take(len(run.text))
        yield run
    if b"%" in data or b"\\" in data:
        for line in _ESCAPED_LINE.finditer(data):
            yield _unescaped(text, data, line.start(), line.end(), budget)


def _runs_and_blocks(data: bytes) -> Iterator[Run]:
    for match in _RUN.finditer(data):
        start, end = match.span()
        for reading in _readings(data[start:end].rstrip(b"=")):
            yield Run(reading, start, end)
    for match in _BLOCK.finditer(data):
        start, end = match.span()
        for reading in _readings(_BREAKS.sub(b"", data[start:end]).rstrip(b"=")):
            yield Run(reading, start, end)


def _readings(run: bytes) -> list[str]:
    if _is_id(run):
        return []
    readings: list[str] = []
    if len(run) >= _HEX_MIN:
        for part in run.translate(_HEX_SPACED).split():
            if len(part) >= _HEX_MIN:
                readings += _read_hex(part)
    # In base64, twelve letters of text all but never come out without a capital; most words and paths have none.
    if not run.islower() and run.strip(_UUID_LETTERS):
        readings += _read_base64(run)
    return readings


def _read_hex(part: bytes) -> list[str]:
    # Of an odd number of digits either end may be a word's last letter, or its first.
    odd = len(part) % 2
    texts = (_printed(binascii.unhexlify(piece)) for piece in ((part[1:], part[:-1]) if odd else (part,)))
    return [text for text in texts if text is not None]


def _read_base64(run: bytes) -> list[str]:
    letters = run.translate(_STANDARD)
    texts = []
    for at in range(4):
        piece = letters[at:]
        over = len(piece) % 4
        # One letter alone is six bits, no byte.
        text = _printed(binascii.a2b_base64(piece[:-1] if over == 1 else piece + b"=" * (-over % 4)))
        if text is not None:
            texts.append(text)
    return texts


def _printed(raw: bytes) -> str | None:
    """The bytes as text, if most of them are text: two thirds, for a word glued to a run is read as rubbish."""
    size = len(raw)
    if 3 * len(raw.translate(None, _PRINTABLE)) <= size:
        return raw.decode("utf-8", "replace")
    if 3 * len(raw.translate(None, _PRINTABLE_OR_HIGH)) > size:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _is_id(run: bytes) -> bool:
    """One of our own: `tsk_06H04…`. They stand in every event, and are random throughout."""
    return len(run) in _ID_SIZES and run[3:4] == b"_" and run[:3].islower() and not run[4:].translate(None, _ID_LETTERS)


def _unescaped(text: str, data: bytes, start: int, end: int, budget: Budget) -> View:
    """A line with its escapes read."""
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []

    def keep(first: int, last: int) -> None:
        budget.take(last - first)
        letters.append(text[first:last])
        starts.extend(range(first, last))
        ends.extend(range(first + 1, last + 1))

    at = start
    for match in _ESCAPES.finditer(data[start:end]):
        first, last = start + match.start(), start + match.end()
        keep(at, first)
        percents, wide, narrow = match.groups()
        if percents:
            budget.take(len(percents) // 3)
            raw = binascii.unhexlify(percents.replace(b"%", b""))
            for letter, size in _letters(raw):
                letters.append(letter)
                starts.append(first)
                first += 3 * size
                ends.append(first)
        else:
            code = int(wide or narrow, 16)
            # Halves of a character beyond 16 bits are no character, and no part of a secret that a rule knows.
            letters.append("\ufffd" if 0xD800 <= code < 0xE000 else chr(code))
            starts.append(first)
            ends.append(last)
            budget.take(1)
        at = last
    keep(at, end)
    return View("".join(letters), tuple(starts), tuple(ends))


def _letters(raw: bytes) -> list[tuple[str, int]]:
    """The characters of UTF-8, and how many bytes each took; bytes that are no UTF-8 stand for one each."""
    try:
        return [(letter, len(letter.encode())) for letter in raw.decode()]
    except UnicodeDecodeError:
        return [(chr(byte), 1) for byte in raw]
