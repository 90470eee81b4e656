"""Edits a store as somebody with access to its file would, and looks for the traces. For tests in tests/govern."""

from __future__ import annotations

import asyncio
import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import apsw
import asyncpg
import pytest

from swarmkeeper.access.retention import Retention, RetentionPeriods
from swarmkeeper.cli.admin.move import move
from swarmkeeper.core import commands
from swarmkeeper.core.erasure.commands import EraseTenant
from swarmkeeper.core.kills.commands import PlaceKill
from swarmkeeper.core.kills.records import KillKind
from swarmkeeper.core.model import Principal
from swarmkeeper.core.operations.commands import ForgetOperation, NoteItems, StartOperation, TakeOperation
from swarmkeeper.core.persons.commands import CreatePerson, DisablePerson
from swarmkeeper.core.ports import Reader
from swarmkeeper.govern.audit import KeptRoot
from swarmkeeper.offline import doctor
from swarmkeeper.settings import Settings
from swarmkeeper.sim.harness import ADMIN, OPERATOR
from swarmkeeper.sim.kernel.loop import SECOND
from swarmkeeper.storage.at_rest.bodies import BodyCodec
from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.storage.postgres.store import _Snapshot
from swarmkeeper.storage.sqlite.loading import load_keys
from swarmkeeper.storage.sqlite.reading import RowMakers, Snapshot, named_rows
from tests.support.kept_sessions import real_loop
from tests.support.machine import Machine
from tests.support.postgres_harness import numbered
from tests.support.reference_story import LIMITS, ReferenceStory

NEIGHBOUR = Principal("neighbour", "key_neighbour", "admin")
LEAVER = Principal("leaver", "key_leaver", "admin")
T = TypeVar("T")
LONG = 3_600 * SECOND


def live(folder: Path, bodies: Callable[[], BodyCodec] = BodyCodec) -> Path:
    """Run a store with two tenants through everything that leaves evidence, also through erasure and retention.

    Args:
        bodies: makes what encrypts bodies.
    """
    machine = Machine(folder, limits=LIMITS, bodies=bodies)
    gone = [machine.submit(["a", {"key": "b", "depends_on": ["a"]}], evaluation="none") for _ in range(6)]
    for task in gone:
        machine.drive(task)
    for weight in range(60):  # enough old records for retention to begin
        machine.do(commands.SetTenant(by=ADMIN, weight=1 + weight % 3))
    _sleep(machine, 2 * LONG)
    _retain(machine, RetentionPeriods(tasks=LONG, audit=LONG))
    machine.until(lambda: not machine.rows("SELECT 1 FROM chore"))
    _sleep(machine, 2 * LONG)
    _retain(machine, RetentionPeriods(audit=LONG))
    ReferenceStory(machine).play()
    machine.do(commands.CreateKey(by=NEIGHBOUR, role="admin", public_id="of_admin", digest=b"3" * 32))
    person = machine.do(CreatePerson(by=NEIGHBOUR, name="ann"))
    machine.do(DisablePerson(by=NEIGHBOUR, person=machine.do(CreatePerson(by=NEIGHBOUR, name="gone"))))
    for role in ("client", "bot:executor"):
        of = person if role == "client" else None
        key = commands.CreateKey(by=NEIGHBOUR, role=role, public_id=f"of_{role[:7]}", digest=b"3" * 32, person=of)
        machine.do(key)
    theirs = machine.a_submission(["x", {"key": "y", "depends_on": ["x"]}], title="theirs")
    other = machine.do(replace(theirs, by=NEIGHBOUR))
    machine.do(commands.SetTenant(by=NEIGHBOUR, weight=2))
    machine.do(commands.PlaceLegalHold(by=replace(OPERATOR, tenant="neighbour"), task=other, reason="case 12"))
    machine.do(PlaceKill(by=NEIGHBOUR, kind=KillKind.BOT, name="their-bot", reason="it deletes files"))
    machine.do(commands.NoteRefusals(by=NEIGHBOUR, code="permission_denied", action="task.cancel", count=7))
    _deal_with_many(machine)
    _erase_one_of_two(machine)
    _leave_work_open(machine)
    if machine.store.bodies.keys is not None:
        _erase_by_key(machine)
    machine.close()
    return machine.disk.folder / "store.db"


