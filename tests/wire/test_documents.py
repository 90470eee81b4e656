"""Hand-written files: parsing any content ends soon, with a value or an error."""

import json
import tracemalloc
from typing import Any

import pytest

from swarmkeeper.wire.parsing.documents import MIB, Unreadable, parse

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = (
    "a: &a {"
    + ", ".join(f"k{n}: 1" for n in range(50))
    + "}\n"
    + "".join(
        f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 20)}]}}\n"
        for before, name in zip("abcdefg", "bcdefgh", strict=True)
    )
)
LONG_TEXT = f"a: &a {'x' * 20_000}\nb: [{', '.join(['*a'] * 1_000)}]"


@pytest.mark.parametrize(
    ("text", "ending", "problem"),
    [
        (LAUGHS, ".yaml", "it is too large"),
        (MERGES, ".yaml", "`<<` copies too much"),
        ("a: &a {b: 1}\nc: {<<: [" + ", ".join(["*a"] * 101) + "]}", ".yaml", "`<<` copies too many mappings"),
        (LONG_TEXT, ".yaml", "it is too large"),
        ("a: &a [*a]", ".yaml", "it refers to itself"),
        ("[" * 100_000, ".yaml", "it is nested too deeply"),
        ("a: " * 5_000, ".yaml", "mapping values are not allowed"),
        ("- " * 5_000 + "x", ".yaml", "it is nested too deeply"),
        ("[" * 100_000 + "]" * 100_000, ".json", "it is nested too deeply"),
        ("a = " + "[" * 5_000 + "]" * 5_000, ".toml", "it is nested too deeply"),
        ("x" * (MIB + 1), ".yaml", "a YAML file may have at most 1 MiB"),
        ("a: 1\na: 2", ".yaml", "line 2, column 1: `a` appears twice"),
        ('{"a": 1, "a": 2}', ".json", "`a` appears twice"),
        ("a: 2001-99-99", ".yaml", "cannot be parsed"),
        ("a: !!python/object/apply:os.system [x]", ".yaml", "could not determine a constructor"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_a_hostile_file_is_refused_before_it_takes_memory(text: str, ending: str, problem: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable) as refused:
            parse(text, ending)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert problem in str(refused.value)
    assert len(str(refused.value)) < 200
    assert most < 100 * MIB


@pytest.mark.parametrize(
    ("text", "ending", "value"),
    [
        ("a: &a {b: 1}\nc: {<<: *a, d: 2}", ".yaml", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("a: &a [1, 2]\nb: *a", ".yml", {"a": [1, 2], "b": [1, 2]}),
        ("a = 1", ".toml", {"a": 1}),
        (json.dumps({"a": ["x" * 1000] * 10_000}), ".json", {"a": ["x" * 1000] * 10_000}),
    ],
)
def test_ordinary_files_are_read(text: str, ending: str, value: Any) -> None:
    assert parse(text, ending) == value
