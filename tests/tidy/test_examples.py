"""`make test` uses the same examples on every machine and each time; findings of `make explore` can be repeated."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from tests.examples import EXPLORED, examples

TESTS = Path(__file__).parent.parent
EXPLORE = TESTS.parent / "scripts" / "explore.py"


@pytest.fixture
def explore() -> ModuleType:
    found = importlib.util.spec_from_file_location("explore", EXPLORE)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_usual_examples_depend_neither_on_chance_nor_on_earlier_runs() -> None:
    usual = settings.get_profile("swarmkeeper")

    assert usual.derandomize
    assert usual.database is None


def test_exploring_draws_new_examples_and_more_of_each() -> None:
    exploring = settings.get_profile("explore")

    assert not exploring.derandomize
    assert exploring.max_examples == EXPLORED > settings.get_profile("swarmkeeper").max_examples


def own_settings(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "hypothesis":
            yield from (node.lineno for name in node.names if name.name == "settings")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = ast.unparse(node.func)
            if called in ("hypothesis.settings", "random.Random", "Random"):
                yield from () if node.args and called != "hypothesis.settings" else (node.lineno,)


def test_no_test_sets_its_own_number_of_examples_or_seed() -> None:
    allowed = {TESTS / "examples.py", TESTS / "conftest.py", Path(__file__)}

    found = [
        f"{file.relative_to(TESTS)}:{line}"
        for file in sorted(TESTS.rglob("*.py"))
        if file not in allowed
        if re.search(r"\b(settings|Random)\b", text := file.read_text(encoding="utf-8"))  # parsing takes long
        for line in own_settings(ast.parse(text))
    ]

    assert found == []


def test_the_number_of_examples_is_a_share_of_what_the_profile_says() -> None:
    assert examples(50).max_examples == 50 * settings().max_examples // 100


def test_exploring_prints_the_command_that_repeats_a_finding(
    explore: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    finds = [sys.executable, "-c", "print('the ' + 'example'); raise SystemExit(1)"]
    passes = [sys.executable, "-c", "print('all' + ' well')"]
    monkeypatch.setattr(explore, "parts", lambda seed, jobs: [("a", [*finds, str(seed)]), ("b", passes)])
    clock = count()

    found = explore.rounds(41, 10, jobs=1, now=lambda: next(clock))

    said = capfd.readouterr().out
    assert len(found) == 1
    assert found[0].startswith("a: ")
    assert found[0].endswith(" 41")
    assert "round 1, seed 41" in said
    assert "round 2, seed 42" in said
    assert said.count("the example") == 1
    assert "all well" not in said


def test_exploring_ends_when_its_time_is_up(explore: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explore, "parts", lambda seed, jobs: [("a", [sys.executable, "-c", "pass"])])
    clock = count()

    assert explore.rounds(41, 5, jobs=1, now=lambda: next(clock)) == []
    assert next(clock) < 10


def test_exploring_plays_in_full_what_is_usually_played_in_part(explore: ModuleType) -> None:
    """A larger number that nothing plays proves nothing."""
    commands = [" ".join(command) for _, command in explore.parts(77, 1) if "-m" not in command]
    asking = {
        str(file.relative_to(TESTS.parent)) for file in TESTS.rglob("test_*.py") if "exploring()" in file.read_text()
    } - {str(Path(__file__).relative_to(TESTS.parent))}

    assert {file for file in asking if not any(file in command for command in commands)} == set()
    assert asking


def test_each_part_repeats_with_its_seed(explore: ModuleType) -> None:
    commands = [" ".join(command) for _, command in explore.parts(77, 1)]

    assert all("77" in command for command in commands)
    assert any("--hypothesis-seed=77" in command for command in commands)
    assert any("--start 77" in command for command in commands)
