"""Strict JSON parser: RFC 8259 with the restrictions of I-JSON (RFC 7493), so that all stores keep the same values.

Three parsers, the fastest first:
1. Searches in the raw bytes show whether the rarer checks are needed. If not, msgspec parses, and the value is encoded
   again. If the bytes are equal, but for spaces between values, as for most programs' output, no key was repeated and
   nothing is ambiguous.
2. Otherwise the standard library parses, with a hook that finds repeated keys.
3. If something is wrong, a second pass with hooks for numbers and objects collects the errors, and a walk over the
   result finds their positions.
So valid input costs little, and time is linear in size.

Raises `Malformed` for invalid JSON (not UTF-8, syntax, NaN, a duplicate key, a lone surrogate, too deep), and `Invalid`
for a value that cannot be stored (U+0000, a number out of bounds). Both name the position and repeat no input.
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
INTEGER_MAX = 2**53  # larger integers are not exact as floats, so JavaScript would read another number

_INTEGER_LENGTH_MAX = len(str(-INTEGER_MAX))
# A string, complete or cut off. It never backtracks, so that hostile quotes cost linear time.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BYTE_STRING = re.compile(_STRING.pattern.encode(), re.DOTALL)
_ODD_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_AS_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # +1 and, read as a signed byte, -1

# All digits become 0. Only 16 digits in a row, or an exponent of three digits, can be out of bounds.
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789E", b"000000000e")
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


class _RefusedNumber:
    """Replaces a refused number in the parsed document."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why


class _NotJson(ValueError):
    """NaN or Infinity."""


class _Repeated(ValueError):
    """An object has a key twice."""


class _TooManyErrors(ValueError):
    """There are more errors than will be listed."""


def parse_json(body: bytes, *, limit: int, safe: Safe = hidden) -> Any:
    """Parse `body` and return its value.

    Args:
        limit: maximum length in bytes.
        safe: redacts a name that is not in our schema, for error messages.

    Raises:
        TooLarge: `body` is longer than `limit`.
        Malformed, Invalid: see the module; with up to a thousand errors and their positions.
    """
    if len(body) > limit:
        raise TooLarge(f"the body is longer than {limit} bytes")
    shallow = body.count(b"[") + body.count(b"{") <= DEPTH_MAX
    plain = not (_may_be_large(body) or (b"\\u" in body and _ODD_ESCAPE.search(body)))
    if plain and shallow:
        try:
            value = _decode(body)
            again = _encode(value)
            if again == body or again == msgspec.json.format(body, indent=-1):  # Python's own encoder writes spaces
                return value
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # the slower parsers find what is wrong
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8 at byte {error.start}") from None
    if not shallow and _depth(text) > DEPTH_MAX:
        raise Malformed(f"the body is nested deeper than {DEPTH_MAX}")
    del body  # frees memory: a long body is held only once
    try:
        return _parse(text, safe, plain=plain)
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON at line {error.lineno}, column {error.colno}") from None
    except _NotJson:
        raise Malformed("the body is not JSON: it has no NaN and no Infinity") from None
    except _TooManyErrors:
        raise Malformed(f"the body has more than {ERRORS_MAX} repeated keys or numbers out of bounds") from None


def _may_be_large(body: bytes) -> bool:
    """Whether a number may be out of bounds. Ids and hashes may look like one, so a second search skips strings."""
    return _has_large(body) and _has_large(_BYTE_STRING.sub(b'""', body))


def _has_large(body: bytes) -> bool:
    digits = body.translate(_DIGITS_AS_ZERO)
    return _LARGE[0] in digits or _LARGE[1] in digits or _LARGE[2] in digits


def _parse(text: str, safe: Safe, *, plain: bool) -> Any:
    if plain:
        try:
            return _PLAIN.decode(text)
        except _Repeated:
            pass  # the careful parser finds the position
    careful = _Careful()
    value = careful.decode(text)
    found = list(islice(_errors_in(value, careful.repeated), ERRORS_MAX))
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
    """Parses one document and collects its errors."""

    def __init__(self) -> None:
        self.repeated: dict[int, tuple[dict[str, Any], list[str]]] = {}  # by id(); holding the dict keeps the id unique
        self._errors = 0

    def decode(self, text: str) -> Any:
        # The decoder is not kept: it refers to these hooks, and a reference cycle would wait for the garbage collector.
        return json.JSONDecoder(
            object_pairs_hook=self._object, parse_int=self._int, parse_float=self._float, parse_constant=_constant
        ).decode(text)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            self._count_error()
            times = Counter(key for key, _ in pairs)
            self.repeated[id(made)] = (made, [key for key, count in times.items() if count > 1])
        return made

    def _int(self, digits: str) -> int | _RefusedNumber:
        # Check the length first: int() refuses very many digits, and older versions take quadratic time.
        if len(digits) <= _INTEGER_LENGTH_MAX and -INTEGER_MAX <= (number := int(digits)) <= INTEGER_MAX:
            return number
        self._count_error()
        return _RefusedNumber("integer")

    def _float(self, digits: str) -> float | _RefusedNumber:
        number = float(digits)
        if math.isfinite(number):
            return number
        self._count_error()
        return _RefusedNumber("float")

    def _count_error(self) -> None:
        self._errors += 1
        if self._errors > ERRORS_MAX:
            raise _TooManyErrors


def _depth(text: str) -> int:
    brackets = _STRING.sub("", text).encode().translate(_AS_STEPS, _NOT_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0)


def _errors_in(value: Any, repeated: dict[int, tuple[dict[str, Any], list[str]]]) -> Iterator[tuple[Path, str]]:
    """Yield the path of each error with its reason, in document order; at most one error per string."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, str):
            if "\0" in node:
                yield path, "null_character"
            elif _SURROGATE.search(node):
                yield path, "surrogate"
        elif isinstance(node, _RefusedNumber):
            yield path, node.why
        elif isinstance(node, list):
            waiting += [((*path, index), node[index]) for index in range(len(node) - 1, -1, -1)]
        elif isinstance(node, dict):
            for key in repeated.get(id(node), (node, []))[1]:
                yield (*path, key), _DUPLICATE
            waiting += [((*path, key), item) for key, item in reversed(node.items())]
            # An invalid key is reported at its own position.
            waiting += [((*path, key), key) for key in node if "\0" in key or _SURROGATE.search(key)]


def _refusal(found: list[tuple[Path, str]], safe: Safe) -> SwarmkeeperError:
    details: tuple[Detail, ...] = tuple((pointer(path, safe), *_REASONS[why]) for path, why in found)
    if any(why in _MALFORMED for _, why in found):
        return Malformed("the body is ambiguous JSON", details=details)
    return Invalid("the body has values that cannot be stored", details=details)
