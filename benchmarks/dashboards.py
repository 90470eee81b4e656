"""What open dashboards cost a server while W(n, 5) runs, in processor time of the server.

    .venv/bin/python -m benchmarks.dashboards [--tasks 200 --rounds 10 --pages 10] [--store postgresql://…]

Each simulated page makes the requests of dashboard/src/live.ts: it follows GET /changes, and reads its list of tasks
again when the server tells it that tasks have changed; at most twice a second, or once in two seconds if more than ten
changed or a read was slow. The same server works with and without pages in turns, in many rounds, because neighbours on
the same cores make everything slower for a while.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from swarmkeeper.bench.load import HttpConnection
from swarmkeeper.bench.load_clients import LoadBots
from swarmkeeper.bench.scenarios.lifecycle import all_at_once
from swarmkeeper.bench.server import BenchServer
from swarmkeeper.clock import SystemClock

SUBTASKS, CLIENTS, WARM = 5, 8, 20
LIST = "/tasks?view=row&page_size=50"
GAP, LONG_GAP, SLOW, TOGETHER = 0.5, 2.0, 0.1, 0.6  # seconds, as in live.ts
BUSY_TASKS = 10
_clock = SystemClock()


def _now() -> float:
    return _clock.monotonic() / 1_000_000


@dataclass(slots=True)
class Counts:
    messages: int = 0
    reads: int = 0


class Page:
    """An open page of the dashboard that lists tasks."""

    def __init__(self, url: str, key: str, counts: Counts) -> None:
        self._url, self._key, self._counts = url, key, counts
        self._read_at, self._gap, self._due = -1e9, GAP, math.inf
        self._told = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._read())

    async def _follow(self) -> None:
        parts = urlsplit(self._url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        asked = f"GET /changes HTTP/1.1\r\nhost: bench\r\nx-api-key: {self._key}\r\naccept: text/event-stream\r\n\r\n"
        writer.write(asked.encode())
        try:
            while line := await reader.readline():
                if line.startswith(b"data:"):
                    self._counts.messages += 1
                    tasks = msgspec.json.decode(line[5:])["tasks"]
                    if tasks:
                        self._heard(busy=tasks == "many" or len(tasks) > BUSY_TASKS)
        finally:
            writer.close()

    def _heard(self, *, busy: bool) -> None:
        if busy:
            self._gap = LONG_GAP
        left = self._read_at + self._gap - _now()
        self._due = min(self._due, _now() + (0 if left <= 0 else left + TOGETHER * busy))
        self._told.set()

    async def _read(self) -> None:
        connection = await HttpConnection.open(self._url, self._key)
        try:
            while True:
                while (left := self._due - _now()) > 0:
                    self._told.clear()
                    # Not `wait_for`: before Python 3.12 it may lose that the page is closed in this moment.
                    with suppress(TimeoutError):
                        async with asyncio.timeout(min(left, 60)):
                            await self._told.wait()
                self._read_at, self._due = _now(), math.inf
                await connection.call("GET", LIST)
                self._counts.reads += 1
                self._gap = LONG_GAP if _now() - self._read_at > SLOW else GAP
        finally:
            connection.close()


@asynccontextmanager
async def pages(url: str, key: str, number: int, counts: Counts) -> AsyncIterator[None]:
    """Keep so many pages open during the block."""
    opened = [asyncio.create_task(Page(url, key, counts).run()) for _ in range(number)]
    try:
        await asyncio.sleep(0.2)  # each has heard how things are, and has read its list
        yield
    finally:
        for page in opened:
            page.cancel()
        for page in opened:
            with suppress(asyncio.CancelledError):
                await page


def used(server: BenchServer) -> float:
    """Return the seconds of processor time that the server has used so far, in all threads."""
    assert server.process is not None, "it runs"
    threads = Path(f"/proc/{server.process.pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in threads) / 1e9


@dataclass(slots=True)
class Cost:
    plain: list[float] = field(default_factory=list)  # seconds of processor time of each round
    watched: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # that each watched round took
    counts: Counts = field(default_factory=Counts)

    @property
    def ratio(self) -> float:
        """Of a round with pages and the two rounds without around it: the median."""
        return statistics.median(
            watched * 2 / (before + after)
            for watched, before, after in zip(self.watched, self.plain, self.plain[1:], strict=False)
        )

    @property
    def share(self) -> float:
        """What the pages use of a processor, all the time: also where others use it, too, and a round takes long."""
        return statistics.median(
            (watched - (before + after) / 2) / seconds
            for watched, before, after, seconds in zip(
                self.watched, self.plain, self.plain[1:], self.seconds, strict=False
            )
        )


async def measure(tasks: int, rounds: int, number: int, store: str | None = None) -> Cost:
    """Let a server work without and with pages in turns."""
    cost = Cost()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(BenchServer(store))
        await stack.enter_async_context(LoadBots(server, subtasks=SUBTASKS, bots=16, batch=1))
        key, person = await server.key("client"), await server.key("operator")
        first = 0

        async def work(count: int) -> tuple[float, float]:
            nonlocal first
            clients = [await HttpConnection.open(server.url, key) for _ in range(CLIENTS)]
            began, before = _now(), used(server)
            await all_at_once(clients, range(first, first + count), SUBTASKS, 1)
            found = used(server) - before, _now() - began
            first += count
            for client in clients:
                client.close()
            return found

        for _ in range(3):
            await work(WARM)
        for _ in range(rounds):
            cost.plain.append((await work(tasks))[0])
            async with pages(server.url, person, number, cost.counts):
                processor, seconds = await work(tasks)
            cost.watched.append(processor)
            cost.seconds.append(seconds)
        cost.plain.append((await work(tasks))[0])
    return cost


def shown(cost: Cost, tasks: int, number: int) -> Sequence[str]:
    per = 1e6 / (tasks * SUBTASKS)
    plain, watched = (statistics.median(each) * per for each in (cost.plain, cost.watched))
    rounds = len(cost.watched)
    return (
        f"without {plain:8.1f}   with {number} pages {watched:8.1f}   ms of the server for 1,000 subtasks",
        f"they cost {(cost.ratio - 1) * 100:.1f} % more, and {cost.share * 100:.1f} % of a processor",
        f"(medians of {rounds} rounds of {statistics.median(cost.seconds):.1f} s)",
        f"{cost.counts.messages / rounds:.0f} messages and {cost.counts.reads / rounds:.0f} reads in each round",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--pages", type=int, default=10)
    parser.add_argument("--store", default=None, help="an empty database, or a new file; else a temporary file")
    options = parser.parse_args()
    cost = asyncio.run(measure(options.tasks, options.rounds, options.pages, options.store))
    for line in shown(cost, options.tasks, options.pages):
        print(line)


if __name__ == "__main__":
    main()
