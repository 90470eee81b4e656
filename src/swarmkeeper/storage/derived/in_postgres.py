"""Makes what follows from other rows anew in PostgreSQL, which keeps the words of titles by itself.

The sequencer adds to counts and sums what transactions have told, a moment after they commit. So a week is counted
while no one else adds to it, and without what still waits in the outbox: that is added later, as always.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from swarmkeeper.storage.derived import rebuilding, saving
from swarmkeeper.storage.derived.rebuilding import Steps
from swarmkeeper.storage.postgres import connections
from swarmkeeper.storage.postgres.connections import translated_errors
from swarmkeeper.storage.postgres.execution import Execution
from swarmkeeper.storage.postgres.outbox import unpacked

# The table of steps comes first: two that make everything anew take turns. The locks are taken before anything is read,
# so that all statements see the state after them.
_LOCK = "LOCK TABLE rebuild, task_count, label_count, cost, cost_span, cost_folded IN EXCLUSIVE MODE"
_NOTHING = frozenset({"words_begin", "words_of", "words_end"})


async def begin(connection: asyncpg.Connection) -> None:
    """Begin to make everything anew."""
    await _transaction(connection, rebuilding.begin())


async def finish(connection: asyncpg.Connection) -> None:
    """Make everything anew that is left; nothing if that was not begun."""
    if await Execution(connection).fetch("rebuild_begun"):
        while await _transaction(connection, rebuilding.one_slice()):
            pass


async def _transaction(connection: asyncpg.Connection, steps: Steps) -> bool:
    with translated_errors():
        async with connection.transaction(isolation="repeatable_read"):
            await connections.allow_any_time(connection)
            await connection.execute(_LOCK)
            return await _run(Execution(connection, seconds=connections.SECONDS_FOR_ALL_ROWS), steps)


async def _run(execution: Execution, steps: Steps) -> bool:
    found: list[Any] | None = None
    try:
        while True:
            name, given = next(steps) if found is None else steps.send(found)
            found = []
            if name == "counted":
                await _without_waiting(execution, **given)
            elif name == "remove_label":
                await execution.write([("delete_task_label", [tuple(given.values())])])
            elif name not in _NOTHING:
                found = [tuple(row) for row in await execution.fetch(name, **given)]
    except StopIteration as done:
        more: bool = done.value
        return more


async def _without_waiting(execution: Execution, *, tenant: str, week: int) -> None:
    """Take out of a week's counts and sums what waits in the outbox."""
    told = [unpacked(row["body"]) for row in await execution.fetch("outbox_bodies")]
    counts, by_label, costs = saving.summed(part for one in told for part in one.tallies)
    less = [
        [(*row[:key], *(-amount for amount in row[key:])) for row in rows if row[0] == tenant and row[place] == week]
        for rows, key, place in ((counts, 5, 2), (by_label, 5, 4), (costs, 6, 5))
    ]
    await execution.write([write for write in saving.writes_of(*less) if not write[0].startswith("drop_")])
