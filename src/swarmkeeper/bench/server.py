"""The measured server: `swarmkeeper serve` in another process, on a new store."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from swarmkeeper.bench import machine
from swarmkeeper.bench.load import HttpConnection
from swarmkeeper.bench.report import CannotMeasure
from swarmkeeper.clock import SystemClock
from swarmkeeper.offline import offline_admin
from swarmkeeper.sim.process.server import SERVE, ServerFailed, ServerProcess
from swarmkeeper.storage.opening import is_postgres, store_at
from swarmkeeper.storage.refusals import StoreRefused
from swarmkeeper.storage.sqlite.store import path_of

# Limits are switched off, because the machine is measured, not the limits.
_SETTINGS: Mapping[str, object] = {
    "log_level": "warning",
    "four_eyes": False,  # all bots have one key
    **dict.fromkeys(("tasks_a_minute_key", "tasks_a_minute_tenant", "open_tasks", "open_subtasks", "stored_bytes"), 0),
}


class Place:
    """Where the store is: a new file of the caller's choice, or a temporary one, or an empty database in PostgreSQL."""

    def __init__(self, store: str | None) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self.database = store if store is not None and is_postgres(store) else None
        if store is None or self.database is not None:
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
        return self.database or f"sqlite:///{self.path}"

    def file(self) -> Path:
        """Return the path of a store in a file.

        Raises:
            CannotMeasure: it is in PostgreSQL.
        """
        if self.database is not None:
            raise CannotMeasure("this scenario measures a store in a file: name one, or none")
        return self.path

    def close(self) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()


class BenchServer(ServerProcess):
    """Runs a server during the block, with a key of role admin."""

    program: ClassVar[tuple[str, ...]] = SERVE
    admin: str
    started_ms: float  # from the start of the process to "listening"

    def __init__(self, store: str | None) -> None:
        self.place = Place(store)
        folder = self.place.path.parent
        settings = {**_SETTINGS, **self.more_settings(folder)}
        super().__init__(self.place.url, program=self.program, folder=folder, settings=settings)
        self._connections = AsyncExitStack()
        self._clock = SystemClock()

    def more_settings(self, folder: Path) -> Mapping[str, object]:
        """Return further settings. Args: `folder` is where their files may be."""
        return {}

    async def __aenter__(self) -> Self:
        try:
            await self._refuse_used()
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

    async def _refuse_used(self) -> None:
        """Refuse a database that is a store already."""
        if self.place.database is None:
            return
        store = store_at(self.place.database)
        try:
            await store.open(exclusive=False, create=False)
        except StoreRefused:
            return  # it is empty, or making the first key says why not
        await store.close()
        raise CannotMeasure("the store exists already: name an empty database")

    async def start(self) -> None:
        began = self._clock.monotonic()
        try:
            await super().start()
        except (ServerFailed, TimeoutError):
            raise CannotMeasure("the server does not start; try `swarmkeeper serve` with this store") from None
        self.started_ms = (self._clock.monotonic() - began) / 1000

    async def key(self, role: str, *, bot: str | None = None, tenant: str = offline_admin.TENANT) -> str:
        try:
            return await super().key(role, bot=bot, tenant=tenant)
        except StoreRefused as error:
            raise CannotMeasure(str(error)) from None

    async def connect(self, key: str | None = None) -> HttpConnection:
        connection = await HttpConnection.open(self.url, key or self.admin)
        self._connections.callback(connection.close)
        return connection

    async def describe(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the descriptions of the machine and of the store's durability."""
        folder = self.place.path.parent
        measured = await asyncio.get_running_loop().run_in_executor(None, machine.describe, folder)
        return measured, await machine.durability(self.store_url)

    async def figures(self) -> dict[str, float]:
        """Return the server's metrics without labels, by name without prefix."""
        connection = await HttpConnection.open(self.url, self.admin)
        try:
            status, text = await connection.raw("GET", "/metrics")
        finally:
            connection.close()
        if status != 200:
            raise CannotMeasure(f"GET /metrics was answered {status}")
        pairs = (line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#"))
        return {name.removeprefix("swarmkeeper_"): float(value) for name, _, value in pairs if "{" not in name}
