"""What a dashboard reads does not grow with the number of tasks: counted in steps of SQLite's machine.

The plans of PostgreSQL are in tests/storage/test_postgres_plans.py.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from benchmarks import reads
from swarmkeeper.offline.doctor import CHECKS, WORDS
from swarmkeeper.storage.opening import store_at
from tests.support.postgres import server

FEW, MANY = 2_000, 20_000
# Sums over names and days, and what there are few of in the smaller store.
SUMS = ("labels", "costs", "queues", "open approvals", "an operation")
# Lists of which the smaller store has less than a usual page: it has more than a page of this size.
SMALL_PAGES = ("tasks: skill of few", "tasks: words of errors", "tasks: failed")
SMALL_PAGE = 5


def steps_of(folder: Path, tasks: int) -> dict[str, int]:
    store = f"sqlite:///{folder}/{tasks}.db"
    asyncio.run(reads.fill(store, tasks))
    found = asyncio.run(reads.measured(store, tries=1, warm=1, shown=False))
    return {what: steps for what, (*_, steps) in found.items()}


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages have and look at few tasks: both stores have more."""
    small = {what: f"{reads.READS[what]}&page_size={SMALL_PAGE}" for what in SMALL_PAGES}
    monkeypatch.setattr(reads, "READS", {**reads.READS, **small})
    monkeypatch.setattr(reads, "ITEMS", 300)
    monkeypatch.setattr("swarmkeeper.reads.tasks.lists.LOOKED_AT_MAX", 60)
    monkeypatch.setattr("swarmkeeper.reads.tasks.lists.COUNTED_MAX", 60)


def grown(few: dict[str, int], many: dict[str, int]) -> dict[str, Any]:
    return {what: (few[what], many[what]) for what in few if many[what] > 2 * few[what] + 2_000}


@pytest.mark.usefixtures("bounds")
def test_no_read_of_a_dashboard_takes_more_steps_with_ten_times_the_tasks(tmp_path: Path) -> None:
    few, many = steps_of(tmp_path, FEW), steps_of(tmp_path, MANY)

    assert min(few.values()) > 0
    assert {what: seen for what, seen in grown(few, many).items() if not what.startswith(SUMS)} == {}


async def wrong(url: str) -> dict[str, list[Any]]:
    store = store_at(url)
    await store.open(exclusive=False, create=False)
    found = {check.read: await store.read(check.read, {**WORDS, "latest": 1 << 62}) for check in CHECKS}
    await store.close()
    del found["doctor_damage"]  # one row says that SQLite's file is whole
    return {name: rows for name, rows in found.items() if rows}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_rows_that_are_measured_are_those_of_a_sound_store(tmp_path: Path, kind: str) -> None:
    """Everything but the hashes of the audit log: nothing was recorded as these rows were written."""
    url = f"sqlite:///{tmp_path}/store.db" if kind == "sqlite" else server().new_store()

    asyncio.run(reads.fill(url, 300))

    assert asyncio.run(wrong(url)) == {}
