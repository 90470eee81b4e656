"""What sinks, signing and policies cost together, on W(n, 5) over HTTP, in processor time of the server.

    python benchmarks/trust_cost.py [--tasks 200 --rounds 10 --batch 1]

Two servers run side by side: one has a sink for the audit log, signs its checkpoints and asks policies, and the other
does not. They get the same work in turns, in many short rounds, because neighbours on the same cores make everything
slower for a while. A round ends for both before the next begins, so what a server does in the background counts, too.
"""

import argparse
import asyncio
import statistics
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from aiohttp import web

from swarmkeeper.bench.load import HttpConnection
from swarmkeeper.bench.load_clients import LoadBots
from swarmkeeper.bench.scenarios.lifecycle import all_at_once
from swarmkeeper.bench.server import BenchServer
from swarmkeeper.policy.files import shipped
from swarmkeeper.transparency.notes import new_key

SUBTASKS, CLIENTS, WARM = 5, 4, 10
POLICIES = ("all.cedar", "no-lethal-trifecta.cedar")


class Collector:
    """Takes audit records over HTTP, and counts its calls. It is in the process of the measurement."""

    def __init__(self) -> None:
        self.calls = 0
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None)

    async def _take(self, request: web.Request) -> web.Response:
        await request.read()
        self.calls += 1
        return web.json_response({})

    async def start(self) -> int:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        await self._runner.cleanup()


class TrustedServer(BenchServer):
    """A server with a sink, signing and policies."""

    port: ClassVar[int] = 0  # of the collector

    def more_settings(self, folder: Path) -> Mapping[str, object]:
        sinks, key = folder / "sinks.toml", folder / "audit.key"
        sinks.write_text(
            f'[sink.collector]\nkind = "otlp"\nurl = "http://127.0.0.1:{self.port}"\nallow_private = true\n'
            "insecure = true\n",
            encoding="utf-8",
        )
        key.write_text(new_key("bench.example.org", bytes(32)).secret(), encoding="utf-8")
        for file in (sinks, key):
            file.chmod(0o600)
        policies = ",".join(str(shipped(name)) for name in POLICIES)
        return {"sinks": sinks, "audit_key_file": key, "policies": policies}


@dataclass(frozen=True, slots=True)
class Cost:
    plain: float  # milliseconds of processor time of the server for 1,000 subtasks; the median of the rounds
    trusted: float
    ratio: float  # of the two, the median of the rounds
    sent: int  # calls that the collector got


@dataclass(frozen=True, slots=True)
class Side:
    server: BenchServer
    key: str  # of the client

    async def work(self, tasks: range, submits: int) -> None:
        # New connections for each round: the server closes those that send nothing while the other one has its turn.
        clients = [await HttpConnection.open(self.server.url, self.key) for _ in range(CLIENTS)]
        try:
            await all_at_once(clients, tasks, SUBTASKS, submits)
        finally:
            for client in clients:
                client.close()

    def used(self) -> float:
        """Return the seconds of processor time that the server has used so far, in all threads."""
        assert self.server.process is not None, "it runs"
        threads = Path(f"/proc/{self.server.process.pid}/task").glob("*/schedstat")
        return sum(int(file.read_text().split()[0]) for file in threads) / 1e9


async def measure(tasks: int, rounds: int, batch: int) -> Cost:
    """Give both servers so many tasks in each of so many rounds; one bot reports up to `batch` results at once."""
    collector = Collector()
    TrustedServer.port = await collector.start()
    used: dict[type[BenchServer], list[float]] = {BenchServer: [], TrustedServer: []}
    async with AsyncExitStack() as stack:
        stack.push_async_callback(collector.stop)
        sides = {kind: await _side(stack, kind, batch) for kind in used}
        for side in sides.values():
            await side.work(range(WARM), batch)
        for number in range(rounds + 1):
            for kind, side in sides.items():
                used[kind].append(side.used())
            if number < rounds:
                first = WARM + number * tasks
                for side in list(sides.values())[:: 1 if number % 2 else -1]:
                    await side.work(range(first, first + tasks), batch)
    each = {kind: [after - before for before, after in pairwise(all_)] for kind, all_ in used.items()}
    plain, trusted = each[BenchServer], each[TrustedServer]
    per = 1e6 / (tasks * SUBTASKS)
    ratio = statistics.median(two / one for one, two in zip(plain, trusted, strict=True))
    return Cost(statistics.median(plain) * per, statistics.median(trusted) * per, ratio, collector.calls)


async def _side(stack: AsyncExitStack, kind: type[BenchServer], batch: int) -> Side:
    server = await stack.enter_async_context(kind(None))
    bots = 4 if batch > 1 else 16
    await stack.enter_async_context(LoadBots(server, subtasks=SUBTASKS, bots=bots, batch=batch))
    return Side(server, await server.key("client"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    cost = asyncio.run(measure(options.tasks, options.rounds, options.batch))
    print(f"without {cost.plain:8.1f}   with {cost.trusted:8.1f}   ms of the server for 1,000 subtasks")
    print(f"it keeps {100 / cost.ratio:.1f} % of its rate (median of {options.rounds} rounds)")


if __name__ == "__main__":
    main()
