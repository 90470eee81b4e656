"""The orchestrator of level process: a process, started as an operator starts it, signalled, killed, and started
anew.
"""

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
BOOT_SECONDS_MAX = 120.0  # on a machine that has much else to do
STOP_SECONDS_MAX = 30.0


class Server:
    """The orchestrator's process: the very one that holds the store, so that a signal hits nobody else."""

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
        """As an operator makes it, before anything runs."""
        made = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "swarmkeeper.cli", "key", "create", "--store", f"sqlite:///{self.store}"),
            *("--role", "admin", "--json"),
            stdout=PIPE,
            stderr=DEVNULL,
            env=self._env,
        )
        said, _ = await made.communicate()
        assert made.returncode == 0, "the first key is made by the command line"
        return str(json.loads(said)["key"])

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
        """Wait for its end; its exit code."""
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
        """What it logged of its own failures."""
        if not self.log.exists():
            return []
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [one for one in lines if '"level": "error"' in one]


def environment(**settings: object) -> dict[str, str]:
    """This process's, without settings of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SWARMKEEPER_")}
    return kept | {f"SWARMKEEPER_{name.upper()}": str(value) for name, value in settings.items()}
