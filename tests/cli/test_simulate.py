"""`simulate` as it is typed: its output, its files, and its exit codes."""

from __future__ import annotations

import json
import re
import runpy
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import pytest

from swarmkeeper.sim import pool
from swarmkeeper.sim.run import run
from tests.cli.shell import SECONDS_MAX, Said, Server, Shell
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


BOTS = """
import asyncio, os, random, time
from swarmkeeper import Accept, Context, Done, EvaluatorBot, ExecutorBot, Plan, PlannerBot, SubTask, executor
from swarmkeeper.sim.invariants import invariant

class Boss(PlannerBot):
    async def plan(self, task):
        print("planning", task.input["about"])
        await asyncio.sleep(2)
        return Plan([SubTask(key="only", description="count", required_skills=["count"])])

class Counts(ExecutorBot):
    name = "counter"
    skills = {"count"}
    async def execute(self, subtask, context):
        await asyncio.sleep(10 + random.Random(context.work_id).random())
        context.use(tokens=7, cost_micro_usd=1_000_000)
        return Done({"n": 1})

def swarm():
    return [Boss(), Counts()]

@executor
async def clocked(subtask):
    return Done({"at": time.time()})

@executor
async def wavering(subtask):
    os.environ["WAVERING"] = "x" + os.environ.get("WAVERING", "")
    await asyncio.sleep(len(os.environ["WAVERING"]))
    return Done({})

@invariant("no task has a result")
def nothing_done(model, commit):
    for work in commit.works.values():
        if work.kind == "execute" and work.status == "SUCCEEDED":
            yield work.id, "it is done"
"""


@pytest.fixture
def mine(shell: Shell) -> Shell:
    """A shell whose folder contains a small scenario without faults."""
    (shell.folder / "mine.toml").write_text(SCENARIO)
    (shell.folder / "mine.py").write_text(BOTS)
    return shell


def simulated(shell: Shell, *words: str) -> Said:
    return shell("simulate", "mine.toml", "--start", "7", *words)


def test_json_contains_only_violations_and_runs(mine: Shell) -> None:
    said = simulated(mine, "--seeds", "2", "--json")

    assert said.code == 0
    assert said.out.count("\n") == 1
    assert set(said.json) == {"violations", "runs"}
    assert said.json["violations"] == 0
    assert [run["seed"] for run in said.json["runs"]] == [7, 8]
    for played in said.json["runs"]:
        assert len(played["trace_hash"]) == 64
        assert set(played["trace_hash"]) <= set("0123456789abcdef")
    assert "seeds 7 to 8" in said.err


def test_the_same_seed_gives_the_same_hash_with_any_number_of_processes(mine: Shell) -> None:
    first = simulated(mine, "--seeds", "2", "--json").json
    two = simulated(mine, "--seeds", "2", "--json", "--jobs", "2").json

    assert first == two


def test_without_a_seed_a_random_one_is_used_and_printed(mine: Shell) -> None:
    said = mine("simulate", "mine.toml", "--json")

    assert said.err.startswith(f"seed {said.json['runs'][0]['seed']}\n")


def test_without_a_scenario_the_standard_one_is_played_with_the_given_hours_and_faults(shell: Shell) -> None:
    calm = shell("simulate", "--start", "3", "--hours", "0.05", "--faults", "none", "--json").json["runs"][0]
    wild = shell("simulate", "--start", "3", "--hours", "0.05", "--faults", "all", "--json").json["runs"][0]

    assert calm["faults"] == 0
    assert calm["boots"] == 1
    assert wild["faults"] > 0
    assert 0.05 * 3600 < calm["virtual_seconds"] < 3 * 3600


def test_text_output_shows_figures_and_the_bottleneck(mine: Shell) -> None:
    said = simulated(mine)

    assert said.code == 0
    assert said.out.startswith("mine: 1 run of 0.1 virtual hours at level core\n")
    assert "Completion, half within" in said.out
    assert "bottleneck: executors" in said.out
    assert "target held: completion_p50_seconds_max" in said.out
    assert re.search(r"\n0\.\d virtual hours, \d+\.\d\d in a second of CPU\n$", said.out)


def test_the_report_lists_situations_and_the_faults_that_never_struck(mine: Shell) -> None:
    said = simulated(mine, "--faults", "net.delay,bot.late,orch.clock_jump", "--seeds", "2", "--report", "a.json")

    report = json.loads((mine.folder / "a.json").read_text())
    struck = [kind for kind, fault in report["faults"].items() if fault["times"]]
    assert 0 < len(struck) < 3
    for kind, fault in report["faults"].items():
        assert bool(fault["times"]) == bool(
            re.search(rf"^  {re.escape(kind)} +{fault['times']} +{fault['runs']}$", said.out, re.MULTILINE)
        )
        assert fault["times"] or re.search(rf"^  never: .*{re.escape(kind)}", said.out, re.MULTILINE)
    assert report["virtual_hours_per_cpu_second"] > 0
    assert "situations that were met:" in said.out


