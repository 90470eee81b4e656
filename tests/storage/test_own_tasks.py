"""A key of scope `own` pays for its own tasks, and not for those of others: counted in rows, in both stores."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import apsw
import asyncpg
import pytest
import pytest_asyncio

from swarmkeeper.core import named_reads
from swarmkeeper.core.named_reads import TaskRow
from swarmkeeper.core.ports import Read
from swarmkeeper.core.tallies.reads import ALL
from swarmkeeper.core.tallies.reads import OWN as OWN_TASKS
from swarmkeeper.storage.postgres import migrations as of_postgres
from swarmkeeper.storage.postgres.connections import connect
from swarmkeeper.storage.postgres.store import READS as POSTGRES_READS
from swarmkeeper.storage.sqlite import migrations as of_sqlite
from swarmkeeper.storage.sqlite.reading import READS as SQLITE_READS
from tests.storage.test_claims import steps
from tests.storage.test_postgres_plans import nodes
from tests.support.postgres import PostgresServer

OTHERS = 200_000
OWN = 60
PAGE = 50
ORDERS: Mapping[str, tuple[Read[TaskRow], Read[TaskRow]]] = {
    "oldest first": (OWN_TASKS.oldest, ALL.oldest),
    "newest first": (OWN_TASKS.newest, ALL.newest),
    "by priority": (named_reads.TASKS_OF_PARTY_BY_PRIORITY, ALL.oldest),
}
COLUMNS = """id, tenant, status, priority, created_at, updated_at, spec, title, submitted_by, labels, planner_skills,
    evaluator_skills,
    evaluation, quorum_accept, quorum_of, max_rounds, approval, plan_timeout, review_timeout, defaults,
    holds, version,
    sequence, n_total, n_open, n_failed, round, reworks, planned, started, loading, makers, usage, trace,
    party"""


def fill(others: int) -> str:
    """Return the statement that makes tasks: `OWN` of one party, spread over those of others."""
    own = f"n % {max(others // OWN, 1)} = 0"
    return f"""
INSERT INTO task ({COLUMNS})
WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {others})
SELECT 'tsk_' || n, 'acme', 'IN_PROGRESS', 5, n, n, 'spec', 't', 'key_1', '{{}}', '[]', '[]', 'final', 1, 1, 3, 'none',
       1, 1, '{{}}', '[]', 1, 1, 10, 10, 0, 1, 0, TRUE, TRUE, FALSE, '[]', '{{}}', '',
       CASE WHEN {own} THEN 'mine' ELSE 'of ' || (n % 7) END
  FROM counted"""


ASKED: dict[str, Any] = {
    **dict.fromkeys(("statuses", "outcomes", "created_after", "created_before")),
    "tenant": "acme",
    "party": "mine",
    "labels": "[]",
    "limit": PAGE,
}
RANGE = {"low_at": -1, "low_id": "", "high_at": 1 << 62, "high_id": "~", "only": "mine"}
FIRST = {
    "oldest first": RANGE,
    "newest first": RANGE,
    "by priority": {"after_priority": 10, "after_at": -1, "after_id": ""},
}


# ---- SQLite ----------------------------------------------------------------------------------------------------------


def filled_file(others: int) -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    of_sqlite.apply(connection, of_sqlite.known(), None)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(fill(others))
    return connection


@pytest.fixture(scope="module")
def few() -> apsw.Connection:
    return filled_file(2_000)


@pytest.fixture(scope="module")
def many() -> apsw.Connection:
    return filled_file(OTHERS)


def steps_of(connection: apsw.Connection, read: Read[TaskRow], order: str) -> int:
    """Return how many steps of SQLite's machine a page takes."""
    given = {name: value for name, value in {**ASKED, **FIRST[order]}.items() if name in read.parameters}
    counting: Iterator[list[int]] = steps(connection)
    counted = next(counting)
    assert len(connection.execute(SQLITE_READS[read], given).fetchall()) == PAGE
    total = sum(counted)
    next(counting, None)
    return total


@pytest.mark.parametrize("order", ORDERS)
def test_in_a_file_a_page_of_own_tasks_takes_as_many_steps_beside_200_000_others_as_beside_2_000(
    few: apsw.Connection, many: apsw.Connection, order: str
) -> None:
    read, _ = ORDERS[order]

    assert steps_of(many, read, order) == pytest.approx(steps_of(few, read, order), rel=0.1)


def test_in_a_file_a_page_that_looks_at_all_tasks_would_be_found(few: apsw.Connection, many: apsw.Connection) -> None:
    _, read = ORDERS["oldest first"]

    assert steps_of(many, read, "oldest first") > 50 * steps_of(few, read, "oldest first")


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled_database(postgres: PostgresServer) -> str:
    url = postgres.new_database(keep=True)
    name = url.rpartition("/")[2]
    for migration in of_postgres.known():
        postgres.run(migration.sql, name)
    postgres.run(fill(OTHERS), name)
    postgres.run("ANALYZE", name)
    return url


@pytest_asyncio.fixture
async def connection(filled_database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(filled_database, writing=True)
    yield connection
    await connection.close()


async def rows_visited(connection: asyncpg.Connection, read: Read[TaskRow], order: str) -> int:
    """Return how many rows of `task` a page reads, with the plan for any parameters."""
    statement = POSTGRES_READS[read]
    given = [{**ASKED, **FIRST[order]}[name] for name in statement.parameters]
    values = ", ".join("NULL" if value is None else repr(value) for value in given)
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE asked AS {statement.sql}")
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked({values})")
    await connection.execute("DEALLOCATE asked")
    return sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in nodes(json.loads(text)[0]["Plan"])
        if node.get("Relation Name") == "task" or re.search("^task_", node.get("Index Name", ""))
    )


@pytest.mark.parametrize("order", ORDERS)
async def test_in_a_database_a_page_of_own_tasks_reads_no_row_of_another(
    connection: asyncpg.Connection, order: str
) -> None:
    read, _ = ORDERS[order]

    assert PAGE <= await rows_visited(connection, read, order) <= 2 * OWN + 2


async def test_in_a_database_a_page_that_looks_at_all_tasks_would_be_found(connection: asyncpg.Connection) -> None:
    _, read = ORDERS["oldest first"]

    assert await rows_visited(connection, read, "oldest first") >= OTHERS / 2
