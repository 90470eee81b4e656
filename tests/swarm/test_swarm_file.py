"""Swarm files: what they say, every problem with its line, and the published schema.

`python -m tests.swarm.test_swarm_file` rewrites the published schema.
"""

from __future__ import annotations

import json
import os
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.swarm.check import check
from swarmkeeper.swarm.file import BadSwarmFile, load, schema
from swarmkeeper.swarm.positions import of_toml, of_yaml

EXAMPLE = Path(__file__).with_name("example.toml").read_text(encoding="utf-8")
PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "reference" / "swarm.schema.json"


def published() -> str:
    return json.dumps(schema(), indent=2) + "\n"


def problems_of(tmp_path: Path, text: str, name: str = "swarm.toml") -> list[tuple[int, str, str]]:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadSwarmFile) as caught:
        load(file)
    return [(problem.line, problem.at, problem.what) for problem in caught.value.problems]


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_a_file_says_which_bots_models_and_owners_there_are(tmp_path: Path) -> None:
    (tmp_path / "swarm.toml").write_text(EXAMPLE)

    swarm = load(tmp_path / "swarm.toml")

    assert swarm.swarm.budget.limits()["cost_micro_usd"] == 2_500_000
    assert swarm.owners() == {
        "planner": "contributors",
        "research-1": "contributors",
        "research-2": "contributors",
        "evaluator": "evaluators",
    }
    assert set(swarm.skills()) == {"research", "write"}
    assert swarm.folder == tmp_path


def test_yaml_says_the_same_as_toml(tmp_path: Path) -> None:
    (tmp_path / "swarm.toml").write_text(EXAMPLE)
    (tmp_path / "swarm.yaml").write_text(yaml.safe_dump(tomllib.loads(EXAMPLE)))

    assert load(tmp_path / "swarm.yaml") == load(tmp_path / "swarm.toml")


@pytest.mark.parametrize(
    ("right", "wrong", "at", "what"),
    [
        ('model = "main"\nmax', 'model = "mayn"\nmax', "bots[0].model", "did you mean main?"),
        ("max_subtasks", "max_subtask", "bots[0].max_subtask", "did you mean max_subtasks?"),
        ("requests = 20", "requests = 0", "bots[1].limits.requests", "greater than or equal to 1"),
        ('"mcp:search"', '"mcp:seerch"', "bots[1].tools[0]", "did you mean search?"),
        ('"python:tools.py:fetch"', '"tools.fetch"', "bots[1].tools[1]", "a tool is python:FILE.py:FUNCTION"),
        ('skill = "research" }', 'skill = "fly" }', "bots[0].examples[0].steps[0].skill", "no executor has the skill"),
        ('after = ["read"]', 'after = ["compare"]', "bots[0].examples[0].steps[1].after[0]", "not an earlier step"),
        ("max_subtasks = 3", "max_subtasks = 1", "bots[0].examples[0].steps", "has 2 steps, and max_subtasks is 1"),
        ('"openai:gpt-5.2"', '"gpt-5.2"', "models.main.use[1]", "a model is provider:name"),
        ('v1#qwen3"', 'v1"', "models.small.use[0]", "with the model's name behind a #"),
        ('type = "evaluator"', 'type = "judge"', "bots[2]", "planner, executor or evaluator"),
        ('model = "small"', 'model = "small"\nowner = "contributors"', "bots[2].owner", "nobody judges their own work"),
        ("replicas = 2", "replicas = 2\nworktree = true", "bots[1]", "worktree has no effect on an executor with"),
        ("cost_usd = 2.50", "cost_usd = -1", "swarm.budget.cost_usd", "greater than 0"),
    ],
)
def test_each_problem_is_named_with_its_place_and_line(
    tmp_path: Path, right: str, wrong: str, at: str, what: str
) -> None:
    assert right in EXAMPLE
    text = EXAMPLE.replace(right, wrong, 1)

    (problem,) = problems_of(tmp_path, text)

    assert problem[1] == at
    assert what in problem[2]
    own_line = wrong.splitlines()[-1] if "owner" in wrong else wrong
    where = line_of(text, '[[bots]]\ntype = "executor"') if at == "bots[1]" else line_of(text, own_line)
    expected = {"bots[2]": line_of(text, '[[bots]]\ntype = "judge"') if "judge" in text else 0}.get(at, where)
    assert problem[0] == (line_of(text, "steps = [") if at.endswith(".steps") else expected)


def test_several_problems_are_told_at_once_in_order(tmp_path: Path) -> None:
    text = EXAMPLE.replace("attempts = 60", "attempt = 60").replace("replicas = 2", "replica = 2")

    problems = problems_of(tmp_path, text)

    assert [at for _, at, _ in problems] == ["swarm.budget.attempt", "bots[1].replica"]
    assert [line for line, _, _ in problems] == sorted(line for line, _, _ in problems)


def test_a_key_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    ((_, at, what),) = problems_of(
        tmp_path, EXAMPLE.replace("requests_per", 'api_key = "sk-very-secret-1"\nrequests_per')
    )

    assert at == "models.main.api_key"
    assert "come from the environment" in what
    assert "secret-1" not in what


