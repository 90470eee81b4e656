"""The real SQLite store, with commits that take time, fail, or end their process.

After each commit the observer receives what was written, before any other code can read it. A store in memory outlives
its process, as a file does: the next process gets what was committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import apsw

from swarmkeeper.core.ports import Changes, StaleVersion, StoreUnavailable
from swarmkeeper.sim.kernel.faults import Faults
from swarmkeeper.sim.kernel.named_choice import NamedChoice, NamedEntropy
from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.storage.sqlite.reading import Snapshot
from swarmkeeper.storage.sqlite.transaction import SqliteTransaction

COMMIT_MIN, COMMIT_MAX = 0.0002, 0.004  # seconds
# Rows in memory that are compared with the stored ones, and after how many transactions: many at once cost little.
KEPT_CHECKED, KEPT_EVERY = 32, 4
SWEEP = 5.0  # seconds between the engine's signs of life: the base of a disk stall's length

Committed = Callable[[Sequence[Changes]], None]


class _Transaction:
    """A transaction that remembers what it saved."""

    def __init__(self, transaction: SqliteTransaction, saved: list[Changes], before: Callable[[Changes], None]) -> None:
        self._transaction, self._saved, self._before = transaction, saved, before
        self.load, self.levels, self.queue_entries = transaction.load, transaction.levels, transaction.queue_entries
        self.due, self.job_tenants, self.next_jobs = transaction.due, transaction.job_tenants, transaction.next_jobs
        self.purge, self.now, self.leases_held = transaction.purge, transaction.now, transaction.leases_held
        self.queue_heads, self.reads_together = transaction.queue_heads, transaction.reads_together

    async def save(self, changes: Changes) -> None:
        self._before(changes)
        await self._transaction.save(changes)
        self._saved.append(changes)


class FaultyStore(SqliteStore):
    """Implements `core.ports.Store`."""

    def __init__(
        self,
        url: str,
        *,
        choice: NamedChoice,
        faults: Faults,
        entropy: NamedEntropy,
        committed: Committed,
        wrong: Callable[[str], None],
        describe: Callable[[Sequence[Changes]], str],
        die: Callable[[str], None],
        image: bytes | None = None,
        run: int = 0,
    ) -> None:
        super().__init__(url, inline=True, entropy=entropy)
        self._choice, self._faults, self._run = choice, faults, run
        self._committed, self._describe, self._die = committed, describe, die
        self._wrong = wrong  # gets each row in memory that differs from the stored one
        self._image = image
        self._saved: list[Changes] = []
        self._commits = 0
        self._until_checked = KEPT_EVERY  # transactions
        self._dropped = False

    # ---- its process comes and goes --------------------------------------------------------------------------------

    def connect(self, *, writing: bool) -> apsw.Connection:
        connection = super().connect(writing=writing)
        if self.path is None and self._image is not None:
            connection.deserialize("main", self._image)
        return connection

    def drop(self) -> bytes | None:
        """Close everything at once, as a dying process does. Return the committed image of a store in memory."""
        self._dropped = True
        image = None
        for connection in dict.fromkeys((self._reading, self._writing)):  # a store in memory has only one
            if connection is None:
                continue
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if self.path is None:
                image = connection.serialize("main")
            connection.close(True)
        self._reading = self._writing = None
        self._let_go()
        return image

    # ---- transactions ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        async with super().begin() as transaction:
            self._saved = []
            yield _Transaction(transaction, self._saved, self._before_save)
        self._until_checked = self._until_checked - 1 or KEPT_EVERY
        for found in self.wrong_kept(KEPT_CHECKED if self._until_checked == KEPT_EVERY else 0):
            self._wrong(found)

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Keep transactions out while the block runs."""
        async with self._turn:
            yield

    def _before_save(self, changes: Changes) -> None:
        if self._faults.strike("store.stale", f"save:{self._describe([changes])}"):
            raise StaleVersion("a record is not at the version before")

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        # A store in memory has one connection, whose reads wait for an open transaction. Here both kinds wait, so that
        # runs on a file and in memory are equal.
        if self.path is None:
            return await super().read(name, parameters)
        async with self._turn:
            return self._rows(self._reading, name, parameters)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Any]:
        if self.path is None:
            async with super().snapshot() as seen:
                yield seen
            return
        async with self._turn:
            with self.one_moment(self._reading) as connection:
                yield Snapshot(connection, self._rows)

    async def _begin_immediate(self, connection: apsw.Connection) -> None:
        if fault := self._faults.strike("store.busy", "store:begin"):
            await asyncio.sleep(fault.amount(1))
            raise StoreUnavailable("another process keeps the store locked")
        await super()._begin_immediate(connection)

    async def _commit(self, connection: apsw.Connection) -> None:
        what = self._describe(self._saved)
        self._commits += 1
        place = f"commit:{what}"
        took = self._choice.spread(COMMIT_MIN, COMMIT_MAX, "commit", self._run, self._commits)
        if fault := self._faults.strike("store.stall", place):
            took += fault.amount(SWEEP)
        await asyncio.sleep(took)
        if self._faults.strike("store.full", place):
            raise apsw.FullError("the disk is full")
        if self._faults.strike("store.io_error", place):
            raise apsw.IOError("the disk does not answer")
        if self._faults.strike("store.crash_before", place):
            await self._dies("before a commit")
        await super()._commit(connection)
        self._committed(self._saved)
        if self._faults.strike("store.crash_after", place):
            await self._dies("after a commit")

    def _roll_back(self, connection: apsw.Connection) -> None:
        if not self._dropped:  # else a dead process is being cleaned up after the run
            super()._roll_back(connection)

    async def _dies(self, when: str) -> None:
        """End the process here: this call never returns."""
        self._die(when)
        await asyncio.get_running_loop().create_future()
