"""How Python values become JSON, and which have no JSON form."""

import array
import collections
import dataclasses
import enum
import json
import math
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, HttpUrl, SecretStr

from swarmkeeper.sdk.attempts.sendable import Unsendable, _Converter, cut, readable, sendable
from swarmkeeper.sdk.connection.calls import encode
from swarmkeeper.sdk.errors import FieldProblem
from swarmkeeper.wire.parsing.strict import parse_json


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int
    y: float


@dataclasses.dataclass
class Word:
    text: str
    at: datetime


class Model(BaseModel):
    word: str
    when: date
    key: SecretStr
    url: HttpUrl


class Scalar:
    """A scalar as in NumPy: neither `int` nor `float`, with a method `item`."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def item(self) -> Any:
        return self._value


class Vector:
    def __init__(self, *values: Any) -> None:
        self._values = values

    def tolist(self) -> list[Any]:
        return list(self._values)


class PandasFrame:
    columns = ("a", "b")

    def to_dict(self, orient: str = "dict") -> Any:
        return [{"a": Scalar(1), "b": math.nan}] if orient == "records" else {"a": {0: Scalar(1)}, "b": {0: math.nan}}


class PolarsFrame:
    columns = ("a",)

    def to_dicts(self) -> list[dict[str, Any]]:
        return [{"a": date(2026, 1, 1)}]


MOMENT = datetime(2026, 1, 31, 12, 0, 0, 500_000, UTC)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, None),
        (True, True),
        (2**53, 2**53),
        (2**53 + 1, "9007199254740993"),
        (-(2**70), "-1180591620717411303424"),
        (1.5, 1.5),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        ("a\0b", "a\\u0000b"),
        ("lone \ud83d and \udc80", "lone \\ud83d and \\udc80"),
        ("pair \ud83d\ude00", "pair \U0001f600"),
        (MOMENT, "2026-01-31T12:00:00.500000Z"),
        (MOMENT.astimezone(timezone(timedelta(hours=2))), "2026-01-31T14:00:00.500000+02:00"),
        (MOMENT.astimezone(timezone(timedelta(seconds=90))), "2026-01-31T12:00:00.500000Z"),
        (MOMENT.replace(tzinfo=None), "2026-01-31T12:00:00.500000Z"),
        (date(2026, 1, 31), "2026-01-31"),
        (time(12, 30), "12:30:00"),
        (timedelta(minutes=1, milliseconds=500), 60.5),
        (b"\xff\0", "/wA="),
        (bytearray(b"a"), "YQ=="),
        (memoryview(b"abc")[::2], "YWM="),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Decimal("1.10"), "1.10"),
        (PurePosixPath("/a/b"), "/a/b"),
        (ip_address("::1"), "::1"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Point(1, math.nan), {"x": 1, "y": "NaN"}),
        (Word("a\0", MOMENT), {"text": "a\\u0000", "at": "2026-01-31T12:00:00.500000Z"}),
        (
            Model(word="w", when=date(2026, 1, 1), key=SecretStr("s3cret"), url=HttpUrl("http://a.example/b")),
            {"word": "w", "when": "2026-01-01", "key": "**********", "url": "http://a.example/b"},
        ),
        ((1, (2,)), [1, [2]]),
        ({"b", "a", 3}, ["a", "b", 3]),
        (frozenset({(1, 2)}), [[1, 2]]),
        ({"b": 1, "a": 2}.keys(), ["b", "a"]),
        (range(3), [0, 1, 2]),
        (collections.deque([1]), [1]),
        (array.array("d", [1.5]), [1.5]),
        ({1: "a", 2.5: "b", False: "c", None: "d"}, {"1": "a", "2.5": "b", "false": "c", "null": "d"}),
        ({Colour.RED: 1, date(2026, 1, 1): 2}, {"red": 1, "2026-01-01": 2}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (Scalar(1.5), 1.5),
        (Scalar(math.nan), "NaN"),
        (Vector(Scalar(1), Vector(2, 3)), [1, [2, 3]]),
        (PandasFrame(), [{"a": 1, "b": "NaN"}]),
        (PolarsFrame(), [{"a": "2026-01-01"}]),
        (ValueError("no such page"), "ValueError: no such page"),
    ],
)
def test_common_python_types_become_json(value: object, form: object) -> None:
    made = sendable({"here": [value]})

    assert made == {"here": [form]}
    assert repr(made["here"][0]) == repr(form)  # to Python, true is 1


class Circle:
    def __init__(self) -> None:
        self.radius = 2


class Raising:
    def model_dump(self) -> Any:
        raise RuntimeError("not now")


class Changing(dict[str, int]):
    def items(self) -> Any:
        yield "a", 1
        raise RuntimeError("dictionary changed size during iteration")


def a_ring() -> list[Any]:
    ring: list[Any] = []
    ring.append({"next": ring})
    return ring


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "where", "code", "detail"),
    [
        ({"a/b": [Circle()]}, "/output/a~1b/0", "no_rule", f"is a {__name__}.Circle, which JSON has no form for"),
        (
            {"g": (n for n in [1])},
            "/output/g",
            "no_rule",
            "is a generator, which JSON has no form for: make a list of it",
        ),
        ({"c": Circle}, "/output/c", "no_rule", "is a type, which JSON has no form for"),
        ({"f": print}, "/output/f", "no_rule", "is a builtin_function_or_method, which JSON has no form for"),
        ({"r": Raising()}, "/output/r", "no_rule", f"is a {__name__}.Raising that could not be read (RuntimeError)"),
        (
            {"m": Changing(a=1)},
            "/output/m",
            "no_rule",
            f"is a {__name__}.Changing that could not be read (RuntimeError)",
        ),
        (a_ring(), "/output/0/next", "cycle", "holds itself"),
        (nested(65), "/output" + "/0" * 64, "too_deep", "is nested deeper than 64"),
        ({1: "a", "1": "b"}, "/output/1", "duplicate_key", "is the name of two members"),
        ({(1, 2): "a"}, "/output", "no_rule", "has a tuple as the name of a member"),
        ({"n": 10**5000}, "/output/n", "out_of_range", "is an integer of thousands of digits"),
    ],
)
def test_a_value_without_a_json_form_is_refused_with_its_place(
    value: object, where: str, code: str, detail: str
) -> None:
    with pytest.raises(Unsendable) as caught:
        sendable(value, "the output", at="/output")

    assert caught.value.problems == (FieldProblem(where, code, detail),)
    assert json.loads(encode(caught.value.kept))


def test_the_kept_value_holds_the_fields_of_an_object() -> None:
    with pytest.raises(Unsendable) as caught:
        sendable({"found": [Circle()], "words": 3})

    assert caught.value.kept["words"] == 3
    assert caught.value.kept["found"][0]["fields"] == {"radius": 2}


def test_the_same_part_twice_is_no_cycle() -> None:
    part = {"a": 1}

    assert sendable([part, part]) == [part, part]


def test_the_depth_limit_is_the_orchestrators() -> None:
    body = encode({"output": sendable(nested(63), inside=1)})

    parse_json(body, limit=1 << 20)
    with pytest.raises(Unsendable):
        sendable(nested(64), inside=1)


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.binary()
odd = plain | st.datetimes() | st.dates() | st.decimals() | st.uuids() | st.timedeltas() | st.complex_numbers()
keys = st.text(st.characters(codec=None)) | st.integers() | st.floats() | st.booleans() | st.none() | st.dates()


@given(st.recursive(odd, lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner)))
def test_the_orchestrator_takes_every_converted_value_unchanged(value: object) -> None:
    try:
        made = sendable({"output": value})
    except Unsendable as error:
        made = error.kept  # it is written to a file

    assert parse_json(encode(made), limit=1 << 24) == made
    assert encode(sendable(made)) == encode(made)


def test_a_cut_text_ends_with_its_full_length() -> None:
    assert cut("x" * 100, 100) == "x" * 100
    assert cut("x" * 101, 100) == "x" * 77 + "… [cut: 101 characters]"


def test_readable_text_is_left_alone() -> None:
    assert readable("Größe 😀") == "Größe 😀"


_TEXTS = st.text(st.sampled_from("ab~/\0é\ud83d\ude00\udc80"), max_size=4)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS | st.integers(0, 2), inner, max_size=3),
    max_leaves=8,
)


@given(_VALUES, st.integers(0, 64))
def test_the_quick_copy_of_plain_json_is_what_the_converter_makes(value: Any, inside: int) -> None:
    converter = _Converter()
    expected = converter.value(value, "", inside + 1)
    problems: tuple[FieldProblem, ...] = ()
    try:
        made = sendable(value, inside=inside)
    except Unsendable as error:
        problems, made = error.problems, error.kept

    assert [str(problem) for problem in problems] == [str(problem) for problem in converter.problems]
    assert encode(made) == encode(expected)
    assert made is not value or not isinstance(value, dict | list)
