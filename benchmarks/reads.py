"""What the reads of a dashboard cost in both stores, at 1,000,000 tasks.

    .venv/bin/python -m benchmarks.reads [--tasks 1000000] [--store URL] [--only EXPRESSION] [--explain WORD]

Without a store it makes one of each kind, and removes it at the end. A store that exists is filled if it has no tasks.
The rows are written as SQL (reads.sql); the product then makes what follows from them, as after an upgrade.

Each line has the processor time of one call, with HTTP and JSON but without a socket: the median and the most of
several calls, in milliseconds, of this process and of the database's processes together, and of the latter alone. Then
what the statements of one call do: steps of SQLite's machine, or pages that PostgreSQL looks at. These numbers do not
depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import apsw
import asyncpg

from swarmkeeper.app import Orchestrator
from swarmkeeper.core.tallies.records import DAY
from swarmkeeper.reads.insight import shared_reads
from swarmkeeper.settings import Settings
from swarmkeeper.storage.opening import is_postgres
from swarmkeeper.storage.postgres.connections import connect
from swarmkeeper.storage.sqlite.store import SqliteStore, path_of
from swarmkeeper.testing.test_server import soon

TRIES = 15
ITEMS = 10_000  # of the operation
GOAL_MS = 10.0
DAYS = 60
WORDS = (
    *("count", "words", "pages", "invoices", "report", "refund", "customer", "order"),
    *("check", "draft", "translate", "review", "build", "fix", "test"),
)
_SERIES = "WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {tasks})"
_SERIES_IN_POSTGRES = "WITH series (n) AS MATERIALIZED (SELECT * FROM generate_series(CAST(1 AS bigint), {tasks}))"

# By name. A page in the middle is reached by its token: see `_deep`.
READS: Mapping[str, str] = {
    "tasks: newest": "/tasks?view=row",
    "tasks: newest, whole": "/tasks",
    "tasks: 200 at once": "/tasks?view=row&page_size=200",
    "tasks: oldest": "/tasks?view=row&order_by=created_at",
    "tasks: deep in the list": "/tasks?view=row&page_token={deep}",
    "tasks: one status": "/tasks?view=row&status=IN_PROGRESS",
    "tasks: status that none has": "/tasks?view=row&status=PLANNED",
    "tasks: two statuses": "/tasks?view=row&status=FAILED&status=IN_PROGRESS",
    "tasks: rare outcome": "/tasks?view=row&outcome=expired",
    "tasks: outcome that none has": "/tasks?view=row&outcome=rejected",
    "tasks: failed": "/tasks?view=row&status=FAILED",
    "tasks: label of all": "/tasks?view=row&label=env:live",
    "tasks: label of few": "/tasks?view=row&label=customer:c77",
    "tasks: label of none": "/tasks?view=row&label=customer:nobody",
    "tasks: two labels": "/tasks?view=row&label=env:live&label=team:t3",
    "tasks: two labels, one rare": "/tasks?view=row&label=env:live&label=customer:c77",
    "tasks: two labels that exclude each other": "/tasks?view=row&label=team:t1&label=customer:c2",
    "tasks: label of all, failed": "/tasks?view=row&label=env:live&status=FAILED",
    "tasks: label of all, rare outcome": "/tasks?view=row&label=env:live&outcome=expired",
    "tasks: word of many": "/tasks?view=row&q=report",
    "tasks: word of many, oldest": "/tasks?view=row&q=report&order_by=created_at",
    "tasks: beginning of words of many": "/tasks?view=row&q=re",
    "tasks: beginning of one letter": "/tasks?view=row&q=r",
    "tasks: beginning of all numbers": "/tasks?view=row&q=n",
    "tasks: beginning of many numbers": "/tasks?view=row&q=n12",
    "tasks: three words": "/tasks?view=row&q=report+refund+cust",
    "tasks: word of one": "/tasks?view=row&q=n12345",
    "tasks: word of none": "/tasks?view=row&q=zebra",
    "tasks: word of many, deep": "/tasks?view=row&q=report&page_token={deep}",
    "tasks: word of many, failed": "/tasks?view=row&q=report&status=FAILED",
    "tasks: word of many, rare outcome": "/tasks?view=row&q=report&outcome=expired",
    "tasks: word of many, label of few": "/tasks?view=row&q=report&label=customer:c77",
    "tasks: words that exclude each other": "/tasks?view=row&q=zebra+report",
    "tasks: skill of an eighth": "/tasks?view=row&skill=skill.1",
    "tasks: skill of few": "/tasks?view=row&skill=skill.7",
    "tasks: skill of none": "/tasks?view=row&skill=none",
    "tasks: skill and label of few": "/tasks?view=row&skill=skill.1&label=customer:c77",
    "tasks: skill, failed": "/tasks?view=row&skill=skill.1&status=FAILED",
    "tasks: words of errors": "/tasks?view=row&error=502+upstream",
    "tasks: words of errors, one rare": "/tasks?view=row&error=502+total",
    "tasks: words of errors, failed": "/tasks?view=row&error=502+upstream&status=FAILED",
    "tasks: code of a failure": "/tasks?view=row&error=subtask_failed",
    "tasks: skill, by priority": "/tasks?view=row&skill=skill.1&order_by=priority",
    "tasks: word of many, one rare": "/tasks?view=row&q=n12345+re",
    "count: skill of an eighth": "/tasks:count?skill=skill.1",
    "count: words of errors, failed": "/tasks:count?error=502+upstream&status=FAILED",
    "tasks: by priority": "/tasks?view=row&order_by=priority",
    "tasks: by priority, failed": "/tasks?view=row&order_by=priority&status=FAILED",
    "count: by status": "/tasks:count",
    "count: label of all": "/tasks:count?label=env:live",
    "count: label of all, failed": "/tasks:count?label=env:live&status=FAILED",
    "count: two labels": "/tasks:count?label=env:live&label=team:t3",
    "count: word of many": "/tasks:count?q=report",
    "count: word of many, failed": "/tasks:count?q=report&status=FAILED",
    "count: beginning of all numbers": "/tasks:count?q=n",
    "count: word of one": "/tasks:count?q=n12345",
    "count: since a day": "/tasks:count?created_after={since}",
    "labels: all": "/tasks:labels",
    "labels: of a key": "/tasks:labels?key=team",
    "labels: of a key with 5,000": "/tasks:labels?key=customer",
    "labels: of a key that all have": "/tasks:labels?key=env",
    "costs: by day": "/costs?by=day",
    "costs: by bot": "/costs?by=bot",
    "costs: by skill": "/costs?by=skill",
    "costs: by label": "/costs?by=label",
    "costs: by label, 60 days": "/costs?by=label&from={first}",
    "task: timeline, 200 lanes of 2,000": "/tasks/tsk_100000002/timeline?page_size=200",
    "task: timeline of a small one": "/tasks/tsk_100000004/timeline",
    "task: verdicts, 50 of 200": "/tasks/tsk_100000002/verdicts",
    "task: verdicts on one subtask": "/tasks/tsk_100000002/verdicts?subtask=n999",
    "task: a small one": "/tasks/tsk_100000004",
    "task: why it waits": "/tasks/tsk_100000005:explain",
    "task: events, newest first": "/tasks/tsk_100000002/events?order=desc",
    "queues": "/queues",
    "queues, 500 at once": "/queues?page_size=500",
    "bots": "/bots",
    "a bot's leases": "/bots/{bot}/leases",
    "open approvals by expiry": "/approvals?order=expires",
    "events, newest first": "/events?order=desc",
    "events of a rare type, newest first": "/events?order=desc&type=task.archived",
    "audit, newest first": "/audit?order=desc",
    "audit of an action, newest first": "/audit?order=desc&action=task.submit",
    "audit of an actor, newest first": "/audit?order=desc&actor=key_2",
    "audit of one item of a task": "/audit?resource=sub_100000004",
    "audit of one item of 2,000": "/audit?resource=big_100010&order=desc",
    "audit of nothing": "/audit?resource=nothing&order=desc",
    "changes now": "/changes",
    "an operation with 10,000 tasks": "/operations/{operation}",
}


# ---- rows ------------------------------------------------------------------------------------------------------------


def statements(tasks: int, first: int, *, in_postgres: bool) -> Iterator[str]:
    """Yield the statements that fill a store.

    Args:
        first: when the first task is created.
    """
    series = (_SERIES_IN_POSTGRES if in_postgres else _SERIES).format(tasks=tasks)
    words = [_word(divisor) for divisor in (7, 113, 1009, 10007, 100003)]
    parts = {
        "at": f"({first} + n * {DAYS * DAY // (tasks + 1)})",
        "title": f"({' || chr(32) || '.join(words)} || ' n' || n)".replace("chr(32)", "' '"),
        "outcome": "CASE WHEN n % 4 = 1 THEN NULL WHEN n % 10007 = 6 THEN 'expired' WHEN n % 100 = 3 THEN 'failed'"
        " ELSE 'accepted' END",
        "blob": "bytea" if in_postgres else "BLOB",
    }
    text = Path(__file__).with_suffix(".sql").read_text("utf-8")
    for statement in re.sub(r"^--.*\n", "", text, flags=re.MULTILINE).split(";\n"):
        if statement.strip():
            sql = re.sub(r"\{(\w+)\}", lambda match: parts[match[1]], statement).strip()
            yield f"{series} {sql}" if "series" in sql else sql


def _word(divisor: int) -> str:
    """Return SQL for a word that depends on n, in no order that one sees."""
    cases = " ".join(f"WHEN {number} THEN '{word}'" for number, word in enumerate(WORDS))
    return f"CASE (n * 2654435761 / {divisor}) % {len(WORDS)} {cases} END"


def _first(now: int) -> int:
    return (now // DAY - DAYS + 1) * DAY


def fill_sqlite(path: Path, tasks: int) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    trigger = "SELECT sql FROM sqlite_schema WHERE name = 'words_come'"
    words_come: str = connection.execute(trigger).get
    with connection:
        connection.execute("DROP TRIGGER words_come")  # the product makes words when it makes the rest
        for statement in statements(tasks, _first(time.time_ns() // 1000), in_postgres=False):
            connection.execute(statement)
        connection.execute(words_come)
    connection.close()


async def fill_postgres(url: str, tasks: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        await connection.execute("SET work_mem = '256MB'")
        async with connection.transaction():
            for statement in statements(tasks, _first(time.time_ns() // 1000), in_postgres=True):
                await connection.execute(statement)
            await connection.execute("UPDATE meta SET value = (SELECT max(seq) FROM event) WHERE key = 'pos'")
            await connection.execute("SELECT setval('work_seq_seq', (SELECT max(seq) FROM work))")
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


def settings(store: str, **more: Any) -> Settings:
    return Settings(store=store, log_level="error", **more)


async def fill(store: str, tasks: int) -> None:
    """Fill a store unless it has tasks, and let the product make what follows from its rows."""
    async with Orchestrator(settings(store)) as swarm:
        await swarm.make_key("admin")
        found = await swarm.client().call("GET", "/tasks:count")
        if found.body["number"]:
            return
    began = time.perf_counter()
    if is_postgres(store):
        await fill_postgres(store, tasks)
    else:
        fill_sqlite(Path(path_of(store)), tasks)
    print(f"{tasks:,} tasks written in {time.perf_counter() - began:.0f} s", flush=True)
    began = time.perf_counter()
    async with Orchestrator(settings(store)):
        pass
    if is_postgres(store):
        connection = await asyncpg.connect(store)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()
    print(f"what follows from them made in {time.perf_counter() - began:.0f} s", flush=True)


# ---- measuring -------------------------------------------------------------------------------------------------------


class Work:
    """What the statements of one call do in the store, as numbers that do not depend on the machine."""

    def __init__(self) -> None:
        self.is_on = False
        self.steps = 0
        self.asked: list[tuple[str, list[Any]]] = []
        self._known: dict[int, tuple[int, int]] = {}  # by statement: runs and steps so far

    def watch_sqlite(self, connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._profiled)

    def _profiled(self, about: Mapping[str, Any]) -> None:
        status = about["stmt_status"]
        runs, steps = status["SQLITE_STMTSTATUS_RUN"], status["SQLITE_STMTSTATUS_VM_STEP"]
        before = self._known.get(about["id"], (0, 0))
        self._known[about["id"]] = runs, steps
        if self.is_on:
            self.steps += steps - before[1] if runs > before[0] else steps

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note what is read for calls, in all stores that are opened within the block."""
        original, connect_sqlite = asyncpg.Connection.fetch, SqliteStore.connect

        def connected(store: SqliteStore, *, writing: bool) -> apsw.Connection:
            connection = connect_sqlite(store, writing=writing)
            if not writing:  # on the other one, the engine writes and reads what it decides by, whatever is called
                self.watch_sqlite(connection)
            return connection

        async def fetch(connection: Any, query: str, *args: Any, **more: Any) -> Any:
            if self.is_on:
                self.asked.append((query, list(args)))
            return await original(connection, query, *args, **more)

        asyncpg.Connection.fetch = fetch
        try:
            with patch.object(SqliteStore, "connect", connected):
                yield
        finally:
            asyncpg.Connection.fetch = original

    async def pages(self, connection: Any, *, explained: bool) -> int:
        """Return how many pages the noted statements looked at, each run again."""
        looked = 0
        for query, args in self.asked:
            found = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", *args))
            plan = found[0]["Plan"]
            looked += plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0)
            if explained:
                for (line,) in await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {query}", *args):
                    print("   ", line)
        return looked


