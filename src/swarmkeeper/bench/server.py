"""The measured server: `swarmkeeper serve` in another process, on a new store."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import msgspec

from swarmkeeper.bench import machine
from swarmkeeper.bench.load import Connection
from swarmkeeper.bench.report import CannotMeasure
from swarmkeeper.clock import SystemClock, SystemEntropy
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.offline import offline_admin
from swarmkeeper.settings import PREFIX
from swarmkeeper.storage.refusals import StoreRefused
from swarmkeeper.storage.sqlite.store import SqliteStore, path_of

_STOP_SECONDS = 30
# Limits are switched off, because the machine is measured, not the limits.
UNLIMITED = ("TASKS_A_MINUTE_KEY", "TASKS_A_MINUTE_TENANT", "OPEN_TASKS", "OPEN_SUBTASKS", "STORED_BYTES")


class Place:
    """The path of the store: a new file of the caller's choice, or a temporary one."""

    def __init__(self, store: str | None) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if store is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="swarmkeeper-bench-")
            self.path = Path(self._temporary.name) / "bench.db"
            return
        try:
            path = path_of(store)
        except StoreRefused as error:
            raise CannotMeasure(str(error)) from None
        if path == ":memory:":
            raise CannotMeasure("a store in memory is not durable, and durability is measured: name a file")
        self.path = Path(path).absolute()
        if self.path.exists():
            raise CannotMeasure("the store exists already: name a new file")

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def close(self) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()


class Server:
    """Runs a server during the block, with a key of role admin."""

    program: ClassVar[tuple[str, ...]] = ("-m", "swarmkeeper.cli", "serve")
    url: str
    admin: str
    started_ms: float  # from the start of the process to "listening"

    def __init__(self, store: str | None) -> None:
        self.place = Place(store)
        self._process: asyncio.subprocess.Process | None = None
        self._connections = AsyncExitStack()
        self._clock = SystemClock()

    async def __aenter__(self) -> Self:
        try:
            self.admin = await self.key("admin")
            await self.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.aclose()
        await self.stop()
        self.place.close()

    async def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment |= {f"{PREFIX}{limit}": "0" for limit in UNLIMITED}
        began = self._clock.monotonic()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self.program,
            *("--store", self.place.url, "--port", "0", "--log-level", "warning", "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            cwd=self.place.path.parent,
        )
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        self.started_ms = (self._clock.monotonic() - began) / 1000
        if not line:
            raise CannotMeasure("the server does not start; try `swarmkeeper serve` with this store")
        self.url = msgspec.json.decode(line)["url"]

    async def stop(self) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._process = None

    async def key(self, role: str, *, bot: str | None = None, tenant: str = offline_admin.TENANT) -> str:
        """Create a key directly in the store, and return its text."""
        store = SqliteStore(self.place.url)
        try:
            await store.open(exclusive=False)
        except StoreRefused as error:
            raise CannotMeasure(str(error)) from None
        try:
            _, text = await offline_admin.create_key(
                store,
                offline_admin.KeySpec(role, bot=bot, tenant=tenant),
                clock=self._clock,
                entropy=SystemEntropy(),
                rules=Rulebook(Redactor.default()),
            )
        finally:
            await store.close()
        return text

    async def connect(self, key: str | None = None) -> Connection:
        connection = await Connection.open(self.url, key or self.admin)
        self._connections.callback(connection.close)
        return connection

    async def describe(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the descriptions of the machine and of the store's durability."""
        folder = self.place.path.parent
        measured = await asyncio.get_running_loop().run_in_executor(None, machine.describe, folder)
        return measured, await machine.durability(self.place.url)

    async def figures(self) -> dict[str, float]:
        """Return the server's metrics without labels, by name without prefix."""
        connection = await Connection.open(self.url, self.admin)
        try:
            status, text = await connection.raw("GET", "/metrics")
        finally:
            connection.close()
        if status != 200:
            raise CannotMeasure(f"GET /metrics was answered {status}")
        pairs = (line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#"))
        return {name.removeprefix("swarmkeeper_"): float(value) for name, _, value in pairs if "{" not in name}
