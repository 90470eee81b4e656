"""Whoever edits the store behind the server leaves a trace: in every table and column that is evidence.

What is not evidence is listed here, by column, with the reason. What a store alone cannot show is found with a root of
the log that was kept elsewhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from swarmkeeper.core.decide.anchors import is_passing
from swarmkeeper.core.rules.tree import Frontier, leaf_hash
from swarmkeeper.govern import audit
from tests.examples import examples
from tests.support.at_rest import bodies, key_file
from tests.support.postgres import server
from tests.support.tampering import LEAVER, PostgresTampering, SqliteTampering, Tampering, live

# Tables of which no row is evidence: memory and caches that may be lost, or say only what is to be done next.
PASSING = {
    "audit_hash": "roots of tiles: the server compares them with the records before it signs, and a verifier does",
    "checkpoint": "what was signed: the server compares it with the records before it signs, and a witness keeps it",
    "chore": "what is to be done next: what it does is recorded",
    "cooldown": "how long a provider's limit holds back work",
    "cost": "follows from other rows, but for sums of erased attempts",
    "cost_folded": "which days of costs are summed to spans",
    "cost_span": "follows from costs, and can be made anew",
    "data_key": "wrapped keys: a changed one opens nothing, and the store is refused",
    "feed_gap": "which cursors of readers are refused",
    "feed_start": "which cursors of readers are refused",
    "idempotency": "answers to repeated calls, for a day",
    "key_use": "when a key was last used, for people to look at",
    "label_count": "follows from other rows, and can be made anew",
    "meta": "how far time and numbers have come, the pepper, without which no key works, and the key of cursors",
    "migration": "which schema the store has",
    "ready": "the order in which work is handed out",
    "rebuild": "what is to be made anew",
    "secret": "encrypted for its row: a changed one opens nothing; the log has who put and removed which version",
    "secret_lease": "how many secrets a lease may still get",
    "secret_loan": "what is to be revoked",
    "secret_released": "what redaction has to know; encrypted for its row, and the log has who got which version",
    "secret_use": "how often a secret was released in this minute",
    "session": "sealed: one that is changed counts no more, but for its times; the log has who opened it",
    "sink": "how far an outgoing stream has come",
    "task_count": "follows from other rows, and can be made anew",
    "task_label": "follows from other rows, and can be made anew",
    "timer": "when to look next",
}
# Columns that are no evidence in tables that are.
UNIMPORTANT = {
    "answered": "seq",
    "api_key": "version",
    "approval": "opened_at expires_at version",
    "bot": "created_at scope last_seen row_version",
    "event": "seq",  # found unless the order stays the same
    "feedback": "seq",
    "key_limit": "version",
    "payload": "sealed",  # whether the body is encrypted; doctor compares it with the body
    "lease": "lease_id claim_id granted_at expires_at ends_at ttl seen refusals refused progress usage checkpoint"
    " version",
    "operation": "owner until",  # which server carries it out
    "task": "created_at updated_at version deadline deadline_left started loading usage place",
    "tenant": "name stored_bytes",
    "work": "seq created_at place attempt tries crashes deferrals put_off unseen start_due start_left pending wake"
    " checkpoint since version line taker",
    "work_rate": "calls_at tokens_at",
}
# The words of titles are tables in SQLite, and an index in PostgreSQL.
PASSING_IN_SQLITE = dict.fromkeys(
    ("task_number", "task_words", *(f"task_words_{part}" for part in ("config", "data", "docsize", "idx", "terms"))),
    "follows from titles, and can be made anew",
)
# The same for what only PostgreSQL has. SQLite keeps the order of insertion by itself.
PASSING_IN_POSTGRES = {
    "outbox": "events that have no number yet: the sequencer numbers them, and then they are rows of `event`",
    "presence": "when a bot was last heard of",
    "server": "which servers run",
}
UNIMPORTANT_IN_POSTGRES = {
    "audit_leaf": "seq",
    "lease": "seq end_put_off expire_put_off",
    "message": "seq",
}


def passing(store: Tampering) -> set[str]:
    return {*PASSING, *(PASSING_IN_POSTGRES if isinstance(store, PostgresTampering) else PASSING_IN_SQLITE)}


def unimportant(store: Tampering, table: str) -> list[str]:
    columns = UNIMPORTANT.get(table, "").split()
    return columns + (UNIMPORTANT_IN_POSTGRES.get(table, "").split() if isinstance(store, PostgresTampering) else [])


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return live(tmp_path_factory.mktemp("story"))


@pytest.fixture(scope="module")
def lived_encrypted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return live(tmp_path_factory.mktemp("encrypted"), bodies)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def encrypted(lived_encrypted: Path, request: pytest.FixtureRequest) -> Tampering:
    """A store as `store`, with encrypted bodies."""
    if request.param == "sqlite":
        store: Tampering = SqliteTampering(lived_encrypted, bodies())
    else:
        copy = Path(shutil.copy(lived_encrypted, lived_encrypted.with_name("to-move.db")))
        key = key_file(copy.with_name("master.key"))
        store = PostgresTampering(copy, server().new_database(keep=True), bodies(), key)
    assert not store.traces(), "no clean store is accused"
    assert store.get("SELECT count(*) FROM payload WHERE sealed = 1")
    return store


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(lived: Path, request: pytest.FixtureRequest) -> Tampering:
    if request.param == "sqlite":
        store: Tampering = SqliteTampering(lived)
    else:
        copy = shutil.copy(lived, lived.with_name("to-move.db"))  # a store that was moved says so
        store = PostgresTampering(Path(copy), server().new_database(keep=True))
    assert not store.traces(), "no clean store is accused"
    return store


# ---- random edits ----------------------------------------------------------------------------------------------------


def other(value: Any, draw: Callable[[Any], Any]) -> Any:
    """Return another value of the same type."""
    match value:
        case None:
            return draw(st.sampled_from(["x", 1]))
        case int():
            return draw(st.sampled_from([value + 1, value - 1, value ^ (1 << draw(st.integers(0, 40))), 0, 1]))
        case bytes():
            data = bytearray(value or b"\0")
            data[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
            return bytes(data)
        case _:
            at = draw(st.integers(0, len(value)))
            return value[:at] + draw(st.sampled_from("a1Z_")) + value[at + draw(st.integers(0, 1)) :]


class Drawn:
    """A row of a table, and the edits of it."""

    def __init__(self, store: Tampering, table: str, draw: Callable[[Any], Any]) -> None:
        self.store, self.table, self.draw = store, table, draw
        self.columns = store.tables()[table]
        self.evidence = [column for column in self.columns if column not in unimportant(store, table)]
        self.rows = store.rows(f"SELECT * FROM {table}")
        assume(self.rows)
        self.row = draw(st.sampled_from(self.rows))
        self.where = " AND ".join(f"{name} {store.same} ?" for name in self.columns)

    def is_erased(self) -> bool:
        """Whether the row was erased with the data key of its tenant: nobody can say any more what was in it.

        Of an audit record, the rest of the row is evidence as before.
        """
        if self.table not in ("event", "audit_leaf"):
            return False
        row = dict(zip(self.columns, self.row, strict=True))
        if row["tenant"] != LEAVER.tenant:
            return False
        if self.table == "audit_leaf":
            self.evidence = [name for name in self.evidence if name != "body"]
        return self.table == "event"

    def update(self, row: tuple[Any, ...], column: str, value: Any) -> int:
        return self.store.run(f"UPDATE {self.table} SET {column} = ? WHERE {self.where}", value, *row)

    def delete(self) -> None:
        self.store.run(f"DELETE FROM {self.table} WHERE {self.where}", *self.row)

    def change(self) -> None:
        column = self.draw(st.sampled_from(self.evidence))
        old = self.row[self.columns.index(column)]
        new = other(old, self.draw)
        assume(new != old)
        self.update(self.row, column, new)

    def swap(self) -> None:
        column = self.draw(st.sampled_from(self.evidence))
        place = self.columns.index(column)
        second = self.draw(st.sampled_from(self.rows))
        assume(second[place] != self.row[place])
        self.update(self.row, column, second[place])
        self.update(second, column, self.row[place])

    def insert(self) -> None:
        """Insert a copy of the row with another key."""
        changed = self.store.keys(self.table) & set(self.columns)
        values = [
            other(value, self.draw) if name in changed else value
            for name, value in zip(self.columns, self.row, strict=True)
        ]
        self.store.run(f"INSERT INTO {self.table} VALUES ({', '.join('?' * len(values))})", *values)
        self.row = tuple(values)


@examples(300)
@given(st.data())
def test_every_edit_of_evidence_is_found(store: Tampering, data: st.DataObject) -> None:
    edit_is_found(store, data)


@examples(60)  # each opens every body anew
@given(st.data())
def test_every_edit_of_evidence_is_found_in_an_encrypted_store(encrypted: Tampering, data: st.DataObject) -> None:
    edit_is_found(encrypted, data)


def edit_is_found(store: Tampering, data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(sorted(store.tables().keys() - passing(store))))
    with store.undone():
        drawn = Drawn(store, table, data.draw)
        assume(not drawn.is_erased())
        edit = data.draw(st.sampled_from([drawn.change, drawn.change, drawn.swap, drawn.delete, drawn.insert]))
        try:
            edit()
        except store.refused:
            assume(False)  # the schema refuses it
        if table == "payload" and is_passing(drawn.row[0]):
            return

        assert store.traces()


def test_a_tenant_that_has_no_record_is_found(store: Tampering) -> None:
    with store.undone():
        store.run("INSERT INTO tenant (id, name) VALUES ('stranger', 'stranger')")

        assert any("stranger" in line for line in store.traces().deep)


def test_there_is_a_row_to_edit_in_every_table_that_is_evidence(store: Tampering, encrypted: Tampering) -> None:
    tables = sorted(store.tables().keys() - passing(store))

    empty = [table for table in tables if not store.get(f"SELECT count(*) FROM {table}")]

    assert empty == ["erased_key"], "without encryption there is no data key"
    assert all(encrypted.get(f"SELECT count(*) FROM {table}") for table in tables)


def test_what_is_not_evidence_names_only_what_exists(store: Tampering) -> None:
    tables = store.tables()

    assert passing(store) | UNIMPORTANT.keys() <= tables.keys()
    assert not [
        (table, column)
        for table, columns in tables.items()
        for column in unimportant(store, table)
        if column not in columns
    ]


# ---- attacks by name -------------------------------------------------------------------------------------------------


def test_a_body_erased_to_forge_its_event_is_found_by_the_audit_log(store: Tampering) -> None:
    with store.undone():
        index, audited = store.get("SELECT place, id FROM audit_leaf WHERE action = 'approval.decide' LIMIT 1")
        store.run("UPDATE audit_leaf SET body = NULL, salt = x'' WHERE id = ?", audited)
        store.run("UPDATE event SET body = replace(body, 'approve', 'reject!') WHERE audit = ?", audited)

        found = store.traces()

    assert f"tampered at {index}: the body is missing, and no later record says that it was erased" in found.audit[0]


def test_an_event_forged_beside_those_of_an_erased_task_is_found(store: Tampering) -> None:
    with store.undone():
        audited = store.get("SELECT audit FROM audit_cut LIMIT 1")
        changed = store.run("UPDATE event SET actor = 'nobody' WHERE audit = ?", audited)

        assert changed
        assert "differ from its hash" in store.traces().audit[0]


@pytest.mark.parametrize("of", ["no task", "another task"])
def test_an_event_forged_under_a_record_that_was_erased_with_its_task_is_found(store: Tampering, of: str) -> None:
    with store.undone():
        record = store.get("SELECT id FROM audit_leaf WHERE body IS NULL AND action = 'work.report' LIMIT 1")
        other = store.get("SELECT id FROM task WHERE outcome IS NOT NULL LIMIT 1")
        task, number = (other, 1 + store.get("SELECT sequence FROM task WHERE id = ?", other))
        if of == "no task":
            task, number = None, 0
        else:
            store.run("UPDATE task SET sequence = sequence + 1 WHERE id = ?", other)
        last = store.get("SELECT max(seq) FROM event")
        forged = store.run(
            "INSERT INTO event (seq, id, at, tenant, task, sequence, work, kind, actor, audit, body, redacted)"
            " SELECT seq + 1, 'evt_forged', at, 'default', ?, ?, NULL, 'approval.decided', actor, ?, body, redacted"
            " FROM event WHERE seq = ?",
            *(task, number, record, last),
        )

        assert forged
        assert any("evt_forged" in line for line in store.traces().deep)


def test_a_body_erased_as_if_with_an_erased_task_leaves_its_events_behind(store: Tampering) -> None:
    with store.undone():
        erased = store.get("SELECT task FROM audit_leaf WHERE action = 'task.erase' ORDER BY place DESC LIMIT 1")
        kept = store.get("SELECT id FROM audit_leaf WHERE action = 'tenant.set' LIMIT 1")
        store.run("UPDATE audit_leaf SET body = NULL, salt = x'', task = ? WHERE id = ?", erased, kept)

        assert "the column task differs from the leaf" in store.traces().audit[0]


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE payload SET body = x'7b7d' WHERE id LIKE '%/result/%'", "payload"),
        ("UPDATE work SET result_hash = 'f' WHERE result_hash IS NOT NULL", "work"),
        ("UPDATE attempt SET result_hash = 'f' WHERE result_hash IS NOT NULL", "attempt"),
        ("UPDATE task SET title = 'another title'", "task"),
        ("UPDATE task SET outcome = 'rejected' WHERE outcome = 'accepted'", "task"),
        ("UPDATE approval SET decision = '{\"verb\":\"reject\"}' WHERE state = 'decided'", "approval"),
        ("UPDATE approval SET decided_by = 'key_other' WHERE state = 'decided'", "approval"),
        ("UPDATE api_key SET role = 'admin' WHERE role = 'client'", "api_key"),
        ("UPDATE api_key SET digest = x'00'", "api_key"),
        ("UPDATE api_key SET revoked_at = NULL WHERE revoked_at IS NOT NULL", "api_key"),
        ("DELETE FROM message", "message"),
        ("DELETE FROM legal_hold", "legal_hold"),
        ("DELETE FROM person", "person"),
        ("UPDATE person SET name = 'somebody else' WHERE name = 'ann'", "person"),
        ("UPDATE person SET disabled_at = NULL WHERE disabled_at IS NOT NULL", "person"),
        ("UPDATE api_key SET person = NULL WHERE person IS NOT NULL", "api_key"),
        ("UPDATE approval SET decided_person = 'per_other' WHERE state = 'decided'", "approval"),
        ("UPDATE api_key SET scope = NULL WHERE scope = 'own'", "api_key"),
        ("UPDATE task SET party = 'key:another'", "task"),
        ("UPDATE approval SET step_up = 1 WHERE state = 'decided'", "approval"),
        ("UPDATE bot SET person = 'per_other'", "bot"),
        ("DELETE FROM kill", "kill"),
        ('UPDATE operation SET caller = \'{"role":"admin"}\'', "operation"),
        ('UPDATE operation SET args = \'{"reason":"none"}\'', "operation"),
        ("UPDATE operation SET action = 'archive'", "operation"),
        ("UPDATE operation SET ended_at = NULL WHERE ended_at IS NOT NULL", "operation"),
        ("DELETE FROM operation WHERE ended_at IS NULL", "operation"),
        ("UPDATE kill SET name = 'another'", "kill"),
        ("DELETE FROM api_key WHERE role = 'admin'", "api_key"),
        ("UPDATE bot SET owner = 'another'", "bot"),
        ("UPDATE queue SET assign_to = 'their-bot'", "queue"),
        ("UPDATE tenant SET weight = 100", "tenant"),
        ("UPDATE work_rate SET per_minute = 1", "work_rate"),
        ("DELETE FROM feedback", "feedback"),
        ("UPDATE answered SET answer = '1'", "answered"),
        ("DELETE FROM late_result", "late_result"),
        ("UPDATE edge SET condition = 'failure'", "edge"),
    ],
)
def test_a_forged_row_is_named_with_its_record(store: Tampering, statement: str, row: str) -> None:
    with store.undone():
        assert store.run(statement)

        found = store.traces()

    assert any(f": {row} " in line and "(record " in line for line in found.deep), found


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE operation_item SET task = 'tsk_9' WHERE task = 'tsk_4'", "they differ from what the operation says"),
        ("UPDATE operation_item SET place = 9 WHERE place = 3", "they differ from what the operation says"),
        ("UPDATE operation_item SET outcome = NULL, slice = NULL WHERE place = 0", "they differ"),
        ("UPDATE operation_item SET outcome = 'done' WHERE outcome = 'refused'", "they differ"),
        ("DELETE FROM operation_item WHERE place = 3", "they differ from what the operation says"),
        ("DELETE FROM operation_item", "they are missing"),
        ("INSERT INTO operation_item (operation, place, task) VALUES ('opr_none', 0, 'tsk_1')", "they differ"),
    ],
)
def test_a_forged_task_of_an_operation_is_named(store: Tampering, statement: str, says: str) -> None:
    with store.undone():
        assert store.run(statement)

        found = store.traces()

    assert any("operation_item opr_" in line and says in line for line in found.deep), found


def test_an_inserted_admin_key_is_named_even_if_it_claims_to_be_old(store: Tampering) -> None:
    with store.undone():
        store.run(
            "INSERT INTO api_key (id, public_id, tenant, role, digest, created_at, version)"
            " SELECT 'key_new', 'abcdefghij', tenant, 'admin', x'00', 1, 0 FROM api_key LIMIT 1"
        )

        assert "api_key key_new: no record of the log tells of it" in store.traces().deep[0]


def test_the_log_of_a_whole_tenant_gone_with_its_events_is_found(store: Tampering) -> None:
    with store.undone():
        for table in ("audit_leaf", "audit_tree", "audit_start", "event"):
            store.run(f"DELETE FROM {table} WHERE tenant = 'neighbour'")

        assert any("no record of the log tells of it" in line for line in store.traces().deep)


def test_events_in_another_order_are_found(store: Tampering) -> None:
    with store.undone():
        first = store.get("SELECT min(seq) FROM event")
        store.run("UPDATE event SET seq = (SELECT max(seq) + 1 FROM event) WHERE seq = ?", first)

        assert "have another place in the feed" in " ".join(store.traces().audit)


def rebuilt(store: Tampering, tenant: str) -> None:
    """Make the tree of a tenant fit its records again, as somebody with the program can."""
    frontier = Frontier.from_bytes(store.get("SELECT frontier FROM audit_start WHERE tenant = ?", tenant) or b"")
    rows = "SELECT place, leaf FROM audit_leaf WHERE tenant = ? ORDER BY place"
    for place, leaf in store.rows(rows, tenant):
        store.run("UPDATE audit_leaf SET hash = ? WHERE tenant = ? AND place = ?", leaf_hash(leaf), tenant, place)
        frontier.append(leaf_hash(leaf))
    store.run(
        "UPDATE audit_tree SET size = ?, frontier = ?, root = ? WHERE tenant = ?",
        frontier.size,
        frontier.to_bytes(),
        frontier.root(),
        tenant,
    )


def test_a_log_cut_at_its_end_with_its_events_and_tree_leaves_rows_that_it_does_not_explain(store: Tampering) -> None:
    with store.undone():
        last = store.get("SELECT place FROM audit_leaf WHERE tenant = 'neighbour' AND action = 'legal_hold.place'")
        store.run(
            "DELETE FROM event WHERE audit IN (SELECT id FROM audit_leaf WHERE tenant = 'neighbour' AND place >= ?)",
            last,
        )
        store.run("DELETE FROM audit_leaf WHERE tenant = 'neighbour' AND place >= ?", last)
        rebuilt(store, "neighbour")

        found = store.traces()

    assert not found.audit
    assert any("legal_hold neighbour" in line for line in found.deep)


def test_a_log_rewritten_with_its_tree_and_rows_is_found_only_with_a_kept_root(store: Tampering) -> None:
    roots = store.roots()
    assert not store.traces(roots), "the kept roots fit the store"
    with store.undone():
        # The record of a refusal has no row and no event: nothing else in the store tells of it.
        sql = "SELECT place, leaf, salt, body FROM audit_leaf WHERE action = 'access.refused'"
        place, leaf, salt, body = store.get(sql)
        forged = body.replace(b'"count":7', b'"count":1')
        assert forged != body
        before, after = audit.commitment(salt, body), audit.commitment(salt, forged)
        store.run(
            "UPDATE audit_leaf SET body = ?, leaf = ? WHERE tenant = 'neighbour' AND place = ?",
            forged,
            leaf.replace(before.encode(), after.encode()),
            place,
        )
        rebuilt(store, "neighbour")

        assert not store.traces()
        assert "are not those of the kept root" in store.traces(roots).audit[0]


def test_a_store_put_back_to_an_earlier_state_is_found_only_with_a_kept_root(store: Tampering) -> None:
    roots = store.roots()
    with store.undone():
        last = store.get("SELECT max(place) FROM audit_leaf WHERE tenant = 'neighbour'")
        assert (
            store.get("SELECT action FROM audit_leaf WHERE tenant = 'neighbour' AND place = ?", last)
            == "access.refused"
        )
        store.run("DELETE FROM audit_leaf WHERE tenant = 'neighbour' AND place = ?", last)
        rebuilt(store, "neighbour")

        assert not store.traces()
        assert "the kept root is of" in store.traces(roots).audit[0]