def test_the_ending_of_a_report_chooses_its_format_and_one_more_bot_is_compared(mine: Shell) -> None:
    said = simulated(mine, "--report", "a.html", "--report", "a.json", "--report", "junit")

    assert said.code == 0
    assert (mine.folder / "a.html").read_text().startswith("<!doctype html>")
    assert json.loads((mine.folder / "a.json").read_text())["one_more_bot"]["utilisation"]
    assert "<testsuite" in (mine.folder / "simulation.xml").read_text()
    assert "one more of the executors: completion, half within" in said.out


# ---- levels, bots and invariants of one's own ------------------------------------------------------------------------


def test_over_http_a_seed_is_another_run_and_the_replay_command_names_the_level(mine: Shell) -> None:
    core = simulated(mine, "--json").json["runs"][0]
    http = simulated(mine, "--level", "http", "--json", "--report", "a.json", "--report", "a.xml").json["runs"][0]

    assert http["trace_hash"] != core["trace_hash"]
    assert json.loads((mine.folder / "a.json").read_text())["level"] == "http"
    assert 'name="swarmkeeper simulate mine http"' in (mine.folder / "a.xml").read_text()


def test_the_users_bots_run_beside_random_ones(mine: Shell) -> None:
    (mine.folder / "mine.toml").write_text('task = {input = {about = "words"}}\n' + SCENARIO)
    said = simulated(mine, "--bots", "mine.py", "--json", "--report", "a.json", "--invariants", "mine.py")

    assert said.code == 11
    assert said.out.count("\n") == 1
    assert said.json["runs"][0]["violation"]["invariant"] == "nothing_done"
    assert said.json["runs"][0]["violation"]["words"] == "no task has a result"
    assert said.json["runs"][0]["violation"]["entity"].endswith("/only")
    assert "planning words" in said.err
    assert "work.leased t1/only                      counter" in said.err
    case = json.loads((mine.folder / "violation-7.json").read_text())
    assert (case["level"], case["bots"], case["invariants"]) == ("http", "mine.py", "mine.py")

    report = json.loads((mine.folder / "a.json").read_text())
    assert report["figures"]["usd_per_task"]["median"] == 1  # as the bot reported
    again = mine("simulate", "--replay", "violation-7.json")
    assert again.code == 11
    assert "nothing_done: no task has a result" in again.out
    with pytest.raises(AssertionError, match="nothing_done"):
        runpy.run_path(str(mine.folder / "test_violation_7.py"))["test_nothing_done_7"]()


def test_code_that_uses_the_real_world_is_refused_with_its_line(mine: Shell) -> None:
    said = simulated(mine, "--bots", "mine.py:clocked", "--json")

    assert (said.code, said.out) == (1, "")
    error = json.loads(said.err.splitlines()[-1])["error"]
    line = BOTS.splitlines().index('    return Done({"at": time.time()})') + 1
    assert error["code"] == "own_code"
    assert error["detail"].startswith(f"mine.py, line {line} reaches for time.time")
    assert "asyncio.get_running_loop().time()" in error["detail"]


# ---- what it ends with ---------------------------------------------------------------------------------------------


