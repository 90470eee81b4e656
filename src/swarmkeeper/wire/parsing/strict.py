"""JSON as this API takes it: RFC 8259 and the narrower promises of I-JSON (RFC 7493), so that all stores keep the same.

Searches in the raw bytes tell whether the rarer checks are needed at all. If they are not, and the document comes out
byte for byte as it came in when it is written again, no key was there twice, and nothing can have been read in two
ways: that is how most programs write. Else the standard library's scanner parses; and where something is wrong, a
second one with a hook for each number and object sets aside what it objects to, and one walk gives that its place. So
good input hardly pays for any of it, and time is linear in size.

What is no JSON is `Malformed` (not UTF-8, no JSON, NaN, a duplicate key, a lone surrogate, too deep); what is JSON but
a value that cannot be kept is `Invalid` (U+0000, a number out of bounds). Both say where, and repeat nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, islice
from typing import Any

import msgspec

from swarmkeeper.core.errors import Detail, Invalid, Malformed, SwarmkeeperError, TooLarge
from swarmkeeper.wire.problems import ERRORS_MAX, Path, Safe, hidden, pointer

DEPTH_MAX = 64
INTEGER_MAX = 2**53  # beyond it a float no longer tells one integer from the next, and JavaScript reads another number

_INTEGER_LENGTH_MAX = len(str(-INTEGER_MAX))
# A string, whole or cut off: it always matches, and never gives back, so that hostile quotes cost linear time.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BYTE_STRING = re.compile(_STRING.pattern.encode(), re.DOTALL)
_ODD_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_AS_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # +1 and, read as a signed byte, -1

# All digits look alike here: a run of 16, or an exponent of three, is what it takes to be out of bounds.
_DIGITS_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")
_LARGE = (b"0" * 16, b"e000", b"e+000")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_DUPLICATE = "duplicate_key"
_Reason = tuple[str, str]
_REASONS: dict[str, _Reason] = {
    _DUPLICATE: (_DUPLICATE, "appears more than once in its object"),
    "integer": ("out_of_range", "is an integer beyond ±2^53"),
    "float": ("out_of_range", "is a number that is too large"),
    "null_character": ("character", "contains the character U+0000"),
    "surrogate": ("character", "contains half of a surrogate pair"),
}
_MALFORMED = {_DUPLICATE, "surrogate"}


class _Bad:
    """Stands in the parsed document for a number that was refused."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why


class _NotJson(ValueError):
    """A constant that JSON does not have."""


class _Repeated(ValueError):
    """A key came twice."""


class _Hopeless(ValueError):
    """More is wrong than will be listed."""


def parse_json(body: bytes, *, limit: int, safe: Safe = hidden) -> Any:
    """The document in `body`, which may be `limit` bytes long. `safe` says how a name that is not ours may be shown.

    Raises:
        TooLarge, Malformed, Invalid: with every place that is wrong, up to a thousand of them.
    """
    if len(body) > limit:
        raise TooLarge(f"the body is longer than {limit} bytes")
    shallow = body.count(b"[") + body.count(b"{") <= DEPTH_MAX
    plain = not (_may_be_large(body) or (b"\\u" in body and _ODD_ESCAPE.search(body)))
    if plain and shallow:
        try:
            value = _decode(body)
            if _encode(value) == body:
                return value
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # what is wrong, the careful way finds
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8 at byte {error.start}") from None
    if not shallow and _depth(text) > DEPTH_MAX:
        raise Malformed(f"the body is nested deeper than {DEPTH_MAX}")
    del body  # long ones are held once
    try:
        return _parse(text, safe, plain=plain)
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON at line {error.lineno}, column {error.colno}") from None
    except _NotJson:
        raise Malformed("the body is not JSON: it has no NaN and no Infinity") from None
    except _Hopeless:
        raise Malformed(f"the body has more than {ERRORS_MAX} repeated keys or numbers out of bounds") from None


def _may_be_large(body: bytes) -> bool:
    """Whether a number may be out of bounds. Hashes and ids often look so: strings are left out for a second look."""
    return _has_large(body) and _has_large(_BYTE_STRING.sub(b'""', body))


def _has_large(body: bytes) -> bool:
    digits = body.translate(_DIGITS_ALIKE)
    return _LARGE[0] in digits or _LARGE[1] in digits or _LARGE[2] in digits


def _parse(text: str, safe: Safe, *, plain: bool) -> Any:
    if plain:
        try:
            return _PLAIN.decode(text)
        except _Repeated:
            pass  # where, the careful way finds
    careful = _Careful()
    value = careful.decode(text)
    found = list(islice(_misfits(value, careful.repeated), ERRORS_MAX))
    if found:
        raise _refusal(found, safe)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Repeated
    return made


def _constant(name: str) -> Any:
    raise _NotJson(name)


_PLAIN = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


class _Careful:
    """Parses one document, and keeps aside what it objects to."""

    def __init__(self) -> None:
        self.repeated: dict[int, tuple[dict[str, Any], list[str]]] = {}  # by identity; holding the dict keeps it unique
        self._objections = 0

    def decode(self, text: str) -> Any:
        # The decoder is not kept: it holds these hooks, and a circle would wait for the garbage collector.
        return json.JSONDecoder(
            object_pairs_hook=self._object, parse_int=self._int, parse_float=self._float, parse_constant=_constant
        ).decode(text)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            self._object_to()
            times = Counter(key for key, _ in pairs)
            self.repeated[id(made)] = (made, [key for key, count in times.items() if count > 1])
        return made

    def _int(self, digits: str) -> int | _Bad:
        # The length first: int() refuses, and older ones take quadratic time over, very many digits.
        if len(digits) <= _INTEGER_LENGTH_MAX and -INTEGER_MAX <= (number := int(digits)) <= INTEGER_MAX:
            return number
        self._object_to()
        return _Bad("integer")

    def _float(self, digits: str) -> float | _Bad:
        number = float(digits)
        if math.isfinite(number):
            return number
        self._object_to()
        return _Bad("float")

    def _object_to(self) -> None:
        self._objections += 1
        if self._objections > ERRORS_MAX:
            raise _Hopeless


def _depth(text: str) -> int:
    brackets = _STRING.sub("", text).encode().translate(_AS_STEPS, _NOT_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0)


def _misfits(value: Any, repeated: dict[int, tuple[dict[str, Any], list[str]]]) -> Iterator[tuple[Path, str]]:
    """Every place that is wrong, in the order of the document; a text that is so in two ways is told once."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, here = waiting.pop()
        if isinstance(here, str):
            if "\0" in here:
                yield path, "null_character"
            elif _SURROGATE.search(here):
                yield path, "surrogate"
        elif isinstance(here, _Bad):
            yield path, here.why
        elif isinstance(here, list):
            waiting += [((*path, index), here[index]) for index in range(len(here) - 1, -1, -1)]
        elif isinstance(here, dict):
            for key in repeated.get(id(here), (here, []))[1]:
                yield (*path, key), _DUPLICATE
            waiting += [((*path, key), item) for key, item in reversed(here.items())]
            # A name stands in for its own place: nothing is at fault there but the name.
            waiting += [((*path, key), key) for key in here if "\0" in key or _SURROGATE.search(key)]


def _refusal(found: list[tuple[Path, str]], safe: Safe) -> SwarmkeeperError:
    details: tuple[Detail, ...] = tuple((pointer(path, safe), *_REASONS[why]) for path, why in found)
    if any(why in _MALFORMED for _, why in found):
        return Malformed("the body is ambiguous JSON", details=details)
    return Invalid("the body has values that cannot be stored", details=details)
