"""Decodes encoded parts of a text once: base64, hexadecimal, percent, backslash and HTML escapes. detectors.py
decides what to do with the decoded text, and how deep to go.

A run is an unbroken sequence of letters of base64 (either alphabet) or hexadecimal, or several such lines of a wrapped
block. It is decoded from each offset at which it could begin, since a word may be attached to it. Only a result that is
mostly printable counts: digests, ids and images give none. Escapes are decoded line by line; each character keeps its
origin.

Most runs are names, digests and images without any secret. `batches` decodes all of them at once, in C, and the caller
searches the whole; only if that matches, runs are searched one by one. A batch omits nothing: it has the same letters,
decoded from the same offsets.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import re2

from swarmkeeper.govern.redaction.views import View

DECODED_MAX = 64 << 10  # characters decoded from one text, on all levels; a text with more is hidden whole

_RUN_MIN = 16  # twelve bytes of base64
_HEX_MIN = 24  # twelve bytes in hexadecimal
_LINE_MIN = 60  # a line of this length may continue in the next: base64 wraps at 64 or 76, hexadecimal at 60

_RUN_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_HEX_LETTERS = b"0123456789abcdefABCDEF"
_UUID_LETTERS = _HEX_LETTERS + b"-"
_ID_LETTERS = b"0123456789ABCDEFGHIJKLMNOPQRSTUV"
_ID_SIZES = (30, 36)  # prefix, line, then 26 letters, or 32 in the id of a lease: see core/ids.py
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_PRINTABLE_OR_HIGH = _PRINTABLE + bytes(range(0x80, 0x100))
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PADS = (b"AAAA", b"AAAAAAA", b"AAAAAA", b"AAAAA")  # by length, modulo 4
_SPACED = bytes(code if code in _RUN_LETTERS else 0x20 for code in range(256))
_HEX_SPACED = bytes(code if code in _HEX_LETTERS else 0x20 for code in range(256))

_LETTER = "[0-9A-Za-z+/_-]"
_BREAK = r"(?:\r?\n|\\r\\n|\\n)"  # also as written in a JSON text
_ENTITY_NAMES = "quot|apos|lt|gt|amp|nbsp|equals|colon|commat|sol|lowbar|dollar|excl|num|period"
_ENTITY = rf"&(?:#(?:[0-9]{{1,6}}|[xX][0-9A-Fa-f]{{1,5}})|{_ENTITY_NAMES});"
_ESCAPED = rf"(?:%[0-9A-Fa-f]{{2}}|\\u[0-9A-Fa-f]{{4}}|\\x[0-9A-Fa-f]{{2}}|{_ENTITY})"
POSSIBLE = f"{_LETTER}{{{_RUN_MIN}}}|{_ESCAPED}"  # a text without a match contains nothing encoded
_ANY = re2.compile(POSSIBLE)
_RUN = re2.compile(f"{_LETTER}{{{_RUN_MIN},}}={{0,2}}")
_BLOCK = re2.compile(f"(?:{_LETTER}{{{_LINE_MIN},}}{_BREAK})+{_LETTER}+={{0,2}}")
_HEX = re2.compile(f"[0-9A-Fa-f]{{{_HEX_MIN}}}")
_ESCAPED_LINE = re2.compile(rf"[^\n]*{_ESCAPED}[^\n]*")
_ESCAPES_PATTERN = rf"((?:%[0-9A-Fa-f]{{2}})+)|({_ENTITY})|\\+(?:u([0-9A-Fa-f]{{4}})|x([0-9A-Fa-f]{{2}}))"
_ESCAPES = re2.compile(_ESCAPES_PATTERN)
# These use `re` and not RE2, because its `sub` is fast. They are ours, and linear: a row of backslashes is tried only
# at its beginning.
_ESCAPING_BACKSLASH = re.compile(rb"(?<!\0)\0+(?=u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})")
_ESCAPING_PERCENT = re.compile(rb"%(?=[0-9A-Fa-f]{2})")
_ENTITIES = re.compile(_ENTITY)
_ESCAPES_OF_TEXT = re.compile(_ESCAPES_PATTERN.replace(r"|\\+", r"|(?<!\\)\\+"))


class TooMuch(Exception):
    """More encoded text than is decoded."""


@dataclass(slots=True)
class Budget:
    """How many characters may still be decoded from a text."""

    left: int = DECODED_MAX

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise TooMuch


@dataclass(frozen=True, slots=True)
class DecodedRun:
    """A decoded run. A secret anywhere in it hides the whole run."""

    text: str
    start: int
    end: int

    def original(self, start: int, end: int) -> tuple[int, int]:
        del start, end  # bytes share letters of base64, so part of a run cannot be kept
        return self.start, self.end


def possible(data: bytes) -> bool:
    """Return whether anything in this UTF-8 could be encoded: the fast answer to the usual case."""
    return _ANY.search(data) is not None


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """All results of one encoding at once.

    Everything in one of `readings` is also in `raw`, in one piece; its neighbours there may be anything.
    """

    raw: bytes
    readings: Callable[[], list[str]]


def batches(data: bytes, budget: Budget) -> Iterator[DecodedBatch]:
    """Decode all encoded parts of this UTF-8, without their offsets.

    Raises:
        TooMuch: the budget may be exceeded. `decoded` counts only text, and is exact.
    """
    if not possible(data):
        return
    runs = [run for run in data.translate(_SPACED).split() if len(run) >= _RUN_MIN and not _is_id(run)]
    if (b"\n" in data or b"\\" in data) and any(len(run) >= _LINE_MIN for run in runs):
        runs += [_unwrapped(data[match.start() : match.end()]) for match in _BLOCK.finditer(data)]
    if runs:
        yield from _batches_of_base64([run for run in runs if _may_be_base64(run)], budget)
        if _HEX.search(data) is not None:
            yield _batch_of_hex(runs, budget)
    if (b"%" in data or b"\\" in data or b"&" in data) and _ESCAPES.search(data) is not None:
        yield _batch_of_escapes(data, budget)


def _batches_of_base64(runs: list[bytes], budget: Budget) -> Iterator[DecodedBatch]:
    if not runs:
        return
    budget.take(3 * sum(map(len, runs)))  # four times three quarters
    # Each run begins at a multiple of four, so dropping the first letter of the whole shifts every run alike.
    letters = b"AAAA" + b"".join([run + _PADS[len(run) % 4] for run in runs]).translate(_STANDARD)
    for at in range(4):
        raw = binascii.a2b_base64(letters[at : at - 4 or None])
        yield DecodedBatch(raw, partial(_read_base64, runs, at))


def _read_base64(runs: list[bytes], at: int) -> list[str]:
    return [text for run in runs if (text := _from_base64(run, at)) is not None]


def _batch_of_hex(runs: list[bytes], budget: Budget) -> DecodedBatch:
    pieces = [piece for run in runs if len(run) >= _HEX_MIN for piece in _hex_pieces(run)]
    raw = b"\0".join(map(binascii.unhexlify, pieces))
    budget.take(len(raw))
    return DecodedBatch(
        raw, lambda: [text for piece in pieces if (text := _printed(binascii.unhexlify(piece))) is not None]
    )


def _batch_of_escapes(data: bytes, budget: Budget) -> DecodedBatch:
    lines = [line for line in data.split(b"\n") if b"%" in line or b"\\" in line or b"&" in line]
    whole = b"\n".join(lines)
    budget.take(len(whole))
    # Python's own decoder of backslashes is a hundred times as fast as a loop. It gets only the escapes that we decode.
    marked = _ESCAPING_BACKSLASH.sub(rb"\\", whole.replace(b"\\", b"\0"))
    text = _ESCAPING_PERCENT.sub(rb"\\x", marked).decode("unicode_escape")
    if b"&" in whole:
        text = _ENTITIES.sub(lambda match: _letter_of_entity(match[0]), text)
    raw = text.encode("latin-1", "replace")  # percent signs encode bytes
    if not text.isascii():
        raw += b"\n" + text.encode("utf-8", "replace")  # and backslashes encode characters
    return DecodedBatch(raw, lambda: [_unescaped_text(line.decode()) for line in lines])


def decoded(text: str, budget: Budget) -> Iterator[DecodedRun | View]:
    """Yield each decoded part of the text, with its origin.

    Raises:
        TooMuch: the budget is exceeded.
    """
    # One byte per character, so that offsets are the same as in the text.
    data = text.encode("ascii", "replace")
    for run in _runs_and_blocks(data):
        budget.take(len(run.text))
        yield run
    if b"%" in data or b"\\" in data or b"&" in data:
        for line in _ESCAPED_LINE.finditer(data):
            yield _unescaped(text, data, line.start(), line.end(), budget)


def _runs_and_blocks(data: bytes) -> Iterator[DecodedRun]:
    for match in _RUN.finditer(data):
        start, end = match.span()
        for reading in _readings(data[start:end].rstrip(b"=")):
            yield DecodedRun(reading, start, end)
    for match in _BLOCK.finditer(data):
        start, end = match.span()
        for reading in _readings(_unwrapped(data[start:end])):
            yield DecodedRun(reading, start, end)


def _unwrapped(block: bytes) -> bytes:
    for sign in (rb"\r", rb"\n", b"\r", b"\n"):
        block = block.replace(sign, b"")
    return block.rstrip(b"=")


def _readings(run: bytes) -> list[str]:
    if _is_id(run):
        return []
    readings = [_printed(binascii.unhexlify(piece)) for piece in _hex_pieces(run)] if len(run) >= _HEX_MIN else []
    if _may_be_base64(run):
        readings += [_from_base64(run, at) for at in range(4)]
    return [text for text in readings if text is not None]


def _hex_pieces(run: bytes) -> list[bytes]:
    pieces: list[bytes] = []
    for part in run.translate(_HEX_SPACED).split():
        if len(part) >= _HEX_MIN:
            # With an odd number of digits, the first or the last one may belong to a word.
            pieces += (part[1:], part[:-1]) if len(part) % 2 else (part,)
    return pieces


def _may_be_base64(run: bytes) -> bool:
    # Base64 of twelve letters almost always has a capital; most words and paths have none.
    return not run.islower() and bool(run.strip(_UUID_LETTERS))


def _from_base64(run: bytes, at: int) -> str | None:
    piece = run[at:].translate(_STANDARD)
    over = len(piece) % 4
    # One remaining letter is six bits, less than a byte.
    return _printed(binascii.a2b_base64(piece[:-1] if over == 1 else piece + b"=" * (-over % 4)))


def _printed(raw: bytes) -> str | None:
    """Return the bytes as text if two thirds are printable: a word attached to a run decodes to garbage."""
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
    """Return whether this is one of our own ids, `tsk_06H04…`. They are in every event, and are random."""
    return len(run) in _ID_SIZES and run[3:4] == b"_" and run[:3].islower() and not run[4:].translate(None, _ID_LETTERS)


def _unescaped_text(line: str) -> str:
    """Decode the escapes of a line, without their origins."""
    return _ESCAPES_OF_TEXT.sub(_read_escape, line)


def _read_escape(match: re.Match[str]) -> str:
    percents, entity, wide, narrow = match.groups()
    if percents:
        return "".join([letter for letter, _ in _letters(binascii.unhexlify(percents.replace("%", "")))])
    return _letter_of_entity(entity) if entity else _letter_of(wide or narrow)


def _letter_of(digits: str | bytes) -> str:
    code = int(digits, 16)
    # A surrogate is not a character, and no rule matches one.
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


def _letter_of_entity(entity: str) -> str:
    """Return the one character of an entity of HTML."""
    letter = html.unescape(entity)
    return letter if len(letter) == 1 else "\ufffd"


def _unescaped(text: str, data: bytes, start: int, end: int, budget: Budget) -> View:
    """Decode the escapes of a line, with their origins."""
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
        percents, entity, wide, narrow = match.groups()
        if percents:
            budget.take(len(percents) // 3)
            raw = binascii.unhexlify(percents.replace(b"%", b""))
            for letter, size in _letters(raw):
                letters.append(letter)
                starts.append(first)
                first += 3 * size
                ends.append(first)
        else:
            letters.append(_letter_of_entity(entity.decode()) if entity else _letter_of(wide or narrow))
            starts.append(first)
            ends.append(last)
            budget.take(1)
        at = last
    keep(at, end)
    return View("".join(letters), tuple(starts), tuple(ends))


def _letters(raw: bytes) -> list[tuple[str, int]]:
    """Return the characters of UTF-8 with their sizes in bytes; each byte that is not UTF-8 counts as one character."""
    try:
        return [(letter, len(letter.encode())) for letter in raw.decode()]
    except UnicodeDecodeError:
        return [(chr(byte), 1) for byte in raw]
