"""Measures the server's memory: idle, with a large backlog, and after a restart; and the duration of a restart."""

from __future__ import annotations

from swarmkeeper.bench.load import size_of
from swarmkeeper.bench.report import BenchReport, Figure, ScenarioOptions
from swarmkeeper.bench.server import BenchServer
from swarmkeeper.bench.swarm import SKILL

A_CALL = 100  # tasks submitted per call

MEANING = {
    "more_mb": "memory that the waiting work adds to the idle server",
    "first_start_ms": "with a new store, from the start of the process until it listens",
    "restart_ms": "the same with the backlog",
}


async def memory(options: ScenarioOptions) -> BenchReport:
    chosen = options.chosen(tasks=10_000, subtasks=10)
    tasks, each = chosen.tasks, chosen.subtasks
    subtasks = [{"key": f"s{number}", "description": "", "required_skills": [SKILL]} for number in range(each)]
    task = {"title": "Wait", "evaluation": "none", "subtasks": subtasks}
    async with BenchServer(chosen.store) as server:
        machine, durability = await server.describe()
        first_start = server.started_ms
        idle = await _resident(server)
        client = await server.connect(await server.key("client"))
        for begin in range(0, tasks, A_CALL):
            await client.post("/tasks:batch", {"tasks": [task] * min(A_CALL, tasks - begin)})
        waiting = await _resident(server)
        await server.stop()
        size = server.place.file().stat().st_size
        await server.start()
        restart = server.started_ms
        again = await _resident(server)
    figures: dict[str, Figure] = {
        "works": tasks * each,
        "idle_mb": idle,
        "waiting_mb": waiting,
        "more_mb": None if idle is None or waiting is None else waiting - idle,
        "restarted_mb": again,
        "store_mb": size / 1e6,
        "first_start_ms": first_start,
        "restart_ms": restart,
    }
    return BenchReport(
        scenario="memory",
        options=chosen,
        machine=machine,
        durability=durability,
        payload={"task": size_of(task)},
        figures=figures,
        meaning=MEANING,
    )


async def _resident(server: BenchServer) -> float | None:
    """Return the megabytes of the server's process, or None if not available."""
    found = (await server.figures()).get("process_resident_memory_bytes")
    return None if found is None else found / 1e6
