"""The store on SQLite: one file for one orchestrator, or memory. Opening, transactions, reads; see unit.py for what
happens inside a transaction.

Loads and saves take microseconds and run where the engine runs. Only the commit of a file waits for the disk, so it
alone goes to a thread of its own, one hop for each batch; `inline=True` keeps even that in place, so that a simulation
has no thread at all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from swarmkeeper import files
from swarmkeeper.core.ports import Entropy, Read, Started, StoreDamaged, StoreLost, StoreUnavailable
from swarmkeeper.storage.refusals import StoreRefused
from swarmkeeper.storage.sqlite import migrations, reading, rescue, rows
from swarmkeeper.storage.sqlite.committer import Committer
from swarmkeeper.storage.sqlite.lock import FileLock, Identity, Users, identity_of
from swarmkeeper.storage.sqlite.statements import read
from swarmkeeper.storage.sqlite.transaction import QUERIES, SqliteTransaction
from swarmkeeper.storage.sqlite.watch import Watch

READS: Mapping[str, str] = {**read("reads.sql", rows.TABLES), **read("checks.sql", rows.TABLES)}

# Trouble that passes: the disk is full or slow to answer, another process has the write lock.
_PASSING = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.ProtocolError,
    apsw.NoMemError,
)
# Another process holds the write lock for the milliseconds of one small transaction (`key create`). After a second in
# all, callers are told to come back.
_PAUSES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.3)
_BUSY_MILLISECONDS = 10_000  # how long a command-line tool waits for a running server's batch
_CACHE_KIBIBYTES = 65_536
_READING_CACHE_KIBIBYTES = 4_096  # it reads while the other commits, and every commit empties it
_WAL_BYTES_MAX = 64 * 1024 * 1024

MEMORY = ":memory:"


def path_of(url: str) -> str:
    """The path in a store's URL: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://:memory:`, or a path.

    Raises:
        StoreRefused: it is the URL of something else.
    """
    if url.startswith("sqlite://"):
        rest = url.removeprefix("sqlite://")
        if rest == MEMORY:
            return MEMORY
        if len(rest) > 1 and rest.startswith("/"):
            return rest[1:]
        raise StoreRefused("a SQLite store is sqlite:///relative.db, sqlite:////absolute.db or sqlite://:memory:")
    if "://" in url or not url:
        raise StoreRefused("this is not the address of a SQLite store: it begins with sqlite://")
    return url


Makers = dict[tuple[str, type[Any]], Callable[[rows.Row], Any]]


def _rows(connection: apsw.Connection, contributors: Makers, name: str, parameters: Mapping[str, Any]) -> list[Any]:
    """Args: `contributors` is of each query that had an answer."""
    kind = name.row if isinstance(name, Read) else dict
    cursor = connection.execute(READS[name], parameters)
    make = contributors.get((name, kind))
    if make is not None:
        return list(map(make, cursor))
    first = cursor.fetchone()
    if first is None:
        return []
    make = contributors[name, kind] = rows.maker(kind, [column[0] for column in cursor.get_description()])
    return list(map(make, (first, *cursor)))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Fulfils `core.ports.Reader`."""

    connection: apsw.Connection | None
    rows: Callable[[apsw.Connection | None, str, Mapping[str, Any]], list[Any]]

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        return self.rows(self.connection, name, parameters)