def _deal_with_many(machine: Machine) -> None:
    """Begin three operations on tasks: one is in progress, one has ended, one was forgotten after its end."""
    for is_over in (False, True, True):
        tasks = ("tsk_1", "tsk_2", "tsk_3", "tsk_4")
        start = StartOperation(by=ADMIN, action="cancel", tasks=tasks, caller="{}", args="{}", seal=_seal)
        operation = machine.do(start)
        one: dict[str, Any] = {"by": commands.ENGINE, "operation": operation, "owner": "a", "until": 1, "seal": _seal}
        assert machine.do(TakeOperation(**one)) is not None
        first = ((0, "done", None, None), (2, "refused", "not_found", "no such task"))
        assert machine.do(NoteItems(**one, items=first, is_last=False))
        if is_over:
            rest = ((1, "done", None, None), (3, "done", None, None))
            assert machine.do(NoteItems(**one, items=rest, is_last=True))
    machine.advance(1)
    machine.do(ForgetOperation(by=replace(commands.ENGINE, tenant="default"), operation=operation, before=1 << 62))


def _seal(text: str) -> bytes:
    return hmac.digest(b"a pepper", text.encode(), "sha256")


def _erase_by_key(machine: Machine) -> None:
    """Erase a tenant by destroying its data keys, and let the rows of its tasks leave."""
    machine.do(commands.CreateKey(by=LEAVER, role="admin", public_id="of_leaver", digest=b"4" * 32))
    task = machine.do(replace(machine.a_submission(["x"], title="leaving"), by=LEAVER))
    machine.do(commands.Cancel(by=LEAVER, task=task))
    by = replace(LEAVER, key_id="key_other")
    machine.do(PlaceKill(by=by, kind=KillKind.TENANT, name="leaver", reason="closed"))
    machine.advance(10)
    machine.do(EraseTenant(by=LEAVER, tenant="leaver", reason="closed", until=machine.engine.now()))
    machine.advance(1)
    machine.run(_retention(machine, RetentionPeriods()).look_for_erasures())
    machine.until(lambda: not machine.rows("SELECT 1 FROM chore"))


def _erase_one_of_two(machine: Machine) -> None:
    """Erase a task that was leased together with another, in one claim."""
    machine.do(commands.SetTenant(by=ADMIN, budget={"tokens": 1_000_000}))
    worker = machine.bot("pair", "Executor", owner="pair", capacity=2)
    tasks = [machine.submit(["a"], evaluation="none") for _ in range(2)]
    for lease in machine.leases(worker, 2):
        machine.report(lease, output={"of": "a pair"}, usage={"tokens": 10})
    machine.advance(10)
    done = [task for task in tasks if machine.task(task).outcome is not None]
    by = replace(commands.ENGINE, tenant="default")
    machine.do(commands.EraseTask(by=by, task=done[0], after=0, until=machine.engine.now()))
    machine.until(lambda: not machine.rows("SELECT 1 FROM chore"))


def _leave_work_open(machine: Machine) -> None:
    """Leave a lease, a queue, a timer, a limit and a cooldown behind."""
    worker = machine.bot("busy", "Executor", owner="busy", capacity=4)
    one = {"concurrency": [{"key": "repo", "max": 1}]}
    machine.submit([{"key": "a", **one}, {"key": "b", **one}], priority=9)
    machine.take(worker)
    machine.submit(["a"], priority=9)
    limited = machine.take(worker)
    machine.report(limited, error="rate_limited", message="slowly", retry_after_seconds=3_600, scope="provider")


def _sleep(machine: Machine, microseconds: int) -> None:
    """Let time pass in one step, as when a machine sleeps: each second would be simulated."""
    machine.loop.stall(microseconds)
    machine.advance(5)


