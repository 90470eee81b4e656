"""Finds values that redaction has to know: secrets that were released to bots, in every form in which they may return.

Theory. A value has some ten forms: plain, base64 (at each of the three offsets in a longer text, in both alphabets),
hexadecimal, percent, JSON and HTML escapes. The first eight bytes of each form are its sign. One regular expression of
all signs tells in one pass that a text has none, which is nearly always so; where it matches, the forms with that sign
are compared. Forms are added in layers of doubling size up to a bound, so that a new value costs the compilation of a
few, and never one that would stop the server for long. Text that is encoded otherwise or twice is decoded first
(redaction/encoded.py) and searched again.

A value stays known until `forget`: what was released may be in a bot's memory for long. Readers in other threads see
one of the states between the calls; calls of `add` and `forget` must not overlap.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import re2

from swarmkeeper.govern.redaction import views

RULE = "released-secret"  # in placeholders and `redacted_fields`
VALUE_MIN = 8  # characters: a shorter one would hide ordinary words
VALUE_MAX = 64 << 10  # characters
VALUES_MAX = 5_000
COMPARED_MAX = 100_000  # forms, with one text: many keys begin alike, and so may a hostile text, at every line
LINE_MIN = 16  # a line of a value with several is searched for by itself from this length on
_SIGN = 8  # bytes
_SIGNS_MAX = 12_000  # of a layer that is joined with another: compiling so many takes the better part of a second
_PART = 500  # values that are compiled at once
_NUMBER_MAX = 16  # digits: a longer number is hidden whole, or comes as text
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986: never escaped
_MEMORY = 256 << 20  # bound of what RE2 may use for one layer


class TooManyValues(Exception):
    """No more values can be known."""


class TooMuchAlike(Exception):
    """The data begins at too many places as known values do: it has to count as unscanned."""


@dataclass(frozen=True, slots=True)
class _Layer:
    signs: re2._Regexp
    forms: dict[bytes, tuple[tuple[bytes, str], ...]]  # by sign: (form, value), the longest first


@dataclass(frozen=True, slots=True)
class _KnownNow:
    layers: tuple[_Layer, ...] = ()
    values: frozenset[str] = frozenset()
    numbers: frozenset[int] = frozenset()  # values that may also come as a number


class KnownValues:
    """The values known so far. `version` grows with each new one: a text found harmless before may not be any more."""

    def __init__(self) -> None:
        self._known = _KnownNow()
        self.version = 0

    def __len__(self) -> int:
        return len(self._known.values)

    def __contains__(self, value: str) -> bool:
        return value in self._known.values

    def add(self, values: Iterable[str]) -> None:
        """Add values. They are found from the moment that this returns.

        Raises:
            TooManyValues: there would be more than VALUES_MAX; none was added.
            ValueError: a value is shorter than VALUE_MIN or longer than VALUE_MAX.
        """
        known = self._known
        new = {value for value in values if value not in known.values}
        if not new:
            return
        if any(not VALUE_MIN <= len(value) <= VALUE_MAX for value in new):
            raise ValueError(f"a value has {VALUE_MIN} to {VALUE_MAX} characters")
        if len(known.values) + len(new) > VALUES_MAX:
            raise TooManyValues(f"{VALUES_MAX} values are known already")
        layers = list(known.layers)
        made = _layer_of({form: value for value in new for form in forms(value)})
        while layers and len(layers[-1].forms) <= min(2 * len(made.forms), _SIGNS_MAX - len(made.forms)):
            below = layers.pop()
            made = _layer_of(
                {form: value for layer in (below, made) for group in layer.forms.values() for form, value in group}
            )
        numbers = known.numbers | {int(value) for value in new if _is_number(value)}
        self._known = _KnownNow((*layers, made), known.values | new, numbers)
        self.version += 1

    @property
    def values(self) -> frozenset[str]:
        return self._known.values

    def forget(self, values: Iterable[str]) -> None:
        """Know these values no more. All others are compiled again: that may take seconds, so call it in a thread."""
        kept = self._known.values - frozenset(values)
        again = KnownValues()
        for part in _parts(sorted(kept)):
            again.add(part)
        self._known = again._known
        self.version += 1

    def is_number(self, value: int) -> bool:
        """Whether this number is a known value."""
        return abs(value) in self._known.numbers

    def anywhere(self, data: bytes) -> bool:
        """Return whether any form of a value is in these bytes, or may be: see `spans`."""
        try:
            return next(self.spans(data), None) is not None
        except TooMuchAlike:
            return True

    def spans(self, data: bytes) -> Iterator[tuple[int, int, str]]:
        """Yield (first byte, end, value) of each form that is found, in order within each layer.

        Raises:
            TooMuchAlike: at very many places the data begins as values do: comparing all would take too long.
        """
        left = COMPARED_MAX
        for layer in self._known.layers:
            at = 0
            while (match := layer.signs.search(data, at)) is not None:
                start = match.start()
                alike = layer.forms[data[start : start + _SIGN]]
                left -= len(alike)
                if left < 0:
                    raise TooMuchAlike
                for form, value in alike:
                    if data.startswith(form, start):
                        yield start, start + len(form), value
                        break
                at = start + 1


def _parts(values: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(values), _PART):
        yield values[begin : begin + _PART]


def forms(value: str) -> set[bytes]:
    """Return the forms of a value, each at least as long as a sign."""
    found: set[bytes] = set()
    for text in _texts(value):
        found.update(_forms(text))
    return {form for form in found if len(form) >= _SIGN}


def _texts(value: str) -> Iterator[str]:
    """Yield the value, as it is and as redaction folds text, and its long lines."""
    yield value
    yield views.folded(value)
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= LINE_MIN and not line.startswith("-----"))


def _forms(text: str) -> Iterator[bytes]:
    raw = text.encode("utf-8", "surrogatepass")
    yield raw
    yield json.dumps(text)[1:-1].encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")
    yield json.dumps(text)[1:-1].replace("/", r"\/").encode()
    yield html.escape(text).encode("utf-8", "surrogatepass")
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for kept in (_PLAIN, _PLAIN | frozenset(b"/"), frozenset(b"")):
        for escape in ("%{:02X}", "%{:02x}"):
            yield "".join([chr(byte) if byte in kept else escape.format(byte) for byte in raw]).encode()
            if b" " in raw and kept:  # as in the body of a form
                yield "".join(
                    ["+" if byte == 0x20 else chr(byte) if byte in kept else escape.format(byte) for byte in raw]
                ).encode()
    for before in range(3):
        # Letters that share bits with a neighbour are left out: `before` bytes come first, and any may follow.
        first, last = (0, 2, 3)[before], (before + len(raw)) * 8 // 6
        yield base64.b64encode(bytes(before) + raw)[first:last]
        yield base64.urlsafe_b64encode(bytes(before) + raw)[first:last]


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and value[0] != "0" and len(value) <= _NUMBER_MAX


def _layer_of(value_of: dict[bytes, str]) -> _Layer:
    groups: dict[bytes, list[tuple[bytes, str]]] = {}
    for form, value in value_of.items():
        groups.setdefault(form[:_SIGN], []).append((form, value))
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes as they are
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MEMORY
    signs = "|".join("".join(f"\\x{byte:02x}" for byte in sign) for sign in sorted(groups))
    ordered = {sign: tuple(sorted(group, key=lambda pair: -len(pair[0]))) for sign, group in groups.items()}
    return _Layer(re2.compile(signs.encode("ascii"), options), ordered)
