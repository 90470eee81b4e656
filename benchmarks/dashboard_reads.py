"""What a dashboard reads, at 1,000,000 tasks in a store in a file: the time of each call, as its caller sees it.

    .venv/bin/python benchmarks/dashboard_reads.py [TASKS] [FOLDER]

The rows are written as SQL. One task has 2,000 subtasks with two attempts each; half of all work waits in one queue.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw

from swarmkeeper.app import Orchestrator
from swarmkeeper.settings import Settings

TENANT = "default"
NODES = 2_000
QUEUES = 200
TRIES = 21
BEGIN = 1_790_000_000_000_000


def rows(sql: str, tasks: int) -> Iterator[str]:
    """Yield statements that write a million rows as SQL, from a series `n`."""
    yield f"WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {tasks}) {sql}"


FILL = (
    f"""INSERT INTO queue (id, kind, skills) SELECT 1000000 + n, 'execute', '["skill.' || n || '"]' FROM series
        WHERE n <= {QUEUES}""",
    f"""INSERT INTO task (id, tenant, status, priority, created_at, updated_at, spec, title, submitted_by, labels,
           planner_skills, evaluator_skills, evaluation, quorum_accept, quorum_of, max_rounds, approval, plan_timeout,
           review_timeout, defaults, outcome, holds, version, sequence, n_total, n_open, n_failed, round, reworks, planned,
           started, loading, makers, usage, trace)
        SELECT printf('tsk_%08d', n), '{TENANT}', CASE WHEN n % 2 THEN 'IN_PROGRESS' ELSE 'ARCHIVED' END, 5, {BEGIN} + n,
           {BEGIN} + n, 'spec', 'task ' || n, 'key_1', '{{"team":"t' || (n % 100) || '"}}', '[]', '[]', 'final', 1, 1, 3,
           'none', 1, 1, '{{}}', CASE WHEN n % 2 THEN NULL WHEN n % 1000 THEN 'accepted' ELSE 'failed' END, '[]', 1, 2,
           1, n % 2, 0, 1, 0, 1, 1, 0, '[]', '{{}}', '' FROM series""",
    f"""INSERT INTO work (id, task, tenant, kind, key, queue, status, priority, created_at, place, attempt, tries, crashes,
           deferrals, unseen, start_left, start, pending, round, reworks, timeout, max_attempts, continues, handled,
           excluded, since, version)
        SELECT printf('sub_%08d', n), printf('tsk_%08d', n), '{TENANT}', 'execute', 'a',
           1000000 + CASE WHEN n % 4 = 1 THEN 1 ELSE n % {QUEUES} + 1 END,
           CASE WHEN n % 2 THEN 'READY' ELSE 'SUCCEEDED' END, n % 10, {BEGIN} + n, n, 0, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1, 3,
           0, 0, '[]', {BEGIN} + n, 1 FROM series""",
    "INSERT INTO ready (work, queue, tenant, priority, place, since, task) "
    "SELECT id, queue, tenant, priority, place, since, task FROM work WHERE status = 'READY' AND 1 IN (SELECT n FROM "
    "series LIMIT 1)",
    f"""INSERT INTO event (id, at, tenant, task, sequence, kind, actor, audit, body, redacted)
        SELECT printf('evt_%08d_%d', n, part.s), {BEGIN} + n, '{TENANT}', printf('tsk_%08d', n), part.s,
           CASE part.s WHEN 1 THEN 'task.submitted' ELSE 'task.started' END, 'key_1', printf('aud_%08d', n),
           '{{"from":"CREATED","to":"PLANNED"}}', '[]'
          FROM series, (SELECT 1 AS s UNION ALL SELECT 2) AS part""",
    f"""INSERT INTO audit_leaf (tenant, place, id, task, actor, action, at, leaf, salt, hash)
        SELECT '{TENANT}', 1000 + n, printf('aud_%08d', n), printf('tsk_%08d', n), 'key_' || (n % 20), 'task.submit',
           {BEGIN} + n, CAST('{{"id":"a","at":1,"task_id":null,"action":"task.submit","actor":{{"type":"key","id":"k"}},
           "resource":"r","outcome":"accepted","decision":null,"trace":"","rules":"","redacted_fields":[]}}' AS BLOB),
           x'00', x'00' FROM series""",
    f"""INSERT INTO approval (id, tenant, task, kind, opened_at, expires_at, subject_hash, asked_by, question, choices,
           state, version)
        SELECT printf('apr_%08d', n), '{TENANT}', printf('tsk_%08d', n), 'final', {BEGIN} + n, {BEGIN} + 9000000000 - n,
           'h', 'asker', 'accept?', '[]', CASE WHEN n % 50 THEN 'decided' ELSE 'open' END, 1 FROM series
         WHERE n <= 200000""",
    f"""INSERT INTO work (id, task, tenant, kind, key, queue, status, priority, created_at, place, attempt, tries, crashes,
           deferrals, unseen, start_left, start, pending, round, reworks, timeout, max_attempts, continues, handled,
           excluded, since, version)
        SELECT printf('big_%08d', n), 'tsk_00000001', '{TENANT}', CASE WHEN n % 10 THEN 'execute' ELSE 'review' END,
           CASE WHEN n % 10 THEN 'n' || n ELSE 'review-of/n' || (n - 1) || '/1' END, 1000001, 'SUCCEEDED', 5, {BEGIN} + n, n,
           2, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1, 3, 0, 0, '[]', {BEGIN} + n, 1 FROM series WHERE n <= {NODES}""",
    f"""INSERT INTO attempt (lease_id, work, task, tenant, attempt, bot, started, ended, ending, round, error)
        SELECT printf('lse_%08d_%d', n, part.s), printf('big_%08d', n), 'tsk_00000001', '{TENANT}', part.s, 'bot_1',
           {BEGIN} + n * 10 + part.s, {BEGIN} + n * 10 + part.s + 5, CASE part.s WHEN 1 THEN 'failed' ELSE 'succeeded' END,
           1, CASE part.s WHEN 1 THEN '{{"class":"retryable","message":"KeyError: total"}}' END
          FROM series, (SELECT 1 AS s UNION ALL SELECT 2) AS part WHERE n <= {NODES}""",
    f"""UPDATE work SET result = 'verdict' WHERE task = 'tsk_00000001' AND kind = 'review'
           AND 1 IN (SELECT n FROM series LIMIT 1)""",
    """INSERT INTO payload (id, task, body) SELECT 'verdict', 'tsk_00000001',
           CAST('{"decision":"rework","score":0.5,"reasons":["thin"],"findings":[],"targets":[],"subtasks":[]}' AS BLOB)
          FROM series LIMIT 1""",
)
PATHS = {
    "timeline, 500 lanes of 2,000": "/tasks/tsk_00000001/timeline?page_size=500",
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
    with connection:
        for sql in FILL:
            for statement in rows(sql, tasks):
                # In SQLite, WITH comes before the statement that uses it.
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
        while (await client.call("GET", f"/operations/{names['operation']}")).body["state"] == "running":
            await asyncio.sleep(1)
        for what, path in PATHS.items():
            times: list[float] = []
            for _ in range(TRIES):
                began = time.perf_counter()
                answer: Any = await client.call("GET", path.format(**names))
                times.append(time.perf_counter() - began)
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
        print("median and most of 21 calls, in milliseconds, with HTTP and JSON, without a socket")
        for what, (median, most) in asyncio.run(measured(store)).items():
            print(f"{what:<42} {median * 1000:7.1f} {most * 1000:7.1f}")


if __name__ == "__main__":
    main()