def _retain(machine: Machine, periods: RetentionPeriods) -> None:
    machine.run(_retention(machine, periods).look())
    machine.advance(5)


def _retention(machine: Machine, periods: RetentionPeriods) -> Retention:
    return Retention(
        machine.store,
        periods,
        now=machine.engine.now,
        clock=machine.clock,
        do_all=machine.engine.do_all,
        log=lambda event, **fields: None,
    )


@dataclass(slots=True)
class Traces:
    """What the tools find in a store."""

    audit: tuple[str, ...]  # `audit verify`
    deep: tuple[str, ...]  # what `audit verify --deep` finds beyond that
    doctor: tuple[str, ...]  # what `doctor --deep` finds beyond that

    def __bool__(self) -> bool:
        return bool(self.audit or self.deep or self.doctor)


class Tampering(ABC):
    """A copy of a store, to be edited and examined within savepoints. See `SqliteTampering` and `PostgresTampering`."""

    same: str  # the operator that finds equal values, and takes NULL as a value
    refused: tuple[type[Exception], ...]  # what an edit raises that the schema or the type of a column does not allow
    unreadable: tuple[type[Exception], ...]  # what a read raises that meets a value which it cannot read
    reader: Reader

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Undo every edit at the end of the block."""
        self.run("SAVEPOINT before")
        try:
            yield
        finally:
            self.run("ROLLBACK TO SAVEPOINT before")
            self.run("RELEASE SAVEPOINT before")

    @abstractmethod
    def run(self, sql: str, *values: Any) -> int:
        """Edit the store; return how many rows the statement changed."""

    @abstractmethod
    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]: ...

    def get(self, sql: str, *values: Any) -> Any:
        """Return the first row, or its value where it has one alone; None if there is no row."""
        found = self.rows(sql, *values)
        return None if not found else found[0][0] if len(found[0]) == 1 else found[0]

    @cached_property
    def _tables(self) -> dict[str, list[str]]:
        return self._look_at_tables()

    def tables(self) -> dict[str, list[str]]:
        """Return the columns of each table, which no edit changes."""
        return self._tables

    @abstractmethod
    def _look_at_tables(self) -> dict[str, list[str]]: ...

    @abstractmethod
    def keys(self, table: str) -> set[str]:
        """Return the columns of a table that are part of a key or of another unique index."""

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out what reads the store."""
        return asyncio.run(work)

    def roots(self) -> dict[str, KeptRoot]:
        """Return what an auditor keeps elsewhere."""
        verdicts = self.wait_for(doctor.verify_audit(self.reader))
        return {tenant: verdict.kept for tenant, verdict in verdicts.items() if verdict.kept is not None}

    def traces(self, since: Mapping[str, KeptRoot] | None = None) -> Traces:
        return self.wait_for(self._traces(since or {}))

    async def _traces(self, since: Mapping[str, KeptRoot]) -> Traces:
        try:
            verdicts, rows, events = await doctor.verify_deep(self.reader, since)
        except self.unreadable as error:  # the command says: tampered
            return Traces((str(error),), (), ())
        found = tuple(
            f"{tenant}: {verdict.status} at {verdict.index}: {verdict.reason}"
            for tenant, verdict in verdicts.items()
            if verdict.status != "whole"
        )
        deep = tuple(map(str, (*rows.mismatches, *(f"{one.check.says}: {one.subject}" for one in events))))
        if found or deep:
            return Traces(found, deep, ())
        try:
            return Traces((), (), tuple([line async for line in self._unsound()]))
        except self.unreadable as error:  # the command fails, and names the error
            return Traces((), (), (str(error),))

    async def _unsound(self) -> Any:
        for check in doctor.CHECKS:
            for row in await self.reader.read(check.read, {**doctor.WORDS, "latest": 1 << 62}):
                yield f"{check.says}: {row['subject']}"


