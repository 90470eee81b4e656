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
from swarmkeeper.storage.derived import saving
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
_SECONDS_IDLE_MIN, _SECONDS_IDLE_MAX = 0.025, 0.1  # without a hint: it was lost, or a tool has written rows


async def place_turn(connection: asyncpg.Connection, *, owns: bool, filled: bool = False) -> int:
    """Number the first rows of the outbox, and return how many they were.

    Args:
        owns: this connection is the sequencer's. Otherwise nothing is done while there is one.
        filled: there are some, so that it is not worth asking first.
    """
    with translated_errors():
        execution = Execution(connection)
        if not filled and await execution.value("newest_outbox") is None:
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
    leaves = [rows.AUDIT_LEAF.from_row(leaf) for one in told for leaf in one.leaves]
    tenants = sorted({leaf.tenant for leaf in leaves})
    taken = await execution.fetch("take_numbers", n=len(events), keys=rows.to_json(tenants))
    last = taken[0]["last"]
    numbered = [(number, *event) for number, event in enumerate(events, last - len(events) + 1)]
    known = [tuple(row)[1:] for row in taken if row["tenant"] is not None]
    trees = dict.fromkeys(tenants) | {row[0]: rows.AUDIT_TREE.from_row(row) for row in known}
    placed, grown = tree.place(trees, leaves)
    counts = _summed(one.counts for one in told)
    tallies = saving.writes_of(*saving.summed(part for one in told for part in one.tallies))
    alive = [one.alive_at for one in told if one.alive_at is not None]
    await execution.write(
        [
            ("place_event", numbered),
            ("insert_audit_leaf", list(map(rows.AUDIT_LEAF.to_row, placed))),
            ("put_tree", list(map(rows.AUDIT_TREE.to_row, grown.values()))),
            ("count_opened", [(*numbers, tenant) for tenant, numbers in sorted(counts.items())]),
            *(write for write in tallies if not write[0].startswith("drop_")),
            # All that was committed before `until` has its numbers; and the latest time that an engine has reached.
            ("raise_meta", [("sequenced_until", until), ("alive_at", max(alive, default=0))]),
        ]
    )
    # Apart from the others: one statement cannot add to a row and remove it.
    await execution.write([write for write in tallies if write[0].startswith("drop_")])


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
        self._filled = False  # this process has written rows since the last turn began
        self._waiting: list[asyncio.Future[bool]] = []  # for the end of a turn that has not begun
        self.on_numbered: Callable[[], Awaitable[None]] = _nobody
        self._task: asyncio.Task[None] | None = None
        self.owns = False
        self._numbered_at = 0.0  # when the last whole turn began
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

    def hint(self, *, filled: bool = False) -> None:
        """Look at once: something may have been told.

        Args:
            filled: something was, by this process.
        """
        self._filled |= filled
        self._hinted.set()

    async def numbered(self) -> bool:
        """Wait until everything that was committed before has its numbers; return False if others must be asked for it.

        It ends soon: with the next turn, or when this server is not the sequencer any more.
        """
        if not self.owns:
            return False
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._hinted.set()
        is_numbered: bool = await waiting
        return is_numbered

    def numbered_ago(self) -> float | None:
        """How many seconds ago everything that was committed before had its numbers; None if others must be asked."""
        if not self.owns or not self._numbered_at:
            return None
        return asyncio.get_running_loop().time() - self._numbered_at

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
                if await self._place_all(connection):
                    self.trouble, idle = "", _SECONDS_IDLE_MIN
                    await self.on_numbered()
                with suppress(TimeoutError):
                    async with asyncio.timeout(idle):
                        await self._hinted.wait()
                    idle = _SECONDS_IDLE_MIN
                idle = min(2 * idle, _SECONDS_IDLE_MAX)
        finally:
            self.owns, self.pid, self._numbered_at = False, 0, 0.0
            self._answer(self._waiting, is_numbered=False)
            await close(connection)

    async def _place_all(self, connection: asyncpg.Connection) -> bool:
        """Number what the outbox holds now, and answer those who wait for it; return whether it held anything."""
        self._hinted.clear()
        filled, self._filled = self._filled, False
        waiting, self._waiting = self._waiting, []
        began = asyncio.get_running_loop().time()
        is_numbered = found_any = False
        try:
            while (placed := await place_turn(connection, owns=True, filled=filled)) == ROWS_MAX:
                found_any = True
            is_numbered = True
            self._numbered_at = began
        finally:
            self._answer(waiting, is_numbered=is_numbered)
        return found_any or placed > 0

    @staticmethod
    def _answer(waiting: Iterable[asyncio.Future[bool]], *, is_numbered: bool) -> None:
        for each in waiting:
            if not each.done():  # its task may have been cancelled
                each.set_result(is_numbered)


async def _nobody() -> None:
    """Tell nobody."""
