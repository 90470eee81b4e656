"""Saves to a store and loads from it, one transaction per call, for the store suites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from swarmkeeper.core.model import Work
from swarmkeeper.core.ports import Changes, Key, Store
from swarmkeeper.testing import records


async def save(store: Store, changes: Changes) -> None:
    async with store.begin() as transaction:
        await transaction.save(changes)


async def save_and_raise(store: Store, changes: Changes) -> None:
    async with store.begin() as transaction:
        await transaction.save(changes)
        raise ZeroDivisionError


async def load(store: Store, *needs: Key) -> Sequence[Any]:
    """Load what the keys name, in their order."""
    async with store.begin() as transaction:
        found = await transaction.load(needs)
    return [found[key] for key in needs]


def of_one_task(*works: Work, **more: Any) -> Changes:
    """Return the changes that create a task with these items, and `more` changes."""
    task = records.task(id=works[0].task if works else "tsk_1")
    return Changes(tasks={task.id: task}, works={work.id: work for work in works}, **more)