def _used_by(pids: list[int]) -> float:
    used = 0.0
    for pid in pids:
        used += sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    return used


async def measured(
    store: str, only: str = "", explained: str = "", *, tries: int = TRIES, warm: int = 6, shown: bool = True
) -> dict[str, tuple[float, float, float, int]]:
    """Return for each read: median and most milliseconds, those of the database, and steps or pages.

    Args:
        warm: calls before those that count: statements are planned anew the first five times.
        shown: print each line as soon as it is known.
    """
    found: dict[str, tuple[float, float, float, int]] = {}
    work = Work()
    shared_reads.LONG_SECONDS = float("inf")  # each answer is read
    with work.watched():
        async with Orchestrator(settings(store, open_tasks=0, open_subtasks=0)) as swarm:
            client = swarm.client()
            names = await _prepared(client)
            aside = await connect(store, writing=False) if is_postgres(store) else None
            of_backends = (
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'swarmkeeper' AND pid <> pg_backend_pid()"
            )

            async def once(path: str) -> tuple[float, float]:
                # The processes of the database are on this machine.
                pids = [] if aside is None else [row["pid"] for row in await aside.fetch(of_backends)]
                before, began = _used_by(pids), time.process_time()
                answer: Any = await client.call("GET", path)
                ours, theirs = time.process_time() - began, _used_by(pids) - before
                assert answer.status == 200, answer
                return ours * 1000, theirs * 1000

            for what, path in READS.items():
                if not re.search(only, what):
                    continue
                asked = path.format(**names)
                for _ in range(warm):
                    await once(asked)
                times = [await once(asked) for _ in range(tries)]
                work.steps, work.asked, work.is_on = 0, [], True
                await client.call("GET", asked)
                work.is_on = False
                is_explained = bool(explained) and explained in what
                done = work.steps if aside is None else await work.pages(aside, explained=is_explained)
                both = [ours + theirs for ours, theirs in times]
                found[what] = (
                    statistics.median(both),
                    max(both),
                    statistics.median(theirs for _, theirs in times),
                    done,
                )
                if shown:
                    _print(what, found[what])
            if aside is not None:
                await aside.close()
    return found


