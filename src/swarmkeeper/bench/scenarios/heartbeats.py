"""Measures the cost of the heartbeats of many bots. Each sends one for all its leases at the usual pace."""

from __future__ import annotations

import asyncio
from typing import Any

from swarmkeeper.bench.load import HttpConnection, size_of
from swarmkeeper.bench.report import BenchReport, CannotMeasure, Figure, ScenarioOptions, percentile
from swarmkeeper.bench.server import BenchServer
from swarmkeeper.bench.swarm import SKILL, register
from swarmkeeper.clock import SystemClock
from swarmkeeper.core.model import Limits

# The next heartbeat of a lease is due after a third of its duration.
EVERY_SECONDS = Limits().lease_ttl / 3 / 1_000_000
LEASE_SECONDS = 3600  # long, so that the first leases do not expire while the last ones are claimed
CONNECTIONS = 8
A_CALL = 64  # leases claimed per call

MEANING = {
    "core_share": "share of one core that the server spends on heartbeats; idle time is subtracted",
    "beats_per_second": "each is the first for all leases of a bot, so each is written to the store",
    "beat_p99_ms": "from sending a heartbeat to reading its answer",
}


async def heartbeats(options: ScenarioOptions, *, seconds: float = EVERY_SECONDS) -> BenchReport:
    """Measure for `seconds`; each bot sends one heartbeat every EVERY_SECONDS."""
    chosen = options.chosen(subtasks=10, bots=1000)
    bots, each = chosen.bots, chosen.subtasks
    async with BenchServer(chosen.store) as server:
        machine, durability = await server.describe()
        key = await server.key("bot:executor", bot="bench-executor")
        connections = [await server.connect(key) for _ in range(CONNECTIONS)]
        names = await _register(connections, bots, each)
        held = await _lease(server, connections, names, each)
        idle = await _cpu(server, seconds)
        before = await server.figures()
        took = await _beat(connections, held, bots / EVERY_SECONDS, seconds)
        after = await server.figures()
    figures: dict[str, Figure] = {
        "beats": len(took),
        "beats_per_second": len(took) / seconds,
        "leases": sum(map(len, held.values())),
        "core_share": None,
        "beat_p50_ms": percentile(took, 0.5),
        "beat_p99_ms": percentile(took, 0.99),
        "beats_per_commit": len(took) / max(1, after["batches_total"] - before["batches_total"]),
    }
    if idle is not None:
        used = after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]
        figures["core_share"] = max(0.0, used - idle) / seconds
    return BenchReport(
        scenario="heartbeats",
        options=chosen,
        machine=machine,
        durability=durability,
        payload={"beat": size_of(_beat_of(next(iter(held.values()))))},
        figures=figures,
        meaning=MEANING,
    )


async def _register(connections: list[HttpConnection], bots: int, capacity: int) -> list[str]:
    names: list[str] = []

    async def some(connection: HttpConnection, numbers: range) -> None:
        options: dict[str, Any] = {"skills": [SKILL], "capacity": capacity}
        names.extend([await register(connection, "Executor", str(number), **options) for number in numbers])

    async with asyncio.TaskGroup() as group:
        for index, connection in enumerate(connections):
            group.create_task(some(connection, range(index, bots, len(connections))))
    return names


async def _lease(
    server: BenchServer, connections: list[HttpConnection], bots: list[str], each: int
) -> dict[str, list[str]]:
    """Let each bot claim `each` leases; return the lease ids by bot."""
    client = await server.connect(await server.key("client"))
    subtasks = [{"key": f"s{number}", "description": "", "required_skills": [SKILL]} for number in range(each)]
    task = {"title": "Hold", "evaluation": "none", "subtasks": subtasks}
    for begin in range(0, len(bots), A_CALL):
        await client.post("/tasks:batch", {"tasks": [task] * len(bots[begin : begin + A_CALL])})
    held: dict[str, list[str]] = {bot: [] for bot in bots}

    async def some(connection: HttpConnection, own: list[str]) -> None:
        for bot in own:
            while len(held[bot]) < each:
                count = min(A_CALL, each - len(held[bot]))
                asked = {"bot_id": bot, "max": count, "lease_seconds": LEASE_SECONDS, "wait_seconds": 0}
                leases = (await connection.post("/leases", asked))["leases"]
                if not leases:
                    raise CannotMeasure("a bot found nothing to lease")
                held[bot] += [lease["lease_id"] for lease in leases]

    async with asyncio.TaskGroup() as group:
        for index, connection in enumerate(connections):
            group.create_task(some(connection, bots[index :: len(connections)]))
    return held


async def _cpu(server: BenchServer, seconds: float) -> float | None:
    """Return the processor time that the idle server uses in `seconds`, or None if not available."""
    before = await server.figures()
    await SystemClock().sleep(round(seconds * 1_000_000))
    after = await server.figures()
    if "process_cpu_seconds_total" not in after:
        return None
    return after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]


def _beat_of(leases: list[str]) -> dict[str, list[dict[str, str]]]:
    return {"leases": [{"lease_id": lease} for lease in leases]}


async def _beat(
    connections: list[HttpConnection], held: dict[str, list[str]], per_second: float, seconds: float
) -> list[float]:
    """Send heartbeats, spread evenly over time; return the milliseconds that each took."""
    clock = SystemClock()
    took: list[float] = []
    bots = list(held.items())
    began = clock.monotonic()

    async def some(index: int, connection: HttpConnection) -> None:
        number = index
        while number < max(1, round(per_second * seconds)):
            due = began + round(number / per_second * 1_000_000)
            await clock.sleep(due - clock.monotonic())
            bot, leases = bots[number % len(bots)]
            sent = clock.monotonic()
            answer = await connection.post(f"/bots/{bot}:heartbeat", _beat_of(leases))
            took.append((connection.answered_at - sent) / 1000)
            if any(lease["directive"] != "continue" for lease in answer["leases"]):
                raise CannotMeasure("a lease was lost although its bot sent heartbeats")
            number += len(connections)

    async with asyncio.TaskGroup() as group:
        for index, connection in enumerate(connections):
            group.create_task(some(index, connection))
    return took
