"""Rows that the store keeps in memory between transactions equal those in the file, whichever process wrote last."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from swarmkeeper.core.model import Edge, TaskRecord
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.states import Condition, Kind
from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.storage.sqlite.kept_rows import ABSENT, KeptRows
from swarmkeeper.testing import records


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(f"sqlite:///{tmp_path}/swarm.db")
    await store.open()
    yield store
    await store.close()


async def save(store: SqliteStore, **changes: Any) -> None:
    async with store.begin() as transaction:
        await transaction.save(Changes(**changes))


async def load(store: SqliteStore, *wants: tuple[str, Any]) -> list[Any]:
    async with store.begin() as transaction:
        found = await transaction.load(wants)
        return [found[want] for want in wants]


def a_task(version: int = 1, **given: Any) -> dict[str, TaskRecord]:
    return {"tsk_1": records.task(id="tsk_1", version=version, **given)}


async def with_task(store: SqliteStore) -> None:
    await save(
        store,
        tasks=a_task(n_total=2, n_open=2),
        works={
            "sub_1": records.work(id="sub_1", key="a", version=1),
            "sub_2": records.work(id="sub_2", key="b", version=1),
        },
        edges=[Edge("tsk_1", "sub_1", "sub_2", Condition.SUCCESS)],
        payloads={"p": ("tsk_1", b"{}")},
    )


async def test_a_row_that_was_written_is_not_read_again(store: SqliteStore) -> None:
    await with_task(store)
    statements: list[str] = []

    def watch(cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        statements.append(sql)
        return True

    async with store.begin() as transaction:
        store.connection.exec_trace = watch
        wants: list[Any] = [
            ("task", "tsk_1"),
            ("work", "sub_1"),
            ("lease", "sub_1"),
            ("jobs", "tsk_1"),
            ("children", ("sub_1", "", 10)),
            ("parents", "sub_2"),
            ("plan_items", "tsk_1"),
            ("light_payload", "p"),
        ]
        found = await transaction.load(wants)
        store.connection.exec_trace = None

    assert statements == []
    assert [edge.child for edge in found["children", ("sub_1", "", 10)]] == ["sub_2"]
    assert [edge.parent for edge in found["parents", "sub_2"]] == ["sub_1"]
    assert found["plan_items", "tsk_1"] == ["sub_1", "sub_2"]
    assert found["light_payload", "p"] == b"{}"
    assert found["jobs", "tsk_1"] == []
    assert store.wrong_kept() == []


async def test_a_row_that_another_process_changed_is_read_again(store: SqliteStore) -> None:
    await with_task(store)

    other = apsw.Connection(str(store.path))
    other.execute("UPDATE task SET title = 'changed by another'")
    other.close()

    (task,) = await load(store, ("task", "tsk_1"))
    assert task.title == "changed by another"


async def test_a_commit_of_another_process_right_after_ours_is_not_taken_for_ours(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_task(store)
    commit = store._commit

    async def then_another(connection: apsw.Connection) -> None:
        await commit(connection)
        other = apsw.Connection(str(store.path))
        other.execute("UPDATE task SET title = 'changed by another'")
        other.close()

    monkeypatch.setattr(store, "_commit", then_another)
    await save(store, payloads={"q": ("tsk_1", b"{}")})
    monkeypatch.undo()

    (task,) = await load(store, ("task", "tsk_1"))
    assert task.title == "changed by another"


async def test_a_row_that_was_changed_past_the_store_is_read_again(store: SqliteStore) -> None:
    await with_task(store)

    store.connection.execute("UPDATE task SET title = 'changed past it'")

    (task,) = await load(store, ("task", "tsk_1"))
    assert task.title == "changed past it"


async def test_what_was_rolled_back_is_forgotten(store: SqliteStore) -> None:
    await with_task(store)

    async def fail() -> None:
        async with store.begin() as transaction:
            task = (await transaction.load([("task", "tsk_1")]))["task", "tsk_1"]
            task.title, task.version = "never committed", 2
            await transaction.save(Changes(tasks={"tsk_1": task}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    (task,) = await load(store, ("task", "tsk_1"))
    assert (task.title, task.version) == (records.task().title, 1)


async def test_a_grace_after_a_stop_is_seen_in_leases_that_were_kept(store: SqliteStore) -> None:
    await with_task(store)
    await save(store, leases={"sub_1": records.lease(work="sub_1", version=1, expires_at=5, ends_at=9, ttl=10)})

    await store.grace(now=1_000, start_floor=2_000)

    (lease,) = await load(store, ("lease", "sub_1"))
    assert lease.expires_at == 1_005
    assert store.wrong_kept() == []


async def test_the_next_lease_of_an_item_replaces_the_one_before(store: SqliteStore) -> None:
    await with_task(store)
    await save(store, leases={"sub_1": records.lease(work="sub_1", lease_id="lse_1", version=1)})
    await save(
        store,
        leases_gone={"sub_1": None},
        leases={"sub_1": records.lease(work="sub_1", lease_id="lse_2", version=1)},
    )

    assert await load(store, ("lease_id", "lse_1"), ("lease_id", "lse_2")) == [None, "sub_1"]
    await save(store, leases_gone={"sub_1": None})
    assert await load(store, ("lease_id", "lse_2"), ("lease", "sub_1")) == [None, None]
    assert store.wrong_kept() == []


async def test_edges_written_in_a_later_part_of_a_plan_are_seen(store: SqliteStore) -> None:
    await with_task(store)
    await save(
        store,
        works={"sub_0": records.work(id="sub_0", key="c", version=1)},
        edges=[Edge("tsk_1", "sub_1", "sub_0", Condition.DONE), Edge("tsk_1", "sub_0", "sub_2", Condition.DONE)],
    )

    (children, parents) = await load(store, ("children", ("sub_1", "", 10)), ("parents", "sub_2"))

    assert [edge.child for edge in children] == ["sub_0", "sub_2"]
    assert [edge.parent for edge in parents] == ["sub_0", "sub_1"]
    assert store.wrong_kept() == []


async def test_edges_of_a_plan_written_in_parts_are_read_from_the_file(store: SqliteStore) -> None:
    await save(store, tasks=a_task(n_total=2, n_open=2, loading=True))
    await save(
        store,
        works={"sub_2": records.work(id="sub_2", key="b", version=1)},
        edges=[Edge("tsk_1", "sub_1", "sub_2", Condition.SUCCESS)],  # its parent is written later
    )
    await save(store, works={"sub_1": records.work(id="sub_1", key="a", version=1)})

    (children,) = await load(store, ("children", ("sub_1", "", 10)))

    assert [edge.child for edge in children] == ["sub_2"]
    assert store.wrong_kept() == []


async def test_items_of_plans_and_reviews_are_not_items_of_the_plan(store: SqliteStore) -> None:
    await with_task(store)
    await save(store, works={"wrk_1": records.work(id="wrk_1", key="review", kind=Kind.REVIEW, version=1)})

    assert await load(store, ("plan_items", "tsk_1")) == [["sub_1", "sub_2"]]


async def test_a_counted_tenant_is_kept_as_it_is_stored(store: SqliteStore) -> None:
    await save(store, opened={"acme": 2}, stored={"acme": 10})
    await load(store, ("tenant", "acme"))
    await save(store, opened={"acme": -1}, opened_subtasks={"acme": -3}, stored={"acme": 5})

    (tenant,) = await load(store, ("tenant", "acme"))

    assert (tenant.open_tasks, tenant.open_subtasks, tenant.stored_bytes) == (1, 0, 15)
    assert store.wrong_kept() == []


async def test_a_wrong_row_is_found(store: SqliteStore) -> None:
    await with_task(store)
    (task,) = await load(store, ("task", "tsk_1"))

    task.title = "not in the file"

    (found,) = store.wrong_kept()
    assert "('task', 'tsk_1')" in found


def test_the_memory_of_kept_rows_is_bounded() -> None:
    kept = KeptRows(bytes_max=100_000)

    for number in range(1_000):
        kept.put(("task", f"tsk_{number}"), records.task())
        kept.trim()

    assert len(kept) * 4_000 <= 108_000
    assert kept.get(("task", "tsk_999")) is not ABSENT
    assert kept.get(("task", "tsk_1")) is ABSENT


class Counted:
    """A row of which the living ones are counted."""

    alive = 0

    def __init__(self) -> None:
        Counted.alive += 1

    def __del__(self) -> None:
        Counted.alive -= 1


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("at_once", [1, 5_000])
def test_dropped_rows_are_freed_as_fast_as_others_are_put(at_once: int, together: bool) -> None:
    kept = KeptRows(bytes_max=8_000_000)  # two generations of 10,000 of these rows

    for begin in range(0, 100_000, at_once):
        rows = {str(number): Counted() for number in range(begin, begin + at_once)}
        if together:
            kept.put_all("other", rows)
        else:
            for key, row in rows.items():
                kept.put(("other", key), row)
        rows.clear()
        kept.trim()
        assert Counted.alive <= 35_000


def test_a_transaction_frees_few_rows_more_than_it_put() -> None:
    kept = KeptRows(bytes_max=8_000_000)
    for number in range(10_000):
        kept.put(("other", number), Counted())
    kept.trim()
    kept.clear()
    before = Counted.alive

    kept.put(("other", 0), Counted())
    kept.trim()

    assert before - Counted.alive <= 100


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("task", records.task(labels={f"label{number}": "x" * 250 for number in range(60)})),
        ("lease", records.lease(progress={"log": ["x" * 1_000] * 10})),
        ("children", [Edge("tsk_1", "sub_1", f"sub_{number}", Condition.DONE) for number in range(100)]),
        ("payload", b"x" * 4_000),
    ],
)
def test_what_callers_filled_in_counts(kind: str, row: Any) -> None:
    kept = KeptRows(bytes_max=1 << 20)

    for number in range(1_000):
        kept.put_measured((kind, f"it_{number}"), row)
        kept.trim()

    assert len(kept) < 300


def test_a_row_in_use_stays_while_others_are_dropped() -> None:
    kept = KeptRows(bytes_max=100_000)
    used = records.task()
    kept.put(("task", "used"), used)

    for number in range(1_000):
        kept.put(("task", f"tsk_{number}"), records.task())
        assert kept.get(("task", "used")) is used
        kept.trim()
