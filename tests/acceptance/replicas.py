"""Several orchestrators on one database in PostgreSQL, each in a process of its own, behind a load balancer."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from swarmkeeper.bench.load import HttpConnection
from swarmkeeper.bench.report import CannotMeasure
from tests.acceptance.server import Server

Json = Any

SECONDS_BETWEEN_CHECKS = 0.2
SECONDS_TO_ANSWER = 1.0  # for a health check
SECONDS_FOR_CALL = 10.0  # for a call of a bot or client that holds no poll open for longer
PATIENT_SECONDS = 60.0  # for both, where nobody stands still: however busy the machine is, no connection is cut


class Replica(Server):
    """One orchestrator on a database."""

    def __init__(self, folder: Path, number: int, database: str, settings: Mapping[str, object]) -> None:
        super().__init__(folder / f"replica-{number}.db", database=database, settings=settings)

    def has_port(self, port: int) -> bool:
        """Whether a connection of this process has that local port."""
        assert self.process is not None
        own = {str(fd.readlink()) for fd in Path(f"/proc/{self.process.pid}/fd").iterdir() if fd.is_symlink()}
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return any(int(line[1].partition(":")[2], 16) == port and f"socket:[{line[9]}]" in own for line in lines)

    @property
    def log(self) -> str:
        return self.store.with_suffix(".log").read_text()


class LoadBalancer:
    """Passes new connections on to the servers that are ready, in turn.

    It cuts those of a server that stands still. A server that answers that it is not ready, or accepts no connection,
    is stopping: it answers the calls that it has, and closes their connections itself.
    It runs on an event loop in a thread of its own, and knows nothing of HTTP but `GET /readyz`.
    """

    def __init__(self, servers: Sequence[Server], *, seconds_to_answer: float = SECONDS_TO_ANSWER) -> None:
        self._servers, self._seconds_to_answer = servers, seconds_to_answer
        self._healthy: list[Server] = []
        self._open: dict[int, set[asyncio.StreamWriter]] = {id(server): set() for server in servers}
        self._turn = 0
        self.url = ""

    async def run(self) -> None:
        """Balance until cancelled."""
        listener = await asyncio.start_server(self._pass_on, "127.0.0.1", 0, limit=1 << 20)
        self.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with listener:
            await asyncio.gather(*(self._check(server) for server in self._servers))

    async def _check(self, server: Server) -> None:
        while True:
            is_ready = await self._is_ready(server)
            if is_ready and server not in self._healthy:
                self._healthy.append(server)
            elif not is_ready and server in self._healthy:
                self._healthy.remove(server)
            if is_ready is None:
                for writer in list(self._open[id(server)]):
                    writer.transport.abort()
            await asyncio.sleep(SECONDS_BETWEEN_CHECKS)

    async def _is_ready(self, server: Server) -> bool | None:
        """Return None if there is no answer in time."""
        if not server.url:
            return False
        try:
            async with asyncio.timeout(self._seconds_to_answer):
                reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(server.url).port)
                try:
                    writer.write(b"GET /readyz HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n")
                    return b" 200 " in await reader.readline()
                finally:
                    writer.close()
        except TimeoutError:
            return None
        except OSError:
            return False

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            if not self._healthy:
                break
            self._turn += 1
            server = self._healthy[self._turn % len(self._healthy)]
            try:
                there = await asyncio.open_connection("127.0.0.1", urlsplit(server.url).port, limit=1 << 20)
            except OSError:
                continue
            ends = {writer, there[1]}
            self._open[id(server)] |= ends
            try:
                with suppress(asyncio.CancelledError):  # at the end
                    await asyncio.gather(_pipe(reader, there[1]), _pipe(there[0], writer))
            finally:
                self._open[id(server)] -= ends
            return
        writer.transport.abort()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    writer.close()


class Cluster:
    """Orchestrators on one database behind a load balancer, while the block lasts. Its key is an administrator's."""

    def __init__(
        self,
        folder: Path,
        database: str,
        count: int,
        settings: Mapping[str, object] = MappingProxyType({}),
        *,
        seconds_to_answer: float = SECONDS_TO_ANSWER,
    ) -> None:
        self.replicas = [Replica(folder, number, database, settings) for number in range(count)]
        self.balancer = LoadBalancer(self.replicas, seconds_to_answer=seconds_to_answer)
        self.key = ""

    @property
    def url(self) -> str:
        return self.balancer.url

    def __enter__(self) -> Self:
        self.key = self.replicas[0].key("admin")
        for replica in self.replicas:
            replica.start()
        self._thread = threading.Thread(target=self._balance, daemon=True)
        self._thread.start()
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Wait until the load balancer uses all servers."""
        until = time.monotonic() + 30
        while len(self.balancer._healthy) < len(self.replicas):
            assert time.monotonic() < until, [replica.log[-500:] for replica in self.replicas]
            time.sleep(0.02)

    def _balance(self) -> None:
        with asyncio.Runner() as runner, suppress(asyncio.CancelledError):  # it cancels what is left at its end
            self._loop = runner.get_loop()
            self._balancing = self._loop.create_task(self.balancer.run())
            self._loop.run_until_complete(self._balancing)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._balancing.cancel)
        self._thread.join(10)
        for replica in self.replicas:
            replica.go_on()
        for replica in self.replicas:
            replica.stop()


class InsistentCaller:
    """One key's calls, repeated until there is an answer other than 503. It counts what it was answered."""

    def __init__(
        self, url: Callable[[], str], key: str, answers: dict[str, int], *, seconds: float = SECONDS_FOR_CALL
    ) -> None:
        self._url, self._key, self._answers, self._seconds = url, key, answers, seconds
        self._connection: HttpConnection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def __call__(
        self, method: str, path: str, body: Json = None, *, seconds: float = 120, **headers: str
    ) -> tuple[int, Json]:
        content = b"" if body is None else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        until = time.monotonic() + seconds
        while True:
            try:
                async with asyncio.timeout(self._seconds):
                    if self._connection is None:
                        self._connection = await HttpConnection.open(self._url(), self._key)
                    status, text = await self._connection.raw(method, path, content, given)
            except (OSError, TimeoutError, CannotMeasure):
                self.close()
                self._count("none")
            else:
                answer = json.loads(text) if text else None
                code = answer.get("code", "") if isinstance(answer, dict) and status >= 400 else ""
                self._count(f"{status} {code}".strip())
                if status != 503:
                    return status, answer
            assert time.monotonic() < until, f"no answer to {method} {path} in {seconds} s"
            await asyncio.sleep(0.1 + 0.1 * random.random())

    def _count(self, what: str) -> None:
        self._answers[what] = self._answers.get(what, 0) + 1


