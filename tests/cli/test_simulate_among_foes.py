"""`simulate` with user code that exits, lies or prints, with full disks and closed stdout; and one seed in many
processes.
"""

from __future__ import annotations

import errno
import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from xml.etree import ElementTree as ET

import pytest

from swarmkeeper import files
from tests.cli.shell import SECONDS_MAX, Said, Server, Shell

SCENARIO = """
tasks_per_hour = 120
tasks_max = 2
hours = 0.05
size = 2
planned_by_client = 1
evaluation = {none = 1}
approvals = {none = 1}
deadline = 0
executors = {count = 1, capacity = 1, work_seconds = 10}
people = {cancel = 0, pause = 0}
faults = []
"""


@pytest.fixture
def mine(shell: Shell) -> Shell:
    """A shell whose folder contains a small scenario without faults."""
    (shell.folder / "mine.toml").write_text(SCENARIO)
    return shell


def simulated(shell: Shell, *words: str) -> Said:
    return shell("simulate", "mine.toml", "--start", "7", *words)


# ---- code --------------------------------------------------------------------------------------------------------


REACHES = """
import os, socket, sys
from swarmkeeper import Done, ExecutorBot
from swarmkeeper.sim.invariants import invariant

class Reaches(ExecutorBot):
    skills = {"python", "web", "text"}
    async def execute(self, subtask):
        CALL
        return Done({})

def swarm():
    return [Reaches()]

@invariant("it can be held")
def held(model, commit):
    yield from THINGS
"""


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("os._exit(0)", "reaches.py, line 9 reaches for os._exit"),
        ("os.system('true')", "reaches.py, line 9 reaches for os.system"),
        ("os.fork()", "reaches.py, line 9 reaches for os.fork"),
        ("socket.socket().connect(('127.0.0.1', 9))", "reaches.py, line 9 reaches for socket.connect"),
    ],
)
def test_a_bot_can_neither_leave_nor_end_the_command(mine: Shell, call: str, why: str) -> None:
    (mine.folder / "reaches.py").write_text(REACHES.replace("CALL", call))

    said = simulated(mine, "--bots", "reaches.py", "--json")

    assert (said.code, said.out) == (1, "")
    assert why in json.loads(said.err.splitlines()[-1])["error"]["detail"]


def test_a_bot_that_exits_fails_its_attempt_as_in_production(mine: Shell) -> None:
    (mine.folder / "reaches.py").write_text(REACHES.replace("CALL", "sys.exit(0)"))

    said = simulated(mine, "--bots", "reaches.py")

    assert said.code == 0
    assert "a bot's code raised SystemExit (reaches.py, line 9)" in said.out


@pytest.mark.parametrize(
    ("things", "why"),
    [
        ("[3]", "it must yield a message, or an id and a message"),
        ("[('a', 'b', 'c')]", "it must yield a message, or an id and a message"),
        ("(sys.exit(0), 1)", "ends the program"),
    ],
)
def test_an_invalid_result_of_an_invariant_is_an_error_and_not_a_violation(mine: Shell, things: str, why: str) -> None:
    (mine.folder / "reaches.py").write_text(REACHES.replace("THINGS", things))

    said = simulated(mine, "--invariants", "reaches.py", "--json")

    assert (said.code, said.out) == (1, "")
    assert why in json.loads(said.err.splitlines()[-1])["error"]["detail"]


def test_an_endless_list_of_violations_is_cut(mine: Shell) -> None:
    (mine.folder / "reaches.py").write_text(REACHES.replace("THINGS", "iter(lambda: 'for ever', None)"))

    assert simulated(mine, "--invariants", "reaches.py").code == 11


def test_a_pipe_is_refused_as_a_case_and_as_code(shell: Shell) -> None:
    for name in ("pipe.json", "pipe.py"):
        os.mkfifo(shell.folder / name)

    for words in (["--replay", "pipe.json"], ["--bots", "pipe.py"], ["--invariants", "pipe.py"]):
        said = shell("simulate", *words)

        assert said.code == 2
        assert "this is not a file" in said.err


STEERS = """
from swarmkeeper.sim.invariants import invariant

@invariant('w\\x1b[31m {x} \\'\\'\\' \\"\\"\\" <script>\\\\')
def steers(model, commit):
    yield "t1\\x1b[2J<b>", 'y\\x1b[2J \\"\\"\\"'
"""


def test_text_of_an_invariant_cannot_control_a_terminal_a_report_or_a_test(mine: Shell) -> None:
    (mine.folder / "steers.py").write_text(STEERS)
    said = simulated(mine, "--invariants", "steers.py", "--report", "a.html", "--report", "a.xml")

    assert said.code == 11
    assert "\x1b" not in said.out + said.err
    assert "<script>" not in (mine.folder / "a.html").read_text()
    assert ET.parse(mine.folder / "a.xml").find(".//failure") is not None
    assert "\x1b" not in (mine.folder / "test_violation_7.py").read_text()
    assert "test_steers_7" in runpy.run_path(str(mine.folder / "test_violation_7.py"))


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ({"scenario": {"name": "a", "hours": -5}}, "scenario: `hours` must be above 0"),
        ({"scenario": {"name": "a", "faults": ["smoke"]}}, "scenario: `faults.0` must be one of"),
        ({"scenario": {"name": "a", "quorums": {"x": 1}}}, "scenario: `quorums` has an unknown key"),
        ({"faults": ["smoke@here:there#1"]}, "not the name of a fault"),
        ({"bots": "mine.py"}, "need level http"),
        ({"level": "process", "invariants": "mine.py"}, "level process does not support"),
        ({"level": "http", "bots": "gone.py"}, "gone.py: the file cannot be read"),
    ],
)
def test_an_edited_case_that_cannot_be_played_is_refused(mine: Shell, case: dict[str, object], why: str) -> None:
    (mine.folder / "case.json").write_text(json.dumps({"seed": 7, **case}))

    said = mine("simulate", "--replay", "case.json")

    assert (said.code, said.out) == (2, "")
    assert why in said.err


