"""The harness of the engine's tests, with a store in PostgreSQL.

The harness's loop has virtual time and no sockets. So the store runs in a loop of its own, in a thread, and each of its
methods is carried out there while the harness's loop stands still. Transactions decide at the engine's time, which the
harness sets, not at the server's.

One harness after another uses the same database, which is emptied in between, and the same sessions: a session plans
each statement once, and a new one would plan all of them again, which takes longer than most tests.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any, cast

import asyncpg

from swarmkeeper.access.retention import EVENTS_WAIT_MAX
from swarmkeeper.core.model import Limits
from swarmkeeper.core.ports import Changes, Key, Looked, Started
from swarmkeeper.offline import doctor
from swarmkeeper.offline.doctor import DoctorCheck
from swarmkeeper.offline.replay import replay
from swarmkeeper.sim.harness import Harness
from swarmkeeper.sim.kernel.loop import SECOND
from swarmkeeper.storage.at_rest.bodies import BodyCodec
from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.storage.postgres.execution import read_together
from swarmkeeper.storage.postgres.store import READS, _Snapshot
from swarmkeeper.storage.rows import TABLES
from swarmkeeper.storage.sqlite import SqliteStore
from tests.support.kept_sessions import KeptSession, real_loop
from tests.support.postgres import server


class KeptSessions(PostgresStore):
    """A store with such connections."""

    async def _connect(self, *, writing: bool) -> asyncpg.Connection:
        return await KeptSession.of(self._url, writing=writing)


class BlockingTransaction:
    """Implements `core.ports.Transaction`."""

    reads_together = True

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        async def blocking(*arguments: Any, **options: Any) -> Any:
            return real_loop().run(method(*arguments, **options))

        return blocking

    async def load(self, needs: Iterable[Key]) -> Mapping[Key, Any]:
        found: Mapping[Key, Any] = real_loop().run(self._inner.load(list(needs)))
        return found

    async def now(self, engine: int) -> int:
        return engine

    async def save(self, changes: Changes) -> None:
        real_loop().run(self._inner.save(changes))


class Rows(list[tuple[Any, ...]]):
    """What a statement found, as apsw's cursors say it."""

    def __init__(self, found: Sequence[Any]) -> None:
        super().__init__(tuple(row) for row in found)
        self._names = [(name,) for name in (found[0].keys() if found else ())]

    @property
    def get(self) -> Any:
        if not self:
            return None
        return self[0][0] if len(self[0]) == 1 else self[0]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self

    def get_description(self) -> list[tuple[str]]:
        return self._names


def numbered(sql: str) -> str:
    """Write `$1`, `$2`, … for each `?`."""
    numbers = itertools.count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql)


