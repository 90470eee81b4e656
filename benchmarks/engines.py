"""Measures several engines on one PostgreSQL, without HTTP: `python benchmarks/engines.py`, which prints JSON.

`replicas.py` measures whole servers with bots. Here each process is one engine that also plays the bots: it claims up
to 20 subtasks of any task, and reports their results in one call, which claims the next ones. No processor time goes
to HTTP or to bots, so the figures show how much engines on one database slow each other down.

- `subtasks_per_second`: by the number of engines; tasks of 5 subtasks, with a plan and a review each
- `reruns`: batches that had to start again because another engine was first
- `attempts`: of each item of work, on average; 1 if nothing was done twice
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.core.answers import not_replayed
from swarmkeeper.core.commands import Register, Submit
from swarmkeeper.core.model import VerdictRecord
from swarmkeeper.core.states import Decision
from swarmkeeper.settings import Settings
from tests.acceptance.process import FORKING
from tests.bench.test_costs import PLAN, work
from tests.support.postgres import PostgresServer

RESULTS: dict[str, dict[str, Any]] = {
    "Evaluator": {"verdict": VerdictRecord(Decision.ACCEPT)},
    "Executor": {"output": b'{"hash":"0"}'},
    "Planner": {"plan": PLAN},
}
BATCH = 20
_SECONDS_WITHOUT_WORK = 0.002
_clock = SystemClock()


def be_engine(url: str, number: int, line: Connection) -> None:
    asyncio.run(engine(url, number, line))


async def engine(url: str, number: int, line: Connection) -> None:
    """Be one engine: say when ready, begin when told to, and end when told again; tell what was counted."""
    async with Orchestrator(
        Settings(store=url, log_level="error", open_subtasks=0, open_tasks=0, four_eyes=False)
    ) as swarm:
        bots = {}
        for kind in RESULTS:
            command = Register(by=OWN, type=kind, version="1", name=f"{kind}-{number}", capacity=1000)
            bots[kind], _ = not_replayed(await swarm.engine.do(command))
        line.send("ready")
        await asyncio.to_thread(line.recv)
        end = asyncio.create_task(asyncio.to_thread(line.recv))
        while not end.done():
            done = [await work(swarm.engine, bots[kind], BATCH, **RESULTS[kind]) for kind in RESULTS]
            if not any(done):
                await asyncio.sleep(_SECONDS_WITHOUT_WORK)
        line.send({"batches": swarm.engine.stats.batches, "reruns": swarm.engine.stats.reruns})


async def throughput(url: str, engines: int, tasks: int) -> dict[str, float]:
    """Let so many engines do all tasks; return the rate and the counts."""
    async with Orchestrator(
        Settings(store=url, log_level="error", open_subtasks=0, open_tasks=0, four_eyes=False)
    ) as swarm:
        submit = Submit(by=OWN, title="hello", spec=b'{"title":"hello"}')
        for _ in range(0, tasks, BATCH):
            await swarm.engine.do_all([submit] * BATCH)
    lines, processes = [], []
    for number in range(engines):
        line, end = FORKING.Pipe()
        lines.append(line)
        processes.append(FORKING.Process(target=be_engine, args=(url, number, end), daemon=True))
        processes[-1].start()
        end.close()  # so that a process that dies is heard of
    for line in lines:
        assert await asyncio.to_thread(line.recv) == "ready"
    connection = await asyncpg.connect(url)
    began = _clock.monotonic()
    _tell(lines)
    while await connection.fetchval("SELECT count(*) FROM task WHERE status <> 'ARCHIVED'"):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    seconds = (_clock.monotonic() - began) / 1_000_000
    _tell(lines)
    counted = [await asyncio.to_thread(line.recv) for line in lines]
    for process in processes:
        await asyncio.to_thread(process.join)
        assert process.exitcode == 0
    attempts = await connection.fetchval("SELECT count(*) FROM attempt")
    await connection.close()
    return {
        "subtasks_per_second": round(tasks * len(PLAN) / seconds),
        "batches": sum(each["batches"] for each in counted),
        "reruns": sum(each["reruns"] for each in counted),
        "attempts": attempts / (tasks * (len(PLAN) + 2)),
    }


def _tell(lines: Sequence[Connection]) -> None:
    for line in lines:
        line.send("go on")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1000, help="for each number of engines, a multiple of 20")
    parser.add_argument("--engines", type=int, nargs="+", default=[1, 2, 4])
    given = parser.parse_args()
    postgres = PostgresServer(durable=True)
    found = {}
    try:
        for count in given.engines:
            found[count] = asyncio.run(throughput(postgres.new_database(keep=True), count, given.tasks))
    finally:
        postgres.stop()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
