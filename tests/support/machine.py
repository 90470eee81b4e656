"""A machine that can die: the harness on its own simulated disk. A commit can kill it or cut its power; it then
restarts with the surviving files. Callers retry until they get an answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import apsw

from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Limits
from swarmkeeper.sim.harness import Harness
from swarmkeeper.sim.kernel.loop import Deadlock
from swarmkeeper.storage.at_rest.bodies import BodyCodec
from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.storage.sqlite.transaction import SqliteTransaction
from tests.support.disk import Disk, DiskOperation, Left

_T = TypeVar("_T")

PATIENCE = 500  # maximum number of retries
PAUSE = 0.25  # seconds between retries; the engine waits a fifth of a second after a failure of the store
NAME = "store.db"

Rows = dict[str, frozenset[str]]  # by table


class When(StrEnum):
    """When a machine dies, seen from one commit."""

    BEFORE = "before"  # process killed after the decision, before the commit
    AFTER = "after"  # process killed after the commit, before the answer
    WITHIN = "within"  # power cut at a write or sync of the commit
    CUT = "cut"  # power cut after the commit, before the answer


class Asked(NamedTuple):
    """A commit that a caller waits for: the number of the call, and of its commits, counted over its retries."""

    call: int
    commit: int


@dataclass(frozen=True, slots=True)
class Death:
    commit: int | Asked  # a number: counted from 1, over all lives
    when: When
    seed: int = 0
    left: Left = Left.ANY


class Lost(AssertionError):
    """The store after a death differs from what was committed."""


def rows_of(connection: apsw.Connection) -> Rows:
    """Return all stored rows by table. Those of the index of words are written only by the commit: doctor checks it."""
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        " AND name NOT LIKE 'task_words%' ORDER BY name"
    ).fetchall()
    return {str(name): frozenset(map(repr, connection.execute(f"SELECT * FROM {name}"))) for (name,) in tables}


def difference(found: Rows, expected: Rows) -> str:
    """Describe lost and unexpected rows."""
    lines = []
    for table in sorted({*found, *expected}):
        is_, was = found.get(table, frozenset()), expected.get(table, frozenset())
        lines += [f"lost from {table}: {row[:200]}" for row in sorted(was - is_)[:3]]
        lines += [f"not there before, in {table}: {row[:200]}" for row in sorted(is_ - was)[:3]]
    return "\n".join(lines)


class Store(SqliteStore):
    """Reports every commit to its machine, which may die at it."""

    def __init__(self, machine: Machine) -> None:
        vfs = machine.disk.vfs
        super().__init__(
            str(machine.disk.folder / NAME),
            inline=True,
            entropy=machine.chance.stream("store"),
            bodies=machine.new_bodies(),
            vfs=vfs,
        )
        self._machine = machine
        self._dead = False

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SqliteTransaction]:
        async with super().begin() as transaction:
            self._machine.turn.begin()
            yield transaction

    async def _commit(self, connection: apsw.Connection) -> None:
        machine = self._machine
        machine.commit += 1
        death = machine.death_now()
        before = coming = Rows()
        if death is not None:
            before, coming = rows_of(self.reader), rows_of(connection)
            if death.when is When.BEFORE:
                await machine.die(Left.ALL, before)
            if death.when is When.WITHIN:
                machine.strike_within(death)
        version = self.reader.pragma("data_version")
        try:
            await super()._commit(connection)
        except apsw.Error:
            if death is not None and machine.struck:
                await machine.die(death.left, before, coming, seed=death.seed)
            machine.turn.failed()
            # SQLite reports success if the commit is done but the checkpoint of the log fails. But apsw re-raises an
            # exception of Python code below it. So compare versions to see whether it has committed.
            if self.reader.pragma("data_version") == version:
                machine.commit -= 1
                raise
        machine.turn.passed()
        machine.committed()
        if death is not None:
            left = Left.ALL if death.when is When.AFTER else death.left
            await machine.die(left, coming, seed=death.seed)

    def _roll_back(self, connection: apsw.Connection) -> None:
        if not self._dead:  # else a dead process is being cleaned up
            super()._roll_back(connection)

    @property
    def reader(self) -> apsw.Connection:
        assert self._reading is not None, "this store is open"
        return self._reading

    def drop(self) -> None:
        """Close everything, as when the process dies."""
        self._dead = True
        for connection in (self._reading, self._writing):
            if connection is not None:
                connection.close(True)
        self._reading = self._writing = None
        self._let_go()


class Turn:
    """Decides which writes and syncs of a commit fail. Here: none; see `EachInTurn`."""

    asked = False  # whether a caller waits for an answer

    def begin(self) -> None:
        """A transaction begins."""

    def passed(self) -> None:
        """The transaction is committed."""

    def failed(self) -> None:
        """The commit failed."""


class EachInTurn(Turn):
    """Fails the first act of a commit, on a retry the second, and so on, until the commit succeeds."""

    def __init__(self, error: type[apsw.Error], *, first: int = 1, every: int = 1) -> None:
        """Args: the first try fails at act `first`, counted from 1; each retry fails `every` acts later."""
        self._error, self._first, self._every = error, first, every
        # Failed tries of the current call, and of the engine's own commits between two tries of it.
        self._tries = {True: 0, False: 0}
        self._seen = 0
        self._on = False
        self.struck: dict[DiskOperation, int] = dict.fromkeys(DiskOperation, 0)

    def begin(self) -> None:
        self._seen, self._on = 0, True

    def passed(self) -> None:
        self._tries[self.asked], self._on = 0, False

    def failed(self) -> None:
        self._tries[self.asked] += 1
        self._on = False

    def breaks(self, kind: DiskOperation, file: str) -> type[apsw.Error] | None:
        if not self._on:
            return None
        self._seen += 1
        if self._seen != self._tries[self.asked] * self._every + self._first:
            return None
        self.struck[kind] += 1
        return self._error


class Machine(Harness):
    """An orchestrator that restarts on a new disk after each death, with the files that survived."""

    def __init__(
        self,
        folder: Path,
        *,
        deaths: Sequence[Death] = (),
        turn: Turn | None = None,
        remembers: bool = False,
        prepare: Callable[[apsw.Connection], None] = lambda connection: None,
        limits: Limits | None = None,
        seed: int = 1,
        bodies: Callable[[], BodyCodec] = BodyCodec,
    ) -> None:
        """
        Args:
            remembers: keep the rows after each commit.
            prepare: may misconfigure the writing connection.
            bodies: makes what encrypts bodies, for each start.
        """
        self.new_bodies = bodies
        self._folder = folder
        self._disks = 1
        self.disk = Disk(folder / "1")
        self.turn, self.remembers = turn or Turn(), remembers
        self._deaths = {death.commit: death for death in deaths}
        self._prepare = prepare
        self.commit = 0  # number of commits, including the current one
        self.asks = 0
        self.died: list[int] = []  # number of the call during each death; 0: no call waited
        self.refusals: Counter[str] = Counter()  # retryable refusals, by code
        self.struck = False
        self._booting = False
        self.states: list[tuple[int, Rows]] = []  # for each commit: number of the disk's acts, stored rows
        self.asked_at: list[Asked | None] = []  # for each commit: the call that waited for it
        self._asked = Asked(0, 0)  # the last commit that a caller waited for
        self.made_at = 0  # number of acts to create the store
        self._left: tuple[Left, int, tuple[Rows, ...]] | None = None
        self._noted: dict[str, tuple[str, tuple[str, ...]]] = {}
        super().__init__(seed, url=str(folder), limits=limits)

    # ---- its life --------------------------------------------------------------------------------------------------

    def _new_store(self) -> SqliteStore:
        return Store(self)

    def _boot(self) -> None:
        self.made_at = self.made_at or len(self.disk.acts)
        self._prepare(self.store.connection)
        if isinstance(self.turn, EachInTurn):
            self.disk.breaks = self.turn.breaks
        self._booting = True
        try:
            super()._boot()
        finally:
            self._booting = False

    def committed(self) -> None:
        self.asked_at.append(self._asked if self.turn.asked else None)
        if self.remembers:
            assert isinstance(self.store, Store)
            self.states.append((len(self.disk.acts), rows_of(self.store.reader)))

    def death_now(self) -> Death | None:
        if self.turn.asked:
            self._asked = Asked(self.asks, self._asked.commit + 1 if self._asked.call == self.asks else 1)
            if (death := self._deaths.pop(self._asked, None)) is not None:
                return death
        return self._deaths.pop(self.commit, None)

    def strike_within(self, death: Death) -> None:
        """Cut the power at one of the next acts, drawn from the seed."""
        place = self.chance.stream(f"within/{death.commit}/{death.seed}").below(24)
        self.struck = False

        def breaks(kind: DiskOperation, file: str) -> type[apsw.Error] | None:
            nonlocal place
            place -= 1
            # A commit with fewer acts is struck at its sync.
            self.struck = self.struck or place < 0 or kind is DiskOperation.SYNC
            return apsw.IOError if self.struck else None

        self.disk.breaks = breaks

    async def die(self, left: Left, *expected: Rows, seed: int = 0) -> None:
        """End the machine: this call never returns."""
        self.died.append(self.asks if self.turn.asked else 0)
        self.host.die()
        self._left = (left, seed, expected)
        await asyncio.get_running_loop().create_future()

    @property
    def dead(self) -> bool:
        return self._left is not None

    def revive(self) -> None:
        """Restart it until it stays alive.

        Raises:
            Lost: the store differs from what was committed.
        """
        while self._left is not None:
            self._switch_on(*self._left)

    def _switch_on(self, left: Left, seed: int, expected: tuple[Rows, ...]) -> None:
        found = self.disk.survivors(left, seed)
        assert isinstance(self.store, Store)
        # Close only now, after reading the files: SQLite cleans up when it closes, and a dying process does not.
        self.disk.breaks = lambda kind, file: None
        self.store.drop()
        self.disk.gone()
        self._disks += 1
        self.disk = Disk(self._folder / str(self._disks), found)
        self.store = self._new_store()
        self._left = None
        self.run(self.store.open())
        self._missed()
        _look(self.store.connection, expected, f"the machine died at commit {self.commit} ({left})")
        self.commits = []
        try:
            self._boot()
        except Deadlock:
            if not self.dead:
                raise

    def run(self, work: Any) -> Any:
        task = asyncio.ensure_future(work, loop=self.loop)
        try:
            return super().run(task)
        except Deadlock:
            self.loop.bury([task])
            raise

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        if self.dead and not self._booting:
            self.revive()

    def close(self) -> None:
        super().close()
        self.disk.gone()

    # ---- acknowledged facts ----------------------------------------------------------------------------------------

    def noted(self, what: str, sql: str, *parameters: str) -> None:
        """A caller got this answer: from now on the statement must find a row after each restart."""
        self._noted[what] = sql, parameters

    def forget(self, what: str) -> None:
        """Stop checking a fact that is about to be undone."""
        del self._noted[what]

    def _missed(self) -> None:
        lost = [what for what, (sql, asked) in self._noted.items() if not self.rows(sql, *asked)]
        if lost:
            raise Lost(f"after commit {self.commit} these acknowledged facts are lost: {', '.join(lost)}")

    # ---- calls -----------------------------------------------------------------------------------------------------

    def insist(self, ask: Callable[[], _T]) -> _T:
        """Call until there is an answer that is not a retryable refusal."""
        self.asks += 1
        for _ in range(PATIENCE):
            self.turn.asked = True
            try:
                return ask()
            except Deadlock:
                if not self.dead:
                    raise
                self.turn.asked = False
                self.revive()
            except SwarmkeeperError as error:
                if not error.retryable:
                    raise
                self.refusals[error.code] += 1
                self.turn.asked = False
                self.advance(PAUSE)
            finally:
                self.turn.asked = False
        raise AssertionError("the call was never answered")

    def until(self, true: Callable[[], bool], *, seconds: float = 3600, step: float = 5) -> None:
        """Let time pass until the condition is true."""
        end = self.now + round(seconds * 1_000_000)
        while not true():
            assert self.now < end, "the condition never became true"
            self.advance(step)


def _look(connection: apsw.Connection, expected: tuple[Rows, ...], why: str) -> None:
    """Check a store.

    Raises:
        Lost: it is damaged, or has none of the expected states.
    """
    sound = connection.pragma("integrity_check")
    if sound != "ok":
        raise Lost(f"{why}: the file is damaged: {sound}")
    found = rows_of(connection)
    if found not in expected:
        raise Lost(f"{why}:\n{difference(found, expected[0])}")


def found_after(folder: Path, files: Mapping[str, bytes], expected: tuple[Rows, ...], why: str) -> None:
    """Open a store after a power cut, as an orchestrator does, and check its content.

    Raises:
        Lost: the store is damaged, or differs from all expected states.
    """
    disk = Disk(folder, files)
    store = SqliteStore(str(folder / NAME), inline=True, vfs=disk.vfs)
    asyncio.run(store.open())
    try:
        _look(store.connection, expected, why)
    finally:
        asyncio.run(store.close())
        disk.gone()
