"""Numbers what transactions have told: events get their place in the feed, audit records theirs in their tenant's tree.

Theory. A transaction writes what it tells as one row of the outbox, in its last statement, and commits: then it is
durable, but has no number yet. One sequencer at a time takes rows away, whatever is visible, in the order of their
ids, and numbers their contents in a transaction of its own. So numbers have no gaps, and a reader that sees a number
sees all numbers before it, as in SQLite. Causes come before effects: if a transaction B has read what A committed,
every reader that sees B's row sees A's, too; and B's row has the higher id, since it was written after all that B read.

Which replica is the sequencer decides an advisory lock of a session, on a connection of its own. The others try to get
it again and again. If the owner dies, PostgreSQL frees the lock, and all that was not numbered is still in the outbox.
If the owner stands still, another one ends its connection. The same connection shows others that this server lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import asyncpg

from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.core.rules import tree
from swarmkeeper.storage import rows
from swarmkeeper.storage.postgres.connections import close, translated_errors
from swarmkeeper.storage.postgres.execution import Execution
from swarmkeeper.storage.postgres.outbox import unpacked

ROWS_MAX = 64  # of one turn: readers see its numbers only when all have theirs
_KEY = "hashtextextended('swarmkeeper/sequencer', 0)"
_OWN = f"SELECT pg_try_advisory_lock({_KEY})"
_OWN_FOR_NOW = f"SELECT pg_try_advisory_xact_lock({_KEY})"
_PRESENT = "SELECT pg_advisory_lock_shared(hashtextextended('swarmkeeper/server', 0))"
_SECONDS_BETWEEN_TRIES = 0.25
_FROZEN = 3_000_000  # microseconds
_SECONDS_IDLE_MIN, _SECONDS_IDLE_MAX = 0.005, 0.1  # without a hint: rows that other processes have written


async def place_turn(connection: asyncpg.Connection, *, owns: bool) -> int:
    """Number the first rows of the outbox, and return how many they were.

    Args:
        owns: this connection is the sequencer's. Otherwise nothing is done while there is one.
    """
    with translated_errors():
        execution = Execution(connection)
        if await execution.value("newest_outbox") is None:
            return 0
        async with connection.transaction():
            if not owns and not await connection.fetchval(_OWN_FOR_NOW):
                return 0
            taken = await execution.fetch("take_outbox", limit=ROWS_MAX)
            if taken:
                await _place(execution, [unpacked(row["body"]) for row in taken], taken[0]["until"])
            return len(taken)


async def _place(execution: Execution, told: list[Any], until: int) -> None:
    events = [tuple(event) for one in told for event in one.events]
    _check_sequences(events)
    last = await execution.value("take_numbers", n=len(events))
    numbered = [(number, *event) for number, event in enumerate(events, last - len(events) + 1)]
    leaves = [rows.AUDIT_LEAF.from_row(leaf) for one in told for leaf in one.leaves]
    tenants = sorted({leaf.tenant for leaf in leaves})
    known = await execution.fetch("load_tree", keys=rows.to_json(tenants)) if tenants else []
    trees = dict.fromkeys(tenants) | {row[0]: rows.AUDIT_TREE.from_row(row) for row in known}
    placed, grown = tree.place(trees, leaves)
    counts = _summed(one.counts for one in told)
    await execution.write(
        [
            ("place_event", numbered),
            ("insert_audit_leaf", list(map(rows.AUDIT_LEAF.to_row, placed))),
            ("put_tree", list(map(rows.AUDIT_TREE.to_row, grown.values()))),
            ("count_opened", [(*numbers, tenant) for tenant, numbers in sorted(counts.items())]),
        ]
    )
    alive = [one.alive_at for one in told if one.alive_at is not None]
    await execution.fetch("sequenced", until=until, alive_at=max(alive, default=None))


def _check_sequences(events: Iterable[rows.Row]) -> None:
    """Check that within a turn each task's events are in order: otherwise outbox rows were taken in a wrong order."""
    last: dict[str, int] = {}
    for event in events:
        task, sequence = event[_TASK], event[_SEQUENCE]
        if task is not None:
            assert last.get(task, sequence - 1) == sequence - 1, f"events of {task} are not in order"
            last[task] = sequence


_TASK = rows.EVENT.table.columns.index("task")
_SEQUENCE = rows.EVENT.table.columns.index("sequence")


def _summed(counts: Iterable[dict[str, list[int]]]) -> dict[str, list[int]]:
    total: dict[str, list[int]] = {}
    for one in counts:
        for tenant, numbers in one.items():
            total[tenant] = [a + b for a, b in zip(total.get(tenant, [0, 0, 0]), numbers, strict=True)]
    return total


class Sequencer:
    """Runs in the background: is the sequencer, or waits to become it."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._hinted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.owns = False
        self.pid = 0  # of its connection, while there is one
        self.trouble = ""  # why the last turn failed, unless the server could not be reached

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="sequencer")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def hint(self) -> None:
        """Look at once: something was told."""
        self._hinted.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._own_and_place()
            except StoreUnavailable:
                pass  # without a server, or if it ends the connection: try again
            except Exception as error:  # it must go on: all readers of events wait for it
                self.trouble = f"events cannot be numbered: {str(error) or type(error).__name__}"
            await asyncio.sleep(_SECONDS_BETWEEN_TRIES)

    async def _own_and_place(self) -> None:
        connection = await self._connect()
        try:
            with translated_errors():
                self.pid = connection.get_server_pid()
                await connection.execute(_PRESENT)
                while not await connection.fetchval(_OWN):  # another replica is the sequencer
                    await Execution(connection).value("end_frozen_sequencer", microseconds=_FROZEN)
                    await asyncio.sleep(_SECONDS_BETWEEN_TRIES)
            self.owns = True
            idle = _SECONDS_IDLE_MIN
            while True:
                self._hinted.clear()
                if await place_turn(connection, owns=True):
                    self.trouble, idle = "", _SECONDS_IDLE_MIN
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(idle):
                        await self._hinted.wait()
                    idle = _SECONDS_IDLE_MIN
                idle = min(2 * idle, _SECONDS_IDLE_MAX)
        finally:
            self.owns, self.pid = False, 0
            await close(connection)
