"""A real orchestrator in a process of its own, for tests that kill it, and a plain HTTP caller to speak to it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
import pytest

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.main import main
from tests.acceptance.process import Process

BIN = Path(sys.executable).parent
PEPPER = "of all servers on one database"  # which does not keep it


class Server:
    """`swarmkeeper serve` on a random port. The process started is the one that holds the store: no wrapper between."""

    def __init__(
        self,
        store: Path,
        *,
        program: list[str] | None = None,
        port: int = 0,
        database: str = "",
        settings: Mapping[str, object] | None = None,
        pepper: str = "",
    ) -> None:
        """
        Args:
            store: the file of the store; the log is beside it.
            database: keep the store in PostgreSQL at this address instead.
            pepper: of a database that was filled from another store.
        """
        self.store = store
        self._database = database
        # One key does everything in most tests.
        given = {"four_eyes": False, **({"pepper": pepper or PEPPER} if database else {}), **(settings or {})}
        self._pepper = pepper or PEPPER
        self._settings = {f"SWARMKEEPER_{name.upper()}": str(value) for name, value in given.items()}
        self.url = ""
        self.process: Process | None = None
        self._port = port
        self._program = program or [sys.executable, str(BIN / "swarmkeeper"), "serve"]

    def __enter__(self) -> Self:
        self.key("admin")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def is_file(self) -> bool:
        """Whether the store is in a file."""
        return not self._database

    @property
    def store_url(self) -> str:
        return self._database or f"sqlite:///{self.store}"

    def start(self) -> None:
        arguments = ["--store", self.store_url, "--port", str(self._port), "--json"]
        log = self.store.with_suffix(".log")
        self.process = Process([*self._program, *arguments], log=log, environment={**_environment(), **self._settings})
        line = self.process.stdout.readline()
        assert line, log.read_text()[-3000:]
        self.url = json.loads(line)["url"]
        self._port = urlsplit(self.url).port or 0

    def kill(self) -> None:
        """End it without any warning."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        self.process.stop()

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def freeze(self) -> None:
        """Let it stand still, as a machine does that is swapped out or suspended."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def key(self, role: str, **options: str) -> str:
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
        answer = self.cli("key", "create", "--store", self.store_url, "--role", role, *words, "--json")
        return str(json.loads(answer)["key"])

    def cli(self, *arguments: str, code: int = 0) -> str:
        """What a command prints on stdout; it must end with that exit code. It runs in this process."""
        with (
            pytest.MonkeyPatch.context() as patch,
            redirect_stdout(StringIO()) as out,
            redirect_stderr(StringIO()) as err,
        ):
            for name in os.environ.keys() - _environment().keys():
                patch.delenv(name)
            if not self.is_file:
                patch.setenv("SWARMKEEPER_PEPPER", self._pepper)
            patch.setattr(sys, "argv", ["swarmkeeper", *arguments])
            patch.setattr(terminal.output_format, "as_json", False)
            ended = 0
            try:
                main()
            except SystemExit as end:
                ended = end.code if isinstance(end.code, int) else 1
        assert ended == code, (arguments, ended, out.getvalue()[-2000:], err.getvalue()[-2000:])
        return out.getvalue()


class Caller:
    """One key's plain HTTP. It knows nothing of the SDK, and tries again only where it is told to."""

    def __init__(self, server: Server, key: str) -> None:
        self._server = server
        # Plain HTTP needs none of the certificates, which take longer to read than a call does to answer.
        self._http = httpx2.Client(headers={"X-API-KEY": key}, timeout=30, verify=False)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        content = None if body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self._http.request(method, self._server.url + path, content=content, headers=given)

    def post(self, path: str, body: Any, **headers: str) -> Any:
        answer = self("POST", path, body, **headers)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self("GET", path)
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer.json()

    def insist(self, method: str, path: str, body: Any, *, seconds: float = 100, **headers: str) -> httpx2.Response:
        """Ask until there is an answer that is not 503; what a client does while the server is being restarted."""
        until = time.monotonic() + seconds
        while True:
            try:
                answer = self(method, path, body, **headers)
                if answer.status_code != 503:
                    return answer
            except httpx2.TransportError:
                pass
            assert time.monotonic() < until, f"no answer to {method} {path} in {seconds} s"
            time.sleep(0.2)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SWARMKEEPER_")}
