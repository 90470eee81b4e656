"""An update writes all changes, whether it uses the statement for hot columns or the full one."""

import dataclasses
from typing import Any

import apsw
import pytest

from swarmkeeper.core.model import TaskRecord, Work
from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.testing import records

FIELDS = [
    pytest.param(record, field.name, id=f"{record.__name__}.{field.name}")
    for record in (TaskRecord, Work)
    for field in dataclasses.fields(record)
    if getattr(records.changed(records.bare(record, id="x_1")), field.name)
    != getattr(records.bare(record, id="x_1"), field.name)
    and field.name not in ("version", "n_total")
]


def a(record: type[Any]) -> Any:
    """Return a task with room for other counts."""
    bare = records.bare(record, id="x_1")
    return dataclasses.replace(bare, n_total=records.changed(bare).n_total) if record is TaskRecord else bare


async def stored(record: Any) -> SqliteStore:
    store = SqliteStore("sqlite://:memory:", keep_bytes=0)
    await store.open()
    async with store.begin() as transaction:
        await transaction.save(records.changes_of(records.at_version(record, 1)))
    return store


async def update(store: SqliteStore, *versions: Any) -> list[str]:
    """Load the record, save these versions in one transaction, and return the updates made."""
    made: list[str] = []

    def look(_: apsw.Cursor, sql: str, __: object) -> bool:
        if sql.startswith("UPDATE"):
            made.append(sql)
        return True

    async with store.begin() as transaction:
        await transaction.load([records.want_of(versions[0])])
        store.connection.exec_trace = look
        for version in versions:
            await transaction.save(records.changes_of(version))
        store.connection.exec_trace = None
    return made


async def kept(store: SqliteStore, record: Any) -> Any:
    want = records.want_of(record)
    async with store.begin() as transaction:
        return (await transaction.load([want]))[want]


@pytest.mark.parametrize(("record", "name"), FIELDS)
async def test_a_single_changed_field_is_written(record: type[Any], name: str) -> None:
    before = a(record)
    after = dataclasses.replace(before, **{name: getattr(records.changed(before), name)}, version=2)
    store = await stored(before)

    await update(store, after)

    assert await kept(store, after) == records.loaded(after)
    await store.close()


@pytest.mark.parametrize("record", [TaskRecord, Work])
async def test_a_change_that_is_reverted_in_the_same_transaction_leaves_nothing(record: type[Any]) -> None:
    before = a(record)
    there = dataclasses.replace(before, priority=before.priority - 1, version=2)
    back = dataclasses.replace(before, version=3)
    store = await stored(before)

    await update(store, there, back)

    assert await kept(store, back) == records.loaded(back)
    await store.close()


@pytest.mark.parametrize("record", [TaskRecord, Work])
async def test_a_transition_sets_only_the_changed_columns(record: type[Any]) -> None:
    before = a(record)
    store = await stored(before)

    (made,) = await update(store, dataclasses.replace(before, status=records.changed(before).status, version=2))

    assert "priority" not in made
    await store.close()