class Reading:
    """Runs statements with `?` for each parameter, past the store."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Rows:
        return Rows(real_loop().run(self._execute(sql, parameters)))

    async def _execute(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        await self._store._wait_for_sequencer()
        async with self._store._reader() as connection:
            found: list[Any] = await connection.fetch(numbered(sql), *parameters)
            return found


class BlockingStore:
    """Implements `core.ports.Store`."""

    shared = False  # here one engine has it

    def __init__(self, url: str) -> None:
        self._inner = KeptSessions(url)
        self.connection = Reading(self._inner)

    @property
    def bodies(self) -> BodyCodec:
        return self._inner.bodies

    def wrong_kept(self) -> list[str]:
        return []

    async def open(self) -> None:
        real_loop().run(self._inner.open())

    async def close(self) -> None:
        real_loop().run(self._inner.close())

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[BlockingTransaction]:
        begun = self._inner.begin()
        transaction = real_loop().run(cast("Any", begun).__aenter__())
        try:
            yield BlockingTransaction(transaction)
        except BaseException as error:
            real_loop().run(cast("Any", begun).__aexit__(type(error), error, error.__traceback__))
            raise
        real_loop().run(cast("Any", begun).__aexit__(None, None, None))

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        found: list[Any] = real_loop().run(self._inner.read(name, parameters))
        return found

    async def look(self) -> Looked:
        looked: Looked = real_loop().run(self._inner.look())
        return looked

    async def start(self) -> Started:
        started: Started = real_loop().run(self._inner.start())
        return started

    async def grace(self, now: int, start_floor: int, *, moved: int = 0) -> None:
        real_loop().run(self._inner.grace(now, start_floor, moved=moved))

    async def set_back(self, by: int, wall: int) -> None:
        real_loop().run(self._inner.set_back(by, wall))

    async def changed_outside(self) -> bool:
        return False

    async def rebuild(self) -> None:
        real_loop().run(self._inner.rebuild())

    def broken(self) -> list[str]:
        """Return what `swarmkeeper doctor --deep` finds."""
        found: list[str] = real_loop().run(self._broken())
        return found

    async def _broken(self) -> list[str]:
        connection = await self._inner._connect(writing=False)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
                seen = _Snapshot(self._inner, connection)
                return [
                    *[
                        f"invariant {check.invariant}: {check.says}: broken by {row['subject']}"
                        for check in await _at_once(connection)
                        for row in await seen.read(check.read, _WORDS)
                    ],
                    *[f"the audit log says otherwise: {row}" for row in (await replay(seen)).mismatches],
                ]
        finally:
            await connection.close()

    def change(self, sql: str) -> None:
        """Change rows past the store, after what it has told has its numbers."""
        real_loop().run(self._change(sql))

    async def _change(self, sql: str) -> None:
        await self._inner._wait_for_sequencer()
        connection = await self._inner._connect(writing=True)
        await connection.execute(sql)
        await connection.close()


_WORDS = {**doctor.WORDS, "latest": 1 << 62}


async def _at_once(connection: asyncpg.Connection) -> list[DoctorCheck]:
    """Run the statements of all checks as one, and return the checks that find something."""
    statements = [READS[check.read] for check in doctor.CHECKS]
    arguments = [value for statement in statements for value in statement.arguments(_WORDS)]
    pages = await connection.fetchrow(read_together(tuple(statements)), *arguments)
    return [check for check, page in zip(doctor.CHECKS, pages, strict=True) if page]


class PostgresHarness(Harness):
    """The same harness; its checks are those of `swarmkeeper doctor --deep`."""

    def _new_store(self) -> SqliteStore:
        return cast("SqliteStore", BlockingStore(self._url))

    def advance(self, seconds: float) -> None:
        """Let this much time pass. If it is long, what was committed before has its numbers then.

        The store runs in real time, of which next to none passes. But what is erased must have its numbers, and the
        product relies on time for that: it erases nothing if an event has waited for longer than `EVENTS_WAIT_MAX`.
        """
        if seconds * SECOND > EVENTS_WAIT_MAX:
            self.wait_for_numbers()
        super().advance(seconds)

    def dump(self) -> str:
        found = [(name, self.store.connection.execute(f"SELECT * FROM {name}").fetchall()) for name in sorted(TABLES)]
        return hashlib.sha256(repr([(name, sorted(map(repr, rows))) for name, rows in found]).encode()).hexdigest()

    def wait_for_numbers(self) -> None:
        """Wait until all events have numbers. A read waits for this too, but not as long as a busy machine may take."""
        for _ in range(240):  # each waits up to a quarter of a second
            if not self.store.connection.execute("SELECT count(*) FROM outbox").get:
                return

    def check(self, *, faults: int = 0) -> None:
        self.wait_for_numbers()
        found = cast("BlockingStore", self.store).broken()
        if self.engine.stats.faults != faults:
            found.append(f"the engine has no faults: {[entry for entry in self.log if entry[0] == 'fault']}")
        found += [f"no exception is lost: {trouble}" for trouble in self.loop.troubles]
        assert not found, "\n".join(found)


_free: list[str] = []  # stores that no harness uses now


async def _empty(url: str) -> bool:
    connection = await KeptSession.of(url, writing=False)
    try:
        return await server().empty(cast("asyncpg.Connection", connection))
    finally:
        await connection.close()


def harness(limits: Limits | None = None) -> Iterator[PostgresHarness]:
    """Yield a harness, and check the store at the end. Whatever the check finds, the store is closed."""
    url = _free.pop() if _free else server().own_store()
    if not real_loop().run(_empty(url)):
        server().drop(url)
        url = server().own_store()
    made = PostgresHarness(seed=1, url=url, limits=limits)
    try:
        with closing(made):
            yield made
            made.check()
    finally:
        _free.append(url)