# ---- files -------------------------------------------------------------------------------------------------------


def test_a_report_is_written_completely_or_not_at_all(mine: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (mine.folder / "a.xml").write_text("before")
    monkeypatch.setattr(files, "sync", full)
    said = simulated(mine, "--report", "a.xml")

    assert said.code == 1
    assert "the report cannot be written: No space left on device" in said.err
    assert (mine.folder / "a.xml").read_text() == "before"
    assert {file.name for file in mine.folder.iterdir()} == {"mine.toml", "a.xml"}


def test_a_report_can_be_written_through_a_link_and_into_a_pipe(mine: Shell) -> None:
    (mine.folder / "there.xml").write_text("before")
    (mine.folder / "a.xml").symlink_to("there.xml")
    os.mkfifo(mine.folder / "pipe.xml")
    with subprocess.Popen(["cat", "pipe.xml"], cwd=mine.folder, stdout=PIPE, text=True) as reader:
        simulated(mine, "--report", "a.xml", "--report", "pipe.xml")
        piped, _ = reader.communicate(timeout=SECONDS_MAX)

    assert (mine.folder / "a.xml").is_symlink()
    assert "<testsuite" in (mine.folder / "there.xml").read_text()
    assert piped == (mine.folder / "there.xml").read_text()


# ---- processes ---------------------------------------------------------------------------------------------------


_SIX = [(hash_seed, store) for hash_seed in ("0", "1", "random") for store in ("memory", "file")]


@pytest.mark.parametrize(("level", "by_process"), [("core", _SIX), ("http", [_SIX[0], _SIX[5]])])
def test_one_seed_is_one_trace_in_any_process_with_any_store(
    mine: Shell, level: str, by_process: list[tuple[str, str]]
) -> None:
    words = ["simulate", "mine.toml", "--start", "7", "--hours", "0.02", "--faults", "all", "--level", level, "--json"]
    processes = [
        Server(*words, "--store", store, folder=mine.folder, environ={"PYTHONHASHSEED": hash_seed})
        for hash_seed, store in by_process
    ]
    hashes = [process.first_line()["runs"][0]["trace_hash"] for process in processes]

    assert [process.end() for process in processes] == [0] * len(by_process)
    assert len(set(hashes)) == 1


LOUD = """
import os, sys
from swarmkeeper.sim.invariants import invariant

print("loud")
sys.__stdout__.write("loud\\n")
os.write(1, b"loud\\n")

@invariant("it is loud")
def loud(model, commit):
    print("loud")
    sys.__stdout__.write("loud\\n")
    os.write(1, b"loud\\n")
    return ()
"""


def test_stdout_is_only_json_even_if_user_code_prints(mine: Shell) -> None:
    (mine.folder / "loud.py").write_text(LOUD)

    run = Server("simulate", "mine.toml", "--start", "7", "--json", "--invariants", "loud.py", folder=mine.folder)
    assert run.process.stdout is not None
    out = run.process.stdout.read()

    assert run.end() == 0, run.said()
    assert set(json.loads(out)) == {"violations", "runs"}
    assert "loud" in run.said()


@pytest.mark.parametrize(("stdout", "code", "why"), [("/dev/full", 1, "error[stdout]"), ("", 0, "")])
def test_a_full_stdout_is_reported(mine: Shell, stdout: str, code: int, why: str) -> None:
    to = f">{stdout}" if stdout else ">&-"
    command = f"exec {sys.executable} -m swarmkeeper.cli simulate mine.toml --start 7 --hours 0.001 {to}"
    run = subprocess.run(
        ["sh", "-c", command], check=False, cwd=mine.folder, stderr=PIPE, text=True, timeout=SECONDS_MAX
    )

    assert run.returncode == code
    assert why in run.stderr
    assert "Traceback" not in run.stderr


WAITS = """
from swarmkeeper.sim.invariants import invariant

@invariant("it is at work")
def waits(model, commit):
    print("at work", flush=True)
    return ()
"""


def test_no_process_outlives_a_command_that_is_killed(mine: Shell) -> None:
    (mine.folder / "waits.py").write_text(WAITS)
    words = ["simulate", "mine.toml", "--start", "7", "--seeds", "5000", "--invariants", "waits.py", "--jobs", "2"]
    command = [sys.executable, "-m", "swarmkeeper.cli", *words]
    with subprocess.Popen(command, cwd=mine.folder, stderr=PIPE, stdout=PIPE, text=True) as run:
        assert run.stderr is not None
        while not run.stderr.readline().startswith("at work"):
            assert run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=SECONDS_MAX)  # returns when the last process has closed its stderr
