"""Turns Python values into JSON: one rule for outputs, checkpoints, plans, verdicts and messages.

The orchestrator takes I-JSON (RFC 7493), so that every store and every reader sees the same value. Authors' code often
makes other values: a date, bytes, NaN, an integer of 70 bits. Values with an obvious JSON form get it, much as in
Protobuf's JSON mapping (the table is `swarmkeeper docs outputs`). All others are refused with their JSON Pointers.
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
from uuid import UUID  # noqa: TID251 - only the type; no ids are made here

from swarmkeeper.sdk.connection import calls
from swarmkeeper.sdk.errors import FieldProblem

Json = Any

# The orchestrator's own bounds.
INTEGER_MAX = 2**53
DEPTH_MAX = 64
PROBLEMS_MAX = 50  # reported; more would repeat the same mistake
REPR_MAX = 1_000_000  # characters kept of the repr of an object without a JSON form

_UNSENDABLE = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff\0]")
_LISTS = (list, tuple, deque, range, array, KeysView, ValuesView, ItemsView)
_AS_TEXT = (UUID, Decimal, Fraction, IPv4Address, IPv6Address, IPv4Network, IPv6Network)


class Unsendable(ValueError):
    """A value has no JSON form. `problems` say where; `kept` is the value with a repr in each of these positions."""

    def __init__(self, what: str, problems: list[FieldProblem], kept: Json) -> None:
        super().__init__(f"{what} cannot be sent:" + "".join(f"\n  {problem}" for problem in problems))
        self.problems = tuple(problems)
        self.kept = kept


def readable(text: str) -> str:
    r"""Escape what cannot be sent: U+0000 and lone surrogates become `\u0000` or `\udc80`, six characters each.

    Two surrogates that form a pair become their character.
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
    """Return the text in sendable form, at most `most` characters long; a mark at its end says if it was cut."""
    text = readable(text)
    if len(text) <= most:
        return text
    mark = f"… [cut: {len(text)} characters]"
    return text[: most - len(mark)] + mark


def sendable(value: object, what: str = "this value", *, at: str = "", inside: int = 0) -> Json:
    """Return the value as JSON.

    Args:
        what: the value's name in messages.
        at: the value's JSON Pointer in the request body.
        inside: how many objects and lists enclose it there.

    Raises:
        Unsendable: with the JSON Pointer of each part that has no JSON form.
    """
    # Most values are JSON already: the copy takes a tenth of the converter's time, which also finds every problem.
    made = _copy_of_json(value, inside + 1)
    if made is not _NOTHING:
        return made
    converter = _Converter()
    made = converter.value(value, at, inside + 1)
    if converter.problems:
        raise Unsendable(what, converter.problems, made)
    return made


def within(made: Json, bytes_max: int, what: str, *, at: str = "") -> Json:
    """Return the same JSON value.

    Raises:
        Unsendable: it is longer than `bytes_max` bytes.
    """
    length = len(calls.encode(made))
    if length > bytes_max:
        raise Unsendable(
            what, [FieldProblem(at, "too_long", f"has {length} bytes; at most {bytes_max} bytes are taken")], made
        )
    return made


