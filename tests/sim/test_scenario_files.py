"""Scenario files: valid fields, refusals with the field's name, and the published schema.

`python -m tests.sim.test_scenario_files` rewrites the published schema.
"""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from swarmkeeper.sim.play.scenarios import SCENARIOS
from swarmkeeper.sim.rehearse import scenario_files
from swarmkeeper.sim.rehearse.scenario_files import BadScenario, find, made, read, schema, shipped

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "reference" / "scenario.schema.json"


def published() -> str:
    return json.dumps(schema(), indent=2) + "\n"


def test_the_published_schema_is_the_one_that_files_are_checked_against() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == published()
    jsonschema_rs.meta.validate(schema())
    for part in (schema(), *schema()["$defs"].values()):
        assert all("description" in field for field in part["properties"].values())


def test_three_scenarios_are_shipped_and_two_of_them_have_targets() -> None:
    assert shipped() == ["code-review", "research", "standard"]
    asked = {name: find(name).targets != scenario_files.Targets() for name in shipped()}
    assert asked == {"code-review": True, "research": True, "standard": False}
    assert {find(name).scenario.name for name in shipped()} == set(shipped())


def test_the_standard_scenario_is_what_its_file_says() -> None:
    assert find("standard").scenario == SCENARIOS["standard"]


def test_missing_fields_are_as_in_the_standard_scenario() -> None:
    found = made({"executors": {"count": 7}, "bounds": {"lease_seconds": 9}}, name="mine").scenario
    standard = SCENARIOS["standard"]

    assert (found.name, found.executors.count, found.bounds.lease_seconds) == ("mine", 7, 9)
    assert found.executors.work_seconds == standard.executors.work_seconds
    assert found.executors.retryable == standard.executors.retryable
    assert (found.planners, found.people, found.hours) == (standard.planners, standard.people, standard.hours)


def test_yaml_toml_and_json_give_the_same_scenario(tmp_path: Path) -> None:
    plain: dict[str, Any] = {"name": "mine", "hours": 2, "executors": {"count": 7}, "targets": {"utilisation_max": 0.5}}
    (tmp_path / "a.json").write_text(json.dumps(plain))
    (tmp_path / "a.yaml").write_text("name: mine\nhours: 2\nexecutors: {count: 7}\ntargets: {utilisation_max: 0.5}")
    (tmp_path / "a.toml").write_text(
        'name = "mine"\nhours = 2\n[executors]\ncount = 7\n[targets]\nutilisation_max = 0.5'
    )

    assert read(tmp_path / "a.json") == read(tmp_path / "a.yaml") == read(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("plain", "why"),
    [
        ([], "an object of fields"),
        ({"executers": {}}, "there is no `executers`; is `executors` meant?"),
        ({"executors": {"cuont": 1}}, "there is no `executors.cuont`; is `count` meant?"),
        ({"executors": 3}, "`executors` must be an object"),
        ({"executors": {"count": 0}}, "`executors.count` must be at least 1"),
        ({"planned_by_client": 1.01}, "`planned_by_client` must be at most 1"),
        ({"hours": 0}, "`hours` must be above 0"),
        ({"hours": "six"}, "`hours` must be a number"),
        ({"hours": float("nan")}, "`hours` must be a number"),
        ({"faults": ["bot.smoke"]}, "`faults.0` must be one of bot.crash"),
        ({"shapes": {"tree": 1}}, "`shapes` has an unknown key"),
        ({"shapes": {"one": 0}}, "`shapes`: at least one weight must be above 0"),
        ({"shapes": {}}, "`shapes` must not be empty"),
        ({"quorums": {"3/2": 1}}, "`quorums` has an unknown key"),
        ({"evaluators": {"count": 2}}, "`quorums` ask for 3 reviewers"),
        ({"verdicts": {"rework": 1}}, "`verdicts.accept` must be above 0"),
        ({"targets": {"usd_per_task_max": 1}}, "needs `prices.usd_per_million_tokens`"),
        ({"skills": []}, "without `skills`, `skilled` must be 0"),
        ({"task": {"title": "mine"}}, "`task.title`: tasks get the titles"),
        ({"task": {"inptu": {}}}, "`task.inptu`: "),
        ({"task": {"subtasks": [{"key": "a"}]}}, "`task.subtasks.0.description`: "),
        ({"task": {"subtasks": [{"key": "A b", "description": "x"}]}}, "`task.subtasks.0.key`: "),
        ({"task": {}}, "`task` must not be empty"),
        ({1: 2}, "JSON cannot express"),
    ],
)
def test_an_invalid_field_is_refused_by_its_name(plain: Any, why: str) -> None:
    with pytest.raises(BadScenario) as refused:
        made(plain, name="mine")

    assert why in str(refused.value)


# A YAML bomb: nested references that expand exponentially.
LAUGHS = "skills:\n- &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.yaml", "hours: 6\n  name: x", "a.yaml: line 2, column 7"),
        ("a.yaml", "a: !!python/object:os.system {}", "a.yaml: line 1, column 4"),
        ("a.toml", "hours = = 1", "line 1"),
        ("a.json", '{"hours": }', "line 1 column 11"),
        ("a.txt", "hours: 6", "written as .yaml, .toml or .json"),
        ("a.yaml", "hours: -1", "a.yaml: `hours` must be above 0"),
        ("a.yaml", "hours: 1\nname: x\nhours: 2", "a.yaml: line 3, column 1: `hours` appears twice"),
        ("a.json", '{"hours": 1, "hours": 2}', "a.json: `hours` appears twice"),
        ("a.yaml", LAUGHS, "a.yaml: it is too large"),
        ("a.yaml", "skills: &s [*s]", "a.yaml: it is too large, or it refers to itself"),
        ("a.yaml", "task: " + "{a: " * 2_000 + "1" + "}" * 2_000, "a.yaml: it is nested too deeply"),
        ("a.json", "[" * 100_000, "a.json: it is nested too deeply"),
        ("a.json", '{"hours": ' + "9" * 5_000 + "}", "a.json: a value cannot be parsed"),
        ("a.yaml", "hours: 1 #" + "x" * 2**20, "a.yaml: the file is too long"),
        ("a.yaml", "shapes: {one: 1.0e+308, flat: 1.0e+308}", "and their sum finite"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(tmp_path: Path, name: str, text: str, why: str) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(BadScenario) as refused:
        read(tmp_path / name)

    assert why in str(refused.value)


def test_a_missing_file_and_a_file_that_is_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")

    with pytest.raises(BadScenario, match="cannot be read"):
        read(tmp_path / "none.json")
    with pytest.raises(BadScenario, match="not UTF-8"):
        read(tmp_path / "bytes.json")
    with pytest.raises(BadScenario, match="shipped are code-review, research, standard"):
        find("nothing")
    with pytest.raises(BadScenario, match="there is no scenario of that name"):
        find("")


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")

    with pytest.raises(BadScenario, match=r"pipe\.yaml: this is not a file"):
        read(tmp_path / "pipe.yaml")


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    for name, text in (("a.json", '{"hours": 2}'), ("a.toml", "hours = 2"), ("a.yaml", "hours: 2")):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")

        assert read(tmp_path / name).scenario.hours == 2


def test_a_scenario_is_named_after_its_file_with_valid_letters(tmp_path: Path) -> None:
    for file, name in (("my <b>.yaml", "my--b-"), ("-.yaml", "scenario"), (f"{'x' * 99}.yaml", "x" * 64)):
        (tmp_path / file).write_text("hours: 2")

        assert read(tmp_path / file).scenario.name == name


if __name__ == "__main__":
    PUBLISHED.write_text(published(), encoding="utf-8")
