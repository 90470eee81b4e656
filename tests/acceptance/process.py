"""Python programs as processes of their own that start at once: one process has imported what they need, and each start
forks it. What is forked has its own memory, number and end, so that it can be killed like any other."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FORKING = multiprocessing.get_context("forkserver")
# `pytest` is the main module of whoever asks, which is looked up again in each process.
FORKING.set_forkserver_preload(["pytest", "tests.acceptance.loaded"])


class Process:
    """A program that runs, to be handled as one of `subprocess`."""

    def __init__(
        self,
        program: list[str],
        *,
        log: Path | None,
        environment: Mapping[str, str],
        folder: Path | None = None,
        constants: Mapping[str, float] | None = None,
        stdin: int | None = None,
        session: bool = False,
    ) -> None:
        """Run `program`, this interpreter with a file, with `-m` and a module or with `-c` and code, in `folder`.

        Args:
            log: the file for its stderr. None: it goes where stdout goes.
            session: whether it leads a session of its own.
            stdin: the file that it reads; by default there is nothing to read.
            constants: what it finds in place of constants of our modules, such as a shorter wait; by their full names.
        """
        assert program[0] == sys.executable
        reader, writer = FORKING.Pipe(duplex=False)
        its = None if stdin is None else Connection(os.dup(stdin), writable=False)
        given = (
            *(program[1:], writer, its, str(log or ""), dict(environment)),
            *(str(folder or Path.cwd()), constants, session),
        )
        self._process = FORKING.Process(target=_become, args=given, daemon=True)
        with chdir(ROOT):  # where the process that is forked looks for what it imports
            self._process.start()
        writer.close()
        if its is not None:
            its.close()
        self.stdout = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")
        reader.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """A file that can be read once it has ended."""
        return self._process.sentinel

    def poll(self) -> int | None:
        """What it ended with; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def stop(self) -> None:
        """Ask it to end, and see to it that it does."""
        if self.poll() is None:
            self.terminate()
            try:
                self.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                self.wait(20)
        self.stdout.close()


def ran(program: list[str], *, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as `subprocess.run` does."""
    log = folder / f"{os.urandom(4).hex()}.err"
    process = Process(program, log=log, environment=environment, folder=folder)
    with process.stdout:
        said = process.stdout.read()
    return subprocess.CompletedProcess(program, process.wait(120), said, log.read_text(encoding="utf-8"))


def _become(
    program: list[str],
    output: Connection,
    stdin: Connection | None,
    log: str,
    environment: dict[str, str],
    folder: str,
    constants: Mapping[str, float] | None,
    session: bool,
) -> None:
    if session:
        os.setsid()
    if stdin is not None:
        os.dup2(stdin.fileno(), 0)
        stdin.close()
        sys.stdin = os.fdopen(0)
    os.dup2(output.fileno(), 1)
    output.close()
    if log:
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(file, 2)
        os.close(file)
    else:
        os.dup2(1, 2)
    # The streams of the process that was forked remember what their files were.
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for constant, value in (constants or {}).items():
        module, _, name = constant.rpartition(".")
        assert hasattr(importlib.import_module(module), name), constant
        setattr(sys.modules[module], name, value)
    if program[0] == "-m":
        sys.argv = program[1:]
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    elif program[0] == "-c":
        sys.argv = ["-c", *program[2:]]
        exec(compile(program[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = program
        sys.path.insert(0, str(Path(program[0]).resolve().parent))  # as Python does with a file
        runpy.run_path(program[0], run_name="__main__")
