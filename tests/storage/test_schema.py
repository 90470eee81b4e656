"""The schema has the enumerations of the core, the rows have all fields of the records, and the statements fit both."""

import dataclasses
import re

import apsw
import apsw.ext
import pytest

from swarmkeeper.core import model, named_reads, states
from swarmkeeper.core.erasure import reads as erasure_reads
from swarmkeeper.core.erasure import records as erasure_records
from swarmkeeper.core.kills import reads as kill_reads
from swarmkeeper.core.kills import records as kill_records
from swarmkeeper.core.operations import reads as operation_reads
from swarmkeeper.core.operations import records as operation_records
from swarmkeeper.core.persons import reads as person_reads
from swarmkeeper.core.persons import records as person_records
from swarmkeeper.core.rules.tree import AuditTree
from swarmkeeper.core.secrets import reads as secret_reads
from swarmkeeper.core.sessions import reads as session_reads
from swarmkeeper.core.sessions import records as session_records
from swarmkeeper.core.tallies import reads as tally_reads
from swarmkeeper.reads.insight import insight_reads
from swarmkeeper.sinks import sink_reads
from swarmkeeper.storage import rows
from swarmkeeper.storage.sqlite import migrations
from swarmkeeper.storage.sqlite.dialect import read
from swarmkeeper.storage.sqlite.loading import QUERIES
from swarmkeeper.storage.sqlite.reading import READS
from swarmkeeper.transparency import log_reads

NAMED = {
    **named_reads.READS,
    **log_reads.READS,
    **secret_reads.READS,
    **kill_reads.READS,
    **erasure_reads.READS,
    **sink_reads.READS,
    **person_reads.READS,
    **session_reads.READS,
    **insight_reads.READS,
    **operation_reads.READS,
    **tally_reads.READS,
}

WORDS = {
    ("task", "status"): states.TaskStatus,
    ("task", "outcome"): states.Outcome,
    ("task", "evaluation"): states.Evaluation,
    ("work", "kind"): states.Kind,
    ("work", "status"): states.Status,
    ("queue", "kind"): states.Kind,
    ("edge", "condition"): states.Condition,
    ("attempt", "ending"): states.AttemptOutcome,
    ("bot", "type"): states.BotType,
}
RECORDS = {
    "task": model.TaskRecord,
    "work": model.Work,
    "lease": model.LeaseRecord,
    "bot": model.BotRecord,
    "api_key": model.ApiKey,
    "approval": model.ApprovalRecord,
    "chore": model.BackgroundJob,
    "queue": model.Queue,
    "edge": model.Edge,
    "ready": model.QueueEntry,
    "timer": model.Timer,
    "key_limit": model.KeyLimit,
    "work_rate": model.WorkRate,
    "kill": kill_records.KillRecord,
    "operation": operation_records.OperationRecord,
    "person": person_records.PersonRecord,
    "erased_key": erasure_records.ErasedKeyRecord,
    "session": session_records.SessionRecord,
    "cooldown": model.Cooldown,
    "attempt": model.AttemptRecord,
    "late_result": model.LateResultRecord,
    "feedback": model.FeedbackRecord,
    "answered": model.AnswerRecord,
    "message": model.MessageRecord,
    "idempotency": model.Idempotency,
    "event": model.Event,
    "audit_leaf": model.AuditLeaf,
    "audit_tree": AuditTree,
}
STATEMENTS = {**QUERIES, **READS}
# Columns whose name differs from the field's.
SPLIT = {
    "quorum": {"quorum_accept", "quorum_of"},
    "body": {"body", "redacted"},
    "index": {"place"},
    "position": {"place"},
    "hold_reasons": {"holds"},
    "contributors": {"makers"},
    "reviewer_owner": {"taker"},
    "failure_handled": {"handled"},
    "continue_on_failure": {"continues"},
}


@pytest.fixture(scope="module")
def connection() -> apsw.Connection:
    """An empty store, which the tests only look at."""
    connection = apsw.Connection(":memory:")
    migrations.apply(connection, migrations.known(), None)
    connection.execute("PRAGMA query_only = ON")
    return connection


def words_of(connection: apsw.Connection, table: str, column: str) -> set[str]:
    sql = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).get
    found = re.search(rf"CHECK \({column} IN \(('[^)]*')\)\)|CHECK \(((?:{column} = '\w+'(?: OR )?)+)\)", sql)
    assert found is not None, f"{table}.{column} has no list of words"
    return set(re.findall(r"'([^']*)'", found[0]))


