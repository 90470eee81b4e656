"""What Python values become when they are sent: one rule for outputs, checkpoints, plans, verdicts and messages.

The orchestrator takes I-JSON (RFC 7493), so that every store and every reader of it sees the same. What authors' code
makes is often a little more: a date, bytes, NaN, a number of 70 bits. The work was paid for: what has an obvious form
there gets it, much as in Protobuf's JSON mapping (the table is `swarmkeeper docs outputs`). What has none is refused
with the place of each, and sending it again would not help.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import os
import re
import traceback
from array import array
from collections import deque
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from uuid import UUID  # noqa: TID251 - the type alone: none is made here

from swarmkeeper.sdk.connection import calls
from swarmkeeper.sdk.errors import Problem

Json = Any

# The orchestrator's own bounds.
INTEGER_MAX = 2**53
DEPTH_MAX = 64
PROBLEMS_MAX = 50  # told; what has more of them has them everywhere
REPR_MAX = 1_000_000  # characters kept of an object that has no other form

_UNSENDABLE = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff\0]")
_LISTS = (list, tuple, deque, range, array, KeysView, ValuesView, ItemsView)
_AS_TEXT = (UUID, Decimal, Fraction, IPv4Address, IPv6Address, IPv4Network, IPv6Network)


class Unsendable(ValueError):
    """A value that JSON has no form for. `problems` say where; `kept` is what of it can be written down."""

    def __init__(self, what: str, problems: list[Problem], kept: Json) -> None:
        super().__init__(f"{what} cannot be sent:" + "".join(f"\n  {problem}" for problem in problems))
        self.problems = tuple(problems)
        self.kept = kept


def readable(text: str) -> str:
    r"""The text as it can be sent: U+0000 and halves of surrogate pairs as `\u0000` and `\udc80`, six characters each.

    Halves that belong together become the character that they mean.
    """
    if text.isascii() and "\0" not in text:
        return text
    return _UNSENDABLE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    text = found.group()
    if len(text) == 2:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    return f"\\u{ord(text):04x}"


def cut(text: str, most: int) -> str:
    """The text as it can be sent, at most so long; one that was longer says at its end that it was."""
    text = readable(text)
    if len(text) <= most:
        return text
    mark = f"… [cut: {len(text)} characters]"
    return text[: most - len(mark)] + mark


def sendable(value: object, what: str = "this value", *, at: str = "", inside: int = 0) -> Json:
    """The value as JSON has it.

    Args:
        what: the value's name in messages.
        at: the JSON Pointer of the value in what is sent.
        inside: in how many objects and lists it stands there.

    Raises:
        Unsendable: with the place of each part that has no form in JSON.
    """
    walk = _Walk()
    made = walk.value(value, at, inside + 1)
    if walk.problems:
        raise Unsendable(what, walk.problems, made)
    return made


def within(made: Json, bytes_max: int, what: str, *, at: str = "") -> Json:
    """The same value of JSON.

    Raises:
        Unsendable: it is longer than so many bytes.
    """
    length = len(calls.encode(made))
    if length > bytes_max:
        raise Unsendable(
            what, [Problem(at, "too_long", f"has {length} bytes; at most {bytes_max} bytes are taken")], made
        )
    return made


class _Walk:
    """Makes JSON of one value. What has no form is a problem, and stands as `{"$python": …}` in what is made."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._open: set[int] = set()  # ids of what is being written: met again, it holds itself

    def value(self, value: object, at: str, depth: int) -> Json:
        if (plain := _as_it_is(value)) is not _NOTHING:
            return plain
        if isinstance(value, Enum):
            return self.value(value.value, at, depth)
        if isinstance(value, str):
            return readable(str.__str__(value))
        if isinstance(value, int):
            return self._integer(value, at)
        if isinstance(value, float):
            return _float(float(value))
        return self._inside(value, at, depth)

    def _member(self, value: object, at: str, name: str | int, depth: int) -> Json:
        """One value inside another. Most are plain, and need no pointer to be written."""
        plain = _as_it_is(value)
        return plain if plain is not _NOTHING else self.value(value, f"{at}/{_step(name)}", depth + 1)

    def _list(self, values: Iterable[object], at: str, depth: int) -> list[Json]:
        return [self._member(one, at, place, depth) for place, one in enumerate(values)]

    def _integer(self, value: int, at: str) -> Json:
        if -INTEGER_MAX <= value <= INTEGER_MAX:
            return int(value)
        try:
            return str(int(value))
        except ValueError:  # Python itself writes no number of more than 4,300 digits
            return self._problem(hex(value), at, "out_of_range", "is an integer of thousands of digits")

    def _inside(self, value: object, at: str, depth: int) -> Json:
        """What holds other values, or turns into one that this rule knows."""
        if id(value) in self._open:
            return self._problem("what holds this", at, "cycle", "holds itself")
        if depth > DEPTH_MAX:
            return self._problem(value, at, "too_deep", f"is nested deeper than {DEPTH_MAX}")
        self._open.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._object(value, at, depth)
            if isinstance(value, tuple) and hasattr(value, "_fields"):
                return self._object(dict(zip(value._fields, value, strict=False)), at, depth)
            if isinstance(value, _LISTS):
                return self._list(value, at, depth)
            if isinstance(value, AbstractSet):
                return sorted(
                    self._list(value, at, depth), key=calls.encode
                )  # the same set is the same text, whichever process says it
            return self._other(value, at, depth)
        except Exception as error:  # of code that is not ours: a mapping that changes meanwhile, a model that raises
            detail = f"is a {_name(value)} that could not be read ({type(error).__name__})"
            return self._problem(value, at, "no_rule", detail)
        finally:
            self._open.discard(id(value))

    def _other(self, value: object, at: str, depth: int) -> Json:
        plain = _plain(value)
        if plain is not _NOTHING and type(plain) is not type(value):
            return self.value(plain, at, depth + (not isinstance(plain, dict)))
        hint = ": make a list of it" if isinstance(value, Iterator) else ""
        made = self._problem(value, at, "no_rule", f"is a {_name(value)}, which JSON has no form for{hint}")
        if fields := getattr(value, "__dict__", None):
            told = len(self.problems)
            made["fields"] = self.value(dict(fields), at, depth + 1)
            del self.problems[told:]  # of the object there is one: that there is no rule for it
        return made

    def _object(self, value: Mapping[Any, object], at: str, depth: int) -> dict[str, Json]:
        made: dict[str, Json] = {}
        for name, item in value.items():
            key = readable(name) if type(name) is str else self._key(name, at)
            if key in made:
                self._problem(item, f"{at}/{_step(key)}", "duplicate_key", "is the name of two members")
                key = f"{key} ({len(made)})"
            made[key] = self._member(item, at, key, depth)
        return made

    def _key(self, name: object, at: str) -> str:
        plain = self.value(name, at, DEPTH_MAX)
        if isinstance(plain, dict | list):
            self._problem(name, at, "no_rule", f"has a {_name(name)} as the name of a member")
        return plain if isinstance(plain, str) else json.dumps(plain)

    def _problem(self, value: object, at: str, code: str, detail: str) -> dict[str, Json]:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(at, code, detail))
        try:
            said = repr(value)
        except Exception as error:  # of code that is not ours, and of what is nested too deeply
            said = f"repr: {type(error).__name__}"
        return {"$python": readable(said[:REPR_MAX])}


