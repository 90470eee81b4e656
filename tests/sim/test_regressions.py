"""Regressions: plays cases that failed once again, each with the faults that it needed.

A case is a file in `regressions/`, as written by `swarmkeeper simulate` and played by `--replay`. `stories.toml` says
what each case tests, and which planted bug (bugs.py) shows that it still finds such a bug.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.sim import cases
from swarmkeeper.sim.run import Case, run
from tests.sim.bugs import BUGS

FOLDER = Path(__file__).parent / "regressions"
STORIES: dict[str, dict[str, Any]] = tomllib.loads((FOLDER / "stories.toml").read_text(encoding="utf-8"))


def case_of(name: str) -> Case:
    return cases.from_json(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_a_fixed_regression_stays_fixed(name: str) -> None:
    outcome = run(case_of(name))

    assert outcome.violation is None, (STORIES[name]["about"], outcome.violation)
    assert set(outcome.faults) == set(case_of(name).faults or ()), "the story has changed: its faults do not strike"


@pytest.mark.parametrize("name", sorted(name for name, story in STORIES.items() if "bug" in story))
def test_a_regression_finds_the_bug_that_it_is_kept_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = BUGS[STORIES[name]["bug"]]
    bug.plant(monkeypatch)
    case = case_of(name)

    outcome = run(replace(case, scenario=replace(case.scenario, heal_hours=0)))

    assert bug.finds(outcome), outcome.violation


def test_each_regression_has_a_description() -> None:
    assert sorted(STORIES) == sorted(path.stem for path in FOLDER.glob("*.json"))
    assert all(story["about"] for story in STORIES.values())
