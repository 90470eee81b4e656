"""SQLite store, in a file for one orchestrator or in memory: opening, transactions, reads. See transaction.py for loads
and saves.

Loads and saves take microseconds and run in the engine's thread. Only the commit of a file waits for the disk, so it
runs in a thread of its own, once per batch. With `inline=True` it runs in the caller's thread, so that a simulation has
no other thread.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

from swarmkeeper import files
from swarmkeeper.core.ports import Entropy, Looked, Started, StoreDamaged, StoreLost, StoreUnavailable
from swarmkeeper.storage import rows
from swarmkeeper.storage.at_rest import guard
from swarmkeeper.storage.at_rest.bodies import BodyCodec
from swarmkeeper.storage.derived import in_sqlite
from swarmkeeper.storage.pepper import NewPepper
from swarmkeeper.storage.refusals import StoreRefused
from swarmkeeper.storage.sqlite import copies, kept_rows, migrations, reading, rescue
from swarmkeeper.storage.sqlite.committer import Committer
from swarmkeeper.storage.sqlite.kept_rows import KeptRows
from swarmkeeper.storage.sqlite.loading import QUERIES, load_afresh, load_keys
from swarmkeeper.storage.sqlite.lock import FileLock, Identity, Users, identity_of
from swarmkeeper.storage.sqlite.reading import RowMakers, Snapshot, SqliteReads, named_rows
from swarmkeeper.storage.sqlite.transaction import SqliteTransaction
from swarmkeeper.storage.sqlite.watch import Watch

# Temporary errors: the disk is full or slow, or another process holds the write lock.
_TEMPORARY = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.ProtocolError,
    apsw.NoMemError,
)
_KEPT = ("alive_at", "pepper", "pepper_check", "cursor_key", "numbers_until")  # in `meta`, for the start
# Another process holds the write lock for the milliseconds of a small transaction (`key create`). After about a second
# in total, the store is reported as unavailable.
_PAUSES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.3)
_BUSY_MILLISECONDS = 10_000  # how long a command-line tool waits for a running server's transaction
_CACHE_KIBIBYTES = 49_152  # with 1,000,000 works waiting, a claim misses no more pages than with more memory
_READING_CACHE_KIBIBYTES = 4_096  # every commit of the writing connection empties this cache
_WAL_BYTES_MAX = 64 * 1024 * 1024


MEMORY = ":memory:"


def path_of(url: str) -> str:
    """Return the path in a store's URL: sqlite:///relative.db, sqlite:////absolute.db, sqlite://:memory:, or a path.

    Raises:
        StoreRefused: it is not the URL of a SQLite store.
    """
    if url.startswith("sqlite://"):
        rest = url.removeprefix("sqlite://")
        if rest == MEMORY:
            return MEMORY
        if len(rest) > 1 and rest.startswith("/"):
            return rest[1:]
        raise StoreRefused("a SQLite store is sqlite:///relative.db, sqlite:////absolute.db or sqlite://:memory:")
    if "://" in url or not url or url.lower().startswith(("sqlite:", "postgres:", "postgresql:")):
        raise StoreRefused("this is not the address of a store: it begins with sqlite:// or postgresql://")
    return url


class SqliteStore:
    """Implements `core.ports.Store`.

    Tests pass `crash`, which is called with "before_commit" and "after_commit", to end the process there.
    """

    shared = False

    def __init__(
        self,
        url: str,
        *,
        inline: bool = False,
        entropy: Entropy | None = None,  # draws a new store's pepper; by default SQLite does
        new_pepper: NewPepper | None = None,  # gives the pepper of a new store that does not keep it
        bodies: BodyCodec | None = None,  # encrypts bodies
        crash: Callable[[str], None] | None = None,
        vfs: str | None = None,  # SQLite's file layer; a simulation injects disk errors there
        keep_bytes: int = kept_rows.BYTES_MAX,  # rows kept in memory between transactions
        may_be_moved: bool = False,  # open it also if its rows were moved to another store
    ) -> None:
        where = path_of(url)
        self.path = None if where == MEMORY else Path(where)
        self._entropy, self._new_pepper, self.bodies = entropy, new_pepper, bodies or BodyCodec()
        self._crash = crash
        self._vfs = vfs
        self._may_be_moved = may_be_moved
        self._threaded = self.path is not None and not inline
        self._turn = asyncio.Lock()  # one transaction at a time
        self._owner: asyncio.Task[Any] | None = None  # the task that runs the open transaction
        self._lock: FileLock | None = None
        self._file: Identity | None = None  # counted in Users
        self._watch: Watch | None = None  # only for the orchestrator
        self._writing: apsw.Connection | None = None
        self._reading: apsw.Connection | None = None
        self._committer: Committer | None = None
        self._busy = 0
        self._data_version = 0
        self._was_full = False  # the last write failed on the disk
        self.damage = ""  # SQLite's message about a damaged part of the file
        self._row_makers: RowMakers = {}  # row conversions, see named_rows
        self._kept = KeptRows(keep_bytes)
        self._kept_as_of: tuple[int, int, int] | None = None  # see _state

    # ---- opening ---------------------------------------------------------------------------------------------------

    async def open(self, *, exclusive: bool = True, migrate: bool = False, create: bool = True) -> None:
        """Open the store, and create the schema if it is new.

        Args:
            exclusive: True for the orchestrator; False for a tool that runs beside it.
            migrate: bring an older schema up to date, after copying the file.
            create: if False, the store must exist.

        Raises:
            StoreRefused: it cannot be used in its present state; the message says what to do.
            StoreUnavailable: another process keeps it locked, or the disk fails.
        """
        await self._open(exclusive=exclusive, migrate=migrate, create=create, moved=self._may_be_moved)

    async def _open(self, *, exclusive: bool, migrate: bool, create: bool, moved: bool, writing: bool = True) -> None:
        assert self._writing is None, "this store is open"
        self._busy = 0 if exclusive else _BUSY_MILLISECONDS
        async with self._opening():
            if self.path is not None:
                self._prepare_file(self.path, exclusive=exclusive or migrate, create=create)
            self._writing = self.connect(writing=True)
            self._prepare_schema(self._writing, migrate=migrate, create=create)
            if not moved:
                copies.refuse_moved(self._writing)
            load_keys(self._writing.execute, self.bodies, writing=writing)
            if writing:
                guard.begin_in_sqlite(self._writing, self.bodies, alone=exclusive)
            if exclusive or migrate:
                in_sqlite.finish(self._writing)
            self._writing.set_busy_timeout(self._busy)
            if self.path is None:
                self._reading = self._writing
            else:
                self._reading = self.connect(writing=False)
                self._guard(self.path, exclusive=exclusive)
            self._data_version = self._pragma("data_version")
        if self._threaded:
            self._committer = Committer()

    async def open_to_read(self) -> None:
        """Open an existing store only for `read`. This also works where nothing can be written.

        Raises:
            StoreRefused, StoreUnavailable: as for `open`.
        """
        assert self._writing is self._reading is None, "this store is open"
        if self.path is None or (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)):
            await self._open(exclusive=False, migrate=False, create=False, moved=True, writing=False)
            return
        async with self._opening():
            self._check_path(self.path, create=False)
            self._enter(self.path)
            self._reading = reading.connect(self.path)
            self._prepare_schema(self._reading, migrate=False, create=False)
            load_keys(self._reading.execute, self.bodies)

    @asynccontextmanager
    async def _opening(self) -> AsyncIterator[None]:
        """Close the store if opening it fails, and translate SQLite's errors."""
        try:
            yield
        except apsw.NotADBError:
            await self.close()
            raise StoreRefused(f"{self.path} is not a SQLite database: choose another path") from None
        except _TEMPORARY as error:
            await self.close()
            raise StoreUnavailable(f"the store cannot be opened now: {error}") from error
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
        """Release the file. All connections are closed already."""
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
            raise StoreRefused(f"the folder {path.parent} does not exist: create it first")
        if path.is_dir():
            raise StoreRefused(f"{path} is a folder: name a file")

    def _prepare_file(self, path: Path, *, exclusive: bool, create: bool) -> None:
        self._check_path(path, create=create)
        try:
            # The file holds key digests, so only its owner may read it. SQLite gives its other files the same mode.
            # An existing file is not opened here, because closing its descriptor could drop locks: see lock.py.
            with suppress(FileExistsError):
                files.create(path.resolve())
            if not os.access(path, os.R_OK | os.W_OK):
                raise PermissionError
            self._enter(path)
            if exclusive:
                self._lock = FileLock(path.resolve())
                self._lock.take()
        except PermissionError:
            raise StoreRefused(f"this user may not write {path}") from None
        except OSError as error:
            raise StoreUnavailable(f"{path} cannot be written now: {error.strerror}") from error

    def _enter(self, path: Path) -> None:
        if path.stat().st_nlink > 1:
            raise StoreRefused(
                f"{path} has a second name (a hard link), and its write-ahead log belongs to only one of them: "
                "remove the other name, or make a copy"
            )
        self._file = identity_of(path)
        Users.enter(self._file)

    def _guard(self, path: Path, *, exclusive: bool) -> None:
        """Start watching the files."""
        if self._lock is None:
            return
        if not exclusive:
            self._lock.release()  # it was only needed for the migration
            return
        assert self._lock.descriptor is not None, "the lock is held"
        self._watch = Watch(path, self._lock.descriptor)
        self._watch.check()

    @property
    def is_lost(self) -> bool:
        """Whether the files were removed or replaced since they were opened; checks them now."""
        try:
            self.check_files()
        except StoreLost:
            return True
        return False

    def check_files(self) -> None:
        """Check that the files are those that were opened. Takes microseconds; each transaction does it, too.

        Raises:
            StoreLost: they are not; this is final for this process.
        """
        if self._watch is not None:
            self._watch.check()

    async def rescue(self) -> str:
        """After StoreLost, save the acknowledged data that only this process still has, and return what was done.

        The connections are set up so that closing them does not touch the files that have the names now.
        """
        assert self._watch is not None, "nothing is lost"
        async with self._turn:
            rescue.leave_names_alone(self._reading, self._writing)
            return rescue.save(self._watch, self._open_reading())

    def _open_reading(self) -> apsw.Connection:
        assert self._reading is not None, "this store is not open"
        return self._reading

    def connect(self, *, writing: bool) -> apsw.Connection:
        where, flags = MEMORY, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        if self.path is not None:
            # Not CREATE: the file exists already, and if it was removed meanwhile, that is an error, not a new store.
            where, flags = str(self.path), apsw.SQLITE_OPEN_READWRITE
        connection = apsw.Connection(where, flags, self._vfs, statementcachesize=256)
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        # Plans do not depend on the values of parameters; otherwise SQLite prepares some statements anew at each use.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        if writing:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_MAX}")
            if not self._lock:
                connection.wal_autocheckpoint(0)  # a tool leaves checkpoints to the server
        else:
            connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES if writing else _READING_CACHE_KIBIBYTES}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA trusted_schema = OFF")
        return connection

    def _prepare_schema(self, connection: apsw.Connection, *, migrate: bool, create: bool) -> None:
        drawn: dict[str, Any] = {"entropy": self._entropy, "new_pepper": self._new_pepper}
        migrations.prepare(connection, self.path, migrate=migrate, create=create, **drawn)

    @property
    def connection(self) -> apsw.Connection:
        """The writing connection, for simulations and benchmarks that inspect the store."""
        return self._open_writing()

    @property
    def reading(self) -> apsw.Connection:
        """The connection for reads, for tools that go over what is stored."""
        return self._open_reading()

    # ---- transactions ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SqliteTransaction]:
        async with self._turn:
            self.check_files()
            connection = self._open_writing()
            if self._was_full:
                await self._make_room(connection)
            with self.translated_errors():
                await self._begin_immediate(connection)
                # While this transaction has the write lock, no other connection can change it.
                version = connection.execute("PRAGMA data_version").get
            changed = (id(connection), connection.total_changes(), version) != self._kept_as_of
            if changed:
                self._forget_kept()
            transaction = SqliteTransaction(connection, self._kept, self.bodies)
            self._owner = asyncio.current_task()
            committed = False
            try:
                with self.translated_errors():
                    if changed and self.bodies.keys is None:
                        self._refuse_plain(connection)
                    yield transaction
                    self._crash_point("before_commit")
                    await self._commit(connection)
                committed = True
                self.bodies.commit()
                self._kept.trim()
                self._kept.lease_timers.commit()
                self._kept_as_of = id(connection), connection.total_changes(), version
                self._crash_point("after_commit")
                self.check_files()  # a commit into files that lost their names is not acknowledged
            except StoreUnavailable as error:
                self._was_full = isinstance(error.__cause__, (apsw.FullError, apsw.IOError))
                raise
            finally:
                transaction.end()
                self._owner = None
                if not committed:
                    self.bodies.roll_back()
                    self._forget_kept()  # the engine may have changed these records
                    self._kept.lease_timers.roll_back()
                self._roll_back(connection)

    @staticmethod
    def _refuse_plain(connection: apsw.Connection) -> None:
        """See at_rest/guard.py."""
        if connection.execute(QUERIES["any_data_key"]).get:
            raise StoreUnavailable(guard.MESSAGE)

    @staticmethod
    def _state(connection: apsw.Connection) -> tuple[int, int, int]:
        """Return what changes with each write that is not in a transaction of this store: statements on the writing
        connection, and commits of other connections."""
        return id(connection), connection.total_changes(), connection.execute("PRAGMA data_version").get

    def _forget_kept(self) -> None:
        self._kept.clear()
        self._kept.lease_timers.outdated = True

    def wrong_kept(self, most: int | None = None) -> list[str]:
        """Compare the rows in memory with the file, between transactions; return what differs.

        Args:
            most: compare only so many rows, the next ones at each call; None: all. Timers are compared at each.
        """
        connection = self._open_writing()
        if self._state(connection) != self._kept_as_of:
            return []  # the file was changed outside of transactions: the next transaction forgets the kept rows
        kept = self._kept.next_items(most)
        loaded = load_afresh(connection, kept, self.bodies) if kept else {}
        return self._kept.lease_timers.wrong(connection.execute(QUERIES["lease_times"])) + [
            f"the row kept for {key} is not the one in the file: {row} != {loaded[key]}"
            for key, row in kept.items()
            if loaded[key] != row
        ]

    async def _begin_immediate(self, connection: apsw.Connection) -> None:
        for pause in _PAUSES:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except apsw.BusyError:
                await asyncio.sleep(pause)
        raise StoreUnavailable("another process keeps the store locked")

    async def _make_room(self, connection: apsw.Connection) -> None:
        """Checkpoint the write-ahead log. SQLite does it only after commits, so a disk filled by the log would stay
        full forever."""
        self._was_full = False
        self._owner = asyncio.current_task()  # so that reads use the other connection
        try:
            await self._execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
        except _TEMPORARY:
            pass  # no room for that either: the transaction fails, and the next one tries this again
        finally:
            self._owner = None

    async def _commit(self, connection: apsw.Connection) -> None:
        await self._execute(connection, "COMMIT")

    async def _execute(self, connection: apsw.Connection, statement: str) -> None:
        """Run a statement that waits for the disk, in the committer's thread if there is one."""
        if self._committer is None:
            connection.execute(statement)
        else:
            await self._committer.run(connection.execute, statement)

    def _roll_back(self, connection: apsw.Connection) -> None:
        """Roll back an open transaction. If that fails, drop the connection, so that it is opened again."""
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
            with self.translated_errors():
                self._writing = self.connect(writing=True)
                self._writing.set_busy_timeout(self._busy)
        return self._writing

    def _crash_point(self, name: str) -> None:
        if self._crash is not None:
            self._crash(name)

    # ---- reading ---------------------------------------------------------------------------------------------------

    def open_reader(self) -> SqliteReads | None:
        """Return reads for another thread, on their own connection; None in memory and with `inline`."""
        return SqliteReads(self) if self._threaded else None

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        if self.path is not None:
            self.check_files()
            # With no transaction open, read on the writing connection: its cache holds what was just written, while
            # every commit empties the other connection's cache.
            idle = self._writing if self._owner is None else None
            return self._rows(idle or self._reading, name, parameters)
        # In memory there is one connection, so a read waits for the end of an open transaction to see committed data.
        assert self._owner is None or self._owner is not asyncio.current_task(), "within a transaction, use load"
        async with self._turn:
            return self._rows(self._reading, name, parameters)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        if self.path is None:
            async with self._turn:
                yield Snapshot(self._reading, self._rows)
            return
        self.check_files()
        idle = self._writing if self._owner is None else None
        with self.one_moment(idle or self._reading) as connection:
            yield Snapshot(connection, self._rows)

    @contextmanager
    def one_moment(self, connection: apsw.Connection | None) -> Iterator[apsw.Connection]:
        """Open a read transaction. Its reads never yield to the event loop, so nobody else can use the connection or
        begin a transaction on it."""
        assert connection is not None, "this store is not open"
        assert connection.get_autocommit(), "a snapshot may await only its own reads"
        with self.translated_errors():
            connection.execute("BEGIN")
        try:
            yield connection
        finally:
            if not connection.get_autocommit():  # after a disk error SQLite has ended it already
                connection.execute("COMMIT")

    def _rows(self, connection: apsw.Connection | None, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        assert connection is not None, "this store is not open"
        with self.translated_errors():
            return named_rows(connection, self._row_makers, name, parameters, self.bodies)

    # ---- the engine's start ------------------------------------------------------------------------------------------

    async def start(self) -> Started:
        async with self._turn:
            execute = self._open_reading().execute  # what the last run has left; also where nothing can be written
            with self.translated_errors():
                kept = {key: execute(QUERIES["meta"], {"key": key}).get for key in _KEPT}
                return Started(**{**kept, "alive_at": kept["alive_at"] or 0}, **self._looked(execute))

    async def look(self) -> Looked:
        async with self._turn:
            execute = self._open_writing().execute
            with self.translated_errors():
                return Looked(**self._looked(execute))

    @staticmethod
    def _looked(execute: Callable[..., apsw.Cursor]) -> dict[str, Any]:
        return {
            "queues": tuple(map(rows.QUEUE.from_row, execute(QUERIES["all_queues"]))),
            "waiting": tuple(queue for (queue,) in execute(QUERIES["queues_waiting"])),
            "next_due": execute(QUERIES["next_due"]).get,
            "jobs": bool(execute(QUERIES["any_chore"]).get),
            "cooling": tuple(name for (name,) in execute(QUERIES["all_cooldowns"])),
        }

    async def grace(self, now: int, start_floor: int, *, moved: int = 0) -> None:
        async with self.begin():
            self._forget_kept()
            execute = self._open_writing().execute
            if moved:
                execute(QUERIES["move_leases"], {"by": moved})
            execute(QUERIES["grace_leases"], {"now": now})
            execute(QUERIES["grace_start_items"], {"floor": start_floor})
            execute(QUERIES["grace_ready"], {"floor": start_floor})

    async def set_back(self, by: int, wall: int) -> None:
        async with self.begin():
            self._forget_kept()
            execute = self._open_writing().execute
            for name in rows.TIMES:
                execute(QUERIES[f"set_back_{name}"], {"by": by, "wall": wall})

    async def keep_sink(self, name: str, owner: str, seq: int, *, seconds: float) -> int | None:
        async with self.begin():
            given = {"name": name, "owner": owner, "seq": seq, "lasts": int(seconds * 1_000_000)}
            found: int | None = self._open_writing().execute(QUERIES["keep_sink"], given).get
        return found

    async def rebuild(self) -> None:
        """Make counts, sums, labels and words anew: they follow from other rows. Others may use the store meanwhile."""
        async with self._turn:
            with self.translated_errors():
                in_sqlite.begin(self._open_writing())
                in_sqlite.finish(self._open_writing())
            self._forget_kept()

    async def changed_outside(self) -> bool:
        if self.path is None:
            return False
        async with self._turn:
            self.check_files()
            # data_version of the writing connection does not count its own commits.
            self._open_writing()
            with self.translated_errors():
                before, self._data_version = self._data_version, self._pragma("data_version")
            return before != self._data_version

    def _pragma(self, name: str) -> int:
        assert self._writing is not None, "this store is not open"
        value = self._writing.pragma(name)
        assert isinstance(value, int), "the value is an integer"
        return value

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Translate SQLite's errors: temporary ones to StoreUnavailable (nothing was done, the caller may retry), and
        damage to StoreDamaged, which is recorded in `damage`."""
        try:
            yield
        except _TEMPORARY as error:
            raise StoreUnavailable(f"the store cannot be used now: {error}") from error
        except (apsw.CorruptError, apsw.NotADBError) as error:
            self.damage = str(error)
            raise StoreDamaged(f"the store is damaged: {error}") from error
