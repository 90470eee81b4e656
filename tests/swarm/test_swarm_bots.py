"""From a swarm file to an accepted result, with scripted models and a complete orchestrator; and `swarm check`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from swarmkeeper.cli.commands import app
from swarmkeeper.swarm.bots import CannotBuild, build
from swarmkeeper.swarm.check import check
from swarmkeeper.swarm.file import load
from swarmkeeper.testing.swarm import run_swarm

EXAMPLE = Path(__file__).with_name("example.toml")
KEYS = {"ANTHROPIC_API_KEY": "a-key-0001", "OPENAI_API_KEY": "b-key-0001", "PATH": "/usr/bin:/bin:/usr/local/bin"}
SCRIPTED = """
[models.scripted]
use = ["python:script.py:answer"]
max_concurrent = 2

[[bots]]
type = "planner"
model = "scripted"

[[bots]]
type = "executor"
name = "writer"
skills = ["write"]
model = "scripted"
tools = ["python:script.py:look_up"]
output = "schema.json"
replicas = 2
capacity = 2

[[bots]]
type = "evaluator"
model = "scripted"
criteria = ["it names the height"]
"""
SCRIPT = '''
from pydantic_ai.messages import ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.usage import RequestUsage


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: 330 m"


def answer(messages, info):
    used = RequestUsage(input_tokens=10)
    fields = info.output_tools[0].parameters_json_schema["properties"]
    if "steps" in fields:
        said = {"steps": [{"key": "find", "description": "Find the height.", "skill": "write"}]}
    elif "judgements" in fields:
        quote = {"subtask": "find", "quote": "330 m"}
        judged = {"criterion": 1, "met": True, "reason": "yes", "evidence": [quote]}
        said = {"decision": "accept", "judgements": [judged]}
    else:
        found = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
        if not found:
            return ModelResponse(parts=[ToolCallPart("look_up", {"word": "tower"})], usage=used)
        said = {"claim": found[-1].content}
    return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, said)], usage=used)
'''


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    (tmp_path / "swarm.toml").write_text(SCRIPTED)
    (tmp_path / "script.py").write_text(SCRIPT)
    schema = {"type": "object", "properties": {"claim": {"type": "string"}}, "required": ["claim"]}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    return tmp_path / "swarm.toml"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A file and all that it names."""
    shutil.copy(EXAMPLE, tmp_path / "swarm.toml")
    (tmp_path / "tools.py").write_text("def fetch(page: str) -> str:\n    return page\n")
    (tmp_path / "finding.json").write_text('{"type": "object"}')
    (tmp_path / "prices.toml").write_text('models."http://localhost:11434/v1#qwen3" = { input = 0, output = 0 }')
    return tmp_path / "swarm.toml"


def found(file: Path, environ: dict[str, str] | None = None) -> list[tuple[str, str, str]]:
    return [(each.at, each.severity, each.what) for each in check(file, KEYS if environ is None else environ)]


def test_a_swarm_file_plans_does_and_judges_a_task(scripted: Path) -> None:
    bots = build(load(scripted), environ={})

    assert [bot.name for bot in bots] == ["planner", "writer-1", "writer-2", "evaluator"]
    assert set(load(scripted).owners()) == {bot.name for bot in bots}
    (task,) = run_swarm(bots, [{"title": "How high is the tower?"}])
    assert task.outcome == "accepted"
    assert task.result == {"find": {"claim": "tower: 330 m"}}
    assert task.usage.tokens == 40
    assert task.usage.cost_micro_usd == 0  # the price of this model is unknown


def test_a_price_beside_the_file_is_counted(scripted: Path) -> None:
    (scripted.parent / "prices.toml").write_text('models."python:script.py:answer" = { input = 2, output = 1 }')

    (task,) = run_swarm(build(load(scripted), environ={}), [{"title": "How high?"}])

    assert task.usage.cost_micro_usd == 80


def test_the_bots_of_a_model_share_its_pace_and_no_connection(example: Path) -> None:
    bots: list[Any] = list(build(load(example), environ=KEYS))
    one, other = (bot._agent.model for bot in bots[1:3])

    assert one is not other
    assert one._pace is other._pace


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: (file.parent / "schema.json").unlink(), "bots\\[1\\]: output: there is no file"),
        (lambda file: (file.parent / "script.py").write_text("x = 1"), "bots\\[0\\]: .* has no answer"),
        (lambda file: file.write_text(SCRIPTED.replace("schema.json", "../schema.json")), "outside the folder"),
        (lambda file: file.write_text(SCRIPTED.replace("schema.json", "script.py")), "is not JSON"),
    ],
)
def test_a_bot_that_cannot_be_made_is_named(scripted: Path, change: Any, said: str) -> None:
    change(scripted)

    with pytest.raises(CannotBuild, match=said):
        build(load(scripted), environ={})


def test_a_complete_swarm_has_no_problem(example: Path) -> None:
    assert found(example) == []
    assert len(build(load(example), environ=KEYS)) == 4


