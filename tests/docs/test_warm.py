"""Commands that are forked from a process that has loaded them behave as those that a shell starts."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest


def begun(warm: Path, code: str) -> tuple[subprocess.Popen[str], int]:
    """Start a program that prints its number, and return that, too."""
    command = [str(warm / "warm-python"), "-c", f"import os; print(os.getpid(), flush=True); {code}"]
    caller = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    return caller, int(caller.stdout.readline())


def lives(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def test_arguments_environment_folder_and_files_are_those_of_the_caller(warm: Path, tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv, os.environ['X'], os.getcwd(), sys.stdin.read()); sys.stderr.write('e')"
    given: dict[str, Any] = {"cwd": tmp_path, "env": {"X": "1=2\n3"}, "input": "ü", "text": True}
    for python in (sys.executable, str(warm / "warm-python")):
        done = subprocess.run([python, "-c", code, "a b", ""], capture_output=True, check=False, **given)

        assert (done.returncode, done.stderr) == (0, "e")
        assert done.stdout == f"['-c', 'a b', ''] 1=2\n3 {tmp_path} ü\n"


@pytest.mark.parametrize(
    ("code", "ends_with"),
    [
        ("pass", 0),
        ("raise SystemExit(7)", 7),
        ("1 / 0", 1),
        ("raise SystemExit('no')", 1),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os.kill(os.getpid(), 15)", -15),
    ],
)
def test_it_ends_as_the_program_ends(warm: Path, code: str, ends_with: int) -> None:
    for python in (sys.executable, str(warm / "warm-python")):
        assert subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == ends_with


def test_what_has_to_happen_at_the_end_of_a_program_happens(warm: Path) -> None:
    code = (
        "import atexit, threading, time\natexit.register(print, 'last')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('first'))).start()"
    )

    assert subprocess.run([warm / "warm-python", "-c", code], capture_output=True, text=True, check=True).stdout == (
        "first\nlast\n"
    )


@pytest.mark.parametrize("number", [2, 15])
def test_a_signal_reaches_the_program(warm: Path, number: int) -> None:
    handled = (
        f"import signal, time; signal.signal({int(number)}, lambda *_: os._exit(9)); print(flush=True); time.sleep(60)"
    )
    caller, _ = begun(warm, handled)
    with caller:
        assert caller.stdout is not None
        caller.stdout.readline()  # it handles the signal now
        caller.send_signal(number)

        assert caller.wait(20) == 9


def test_the_program_does_not_outlive_a_caller_that_is_killed(warm: Path) -> None:
    caller, program = begun(warm, "import time; time.sleep(60)")
    with caller:
        assert lives(program)
        caller.kill()
        for _ in range(200):
            if not lives(program):
                break
            time.sleep(0.05)

        assert not lives(program)


def test_two_programs_share_no_state(warm: Path) -> None:
    code = "import random, sys; print(random.random(), hasattr(sys, 'mark')); sys.mark = 1"
    command = [str(warm / "warm-python"), "-c", code]

    first, second = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))

    assert first.split()[0] != second.split()[0]
    assert first.split()[1] == second.split()[1] == "False"
