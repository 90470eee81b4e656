"""PostgreSQL store: connections, transactions, reads, the engine's start. See transaction.py for loads and saves,
locks.py for what keeps replicas apart, and sequencer.py for the numbers of events and audit records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any

import asyncpg
import msgspec

from swarmkeeper.core.ports import (
    Entropy,
    Heard,
    Looked,
    NotReadAhead,
    Read,
    ServerSeen,
    StaleVersion,
    Started,
    StoreUnavailable,
)
from swarmkeeper.storage import migration_files, rows
from swarmkeeper.storage.at_rest import guard
from swarmkeeper.storage.at_rest.bodies import ENCRYPTED as WITH_BODIES
from swarmkeeper.storage.at_rest.bodies import BodyCodec, UnknownDataKey
from swarmkeeper.storage.derived import in_postgres
from swarmkeeper.storage.pepper import NewPepper
from swarmkeeper.storage.postgres import connections, dialect, migrations
from swarmkeeper.storage.postgres.connections import translated_errors
from swarmkeeper.storage.postgres.entries_ahead import AskedHeads
from swarmkeeper.storage.postgres.execution import QUERIES, Execution, read_together
from swarmkeeper.storage.postgres.loading import load_keys, load_looked
from swarmkeeper.storage.postgres.sequencer import Sequencer, place_turn
from swarmkeeper.storage.postgres.transaction import PostgresTransaction
from swarmkeeper.storage.refusals import StoreHeld

READS: Mapping[str, dialect.Statement] = dialect.read(
    *("reads.sql", "checks.sql", "anchors.sql", "sinks.sql", "secret_reads.sql", "person_reads.sql"),
    *("erasure_reads.sql", "insight_reads.sql", "task_reads.sql", "tally_reads.sql"),
)
# Reads of what the sequencer writes: they wait for what was committed before them.
_SEQUENCED = frozenset(
    {
        *(name for name in READS if name.startswith(("events_of_", "audit_", "doctor_"))),
        *("first_event", "newest_event", "tenant_row", "tenant_shares"),
    }
)
SECONDS_TO_PLACE = 0.25  # how long such a read waits at most
_SECONDS_BETWEEN_LOOKS = 0.002
_SECONDS_FOR_QUIET = 2.0  # in which a backup looks for a moment at which the outbox is empty
_READERS_MAX = 3  # connections; with the writing one, the sequencer's and the broker's, a server has at most six
# How long the outcome of a commit is looked for whose answer was lost: a server that was killed is back after seconds.
_SECONDS_FOR_OUTCOME = 10.0
_SECONDS_BETWEEN_OUTCOMES = 0.1
_SECONDS_BEGUN = 1.0  # how long a transaction that a commit has begun counts as open: the server ends it after five

_PAUSES_FOR_ENDED = (0.05, 0.1, 0.2, 0.4)  # seconds
OUTBOX_MAX = 50_000  # rows that wait for the sequencer; with more, nothing is written until they are fewer
LOCKS_OF_SERVER = 704  # that a transaction may hold: those of 128 commands, and of 576 items to hand out
_PRESENCE_KEPT = 86_400_000_000


class PostgresStore:
    """Implements `core.ports.SharedStore`."""

    shared = True
    servers_max, not_durable = 0, ""

    def __init__(
        self,
        url: str,
        *,
        entropy: Entropy | None = None,
        new_pepper: NewPepper | None = None,
        bodies: BodyCodec | None = None,
        filling: bool = False,
    ) -> None:
        """
        Args:
            url: postgresql://user:password@host:port/database
            entropy: draws a new store's pepper; by default the server does.
            new_pepper: gives the pepper of a new store that does not keep it.
            bodies: encrypts bodies.
            filling: open it also while its rows are being copied: for the one who copies them.
        """
        self._url = url
        self._filling = filling
        self._entropy, self._new_pepper, self.bodies = entropy, new_pepper, bodies or BodyCodec()
        self._turn = asyncio.Lock()  # one transaction of this process at a time
        self._writing: asyncpg.Connection | None = None
        self._readers = asyncio.Semaphore(_READERS_MAX)
        self._idle: list[asyncpg.Connection] = []  # readers that nobody uses
        self._sequencer: Sequencer | None = None
        self._is_open = self._exclusive = False
        self._begun_at = 0.0  # when the last commit has begun the next transaction, if it has
        self.more_waits: Callable[[], bool] = lambda: False
        self._tenants: set[str] = set()  # that have a row
        self._budgeted: set[str] = set()  # tenants that have, or had, a budget
        self._asked = AskedHeads()
        self._makers: dict[tuple[str, type[Any]], Any] = {}
        self._columns: dict[str, list[str]] = {}  # by name of a read
        self._told = 0  # rows of the outbox that this process has written
        self._outbox_rows = 0  # when they were last counted
        self._keys_outdated = False  # a data key was erased that this process knows
        self._seen: tuple[int, int] | None = None  # last number of the outbox, and `_told` then

    path = None  # it has no file

    @property
    def damage(self) -> str:
        """Why events cannot be numbered, if they cannot."""
        return "" if self._sequencer is None else self._sequencer.trouble

    # ---- opening -----------------------------------------------------------------------------------------------------

    async def open(self, *, exclusive: bool = True, migrate: bool = False, create: bool = True) -> None:
        """Open the store, and create the schema if it is new.

        Args:
            exclusive: True for an orchestrator, which also numbers events; False for a tool.
            migrate: bring an older schema up to date.
            create: if False, the store must exist.

        Raises:
            StoreRefused: it cannot be used in its present state; the message says what to do.
            StoreUnavailable: the server cannot be reached.
        """
        await self._open(exclusive=exclusive, migrate=migrate, create=create, reading=False)

    async def _open(self, *, exclusive: bool, migrate: bool, create: bool, reading: bool) -> None:
        assert not self._is_open, "this store is open"
        self._exclusive = exclusive
        drawn = migration_files.drawn(self._entropy)
        how: dict[str, Any] = {"create": create, "migrate": migrate, "drawn": drawn, "filling": self._filling}
        how["new_pepper"] = self._new_pepper
        try:
            if exclusive:
                await self._check_whole()
            self._writing = await self._connect_writing()
            with translated_errors(), migrations.rights_needed():
                await migrations.apply(self._writing, migrations.known(), **how)
                await load_keys(Execution(self._writing), self.bodies, writing=not reading)
                if self.bodies.keys is not None and not reading and not self._filling:
                    await guard.begin_in_postgres(self._writing, self.bodies)
        except BaseException:
            await self._close_connections()
            raise
        self._is_open = True
        if exclusive or migrate:
            await in_postgres.finish(self._writing, lambda: self._connect(writing=False))
        if exclusive:
            ((locks, self.not_durable),) = await Execution(self._writing).fetch("locks_and_durability")
            self.servers_max = locks // LOCKS_OF_SERVER
            self._sequencer = Sequencer(self._connect_sequencer)
            self._sequencer.start()

    async def _check_whole(self) -> None:
        """Say at once that the rows are being copied: the lock that an orchestrator waits for is taken meanwhile.

        Raises:
            StoreRefused: they are.
        """
        connection = await self._connect(writing=False)
        self._idle.append(connection)  # the first reader
        with translated_errors(), migrations.rights_needed():
            await migrations.missing(connection, migrations.known(), filling=self._filling)

    async def open_to_read(self) -> None:
        """Open an existing store only for `read`.

        Raises:
            StoreRefused, StoreUnavailable: as for `open`.
        """
        await self._open(exclusive=False, migrate=False, create=False, reading=True)

    async def rebuild(self) -> None:
        """Make all counts, sums and labels anew that follow from other rows. Others may use the store meanwhile."""
        connection = await self._connect(writing=True)
        try:
            await in_postgres.begin(connection)
            await in_postgres.finish(connection, lambda: self._connect(writing=False))
        finally:
            await connections.close(connection)

    async def close(self) -> None:
        async with self._turn:
            self._is_open = False
            if self._sequencer is not None:
                await self._sequencer.stop()
            await self._close_connections()
            self._sequencer = self._seen = None

    async def _close_connections(self) -> None:
        for connection in (*self._idle, self._writing):
            await connections.close(connection)
        self._idle.clear()
        self._writing = None

    async def _connect(self, *, writing: bool) -> asyncpg.Connection:
        return await connections.connect(self._url, writing=writing, again=self._is_open)

    async def _connect_writing(self) -> asyncpg.Connection:
        connection = await self._connect(writing=True)
        if self._exclusive:
            with translated_errors():
                await Execution(connection).value("share_store")
        return connection

    async def _connect_sequencer(self) -> asyncpg.Connection:
        return await self._connect(writing=True)

    # ---- transactions ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PostgresTransaction]:
        if self._outbox_rows > OUTBOX_MAX:
            raise StoreUnavailable(f"{self._outbox_rows} transactions wait until their events are numbered")
        async with self._turn:
            connection = await self._begin()
            execution = Execution(connection)
            if self._keys_outdated:
                with translated_errors():
                    await load_keys(execution, self.bodies)
                self._keys_outdated = False
            transaction = PostgresTransaction(execution, self._tenants, self._budgeted, self.bodies, self._asked)
            try:
                yield transaction
                await self._commit(execution, transaction)
            except BaseException as error:
                self.bodies.roll_back()
                await self._roll_back(connection, error)
                raise
            self.bodies.commit()
            self._tenants |= transaction.new_tenants
        if transaction.told and self._sequencer is not None:
            self._sequencer.hint(filled=True)

    async def _begin(self) -> asyncpg.Connection:
        """Begin a transaction. A connection that was lost since the last one is opened again."""
        assert self._is_open, "this store is not open"
        if self._writing is not None and not self._writing.is_closed():
            is_young = asyncio.get_running_loop().time() - self._begun_at < _SECONDS_BEGUN
            if is_young and self._writing.is_in_transaction():
                return self._writing
            with suppress(StoreUnavailable), translated_errors():
                await self._writing.execute("BEGIN")
                return self._writing
            self._writing.terminate()
        self._writing = await self._connect_writing()
        with translated_errors():
            await self._writing.execute("BEGIN")
        return self._writing

    async def _commit(self, execution: Execution, transaction: PostgresTransaction) -> None:
        xid, erased = await transaction.write_and_tell()
        self._told += xid is not None
        if self.bodies.keys is not None and erased not in (None, self.bodies.keys.erased):
            self._keys_outdated = True
            raise StaleVersion("a data key was erased, under which this transaction may have encrypted")
        try:
            with translated_errors():
                await execution.connection.execute("COMMIT AND CHAIN" if self.more_waits() else "COMMIT")
                self._begun_at = asyncio.get_running_loop().time()
        except StoreUnavailable:
            # The answer was lost. Whether the commit was, only the server knows.
            execution.connection.terminate()
            if xid is None or not await self._has_committed(xid):
                raise

    async def _has_committed(self, xid: str) -> bool:
        """Ask the server until it knows; if it cannot be asked for long, it counts as not committed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS_FOR_OUTCOME):
                while True:
                    with suppress(StoreUnavailable):
                        outcome = await self._outcome(xid)
                        if outcome != "in progress":
                            return outcome == "committed"
                    await asyncio.sleep(_SECONDS_BETWEEN_OUTCOMES)
        return False

    async def _outcome(self, xid: str) -> str | None:
        connection = await self._connect(writing=False)
        try:
            with translated_errors():
                found: str | None = await Execution(connection).value("outcome", xid=xid)
                return found
        finally:
            await connections.close(connection)

    async def _roll_back(self, connection: asyncpg.Connection, error: BaseException) -> None:
        """Roll back; or drop the connection, if it may not answer: then the server rolls back."""
        if isinstance(error, (StoreUnavailable, asyncio.CancelledError)):
            connection.terminate()
        if connection.is_closed():
            return
        try:
            with translated_errors():
                if connection.is_in_transaction():
                    await connection.execute("ROLLBACK")
        except StoreUnavailable:
            connection.terminate()

    # ---- numbers of events -------------------------------------------------------------------------------------------

    @property
    def numbers_events(self) -> bool:
        return self._sequencer is not None and self._sequencer.owns

    def numbered_ago(self) -> float | None:
        return None if self._sequencer is None else self._sequencer.numbered_ago()

    def numbered_after(self, seq: int) -> list[rows.Row] | None:
        return self._sequencer.numbered_events.after(seq) if self.numbers_events and self._sequencer else None

    def on_numbered(self, call: Callable[[], Awaitable[None]], *, followed: Callable[[], bool]) -> None:
        assert self._sequencer is not None, "only an orchestrator's store numbers events"
        self._sequencer.on_numbered, self._sequencer.followed = call, followed

    def look_for_events(self) -> None:
        if self._sequencer is not None:
            self._sequencer.hint()

    # ---- what a store in files can lose ------------------------------------------------------------------------------

    is_lost = False

    def check_files(self) -> None:
        """Do nothing: the server has the files."""

    async def rescue(self) -> str:
        raise AssertionError("nothing is lost")

    # ---- reading -----------------------------------------------------------------------------------------------------

    def open_reader(self) -> None:
        """Return no reads for another thread: all reads of this store wait without using the event loop."""

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[asyncpg.Connection]:
        assert self._is_open, "this store is not open"
        async with self._readers:
            connection = None
            while self._idle and connection is None:
                found = self._idle.pop()
                connection = None if found.is_closed() else found
            if connection is None:
                connection = await self._connect(writing=False)
            try:
                with translated_errors():
                    yield connection
            except StoreUnavailable:
                connection.terminate()
                raise
            except asyncio.CancelledError:
                connection.terminate()  # it may be in the middle of an answer
                raise
            finally:
                if not connection.is_closed() and self._is_open:
                    self._idle.append(connection)

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        if name in _SEQUENCED:
            await self._wait_for_sequencer()
        async with self._reader() as connection:
            return await self._rows(connection, name, parameters)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[_Snapshot]:
        async with self._reader() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield _Snapshot(self, connection)

    @asynccontextmanager
    async def quiet_snapshot(self) -> AsyncIterator[tuple[_Snapshot, bool]]:
        """Begin a snapshot that may last, in which every event has its number; or any, if there is no such moment soon.

        Yields:
            The snapshot, and whether every event has its number.
        """
        last = asyncio.get_running_loop().time() + _SECONDS_FOR_QUIET
        while True:
            await self._wait_for_sequencer()
            async with self.snapshot() as begun:
                is_quiet = await Execution(begun.connection).value("newest_outbox") is None
                if is_quiet or asyncio.get_running_loop().time() > last:
                    await begun.connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                    yield begun, is_quiet
                    return
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    async def _rows(self, connection: asyncpg.Connection, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        statement = READS[name]
        arguments = [_argument(value) for value in statement.arguments(parameters)]
        seconds = connections.SECONDS_FOR_ALL_ROWS if name.startswith("doctor_") else None
        found = await connection.fetch(statement.sql, *arguments, timeout=seconds)
        if not found:
            return []
        self._columns[name] = columns = list(found[0].keys())
        return await self._made(connection, name, parameters, columns, found)

    async def _made(
        self,
        connection: asyncpg.Connection,
        name: str,
        parameters: Mapping[str, Any],
        columns: list[str],
        found: list[Any],
    ) -> list[Any]:
        """Return the rows of a read as what its callers want."""
        kind = name.row if isinstance(name, Read) else dict
        make = self._makers.get((name, kind))
        if make is None:
            make = self._makers[name, kind] = rows.maker(kind, columns)
        if name in WITH_BODIES:
            try:
                found = self.bodies.opened(name, columns, found, parameters)
            except UnknownDataKey:
                await load_keys(Execution(connection), self.bodies)
                found = self.bodies.opened(name, columns, found, parameters, again=True)
        return list(map(make, found))

    async def read_ahead(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> _Ahead | None:
        if not self._columns.keys() >= {name for name, _ in asked}:
            return None
        sql = read_together(tuple(READS[name] for name, _ in asked))
        arguments = [_argument(value) for name, given in asked for value in READS[name].arguments(given)]
        async with self._reader() as connection:
            pages = await connection.fetchrow(sql, *arguments)
            ahead = _Ahead(self)
            for (name, given), page in zip(asked, pages, strict=True):
                ahead.add(name, given, await self._made(connection, name, given, self._columns[name], page))
        return ahead

    async def _wait_for_sequencer(self) -> None:
        """Wait until everything that was committed before has its numbers, but not for long."""
        if self._sequencer is not None and self._sequencer.owns:
            with suppress(TimeoutError):
                async with asyncio.timeout(SECONDS_TO_PLACE):
                    if await self._sequencer.numbered():
                        return
        async with self._reader() as connection:
            execution = Execution(connection)
            newest = await execution.value("newest_outbox")
            if newest is None:
                return
            if self._sequencer is not None:
                self._sequencer.hint()
            # Not a timeout: it would end a transaction in the middle, and the connection is used again.
            last = asyncio.get_running_loop().time() + SECONDS_TO_PLACE
            while await execution.value("outbox_waits", id=newest) and asyncio.get_running_loop().time() < last:
                if self._sequencer is None:
                    with suppress(StoreUnavailable):  # it may be a standby, where nothing can be written
                        await place_turn(connection, owns=False)
                await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    # ---- the engine's start ------------------------------------------------------------------------------------------

    async def start(self) -> Started:
        await self._wait_for_sequencer()
        async with self._reader() as connection:
            execution = Execution(connection)
            return Started(
                alive_at=await execution.value("meta", key="alive_at") or 0,
                pepper=await execution.value("own_key", key="pepper"),
                pepper_check=await execution.value("own_key", key="pepper_check"),
                cursor_key=await execution.value("own_key", key="cursor_key"),
                numbers_until=await execution.value("meta", key="numbers_until"),
                **(await load_looked(execution))[0],
            )

    async def look(self) -> Looked:
        async with self._reader() as connection:
            looked, self._outbox_rows = await load_looked(Execution(connection))
            return Looked(**looked)

    async def forget_erased(self) -> None:
        if self.bodies.keys is not None:
            async with self._reader() as connection:
                await load_keys(Execution(connection), self.bodies)

    async def share_presence(self, heard: Sequence[Heard], *, microseconds: int) -> list[Heard]:
        async with self._reader() as connection:
            execution = Execution(connection)
            if heard:
                # In one order: so no two servers wait for each other.
                await execution.execute("tell_presence", heard=rows.to_json(sorted(heard)))
            await execution.execute("forget_presence", microseconds=_PRESENCE_KEPT)
            return [tuple(row) for row in await execution.fetch("presence_told", microseconds=microseconds)]

    async def meet(self, own: ServerSeen, *, microseconds: int) -> list[ServerSeen]:
        async with self._reader() as connection:
            execution = Execution(connection)
            await execution.execute("tell_server", **asdict(own))
            await execution.execute("forget_servers", microseconds=microseconds)
            return [ServerSeen(*row) for row in await execution.fetch("servers_told", microseconds=microseconds)]

    async def leave(self, server: str) -> None:
        async with self._reader() as connection:
            await Execution(connection).execute("forget_server", id=server)

    async def grace(self, now: int, start_floor: int, *, moved: int = 0) -> None:
        if await self._is_beside_others():
            return  # bots could reach another server
        async with self._bulk() as execution:
            if moved:
                await execution.execute("move_leases", by=moved)
            await execution.execute("grace_leases", now=now)
            await execution.execute("grace_start_items", floor=start_floor)
            await execution.execute("grace_ready", floor=start_floor)

    async def _is_beside_others(self) -> bool:
        """Return whether another server lives. The session of one that has just ended may last a moment longer."""
        for pause in _PAUSES_FOR_ENDED:
            async with self._reader() as connection:
                own = 0 if self._sequencer is None else self._sequencer.pid
                if not await Execution(connection).value("others_alive", pid=own):
                    return False
            await asyncio.sleep(pause)
        return True

    async def set_back(self, by: int, wall: int) -> None:
        await self._wait_for_sequencer()
        async with self._bulk() as execution:
            if not await execution.value("have_store_alone"):
                raise StoreHeld("an orchestrator uses this store: stop it first")
            given = {"by": by, "wall": wall}
            for name in rows.TIMES:
                names = QUERIES[f"set_back_{name}"].parameters
                await execution.execute(f"set_back_{name}", **{each: given[each] for each in names})

    @asynccontextmanager
    async def _bulk(self) -> AsyncIterator[Execution]:
        """Begin a transaction for statements that change the times of many rows."""
        async with self._turn:
            connection = await self._begin()
            execution = Execution(connection, connections.SECONDS_FOR_ALL_ROWS)
            try:
                with translated_errors():
                    await connections.allow_any_time(connection)
                    await execution.execute("forget_put_off")
                    yield execution
                    await connection.execute("COMMIT")
            except BaseException as error:
                await self._roll_back(connection, error)
                raise

    async def keep_sink(self, name: str, owner: str, seq: int, *, seconds: float) -> int | None:
        async with self._reader() as connection:
            lasts = int(seconds * 1_000_000)
            execution = Execution(connection)
            found: int | None = await execution.value("keep_sink", name=name, owner=owner, seq=seq, lasts=lasts)
            return found

    async def changed_outside(self) -> bool:
        async with self._reader() as connection:
            last = await Execution(connection).value("outbox_numbers")
        before, self._seen = self._seen, (last, self._told)
        return before is not None and last - before[0] != self._told - before[1]


class _Snapshot:
    """Implements `core.ports.Reader`."""

    def __init__(self, store: PostgresStore, connection: asyncpg.Connection) -> None:
        self._store = store
        self.connection = connection

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        return await self._store._rows(self.connection, name, parameters)


class _Ahead:
    """Implements `core.ports.Reader` with rows that were read together."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._found: dict[str, tuple[Mapping[str, Any], list[Any]]] = {}

    def add(self, name: str, parameters: Mapping[str, Any], found: list[Any]) -> None:
        self._found[name] = (parameters, found)

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        given, found = self._found.get(name, (None, []))
        if given == parameters:
            return found
        if name != "payloads":
            raise NotReadAhead(name)
        bodies = await self._store.read(name, parameters)
        if len(bodies) < len(msgspec.json.decode(parameters["ids"])):
            raise NotReadAhead(name)  # some were removed since the others were read
        return bodies


def _argument(value: Any) -> Any:
    """Return a parameter of a read. A text may be given as bytes: SQLite may hold texts that are none."""
    return value.decode() if isinstance(value, bytes) else value
