"""Reading of statement files."""

from pathlib import Path

import pytest

from swarmkeeper.storage import statements
from swarmkeeper.storage.postgres.dialect import POSTGRES
from swarmkeeper.storage.rows import TABLES
from swarmkeeper.storage.sqlite import dialect
from swarmkeeper.storage.statements import PARAMETER, Table

THING = Table("thing", ("id", "kind"), ("status", "version"))


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> "Filled":
    return Filled(monkeypatch)


class Filled:
    """Fills a statement as if it were in a file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, sql: str, own: str = "") -> str:
        pieces = {"file.sql": ({"name": sql}, {"shared": "thing.kind = 'a'"}), "own.sql": ({"name": own}, {})}
        self._monkeypatch.setattr(statements, "_pieces", lambda _, file: pieces[file])
        return dialect.read("file.sql", tables={"thing": THING})["name"]


def test_a_row_is_selected_with_all_its_columns(filled: Filled) -> None:
    assert filled("SELECT {thing.*} FROM thing WHERE id = :id") == (
        "SELECT thing.id, thing.kind, thing.status, thing.version FROM thing WHERE id = :id"
    )


def test_insert_and_update_take_the_same_row(filled: Filled) -> None:
    assert filled("INSERT INTO thing ({thing}) VALUES ({:thing})") == (
        "INSERT INTO thing (id, kind, status, version) VALUES (?1, ?2, ?3, ?4)"
    )
    assert filled("UPDATE thing SET {thing=} WHERE id = :id AND version = :version - 1") == (
        "UPDATE thing SET status = ?3, version = ?4 WHERE id = ?1 AND version = ?4 - 1"
    )


def test_an_unknown_parameter_of_a_row_statement_is_an_error(filled: Filled) -> None:
    with pytest.raises(KeyError):
        filled("UPDATE thing SET {thing=} WHERE id = :name")


def test_a_macro_may_have_another_as_its_argument(filled: Filled) -> None:
    assert filled("SELECT key FROM {members {json thing.parts} -> 'a'} AS part") == (
        "SELECT key FROM json_each(thing.parts -> 'a') AS part"
    )


def test_the_words_of_a_dialect_may_have_parts_of_the_shared_file(filled: Filled) -> None:
    assert filled("{own}", own="SELECT id FROM thing WHERE {part shared}") == (
        "SELECT id FROM thing WHERE thing.kind = 'a'"
    )


def test_a_dialect_may_word_a_statement_itself(filled: Filled) -> None:
    assert filled("{own}", own="SELECT {thing.*} FROM thing") == (
        "SELECT thing.id, thing.kind, thing.status, thing.version FROM thing"
    )


def test_an_unknown_placeholder_is_an_error(filled: Filled) -> None:
    with pytest.raises(KeyError):
        filled("SELECT {unknown} FROM thing")


def test_comments_are_not_part_of_a_statement() -> None:
    found = dialect.read("queries.sql")

    assert found["any_chore"] == "SELECT EXISTS (SELECT 1 FROM chore)"
    assert not any("--" in sql for sql in found.values() if " -- " not in sql)


FILES = sorted(path.name for path in Path(statements.__file__).parent.glob("*.sql"))


@pytest.mark.parametrize("file", FILES)
def test_every_placeholder_is_known(file: str) -> None:
    assert not any("{" in sql for sql in dialect.read(file).values())


def test_a_statement_for_rows_takes_the_same_row_in_both_dialects() -> None:
    """Many rows are made once for both. Each store makes those of `count_opened` itself."""

    def columns(of: statements.Dialect) -> dict[str, tuple[str, ...]]:
        written = statements.texts("writes.sql", TABLES, of)
        return {name: text.row or tuple(dict.fromkeys(PARAMETER.findall(text.sql))) for name, text in written.items()}

    sqlite, postgres = columns(dialect.SQLITE), columns(POSTGRES)

    assert {name for name in sqlite | postgres if sqlite[name] != postgres[name]} == {"count_opened"}