@pytest.mark.parametrize(
    "name", [*(name for name in QUERIES if re.search("^(insert|update)_(task|work|edge|attempt)(_hot)?$", name))]
)
def test_no_row_that_a_subtask_writes_needs_a_temporary_table(connection: apsw.Connection, name: str) -> None:
    parameters = [None] * max(map(int, re.findall(r"\?(\d+)", QUERIES[name])))
    steps = {step[1] for step in connection.execute(f"EXPLAIN {QUERIES[name]}", parameters)}
    assert "Insert" in steps or "IdxInsert" in steps
    assert "OpenEphemeral" not in steps


def test_writing_events_touches_no_page_of_its_own_for_their_numbers(connection: apsw.Connection) -> None:
    sql = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'event'").get
    assert "INTEGER PRIMARY KEY," in sql


@pytest.mark.parametrize(("table", "column"), WORDS)
def test_the_schema_allows_the_same_words_as_the_core(connection: apsw.Connection, table: str, column: str) -> None:
    assert words_of(connection, table, column) == set(WORDS[table, column])


@pytest.mark.parametrize("table", RECORDS)
def test_a_row_has_all_fields_of_its_record(table: str) -> None:
    names = {field.name for field in dataclasses.fields(RECORDS[table])}
    columns = {
        column
        for name in names
        for column in (SPLIT.get(name, {name}) if table != "audit_leaf" or name != "body" else {name})
    }

    assert set(rows.TABLES[table].columns) == columns


def test_every_table_keeps_the_records_it_should() -> None:
    assert {table.table.name: table.record for table in rows.RECORDS} == RECORDS


@pytest.mark.parametrize("table", rows.TABLES)
def test_a_table_has_all_columns_of_its_rows(connection: apsw.Connection, table: str) -> None:
    columns = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}

    assert columns - {"seq"} == {*rows.TABLES[table].columns, *rows.TABLES[table].beside}


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_every_statement_is_one_that_sqlite_understands(connection: apsw.Connection, name: str) -> None:
    sql = STATEMENTS[name]

    connection.execute(f"EXPLAIN {sql}", _nothing(sql)).fetchall()


def _nothing(sql: str) -> dict[str, None] | tuple[None, ...]:
    numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    if numbered:
        return (None,) * max(numbered)
    return dict.fromkeys(re.findall(r"(?<![\w:]):([a-z_]+)", sql))


OF_POSTGRES = {"hint", "other", "near", "rare"}  # with them it searches titles; SQLite has an index of words in order


def test_the_reads_are_those_of_the_port_with_the_same_parameters() -> None:
    files = ("reads.sql", "sinks.sql", "secret_reads.sql", "person_reads.sql", "erasure_reads.sql", "insight_reads.sql")
    reads = read(*files, "task_reads.sql", "tally_reads.sql")
    asked = {
        name: frozenset(re.findall(r"(?<![\w:]):([a-z_]+)", sql))
        for name, sql in reads.items()
        if not name.startswith("doctor_")
    }

    assert asked == {name: read.parameters - OF_POSTGRES for name, read in NAMED.items()}


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_read_answers_with_all_columns_of_its_rows(connection: apsw.Connection, name: str) -> None:
    columns = [column[0] for column in apsw.ext.query_info(connection, READS[name]).description]

    make = rows.maker(NAMED[name].row, columns)

    assert isinstance(make((None,) * len(columns)), NAMED[name].row)


def test_no_index_on_a_wide_row_contains_a_changing_column(connection: apsw.Connection) -> None:
    """Otherwise each transition of an item would write the index, too. One has rows only for items that wait."""
    for table in ("task", "work"):
        for (index,) in connection.execute("SELECT name FROM pragma_index_list(?)", (table,)).fetchall():
            if index == "work_in_line":
                sql = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (index,)).get
                assert sql.endswith("WHERE line IS NOT NULL AND start_due IS NULL")
                continue
            if index == "task_ended":  # written once in a task's life: hot updates do not set the outcome
                assert "outcome" not in rows.TABLES["task"].hot
                continue
            if index == "task_of_priority":  # seldom written anew, likewise
                assert "priority" not in rows.TABLES["task"].hot
                continue
            columns = {name for (name,) in connection.execute("SELECT name FROM pragma_index_info(?)", (index,))}
            assert columns <= {*rows.TABLES[table].fixed, "seq"}


def test_programs_with_an_older_sqlite_can_open_a_store(connection: apsw.Connection) -> None:
    """Before 3.46, SQLite read no text that nests too deep, and opened no store whose schema has one."""
    for name, sql in connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"):
        unquoted = re.sub(r"'(?:[^']|'')*'", "", sql)
        depth = deepest = 0
        for sign in unquoted:
            depth += (sign == "(") - (sign == ")")
            deepest = max(deepest, depth)
        assert deepest <= 20, name
