"""`simulate` as it is typed: what it prints, what it leaves behind, and what it ends with."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from swarmkeeper.sim import many, scenario_files
from swarmkeeper.sim.run import run
from tests.cli.shell import Said, Shell
from tests.sim.bugs import BUGS

SCENARIO = """
tasks_per_hour = 120
tasks_max = 3
hours = 0.1
size = 4
planned_by_client = 1
shapes = {join = 1}
evaluation = {none = 1}
approvals = {none = 1}
deadline = 0
executors = {count = 1, capacity = 1, work_seconds = 10}
people = {cancel = 0, pause = 0}
faults = []

[targets]
completion_p50_seconds_max = 3600
"""


@pytest.fixture
def mine(shell: Shell) -> Shell:
    """A shell where there is a small scenario without faults."""
    (shell.folder / "mine.toml").write_text(SCENARIO)
    return shell


def simulated(shell: Shell, *words: str) -> Said:
    return shell("simulate", "mine.toml", "--start", "7", *words)


def test_json_is_the_violations_and_runs_and_nothing_else(mine: Shell) -> None:
    said = simulated(mine, "--seeds", "2", "--json")

    assert said.code == 0
    assert said.out.count("\n") == 1
    assert set(said.json) == {"violations", "runs"}
    assert said.json["violations"] == 0
    assert [one["seed"] for one in said.json["runs"]] == [7, 8]
    for one in said.json["runs"]:
        assert len(one["trace_hash"]) == 64
        assert set(one["trace_hash"]) <= set("0123456789abcdef")
    assert "seeds 7 to 8" in said.err


def test_the_same_seed_gives_the_same_hash_and_processes_make_no_difference(mine: Shell) -> None:
    one = simulated(mine, "--seeds", "2", "--json").json
    two = simulated(mine, "--seeds", "2", "--json", "--jobs", "2").json

    assert one == two


def test_a_seed_that_is_not_given_is_drawn_and_told(mine: Shell) -> None:
    said = mine("simulate", "mine.toml", "--json")

    assert said.err.startswith(f"seed {said.json['runs'][0]['seed']}\n")


def test_without_a_scenario_the_standard_one_is_played_and_hours_and_faults_are_those_given(shell: Shell) -> None:
    calm = shell("simulate", "--start", "3", "--hours", "0.05", "--faults", "none", "--json").json["runs"][0]
    wild = shell("simulate", "--start", "3", "--hours", "0.05", "--faults", "all", "--json").json["runs"][0]

    assert calm["faults"] == 0
    assert calm["boots"] == 1
    assert wild["faults"] > 0
    assert 0.05 * 3600 < calm["virtual_seconds"] < 3 * 3600


def test_people_read_figures_and_what_is_tight(mine: Shell) -> None:
    said = simulated(mine)

    assert said.code == 0
    assert said.out.startswith("mine: 1 run of 0.1 virtual hours\n")
    assert "Completion, half within" in said.out
    assert "bottleneck: executors" in said.out
    assert "target held: completion_p50_seconds_max" in said.out
    assert "virtual hours" in said.err


def test_reports_are_written_as_their_names_say_with_one_more_bot(mine: Shell) -> None:
    said = simulated(mine, "--report", "a.html", "--report", "a.json", "--report", "junit")

    assert said.code == 0
    assert (mine.folder / "a.html").read_text().startswith("<!doctype html>")
    assert json.loads((mine.folder / "a.json").read_text())["one_more_bot"]["utilisation"]
    assert "<testsuite" in (mine.folder / "simulation.xml").read_text()
    assert "one more of the executors: completion, half within" in said.out


# ---- what it ends with ---------------------------------------------------------------------------------------------


def test_a_violation_is_told_shrunk_kept_and_played_again(mine: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        BUGS["double-release"].plant(patch)
        said = simulated(mine, "--json", "--report", "a.xml")
        again = mine("simulate", "--replay", "violation-7.json")
        as_json = mine("simulate", "--replay", "violation-7.json", "--json")

    assert said.code == again.code == as_json.code == 11
    assert said.json["violations"] == 1
    broken = said.json["runs"][0]["violation"]
    assert broken["invariant"] in BUGS["double-release"].found_by
    assert "VIOLATION with seed 7" in said.err
    assert "replay: swarmkeeper simulate --replay violation-7.json" in said.err
    assert "trace of " in said.err
    assert "swarmkeeper simulate mine.toml --start 7" in (mine.folder / "a.xml").read_text()
    assert broken["invariant"] in again.out
    assert as_json.json["violations"] == 1

    healed = mine("simulate", "--replay", "violation-7.json")
    assert healed.code == 0
    assert "seed 7: all invariants held" in healed.out


def test_the_test_that_is_left_behind_fails_until_it_is_mended(mine: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        BUGS["double-release"].plant(patch)
        simulated(mine)
        found = runpy.run_path(str(mine.folder / "test_violation_7.py"))
        (test,) = (one for name, one in found.items() if name.startswith("test_"))
        with pytest.raises(AssertionError):
            test()

    test()


def test_a_run_that_cannot_be_repeated_ends_with_12(mine: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert simulated(mine, "--check-determinism", "--json").json["runs"][0]["deterministic"] is True

    hashes = iter(["a" * 64, "b" * 64])
    monkeypatch.setattr(many, "run", lambda *given, **more: replace(run(*given, **more), trace_hash=next(hashes)))
    said = simulated(mine, "--check-determinism", "--json")

    assert said.code == 12
    assert said.json["runs"][0]["deterministic"] is False
    assert "NOT DETERMINISTIC with seed 7" in said.err


def test_a_missed_target_ends_with_13_where_it_was_asked_for(mine: Shell) -> None:
    (mine.folder / "mine.toml").write_text(SCENARIO.replace("3600", "1"))

    assert simulated(mine).code == 0
    missed = simulated(mine, "--targets", "--json")
    assert missed.code == 13
    assert "target missed: completion_p50_seconds_max" in missed.err

    (mine.folder / "mine.toml").write_text(SCENARIO)
    assert simulated(mine, "--targets").code == 0


def test_a_sweep_plays_the_same_seeds_with_each_number_of_bots(mine: Shell) -> None:
    told = simulated(mine, "--sweep", "executors=1..3", "--json")
    shown = simulated(mine, "--sweep", "executors=1..3")

    assert told.code == shown.code == 0
    assert [(one["seed"], one["executors"]) for one in told.json["runs"]] == [(7, 1), (7, 2), (7, 3)]
    assert len({one["trace_hash"] for one in told.json["runs"]}) == 3
    heading, *rows = shown.out.splitlines()
    assert heading.startswith("EXECUTORS  TASKS PER HOUR")
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]


def test_a_seed_is_replayed_with_its_trace(mine: Shell) -> None:
    said = mine("simulate", "mine.toml", "--replay", "7")

    assert said.code == 0
    assert "task.submitted t1" in said.out
    assert said.out.endswith("seed 7: all invariants held\n")


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--level", "http"], "--level http is not there"),
        (["--level", "moon"], "--level is core or http"),
        (["--bots", "mine.py:swarm"], "--bots is not there"),
        (["none.toml"], "none.toml: the file cannot be read"),
        (["nothing"], "there is no scenario of that name"),
        (["--faults", "bot.smoke"], "there are no faults `bot.smoke`"),
        (["--faults", ""], "there are no faults ``"),
        (["--hours", "nan"], "a number of hours above 0"),
        (["--hours", "0"], "a number of hours above 0"),
        (["--seeds", "0"], "--seeds"),
        (["--report", "out.pdf"], ".html, .json or .xml"),
        (["--report", "none/out.html"], "there is no such folder"),
        (["--sweep", "executors=3..2"], "executors=2..12"),
        (["--sweep", "people=1..2"], "executors=2..12"),
        (["--sweep", "evaluators=1..2"], "reviewers"),
        (["--sweep", "executors=1..2", "--report", "a.json"], "do not go together"),
        (["--sweep", "executors=1..2", "--targets"], "do not go together"),
        (["--replay", "7", "--sweep", "executors=1..2"], "do not go together"),
        (["--replay", "7", "--seeds", "2"], "plays one case"),
        (["--replay", "none.json"], "none.json: the file cannot be read"),
        (["--replay", "none.json", "--hours", "1"], "the file says which"),
        (["--targets"], "this scenario has no targets"),
    ],
)
def test_what_cannot_be_done_is_refused_as_usage(shell: Shell, words: list[str], why: str) -> None:
    said = shell("simulate", *words)

    assert said.code == 2
    assert said.out == ""
    assert why in said.err


@pytest.mark.parametrize("text", ["[]", "{}", '{"seed": "x"}', '{"seed": 1, "scenery": {}}', "{", "[" * 100_000])
def test_a_file_that_is_no_case_cannot_be_replayed(shell: Shell, text: str) -> None:
    (shell.folder / "case.json").write_text(text)

    said = shell("simulate", "--replay", "case.json")

    assert said.code == 2
    assert "case.json: this is not a case" in said.err


def test_a_scenario_with_a_mistake_is_refused_by_its_place(mine: Shell) -> None:
    (mine.folder / "mine.toml").write_text(SCENARIO.replace("count = 1", "count = 0"))

    said = simulated(mine)

    assert said.code == 2
    assert "mine.toml: `executors.count` must be at least 1" in said.err


def test_yaml_without_its_library_says_what_to_install(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario_files, "find_spec", lambda name: None)

    said = shell("simulate", "research")

    assert said.code == 1
    assert "pip install pyyaml" in said.err


def test_nothing_is_left_behind_where_all_held(mine: Shell) -> None:
    simulated(mine)

    assert [one.name for one in Path(mine.folder).iterdir()] == ["mine.toml"]
