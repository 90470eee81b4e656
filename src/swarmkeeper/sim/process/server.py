"""The orchestrator as a process of its own: `swarmkeeper serve` on a durable store, as an operator starts it. Level
process and the benchmarks use it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from swarmkeeper import files
from swarmkeeper.clock import SystemClock, SystemEntropy
from swarmkeeper.offline import offline_admin
from swarmkeeper.settings import PREFIX
from swarmkeeper.sim.play.engine import rules
from swarmkeeper.storage.opening import store_at

SERVE = ("-m", "swarmkeeper.cli", "serve")
BOOT_SECONDS_MAX = 120.0  # enough for a busy machine
STOP_SECONDS_MAX = 30.0


class ServerFailed(Exception):
    """The server does not start. The message has the end of its log."""


class ServerProcess:
    """The server's process. It can be signalled, killed, and started again on the same port."""

    def __init__(
        self,
        store: str,
        *,
        program: Sequence[str] = SERVE,
        log: Path | None = None,
        folder: Path | None = None,
        settings: Mapping[str, object],
    ) -> None:
        """Args: `store` is a URL, `program` are the arguments of Python, `log` is the file for its stderr (None:
        dropped), and `folder` its working directory (None: that of this process). It has no other settings.
        """
        self.store_url = store
        self.url = ""
        self.starts = 0
        self.process: Process | None = None  # None: not started, or stopped
        self._program, self._log, self._folder = program, log, folder
        self._env = environment(settings)
        self._port = 0

    async def key(self, role: str, *, bot: str | None = None, tenant: str = offline_admin.TENANT) -> str:
        """Create a key directly in the store, and return its text.

        Raises:
            StoreRefused: the store cannot be used.
        """
        store = store_at(self.store_url)
        await store.open(exclusive=False)
        try:
            spec = offline_admin.KeySpec(role, bot=bot, tenant=tenant)
            parts: dict[str, Any] = {"clock": SystemClock(), "entropy": SystemEntropy(), "rules": rules()}
            _, text = await offline_admin.create_key(store, spec, pepper=(await store.start()).pepper, **parts)
        finally:
            await store.close()
        return text

    async def start(self) -> None:
        """Start the server, and wait until it listens.

        Raises:
            ServerFailed: it ended instead.
            TimeoutError: it does not listen within `BOOT_SECONDS_MAX`.
        """
        self.starts += 1
        log = None if self._log is None else files.append(self._log)
        try:
            arguments = (*self._program, "--store", self.store_url, "--port", str(self._port), "--json")
            self.process = await self._run(arguments, log)
        finally:
            if log is not None:
                log.close()
        assert self.process.stdout is not None
        async with asyncio.timeout(BOOT_SECONDS_MAX):
            line = await self.process.stdout.readline()
        if not line:
            raise ServerFailed(f"the server does not start: {self.log_tail()}")
        self.url = json.loads(line)["url"]
        self._port = urlsplit(self.url).port or 0

    async def _run(self, arguments: Sequence[str], log: TextIO | None) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdout=PIPE,
            stderr=DEVNULL if log is None else log,
            env=self._env,
            cwd=self._folder,
        )

    def send_signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the server if it runs, and return its exit code; see `end`."""
        process, self.process = self.process, None
        return 0 if process is None else await end(process, number)

    def log_tail(self) -> str:
        return self._log_text()[-2000:]

    def logged_errors(self) -> list[str]:
        return [line for line in self._log_text().splitlines() if '"level": "error"' in line]

    def _log_text(self) -> str:
        if self._log is None or not self._log.exists():
            return ""
        return self._log.read_text(encoding="utf-8", errors="replace")


async def end(process: Process, number: signal.Signals = signal.SIGTERM) -> int:
    """Send a signal, wait for the process to end, and return its exit code. It is killed if it does not end within
    `STOP_SECONDS_MAX`."""
    if process.returncode is None:
        process.send_signal(number)
    try:
        async with asyncio.timeout(STOP_SECONDS_MAX):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Return this process's environment with only the given settings of swarmkeeper."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return kept | {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}
