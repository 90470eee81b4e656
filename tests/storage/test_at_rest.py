"""Every statement that reads a body is one whose bodies are opened."""

import re

import apsw
import pytest

from swarmkeeper.storage import rows
from swarmkeeper.storage.at_rest import bodies, texts
from swarmkeeper.storage.at_rest.bodies import EXTRA, READS
from swarmkeeper.storage.at_rest.texts import TEXTS
from swarmkeeper.storage.postgres.dialect import POSTGRES
from swarmkeeper.storage.sqlite import migrations
from swarmkeeper.storage.sqlite import reading as sqlite
from swarmkeeper.storage.sqlite.dialect import SQLITE
from swarmkeeper.storage.sqlite.loading import QUERIES

TABLES = {"payload", "event", "audit_leaf"}
# Bodies that a transaction loads, which loading.py opens.
OPENED_WHILE_LOADING = {"load_payload", "load_light_payload"}
_ALIASED = re.compile(r"CAST\(body AS BLOB\) AS body")


def reads_body(connection: apsw.Connection, sql: str) -> bool:
    """Whether a statement returns the column `body` of one of the tables, also as bytes."""
    if _ALIASED.search(sql):
        return True
    found: list[bool] = []

    def look(cursor: apsw.Cursor, statement: str, bindings: object) -> bool:
        found.append(any(column[3] in TABLES and column[4] == "body" for column in cursor.description_full))
        return False

    connection.exec_trace = look
    try:
        connection.execute(sql, dict.fromkeys(re.findall(r"(?<![\w:]):([a-z_]+)", sql)))
    except apsw.ExecTraceAbort:
        pass
    finally:
        connection.exec_trace = None
    return found == [True]


@pytest.fixture(scope="module")
def connection() -> apsw.Connection:
    made = apsw.Connection(":memory:")
    migrations.apply(made, migrations.known(), None)
    return made


def test_every_read_of_a_body_is_declared_and_no_other(connection: apsw.Connection) -> None:
    there = {name for name, sql in sqlite.READS.items() if reads_body(connection, sql)}

    assert there == READS.keys()


def reads_text(connection: apsw.Connection, sql: str) -> set[str]:
    """Return the tables of which a statement returns a column with encrypted texts."""
    found: set[str] = set()

    def look(cursor: apsw.Cursor, statement: str, bindings: object) -> bool:
        found.update(
            column[3]
            for column in cursor.description_full
            if column[3] in TEXTS and column[4] in TEXTS[column[3]].columns
        )
        return False

    connection.exec_trace = look
    try:
        connection.execute(sql, dict.fromkeys(re.findall(r"(?<![\w:]):([a-z_]+)", sql)))
    except apsw.ExecTraceAbort:
        pass
    finally:
        connection.exec_trace = None
    return found


def test_every_read_of_an_encrypted_text_is_declared_with_its_table_and_no_other(connection: apsw.Connection) -> None:
    there = {name: tables for name, sql in sqlite.READS.items() if (tables := reads_text(connection, sql))}
    loaded = {name for name, sql in QUERIES.items() if sql.startswith("SELECT") and reads_text(connection, sql)}

    assert there == {name: {table} for name, table in texts.READS.items()}
    assert loaded == {"load_approval"}


def test_every_loaded_body_is_opened(connection: apsw.Connection) -> None:
    there = {
        name for name, sql in QUERIES.items() if sql.startswith(("SELECT", "WITH")) and reads_body(connection, sql)
    }

    assert there == OPENED_WHILE_LOADING


@pytest.mark.parametrize("name", sorted(READS))
def test_a_declared_read_has_the_columns_that_opening_needs(connection: apsw.Connection, name: str) -> None:
    sql, declared = sqlite.READS[name], READS[name]
    columns: list[str] = []

    def look(cursor: apsw.Cursor, statement: str, bindings: object) -> bool:
        columns.extend(column[0] for column in cursor.get_description())
        return False

    connection.exec_trace = look
    with pytest.raises(apsw.ExecTraceAbort):
        connection.execute(sql, dict.fromkeys(re.findall(r"(?<![\w:]):([a-z_]+)", sql)))
    connection.exec_trace = None

    assert {declared.name, declared.id} <= set(columns)
    assert not declared.tenant or declared.tenant in columns or f":{declared.tenant}" in sql


def test_the_statements_know_how_much_longer_an_encrypted_body_is() -> None:
    for dialect in (SQLITE, POSTGRES):
        assert f" {EXTRA} * " in dialect.macros["size"]
    assert rows.PAYLOAD.columns[-1] == "sealed"


def test_no_plain_body_begins_like_an_encrypted_one() -> None:
    for plain in (b"{}", b"[1]", b'"text"', b"null", b"-1", b'{"sealed":"x"}'):
        assert not any(bodies.is_sealed(table, plain) for table in TABLES)
