"""A table's declaration converts records to rows and back."""

import dataclasses
from typing import Any, NamedTuple

import apsw
import pytest

from swarmkeeper.core.model import Edge, Event, Queue, QueueEntry, Tenant
from swarmkeeper.core.states import Condition, Kind
from swarmkeeper.storage import rows
from swarmkeeper.storage.rows import LIST, NULLABLE_JSON, RecordTable
from swarmkeeper.storage.sqlite import migrations
from swarmkeeper.storage.sqlite.loading import QUERIES
from swarmkeeper.testing import records

KEYED = [table for table in rows.RECORDS if table.record in records.LOADED]
OTHERS: dict[type[Any], Any] = {
    Edge: Edge("tsk_1", "sub_1", "sub_2", Condition.FAILURE),
    Queue: Queue(7, Kind.REVIEW, ("a", "b"), "reviewer"),
    QueueEntry: records.ready(excluded=("ann", "bob")),
}


@dataclasses.dataclass(slots=True)
class Thing:
    id: str
    size: tuple[int, int]
    names: tuple[str, ...] = ()
    note: Any = None


def name(table: RecordTable[Any]) -> str:
    return table.table.name


def read_back(table: RecordTable[Any], record: Any) -> Any:
    """Return the record of a row as SQLite returns it."""
    positions = ", ".join("?" * len(table.table.columns))
    stored: Any = apsw.Connection(":memory:").execute(f"SELECT {positions}", table.to_row(record)).fetchone()
    return table.from_row(stored)


@pytest.mark.parametrize("table", KEYED, ids=name)
def test_a_filled_record_comes_back(table: RecordTable[Any]) -> None:
    record = records.filled(table.record, id="x_1")

    assert read_back(table, record) == record


@pytest.mark.parametrize("table", KEYED, ids=name)
def test_a_bare_record_comes_back(table: RecordTable[Any]) -> None:
    record = records.bare(table.record, id="x_1")

    assert read_back(table, record) == record


@pytest.mark.parametrize("record", OTHERS.values(), ids=lambda record: type(record).__name__)
def test_a_record_without_a_key_of_its_own_comes_back(record: Any) -> None:
    (one,) = (table for table in rows.RECORDS if table.record is type(record))

    assert read_back(one, record) == record


@pytest.mark.parametrize("table", KEYED, ids=name)
def test_a_record_that_is_read_has_the_types_of_its_fields(table: RecordTable[Any]) -> None:
    """An enum equals its stored string, and true equals 1: only the types show that both were decoded."""
    record = records.filled(table.record, id="x_1")
    found = read_back(table, record)

    for field in dataclasses.fields(record):
        assert type(getattr(found, field.name)) is type(getattr(record, field.name)), field.name


def test_a_row_has_its_values_in_the_order_of_the_columns() -> None:
    table = RecordTable(
        Thing,
        "thing",
        "id width",
        "names height note",
        codecs={"names": LIST, "note": NULLABLE_JSON},
        parts={"width": "size[0]", "height": "size[1]"},
    )

    assert table.to_row(Thing("t", (3, 4), ("a",), {"b": 1})) == ("t", 3, '["a"]', 4, '{"b":1}')
    assert table.to_row(Thing("t", (3, 4))) == ("t", 3, "[]", 4, None)
    assert table.from_row(("t", 3, '["a"]', 4, '{"b":1}')) == Thing("t", (3, 4), ("a",), {"b": 1})


class Broken(NamedTuple):
    columns: str
    parts: dict[str, str]
    codecs: dict[str, rows.Codec]


@pytest.mark.parametrize(
    "broken",
    [
        Broken("id size names", {}, {}),
        Broken("id size names note colour", {}, {}),
        Broken("id size names note", {"colour": "note"}, {}),
        Broken("id size names note", {}, {"colour": LIST}),
    ],
    ids=["a field has no column", "a column has no field", "a part of no column", "a codec of no column"],
)
def test_a_declaration_that_does_not_fit_its_record_is_refused(broken: Broken) -> None:
    with pytest.raises(AssertionError):
        RecordTable(Thing, "thing", broken.columns, parts=broken.parts, codecs=broken.codecs)


def test_a_record_stored_in_parts_can_only_be_written() -> None:
    event: Event = records.event(1)
    row = rows.EVENT.to_row(event)

    assert dict(zip(rows.EVENT.table.columns, row, strict=True))["body"] == '{"n":1}'
    with pytest.raises(TypeError, match="Event"):
        rows.EVENT.from_row(row)


def test_a_tenant_is_selected_field_by_field() -> None:
    """Its table also has a name, which no record has, so its columns are listed in the statement."""
    connection = apsw.Connection(":memory:")
    migrations.apply(connection, migrations.known(), None)
    connection.execute("INSERT INTO tenant (id, name) VALUES ('acme', 'acme')")
    cursor = connection.execute(QUERIES["load_tenant"], {"keys": '["acme"]'})

    columns = [column[0] for column in cursor.get_description()]

    assert columns == [field.name for field in dataclasses.fields(Tenant)]


def test_an_answer_without_a_class_is_a_dict_of_all_columns() -> None:
    make = rows.maker(dict, ["a", "b"])

    assert make((1, 2)) == {"a": 1, "b": 2}


class Answer(NamedTuple):
    b: int
    c: int = 7


def test_an_answer_takes_the_columns_that_its_class_names() -> None:
    assert rows.maker(Answer, ["a", "b", "c"])((1, 2, 3)) == Answer(2, 3)
    assert rows.maker(Answer, ["b", "a"])((1, 2)) == Answer(1, 7)


def test_a_query_without_a_column_that_its_class_needs_is_refused() -> None:
    with pytest.raises(LookupError, match="b"):
        rows.maker(Answer, ["a", "c"])