@pytest.mark.parametrize("address", ["http://user:pass@host/v1#m", "http://host/v1?key=abc#m"])
def test_an_address_with_a_key_is_refused_and_not_repeated(tmp_path: Path, address: str) -> None:
    ((_, at, what),) = problems_of(tmp_path, EXAMPLE.replace("http://localhost:11434/v1#qwen3", address))

    assert at == "models.small.use[0]"
    assert "pass" not in what
    assert "abc" not in what


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("swarm.toml", '[swarm]\nx = "', 2),
        ("swarm.toml", "[swarm]\n[swarm]\n", 2),
        ("swarm.yaml", "swarm:\n  a: 1\n  a: 2\n", 3),
        ("swarm.yaml", "swarm: [", 1),
        ("swarm.yaml", "- 1", 1),
        ("swarm.json", "{}", 1),
    ],
)
def test_a_file_that_cannot_be_parsed_says_where(tmp_path: Path, name: str, text: str, line: int) -> None:
    ((found, _, what),) = problems_of(tmp_path, text, name)

    assert found == line
    assert what


def test_a_yaml_problem_has_the_line_of_its_value(tmp_path: Path) -> None:
    text = yaml.safe_dump(tomllib.loads(EXAMPLE), sort_keys=False).replace("mcp:search", "mcp:seerch")

    ((line, at, _),) = problems_of(tmp_path, text, "swarm.yaml")

    assert at == "bots[1].tools[0]"
    assert line == line_of(text, "mcp:seerch")


def test_a_directory_a_pipe_and_a_missing_file_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for name, said in (("pipe.toml", "no plain file"), ("absent.toml", "cannot be read"), ("d.toml", "no plain file")):
        if name == "d.toml":
            (tmp_path / name).mkdir()
        with pytest.raises(BadSwarmFile, match=said):
            load(tmp_path / name)


def test_yaml_aliases_that_grow_without_end_are_refused(tmp_path: Path) -> None:
    names = "abcdefghijklmno"
    grown = "".join(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in pairwise(names))
    text = f"a: &a [x, x]\n{grown}"

    problems = problems_of(tmp_path, text, "swarm.yaml")

    assert "too large" in problems[0][2]


def test_two_bots_cannot_have_one_name(tmp_path: Path) -> None:
    text = EXAMPLE.replace('type = "evaluator"', 'type = "evaluator"\nname = "research-2"')

    ((line, at, what),) = problems_of(tmp_path, text)

    assert (at, line) == ("bots[2].name", line_of(text, 'name = "research-2"'))
    assert "two bots with the name research-2" in what


names = st.text(alphabet="ab.\"' #", max_size=3)
values = st.recursive(
    st.integers() | st.booleans() | st.text(alphabet="ab\"'#[]{}=,\n\\", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(alphabet="ab.\"' ", min_size=1, max_size=3), values, max_size=4), st.integers(0, 3))
def test_the_line_of_every_toml_value_is_found(document: dict[str, Any], blanks: int) -> None:
    lines: list[str] = []
    expected: dict[str, int] = {}
    for name, value in document.items():
        lines += ["# not = here"] * blanks
        expected[name] = len("\n".join(lines).splitlines()) + 1 if lines else 1
        lines.append(f"{json.dumps(name)} = {_written(value)} # [x]")
    text = "\n".join(lines)
    assert tomllib.loads(text) == document

    positions = of_toml(text)

    assert {name: positions.line((name,)) for name in document} == expected


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_written(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return json.dumps(value)


def test_positions_follow_tables_and_arrays_of_tables() -> None:
    text = 'a.b = 1\n[[t]]\nx = """\n[[t]]\n"""\n[t.u]\ny = [\n 1,\n {z = 2},\n]\n[[t]]\n"q.r" = \'#\'\n'
    positions = of_toml(text)

    assert positions.line(("a", "b")) == 1
    assert positions.line(("t", 0)) == 2
    assert positions.line(("t", 0, "x")) == 3
    assert positions.line(("t", 0, "u", "y", 1, "z")) == 9
    assert positions.line(("t", 1, "q.r")) == 12
    assert positions.line(("t", 1, "nothing", 3)) == 11
    assert of_yaml("a:\n  - b: 1\n").line(("a", 0, "b")) == 2


def test_the_published_schema_is_the_one_of_the_records() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == published()
    jsonschema_rs.meta.validate(schema())
    parts = (schema(), *schema()["$defs"].values())
    fields = [(name, field) for part in parts for name, field in part["properties"].items()]
    assert {name for name, field in fields if "description" not in field} == {"type"}
    assert jsonschema_rs.validator_for(schema()).is_valid(tomllib.loads(EXAMPLE))
    assert not jsonschema_rs.validator_for(schema()).is_valid(tomllib.loads(EXAMPLE.replace("[[bots]]", "[[bot]]")))


def test_tools_of_an_executor_with_the_local_model_are_an_error_for_it_calls_none(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("def look() -> str:\n    return ''\n")
    (tmp_path / "swarm.toml").write_text(
        '[models.m]\nuse = ["local"]\n[[bots]]\ntype = "executor"\nskills = ["s"]\nmodel = "m"\n'
        'tools = ["python:tools.py:look"]\n'
    )

    errors = [problem for problem in check(tmp_path / "swarm.toml", {}) if problem.severity == "error"]

    assert [(problem.line, problem.what) for problem in errors] == [(7, "the model `local` calls no tools")]


if __name__ == "__main__":
    PUBLISHED.write_text(published(), encoding="utf-8")
