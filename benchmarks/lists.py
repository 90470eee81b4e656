"""Times the lists, counts and sums of a dashboard over many tasks in a SQLite store.

    python -m benchmarks.lists --tasks 1000000 --file /tmp/lists.db

The rows are written past the engine, with three subtasks and five attempts for each task; then everything that follows
from them is made as after an upgrade. Each read runs on one connection, several times. The middle one counts, in
processor time, since others may use the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Callable, Coroutine
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import apsw

from swarmkeeper.core.model import Limits, Principal
from swarmkeeper.core.tallies.records import DAY
from swarmkeeper.govern.cursors import Cursors
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.tasks.filters import TaskFilter
from swarmkeeper.storage.sqlite.store import SqliteStore

NOW = 1_790_000_000_000_000
DAYS = 60
CUSTOMERS = 5_000
WORDS = (
    *("count", "words", "pages", "invoices", "report", "refund", "customer", "order"),
    *("check", "draft", "translate", "review", "build", "fix", "test"),
)
BY = Principal("acme", "key_1", "operator")
REPEATS = 15


def filled(file: Path, tasks: int) -> None:
    """Write the rows."""
    chance = random.Random(1)
    connection = apsw.Connection(str(file))
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("BEGIN")
    connection.execute("DROP TRIGGER words_come")
    connection.execute("INSERT INTO queue VALUES (1, 'execute', '[\"count\"]', NULL), (2, 'execute', '[]', NULL)")
    connection.executemany(
        "INSERT INTO bot (id, tenant, type, name, instance, version, owner, key_id, created_at, skills, capacity,"
        " dedicated, labels, status, last_seen, row_version)"
        " VALUES (?, 'acme', 'Executor', ?, '', '1', 'o', 'key_2', 1, '[]', 8, 0, '{}', 'active', 1, 1)",
        [(f"bot_{number}", f"worker-{number}") for number in range(50)],
    )
    for number in range(tasks):
        _one(connection, chance, number, NOW - DAYS * DAY + number * (DAYS * DAY // tasks), tasks)
    connection.execute("INSERT INTO rebuild VALUES ('begin', '', 0, '')")
    connection.execute(_trigger())
    connection.execute("COMMIT")
    connection.close()


def _trigger() -> str:
    memory = apsw.Connection(":memory:")
    from swarmkeeper.storage.sqlite import migrations

    migrations.apply(memory, migrations.known(), None)
    sql: str = memory.execute("SELECT sql FROM sqlite_schema WHERE name = 'words_come'").get
    return sql


def _one(connection: apsw.Connection, chance: random.Random, number: int, at: int, tasks: int) -> None:
    name = f"tsk_{at // 1000:016x}{number:08d}"
    status = "COMPLETED"
    outcome: str | None = "accepted"
    failure = None
    if number % 100 == 3:
        status, outcome = "FAILED", "failed"
        failure = json.dumps({"code": "subtask_failed", "detail": "no attempts left", "work_id": f"{name}/w2"})
    elif number % 10_007 == 5:
        status, outcome = "FAILED", "expired"
    elif number > tasks - 300:
        status, outcome = "IN_PROGRESS", None
    title = " ".join(chance.choices(WORDS, k=5)) + f" n{number}"
    labels = json.dumps({"team": f"t{number % 20}", "customer": f"c{number % CUSTOMERS}", "env": "live"})
    connection.execute(
        "INSERT INTO task (id, tenant, status, priority, created_at, updated_at, spec, title, submitted_by, labels,"
        " planner_skills, evaluator_skills, evaluation, quorum_accept, quorum_of, max_rounds, approval, plan_timeout,"
        " review_timeout, defaults, outcome, failure, holds, version, sequence, n_total, n_open, n_failed, round,"
        " reworks, planned, started, loading, makers, usage, trace, party)"
        " VALUES (?, 'acme', ?, 5, ?, ?, ?, ?, 'key_1', ?, '[]', '[]', 'none', 1, 1, 3, 'none', 1, 1, '{}', ?, ?, '[]',"
        " 9, 4, 3, ?, ?, 1, 0, 1, 1, 0, '[]', ?, '', ?)",
        (
            *(name, status, at, at + 60_000_000, f"{name}/spec", title, labels, outcome, failure),
            *(0 if outcome else 1, int(failure is not None)),
            json.dumps({"tokens": 5_000, "cost_micro_usd": 30_000}),
            f"key:key_{number % 7}",
        ),
    )
    works = []
    attempts = []
    for item in range(3):
        work = f"{name}/w{item}"
        failed = failure is not None and item == 2
        works.append((work, name, f"k{item}", 1 + number % 2, "FAILED" if failed else "SUCCEEDED", at, at))
        for attempt in range(1, 3 if item < 2 else 2):
            error = (
                json.dumps({"class": "retryable", "message": "502"}) if failed or (attempt == 1 and item == 0) else None
            )
            ending = "failed" if error else "succeeded"
            used = json.dumps({"tokens": 1_000, "cost_micro_usd": 6_000})
            start = at + (item * 2 + attempt) * 1_000_000
            attempts.append(
                (
                    f"{work}/l{attempt}",
                    work,
                    name,
                    attempt,
                    f"bot_{number % 50}",
                    start,
                    start + 900_000,
                    ending,
                    error,
                    used,
                )
            )
    connection.executemany(
        "INSERT INTO work (id, task, tenant, kind, key, queue, status, priority, created_at, place, attempt, tries,"
        " crashes, deferrals, unseen, start_left, start, pending, round, reworks, timeout, max_attempts, continues,"
        " handled, excluded, since, version)"
        " VALUES (?, ?, 'acme', 'execute', ?, ?, ?, 5, ?, 1, 2, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1, 3, 0, 0, '[]', ?, 1)",
        works,
    )
    connection.executemany(
        "INSERT INTO attempt (lease_id, work, task, tenant, attempt, bot, started, ended, ending, round, error, usage)"
        " VALUES (?, ?, ?, 'acme', ?, ?, ?, ?, ?, 1, ?, ?)",
        attempts,
    )
    connection.executemany(
        "INSERT INTO event (id, at, tenant, task, sequence, work, kind, actor, audit, body, redacted)"
        " VALUES (?, ?, 'acme', ?, ?, NULL, ?, 'key_1', 'aud', '{}', '[]')",
        [
            (f"{name}/e{sequence}", at + sequence * 1_000_000, name, sequence, kind)
            for sequence, kind in enumerate(("task.submitted", "task.started", f"task.{outcome or 'planned'}"), 1)
        ],
    )


def reads(queries: Queries) -> dict[str, Callable[[], Coroutine[Any, Any, Any]]]:
    """Return what a dashboard asks, by name."""
    lists, last = queries.task_lists, date(1970, 1, 1) + timedelta(days=NOW // DAY)

    def tasks(by: Principal = BY, *, order_by: str = "-created_at", **asked: Any) -> Callable[[], Any]:
        return lambda: queries.tasks(by, TaskFilter(**asked), as_rows=True, order_by=order_by)

    def count(**asked: Any) -> Callable[[], Any]:
        return lambda: lists.count(BY, TaskFilter(**asked))

    def costs(by: str) -> Callable[[], Any]:
        return lambda: queries.cost_sums.costs(BY, by=by, first=last - timedelta(days=30), last=last)

    own = Principal("acme", "key_3", "client", sees_own=True)
    return {
        "newest": tasks(),
        "oldest": tasks(order_by="created_at"),
        "own tasks": tasks(own),
        "open": tasks(status=("IN_PROGRESS",)),
        "waits for approval of nothing": tasks(status=("PLANNED",)),
        "failed (1 of 100)": tasks(status=("FAILED",)),
        "expired (1 of 10,000)": tasks(outcome=("expired",)),
        "rejected (none)": tasks(outcome=("rejected",)),
        "label of all": tasks(labels=("env:live",)),
        "label of few": tasks(labels=("customer:c77",)),
        "label of none": tasks(labels=("customer:nobody",)),
        "two labels, none has both": tasks(labels=("env:live", "customer:nobody")),
        "two large labels that exclude each other": tasks(labels=("team:t1", "customer:c2")),
        "words of many": tasks(words="report"),
        "three words": tasks(words="report refund cust"),
        "words of one": tasks(words="n123456"),
        "words of none": tasks(words="zebra"),
        "words of many and a rare outcome": tasks(words="report", outcome=("expired",)),
        "label of all and a rare outcome": tasks(labels=("env:live",), outcome=("expired",)),
        "count by status": count(),
        "count a label": count(labels=("env:live",)),
        "count words of many": count(words="report"),
        "count words of one": count(words="n123456"),
        "count label and status": count(labels=("env:live",), status=("FAILED",)),
        "labels of a key": lambda: lists.labels(BY, key="team", page_size=50, page_token=""),
        "labels of a large key": lambda: lists.labels(BY, key="customer", page_size=50, page_token=""),
        "costs of 31 days by day": costs("day"),
        "costs of 31 days by bot": costs("bot"),
        "costs of 31 days by skill": costs("skill"),
        "costs of 31 days by label": costs("label"),
    }


async def measured(file: Path, tasks: int, *, is_new: bool) -> None:
    store = SqliteStore(str(file))
    if is_new:
        await store.open()
        await store.close()
        begun = time.perf_counter()
        filled(file, tasks)
        print(f"{tasks} tasks written in {time.perf_counter() - begun:.1f} s")
        begun = time.perf_counter()
    else:
        begun = time.perf_counter()
    store = SqliteStore(str(file))
    await store.open()
    print(f"opened, and made what follows from rows, in {time.perf_counter() - begun:.1f} s")
    reader = store.open_reader()
    assert reader is not None, "a store in a file has a reader"
    queries = Queries(reader, Rulebook(Redactor.default()), Limits(), cursors=Cursors(b"k" * 32), now=lambda: NOW)
    worst = 0.0
    for name, read in reads(queries).items():
        times = []
        for _ in range(REPEATS):
            begun = time.thread_time()
            found = await read()
            times.append(time.thread_time() - begun)
        middle = sorted(times)[REPEATS // 2] * 1000
        worst = max(worst, middle)
        size = len(found["items"]) if "items" in found else found["number"]
        print(f"{name:45} {middle:9.2f} ms   first {times[0] * 1000:9.2f} ms   {size}")
    print(f"the slowest: {worst:.2f} ms")
    await store.close()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--tasks", type=int, default=1_000_000)
    asked.add_argument("--file", type=Path, required=True)
    given = asked.parse_args()
    asyncio.run(measured(given.file, given.tasks, is_new=not given.file.exists()))


if __name__ == "__main__":
    main()
