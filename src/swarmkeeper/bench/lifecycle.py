"""How many whole lives of tasks a second: W(n, k) over HTTP, durable, with bots outside; before it, how long one task
takes where nothing else is going on.
"""

from __future__ import annotations

import asyncio

from swarmkeeper.bench import swarm
from swarmkeeper.bench.load import Connection, size_of
from swarmkeeper.bench.machine import own_cpu_seconds
from swarmkeeper.bench.report import Chosen, Figure, Options, Report, percentile
from swarmkeeper.bench.server import Server
from swarmkeeper.clock import SystemClock

ALONE = 50  # tasks, one after another
CLIENTS = 8  # connections that hand tasks in and wait for them

MEANING = {
    "tasks_per_second": "from the first submission to the last result read and checked",
    "server_cpu_ms_per_1000_subtasks": "processor time of the server; with load_cpu… of everything",
    "commits_per_task": "batches of the engine; each is one commit, at most one fsync",
    "commands_per_commit": "submissions and reports that shared a commit, on average",
    "calls_per_task": "HTTP requests of bots and client",
    "alone_p50_ms": "one task on an idle system, submitted to ARCHIVED read",
    "batch_max_ms": "the longest batch of the engine, its fsync included",
}


async def lifecycle(options: Options) -> Report:
    chosen = options.chosen(tasks=200, subtasks=5, bots=16, batch=1)
    async with Server(chosen.store) as server:
        machine, durability = await server.describe()
        workers = await swarm.standard(server, subtasks=chosen.subtasks, bots=chosen.bots, batch=chosen.batch)
        client_key = await server.key("client")
        clients = [await server.connect(client_key) for _ in range(CLIENTS)]
        async with workers.working():
            alone = await _one_by_one(clients[0], min(chosen.tasks, ALONE), chosen.subtasks)
            measured = await _together(server, workers, clients, chosen)
    return Report(
        scenario="lifecycle",
        options=chosen,
        machine=machine,
        durability=durability,
        payload=_sizes(chosen.subtasks),
        figures={
            **measured,
            "alone_p50_ms": percentile(alone, 0.5),
            "alone_p99_ms": percentile(alone, 0.99),
        },
        meaning=MEANING,
    )


async def _one_by_one(client: Connection, tasks: int, subtasks: int) -> list[float]:
    """Milliseconds that each took."""
    clock = SystemClock()
    took = []
    for number in range(tasks):
        began = clock.monotonic()
        ids = await swarm.submit(client, [number], 1)
        await swarm.read_archived(client, ids[number], number, subtasks)
        took.append((clock.monotonic() - began) / 1000)
    return took


async def _together(
    server: Server, workers: swarm.Swarm, clients: list[Connection], chosen: Chosen
) -> dict[str, Figure]:
    clock = SystemClock()
    connections = [*clients, *(worker.connection for worker in workers.workers)]
    before, cpu, calls = await server.figures(), own_cpu_seconds(), sum(one.calls for one in connections)
    began = clock.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, client in enumerate(clients):
            group.create_task(_life(client, range(number, chosen.tasks, len(clients)), chosen))
    seconds = (clock.monotonic() - began) / 1_000_000
    cpu = own_cpu_seconds() - cpu
    after = await server.figures()
    calls = sum(one.calls for one in connections) - calls
    subtasks = chosen.tasks * chosen.subtasks
    commits = after["batches_total"] - before["batches_total"]
    figures: dict[str, Figure] = {
        "tasks_per_second": chosen.tasks / seconds,
        "subtasks_per_second": subtasks / seconds,
        "seconds": seconds,
        "calls_per_task": calls / chosen.tasks,
        "commits_per_task": commits / chosen.tasks,
        "commands_per_commit": (after["commands_total"] - before["commands_total"]) / commits,
        "batch_max_ms": after["batch_seconds_max"] * 1000,
        "load_cpu_ms_per_1000_subtasks": cpu * 1e6 / subtasks,
        "server_cpu_ms_per_1000_subtasks": None,
    }
    if "process_cpu_seconds_total" in after:
        served = after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]
        figures["server_cpu_ms_per_1000_subtasks"] = served * 1e6 / subtasks
    return figures


async def _life(client: Connection, numbers: range, chosen: Chosen) -> None:
    ids = await swarm.submit(client, numbers, chosen.batch)
    for number, task_id in ids.items():
        await swarm.read_archived(client, task_id, number, chosen.subtasks)


def _sizes(subtasks: int) -> dict[str, int]:
    task = swarm.task_of(100)
    return {
        "task": size_of(task),
        "plan": size_of(swarm.subtasks_of(task["input"]["text"], subtasks)),
        "output": size_of({"hash": swarm.digest("")}),
    }
