"""Reading of statement files."""

import pytest

from swarmkeeper.storage.sqlite import statements
from swarmkeeper.storage.sqlite.statements import Table

THING = Table("thing", ("id", "kind"), ("status", "version"))


def filled(sql: str) -> str:
    return statements._filled(sql, {"thing": THING})


def test_a_row_is_selected_with_all_its_columns() -> None:
    assert filled("SELECT {thing.*} FROM thing WHERE id = :id") == (
        "SELECT thing.id, thing.kind, thing.status, thing.version FROM thing WHERE id = :id"
    )


def test_insert_and_update_take_the_same_row() -> None:
    assert filled("INSERT INTO thing ({thing}) VALUES ({:thing})") == (
        "INSERT INTO thing (id, kind, status, version) VALUES (?1, ?2, ?3, ?4)"
    )
    assert filled("UPDATE thing SET {thing=} WHERE id = :id AND version = :version - 1") == (
        "UPDATE thing SET status = ?3, version = ?4 WHERE id = ?1 AND version = ?4 - 1"
    )


def test_an_unknown_parameter_of_a_row_statement_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled("UPDATE thing SET {thing=} WHERE id = :name")


def test_comments_are_not_part_of_a_statement() -> None:
    found = statements.read("queries.sql", _tables())

    assert found["any_chore"] == "SELECT EXISTS (SELECT 1 FROM chore)"
    assert not any("--" in sql for sql in found.values())


def _tables() -> dict[str, Table]:
    from swarmkeeper.storage.sqlite import rows

    return dict(rows.TABLES)
