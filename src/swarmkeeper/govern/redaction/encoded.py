"""What stands in a text in another writing: base64, hexadecimal, percent and backslash escapes, read once. What is made
of the readings, and how often they are read again, is decided in detectors.py.

A run is letters of base64 (either alphabet) or hexadecimal without a gap, or several such lines of a wrapped block. It
is read from each place where its beginning could be, since a word may be glued to it, and only a reading that is
mostly printable counts: digests, ids and images give none. Escapes are read line by line, each letter knowing where it
came from.

Most runs are names, digests and images, in which there is nothing. `batches` reads all of them at once, in C, and the
caller asks its rules about the whole; only where those stir is a run looked at by itself. A batch leaves nothing out:
it is made of the same letters, read from the same places.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import re2

from swarmkeeper.govern.redaction.views import View

DECODED_MAX = 64 << 10  # characters read out of one text, readings of readings too; one that holds more is hidden whole

_RUN_MIN = 16  # twelve bytes of base64
_HEX_MIN = 24  # as many in hexadecimal
_LINE_MIN = 60  # a line this long may go on in the next one: base64 wraps at 64 or 76, hexadecimal at 60

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
_ESCAPED = r"(?:%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2})"
POSSIBLE = f"{_LETTER}{{{_RUN_MIN}}}|{_ESCAPED}"  # where nothing of this stands, nothing is encoded
_ANY = re2.compile(POSSIBLE)
_RUN = re2.compile(f"{_LETTER}{{{_RUN_MIN},}}={{0,2}}")
_BLOCK = re2.compile(f"(?:{_LETTER}{{{_LINE_MIN},}}{_BREAK})+{_LETTER}+={{0,2}}")
_HEX = re2.compile(f"[0-9A-Fa-f]{{{_HEX_MIN}}}")
_ESCAPED_LINE = re2.compile(rf"[^\n]*{_ESCAPED}[^\n]*")
_ESCAPES_PATTERN = r"((?:%[0-9A-Fa-f]{2})+)|\\+(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))"
_ESCAPES = re2.compile(_ESCAPES_PATTERN)
# The few regular expressions that are not RE2's, for `sub` is fast in `re`. They are ours, and linear: a row of
# backslashes is tried only where it begins.
_ESCAPING_BACKSLASH = re.compile(rb"(?<!\0)\0+(?=u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})")
_ESCAPING_PERCENT = re.compile(rb"%(?=[0-9A-Fa-f]{2})")
_ESCAPES_OF_TEXT = re.compile(_ESCAPES_PATTERN.replace(r"|\\+", r"|(?<!\\)\\+"))


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


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings of one kind, all at once.

    Whatever stands in one of `readings` stands in `raw` too, in one piece; what stands beside it there may be anything.
    """

    raw: bytes
    readings: Callable[[], list[str]]


def batches(data: bytes, budget: Budget) -> Iterator[Batch]:
    """What stands encoded in this UTF-8, without its places.

    Raises:
        TooMuch: perhaps more than the budget. `decoded` counts what is text alone, and knows.
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
    if (b"%" in data or b"\\" in data) and _ESCAPES.search(data) is not None:
        yield _batch_of_escapes(data, budget)


def _batches_of_base64(runs: list[bytes], budget: Budget) -> Iterator[Batch]:
    if not runs:
        return
    budget.take(3 * sum(map(len, runs)))  # four times three quarters
    # Each run begins at a multiple of four, so that leaving out the first letter of all leaves out that of each.
    letters = b"AAAA" + b"".join([run + _PADS[len(run) % 4] for run in runs]).translate(_STANDARD)
    for at in range(4):
        raw = binascii.a2b_base64(letters[at : at - 4 or None])
        yield Batch(raw, partial(_read_base64, runs, at))


def _read_base64(runs: list[bytes], at: int) -> list[str]:
    return [text for run in runs if (text := _from_base64(run, at)) is not None]


def _batch_of_hex(runs: list[bytes], budget: Budget) -> Batch:
    pieces = [piece for run in runs if len(run) >= _HEX_MIN for piece in _hex_pieces(run)]
    raw = b"\0".join(map(binascii.unhexlify, pieces))
    budget.take(len(raw))
    return Batch(raw, lambda: [text for piece in pieces if (text := _printed(binascii.unhexlify(piece))) is not None])


def _batch_of_escapes(data: bytes, budget: Budget) -> Batch:
    lines = [line for line in data.split(b"\n") if b"%" in line or b"\\" in line]
    whole = b"\n".join(lines)
    budget.take(len(whole))
    # Python's own reader of backslashes is a hundred times as fast as a loop. It is shown what we read, and no more.
    marked = _ESCAPING_BACKSLASH.sub(rb"\\", whole.replace(b"\\", b"\0"))
    text = _ESCAPING_PERCENT.sub(rb"\\x", marked).decode("unicode_escape")
    raw = text.encode("latin-1", "replace")  # percent signs stand for bytes
    if not text.isascii():
        raw += b"\n" + text.encode("utf-8", "replace")  # and backslashes for letters
    return Batch(raw, lambda: [_unescaped_text(line.decode()) for line in lines])


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
        for reading in _readings(_unwrapped(data[start:end])):
            yield Run(reading, start, end)


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
            # Of an odd number of digits either end may be a word's last letter, or its first.
            pieces += (part[1:], part[:-1]) if len(part) % 2 else (part,)
    return pieces


def _may_be_base64(run: bytes) -> bool:
    # Twelve letters of text all but never come out without a capital; most words and paths have none.
    return not run.islower() and bool(run.strip(_UUID_LETTERS))


def _from_base64(run: bytes, at: int) -> str | None:
    piece = run[at:].translate(_STANDARD)
    over = len(piece) % 4
    # One letter alone is six bits, no byte.
    return _printed(binascii.a2b_base64(piece[:-1] if over == 1 else piece + b"=" * (-over % 4)))


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


def _unescaped_text(line: str) -> str:
    """A line with its escapes read, when nobody asks what stood where."""
    return _ESCAPES_OF_TEXT.sub(_read_escape, line)


def _read_escape(match: re.Match[str]) -> str:
    percents, wide, narrow = match.groups()
    if percents:
        return "".join([letter for letter, _ in _letters(binascii.unhexlify(percents.replace("%", "")))])
    return _letter_of(wide or narrow)


def _letter_of(digits: str | bytes) -> str:
    code = int(digits, 16)
    # Halves of a character beyond 16 bits are no character, and no part of a secret that a rule knows.
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


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
            letters.append(_letter_of(wide or narrow))
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
