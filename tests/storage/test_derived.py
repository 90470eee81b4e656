"""What follows from other rows is made anew in slices, also if a process dies between two; and it keeps reads short."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest

from benchmarks import lists
from benchmarks.reads import Work
from swarmkeeper.clock import SystemClock
from swarmkeeper.core.model import Limits, TaskRecord
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.tallies import counting
from swarmkeeper.govern.cursors import Cursors
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.offline import doctor
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.tasks.filters import TaskFilter
from swarmkeeper.storage.derived import in_sqlite, rebuilding
from swarmkeeper.storage.sqlite.store import SqliteStore
from swarmkeeper.testing import records

RULES = Rulebook(Redactor.default())
TASKS = 4_800
CHECKS = (
    *("doctor_task_counts", "doctor_label_counts", "doctor_labels", "doctor_words"),
    *("doctor_costs", "doctor_cost_spans"),
)


class Died(Exception):
    pass


async def a_store(file: Path, tasks: int) -> None:
    store = SqliteStore(str(file))
    await store.open()
    await store.close()
    lists.filled(file, tasks)


def counting_of(task: TaskRecord) -> Changes:
    changes = Changes(tasks={task.id: task})
    counting.count_changed(changes, {})
    return changes


async def wrong(store: SqliteStore) -> list[str]:
    words = {**doctor.WORDS, "latest": SystemClock().now()}
    return [f"{check}: {row['subject']}" for check in CHECKS for row in await store.read(check, words)]


def steps_left(store: SqliteStore) -> int:
    found: int = store.connection.execute("SELECT count(*) FROM rebuild").get
    return found


async def test_a_process_that_dies_between_two_slices_leaves_the_rest_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "store.db"
    await a_store(file, 60)
    monkeypatch.setattr(rebuilding, "TASKS", 20)
    transaction, slices = in_sqlite._transaction, 0

    def one_and_no_more(connection: apsw.Connection, steps: rebuilding.Steps) -> bool:
        nonlocal slices
        transaction(connection, steps)
        slices += 1
        raise Died

    while True:
        with monkeypatch.context() as patched:
            patched.setattr(in_sqlite, "_transaction", one_and_no_more)
            store = SqliteStore(str(file))
            with pytest.raises(Died):
                await store.open()
        beside = SqliteStore(str(file))
        await beside.open(exclusive=False, create=False)
        left = steps_left(beside)
        await beside.close()
        if not left:
            break
    assert slices > 10  # weeks, tasks, and the sweep at the end

    store = SqliteStore(str(file))
    await store.open()
    assert await wrong(store) == []
    await store.close()


async def test_work_goes_on_between_the_slices_and_is_counted_once(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    await a_store(file, 60)
    store = SqliteStore(str(file))
    await store.open()
    assert await wrong(store) == []
    in_sqlite.begin(store.connection)
    more, added = True, 0
    while more:
        more = in_sqlite._transaction(store.connection, rebuilding.one_slice())
        added += 1
        task = records.task(
            id=f"tsk_new_{added}", created_at=lists.NOW + added, labels={"team": "new"}, title="new one"
        )
        counts = counting_of(task)
        async with store.begin() as transaction:
            await transaction.save(counts)
    assert added > 5
    assert await wrong(store) == []
    await store.close()


async def test_a_check_says_nothing_while_everything_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    await a_store(file, 20)
    store = SqliteStore(str(file))
    await store.open()
    store.connection.execute("DELETE FROM task_label")
    assert await wrong(store) != []
    in_sqlite.begin(store.connection)
    assert await wrong(store) == []
    in_sqlite.finish(store.connection)
    assert await wrong(store) == []
    await store.close()


# ---- reads -----------------------------------------------------------------------------------------------------------


async def steps_of(file: Path, tasks: int) -> dict[str, int]:
    """Return how many steps of SQLite's machine each read of a dashboard takes."""
    await a_store(file, tasks)
    store = SqliteStore(str(file))
    await store.open()
    reader = store.open_reader()
    assert reader is not None
    queries = Queries(reader, RULES, Limits(), cursors=Cursors(b"k" * 32), now=lambda: lists.NOW)
    work = Work()

    await queries.task_lists.count(lists.BY, TaskFilter())
    assert reader._connection is not None
    work.watch_sqlite(reader._connection)
    work.is_on = True
    found = {}
    for name, read in lists.reads(queries).items():
        work.steps = 0
        await read()
        found[name] = work.steps
    reader.close()
    await store.close()
    return found


def test_no_read_of_a_dashboard_looks_at_all_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To look at each task takes 25 steps or more. The bounds are small: these tasks are more than they allow."""
    monkeypatch.setattr("swarmkeeper.reads.tasks.lists.LOOKED_AT_MAX", 100)
    monkeypatch.setattr("swarmkeeper.reads.tasks.lists.COUNTED_MAX", 200)
    monkeypatch.setattr(lists, "CUSTOMERS", 50)

    steps = asyncio.run(steps_of(tmp_path / "store.db", TASKS))

    # A row for each label or name, week and party: many for so few tasks, and no more for more of them.
    sums = {name: steps.pop(name) for name in list(steps) if name.startswith(("labels", "costs"))}
    assert min(steps.values()) > 0
    assert {name: number for name, number in steps.items() if number > 3 * TASKS} == {}
    assert {name: number for name, number in sums.items() if number > 30 * TASKS} == {}