class SqliteTampering(Tampering):
    """The copy is in memory."""

    same = "IS"
    refused = (apsw.ConstraintError, apsw.SQLError, apsw.MismatchError)
    unreadable = (apsw.Error, UnicodeDecodeError)

    def __init__(self, file: Path, bodies: BodyCodec | None = None) -> None:
        self.connection = apsw.Connection(":memory:")
        with apsw.Connection(str(file)) as source, self.connection.backup("main", source, "main") as backup:
            backup.step()
        self.connection.execute("PRAGMA foreign_keys = OFF")
        self._makers: RowMakers = {}
        self._bodies = bodies or BodyCodec()
        load_keys(self.connection.execute, self._bodies)
        self.reader = Snapshot(self.connection, lambda _, name, asked: self._named(name, asked))

    def _named(self, name: str, asked: Mapping[str, Any]) -> list[Any]:
        return named_rows(self.connection, self._makers, name, asked, self._bodies)

    def run(self, sql: str, *values: Any) -> int:
        self.connection.execute(sql, values)
        return self.connection.changes()

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        found: list[Any] = self.connection.execute(sql, values).fetchall()
        return found

    def _look_at_tables(self) -> dict[str, list[str]]:
        names = self.rows("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        return {
            str(name): [str(row[1]) for row in self.rows(f"PRAGMA table_info({name})")]
            for (name,) in names
            if not name.startswith("sqlite_")
        }

    def keys(self, table: str) -> set[str]:
        found = self.rows(
            "SELECT name FROM pragma_table_info(?) WHERE pk UNION SELECT info.name FROM pragma_index_list(?) AS list,"
            ' pragma_index_info(list.name) AS info WHERE list."unique"',
            table,
            table,
        )
        return {name for (name,) in found}


class PostgresTampering(Tampering):
    """The copy is a database that `move` has filled. All is done in one transaction, as superuser."""

    same = "IS NOT DISTINCT FROM"
    refused = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.PostgresSyntaxError)
    unreadable = (asyncpg.PostgresError, UnicodeDecodeError)

    def __init__(self, file: Path, url: str, bodies: BodyCodec | None = None, key: str = "") -> None:
        """
        Args:
            bodies, key: what encrypts bodies, and the setting `encryption_key`.
        """
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SWARMKEEPER_ENCRYPTION_KEY", key)
            move(Settings(store=f"sqlite:///{file}"), Settings(store=url), as_json=False)
        self._loop = real_loop()
        self._loop.run(self._open(url, bodies))

    async def _open(self, url: str, bodies: BodyCodec | None) -> None:
        store = PostgresStore(url, bodies=bodies)
        await store.open_to_read()
        self._connection = await asyncpg.connect(url)
        self.reader = _Snapshot(store, self._connection)
        await self._connection.execute("SET session_replication_role = replica")  # foreign keys are not looked at
        await self._connection.execute("BEGIN")

    def run(self, sql: str, *values: Any) -> int:
        sql = re.sub(r"\bx'([0-9a-f]*)'", r"'\\x\1'::bytea", sql)
        if not values:  # such statements have no count of rows, or end with one
            return _count(self._loop.run(self._connection.execute(sql)))
        return _count(self._loop.run(self._status(sql, values)))

    async def _status(self, sql: str, values: tuple[Any, ...]) -> str:
        statement = await self._connection.prepare(numbered(sql))
        await statement.fetch(*values)
        return str(statement.get_statusmsg())

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._loop.run(self._connection.fetch(numbered(sql), *values))]

    def _look_at_tables(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for table, column in self.rows(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')"
            " AND NOT c.relispartition"
            " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum"
        ):
            found.setdefault(table, []).append(column)
        return found

    def keys(self, table: str) -> set[str]:
        found = self.rows(
            "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
            " AND a.attnum = ANY(i.indkey) WHERE i.indrelid = $1::text::regclass AND i.indisunique",
            table,
        )
        return {name for (name,) in found}

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        found: T = self._loop.run(work)
        return found


def _count(status: str) -> int:
    """Return how many rows a statement changed, from what the server says at its end, such as `UPDATE 3`."""
    last = status.split()[-1]
    return int(last) if last.isdigit() else 0
