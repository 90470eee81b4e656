"""Copies of whole stores: what a database refuses while it is being filled, and what a comparison finds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest

from swarmkeeper.core import commands
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.offline import doctor
from swarmkeeper.sim.harness import ADMIN
from swarmkeeper.storage.copying.content import NotCopied, Row, StoredTable
from swarmkeeper.storage.copying.filling import filling
from swarmkeeper.storage.copying.sqlite_content import SqliteContent
from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.storage.refusals import StoreHeld, StoreRefused
from tests.engine.test_retention import LONG, look
from tests.support.machine import Machine
from tests.support.reference_story import LIMITS, ReferenceStory


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with rows in nearly all tables: a task was erased, one is leased, everything since then is kept."""
    machine = Machine(tmp_path_factory.mktemp("told"), limits=LIMITS)
    erased = machine.submit([{"key": "a"}], title="erased", evaluation="none", budget={"tokens": 100})
    machine.drive(erased)
    machine.advance(LONG)
    look(machine, tasks=LONG / 2, audit=LONG / 2)
    machine.until(lambda: not machine.rows("SELECT 1 FROM chore"))
    assert not machine.rows("SELECT 1 FROM task")
    ReferenceStory(machine).play()
    machine.submit([{"key": "a"}, {"key": "b", "depends_on": ["a"]}], title="under way", approval="final")
    machine.do(commands.PlaceLegalHold(by=ADMIN, reason="kept"))
    machine.take(machine.bot("late", "Executor", owner="late", capacity=4), claim_id="c")
    machine.close()
    return machine.disk.folder / "store.db"


@pytest.fixture
def source(told: Path, tmp_path: Path) -> Iterator[apsw.Connection]:
    """A copy of that store, in a transaction."""
    connection = apsw.Connection(str(told))
    connection.execute("VACUUM INTO ?", (str(tmp_path / "source.db"),))
    connection.close()
    connection = apsw.Connection(str(tmp_path / "source.db"))
    connection.execute("BEGIN")
    yield connection
    connection.close()


class Interrupted(Exception):
    """The process would have ended here."""


class Watched(SqliteContent):
    """Lists the tables that are read, and fails at one."""

    def __init__(self, connection: apsw.Connection, fails_at: str = "") -> None:
        super().__init__(connection)
        self.read: list[str] = []
        self._fails_at = fails_at

    async def chunks(self, table: StoredTable) -> AsyncIterator[list[Row]]:
        self.read.append(table.name)
        async for chunk in super().chunks(table):
            yield chunk
            if table.name == self._fails_at:
                raise Interrupted


async def move(source: apsw.Connection, database: str, content: SqliteContent | None = None) -> Mapping[str, int]:
    content = content or SqliteContent(source)
    async with filling(database, content.origin) as filled:
        numbers = await filled.copy(content)
        await filled.check(content)
        await filled.number(content, anew=False)
        await filled.complete()
    return numbers


async def findings(database: str) -> list[str]:
    store = PostgresStore(database)
    await store.open_to_read()
    found = await doctor.examine(store, Rulebook(Redactor.default()), deep=True, wall=1 << 62)
    await store.close()
    return [f"{finding.check.says}: {finding.subject}" for finding in found]


