"""On PostgreSQL, too, an update writes all changes, whether it uses the statement for hot columns or the full one."""

import dataclasses
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from swarmkeeper.core.model import TaskRecord, Work
from swarmkeeper.storage import rows
from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.testing import records
from tests.storage.seen import statements
from tests.storage.test_hot_updates import FIELDS, a
from tests.support.postgres import PostgresServer

UPDATE = re.compile(r"UPDATE (?:task|work) SET (.*?) FROM ")
TABLES = {TaskRecord: rows.TASK.table, Work: rows.WORK.table}


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.new_store()


@pytest_asyncio.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(database)
    await store.open()
    yield store
    await store.close()


async def insert(store: PostgresStore, record: Any) -> None:
    async with store.begin() as transaction:
        await transaction.save(records.changes_of(records.at_version(record, 1)))


async def update(store: PostgresStore, *versions: Any) -> list[int]:
    """Load the record, save these versions in one transaction, and return how many columns each update set."""
    with statements(store, lambda sql: UPDATE.search(sql) is not None) as seen:
        async with store.begin() as transaction:
            await transaction.load([records.want_of(versions[0])])
            for version in versions:
                await transaction.save(records.changes_of(version))
    return [found.count(" = ") for sql in seen for found in UPDATE.findall(sql)]


async def kept(store: PostgresStore, record: Any) -> Any:
    want = records.want_of(record)
    async with store.begin() as transaction:
        return (await transaction.load([want]))[want]


@pytest.mark.parametrize("record", [TaskRecord, Work])
async def test_each_changed_field_is_written(store: PostgresStore, record: type[Any]) -> None:
    table = TABLES[record]
    fields = [str(case.values[1]) for case in FIELDS if case.values[0] is record]
    seen = set()
    for name in fields:
        own = {"id": f"x_{name}"} if record is TaskRecord else {"id": f"x_{name}", "task": f"task of {name}"}
        before = dataclasses.replace(a(record), **own)
        await insert(store, before)
        after = dataclasses.replace(before, **{name: getattr(records.changed(before), name)}, version=2)

        seen.update(await update(store, after))

        assert await kept(store, after) == records.loaded(after)
    assert seen == {len(table.hot), len(table.changing)}


@pytest.mark.parametrize("record", [TaskRecord, Work])
async def test_a_change_that_is_reverted_in_the_same_transaction_leaves_nothing(
    store: PostgresStore, record: type[Any]
) -> None:
    before = a(record)
    there = dataclasses.replace(before, priority=before.priority - 1, version=2)
    back = dataclasses.replace(before, version=3)
    await insert(store, before)

    await update(store, there, back)

    assert await kept(store, back) == records.loaded(back)


@pytest.mark.parametrize("record", [TaskRecord, Work])
async def test_a_record_that_was_not_loaded_is_written_as_a_whole(store: PostgresStore, record: type[Any]) -> None:
    before = a(record)
    await insert(store, before)
    after = dataclasses.replace(before, priority=before.priority - 1, version=2)

    async with store.begin() as transaction:
        await transaction.save(records.changes_of(after))

    assert await kept(store, after) == records.loaded(after)
