"""A snapshot shows the store at one moment, whatever is committed meanwhile."""

from pathlib import Path

from swarmkeeper.core.ports import Changes
from swarmkeeper.storage.sqlite.store import SqliteStore
from swarmkeeper.testing import records

ASKED = {"tenant": "acme", "task": "tsk_1"}


async def opened(file: Path) -> SqliteStore:
    store = SqliteStore(f"sqlite:///{file}")
    await store.open()
    task = records.task(version=1, title="before")
    async with store.begin() as transaction:
        await transaction.save(Changes(tasks={task.id: task}))
    return store


async def test_a_snapshot_does_not_see_later_commits(tmp_path: Path) -> None:
    store = await opened(tmp_path / "store.db")
    changed = records.task(version=2, priority=9)
    async with store.begin() as transaction:
        await transaction.save(Changes(tasks={changed.id: changed}))
        snapshot = store.snapshot()  # while a batch is written
        seen = await snapshot.__aenter__()
        before = (await seen.read("task_row", ASKED))[0]["version"]

    during = (await seen.read("task_row", ASKED))[0]["version"]
    await snapshot.__aexit__(None, None, None)
    after = (await store.read("task_row", ASKED))[0]["version"]

    assert (before, during, after) == (1, 1, 2)
    await store.close()


async def test_a_snapshot_that_ends_in_an_error_leaves_the_store_usable(tmp_path: Path) -> None:
    store = await opened(tmp_path / "store.db")
    try:
        async with store.snapshot():
            raise ValueError
    except ValueError:
        pass

    changed = records.task(version=2)
    async with store.begin() as transaction:
        await transaction.save(Changes(tasks={changed.id: changed}))
    assert (await store.read("task_row", ASKED))[0]["version"] == 2
    await store.close()
