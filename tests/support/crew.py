"""The workers of `pytest -n`: one process imports and collects all tests, and each worker is a fork of it.

Without it, each worker does the same for itself, which takes a quarter of a minute of processor time. What this process
is asked by, and how a worker ends with its caller, is in warm.py; the caller is what pytest-xdist starts as a worker.

Where it cannot collect, pytest-xdist starts workers of its own: these say what is wrong.
"""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

if __name__ == "__main__":
    sys.path[:] = json.loads(sys.argv[2])  # before anything of ours is imported

from multiprocessing import connection, forkserver

import pytest
from _pytest.config import _prepareconfig
from _pytest.tmpdir import TempPathFactory

from tests.support.warm import leave, serve, write_client

ROOT = Path(__file__).resolve().parents[2]
WORKER = "from tests.support.crew import work\nwork(channel)"  # what pytest-xdist runs in each
ENDINGS = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


def fork_workers(config: pytest.Config, specs: list[Any]) -> None:
    """Let the workers that `specs` describe be forks, where that can be."""
    otherwise = config.getoption("cov_source", None) or config.getoption("dist") == "loadgroup"
    if sys.platform != "linux" or otherwise or not all(spec.popen for spec in specs):
        return
    folder = Path(config._tmp_path_factory.mktemp("crew"))  # type: ignore[attr-defined]  # pytest keeps it there
    arguments = [str(each) for each in config.invocation_params.args]
    crew = subprocess.Popen(
        [sys.executable, __file__, str(folder / "socket"), json.dumps(sys.path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert crew.stdout is not None, "it is a pipe"
    if crew.stdout.readline() != "ready\n":
        crew.communicate()
        return
    client = write_client(folder, "worker", folder / "socket")
    for spec in specs:
        spec.python = shlex.quote(str(client))
    config.pluginmanager.register(Forked(crew))


class Forked:
    """What the process that starts the workers does otherwise because they are forks."""

    def __init__(self, crew: subprocess.Popen[str]) -> None:
        self._crew = crew

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_getremotemodule(self) -> str:
        return WORKER

    def pytest_unconfigure(self) -> None:
        self._crew.communicate()


class Crew:
    """Collects, and lets workers take what it has collected."""

    session: pytest.Session

    def __init__(self, address: str, told: TextIO) -> None:
        self._address, self._told = address, told
        self._failed: list[pytest.CollectReport] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            self._failed.append(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Be a worker, in each fork."""
        capture = session.config.pluginmanager.getplugin("capturemanager")
        capture.stop_global_capturing()  # or all would write to the same file
        if len(list(Path("/proc/self/task").iterdir())) > 1:
            sys.stderr.write(
                "Workers are no forks: a module that tests import starts a thread, which none would have.\n"
            )
            os._exit(1)
        self.session = session
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the workers get it from their callers
        call = serve(self._address, self._told)
        if call is None:
            os._exit(0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        fork_server([self._told.fileno(), *call.files])
        session.config.pluginmanager.unregister(self)
        for number, file in enumerate(call.files):
            os.dup2(file, number)
            os.close(file)
        # As the other Python is: what tests start by multiprocessing would run this file again.
        sys.argv[:] = ["-c"]
        vars(sys.modules["__main__"]).pop("__file__")
        exec(eval(sys.stdin.readline()), {"__name__": "__main__"})  # as pytest-xdist lets any Python begin
        leave(0)

    def tell(self, worker: Any) -> None:
        """Let a worker report what it would have, had it collected by itself. Its warnings pytest tells each worker."""
        worker.pytest_sessionstart(self.session)
        worker.pytest_collection()
        for report in self._failed:
            worker.pytest_collectreport(report)
        worker.pytest_collection_finish(self.session)


def fork_server(files: list[int]) -> None:
    """Let what tests fork (tests/acceptance/process.py) be forks of this process as it is now: it has loaded all.

    Otherwise `multiprocessing` starts a process to fork from, which loads a server, but not what few tests need.

    Args:
        files: what this process has open, and no fork needs.
    """
    if "authkey_r" in inspect.signature(forkserver.main).parameters:  # of newer versions, which agree on a key first
        return
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address := connection.arbitrary_address("AF_UNIX"))  # type: ignore[attr-defined]  # it is not described
    listener.listen()
    reader, writer = os.pipe()
    process = os.fork()
    if process:
        listener.close()
        os.close(reader)
        found: Any = forkserver._forkserver
        found._forkserver_address, found._forkserver_alive_fd, found._forkserver_pid = address, writer, process
        return
    os.dup2(nothing := os.open(os.devnull, os.O_RDWR), 0)
    for file in (writer, nothing, *files):
        os.close(file)
    # What pytest has changed, and a program would not find so.
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)
    sys.unraisablehook, threading.excepthook = sys.__unraisablehook__, threading.__excepthook__
    try:
        importlib.import_module("tests.acceptance.loaded")
        forkserver.main(listener.detach(), reader, [])
    finally:
        os._exit(0)


crews: list[Crew] = []  # the one of this process


def work(channel: Any) -> None:
    """Run the tests that are asked for, as xdist/remote.py does."""
    from xdist import remote

    given, _, options, _ = channel.receive()
    for name, value in (("TESTRUNUID", "testrunuid"), ("WORKER", "workerid"), ("WORKER_COUNT", "workercount")):
        os.environ[f"PYTEST_XDIST_{name}"] = str(given[value])
    session = crews[0].session
    config: Any = session.config
    config.workerinput, config.workeroutput = given, {}
    config.option.basetemp = options.get("basetemp")
    config._tmp_path_factory = TempPathFactory.from_config(config, _ispytest=True)
    worker = remote.interactor = remote.WorkerInteractor(config, channel)
    crews[0].tell(worker)
    config.pluginmanager.getplugin("capturemanager").start_global_capturing()
    try:
        worker.pytest_runtestloop(session)
        session.exitstatus = ENDINGS[bool(session.testsfailed)]
    except (KeyboardInterrupt, pytest.exit.Exception):
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    except BaseException:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        config.notify_exception(pytest.ExceptionInfo.from_current(), config.option)
    config.hook.pytest_sessionfinish(session=session, exitstatus=session.exitstatus)
    config._ensure_unconfigure()


def main(address: str, _: str, *arguments: str) -> None:
    told = os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)  # what pytest says of its collecting
    os.close(nothing)
    from tests.support import crew as module  # what `work` is imported from, too

    config: Any = _prepareconfig(list(arguments), None)
    from xdist import remote  # not before pytest has: it warns of that

    remote.setup_config(config, None)
    config.workerinput = {"workerid": "crew", "workercount": 1, "testrunuid": "", "mainargv": sys.argv}
    config.workeroutput = {}
    module.crews.append(module.Crew(address, told))
    config.pluginmanager.register(module.crews[0])
    config.hook.pytest_cmdline_main(config=config)


if __name__ == "__main__":
    main(*sys.argv[1:])