class SqliteReads:
    """Reads what is committed, for one thread: each read begins afresh, and sees all that was answered before.

    Fulfils `core.ports.ReadsOnly`.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._connection: apsw.Connection | None = None
        self._makers: Makers = {}

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        """As `SqliteStore.read`, at once."""
        return self._rows(self._opened(), name, parameters)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """As `SqliteStore.snapshot`, at once."""
        with self._store.one_moment(self._opened()) as connection:
            yield Snapshot(connection, self._rows)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _opened(self) -> apsw.Connection:
        self._store.look()
        if self._connection is None:
            with self._store.passing():
                self._connection = self._store.connect(writing=False)
        return self._connection

    def _rows(self, connection: apsw.Connection | None, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        assert connection is not None, "it was opened"
        with self._store.passing():
            return _rows(connection, self._makers, name, parameters)


class SqliteStore:
    """Fulfils `core.ports.Store`.

    `crash` is called with "before_commit" and "after_commit"; tests end the process there.
    """

    def __init__(
        self,
        url: str,
        *,
        inline: bool = False,
        entropy: Entropy | None = None,  # makes a new store's pepper; without it SQLite's own generator does
        crash: Callable[[str], None] | None = None,
        vfs: str | None = None,  # what is between SQLite and its files; a simulation makes disks fail there
    ) -> None:
        where = path_of(url)
        self.path = None if where == MEMORY else Path(where)
        self._entropy = entropy
        self._crash = crash
        self._vfs = vfs
        self._threaded = self.path is not None and not inline
        self._turn = asyncio.Lock()  # one unit at a time
        self._owner: asyncio.Task[Any] | None = None  # whose unit it is
        self._lock: FileLock | None = None
        self._file: Identity | None = None  # counted among its users
        self._watch: Watch | None = None  # of the files of the one orchestrator
        self._writing: apsw.Connection | None = None
        self._reading: apsw.Connection | None = None
        self._committer: Committer | None = None
        self._busy = 0
        self._data_version = 0
        self._was_full = False  # the last write failed on the disk
        self.damage = ""  # what SQLite said when it met a part of the file that is not as it was written
        self._makers: Makers = {}  # of each query that had an answer

    # ---- opening ---------------------------------------------------------------------------------------------------

    async def open(self, *, exclusive: bool = True, migrate: bool = False, create: bool = True) -> None:
        """Open it, and make its schema where it is new.

        `exclusive` is for the one orchestrator; a tool beside it passes False. `migrate` brings an older schema up to
        date, after a copy beside the file. Without `create` there must be a store already.

        Raises:
            StoreRefused: it cannot be used as it is; the message says what helps.
            StoreUnavailable: another process keeps it locked.
        """
        assert self._writing is None, "this store is open"
        self._busy = 0 if exclusive else _BUSY_MILLISECONDS
        try:
            if self.path is not None:
                self._prepare_file(self.path, exclusive=exclusive or migrate, create=create)
            self._writing = self.connect(writing=True)
            self._prepare_schema(self._writing, migrate=migrate, create=create)
            self._writing.set_busy_timeout(self._busy)
            if self.path is None:
                self._reading = self._writing
            else:
                self._reading = self.connect(writing=False)
                self._guard(self.path, exclusive=exclusive)
            self._data_version = self._pragma("data_version")
        except apsw.NotADBError:
            await self.close()
            raise StoreRefused(f"{self.path} is not a SQLite database: choose another path") from None
        except _PASSING as error:
            await self.close()
            raise StoreUnavailable(f"the store cannot be opened now: {error}") from error
        except BaseException:
            await self.close()
            raise
        if self._threaded:
            self._committer = Committer()

    async def open_to_read(self) -> None:
        """Open a store that is there for `read` alone; nothing is written, also where nothing can be.

        Raises:
            StoreRefused, StoreUnavailable: as `open`.
        """
        assert self._writing is self._reading is None, "this store is open"
        if self.path is None or (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)):
            await self.open(exclusive=False, create=False)
            return
        try:
            self._check_path(self.path, create=False)
            self._enter(self.path)
            self._reading = reading.connect(self.path)
            self._prepare_schema(self._reading, migrate=False, create=False)
        except apsw.NotADBError:
            await self.close()
            raise StoreRefused(f"{self.path} is not a SQLite database: choose another path") from None
        except _PASSING as error:
            await self.close()
            raise StoreUnavailable(f"the store cannot be read now: {error}") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        async with self._turn:
            if self._committer is not None:
                self._committer.close()
            for connection in (self._reading, self._writing):
                if connection is not None:
                    connection.close()
            self._committer = self._reading = self._writing = None
            self._let_go()

    def _let_go(self) -> None:
        """Let others open the file. No connection is open any more."""
        descriptor = None
        if self._lock is not None:
            self._lock.release()
            descriptor = self._lock.descriptor
        if self._file is not None:
            Users.leave(self._file, descriptor)
        self._lock = self._file = self._watch = None

    def _check_path(self, path: Path, *, create: bool) -> None:
        if not path.exists() and not create:
            raise StoreRefused(f"there is no store at {path}")
        if not create and path.is_file() and not path.stat().st_size:
            raise StoreRefused(f"there is no swarmkeeper store in {path}: the file is empty")
        if not path.parent.is_dir():
            raise StoreRefused(f"there is no folder {path.parent} to keep a store in: make it first")
        if path.is_dir():
            raise StoreRefused(f"{path} is a folder: name a file")

    def _prepare_file(self, path: Path, *, exclusive: bool, create: bool) -> None:
        self._check_path(path, create=create)
        try:
            # It holds the digests of keys: its owner alone may read it. SQLite gives its other files the same mode.
            # Only where it is missing: see lock.py for what closing a descriptor does to others.
            with suppress(FileExistsError):
                files.create(path.resolve())
            if not os.access(path, os.R_OK | os.W_OK):
                raise PermissionError
            self._enter(path)
            if exclusive:
                self._lock = FileLock(path.resolve())
                self._lock.take()
        except PermissionError:
            raise StoreRefused(f"{path} may not be written by this user") from None
        except OSError as error:
            raise StoreUnavailable(f"{path} cannot be written now: {error.strerror}") from error

    def _enter(self, path: Path) -> None:
        if path.stat().st_nlink > 1:
            raise StoreRefused(
                f"{path} has a second name (a hard link), and its write-ahead log belongs to one of them alone: "
                "remove the other name, or make a copy of it"
            )
        self._file = identity_of(path)
        Users.enter(self._file)

    def _guard(self, path: Path, *, exclusive: bool) -> None:
        """From here on, the files are to be these."""
        if self._lock is None:
            return
        if not exclusive:
            self._lock.release()  # it was taken for the migration alone
            return
        assert self._lock.descriptor is not None, "it holds the lock"
        self._watch = Watch(path, self._lock.descriptor)
        self._watch.look()

    @property
    def is_lost(self) -> bool:
        """Whether the files are no longer those that were opened, looked at now."""
        try:
            self.look()
        except StoreLost:
            return True
        return False

    def look(self) -> None:
        """Whether the files are those that were opened. It costs microseconds, and is done with each transaction too.

        Raises:
            StoreLost: they are not, and never will be again for this process.
        """
        if self._watch is not None:
            self._watch.look()

    async def rescue(self) -> str:
        """After StoreLost: keep what was acknowledged, as far as this process alone still has it; says what was done.

        Connections are closed here such that files of others, which have the names now, stay as they are.
        """
        assert self._watch is not None, "nothing is lost"
        async with self._turn:
            rescue.leave_names_alone(self._reading, self._writing)
            return rescue.keep(self._watch, self._open_reading())

    def _open_reading(self) -> apsw.Connection:
        assert self._reading is not None, "this store is not open"
        return self._reading

    def connect(self, *, writing: bool) -> apsw.Connection:
        where, flags = MEMORY, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        if self.path is not None:
            # The file is there by now. Not CREATE: one that was taken away under us is trouble, not a new store.
            where, flags = str(self.path), apsw.SQLITE_OPEN_READWRITE
        connection = apsw.Connection(where, flags, self._vfs, statementcachesize=256)
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        if writing:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_MAX}")
            if not self._lock:
                connection.wal_autocheckpoint(0)  # a tool beside a server leaves that to the server
        else:
            connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES if writing else _READING_CACHE_KIBIBYTES}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA trusted_schema = OFF")
        return connection

    def _prepare_schema(self, connection: apsw.Connection, *, migrate: bool, create: bool) -> None:
        known = migrations.known()
        lacking = migrations.missing(connection, known)
        if not lacking:
            return
        if not migrations.is_empty(connection):
            if not migrate:
                migrations.refuse_older(lacking)
            if self.path is not None:
                migrations.copy_beside(connection, self.path, lacking[0])
        elif not create:
            raise StoreRefused(f"there is no swarmkeeper store in {self.path}: the database is empty")
        migrations.apply(connection, known, None if self._entropy is None else self._entropy.secret(32))

    @property
    def connection(self) -> apsw.Connection:
        """The one that writes: for a simulation to look at what is there, and to count what reaches the store."""
        return self._open_writing()

    # ---- transactions ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SqliteTransaction]:
        async with self._turn:
            self.look()
            connection = self._open_writing()
            if self._was_full:
                await self._make_room(connection)
            with self.passing():
                await self._begin_immediate(connection)
            transaction = SqliteTransaction(connection)
            self._owner = asyncio.current_task()
            try:
                with self.passing():
                    yield transaction
                    self._point("before_commit")
                    await self._commit(connection)
                self._point("after_commit")
                self.look()  # what was written into files that nobody will open again is not acknowledged
            except StoreUnavailable as error:
                self._was_full = isinstance(error.__cause__, (apsw.FullError, apsw.IOError))
                raise
            finally:
                transaction.end()
                self._owner = None
                self._roll_back(connection)

    async def _begin_immediate(self, connection: apsw.Connection) -> None:
        for pause in _PAUSES:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except apsw.BusyError:
                await asyncio.sleep(pause)
        raise StoreUnavailable("another process keeps the store locked")

    async def _make_room(self, connection: apsw.Connection) -> None:
        """Carry the write-ahead log over into the database. SQLite does that after commits alone: a disk that the log
        has filled would stay full for ever."""
        self._was_full = False
        self._owner = asyncio.current_task()  # reads use the other connection meanwhile
        try:
            await self._aside(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
        except _PASSING:
            pass  # there is no room for that either: the batch will tell, and this is tried again before the next
        finally:
            self._owner = None

    async def _commit(self, connection: apsw.Connection) -> None:
        await self._aside(connection, "COMMIT")

    async def _aside(self, connection: apsw.Connection, statement: str) -> None:
        """Carry out what waits for the disk, where it does not hold up the loop."""
        if self._committer is None:
            connection.execute(statement)
        else:
            await self._committer.run(connection.execute, statement)

    def _roll_back(self, connection: apsw.Connection) -> None:
        """End what was not committed. A connection that cannot even do that is replaced."""
        if not connection.in_transaction:
            return
        try:
            connection.execute("ROLLBACK")
        except apsw.Error:
            if self.path is None:
                raise
            connection.close()
            self._writing = None

    def _open_writing(self) -> apsw.Connection:
        if self._writing is None:
            assert self._reading is not None, "this store is not open"
            with self.passing():
                self._writing = self.connect(writing=True)
                self._writing.set_busy_timeout(self._busy)
        return self._writing

    def _point(self, name: str) -> None:
        if self._crash is not None:
            self._crash(name)

    # ---- reading ---------------------------------------------------------------------------------------------------

    def beside(self) -> SqliteReads | None:
        """Reads for another thread, on a connection of their own; None where there is but one, or no thread."""
        return SqliteReads(self) if self._threaded else None

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        if self.path is not None:
            self.look()
            # Where no unit is open, the connection that writes reads as well: it has at hand what it has just written,
            # while every commit makes the other one forget all pages that it knew.
            idle = self._writing if self._owner is None else None
            return self._rows(idle or self._reading, name, parameters)
        # In memory there is one connection, so a read waits until an open unit has ended: it sees what is committed.
        assert self._owner is None or self._owner is not asyncio.current_task(), "a read within a unit: load instead"
        async with self._turn:
            return self._rows(self._reading, name, parameters)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        if self.path is None:
            async with self._turn:
                yield Snapshot(self._reading, self._rows)
            return
        self.look()
        idle = self._writing if self._owner is None else None
        with self.one_moment(idle or self._reading) as connection:
            yield Snapshot(connection, self._rows)

    @contextmanager
    def one_moment(self, connection: apsw.Connection | None) -> Iterator[apsw.Connection]:
        """A transaction that only reads. None of its reads gives way to the loop, so that nobody else can use the
        connection meanwhile, nor begin a unit on it."""
        assert connection is not None, "this store is not open"
        assert connection.get_autocommit(), "within a snapshot only its own reads are awaited"
        with self.passing():
            connection.execute("BEGIN")
        try:
            yield connection
        finally:
            if not connection.get_autocommit():  # SQLite ends it by itself where a read met an unreadable disk
                connection.execute("COMMIT")

    def _rows(self, connection: apsw.Connection | None, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        assert connection is not None, "this store is not open"
        with self.passing():
            return _rows(connection, self._makers, name, parameters)

    # ---- the engine's start ------------------------------------------------------------------------------------------

    async def start(self) -> Started:
        async with self._turn:
            execute = self._open_writing().execute
            with self.passing():
                alive_at = execute(QUERIES["meta"], {"key": "alive_at"}).get
                return Started(
                    alive_at=alive_at or 0,
                    queues=tuple(map(rows.QUEUE.from_row, execute(QUERIES["all_queues"]))),
                    next_due=execute(QUERIES["next_due"]).get,
                    held=dict(execute(QUERIES["held"]).fetchall()),  # type: ignore[arg-type]  # pairs, as the statement says
                    pepper=execute(QUERIES["meta"], {"key": "pepper"}).get,
                    bots=tuple(map(rows.BOT.from_row, execute(QUERIES["all_bots"]))),
                    jobs=bool(execute(QUERIES["any_chore"]).get),
                )

    async def grace(self, now: int, start_floor: int, *, moved: int = 0) -> None:
        async with self.begin():
            execute = self._open_writing().execute
            if moved:
                execute(QUERIES["move_lease_timers"], {"by": moved, "kinds": rows.to_json(["lease", "ends"])})
                execute(QUERIES["move_leases"], {"by": moved})
            execute(QUERIES["grace_lease_timers"], {"now": now, "kinds": rows.to_json(["lease", "ends"])})
            execute(QUERIES["grace_leases"], {"now": now})
            execute(QUERIES["grace_start_items"], {"kind": "start", "floor": start_floor})
            execute(QUERIES["grace_start_timers"], {"kind": "start", "floor": start_floor})

    async def set_back(self, by: int, wall: int) -> None:
        async with self.begin():
            execute = self._open_writing().execute
            for name in ("tasks", "task_times", "works", "work_times", "ready", "leases", "timers", "approvals"):
                execute(QUERIES[f"set_back_{name}"], {"by": by, "wall": wall})
            for name in ("bots", "feedback", "answers", "idempotency", "alive"):
                execute(QUERIES[f"set_back_{name}"], {"by": by, "wall": wall})

    async def changed_outside(self) -> bool:
        if self.path is None:
            return False
        async with self._turn:
            self.look()
            # Of the connection that writes: its own commits do not count there.
            self._open_writing()
            with self.passing():
                before, self._data_version = self._data_version, self._pragma("data_version")
            return before != self._data_version

    def _pragma(self, name: str) -> int:
        assert self._writing is not None, "this store is not open"
        value = self._writing.pragma(name)
        assert isinstance(value, int), "a number"
        return value

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Tell trouble that passes (nothing was done, the caller may come back) from damage, which is remembered."""
        try:
            yield
        except _PASSING as error:
            raise StoreUnavailable(f"the store cannot take this now: {error}") from error
        except (apsw.CorruptError, apsw.NotADBError) as error:
            self.damage = str(error)
            raise StoreDamaged(f"the store is damaged: {error}") from error