class InsistentBot:
    """Works for ever, whatever happens to the servers: it repeats what got no answer, and drops leases it lost."""

    def __init__(
        self, call: InsistentCaller, type_: str, number: int, do: Callable[[Json], dict[str, Json]], *, batch: int = 8
    ) -> None:
        self._call, self._type, self._number, self._do, self._batch = call, type_, number, do, batch
        self.granted: list[tuple[str, str]] = []  # (lease, work) of each lease that was handed out
        self.accepted: list[str] = []  # leases whose result was acknowledged

    async def run(self, *, lease_seconds: float = 5) -> None:
        about = {"type": self._type, "version": "1", "name": f"{self._type}-{self._number}", "capacity": 64}
        status, bot = await self._call("POST", "/bots/register", about)
        assert status in (200, 201), bot
        turn = 0
        while True:
            turn += 1
            ask = {"bot_id": bot["id"], "max": self._batch, "wait_seconds": 2, "lease_seconds": lease_seconds}
            status, answer = await self._call("POST", "/leases", {**ask, "claim_id": f"{bot['id']}-{turn}"})
            assert status == 200, answer
            leases = answer["leases"]
            while leases:
                leases = await self._report(bot["id"], leases)

    async def _report(self, bot: str, leases: list[Json]) -> list[Json]:
        self.granted += [(lease["lease_id"], _work_of(lease)) for lease in leases]
        results = [
            {"task_id": lease["task_id"], "lease_id": lease["lease_id"], "status": "succeeded", **self._do(lease)}
            for lease in leases
        ]
        more: list[Json] = []
        while results:
            body = {"bot_id": bot, "results": results, "claim": {"max": self._batch}}
            status, answer = await self._call("POST", "/results", body)
            assert status == 200, answer
            again = []
            for sent, result in zip(results, answer["results"], strict=True):
                if result["accepted"]:
                    self.accepted.append(sent["lease_id"])
                elif result["status"] == 503:
                    again.append(sent)
                else:
                    assert result["code"] in ("lease_lost", "task_closed"), result
            more += answer["leases"]
            results = again
            if again:
                await asyncio.sleep(0.2)
        return more


def _work_of(lease: Json) -> str:
    return lease["subtask"]["id"] if lease.get("subtask") else f"{lease['kind']} of {lease['task_id']}"


async def while_it_lasts(workers: Sequence[Awaitable[None]], story: Awaitable[None]) -> None:
    """Run workers, which never end, until the story does. An error of a worker ends the story."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_as_coroutine(worker)) for worker in workers]
        try:
            await story
        finally:
            for task in running:
                task.cancel()


async def _as_coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable
