"""No statement of the engine reads a whole table that grows: checked by PostgreSQL's plans over 100,000 rows."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from swarmkeeper.storage.postgres import migrations
from swarmkeeper.storage.postgres.connections import connect
from swarmkeeper.storage.postgres.execution import QUERIES, ROW_STATEMENTS, _combined
from swarmkeeper.storage.postgres.store import READS
from tests.support.postgres import PostgresServer

ROWS = 100_000
GROWING = {"ready", "work", "lease", "event", "timer", "task", "attempt", "payload", "edge", "audit_leaf", "message"}
GROWING |= {"late_result", "feedback", "answered", "idempotency", "approval"}
GROWING |= {"task_label", "label_count", "cost", "cost_span", "operation_item"}
# Statements of starts, of clock changes and of tools, which read all rows.
SELDOM = re.compile(
    r"set_back_|grace_|move_leases|forget_put_off|lease_times|next_due|all_|doctor_|audit_tenants|size_of_|rebuild_"
)
# Statements that answer about all of something by design, or look at every task of one tenant.
WHOLE = {"metrics_ready", "metrics_leases", "newest_messages", "waiting_by_queue", "tasks_by_priority", "load_at_rest"}
FILL = f"""
INSERT INTO task (id, tenant, status, priority, created_at, updated_at, spec, title, submitted_by, labels,
                  planner_skills, evaluator_skills, evaluation, quorum_accept, quorum_of, max_rounds, approval,
                  plan_timeout, review_timeout, defaults, holds, version, sequence, n_total, n_open, n_failed, round,
                  reworks, planned, started, loading, makers, usage, trace)
SELECT 'tsk_' || n, 'acme', 'IN_PROGRESS', 5, n, n, 'spec', 't', 'key_1', '{{}}', '[]', '[]', 'final', 1, 1, 3, 'none',
       1, 1, '{{}}', '[]', 1, 1, 10, 10, 0, 1, 0, true, true, false, '[]', '{{}}', ''
  FROM generate_series(1, {ROWS} / 10) AS n;
INSERT INTO work (id, task, tenant, kind, key, queue, status, priority, created_at, place, attempt, tries, crashes,
                  deferrals, unseen, start_left, start, pending, round, reworks, timeout, max_attempts, continues,
                  handled, excluded, since, version)
SELECT 'sub_' || n, 'tsk_' || n / 10, 'acme', 'execute', 'key' || n, n % 5, 'READY', n % 10, n, n, 0, 0, 0, 0, 0, 1, 1,
       0, 1, 0, 1, 3, false, false, '[]', n, 1
  FROM generate_series(1, {ROWS}) AS n;
INSERT INTO ready (work, queue, tenant, priority, place, since, task, start_due)
SELECT id, queue, tenant, priority, place, since, task, created_at FROM work;
INSERT INTO lease (work, task, tenant, lease_id, attempt, bot, claim_id, granted_at, expires_at, ends_at, ttl, seen,
                   refusals, refused, cancelled, version)
SELECT id, task, tenant, 'lse_' || id, 1, 'bot_' || seq % 5000, 'clm_' || seq / 5, 1, created_at, created_at, 1, true,
       0, '[]', false, 1
  FROM work;
INSERT INTO timer (kind, ref, due) SELECT 'wake', id, created_at FROM work;
INSERT INTO attempt (lease_id, work, task, tenant, attempt, bot, started, ended, ending, round)
SELECT 'lse_old_' || id, id, task, tenant, 1, 'bot_' || seq % 5000, 1, 2, 'failed', 1 FROM work;
INSERT INTO payload (id, task, body) SELECT id || '/out', task, 'x' FROM work;
INSERT INTO edge (task, parent, child, condition)
SELECT task, id, 'sub_' || created_at + 1, 'success' FROM work;
INSERT INTO event (seq, id, at, tenant, task, sequence, kind, actor, audit, body, redacted)
SELECT n, 'evt_' || n, n, 'acme', 'tsk_' || n / 10, n % 10, 'work.leased', 'k', 'aud_' || n, '{{}}', '[]'
  FROM generate_series(1, {ROWS}) AS n;
INSERT INTO audit_leaf (tenant, place, id, task, actor, action, at, leaf, salt, hash)
SELECT 'acme', n, 'aud_' || n, 'tsk_' || n / 10, 'k' || n % 100, 'a' || n % 50, n, 'l', 's', 'h'
  FROM generate_series(1, {ROWS}) AS n;