async def ask(database: str, sql: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(database)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def test_all_rows_arrive_and_the_numbers_go_on(source: apsw.Connection, database: str) -> None:
    numbers = await move(source, database)

    tables = [name for (name,) in source.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    there = {name: source.execute(f"SELECT count(*) FROM {name}").get for name in tables}
    own = ("meta", "migration", "task_words", "task_number")  # the words of titles are an index in PostgreSQL
    assert numbers == {name: there[name] for name in tables if not name.startswith(own)} | {"outbox": 0}
    assert sum(bool(number) for number in numbers.values()) > 20
    assert await findings(database) == []
    trees = "SELECT tenant, size, root FROM audit_tree ORDER BY tenant"
    assert await ask(database, trees) == source.execute(trees).fetchall()
    ((last,),) = await ask(database, "SELECT value FROM meta WHERE key = 'pos'")
    assert last == source.execute("SELECT max(seq) FROM event").get
    for table in ("work", "message", "feedback", "audit_leaf"):
        ((seq, coming),) = await ask(
            database,
            f"SELECT max(seq), nextval(pg_get_serial_sequence('{table}', 'seq')) FROM {table}",
        )
        assert coming == seq + 1
    names = ("alive_at", "epoch", "pepper", "cursor_key", "numbers_until")
    asked = f"SELECT key, value FROM meta WHERE key IN {names}"
    kept: dict[Any, Any] = dict(source.execute(asked).fetchall())  # type: ignore[arg-type]  # each row is a pair
    meta = await ask(database, f"SELECT key, value, secret FROM meta WHERE key IN {names}")
    assert sorted(kept) == sorted(names)
    assert {key: secret if value is None else value for key, value, secret in meta} == kept


async def test_a_copy_of_an_older_version_gets_a_key_for_cursors_and_its_numbers_stay_valid(
    source: apsw.Connection, database: str
) -> None:
    source.execute("DELETE FROM meta WHERE key IN ('cursor_key', 'numbers_until')")
    await move(source, database)

    store = PostgresStore(database)
    await store.open()
    kept = await store.start()
    await store.close()
    assert len(kept.cursor_key) == 32
    assert kept.numbers_until == source.execute("SELECT max(seq) FROM event").get


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ("UPDATE task SET title = 'another' WHERE id = (SELECT min(id) FROM task)", "tsk_.*, title"),
        ("UPDATE work SET version = version + 1 WHERE id = (SELECT max(id) FROM work)", "version"),
        ("DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)", "is missing"),
        ("DELETE FROM audit_leaf WHERE place = 3", "3.* is missing"),
        ("INSERT INTO timer VALUES ('wake', 'zzz', 5)", "wake.*zzz.* is not of the source"),
        ("UPDATE audit_tree SET root = sha256(root)", "default.*, root"),
    ],
)
async def test_a_difference_is_found_and_named(source: apsw.Connection, database: str, planted: str, said: str) -> None:
    content = SqliteContent(source)
    async with filling(database, content.origin) as filled:
        await filled.copy(content)
        await ask(database, planted)

        with pytest.raises(NotCopied, match=said):
            await filled.check(content)


async def test_a_copy_that_was_interrupted_goes_on_with_the_next_table(source: apsw.Connection, database: str) -> None:
    first, second = Watched(source, fails_at="event"), Watched(source)
    with pytest.raises(Interrupted):
        await move(source, database, first)

    for exclusive in (True, False):
        with pytest.raises(StoreRefused, match="being filled"):
            await PostgresStore(database).open(exclusive=exclusive, create=exclusive)
    assert await ask(database, "SELECT count(*) FROM event") == [(0,)]
    await move(source, database, second)

    assert first.read[-1] == "event"
    copied = second.read[: len(second.read) - len(set(second.read))]  # before the comparison
    assert copied[0] == "event"
    assert not set(copied) & set(first.read[:-1])
    assert await findings(database) == []


async def test_only_the_same_store_can_go_on(source: apsw.Connection, database: str, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        await move(source, database, Watched(source, fails_at="event"))
    other = apsw.Connection(str(tmp_path / "source.db"))
    source.execute("ROLLBACK")
    other.execute("UPDATE meta SET value = zeroblob(32) WHERE key = 'pepper'")

    with pytest.raises(StoreRefused, match="another store"):
        await move(other, database)


async def test_a_store_that_was_used_in_between_is_copied_from_the_begin(
    source: apsw.Connection, database: str
) -> None:
    with pytest.raises(Interrupted):
        await move(source, database, Watched(source, fails_at="event"))
    source.execute("UPDATE bot SET row_version = row_version + 1 WHERE id = (SELECT min(id) FROM bot)")

    again = Watched(source)
    await move(source, database, again)

    assert again.read[0] == "answered"
    assert await findings(database) == []


async def test_a_database_with_rows_is_refused(source: apsw.Connection, database: str) -> None:
    await move(source, database)

    with pytest.raises(StoreRefused, match="has rows"):
        await move(source, database)


async def test_nobody_else_uses_a_database_while_it_is_filled(source: apsw.Connection, database: str) -> None:
    store = PostgresStore(database)
    await store.open()
    with pytest.raises(StoreHeld):
        await move(source, database)
    await store.close()
    content = SqliteContent(source)

    async with filling(database, content.origin) as filled:
        with pytest.raises(StoreHeld):
            await move(source, database)
        with pytest.raises(StoreRefused, match="being filled"):
            await PostgresStore(database).open()
        await filled.copy(content)


async def test_a_text_that_postgresql_cannot_store_is_named_by_its_table(
    source: apsw.Connection, database: str
) -> None:
    source.execute("UPDATE task SET title = 'a' || char(0) || 'b'")

    with pytest.raises(NotCopied, match="table task"):
        await move(source, database)
