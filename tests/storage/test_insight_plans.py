"""What a dashboard reads takes its rows from indexes, as many as it shows: checked in SQLite's plans and by steps."""

from typing import Any

import apsw
import pytest

from swarmkeeper.core.operations import reads as operation_reads
from swarmkeeper.reads.insight import insight_reads
from swarmkeeper.storage.sqlite import migrations
from swarmkeeper.storage.sqlite.reading import READS

NAMED = {**insight_reads.READS, **operation_reads.READS}
# A list in the parameters, and rows that were found by an index before, may be scanned.
SMALL = (
    "wanted",
    "looked",
    "counted",
    "following",
    "waiting",
    "held",
    "level",
    "VIRTUAL TABLE",
    "CONSTANT",
    "SUBQUERY",
    "CO-ROUTINE",
)
# One sorts what it has found: a tenant's bots.
SORTS = {"able_bots", "events_of_numbers", "timeline_bars", "leased_by_queue"}


@pytest.fixture(scope="module")
def connection() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    migrations.apply(connection, migrations.known(), None)
    return connection


def plan(connection: apsw.Connection, name: str) -> list[str]:
    parameters: dict[str, Any] = dict.fromkeys(NAMED[name].parameters)
    return [detail for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {READS[name]}", parameters)]


@pytest.mark.parametrize("name", sorted(NAMED))
def test_no_read_of_a_dashboard_scans_a_table(connection: apsw.Connection, name: str) -> None:
    scans = [step for step in plan(connection, name) if step.startswith("SCAN ")]

    bad = [step for step in scans if not any(word in step for word in SMALL) and "USING INDEX operation_" not in step]
    assert bad == [], plan(connection, name)


@pytest.mark.parametrize("name", sorted(NAMED.keys() - SORTS))
def test_no_page_is_sorted(connection: apsw.Connection, name: str) -> None:
    assert not [step for step in plan(connection, name) if "TEMP B-TREE FOR ORDER BY" in step], plan(connection, name)


def steps(connection: apsw.Connection, name: str, **parameters: Any) -> int:
    """Return how many steps of SQLite's machine a read takes."""
    taken = 0

    def one() -> bool:
        nonlocal taken
        taken += 1
        return False

    connection.set_progress_handler(one, 1)
    try:
        connection.execute(READS[name], {**dict.fromkeys(NAMED[name].parameters), **parameters}).fetchall()
    finally:
        connection.set_progress_handler(None)
    return taken


def test_open_approvals_cost_the_same_among_many_that_are_decided(connection: apsw.Connection) -> None:
    def put(number: int, state: str) -> None:
        connection.execute(
            "INSERT INTO approval (id, tenant, task, kind, opened_at, expires_at, subject_hash, asked_by, question,"
            " choices, state, version) VALUES (?, 'acme', 't', 'final', 1, ?, 'h', '', '', '[]', ?, 1)",
            (f"apr_{number}", number, state),
        )

    for number in range(20):
        put(number, "open")
    few = steps(connection, "open_approvals_page", tenant="acme", after_at=-1, after_id="", limit=10)
    counted = steps(connection, "open_approvals_count", tenant="acme", most=100)
    for number in range(1_000, 3_000):
        put(number, "decided")

    assert steps(connection, "open_approvals_page", tenant="acme", after_at=-1, after_id="", limit=10) == few
    assert steps(connection, "open_approvals_count", tenant="acme", most=100) == counted


def test_the_newest_events_of_a_task_cost_the_same_in_a_long_one(connection: apsw.Connection) -> None:
    def put(begin: int, end: int) -> None:
        for number in range(begin, end):
            connection.execute(
                "INSERT INTO event (id, at, tenant, task, sequence, kind, actor, audit, body, redacted)"
                " VALUES (?, 1, 'acme', 'tsk_1', ?, 'work.leased', 'k', 'a', '{}', '[]')",
                (f"evt_{number}", number),
            )

    def cost() -> tuple[int, int]:
        (last,) = connection.execute("SELECT max(seq) FROM event").fetchone() or (0,)
        newest = steps(connection, "events_of_task_newest", task="tsk_1", after=0, before=2**62, limit=10)
        return newest, steps(connection, "events_of_task_kinds", task="tsk_1", after=last - 5, before=2**62, limit=10)

    put(1, 100)
    few = cost()
    put(100, 3_000)

    assert cost() == few