async def _prepared(client: Any) -> dict[str, str]:
    """Make what only the product can make, and return what paths name."""
    about = {"type": "Executor", "version": "1", "name": f"bot-{random.randrange(10**9)}", "skills": ["skill.1"]}
    made = await client.call("POST", "/bots/register", about | {"capacity": 1000})
    names = {"bot": made.body["id"]}
    for _ in range(2):
        await client.call("POST", "/leases", {"bot_id": names["bot"], "max": 64, "wait_seconds": 0})
    tasks = (await client.call("GET", "/tasks:count")).body["number"]
    ids = [f"tsk_{100_000_000 + number}" for number in range(1, min(ITEMS, tasks) + 1)]
    operation = await client.call("POST", "/tasks:bulk", {"action": "cancel", "ids": ids, "dry_run": True})
    names["operation"] = operation.body["id"]

    async def is_over() -> bool:
        return bool((await client.call("GET", f"/operations/{names['operation']}")).body["state"] == "ended")

    await soon(is_over, 600)
    middle = _first(time.time_ns() // 1000) + DAYS * DAY // 2
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(middle / 1e6))
    names["since"] = before
    names["first"] = time.strftime("%Y-%m-%d", time.gmtime(middle / 1e6 - DAYS / 2 * 86400))
    page = await client.call("GET", f"/tasks?view=row&created_before={before}")
    names["deep"] = page.body["next_page_token"]
    return names


