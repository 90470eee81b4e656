"""Leases expire and end when their rows say so. These timers have no rows of their own."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import apsw
import pytest

from swarmkeeper.core.model import QueueEntry
from swarmkeeper.core.ports import Changes
from swarmkeeper.sim.harness import Harness
from swarmkeeper.storage import rows
from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.storage.sqlite.loading import QUERIES
from swarmkeeper.testing import records
from swarmkeeper.testing.saving import of_one_task, save
from swarmkeeper.testing.times_suite import due

SECOND = 1_000_000
LEASES = {"a": (7, 40), "b": (20, 9)}  # expires_at, ends_at
TIMERS = [("lease", "a", 7), ("ends", "b", 9), ("lease", "b", 20), ("ends", "a", 40)]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await opened(tmp_path)
    await save(store, of_one_task(*(records.work(id=name, key=name) for name in LEASES), **granted(LEASES)))
    yield store
    await store.close()


async def opened(folder: Path) -> SqliteStore:
    store = SqliteStore(f"sqlite:///{folder}/swarm.db")
    await store.open()
    return store


def granted(times: Mapping[str, tuple[int, int]], **changed: Any) -> dict[str, Any]:
    leases: dict[str, Any] = {}
    timers: dict[tuple[str, str], int | None] = {}
    for name, (expires_at, ends_at) in times.items():
        given = {"lease_id": f"lse_{name}", "expires_at": expires_at, "ends_at": ends_at, **changed}
        leases[name] = records.lease(name, **given)
        timers |= {("lease", name): expires_at, ("ends", name): ends_at}
    return {"leases": leases, "timers": timers}


async def test_timers_of_leases_have_no_rows(store: SqliteStore) -> None:
    assert await due(store) == TIMERS
    assert store.connection.execute("SELECT count(*) FROM timer").get == 0
    assert store.wrong_kept() == []


async def test_they_are_there_again_after_a_restart(store: SqliteStore, tmp_path: Path) -> None:
    await store.close()

    again = await opened(tmp_path)

    assert (await again.start()).next_due == 7
    assert await due(again) == TIMERS
    await again.close()


async def test_a_timer_that_was_put_off_is_due_again_after_a_restart(store: SqliteStore, tmp_path: Path) -> None:
    await save(store, Changes(timers={("lease", "a"): 37}))
    assert ("lease", "a", 37) in await due(store)
    await store.close()

    again = await opened(tmp_path)

    assert await due(again) == TIMERS
    await again.close()


async def test_what_another_process_does_to_a_lease_counts(store: SqliteStore) -> None:
    assert await due(store) == TIMERS

    other = apsw.Connection(str(store.path))
    other.execute("UPDATE lease SET expires_at = 8 WHERE work = 'a'")
    other.execute("DELETE FROM lease WHERE work = 'b'")
    other.close()

    assert await due(store) == [("lease", "a", 8), ("ends", "a", 40)]
    assert store.wrong_kept() == []


async def test_a_timer_that_was_put_off_stays_so_when_another_process_writes(store: SqliteStore) -> None:
    await save(store, Changes(timers={("lease", "a"): 37, ("lease", "b"): None}))

    other = apsw.Connection(str(store.path))
    other.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'")
    other.close()

    assert await due(store) == [("ends", "b", 9), ("lease", "a", 37), ("ends", "a", 40)]


async def test_a_time_that_differs_from_the_lease_is_found(store: SqliteStore) -> None:
    await due(store)
    store._kept.lease_timers._due["lease", "a"] += 1

    (found,) = store.wrong_kept()

    assert "('lease', 'a')" in found


async def test_a_time_that_is_in_no_order_is_found(store: SqliteStore) -> None:
    await due(store)
    store._kept.lease_timers._heap.clear()

    assert len(store.wrong_kept()) == len(TIMERS)


async def test_timers_of_ended_leases_take_no_memory(store: SqliteStore) -> None:
    for number in range(3_000):
        expires, ends = 1_000 + number, 1_000_000 + number
        await save(store, Changes(**granted({"a": (expires, ends)}, version=number + 2)))

    assert len(store._kept.lease_timers._heap) <= 1_100
    assert await due(store) == [("ends", "b", 9), ("lease", "b", 20), ("lease", "a", 3_999), ("ends", "a", 1_002_999)]


def test_a_lease_that_cannot_expire_is_put_off_and_blocks_no_other() -> None:
    swarm = Harness()
    poison, other = swarm.submit(["poison"]), swarm.submit(["b"])
    bot = swarm.bot("worker", capacity=2)
    for lease in [swarm.take(bot), swarm.take(bot)]:
        swarm.beat(lease)

    def look(cursor: Any, statement: str, bindings: Any) -> bool:
        values = bindings.values() if isinstance(bindings, dict) else bindings or ()
        if statement.startswith("UPDATE task") and poison in values:
            raise apsw.SQLError("refused")
        return True

    swarm.store.connection.exec_trace = look
    swarm.advance(70)
    assert swarm.work(other, "b").crashes == 1
    faults = swarm.engine.stats.faults
    assert 1 <= faults <= 3, "it is tried again each 30 s"
    assert swarm.work(poison, "poison").crashes == 0

    swarm.store.connection.exec_trace = None
    swarm.advance(30)
    assert swarm.work(poison, "poison").crashes == 1
    swarm.check(faults=faults)


@pytest.mark.parametrize("waiting", [1_000, 50_000])
async def test_a_start_reads_no_more_of_a_large_backlog(waiting: int, tmp_path: Path) -> None:
    """The engine's start, its grace, and its first look at timers."""
    store = await opened(tmp_path)
    store.connection.execute("PRAGMA foreign_keys = OFF")  # rows of work are not needed here
    ready = [QueueEntry(f"sub_{n:06}", n % 3, "acme", n % 10, n, n, "tsk_1") for n in range(waiting)]
    async with store.begin():
        store.connection.executemany(
            QUERIES["put_ready"], ((*rows.READY.to_row(entry), 3_600 * SECOND + entry.since) for entry in ready)
        )
    steps: list[int] = []
    store.connection.trace_v2(
        apsw.SQLITE_TRACE_PROFILE, lambda event: steps.append(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])
    )

    started = await store.start()
    await store.grace(SECOND, 30 * SECOND)
    async with store.begin() as transaction:
        found = await transaction.due(1 << 62, 10)

    assert started.next_due == 3_600 * SECOND
    assert [timer.ref for timer in found] == [entry.work for entry in ready[:10]]
    assert sum(steps) < 1_000
    await store.close()
