"""Process of the orchestrator at level process. It is started as an operator does, signalled, killed and restarted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from asyncio.subprocess import Process as Child
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from swarmkeeper import files
from swarmkeeper.sim.play.scenarios import Scenario

SERVE = (sys.executable, "-m", "swarmkeeper.cli", "serve")
BOOT_SECONDS_MAX = 120.0  # enough for a busy machine
STOP_SECONDS_MAX = 30.0


class Server:
    """The orchestrator's process. It is the one that holds the store, so that signals reach no other process."""

    def __init__(self, program: Sequence[str], folder: Path, scenario: Scenario) -> None:
        self.store = folder / "swarm.db"
        self.log = folder / "server.log"
        self.url = ""
        self.lives = 0
        self.child: Child | None = None
        self._program, self._port = program, 0
        bounds = scenario.bounds
        self._env = environment(
            lease_seconds=bounds.lease_seconds,
            timeout_seconds=bounds.timeout_seconds,
            schedule_to_start_seconds=bounds.schedule_to_start_seconds,
        )

    async def first_key(self) -> str:
        """Create an admin key by the command line, before the server starts."""
        made = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "swarmkeeper.cli", "key", "create", "--store", f"sqlite:///{self.store}"),
            *("--role", "admin", "--json"),
            stdout=PIPE,
            stderr=DEVNULL,
            env=self._env,
        )
        output, _ = await made.communicate()
        assert made.returncode == 0, "`key create` failed"
        return str(json.loads(output)["key"])

    async def start(self) -> None:
        self.lives += 1
        with files.append(self.log) as log:
            self.child = await asyncio.create_subprocess_exec(
                *self._program,
                *("--store", f"sqlite:///{self.store}", "--port", str(self._port), "--json"),
                stdout=PIPE,
                stderr=log,
                env=self._env,
            )
        assert self.child.stdout is not None
        async with asyncio.timeout(BOOT_SECONDS_MAX):
            line = await self.child.stdout.readline()
        if not line:
            raise RuntimeError(f"the orchestrator does not start: {self.tail()}")
        self.url = json.loads(line)["url"]
        self._port = urlsplit(self.url).port or 0

    def signal(self, number: signal.Signals) -> None:
        assert self.child is not None
        self.child.send_signal(number)

    async def gone(self) -> int:
        """Wait for the process to end and return its exit code.

        Raises:
            TimeoutError: it did not end within `STOP_SECONDS_MAX`, and was killed.
        """
        assert self.child is not None
        child, self.child = self.child, None
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                return await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()
            raise

    def tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:] if self.log.exists() else ""

    def faults(self) -> list[str]:
        """Return its log lines of level error."""
        if not self.log.exists():
            return []
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if '"level": "error"' in line]


def environment(**settings: object) -> dict[str, str]:
    """Return this process's environment with only the given settings of swarmkeeper."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SWARMKEEPER_")}
    return kept | {f"SWARMKEEPER_{name.upper()}": str(value) for name, value in settings.items()}