class _Converter:
    """Turns one value into JSON. A part without a JSON form is a problem and becomes `{"$python": …}`."""

    def __init__(self) -> None:
        self.problems: list[FieldProblem] = []
        self._open: set[int] = set()  # ids of the enclosing values: to find a value that holds itself

    def value(self, value: object, at: str, depth: int) -> Json:
        if (plain := _common_json(value)) is not _NOTHING:
            return plain
        if isinstance(value, Enum):
            return self.value(value.value, at, depth)
        if isinstance(value, str):
            return readable(str.__str__(value))
        if isinstance(value, int):
            return self._integer(value, at)
        if isinstance(value, float):
            return _float(float(value))
        return self._container_or_object(value, at, depth)

    def _member(self, value: object, at: str, name: str | int, depth: int) -> Json:
        """Convert a value inside another. Most are plain: skip making their pointers."""
        plain = _common_json(value)
        return plain if plain is not _NOTHING else self.value(value, f"{at}/{_pointer_step(name)}", depth + 1)

    def _list(self, values: Iterable[object], at: str, depth: int) -> list[Json]:
        return [self._member(value, at, index, depth) for index, value in enumerate(values)]

    def _integer(self, value: int, at: str) -> Json:
        if -INTEGER_MAX <= value <= INTEGER_MAX:
            return int(value)
        try:
            return str(int(value))
        except ValueError:  # Python converts no integer of more than 4,300 digits to text
            return self._problem(hex(value), at, "out_of_range", "is an integer of thousands of digits")

    def _container_or_object(self, value: object, at: str, depth: int) -> Json:
        """Convert a value that holds other values, or that offers a plainer form of itself."""
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
                # Sorted, so that equal sets give equal JSON in every process.
                return sorted(self._list(value, at, depth), key=calls.encode)
            return self._other(value, at, depth)
        except Exception as error:  # of the author's classes: a mapping that changes meanwhile, a model that raises
            detail = f"is a {_name(value)} that could not be read ({type(error).__name__})"
            return self._problem(value, at, "no_rule", detail)
        finally:
            self._open.discard(id(value))

    def _other(self, value: object, at: str, depth: int) -> Json:
        plain = _plainer_form(value)
        if plain is not _NOTHING and type(plain) is not type(value):
            return self.value(plain, at, depth + (not isinstance(plain, dict)))
        hint = ": make a list of it" if isinstance(value, Iterator) else ""
        made = self._problem(value, at, "no_rule", f"is a {_name(value)}, which JSON has no form for{hint}")
        if fields := getattr(value, "__dict__", None):
            count = len(self.problems)
            made["fields"] = self.value(dict(fields), at, depth + 1)
            del self.problems[count:]  # one problem is enough for the whole object
        return made

    def _object(self, value: Mapping[Any, object], at: str, depth: int) -> dict[str, Json]:
        made: dict[str, Json] = {}
        for name, item in value.items():
            key = readable(name) if type(name) is str else self._key(name, at)
            if key in made:
                self._problem(item, f"{at}/{_pointer_step(key)}", "duplicate_key", "is the name of two members")
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
            self.problems.append(FieldProblem(at, code, detail))
        try:
            text = repr(value)
        except Exception as error:  # of the author's classes, or nested too deeply
            text = f"repr: {type(error).__name__}"
        return {"$python": readable(text[:REPR_MAX])}


_NOTHING = object()


def _common_json(value: object) -> Json:
    """Return a value of a common JSON type in sendable form; `_NOTHING` if it needs more conversion."""
    kind = type(value)
    if kind is str:
        return readable(str(value))
    if value is None or kind is bool:
        return value
    if isinstance(value, int):
        return value if kind is int and -INTEGER_MAX <= value <= INTEGER_MAX else _NOTHING
    return value if kind is float and isinstance(value, float) and math.isfinite(value) else _NOTHING


def _copy_of_json(value: object, depth: int) -> Json:
    """Copy a value of exact JSON types as the converter would; `_NOTHING` if only the converter can judge it."""
    kind = type(value)
    if kind is not dict and kind is not list:
        return _common_json(value)
    if depth > DEPTH_MAX:
        return _NOTHING
    try:
        if isinstance(value, dict):
            return _copy_of_object(value, depth)
        return _copy_of_list(value, depth) if isinstance(value, list) else _NOTHING
    except RuntimeError:  # another thread of the author changes it meanwhile: the converter says so
        return _NOTHING


def _copy_of_object(value: dict[Any, object], depth: int) -> Json:
    made: dict[str, Json] = {}
    for name, item in value.items():
        # Two names may become the same once they are readable: the converter reports that.
        if type(name) is not str or not name.isascii() or "\0" in name:
            return _NOTHING
        if type(item) is str and item.isascii() and "\0" not in item:
            made[name] = item
        elif (copy := _copy_of_json(item, depth + 1)) is _NOTHING:
            return _NOTHING
        else:
            made[name] = copy
    return made


def _copy_of_list(values: Iterable[object], depth: int) -> Json:
    made: list[Json] = []
    for value in values:
        if (copy := _copy_of_json(value, depth + 1)) is _NOTHING:
            return _NOTHING
        made.append(copy)
    return made


def _pointer_step(name: str | int) -> str:
    """Encode one step of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1") if isinstance(name, str) else str(name)


def _float(value: float) -> Json:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _plainer_form(value: object) -> object:
    """Return an object's plainer form, by the first conversion that it offers; `_NOTHING` if it offers none."""
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
    for name in ("to_dicts", "tolist", "item"):  # Polars; arrays and scalars of NumPy, pandas, PyTorch, JAX
        if callable(convert := getattr(value, name, None)):
            return convert()
    return _NOTHING


def _text_of(value: object) -> str | None:
    """Return the text of a value that is a string in JSON; None if it is not one."""
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
        return str(value)  # Pydantic: a URL, or a secret, which masks itself
    return None


def _rfc3339(moment: datetime) -> str:
    """Format with the offset; without a zone it counts as UTC, because the machine's zone is not part of the value."""
    text, offset = moment.isoformat(), moment.utcoffset()
    if offset is None:
        return text + "Z"
    if offset % timedelta(minutes=1):  # local times before time zones; RFC 3339 has no seconds in offsets
        return (moment - offset).replace(tzinfo=None).isoformat() + "Z"
    return text if offset else text.removesuffix("+00:00") + "Z"


def _name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
