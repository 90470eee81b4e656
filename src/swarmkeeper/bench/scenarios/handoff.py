"""Measures how soon a waiting bot gets a subtask after the result it depends on was posted."""

from __future__ import annotations

import asyncio

from swarmkeeper.bench.load import HttpConnection, size_of
from swarmkeeper.bench.report import BenchReport, CannotMeasure, ScenarioOptions, percentile
from swarmkeeper.bench.server import BenchServer
from swarmkeeper.bench.swarm import register
from swarmkeeper.clock import SystemClock

MEANING = {
    "handoff_p50_ms": "from sending the result to reading the dependent's lease, on two connections",
    "handoff_over_fsync_p50_ms": "the same without the disk: minus the machine's median fsync",
    "answered_p50_ms": "from sending the result to reading its answer",
}
OUTPUT = {"text": "x" * 100}


async def handoff(options: ScenarioOptions) -> BenchReport:
    chosen = options.chosen(tasks=200)
    async with BenchServer(chosen.store) as server:
        machine, durability = await server.describe()
        client = await server.connect(await server.key("client"))
        key = await server.key("bot:executor", bot="bench-executor")
        maker, taker = await server.connect(key), await server.connect(key)
        first = await register(maker, "Executor", "first", skills=["first"])
        second = await register(taker, "Executor", "second", skills=["second"])
        handed, answered = [], []
        for number in range(chosen.tasks):
            took = await hand_over(client, maker, taker, first, second, number)
            handed.append(took[0])
            answered.append(took[1])
    median = percentile(handed, 0.5)
    return BenchReport(
        scenario="handoff",
        options=chosen,
        machine=machine,
        durability=durability,
        payload={"output": size_of(OUTPUT)},
        figures={
            "handoff_p50_ms": median,
            "handoff_p99_ms": percentile(handed, 0.99),
            "handoff_over_fsync_p50_ms": max(0.0, median - machine["fsync_p50_ms"]),
            "answered_p50_ms": percentile(answered, 0.5),
            "answered_p99_ms": percentile(answered, 0.99),
        },
        meaning=MEANING,
    )


async def hand_over(
    client: HttpConnection, maker: HttpConnection, taker: HttpConnection, first: str, second: str, number: int
) -> tuple[float, float]:
    """Return the milliseconds until the dependent was leased, and until the result was answered."""
    subtasks = [
        {"key": "a", "description": "", "required_skills": ["first"]},
        {"key": "b", "description": "", "required_skills": ["second"], "depends_on": ["a"]},
    ]
    await client.post("/tasks", {"title": f"Hand over {number}", "evaluation": "none", "subtasks": subtasks})
    # This poll is parked before the maker gets its lease: the server handles calls in the order they arrive.
    waiting = asyncio.create_task(taker.post("/leases", {"bot_id": second, "wait_seconds": 25}))
    (lease,) = (await maker.post("/leases", {"bot_id": first, "wait_seconds": 25}))["leases"]
    if waiting.done():
        raise CannotMeasure("a subtask was leased before its dependency was done")
    report = {"bot_id": first, "lease_id": lease["lease_id"], "status": "succeeded", "output": OUTPUT}
    began = SystemClock().monotonic()
    await maker.post(f"/tasks/{lease['task_id']}/results", report)
    (dependent,) = (await waiting)["leases"]
    took = (taker.answered_at - began) / 1000, (maker.answered_at - began) / 1000
    if dependent["upstream"] != {"a": OUTPUT}:
        raise CannotMeasure("a subtask did not get its dependency's output")
    report = {"bot_id": second, "lease_id": dependent["lease_id"], "status": "succeeded", "output": {}}
    await taker.post(f"/tasks/{lease['task_id']}/results", report)
    return took
