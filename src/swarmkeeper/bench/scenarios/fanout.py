"""Compares one task of thousands of subtasks (all depend on the first, and the last depends on all) with as many tasks
of one subtask: the costs must be similar, no batch may hold the engine for long, and another tenant's bots must not be
slowed down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from swarmkeeper.bench.load import HttpConnection, size_of
from swarmkeeper.bench.report import BenchReport, CannotMeasure, Chosen, Figure, ScenarioOptions, percentile, ratio
from swarmkeeper.bench.server import BenchServer
from swarmkeeper.bench.swarm import SKILL, WAIT_SECONDS, LoadSwarm
from swarmkeeper.clock import SystemClock

OUTPUT = {"done": True}
A_CALL = 500  # tasks submitted per call
QUIET = 50  # claims of the other tenant on the idle system

MEANING = {
    "total": "ratio of durations: one large task to many small ones",
    "batch_max_ms_one": "the longest batch of the engine during the large task, including its fsync",
    "neighbour_p99": "ratio of the 99th percentile of another tenant's claims: during the large task to before",
}


async def fanout(options: ScenarioOptions) -> BenchReport:
    chosen = options.chosen(tasks=10_000, bots=4, batch=50)
    items = chosen.tasks
    if items < 3:
        raise CannotMeasure("--tasks is the number of subtasks of the large task: at least 3")
    if chosen.store is not None:
        raise CannotMeasure("this scenario makes two stores and does not take --store")
    async with BenchServer(None) as server:
        machine, durability = await server.describe()
        large = await _large_task(server, chosen)
    async with BenchServer(None) as server:
        small = await _small_tasks(server, chosen)
    figures: dict[str, Figure] = {"total": ratio(large["seconds"], small["seconds"])}
    figures |= {f"{name}_one": value for name, value in large.items() if not name.startswith("neighbour")}
    figures |= {f"{name}_many": value for name, value in small.items()}
    figures |= {name: value for name, value in large.items() if name.startswith("neighbour")}
    return BenchReport(
        scenario="fanout",
        options=chosen,
        machine=machine,
        durability=durability,
        payload={"task": size_of(_large(items)), "output": size_of(OUTPUT)},
        figures=figures,
        meaning=MEANING,
    )


def _large(items: int) -> dict[str, Any]:
    def subtask(key: str, *needs: str) -> dict[str, Any]:
        return {"key": key, "description": "", "required_skills": [SKILL], "depends_on": list(needs)}

    middle = [f"m{number}" for number in range(items - 2)]
    subtasks = [subtask("first"), *(subtask(key, "first") for key in middle), subtask("last", *middle)]
    return {"title": "Fan out", "evaluation": "none", "subtasks": subtasks}


async def _swarm(server: BenchServer, chosen: Chosen) -> LoadSwarm:
    swarm = LoadSwarm()
    await swarm.add(
        server, "Executor", chosen.bots, batch=chosen.batch, answer=lambda lease: {"output": OUTPUT}, skills=[SKILL]
    )
    return swarm


async def _large_task(server: BenchServer, chosen: Chosen) -> dict[str, float]:
    swarm = await _swarm(server, chosen)
    client = await server.connect(await server.key("client"))
    clock = SystemClock()
    neighbour = await Neighbour.open(server)
    before = [await neighbour.claim() for _ in range(QUIET)]
    async with swarm.working(), neighbour.claiming() as during:
        began = clock.monotonic()
        task = await client.post("/tasks", _large(chosen.tasks))
        await _finish(client, task["id"])
        seconds = (clock.monotonic() - began) / 1_000_000
    longest = (await server.figures())["batch_seconds_max"] * 1000
    quiet, busy = percentile(before, 0.99), percentile(during, 0.99)
    return {
        "seconds": seconds,
        "batch_max_ms": longest,
        "neighbour_p99": busy / quiet,
        "neighbour_p99_before_ms": quiet,
        "neighbour_p99_during_ms": busy,
    }


async def _small_tasks(server: BenchServer, chosen: Chosen) -> dict[str, float]:
    swarm = await _swarm(server, chosen)
    client = await server.connect(await server.key("client"))
    clock = SystemClock()
    small = {"title": "Do one", "evaluation": "none", "subtasks": _large(3)["subtasks"][:1]}
    items = chosen.tasks
    async with swarm.working():
        began = clock.monotonic()
        ids: list[str] = []
        for begin in range(0, items, A_CALL):
            answer = await client.post("/tasks:batch", {"tasks": [small] * min(A_CALL, items - begin)})
            ids += [result["task"]["id"] for result in answer["results"]]
        for task_id in reversed(ids):
            await _finish(client, task_id)
            if sum(worker.reported for worker in swarm.workers) == items:
                break  # every result was accepted, so every task is final
        seconds = (clock.monotonic() - began) / 1_000_000
    return {"seconds": seconds, "batch_max_ms": (await server.figures())["batch_seconds_max"] * 1000}


async def _finish(client: HttpConnection, task_id: str) -> None:
    task: Mapping[str, Any] = {"outcome": None}
    while task["outcome"] is None:
        task = await client.call("GET", f"/tasks/{task_id}?wait_seconds={WAIT_SECONDS}&until=final")
    if task["outcome"] != "accepted":
        raise CannotMeasure(f"a task ended {task['status']}, {task['outcome']}")


class Neighbour:
    """A bot of another tenant that always finds work."""

    def __init__(self, connection: HttpConnection, bot: str) -> None:
        self._connection, self._bot = connection, bot
        self._clock = SystemClock()

    @classmethod
    async def open(cls, server: BenchServer) -> Neighbour:
        connection = await server.connect(await server.key("admin", tenant="neighbour"))
        sent = {"type": "Executor", "version": "1", "name": "neighbour", "skills": [SKILL]}
        return cls(connection, (await connection.post("/bots/register", sent))["id"])

    async def claim(self) -> float:
        """Submit a task and claim it; return the milliseconds that the claim took."""
        await self._connection.post(
            "/tasks", {"title": "Next door", "evaluation": "none", "subtasks": _large(3)["subtasks"][:1]}
        )
        began = self._clock.monotonic()
        (lease,) = (await self._connection.post("/leases", {"bot_id": self._bot, "wait_seconds": 0}))["leases"]
        took = (self._connection.answered_at - began) / 1000
        report = {"bot_id": self._bot, "lease_id": lease["lease_id"], "status": "succeeded", "output": OUTPUT}
        await self._connection.post(f"/tasks/{lease['task_id']}/results", report)
        return took

    @asynccontextmanager
    async def claiming(self) -> AsyncIterator[list[float]]:
        """Claim again and again during the block; collect the milliseconds that each claim took."""
        took: list[float] = []
        over = asyncio.Event()

        async def claim_repeatedly() -> None:
            while not over.is_set():
                took.append(await self.claim())

        async with asyncio.TaskGroup() as group:
            group.create_task(claim_repeatedly())
            try:
                yield took
            finally:
                over.set()
