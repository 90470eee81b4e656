"""Measures several orchestrators on one PostgreSQL: `python benchmarks/replicas.py`, which prints JSON.

The server of PostgreSQL comes from a package of the test requirements, with every commit on the disk. Servers, bots and
database share this machine's processors, so the figures say how the parts compare, not what several machines can do.

- `subtasks_per_second`: tasks of 8 subtasks through lean bots, 50 a call, by the number of servers
- `handoff`: from sending a result at one server to reading the dependent's lease at the other, in milliseconds
- `handoff_without_hints`: the same with a broker that cannot be reached: every hint between the servers is lost
- `feed`: from the commit of an event to its number, while tasks run at about half of what one server can, and the same
  while another program keeps a transaction open in the database
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from swarmkeeper.bench import swarm
from swarmkeeper.bench.load import HttpConnection
from swarmkeeper.bench.report import percentile
from swarmkeeper.bench.scenarios.handoff import hand_over
from swarmkeeper.bench.swarm import register
from swarmkeeper.clock import SystemClock
from tests.acceptance.replicas import Cluster
from tests.support.postgres import PostgresServer

SUBTASKS = 8
BATCH = 50
SETTINGS = {
    "log_level": "warning",
    "four_eyes": False,
    "tasks_a_minute_key": 0,
    "tasks_a_minute_tenant": 0,
    "open_tasks": 0,
    "open_subtasks": 0,
    "stored_bytes": 0,
}
NOBODY = "valkey://127.0.0.1:1"  # a broker's address at which nobody listens
_clock = SystemClock()


async def _workers(cluster: Cluster, executors: int) -> list[asyncio.Task[None]]:
    """Start bots, each at one server, spread over all."""
    urls = itertools.cycle([replica.url for replica in cluster.replicas])
    answers = {"Planner": swarm.plan(SUBTASKS), "Executor": swarm.execute, "Evaluator": swarm.review}
    started = []
    for kind, count in (("Planner", 2), ("Executor", executors), ("Evaluator", 2)):
        for number in range(count):
            connection = await HttpConnection.open(next(urls), cluster.key)
            skills = [swarm.SKILL] if kind == "Executor" else []
            worker = await swarm.enlist(connection, kind, number, BATCH, answers[kind], skills)
            started.append(asyncio.create_task(worker.run()))
    return started


async def _life(cluster: Cluster, number: int, tasks: Sequence[int], pause: float = 0) -> None:
    client = await HttpConnection.open(cluster.replicas[number % len(cluster.replicas)].url, cluster.key)
    for begin in range(0, len(tasks), BATCH if not pause else 1):
        some = tasks[begin : begin + (BATCH if not pause else 1)]
        for task, task_id in (await swarm.submit(client, some, BATCH)).items():
            await swarm.read_archived(client, task_id, task, SUBTASKS)
        await asyncio.sleep(pause)
    client.close()


async def _throughput(cluster: Cluster, tasks: int) -> float:
    workers = await _workers(cluster, 8)
    await _life(cluster, 0, range(20))  # until everything is loaded and planned once
    began = _clock.monotonic()
    await asyncio.gather(*(_life(cluster, n, range(100 + n, 100 + tasks, 4)) for n in range(4)))
    seconds = (_clock.monotonic() - began) / 1_000_000
    await _end(workers)
    return tasks * SUBTASKS / seconds


async def _end(workers: Sequence[asyncio.Task[None]]) -> None:
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


async def _handoff(cluster: Cluster, times: int) -> list[float]:
    at_a, at_b = (replica.url for replica in cluster.replicas[:2])
    client, maker = await HttpConnection.open(at_a, cluster.key), await HttpConnection.open(at_a, cluster.key)
    taker = await HttpConnection.open(at_b, cluster.key)
    first = await register(maker, "Executor", "first", skills=["first"])
    second = await register(taker, "Executor", "second", skills=["second"])
    return [(await hand_over(client, maker, taker, first, second, number))[0] for number in range(times)]


async def _lag(cluster: Cluster, database: str, tasks: int, *, foreign: bool) -> list[float]:
    """Return how long events waited for their number, in milliseconds: read each millisecond or so."""
    connection, other = await asyncpg.connect(database), await asyncpg.connect(database)
    foreign_transaction = other.transaction(isolation="repeatable_read")
    if foreign:
        await foreign_transaction.start()
        await other.execute("SELECT count(*) FROM event")
        await other.execute("CREATE TABLE IF NOT EXISTS foreign_table (x int)")
    workers = await _workers(cluster, 4)
    lags: list[float] = []
    load = asyncio.gather(*(_life(cluster, n, range(10_000 + n, 10_000 + tasks, 2), pause=0.05) for n in range(2)))
    while not load.done():
        lag = await connection.fetchval(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000 - min(at) / 1000.0)::float8 FROM outbox"
        )
        if lag is not None:
            lags.append(lag)
        await asyncio.sleep(0.001)
    await load
    await _end(workers)
    if foreign:
        await foreign_transaction.rollback()
    await connection.close()
    await other.close()
    return lags


def _figures(milliseconds: Sequence[float]) -> dict[str, float]:
    return {
        "p50": round(percentile(milliseconds, 0.5), 1),
        "p99": round(percentile(milliseconds, 0.99), 1),
        "times": len(milliseconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=400, help="for each number of servers")
    parser.add_argument("--servers", type=int, nargs="+", default=[1, 2, 4])
    given = parser.parse_args()
    postgres = PostgresServer(durable=True)
    found: dict[str, Any] = {"subtasks_per_second": {}}
    try:
        for count in given.servers:
            with _cluster(postgres, count) as cluster:
                found["subtasks_per_second"][count] = round(asyncio.run(_throughput(cluster, given.tasks)))
        database = postgres.new_database(keep=True)
        with Cluster(Path(tempfile.mkdtemp()), database, 2, SETTINGS) as cluster:
            found["handoff"] = _figures(asyncio.run(_handoff(cluster, 200)))
            found["feed"] = _figures(asyncio.run(_lag(cluster, database, 100, foreign=False)))
            found["feed_beside_an_open_transaction"] = _figures(asyncio.run(_lag(cluster, database, 100, foreign=True)))
        with _cluster(postgres, 2, broker=NOBODY) as cluster:
            found["handoff_without_hints"] = _figures(asyncio.run(_handoff(cluster, 40)))
    finally:
        postgres.stop()
    print(json.dumps(found, indent=2))


def _cluster(postgres: PostgresServer, count: int, **more: object) -> Cluster:
    return Cluster(Path(tempfile.mkdtemp()), postgres.new_database(keep=True), count, {**SETTINGS, **more})


if __name__ == "__main__":
    main()