INSERT INTO message (id, tenant, task, from_bot, payload, at)
SELECT 'msg_' || n, 'acme', 'tsk_' || n / 10, 'bot_1', 'p', n FROM generate_series(1, {ROWS}) AS n;
INSERT INTO late_result (lease_id, content_hash, work, task, tenant, bot, at, payload)
SELECT 'lse_' || n, 'h', 'sub_' || n, 'tsk_' || n / 10, 'acme', 'b', n, 'p' FROM generate_series(1, {ROWS}) AS n;
INSERT INTO feedback (work, task, round, text, at, n)
SELECT 'sub_' || n, 'tsk_' || n / 10, 1, 't', n, 1 FROM generate_series(1, {ROWS}) AS n;
INSERT INTO answered (work, task, question, answer, at)
SELECT 'sub_' || n, 'tsk_' || n / 10, 'q', '1', n FROM generate_series(1, {ROWS}) AS n;
INSERT INTO idempotency (tenant, key, request_hash, status, resource, expires)
SELECT 'acme', 'k' || n, 'h', 201, 'r', n FROM generate_series(1, {ROWS}) AS n;
INSERT INTO task_label (tenant, label, created_at, task)
SELECT 'acme', 'k:' || n % 500, n / 10, 'tsk_' || n / 10 FROM generate_series(1, {ROWS}) AS n ON CONFLICT DO NOTHING;
INSERT INTO label_count (tenant, key, value, party, week, number)
SELECT 'acme', 'k' || n % 10, 'v' || n % 5000, 'p' || n % 7, n / 10000, 1 FROM generate_series(1, {ROWS}) AS n
    ON CONFLICT DO NOTHING;
INSERT INTO cost (tenant, part, day, name, party, week, cost_micro_usd, tokens, unpriced_tokens, attempts)
SELECT 'acme', 'label', n / 500, 'k:' || n % 500, 'p' || n % 7, n / 3500, 1, 1, 0, 1
  FROM generate_series(1, {ROWS}) AS n ON CONFLICT DO NOTHING;
INSERT INTO cost_span (tenant, part, days, first, name, cost_micro_usd, tokens, unpriced_tokens, attempts)
SELECT 'acme', 'label', 1, n / 500, 'k:' || n % 500, 1, 1, 0, 1 FROM generate_series(1, {ROWS}) AS n;
INSERT INTO operation_item (operation, place, task) SELECT 'opr_' || n / 1000, n, 'tsk_' || n / 10
  FROM generate_series(1, {ROWS}) AS n;
INSERT INTO approval (id, tenant, task, kind, opened_at, asked_by, question, choices, expires_at, subject_hash, state,
                      version)
SELECT 'apr_' || n, 'acme', 'tsk_' || n / 10, 'final', n, '', '', '[]', n, 'h', 'open', 1
  FROM generate_series(1, {ROWS}) AS n;
"""


@pytest.fixture(scope="module")
def filled(postgres: PostgresServer) -> str:
    url = postgres.new_database(keep=True)
    name = url.rpartition("/")[2]
    for migration in migrations.known():
        postgres.run(migration.sql, name)
    postgres.run(FILL, name)
    postgres.run("ANALYZE", name)
    return url


@pytest_asyncio.fixture
async def connection(filled: str) -> "AsyncIterator[asyncpg.Connection]":
    connection = await connect(filled, writing=True)
    for way in ("seqscan", "hashjoin", "mergejoin"):
        await connection.execute(f"SET enable_{way} = on")  # so that only the indexes keep it from reading whole tables
    yield connection
    await connection.close()


async def scanned(connection: "asyncpg.Connection", sql: str) -> set[str]:
    """Return the tables that the plan for any parameters reads as a whole."""
    given = ", ".join(["NULL"] * len(set(re.findall(r"\$(\d+)", sql))))
    await connection.execute(f"PREPARE asked AS {sql}")
    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked{f'({given})' if given else ''}")
    await connection.execute("DEALLOCATE asked")
    return {node["Relation Name"] for node in nodes(json.loads(text)[0]["Plan"]) if node["Node Type"] == "Seq Scan"}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


ONE_BY_ONE = {
    **{name: statement.sql for name, statement in {**QUERIES, **READS}.items()},
    **{name: statement.sql for name, statement in ROW_STATEMENTS.items()},
}


async def test_no_statement_reads_a_whole_table(connection: "asyncpg.Connection") -> None:
    names = [name for name in sorted(ONE_BY_ONE) if not SELDOM.match(name) and name not in WHOLE]
    found = {name: await scanned(connection, ONE_BY_ONE[name]) & GROWING for name in names}

    assert len(found) > 150
    assert {name: tables for name, tables in found.items() if tables} == {}


@pytest.fixture
def new_store(postgres: PostgresServer) -> str:
    return postgres.new_store()


async def test_a_new_database_gets_plans_that_serve_full_tables_too(new_store: str) -> None:
    connection = await connect(new_store, writing=True)
    names = [name for name in sorted(QUERIES) if not SELDOM.match(name) and name not in WHOLE]
    found = {name: await scanned(connection, QUERIES[name].sql) & GROWING for name in names}
    await connection.close()

    assert {name: tables for name, tables in found.items() if tables} == {}


async def test_a_usual_batch_writes_without_reading_a_whole_table(connection: "asyncpg.Connection") -> None:
    names = ("put_payload", "insert_work", "update_task", "update_work", "update_lease", "insert_lease", "put_ready")

    assert await scanned(connection, _combined((*names, "put_timer", "insert_attempt"))) & GROWING == set()


async def test_a_plan_that_reads_a_whole_table_would_be_found(connection: "asyncpg.Connection") -> None:
    assert await scanned(connection, "SELECT count(*) FROM work WHERE status = $1") == {"work"}
