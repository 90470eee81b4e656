"""`calibrate` as it is typed: from the feed of a real server to a scenario for `simulate`, and to an error."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest

from tests.cli.conftest import Running
from tests.cli.shell import Server, Shell

BOT = """
from swarmkeeper import Done, ExecutorBot


class Echo(ExecutorBot):
    skills = {"say"}
    capacity = 3

    async def execute(self, subtask, context):
        context.use(tokens=42)
        return Done({"said": subtask.description})
"""

# Two tasks of one client, a minute apart, each done by one bot; nothing else happens.
FEED = "".join(
    json.dumps(
        {
            "id": str(10 * number + at),
            "type": f"io.swarmkeeper.{kind}.v1",
            "time": f"2026-01-01T00:{number:02}:{seconds:02}Z",
            "subject": f"tasks/tsk_{number}",
            "data": data,
        }
    )
    + "\n"
    for number in range(1, 41)
    for at, (kind, seconds, data) in enumerate(
        [
            ("task.submitted", 0, {}),
            ("task.planned", 0, {"count": 1, "keys": ["a"]}),
            ("work.unblocked", 0, {"count": 1, "keys": ["a"]}),
            ("work.leased", 5, {"key": "a", "kind": "execute", "bot": "bot_1", "attempt": 1, "round": 1}),
            ("work.succeeded", 35, {"key": "a", "kind": "execute", "bot": "bot_1", "attempt": 1, "round": 1}),
            ("task.accepted", 35, {"outcome": "accepted"}),
        ]
    )
)


@pytest.fixture
def fed(shell: Shell) -> Shell:
    (shell.folder / "feed.jsonl").write_text(FEED)
    return shell


def test_the_feed_of_a_real_server_becomes_a_scenario_that_can_be_played(
    at: Shell, running: Running, tmp_path: Path
) -> None:
    (tmp_path / "echo_bot.py").write_text(BOT)
    environ = {"SWARMKEEPER_URL": running.url, "SWARMKEEPER_API_KEY": running.key}
    bot = Server("bot", "run", "echo_bot.py:Echo", "--name", "calibrated", folder=tmp_path, environ=environ)
    try:
        for _ in range(2):
            assert at("submit", "say it", "--skill", "say", "--no-review", "--wait").code == 0
    finally:
        bot.stop()
    (at.folder / "feed.jsonl").write_text(at("task", "events", "--json").out)

    said = at("calibrate", "feed.jsonl", "-o", "mine.yaml")
    of_store = at("calibrate", running.store.removeprefix("sqlite:///"), "--json")

    assert (said.code, said.out) == (0, "")
    assert "note: tokens: what attempts used is not in the feed" in said.err
    assert "# - faults: none are played" in (at.folder / "mine.yaml").read_text()
    assert at("simulate", "mine.yaml", "--start", "1", "--hours", "0.01").code == 0
    assert of_store.code == 0
    assert of_store.json["tasks"] >= 2
    assert of_store.json["scenario"]["executors"]["tokens"] > 0
    assert not any(note.startswith(("tokens:", "capacity:")) for note in of_store.json["notes"])


def test_without_a_file_the_scenario_goes_to_stdout_and_notes_to_stderr(
    fed: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = fed("calibrate", "feed.jsonl")
    monkeypatch.setattr(sys, "stdin", StringIO(FEED))
    of_stdin = fed("calibrate", "-")

    assert said.code == 0
    assert "\ntasks_per_hour: 60.63  # 40 tasks in 0.66 hours\n" in said.out
    assert '\nname: "feed"\n' in said.out
    assert "note: faults: none are played" in said.err
    assert "note: arrivals: tasks came evenly" in said.err
    assert of_stdin.out == said.out.replace('name: "feed"', 'name: "calibrated"')


def test_a_back_test_prints_each_error_and_exits_with_13_if_one_is_too_large(fed: Shell) -> None:
    said = fed("calibrate", "feed.jsonl", "--back-test", "--seeds", "1")
    strict = fed("calibrate", "feed.jsonl", "--back-test", "--seeds", "1", "--json", "--error-max", "0.0001")

    assert said.code == 0
    assert said.out.startswith(
        "back-test: calibrated on the 28 tasks of the first 0.462 h; 1 play, held against the 0.198 h"
    )
    assert "Tasks that end in an hour" in said.out
    assert strict.code == 13
    assert "error beyond 0.0001: tasks_per_hour" in strict.err
    figure = strict.json["back_test"]["figures"]["completion_p50_seconds"]
    assert figure["measured"] == 35
    assert figure["error_percent"] == pytest.approx(100 * (figure["simulated"]["median"] - 35) / 35)
    assert strict.json["back_test"]["in_sample"] is False
    assert strict.json["scenario"]["executors"]["durations"][0] == 30


def test_a_back_test_of_a_short_recording_is_marked_in_sample(fed: Shell) -> None:
    said = fed("calibrate", "feed.jsonl", "--back-test", "--seeds", "1", "--hold-back", "0.05", "--error-max", "100000")

    assert said.code == 0
    assert said.out.startswith("back-test IN-SAMPLE: 1 play, held against the recording itself")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("absent.jsonl",), "error[bad_feed]: absent.jsonl: the file cannot be read"),
        (("bad.jsonl",), "error[bad_feed]: bad.jsonl: line 241: this is not JSON"),
        (("empty.jsonl",), "error[bad_feed]: empty.jsonl: there is no event in it"),
        (("feed.jsonl", "-o", "mine.json"), "error[output]: --output: expected a name that ends in .yaml or .toml"),
        (("feed.jsonl", "-o", "no/mine.yaml"), "error[output]: --output: no such folder"),
        (("feed.jsonl", "--seeds", "2"), "error[flags]: --seeds needs --back-test"),
        (("feed.jsonl", "--error-max", "2"), "error[flags]: --error-max needs --back-test"),
        (("feed.jsonl", "--back-test", "--error-max", "nan"), "expected a percentage of at least 0"),
        (("feed.jsonl", "--back-test", "--hold-back", "1"), "expected a share between 0 and 1"),
    ],
)
def test_an_unusable_recording_is_refused_with_its_place(fed: Shell, words: tuple[str, ...], message: str) -> None:
    (fed.folder / "bad.jsonl").write_text(FEED + "{\n")
    (fed.folder / "empty.jsonl").write_text("\n")

    said = fed("calibrate", *words)

    assert said.code == 2
    assert message in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"count": 1', '"count": -5', "line 2: the event's `data.count` is not what it should be"),
        ('"count": 1', f'"count": {10**30}', "line 2: the event's `data.count` is not what it should be"),
        ('"round": 1', '"round": NaN', "line 4: this is not JSON"),
        ("2026-01-01T00:40", "9999-01-01T00:40", "its values cannot be played: `heal_hours` must be at most 8760"),
        ("2026-01-01T00:40", "2026-13-01T00:40", "the event's `time` is not a time"),
    ],
)
def test_a_feed_with_invalid_values_is_refused(fed: Shell, before: str, after: str, message: str) -> None:
    (fed.folder / "feed.jsonl").write_text(FEED.replace(before, after))

    said = fed("calibrate", "feed.jsonl")

    assert (said.code, said.out) == (2, "")
    assert message in said.err


def test_a_key_with_thousands_of_digits_is_not_a_number_of_reviewers(fed: Shell) -> None:
    (fed.folder / "feed.jsonl").write_text(FEED.replace('"key": "a"', f'"key": "review/{"9" * 5_000}"'))

    assert fed("calibrate", "feed.jsonl").code == 0


@pytest.mark.parametrize("row", ["'x', '{}'", "5, '[]'", "5, '{'", '5, \'{"count": "x"}\''])
def test_a_database_of_another_program_is_not_a_store(shell: Shell, row: str) -> None:
    with closing(sqlite3.connect(shell.folder / "theirs.db")) as store:
        store.executescript(
            "CREATE TABLE event (seq, at, kind, task, work, actor, body, tenant);"
            "CREATE TABLE attempt (work, attempt, usage); CREATE TABLE bot (id, capacity);"
            "INSERT INTO event (seq, kind, task, at, body) VALUES (1, 'task.submitted', 't', " + row + ");"
        )

    said = shell("calibrate", "theirs.db")

    assert (said.code, said.out) == (2, "")
    assert "this is not a store of swarmkeeper" in said.err


def test_a_feed_may_come_through_a_pipe(fed: Shell) -> None:
    os.mkfifo(fed.folder / "pipe")
    with subprocess.Popen(["sh", "-c", "cat feed.jsonl > pipe"], cwd=fed.folder):
        said = fed("calibrate", "pipe", "--json")

    assert said.json["tasks"] == 40


def test_jobs_without_a_back_test_are_refused(fed: Shell) -> None:
    assert "--jobs needs --back-test" in fed("calibrate", "feed.jsonl", "--jobs", "2").err
