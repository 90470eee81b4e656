"""What the signs of life of many bots cost: each beats for all its leases at the pace that leases are made for."""

from __future__ import annotations

import asyncio

from swarmkeeper.bench.load import Connection, size_of
from swarmkeeper.bench.report import CannotMeasure, Figure, Options, Report, percentile
from swarmkeeper.bench.server import Server
from swarmkeeper.bench.swarm import SKILL
from swarmkeeper.clock import SystemClock
from swarmkeeper.core.model import Limits

# A lease says when its next beat is due: a third of its time.
EVERY_SECONDS = Limits().lease_ttl / 3 / 1_000_000
LEASE_SECONDS = 3600  # asked for, so that the first ones do not end while the last ones are still being taken
CONNECTIONS = 8
A_CALL = 64  # leases that are claimed at once

MEANING = {
    "core_share": "processor time of the server for the beats alone, of one core: what idling costs is taken off",
    "beats_per_second": "each tells of all leases of a bot, for the first time, so that each is written down",
    "beat_p99_ms": "a beat sent to its answer read",
}


async def heartbeats(options: Options, *, seconds: float = EVERY_SECONDS) -> Report:
    """`seconds` is how long it is measured; each bot beats once in EVERY_SECONDS."""
    chosen = options.chosen(subtasks=10, bots=1000)
    bots, each = chosen.bots, chosen.subtasks
    async with Server(chosen.store) as server:
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
    return Report(
        scenario="heartbeats",
        options=chosen,
        machine=machine,
        durability=durability,
        payload={"beat": size_of(_beat_of(next(iter(held.values()))))},
        figures=figures,
        meaning=MEANING,
    )


async def _register(connections: list[Connection], bots: int, capacity: int) -> list[str]:
    names: list[str] = []

    async def some(connection: Connection, numbers: range) -> None:
        for number in numbers:
            sent = {"type": "Executor", "version": "1", "name": "bench-executor", "instance": str(number)}
            bot = await connection.post("/bots/register", {**sent, "skills": [SKILL], "capacity": capacity})
            names.append(bot["id"])

    async with asyncio.TaskGroup() as group:
        for place, connection in enumerate(connections):
            group.create_task(some(connection, range(place, bots, len(connections))))
    return names


async def _lease(server: Server, connections: list[Connection], bots: list[str], each: int) -> dict[str, list[str]]:
    """The leases that each bot has taken."""
    client = await server.connect(await server.key("client"))
    subtasks = [{"key": f"s{number}", "description": "", "required_skills": [SKILL]} for number in range(each)]
    task = {"title": "Hold", "evaluation": "none", "subtasks": subtasks}
    for begin in range(0, len(bots), A_CALL):
        await client.post("/tasks:batch", {"tasks": [task] * len(bots[begin : begin + A_CALL])})
    held: dict[str, list[str]] = {bot: [] for bot in bots}

    async def some(connection: Connection, own: list[str]) -> None:
        for bot in own:
            while len(held[bot]) < each:
                most = min(A_CALL, each - len(held[bot]))
                asked = {"bot_id": bot, "max": most, "lease_seconds": LEASE_SECONDS, "wait_seconds": 0}
                leases = (await connection.post("/leases", asked))["leases"]
                if not leases:
                    raise CannotMeasure("a bot found nothing to lease")
                held[bot] += [lease["lease_id"] for lease in leases]

    async with asyncio.TaskGroup() as group:
        for place, connection in enumerate(connections):
            group.create_task(some(connection, bots[place :: len(connections)]))
    return held


async def _cpu(server: Server, seconds: float) -> float | None:
    """Processor time that the server takes while nothing happens."""
    before = await server.figures()
    await SystemClock().sleep(round(seconds * 1_000_000))
    after = await server.figures()
    if "process_cpu_seconds_total" not in after:
        return None
    return after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]


def _beat_of(leases: list[str]) -> dict[str, list[dict[str, str]]]:
    return {"leases": [{"lease_id": lease} for lease in leases]}


async def _beat(
    connections: list[Connection], held: dict[str, list[str]], per_second: float, seconds: float
) -> list[float]:
    """Milliseconds that each beat took; they are spread evenly, as those of bots that know nothing of each other."""
    clock = SystemClock()
    took: list[float] = []
    bots = list(held.items())
    began = clock.monotonic()

    async def some(place: int, connection: Connection) -> None:
        number = place
        while number < max(1, round(per_second * seconds)):
            due = began + round(number / per_second * 1_000_000)
            await clock.sleep(due - clock.monotonic())
            bot, leases = bots[number % len(bots)]
            sent = clock.monotonic()
            answer = await connection.post(f"/bots/{bot}:heartbeat", _beat_of(leases))
            took.append((connection.answered_at - sent) / 1000)
            if any(one["directive"] != "continue" for one in answer["leases"]):
                raise CannotMeasure("a lease was lost while its bot was beating")
            number += len(connections)

    async with asyncio.TaskGroup() as group:
        for place, connection in enumerate(connections):
            group.create_task(some(place, connection))
    return took
