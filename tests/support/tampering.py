"""Edits a store as somebody with access to its file would, and looks for the traces. For tests in tests/govern."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import apsw

from swarmkeeper.access.retention import Retention, RetentionPeriods
from swarmkeeper.core import commands
from swarmkeeper.core.kills.commands import PlaceKill
from swarmkeeper.core.kills.records import KillKind
from swarmkeeper.core.model import Principal
from swarmkeeper.govern.audit import KeptRoot
from swarmkeeper.offline import doctor
from swarmkeeper.sim.harness import ADMIN, OPERATOR
from swarmkeeper.sim.kernel.loop import SECOND
from swarmkeeper.storage.sqlite.reading import RowMakers, Snapshot, named_rows
from tests.support.machine import Machine
from tests.support.reference_story import LIMITS, ReferenceStory

NEIGHBOUR = Principal("neighbour", "key_neighbour", "admin")
LONG = 3_600 * SECOND


def live(folder: Path) -> Path:
    """Run a store with two tenants through everything that leaves evidence, also through erasure and retention."""
    machine = Machine(folder, limits=LIMITS)
    gone = [machine.submit(["a", {"key": "b", "depends_on": ["a"]}], evaluation="none") for _ in range(6)]
    for task in gone:
        machine.drive(task)
    for weight in range(60):  # enough old records for retention to begin
        machine.do(commands.SetTenant(by=ADMIN, weight=1 + weight % 3))
    machine.advance(2 * 3_600)
    _retain(machine, RetentionPeriods(tasks=LONG, audit=LONG))
    machine.until(lambda: not machine.rows("SELECT 1 FROM chore"))
    machine.advance(2 * 3_600)
    _retain(machine, RetentionPeriods(audit=LONG))
    ReferenceStory(machine).play()
    for role in ("admin", "client", "bot:executor"):
        key = commands.CreateKey(by=NEIGHBOUR, role=role, public_id=f"of_{role[:7]}", digest=b"3" * 32)
        machine.do(key)
    theirs = machine.a_submission(["x", {"key": "y", "depends_on": ["x"]}], title="theirs")
    other = machine.do(replace(theirs, by=NEIGHBOUR))
    machine.do(commands.SetTenant(by=NEIGHBOUR, weight=2))
    machine.do(commands.PlaceLegalHold(by=replace(OPERATOR, tenant="neighbour"), task=other, reason="case 12"))
    machine.do(PlaceKill(by=NEIGHBOUR, kind=KillKind.BOT, name="their-bot", reason="it deletes files"))
    machine.do(commands.NoteRefusals(by=NEIGHBOUR, code="permission_denied", action="task.cancel", count=7))
    _erase_one_of_two(machine)
    _leave_work_open(machine)
    machine.close()
    return machine.disk.folder / "store.db"


def _erase_one_of_two(machine: Machine) -> None:
    """Erase a task that was leased together with another, in one claim."""
    machine.do(commands.SetTenant(by=ADMIN, budget={"tokens": 1_000_000}))
    worker = machine.bot("pair", "Executor", owner="pair", capacity=2)
    tasks = [machine.submit(["a"], evaluation="none") for _ in range(2)]
    for lease in machine.leases(worker, 2):
        machine.report(lease, output={"of": "a pair"}, usage={"tokens": 10})
    machine.advance(10)
    done = [task for task in tasks if machine.task(task).outcome is not None]
    machine.do(commands.EraseTask(by=replace(commands.ENGINE, tenant="default"), task=done[0], after=0))
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


def _retain(machine: Machine, periods: RetentionPeriods) -> None:
    retention = Retention(
        machine.store,
        periods,
        now=machine.engine.now,
        clock=machine.clock,
        do_all=machine.engine.do_all,
        log=lambda event, **fields: None,
    )
    machine.run(retention.look())
    machine.advance(5)


@dataclass(slots=True)
class Traces:
    """What the tools find in a store."""

    audit: tuple[str, ...]  # `audit verify`
    deep: tuple[str, ...]  # what `audit verify --deep` finds beyond that
    doctor: tuple[str, ...]  # what `doctor --deep` finds beyond that

    def __bool__(self) -> bool:
        return bool(self.audit or self.deep or self.doctor)


class Tampering:
    """A copy of a store in memory, to be edited and examined within savepoints."""

    def __init__(self, file: Path) -> None:
        self.connection = apsw.Connection(":memory:")
        with apsw.Connection(str(file)) as source, self.connection.backup("main", source, "main") as backup:
            backup.step()
        self.connection.execute("PRAGMA foreign_keys = OFF")
        self._makers: RowMakers = {}
        self._reader = Snapshot(self.connection, lambda _, name, asked: self._rows(name, asked))

    def _rows(self, name: str, asked: Mapping[str, Any]) -> list[Any]:
        return named_rows(self.connection, self._makers, name, asked)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Undo every edit at the end of the block."""
        self.connection.execute("SAVEPOINT before")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK TO before; RELEASE before")

    def run(self, sql: str, *values: Any) -> int:
        """Edit the store; return how many rows the last statement changed."""
        self.connection.execute(sql, values)
        return self.connection.changes()

    def get(self, sql: str, *values: Any) -> Any:
        return self.connection.execute(sql, values).get

    def tables(self) -> dict[str, list[str]]:
        """Return the columns of each table."""
        names: list[Any] = self.connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        ).fetchall()
        return {
            str(name): [str(row[1]) for row in self.connection.execute(f"PRAGMA table_info({name})").fetchall()]
            for (name,) in names
            if not name.startswith("sqlite_")
        }

    def roots(self) -> dict[str, KeptRoot]:
        """Return what an auditor keeps elsewhere."""
        verdicts = asyncio.run(doctor.verify_audit(self._reader))
        return {tenant: verdict.kept for tenant, verdict in verdicts.items() if verdict.kept is not None}

    def traces(self, since: Mapping[str, KeptRoot] | None = None) -> Traces:
        return asyncio.run(self._traces(since or {}))

    async def _traces(self, since: Mapping[str, KeptRoot]) -> Traces:
        try:
            verdicts, rows, events = await doctor.verify_deep(self._reader, since)
        except (apsw.Error, UnicodeDecodeError) as error:  # the command says: tampered
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
        except (apsw.Error, UnicodeDecodeError) as error:  # the command fails, and names the error
            return Traces((), (), (str(error),))

    async def _unsound(self) -> Any:
        for check in doctor.CHECKS:
            for row in await self._reader.read(check.read, {**doctor.WORDS, "latest": 1 << 62}):
                yield f"{check.says}: {row['subject']}"