_NOTHING = object()


def _as_it_is(value: object) -> Json:
    """A value that JSON has, of the commonest kinds; `_NOTHING` for any that has to be looked at."""
    kind = type(value)
    if kind is str:
        return readable(str(value))
    if value is None or kind is bool:
        return value
    if isinstance(value, int):
        return value if kind is int and -INTEGER_MAX <= value <= INTEGER_MAX else _NOTHING
    return value if kind is float and isinstance(value, float) and math.isfinite(value) else _NOTHING


def _step(name: str | int) -> str:
    """One step of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1") if isinstance(name, str) else str(name)


def _float(value: float) -> Json:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _plain(value: object) -> object:
    """What an object is in plainer values, by the first way that it offers; `_NOTHING` where it offers none."""
    if (text := _text_of(value)) is not None:
        return text
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, type):
        return _NOTHING
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(dump := getattr(value, "model_dump", None)):  # Pydantic
        return dump()
    for names in ("__attrs_attrs__", "__struct_fields__"):  # attrs, msgspec
        if (fields := getattr(type(value), names, None)) is not None:
            return {name: getattr(value, name) for name in (getattr(each, "name", each) for each in fields)}
    if hasattr(value, "columns") and callable(rows := getattr(value, "to_dict", None)):  # pandas
        return rows("records")
    for way in (
        "to_dicts",
        "tolist",
        "item",
    ):  # tables of Polars; arrays and their scalars: NumPy, pandas, PyTorch, JAX
        if callable(turn := getattr(value, way, None)):
            return turn()
    return _NOTHING


def _text_of(value: object) -> str | None:
    """Of what is one text in JSON."""
    if isinstance(value, datetime):
        return _rfc3339(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, _AS_TEXT):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, os.PathLike):
        return os.fsdecode(os.fspath(value))
    if isinstance(value, BaseException):
        return "".join(traceback.format_exception_only(value)).strip()
    if any(callable(getattr(value, name, None)) for name in ("get_secret_value", "unicode_string")):
        return str(value)  # Pydantic: a secret, which hides itself, and a URL
    return None


def _rfc3339(moment: datetime) -> str:
    """With its offset; one without a zone counts as UTC, since the machine's zone is no part of the value."""
    text, offset = moment.isoformat(), moment.utcoffset()
    if offset is None:
        return text + "Z"
    if offset % timedelta(minutes=1):  # of times before there were zones; RFC 3339 has no seconds there
        return (moment - offset).replace(tzinfo=None).isoformat() + "Z"
    return text if offset else text.removesuffix("+00:00") + "Z"


def _name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
