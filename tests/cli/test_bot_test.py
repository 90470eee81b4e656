"""`bot test`: each rule has its line, and the exit code says whether one is broken."""

import json
import sys
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.support.async_forks import fork_programs

BOTS = Path(__file__).parents[1] / "testing"


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let bots be forks. That of the first test is started as a user's is."""
    fork_programs(monkeypatch)


def test_a_bot_of_the_sdk_is_tested(shell: Shell) -> None:
    done = shell("bot", "test", f"{BOTS / 'bots.py'}:WordCount", "--only", "reports,repeats_a_report")

    assert done.code == 0
    assert [line.split(":")[0] for line in done.out.splitlines()] == [
        "ok        registers",
        "ok        reports",
        "ok        repeats_a_report",
    ]


def test_a_violated_rule_is_reported_and_exits_with_11(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULT", "drops_cancelled_work")
    command = f"{sys.executable} {BOTS / 'plain_bot.py'}"

    done = shell("bot", "test", "--command", command, "--only", "drops_cancelled_work", "--patience", "4", "--json")

    assert done.code == 11
    assert done.json["conforms"] is False
    assert done.json["checks"][-1]["result"] == "failed"


@pytest.mark.usefixtures("forks")
def test_the_work_for_the_bot_comes_from_a_file(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "work.json"
    subtask = {"description": "", "input": {"text": "a b"}, "required_skills": ["count"]}
    file.write_text(json.dumps({"title": "count", "subtasks": [subtask]}))

    done = shell("bot", "test", f"{BOTS / 'bots.py'}:WordCount", "--only", "reports", "--work", str(file))

    assert done.code == 0


@pytest.mark.parametrize("words", [[], ["a.py:A", "--command", "b"], ["--command", " "], ["a.py", "--only", "nothing"]])
def test_exactly_one_bot_or_command_must_be_named(shell: Shell, words: list[str]) -> None:
    assert shell("bot", "test", *words).code == 2


def test_a_command_that_cannot_be_started_is_reported_on_one_line(shell: Shell) -> None:
    done = shell("bot", "test", "--command", "./no-such-bot", "--only", "registers")

    assert (done.code, done.err) == (2, "error[no_bot]: --command cannot be started: No such file or directory\n")


@pytest.mark.usefixtures("forks")
def test_invalid_work_is_refused_with_its_place(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "work.json"
    file.write_text('{"title": "x", "titel": "x"}')

    done = shell("bot", "test", f"{BOTS / 'bots.py'}:WordCount", "--only", "reports", "--work", str(file))

    assert done.code == 2
    assert done.err.startswith("error[work]: --work:")
    assert "/titel: is not a field here" in done.err
