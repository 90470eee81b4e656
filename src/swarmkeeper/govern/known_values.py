"""Finds values that redaction has to know: secrets that were released to bots, in every form in which they may return.

Each tenant has values of its own, and a bound of its own on their number (`KnownOfTenants`). What one tenant knows
neither hides text of another nor takes its room. A log line belongs to no tenant, and hides what any of them knows.

Theory. A value has some ten forms: plain, base64 (at each of the three offsets in a longer text, in both alphabets),
hexadecimal, percent, JSON and HTML escapes. The first eight bytes of each form are its sign. Wherever a form begins in
a text, it covers one of the words into which the text is cut, every eight bytes (four for short forms): so sets of the
words that forms may cover tell quickly that a text has none, which is nearly always so. Text without a run of letters
as long as that, prose or what base64 makes of it, needs no look into the sets. Around a word that is in a set, the
forms are compared. A new value adds to the sets: nothing large is ever compiled. Text that is encoded otherwise or
twice is decoded first (redaction/encoded.py) and searched again.

A value stays known until `forget`: what was released may be in a bot's memory for long. Readers in other threads see
one of the states between the calls, or a part of the values that `add` is adding; calls of `add` and `forget` must not
overlap.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

import re2

from swarmkeeper.govern.redaction import views

RULE = "released-secret"  # in placeholders and `redacted_fields`
VALUE_MIN = 8  # characters: a shorter one would hide ordinary words
VALUE_MAX = 64 << 10  # characters
VALUES_MAX = 5_000  # of a tenant
COMPARED_MAX = 100_000  # forms, with one text: many keys begin alike, and so may a hostile text, at every line
LINE_MIN = 16  # a line of a value with several is searched for by itself from this length on
_SIGN = 8  # bytes
_LONG = 15  # bytes: from this length on, a form covers a whole word of eight, wherever it begins
_NUMBER_MAX = 16  # digits: a longer number is hidden whole, or comes as text
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986: never escaped
_BYTES = re2.Options()  # no text, but bytes as they are
_BYTES.encoding = re2.Options.Encoding.LATIN1
_BYTES.log_errors = False


class TooManyValues(Exception):
    """No more values can be known."""


class TooMuchAlike(Exception):
    """The data begins at too many places as known values do: it has to count as unscanned."""


class Known(Protocol):
    """Values that a text is searched for."""

    @property
    def version(self) -> int:
        """Changes with the values: a text found harmless before may not be any more."""

    def is_number(self, value: int) -> bool:
        """Whether this number is a known value."""

    def anywhere(self, data: bytes) -> bool:
        """Return whether any form of a value is in these bytes, or may be: see `spans`."""

    def spans(self, data: bytes) -> Iterator[tuple[int, int, str]]:
        """Yield (first byte, end, value) of each form that is found.

        Raises:
            TooMuchAlike: at very many places the data begins as values do: comparing all would take too long.
        """


class _Forms:
    """Forms that cover a whole word of a size, wherever they begin in a text that is cut into such words."""

    def __init__(self, word: int, code: Literal["I", "Q"]) -> None:
        self._word, self._code = word, code
        self._covered = 2 * word - 1  # bytes at the beginning of each form: the word is one of theirs
        self._run = max(self._covered, _SIGN)
        self._words: set[int] = set()
        self._letters: frozenset[int] = frozenset()
        self._runs: re2._Regexp | None = None

    def add(self, form: bytes) -> None:
        begin, sign = form[: self._covered], form[: self._run]
        if not self._letters.issuperset(sign):
            self._letters |= frozenset(sign)
            letters = "".join(f"\\x{letter:02x}" for letter in sorted(self._letters))
            self._runs = re2.compile(f"[{letters}]{{{self._run}}}".encode("ascii"), _BYTES)
        self._words.update(self._cut(b"".join(begin[n : n + self._word] for n in range(self._word))))

    def places(self, data: bytes) -> Iterator[range]:
        """Yield where forms may begin. Nearly always there is nothing, and that has to be quick."""
        if self._runs is None or self._runs.search(data) is None:
            return
        words, size = self._words, self._word
        if words.isdisjoint(self._cut(data)):
            return
        for number, word in enumerate(self._cut(data)):
            if word in words:
                yield range(max(0, size * (number - 1) + 1), size * number + 1)

    def _cut(self, data: bytes) -> memoryview:
        whole = memoryview(data)[: len(data) // self._word * self._word]
        return whole.cast(self._code)


class _Index:
    """Forms by what a text shows of them."""

    def __init__(self) -> None:
        self._of_sign: dict[bytes, tuple[tuple[bytes, str], ...]] = {}  # (form, value), the longest first
        self._long, self._short = _Forms(8, "Q"), _Forms(4, "I")

    def add(self, form: bytes, value: str) -> None:
        alike = (*self._of_sign.get(form[:_SIGN], ()), (form, value))
        self._of_sign[form[:_SIGN]] = tuple(sorted(alike, key=lambda pair: -len(pair[0])))
        # The words come last: a reader that finds one finds its form.
        (self._long if len(form) >= _LONG else self._short).add(form)

    def spans(self, data: bytes) -> Iterator[tuple[int, int, str]]:
        """Yield (first byte, end, value) of each form, the longest at each place. Raises TooMuchAlike."""
        left = COMPARED_MAX
        for found in (*self._long.places(data), *self._short.places(data)):
            for start in found:
                alike = self._of_sign.get(data[start : start + _SIGN], ())
                left -= len(alike)
                if left < 0:
                    raise TooMuchAlike
                for form, value in alike:
                    if data.startswith(form, start):
                        yield start, start + len(form), value
                        break


class KnownValues:
    """The values that one tenant knows so far."""

    def __init__(self) -> None:
        self._index = _Index()
        self._values: frozenset[str] = frozenset()
        self._numbers: frozenset[int] = frozenset()  # values that may also come as a number
        self.version = 0

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, value: str) -> bool:
        return value in self._values

    @property
    def values(self) -> frozenset[str]:
        return self._values

    def add(self, values: Iterable[str]) -> None:
        """Add values. They are found from the moment that this returns.

        Raises:
            TooManyValues: there would be more than VALUES_MAX; none was added.
            ValueError: a value is shorter than VALUE_MIN or longer than VALUE_MAX.
        """
        new = {value for value in values if value not in self._values}
        if not new:
            return
        if any(not VALUE_MIN <= len(value) <= VALUE_MAX for value in new):
            raise ValueError(f"a value has {VALUE_MIN} to {VALUE_MAX} characters")
        if len(self._values) + len(new) > VALUES_MAX:
            raise TooManyValues(f"{VALUES_MAX} values are known already")
        for value in sorted(new):
            for form in forms(value):
                self._index.add(form, value)
        self._numbers |= {int(value) for value in new if _is_number(value)}
        self._values |= new
        self.version += 1

    def forget(self, values: Iterable[str]) -> None:
        """Know these values no more. All others are added again: that may take seconds, so call it in a thread."""
        again = KnownValues()
        again.add(self._values - frozenset(values))
        self._index, self._values, self._numbers = again._index, again._values, again._numbers
        self.version += 1

    def is_number(self, value: int) -> bool:
        return abs(value) in self._numbers

    def anywhere(self, data: bytes) -> bool:
        try:
            return next(self.spans(data), None) is not None
        except TooMuchAlike:
            return True

    def spans(self, data: bytes) -> Iterator[tuple[int, int, str]]:
        return self._index.spans(data)


NOTHING: Known = KnownValues()  # nobody adds to it


class KnownOfTenants:
    """The values that each tenant knows. It is itself what all of them know: for text that belongs to no tenant."""

    def __init__(self) -> None:
        self._of: dict[str, KnownValues] = {}
        self.version = 0

    def of(self, tenant: str) -> Known:
        """Return what a tenant knows."""
        return self._of.get(tenant, NOTHING)

    def values(self, tenant: str) -> frozenset[str]:
        known = self._of.get(tenant)
        return frozenset() if known is None else known.values

    def tenants(self) -> tuple[str, ...]:
        """Return the tenants that know a value."""
        return tuple(self._of)

    def add(self, tenant: str, values: Iterable[str]) -> None:
        """Add values of a tenant: see `KnownValues.add`."""
        known = self._of.get(tenant)
        if known is None:
            known = KnownValues()
        known.add(values)
        if len(known):
            self._of[tenant] = known  # a new dictionary is not needed: readers copy it
        self.version += 1

    def forget(self, tenant: str, values: Iterable[str]) -> None:
        """Know values of a tenant no more: see `KnownValues.forget`."""
        known = self._of.get(tenant)
        if known is not None:
            known.forget(values)
            if not len(known):
                del self._of[tenant]
            self.version += 1

    def is_number(self, value: int) -> bool:
        return any(known.is_number(value) for known in tuple(self._of.values()))

    def anywhere(self, data: bytes) -> bool:
        return any(known.anywhere(data) for known in tuple(self._of.values()))

    def spans(self, data: bytes) -> Iterator[tuple[int, int, str]]:
        for known in tuple(self._of.values()):
            yield from known.spans(data)


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
