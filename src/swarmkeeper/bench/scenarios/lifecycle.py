"""Measures complete tasks per second: W(n, k) over HTTP, durable, with external bots; and before that the duration of
single tasks on an idle system. Server, bots and client are three processes, and the usage of each is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from swarmkeeper.bench import swarm
from swarmkeeper.bench.load import HttpConnection, size_of
from swarmkeeper.bench.load_clients import LoadBots
from swarmkeeper.bench.machine import own_cpu_seconds
from swarmkeeper.bench.report import BenchReport, Chosen, Figure, ScenarioOptions, percentile
from swarmkeeper.bench.server import BenchServer
from swarmkeeper.clock import SystemClock

ALONE = 50  # tasks, one after another
CLIENTS = 8  # connections that submit tasks and wait for them
BATCH = 50


@dataclass(frozen=True, slots=True)
class Way:
    """How the bots work: `batch` results per call; 0 for SDK bots, which batch results that are ready together."""

    name: str
    batch: int
    bots: int
    submits: int  # tasks per call of the client


WAYS = (Way("single", 1, 16, 1), Way("batched", BATCH, 4, BATCH), Way("sdk", 0, 4, BATCH))

_WAY_MEANING = {
    "single": "16 lean bots, one result per call, which also claims the next work",
    "batched": f"4 lean bots, {BATCH} results per call",
    "sdk": "4 SDK bots, which batch results that are ready together",
}
MEANING = {
    "tasks_per_second": "from the first submission to the last result read and checked",
    "server_cpu_ms_per_1000_subtasks": "processor time of the server",
    "bots_cpu_ms_per_1000_subtasks": "processor time of the bots' process",
    "client_cpu_ms_per_1000_subtasks": "processor time of the process that submits and waits",
    "cpu_ms_per_1000_subtasks": "processor time of all three processes",
    "commits_per_task": "batches of the engine; each is one commit with at most one fsync",
    "commands_per_commit": "average number of submissions and reports per commit",
    "calls_per_task": "HTTP requests of bots and client",
    "alone_p50_ms": "one task on an idle system, from its submission to reading it ARCHIVED",
    "batch_max_ms": "the longest batch of the engine, including its fsync",
}


async def lifecycle(options: ScenarioOptions, server: type[BenchServer] = BenchServer) -> BenchReport:
    """Measure each way on its own server; with `--batch`, only lean bots with that batch size."""
    chosen = options.chosen(tasks=200, subtasks=5, bots=16, batch=1)
    ways: Sequence[Way] = (Way("", chosen.batch, chosen.bots, chosen.batch),)
    if options.batch is None:
        ways = WAYS
        chosen = replace(chosen, bots=options.bots or 0, batch=0)  # each way has its own
    figures: dict[str, Figure] = {}
    meaning = dict(MEANING)
    described = None
    for index, way in enumerate(ways):
        store = chosen.store if chosen.store is None or not index else f"{chosen.store}.{way.name}"
        async with server(store) as started:
            described = described or await started.describe()
            found = await _measured(started, chosen, way)
        prefix = f"{way.name}_" if way.name else ""
        figures |= {prefix + name: value for name, value in found.items()}
        meaning |= {prefix + name: text for name, text in MEANING.items()}
        if way.name:
            meaning[prefix + "tasks_per_second"] = _WAY_MEANING[way.name]
    assert described is not None, "there is at least one way"
    machine, durability = described
    return BenchReport(
        scenario="lifecycle",
        options=chosen,
        machine=machine,
        durability=durability,
        payload=_sizes(chosen.subtasks),
        figures=figures,
        meaning=meaning,
    )


async def _measured(server: BenchServer, chosen: Chosen, way: Way) -> dict[str, Figure]:
    key = await server.key("client")
    async with (
        LoadBots(server, subtasks=chosen.subtasks, bots=chosen.bots or way.bots, batch=way.batch) as crew,
        crew.watched(),
    ):
        alone = await one_by_one(await server.connect(key), min(chosen.tasks, ALONE), chosen.subtasks)
        # Not earlier: the server closes connections that send nothing.
        clients = [await server.connect(key) for _ in range(CLIENTS)]
        figures = await together(
            server, crew, clients, tasks=range(chosen.tasks), subtasks=chosen.subtasks, submits=way.submits
        )
    return {**figures, "alone_p50_ms": percentile(alone, 0.5), "alone_p99_ms": percentile(alone, 0.99)}


async def one_by_one(client: HttpConnection, tasks: int, subtasks: int) -> list[float]:
    """Run tasks one after another; return the milliseconds that each took."""
    clock = SystemClock()
    took = []
    for number in range(tasks):
        began = clock.monotonic()
        ids = await swarm.submit(client, [number], 1)
        await swarm.read_archived(client, ids[number], number, subtasks)
        took.append((clock.monotonic() - began) / 1000)
    return took


async def together(
    server: BenchServer, crew: LoadBots, clients: Sequence[HttpConnection], *, tasks: range, subtasks: int, submits: int
) -> dict[str, Figure]:
    """Run all tasks at once, submitted `submits` per call; return the figures."""
    clock = SystemClock()
    before, bots = await server.figures(), await crew.used()
    cpu, calls = own_cpu_seconds(), sum(client.calls for client in clients)
    began = clock.monotonic()
    await all_at_once(clients, tasks, subtasks, submits)
    seconds = (clock.monotonic() - began) / 1_000_000
    cpu = own_cpu_seconds() - cpu
    now, after = await crew.used(), await server.figures()
    calls = sum(client.calls for client in clients) - calls + now.calls - bots.calls
    items = len(tasks) * subtasks
    commits = after["batches_total"] - before["batches_total"]
    figures: dict[str, Figure] = {
        "tasks_per_second": len(tasks) / seconds,
        "subtasks_per_second": items / seconds,
        "seconds": seconds,
        "calls_per_task": calls / len(tasks),
        "commits_per_task": commits / len(tasks),
        "commands_per_commit": (after["commands_total"] - before["commands_total"]) / commits,
        "batch_max_ms": after["batch_seconds_max"] * 1000,
        "server_cpu_ms_per_1000_subtasks": None,
        "bots_cpu_ms_per_1000_subtasks": (now.cpu_seconds - bots.cpu_seconds) * 1e6 / items,
        "client_cpu_ms_per_1000_subtasks": cpu * 1e6 / items,
        "cpu_ms_per_1000_subtasks": None,
    }
    if "process_cpu_seconds_total" in after:
        served = after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]
        figures["server_cpu_ms_per_1000_subtasks"] = served * 1e6 / items
        figures["cpu_ms_per_1000_subtasks"] = (served + cpu + now.cpu_seconds - bots.cpu_seconds) * 1e6 / items
    return figures


async def all_at_once(clients: Sequence[HttpConnection], tasks: range, subtasks: int, submits: int) -> None:
    """Submit all tasks, `submits` per call, and wait until each is done and checked."""
    async with asyncio.TaskGroup() as group:
        for number, client in enumerate(clients):
            group.create_task(_life(client, tasks[number :: len(clients)], subtasks, submits))


async def _life(client: HttpConnection, numbers: range, subtasks: int, submits: int) -> None:
    ids = await swarm.submit(client, numbers, submits)
    for number, task_id in ids.items():
        await swarm.read_archived(client, task_id, number, subtasks)


def _sizes(subtasks: int) -> dict[str, int]:
    task = swarm.task_of(100)
    return {
        "task": size_of(task),
        "plan": size_of(swarm.subtasks_of(task["input"]["text"], subtasks)),
        "output": size_of({"hash": swarm.digest("")}),
    }
