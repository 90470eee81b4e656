"""Rules for every run: a skipped test fails it, the seconds of each room are kept. Fixtures live beside their tests."""

import gc
import json
import os
import shutil
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.counts import FOLDER, write_count
from tests.examples import EXPLORED
from tests.support.crew import fork_workers

# `make test` draws the same examples everywhere and each time, so that what is green for one is green for all.
# Two cores shared with other work: an example that takes long says nothing about the code.
hypothesis.settings.register_profile("swarmkeeper", deadline=None, print_blob=True, derandomize=True, database=None)
# `make explore` draws new ones, and more of them (scripts/explore.py).
hypothesis.settings.register_profile(
    "explore", hypothesis.settings.get_profile("swarmkeeper"), derandomize=False, max_examples=EXPLORED
)
hypothesis.settings.load_profile("swarmkeeper")

# Rooms with tests of many seconds, which begin first: else a run ends with one worker at work and the others done.
LONG = ("browser", "testing", "bench", "acceptance", "at_rest", "docs", "outgoing", "sinks", "sim", "swarm", "cli")


def _room(nodeid: str) -> str:
    """Return the folder within `tests`, or the file."""
    return "/".join(nodeid.split("::")[0].split("/")[:2])


# A store syncs each commit, and a test would wait for the disk. In memory a sync costs nothing, and what a process
# wrote outlives its kill all the same. tests/sim/test_disk.py plays power cuts, on a disk of its own.
IN_MEMORY = "/dev/shm"  # where Linux has it
ROOM = 4 << 30  # bytes that must be free there: a container often gets far less


def _temporary_files_in_memory() -> None:
    """Let `tmp_path` be in memory, where there is enough of it and programs may be run from it."""
    if not os.access(IN_MEMORY, os.W_OK) or os.statvfs(IN_MEMORY).f_flag & getattr(os, "ST_NOEXEC", 0):
        return
    if shutil.disk_usage(IN_MEMORY).free >= ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", IN_MEMORY)


_temporary_files_in_memory()


class Tally:
    """What the whole run came to; with several workers it lives in the one that gathers their reports."""

    def __init__(self) -> None:
        self.skipped: list[str] = []
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[_room(report.nodeid)] += report.duration
        if report.skipped:  # an expected failure is reported as one of these too
            self.skipped.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        write_count("tests_skipped", len(self.skipped))
        (FOLDER / "seconds.json").write_text(json.dumps(self.seconds), encoding="utf-8")
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.skipped:
            terminalreporter.section("skipped tests are failures here", red=True)
            for nodeid in self.skipped:
                terminalreporter.line(nodeid)


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where bots keep what they could not send: nothing of a test's goes into the home of whoever runs it."""
    folder = tmp_path_factory.mktemp("state")
    os.environ["XDG_STATE_HOME"] = str(folder)
    return folder / "swarmkeeper" / "unsent"


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So a shell starts what it runs in the background, and so would every process be that a test interrupts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Tally(), "tally")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Let workers be forks of one process that has collected the tests."""
    fork_workers(config, specs)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let long tests begin first. Within a room the order stays."""
    rank = {f"tests/{room}": number for number, room in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(_room(item.nodeid), len(LONG)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the collector from traversing the modules and test items, which live until the end, again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