def test_a_violation_is_reported_shrunk_saved_and_replayed(mine: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_saved_test_fails_until_the_bug_is_fixed(mine: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        BUGS["double-release"].plant(patch)
        simulated(mine)
        found = runpy.run_path(str(mine.folder / "test_violation_7.py"))
        (test,) = (part for name, part in found.items() if name.startswith("test_"))
        with pytest.raises(AssertionError):
            test()

    test()


def test_a_run_that_cannot_be_repeated_ends_with_12(mine: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert simulated(mine, "--check-determinism", "--json").json["runs"][0]["deterministic"] is True

    hashes = iter(["a" * 64, "b" * 64])
    monkeypatch.setattr(pool, "run", lambda *given, **more: replace(run(*given, **more), trace_hash=next(hashes)))
    said = simulated(mine, "--check-determinism", "--json")

    assert said.code == 12
    assert said.json["runs"][0]["deterministic"] is False
    assert "NOT DETERMINISTIC with seed 7" in said.err


def test_with_targets_a_missed_target_exits_with_13(mine: Shell) -> None:
    (mine.folder / "mine.toml").write_text(SCENARIO.replace("3600", "1"))

    assert simulated(mine).code == 0
    missed = simulated(mine, "--targets", "--json")
    assert missed.code == 13
    assert "target missed: completion_p50_seconds_max" in missed.err

    (mine.folder / "mine.toml").write_text(SCENARIO)
    assert simulated(mine, "--targets").code == 0


def test_a_sweep_plays_the_same_seeds_with_each_number_of_bots(mine: Shell) -> None:
    swept = simulated(mine, "--sweep", "executors=1..3", "--json")
    shown = simulated(mine, "--sweep", "executors=1..3")

    assert swept.code == shown.code == 0
    assert [(run["seed"], run["executors"]) for run in swept.json["runs"]] == [(7, 1), (7, 2), (7, 3)]
    assert len({run["trace_hash"] for run in swept.json["runs"]}) == 3
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
        (["--level", "moon"], "--level must be core, http or process"),
        (["--level", "core", "--bots", "mine.py:swarm"], "cannot run at --level core"),
        (["--level", "process", "--check-determinism"], "--check-determinism cannot be used with --level process"),
        (["--level", "process", "--sweep", "executors=1..2"], "--sweep cannot be used with --level process"),
        (["--level", "process", "--report", "a.html"], "--report cannot be used with --level process"),
        (["--level", "process", "--invariants", "mine.py"], "--invariants cannot be used with --level process"),
        (["--level", "process", "--store", "file"], "--store cannot be used with --level process"),
        (["--store", "postgres"], "--store must be memory or file"),
        (["--bots", "none.py"], "none.py: the file cannot be read"),
        (["--bots", ""], "this is not a file"),
        ([""], "there is no scenario of that name"),
        (["--start", "10000000000000000000"], "--start"),
        (["--replay", "9" * 5_000], "the file cannot be read"),
        (["--sweep", "executors=490..510"], "at most 500 bots of a type"),
        (["--sweep", "executors=\u0663..\u0664"], "executors=2..12"),
        (["--invariants", "none.py"], "none.py: the file cannot be read"),
        (["none.toml"], "none.toml: the file cannot be read"),
        (["nothing"], "there is no scenario of that name"),
        (["--faults", "bot.smoke"], "no kind or family `bot.smoke`"),
        (["--faults", ""], "no kind or family ``"),
        (["--hours", "nan"], "a number of hours above 0"),
        (["--hours", "0"], "a number of hours above 0"),
        (["--seeds", "0"], "--seeds"),
        (["--report", "out.pdf"], ".html, .json or .xml"),
        (["--report", "none/out.html"], "no such folder"),
        (["--sweep", "executors=3..2"], "executors=2..12"),
        (["--sweep", "people=1..2"], "executors=2..12"),
        (["--sweep", "evaluators=1..2"], "reviewers"),
        (["--sweep", "executors=1..2", "--report", "a.json"], "cannot be used together"),
        (["--sweep", "executors=1..2", "--targets"], "cannot be used together"),
        (["--replay", "7", "--sweep", "executors=1..2"], "cannot be used together"),
        (["--replay", "7", "--seeds", "2"], "plays one case"),
        (["--replay", "none.json"], "none.json: the file cannot be read"),
        (["--replay", "none.json", "--hours", "1"], "the file sets scenario"),
        (["--targets"], "this scenario has no targets"),
    ],
)
def test_impossible_combinations_of_flags_are_usage_errors(shell: Shell, words: list[str], why: str) -> None:
    said = shell("simulate", *words)

    assert said.code == 2
    assert said.out == ""
    assert why in said.err


def test_two_tenants_are_measured_together_and_refused_at_level_process(mine: Shell) -> None:
    (mine.folder / "two.toml").write_text("tenants = 2\n" + SCENARIO)

    said = mine("simulate", "two.toml", "--start", "1", "--report", "two.html")
    refused = mine("simulate", "two.toml", "--level", "process")

    assert said.code == 0, said.err
    assert (mine.folder / "two.html").exists()
    assert refused.code == 2
    assert "--level process supports one tenant" in refused.err


@pytest.mark.parametrize("text", ["[]", "{}", '{"seed": "x"}', '{"seed": 1, "scenery": {}}', "{", "[" * 100_000])
def test_a_file_that_is_not_a_case_cannot_be_replayed(shell: Shell, text: str) -> None:
    (shell.folder / "case.json").write_text(text)

    said = shell("simulate", "--replay", "case.json")

    assert said.code == 2
    assert "case.json: not a case" in said.err


def test_a_scenario_with_a_mistake_is_refused_with_its_place(mine: Shell) -> None:
    (mine.folder / "mine.toml").write_text(SCENARIO.replace("count = 1", "count = 0"))

    said = simulated(mine)

    assert said.code == 2
    assert "mine.toml: `executors.count` must be at least 1" in said.err


def test_a_task_in_a_scenario_needs_level_http(mine: Shell) -> None:
    (mine.folder / "mine.toml").write_text("task = {priority = 1}\n" + SCENARIO)

    said = simulated(mine)

    assert said.code == 2
    assert "the scenario has a `task`" in said.err


CANNOT_BE_MADE = """BOTS = 3
def broken():
    return {}['key']
def leaves():
    raise SystemExit(0)
from swarmkeeper import ExecutorBot
class Numbered(ExecutorBot):
    skills = {3, None}
    async def execute(self, subtask):
        pass
"""


@pytest.mark.parametrize(
    ("target", "code", "why"),
    [
        ("mine.py:nobody", 2, "there is no `nobody` in it"),
        ("mine.py:BOTS", 2, "`BOTS` must hold only bots of the SDK"),
        ("mine.py:broken", 1, "`broken` cannot be created: KeyError: 'key' (mine.py, line 3)"),
        ("mine.py:leaves", 1, "`leaves` cannot be created: SystemExit: 0 (mine.py, line 5)"),
        ("mine.py:Numbered", 1, "Numbered.skills must be a set of strings"),
        ("ends.py", 1, "it runs bots or ends the program"),
        ("wrong.py", 1, "wrong.py, line 1: "),
    ],
)
def test_bots_that_cannot_be_loaded_are_refused_with_their_place(
    shell: Shell, target: str, code: int, why: str
) -> None:
    (shell.folder / "mine.py").write_text(CANNOT_BE_MADE)
    (shell.folder / "ends.py").write_text("raise SystemExit(3)")
    (shell.folder / "wrong.py").write_text("def (:")

    said = shell("simulate", "--bots", target)

    assert (said.code, said.out) == (code, "")
    assert why in said.err


def test_no_file_is_left_if_all_invariants_held(mine: Shell) -> None:
    simulated(mine)

    assert {file.name for file in Path(mine.folder).iterdir()} == {"mine.toml", "mine.py"}


# ---- as a process ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, []),
        (1, ["--bots", "mine.py:clocked"]),
        (2, ["--faults", "bot.smoke"]),
        (11, ["--invariants", "mine.py"]),
        (12, ["--bots", "mine.py:wavering", "--check-determinism"]),
        (13, ["--targets"]),
    ],
)
def test_each_ending_has_its_exit_code_and_stdout_is_only_json(mine: Shell, code: int, words: list[str]) -> None:
    if code == 13:
        (mine.folder / "mine.toml").write_text(SCENARIO.replace("3600", "1"))

    # A real start for the first.
    run = Server("simulate", "mine.toml", "--start", "7", "--json", *words, folder=mine.folder, forked=code != 0)
    assert run.process.stdout is not None
    out = run.process.stdout.read()

    assert run.end() == code, run.said()
    if code in (1, 2):
        assert out == ""
        assert json.loads(run.said().splitlines()[-1])["error"]["exit_code"] == code
        return
    assert set(json.loads(out)) == {"violations", "runs"}
    assert json.loads(out)["violations"] == (code == 11)


TELLS = """
from swarmkeeper.sim.invariants import invariant

@invariant("it is at work")
def tells(model, commit):
    print("at work", flush=True)
    return ()
"""


@pytest.mark.parametrize("more", [["--jobs", "2"], ["--level", "http"]])
def test_an_interrupt_ends_the_command_with_the_runs_played_so_far(mine: Shell, more: list[str]) -> None:
    (mine.folder / "tells.py").write_text(TELLS)
    words = ["simulate", "mine.toml", "--start", "7", "--seeds", "5000", "--invariants", "tells.py", "--json", *more]
    command = [sys.executable, "-m", "swarmkeeper.cli", *words]
    with subprocess.Popen(command, cwd=mine.folder, stdout=PIPE, stderr=PIPE, text=True) as run:
        assert run.stderr is not None
        while "at work" not in run.stderr.readline():
            assert run.poll() is None
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=SECONDS_MAX)

    assert run.returncode == 130
    said = [line for line in err.replace("at work", "").splitlines() if line]
    assert said[0].startswith("interrupted: ")
    assert len(said) <= 2, said  # and perhaps the speed
    assert out == "" or json.loads(out)["violations"] == 0
