"""Makes the output of an agent sendable, by the SDK's own rule (`swarmkeeper docs outputs`), and stricter in one point.

A text becomes `{"text": …}`, a list `{"value": …}`. NaN and the infinities are refused: an agent that computes with
them has made a mistake, which nobody would see in the text "NaN".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from swarmkeeper.sdk.answers import OUTPUT_BYTES_MAX
from swarmkeeper.sdk.attempts.sendable import Unsendable, sendable, within
from swarmkeeper.sdk.errors import FieldProblem

Json = Any
_NOT_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})


def made_sendable(output: object) -> dict[str, Json]:
    """Return the output as a JSON object.

    Raises:
        Unsendable: a part has no JSON form, is not a finite number, or the whole is longer than 8 MiB. Let it pass: the
            SDK then fails the work for good, and keeps the raw output in a file that the failure names.
    """
    made = sendable(output, "the output", at="/output", inside=1)
    if isinstance(made, str):
        made = {"text": made}
    elif not isinstance(made, dict):
        made = {"value": made}
    if _NOT_NUMBERS & set(_texts(made)):
        problems = [FieldProblem(at, "not_finite", "is not a finite number") for at in _not_finite(output, "/output")]
        if problems:
            raise Unsendable("the output", problems[:50], made)
    within(made, OUTPUT_BYTES_MAX, "the output", at="/output")
    return made


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)


def _not_finite(value: object, at: str) -> Iterator[str]:
    """Yield the JSON Pointer of each number that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        yield at
    for name, inner in _members(value):
        step = str(name).replace("~", "~0").replace("/", "~1")
        yield from _not_finite(inner, f"{at}/{step}")


def _members(value: object) -> Iterator[tuple[object, object]]:
    if isinstance(value, str | bytes | bytearray | memoryview):
        return
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        yield from zip(value._fields, value, strict=False)
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from enumerate(value)
    elif callable(listed := getattr(value, "tolist", None)):  # arrays and scalars of NumPy and its like
        plain = listed()
        yield from enumerate(plain) if isinstance(plain, list) else [("", plain)]
    else:
        # Fields of models, dataclasses and attrs classes.
        names = getattr(type(value), "model_fields", None) or getattr(value, "__dataclass_fields__", None)
        names = names or getattr(type(value), "__struct_fields__", None) or getattr(value, "__dict__", {})
        for name in names:
            yield name, getattr(value, name, None)
