"""Every example is a bot that works."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

import swarmkeeper
from tests.sdk.script import lease, orchestrator, served

EXAMPLES = Path(__file__).parents[2] / "examples"
TEXTS = {"title": "Count", "input": {"texts": ["to be", "or not to be"]}}

Json = Any


@pytest.fixture(autouse=True)
def _not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Replace `run`: it only marks the bot."""
    monkeypatch.setattr(swarmkeeper, "run", lambda bot: setattr(bot, "handed_over", True))
    monkeypatch.setenv("JOURNAL", str(tmp_path / "journal.jsonl"))


def reported(name: str, given: Json) -> Json:
    """Return what the example's bot reports for this lease."""
    found = runpy.run_path(str(EXAMPLES / name)).values()
    bots = [each for each in found if isinstance(each, swarmkeeper.BaseBot)]
    # A class is handed over as an instance that no name of the file keeps.
    bots += [each() for each in found if isinstance(each, type) and each.__module__ == "<run_path>"]
    script = orchestrator(given)
    served(script, *bots)
    [report] = script.to("POST", "/tasks/tsk_1/results")
    return report.body


def test_word_count() -> None:
    assert reported("word_count.py", lease())["output"] == {"words": 4}


def test_the_toy_planner_plans() -> None:
    plan = reported("toy_planner.py", lease(kind="plan", task=TEXTS))["plan"]

    assert [subtask["key"] for subtask in plan["subtasks"]] == ["count.1", "count.2", "total"]


def test_the_toy_planner_says_what_it_needs() -> None:
    assert reported("toy_planner.py", lease(kind="plan"))["error"]["class"] == "not_retryable"


def test_the_toy_executor_counts_and_adds_up() -> None:
    assert reported("toy_executor.py", lease())["output"] == {"words": 4}
    assert reported("toy_executor.py", lease(upstream={"a": {"words": 2}, "b": {"words": 4}}))["output"] == {"words": 6}
    assert reported("toy_executor.py", lease(input={}))["error"]["class"] == "not_retryable"


@pytest.mark.parametrize(("words", "decision"), [(6, "accept"), (7, "rework")])
def test_the_toy_evaluator_counts_again(words: int, decision: str) -> None:
    review = {"of": "task", "results": {"total": {"words": words}}}

    verdict = reported("toy_evaluator.py", lease(kind="review", task=TEXTS, review=review))["verdict"]

    assert verdict["decision"] == decision


def test_hooks_redact_and_keep_a_journal(tmp_path: Path) -> None:
    assert reported("hooks.py", lease(input={"text": "ask ada@example.org"}))["output"] == {"text": "ASK …"}

    journal = (tmp_path / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in journal][:3] == ["registered", "leased", "submitted"]


def test_every_example_is_tested_here() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")

    assert [example.name for example in EXAMPLES.glob("*.py") if f'"{example.name}"' not in tests] == []