def _print(what: str, figures: tuple[float, float, float, int]) -> None:
    median, most, theirs, done = figures
    mark = "  <-- above the goal" if median > GOAL_MS else ""
    print(f"{what:<44} {median:8.1f} {most:8.1f} {theirs:8.1f} {done:10,}{mark}", flush=True)


@asynccontextmanager
async def new_stores() -> AsyncIterator[list[Callable[[], str]]]:
    """Yield what makes a new store of each kind."""
    from tests.support.postgres import PostgresServer

    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer()
        try:
            yield [lambda: f"sqlite:///{folder}/store.db", lambda: server.new_database(keep=True)]
        finally:
            server.stop()


async def run(options: argparse.Namespace) -> None:
    async def one(store: str) -> None:
        await fill(store, options.tasks)
        print("PostgreSQL" if is_postgres(store) else "SQLite")
        print(f"{'milliseconds of processor time':<44} {'median':>8} {'most':>8} {'database':>8} {'steps':>10}")
        await measured(store, options.only, options.explain)

    if options.store:
        await one(options.store)
        return
    async with new_stores() as stores:
        for make in stores:
            await one(make())


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--tasks", type=int, default=1_000_000)
    asked.add_argument("--store", default="", help="URL of a store, which is filled if it has no tasks")
    asked.add_argument("--only", default="", help="only reads whose names match this expression")
    asked.add_argument("--explain", default="", help="show the plans of reads whose names contain this (PostgreSQL)")
    asyncio.run(run(asked.parse_args()))


if __name__ == "__main__":
    main()
