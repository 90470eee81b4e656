"""Runs commands for tests: in this process, and servers as processes of their own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.main import main
from tests.acceptance.process import Process

SECONDS_MAX = 60
# Their processes are forked from one that has loaded a server, unless a test says otherwise: a start takes most of a
# second of processor time.
FORKED = {"bot", "demo", "dev", "key", "run", "serve"}


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The documents of an output that has one in each line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """Runs commands as a person in `folder` would type them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._patch, self._capture = folder, monkeypatch, capsys
        for name in [name for name in os.environ if name.startswith("SWARMKEEPER_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.chdir(folder)

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._patch.setenv(name, value)

    def __call__(self, *words: str) -> Said:
        self._patch.setattr(sys, "argv", ["swarmkeeper", *words])
        terminal.output_format.as_json = False
        self._capture.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        said = self._capture.readouterr()
        return Said(code, said.out, said.err)


class Server:
    """A command that runs until it is stopped, in a process of its own."""

    def __init__(
        self,
        *words: str,
        folder: Path,
        environ: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "swarmkeeper.cli"),
        forked: bool | None = None,
        constants: Mapping[str, float] | None = None,
    ) -> None:
        """
        Args:
            forked: whether the process is forked from one that has loaded a server; by default for FORKED.
            constants: of our modules, for a forked process: what it finds in their place.
        """
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SWARMKEEPER_")}
        self.log = folder / f"{(*words, *program)[0]}-{os.urandom(3).hex()}.err"
        command, environment = [sys.executable, *program, *words], {**clean, **(environ or {})}
        self.process: subprocess.Popen[str] | Process
        if words and words[0] in FORKED if forked is None else forked:
            self.log.touch()
            self.process = Process(command, log=self.log, environment=environment, folder=folder, constants=constants)
            return
        assert constants is None, "what is started afresh has the constants of the code"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, cwd=folder, env=environment, text=True
            )

    def first_line(self) -> Any:
        """Return the line that it prints on stdout when it is ready."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        return json.loads(line)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.end()

    def end(self) -> int:
        """Wait for the end of the process, and return its exit code."""
        try:
            return self.process.wait(SECONDS_MAX)
        finally:
            self.process.kill()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def said(self) -> str:
        return self.log.read_text()
