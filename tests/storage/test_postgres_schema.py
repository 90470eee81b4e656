"""PostgreSQL has the tables, columns and words of SQLite, and understands every statement."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest
import pytest_asyncio

from swarmkeeper.core import named_reads
from swarmkeeper.core.erasure import reads as erasure_reads
from swarmkeeper.core.kills import reads as kill_reads
from swarmkeeper.core.operations import reads as operation_reads
from swarmkeeper.core.persons import reads as person_reads
from swarmkeeper.core.secrets import reads as secret_reads
from swarmkeeper.core.tallies import reads as tally_reads
from swarmkeeper.reads.insight import insight_reads
from swarmkeeper.sinks import sink_reads
from swarmkeeper.storage import rows, statements
from swarmkeeper.storage.postgres import dialect, migrations
from swarmkeeper.storage.postgres.dialect import POSTGRES
from swarmkeeper.storage.sqlite import migrations as of_sqlite
from swarmkeeper.storage.sqlite.dialect import SQLITE
from swarmkeeper.transparency import log_reads
from tests.storage.test_schema import WORDS
from tests.support.postgres import PostgresServer
from tests.tidy import data_classification

NAMED = {
    **named_reads.READS,
    **log_reads.READS,
    **secret_reads.READS,
    **kill_reads.READS,
    **sink_reads.READS,
    **person_reads.READS,
    **erasure_reads.READS,
    **insight_reads.READS,
    **operation_reads.READS,
    **tally_reads.READS,
}

SHARED = (
    *("queries.sql", "limits.sql", "reads.sql", "checks.sql", "anchors.sql", "retention.sql"),
    *("secrets.sql", "secret_reads.sql", "sinks.sql", "kills.sql", "persons.sql", "person_reads.sql"),
    *("erasures.sql", "erasure_reads.sql", "insight_reads.sql", "operations.sql"),
    *("tallies.sql", "task_reads.sql", "tally_reads.sql"),
)
STATEMENTS: dict[str, Any] = {**dialect.read(*SHARED), **dialect.read_only_here(), **dialect.read_row_statements()}


@pytest.fixture(scope="module")
def migrated(postgres: PostgresServer) -> str:
    url = postgres.new_database(keep=True)
    for migration in migrations.known():
        postgres.run(migration.sql, url.rpartition("/")[2])
    return url


@pytest_asyncio.fixture
async def connection(migrated: str) -> "AsyncIterator[asyncpg.Connection]":
    connection = await asyncpg.connect(migrated)
    yield connection
    await connection.close()


async def test_every_statement_is_one_that_postgresql_understands(connection: "asyncpg.Connection") -> None:
    not_understood = {}
    for name, statement in STATEMENTS.items():
        try:
            await connection.prepare(statement.sql)
        except asyncpg.PostgresError as error:
            not_understood[name] = str(error)

    assert not_understood == {}


async def test_a_read_answers_with_all_columns_of_its_rows(connection: "asyncpg.Connection") -> None:
    for name, read in NAMED.items():
        prepared = await connection.prepare(STATEMENTS[name].sql)
        columns = [attribute.name for attribute in prepared.get_attributes()]

        assert isinstance(rows.maker(read.row, columns)((None,) * len(columns)), read.row), name


def test_both_dialects_word_the_same_statements_themselves() -> None:
    assert statements.own_names(POSTGRES) == statements.own_names(SQLITE)


def test_every_file_of_statements_is_read_for_both() -> None:
    folder = Path(statements.__file__).parent

    assert {file.name for file in folder.glob("*.sql")} == {*SHARED, "writes.sql"}


async def test_both_stores_have_the_same_tables_and_columns(connection: "asyncpg.Connection") -> None:
    sqlite = apsw.Connection(":memory:")
    of_sqlite.apply(sqlite, of_sqlite.known(), None)
    there = {
        (table, column)
        for table, column in sqlite.execute(
            "SELECT m.name, c.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c WHERE m.type <> 'index'"
        )
        # The words of titles are tables here, and an index there.
        if not table.startswith(("sqlite_", "task_words", "task_number")) and table != "migration"
    }
    only_here = {(table, column) for table, column, _ in data_classification.columns("Store in PostgreSQL")}

    assert {(table, column) for table, column, _ in await _columns(connection)} == there | only_here


async def test_columns_have_the_types_that_rows_are_written_with(connection: "asyncpg.Connection") -> None:
    types = {(table, column): kind for table, column, kind in await _columns(connection)}
    declared = {
        (records.table.name, column): kind
        for records in rows.RECORDS
        for column, kind in records.column_types().items()
    }

    assert {name: types[name] for name in declared} == declared


async def test_texts_are_compared_byte_by_byte(connection: "asyncpg.Connection") -> None:
    others = await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
    )

    assert others == []


@pytest.mark.parametrize(("table", "column"), WORDS)
async def test_the_schema_allows_the_same_words_as_the_core(
    connection: "asyncpg.Connection", table: str, column: str
) -> None:
    found = await connection.fetch(
        "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint"
        " WHERE conrelid = $1::text::regclass AND contype = 'c'",
        table,
    )
    (words,) = (
        set(re.findall(r"'(\w+)'", row["text"]))
        for row in found
        if re.match(rf"CHECK \(\(\(?{column} = ANY", row["text"])
    )

    assert words == set(WORDS[table, column])


async def _columns(connection: "asyncpg.Connection") -> list[tuple[str, str, str]]:
    found = await connection.fetch(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
    )
    return [tuple(row) for row in found]
