"""What a dashboard reads, at 1,000,000 tasks in a store in a file: the processor time of each call, with its client.

    .venv/bin/python benchmarks/dashboard_reads.py [TASKS] [FOLDER]

The rows are written as SQL. One task has 2,000 subtasks with two attempts each; half of all work waits in one queue.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import apsw

from swarmkeeper.app import Orchestrator
from swarmkeeper.settings import Settings
from swarmkeeper.testing.test_server import soon

TRIES = 21


SERIES = "WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {})"
PATHS = {
    "timeline, 200 lanes of 2,000": "/tasks/tsk_00000001/timeline?page_size=200",
    "timeline of a small task": "/tasks/tsk_00500000/timeline",
    "verdicts, 50 of 200": "/tasks/tsk_00000001/verdicts",
    "verdicts on one subtask": "/tasks/tsk_00000001/verdicts?subtask=n999",
    "queues": "/queues",
    "queues, 500 at once": "/queues?page_size=500",
    "a bot's leases": "/bots/{bot}/leases",
    "open approvals by expiry": "/approvals?order=expires",
    "events, newest first": "/events?order=desc",
    "events of a rare type, newest first": "/events?order=desc&type=task.archived",
    "a task's events, newest first": "/tasks/tsk_00500000/events?order=desc",
    "audit, newest first": "/audit?order=desc",
    "audit of an action, newest first": "/audit?order=desc&action=task.submit",
    "changes now": "/changes",
    "an operation with 10,000 tasks": "/operations/{operation}",
}


def fill(path: Path, tasks: int) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA synchronous = OFF")
    fill_sql = Path(__file__).with_suffix(".sql").read_text("utf-8")
    with connection:
        for statement in fill_sql.split(";\n"):
            if "series" in statement:
                # In SQLite, WITH comes before the statement that uses it.
                connection.execute(f"{SERIES.format(tasks)} {statement}")
            else:
                connection.execute(statement)
    connection.execute("ANALYZE")
    connection.close()


async def measured(store: str) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    async with Orchestrator(Settings(store=store, log_level="error")) as swarm:
        client = swarm.client()
        about = {"type": "Executor", "version": "1", "name": "bot", "skills": ["skill.1"], "capacity": 1000}
        made = await client.call("POST", "/bots/register", about)
        names = {"bot": made.body["id"]}
        for _ in range(2):
            await client.call("POST", "/leases", {"bot_id": names["bot"], "max": 64, "wait_seconds": 0})
        ids = [f"tsk_{number:08d}" for number in range(2, 20_002, 2)]
        operation = await client.call("POST", "/tasks:bulk", {"action": "cancel", "ids": ids, "dry_run": True})
        names["operation"] = operation.body["id"]

        async def is_over() -> bool:
            return bool((await client.call("GET", f"/operations/{names['operation']}")).body["state"] == "ended")

        await soon(is_over, 600)
        for what, path in PATHS.items():
            times: list[float] = []
            for _ in range(TRIES):
                began = time.process_time()
                answer: Any = await client.call("GET", path.format(**names))
                times.append(time.process_time() - began)
                assert answer.status == 200, answer
            found[what] = statistics.median(times), max(times)
    return found


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(temporary)
        store = f"sqlite:///{folder / 'store.db'}"

        async def made() -> None:
            async with Orchestrator(Settings(store=store, log_level="error")) as swarm:
                await swarm.make_key("admin")

        if not (folder / "store.db").exists():
            asyncio.run(made())
            began = time.perf_counter()
            fill(folder / "store.db", tasks)
            print(f"{tasks:,} tasks written in {time.perf_counter() - began:.0f} s")
        print("median and most of 21 calls, in milliseconds of processor time, with HTTP and JSON, without a socket")
        for what, (median, most) in asyncio.run(measured(store)).items():
            print(f"{what:<42} {median * 1000:7.1f} {most * 1000:7.1f}")


if __name__ == "__main__":
    main()
