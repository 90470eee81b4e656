"""A real store's audit log with one bit changed behind the server: `audit verify` finds it and names the record."""

import asyncio
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import apsw
import pytest
import typer
from hypothesis import assume, given
from hypothesis import strategies as st

from swarmkeeper.app import Orchestrator
from swarmkeeper.cli.admin import store as commands
from swarmkeeper.settings import Settings
from tests.examples import examples

COLUMNS = ("tenant", "place", "id", "task", "actor", "action", "at", "leaf", "salt", "body", "hash")
HEAD = ("tenant", "size", "frontier", "root")
# The content of an event. `tenant`, `seq` and `audit` are its place: changing them removes it from there.
OF_EVENTS = ("id", "at", "task", "sequence", "work", "kind", "actor", "body", "redacted")


async def _live(file: Path) -> None:
    async with Orchestrator(Settings(store=f"sqlite:///{file}")) as swarm:
        client = swarm.client()
        secret = "AKIAIOSFODNN7" + "QWERTYU"  # so that an event and a record list a redacted field
        task = await client.submit(f"Look at {secret}", subtasks=[{"key": "a", "description": ""}])
        await client.pause(task.id, f"see {secret}")
        await client.resume(task.id)
        await client.cancel(task.id)
        await client.aclose()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("log") / "store.db"
    asyncio.run(_live(file))
    code, told = verify(file)
    assert (code, told["status"]) == (0, "whole")
    assert told["records"] >= 5
    return file


def verify(file: Path) -> tuple[int, Any]:
    """Run the command in this process; return its exit code and its output."""
    out = io.StringIO()
    with redirect_stdout(out), pytest.raises(typer.Exit) as ended:
        commands.verify(f"sqlite:///{file}", as_json=True)
    return ended.value.exit_code, json.loads(out.getvalue())


def flipped(value: Any, draw: Any) -> tuple[str, Any]:
    """Change one bit of one byte; return SQL that has the old type, even if it is no longer text."""
    if isinstance(value, int):
        return "?", value ^ (1 << draw(st.integers(0, 51)))
    data = bytearray(value.encode() if isinstance(value, str) else value)
    data[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
    return ("CAST(? AS TEXT)" if isinstance(value, str) else "?"), bytes(data)


def changed(file: Path, table: str, column: str, row: int, draw: Any) -> tuple[int, Any] | None:
    """Return the verdict with that value changed; the value is restored afterwards."""
    connection = apsw.Connection(str(file))
    try:
        found = connection.execute(f"SELECT * FROM ({SELECTS[table].format(column)}) LIMIT 1 OFFSET {row}").fetchone()
        assert found is not None, "there is such a row"
        rowid, kept = found
        assume(kept is not None and kept != b"" and kept != "")
        sql, other = flipped(kept, draw)
        update = f"UPDATE {table} SET {column} = {{}} WHERE {KEYS[table]} = ?"
        try:
            connection.execute(update.format(sql), (other, rowid))
        except (apsw.ConstraintError, apsw.SQLError):
            assume(False)  # the schema refuses it
        try:
            return verify(file)
        finally:
            where = rowid if KEYS[table] != column else (other if sql == "?" else bytes(other))
            key = f"{KEYS[table]} = {sql if KEYS[table] == column else '?'}"
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key}", (kept, where))
    finally:
        connection.close()


KEYS = {"audit_leaf": "rowid", "audit_tree": "tenant", "event": "rowid"}
SELECTS = {
    "audit_leaf": "SELECT rowid, {} FROM audit_leaf ORDER BY place",
    "audit_tree": "SELECT tenant, {} FROM audit_tree ORDER BY tenant",
    "event": "SELECT rowid, {} FROM event ORDER BY seq",
}


def count(file: Path, table: str) -> int:
    connection = apsw.Connection(str(file))
    found = connection.execute(f"SELECT count(*) FROM {table}").get
    connection.close()
    assert isinstance(found, int)
    return found


@examples(120)
@given(st.data(), st.sampled_from(COLUMNS))
def test_a_bit_changed_in_any_column_of_any_record_is_found_and_named(
    file: Path, data: st.DataObject, column: str
) -> None:
    index = data.draw(st.integers(0, count(file, "audit_leaf") - 1))

    answer = changed(file, "audit_leaf", column, index, data.draw)

    assert answer is not None
    code, told = answer
    assert code == 1
    assert index in [log["first_bad_index"] for log in told["logs"]]
    assert verify(file)[0] == 0


@examples(30)
@given(st.data(), st.sampled_from(HEAD))
def test_a_bit_changed_in_the_head_of_the_log_is_found(file: Path, data: st.DataObject, column: str) -> None:
    answer = changed(file, "audit_tree", column, 0, data.draw)

    assert answer is not None
    assert answer[0] == 1
    assert verify(file)[0] == 0


@examples(60)
@given(st.data(), st.sampled_from(OF_EVENTS))
def test_a_bit_changed_in_an_event_is_found_at_its_audit_record(file: Path, data: st.DataObject, column: str) -> None:
    place = data.draw(st.integers(0, count(file, "event") - 1))
    connection = apsw.Connection(str(file))
    index = connection.execute(
        f"SELECT place FROM audit_leaf WHERE id = (SELECT audit FROM event ORDER BY seq LIMIT 1 OFFSET {place})"
    ).get
    connection.close()

    answer = changed(file, "event", column, place, data.draw)

    assert answer is not None
    code, told = answer
    assert (code, [log["first_bad_index"] for log in told["logs"]]) == (1, [index])
    assert verify(file)[0] == 0


def test_an_event_taken_out_is_missed_at_the_record_that_caused_it(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    connection = apsw.Connection(str(file))
    connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()
    connection = apsw.Connection(str(copy))
    index = connection.execute("SELECT place FROM audit_leaf WHERE action = 'task.pause'").get
    connection.execute("DELETE FROM event WHERE audit = (SELECT id FROM audit_leaf WHERE action = 'task.pause')")
    connection.close()

    code, told = verify(copy)

    assert (code, told["logs"][0]["first_bad_index"]) == (2, index)