def test_missing_keys_files_prices_and_programs_are_named(example: Path) -> None:
    for name in ("tools.py", "finding.json", "prices.toml"):
        (example.parent / name).unlink()

    problems = found(example, {"PATH": "/nowhere", "OPENAI_API_KEY": "x"})

    assert [(at, severity) for at, severity, _ in problems] == [
        ("models.main.use[0]", "error"),
        ("models.small.use[0]", "warning"),
        ("bots[1].tools[1]", "error"),
        ("bots[1].output", "error"),
        ("tools.search.mcp.command", "error"),
    ]
    assert "ANTHROPIC_API_KEY is not set" in problems[0][2]
    assert "unpriced" in problems[1][2]


def test_every_problem_of_check_has_the_line_of_its_place(example: Path) -> None:
    text = example.read_text()
    (example.parent / "tools.py").write_text("def fetsch(): pass")

    (problem,) = check(example, KEYS)

    assert (problem.line, problem.what) == (
        text[: text.index('"python:tools')].count("\n") + 1,
        "tools.py has no fetch",
    )


WITH_WORKTREE = """
[[bots]]
type = "executor"
skills = ["code.change"]
command = ["sh", "-c", "echo two > a.txt; echo done"]
worktree = true
"""


def test_a_program_with_a_worktree_changes_the_repository_of_the_swarm_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def git(*words: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@y"]
        return subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    (tmp_path / "swarm.toml").write_text(WITH_WORKTREE)
    assert [problem.at for problem in check(tmp_path / "swarm.toml", KEYS) if problem.severity == "error"] == [
        "bots[0].worktree"
    ]
    (tmp_path / "a.txt").write_text("one\n")
    git("init", "-qb", "main")
    git("add", "a.txt")
    git("commit", "-qm", "Begin")
    assert not [problem for problem in check(tmp_path / "swarm.toml", KEYS) if problem.severity == "error"]
    subtask = {"key": "change", "description": "Write two", "required_skills": ["code.change"]}

    [task] = run_swarm(
        build(load(tmp_path / "swarm.toml")), [{"title": "t", "evaluation": "none", "subtasks": [subtask]}]
    )

    assert task.result is not None
    assert git("show", f"{task.result['change']['branch']}:a.txt") == "two\n"
    assert (tmp_path / "a.txt").read_text() == "one\n"


DEFINITIONS = (
    "fetch = 3",
    "from x import fetch",
    "from x import *",
    "async def fetch(): ...",
    "if 1:\n  def fetch(): ...",
    "try:\n  import fetch\nexcept ImportError:\n  fetch = None",
)


@pytest.mark.parametrize("code", DEFINITIONS)
def test_a_name_is_found_without_running_the_file(example: Path, code: str) -> None:
    (example.parent / "tools.py").write_text(f"{code}\nraise SystemExit('this file was run')")

    assert found(example) == []


@pytest.mark.parametrize("code", ["class A:\n  def fetch(self): ...", "def a():\n  fetch = 1", "import a.fetch"])
def test_a_name_within_something_else_is_not_found(example: Path, code: str) -> None:
    (example.parent / "tools.py").write_text(code)

    assert [at for at, _, _ in found(example)] == ["bots[1].tools[1]"]


def test_a_swarm_that_cannot_finish_a_task_is_warned_about(scripted: Path) -> None:
    without_evaluator = SCRIPTED[: SCRIPTED.index('[[bots]]\ntype = "evaluator"')]
    scripted.write_text(without_evaluator.replace('type = "planner"', 'type = "evaluator"'))
    warned = [what for _, severity, what in found(scripted) if severity == "warning"]
    assert any("no planner" in what for what in warned)

    scripted.write_text(without_evaluator)
    assert any("no evaluator" in what for _, _, what in found(scripted))


def test_prices_that_cannot_be_used_are_an_error(example: Path) -> None:
    (example.parent / "prices.toml").write_text("models = 3")

    assert ("", "error") in [(at, severity) for at, severity, _ in found(example)]


def test_the_command_prints_each_problem_with_file_and_line_and_exits_by_them(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(example.parent)

    good = CliRunner().invoke(app, ["swarm", "check"])
    example.write_text(example.read_text().replace("max_subtasks", "max_subtask"))
    bad = CliRunner().invoke(app, ["swarm", "check", "swarm.toml"])

    assert (good.exit_code, good.stdout) == (0, "swarm.toml: 4 bots, no error\n")
    assert bad.exit_code == 1
    assert (
        bad.stdout.splitlines()[0]
        == "swarm.toml:15: bots[0].max_subtask: there is no such field; did you mean max_subtasks?"
    )


def test_the_command_says_the_same_in_json(scripted: Path) -> None:
    scripted.write_text(SCRIPTED.replace("max_concurrent = 2", "max_concurrent = 0"))

    result = CliRunner().invoke(app, ["swarm", "check", str(scripted), "--json"])

    said = json.loads(result.stdout)
    assert (result.exit_code, said["ok"]) == (1, False)
    assert said["problems"][0]["at"] == "models.scripted.max_concurrent"
    assert said["problems"][0]["line"] == 4
