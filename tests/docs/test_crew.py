"""Workers that are forks of one process (tests/support/crew.py) find and tell what workers of their own would."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.crew import crews

ROOT = Path(__file__).parents[2]
CONFTEST = """
import pytest
from tests.support.crew import fork_workers

def pytest_xdist_setupnodes(config, specs):
    fork_workers(config, specs)
"""
FIRST = """
import os, warnings

warnings.warn("while it was imported")
COLLECTED_BY = os.getpid()

"""
WHO = """
def test_of_who_collected(request):
    print("forked", os.getpid() != COLLECTED_BY)
    assert False
"""
TESTS = """
def test_that_passes(tmp_path, worker_id):
    assert tmp_path.parent.name == f"popen-{worker_id}"

def test_that_fails():
    print("by python")
    os.write(1, b"by the file\\n")
    assert [1, 2] == [1, 3]

def test_whose_worker_dies():
    os.kill(os.getpid(), 9)
"""


def told(folder: Path, tests: str) -> str:
    """Return what `pytest -n 2` says of the tests. It loads no plugin but its workers': most of a start is theirs."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_some.py").write_text(FIRST + tests)
    command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "xdist.plugin", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False).stdout


def test_forks_tell_what_other_workers_tell(tmp_path: Path) -> None:
    said = told(tmp_path, TESTS + WHO)

    assert "3 failed, 1 passed" in said, said
    assert "forked True" in said, said
    assert "by python\nby the file" in said, said
    assert "At index 1 diff: 2 != 3" in said, said
    assert "crashed while running 'test_some.py::test_whose_worker_dies'" in said, said
    assert "UserWarning: while it was imported" in said, said


def test_no_worker_is_a_fork_where_a_module_that_is_imported_starts_a_thread(tmp_path: Path) -> None:
    thread = "threading.Thread(target=threading.Event().wait, daemon=True)"
    (tmp_path / "threads.py").write_text(f"import threading\n{thread}.start()\n")

    said = told(tmp_path, f"import threads\n{TESTS}{WHO}")

    assert "3 failed, 1 passed" in said, said
    assert "forked False" in said, said


def test_the_workers_of_this_run_are_forks() -> None:
    """Otherwise each imports and collects for itself. Where coverage is measured, that is so."""
    assert crews or "PYTEST_XDIST_WORKER" not in os.environ or "coverage" in sys.modules


def test_what_cannot_be_collected_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text("import nothing_of_this_name\n")

    assert "No module named 'nothing_of_this_name'" in told(tmp_path, TESTS)
