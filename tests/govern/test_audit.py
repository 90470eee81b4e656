"""Audit records: their exact bytes, and that any change to a stored log is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from hashlib import sha256
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.erasure.records import ErasedBody
from swarmkeeper.core.model import AuditEntry, AuditLeaf, Event, FieldRedaction
from swarmkeeper.core.rules.tree import AuditTree, leaf_hash, place
from swarmkeeper.govern import audit
from swarmkeeper.govern.audit import KeptRoot
from swarmkeeper.govern.redaction.redactor import Redactor
from tests.examples import examples

REDACTOR = Redactor.default()
RULES = REDACTOR.hash

INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
ASCII = st.text(st.characters(max_codepoint=127), max_size=20)
PLAIN_JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | ASCII,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(ASCII, inner, max_size=5),
    max_leaves=20,
)


def an_event(n: int) -> Event:
    return Event(
        id=f"evt_{n:026}",
        at=1_795_335_000_000_000 + n,
        tenant="acme",
        task=f"tsk_{n:026}",
        sequence=n + 1,
        work=f"sub_{n:026}",
        kind="work.succeeded",
        actor="counter",
        audit=f"aud_{n:026}",
        body=REDACTOR.redact({"from": "LEASED", "to": "SUCCEEDED", "attempt": 1}),
    )


def an_entry(n: int = 0, *, body: object = None, **changes: Any) -> AuditEntry:
    entry = AuditEntry(
        id=f"aud_{n:026}",
        at=1_795_335_000_000_000 + n,
        tenant="acme",
        actor_type="bot",
        actor="counter",
        key_id="key_0aB3dE6gH9",
        action="work.report",
        resource=f"sub_{n:026}",
        task_id=f"tsk_{n:026}" if n % 3 else None,
        outcome="accepted",
        effect="allow",
        reasons=("own tenant", "holds the lease"),
        events=(an_event(n),),
        body=REDACTOR.redact({"n": n, "error": "no route"} if body is None else body),
        salt=sha256(b"salt %d" % n).digest(),
        trace="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
    return replace(entry, **changes)


def a_log(size: int) -> tuple[list[AuditLeaf], AuditTree]:
    return appended(None, *(an_entry(n) for n in range(size)))


def appended(tree: AuditTree | None, *entries: AuditEntry, tenant: str = "acme") -> tuple[list[AuditLeaf], AuditTree]:
    """Append records to a tenant's tree, as stores do."""
    leaves, trees = place({tenant: tree}, audit.leaves_of(entries, RULES))
    return leaves, trees[tenant]


@given(JSON | PLAIN_JSON)
def test_canonical_json_is_that_of_rfc_8785(value: object) -> None:
    assert audit.canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]  # JSON by construction


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}'),
        (
            {"\u20ac": 1, "\ufb33": 2, "\U0001f600": 3},
            '{"\u20ac":1,"\U0001f600":3,"\ufb33":2}'.encode(),
        ),  # by UTF-16, not by code point
        (1.0, b"1"),
        (1e21, b"1e+21"),
        ('\x00\x1f\x7f\b"\\/', b'"\\u0000\\u001f\x7f\\b\\"\\\\/"'),
        ((1, 2), b"[1,2]"),
    ],
)
def test_canonical_json_by_example(value: object, written: bytes) -> None:
    assert audit.canonical(value) == written


@pytest.mark.parametrize(
    "value", [2**53, -(2**53), float("nan"), {1: 2}, "\ud800", {"\ud800": 1, "é": 2}, b"x", {"a": object()}]
)
def test_json_that_readers_cannot_represent_is_refused(value: object) -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        audit.canonical(value)


def test_a_leaf_has_exactly_the_documented_fields() -> None:
    entry = an_entry(1, body={"password": "hunter2"})

    leaf, body, _ = audit.encode_leaf(entry, RULES)

    assert msgspec.json.decode(leaf) == {
        "v": 1,
        "id": entry.id,
        "at": entry.at,
        "tenant": "acme",
        "actor": {"type": "bot", "id": "counter", "key": "key_0aB3dE6gH9"},
        "action": "work.report",
        "resource": entry.resource,
        "task_id": entry.task_id,
        "outcome": "accepted",
        "decision": {"effect": "allow", "policy": "built-in", "reasons": ["own tenant", "holds the lease"]},
        "rules": RULES,
        "redacted_fields": [{"pointer": "/password", "rule": "secret-field", "action": "replaced", "in": "value"}],
        "trace": entry.trace,
        "body": {"alg": "sha256-salted-parts", "commitment": audit.opening(entry.salt, body).commitment()},
    }
    assert audit.decode_body(body) == ((entry.events[0].id,), {"password": "[redacted:secret-field]"})
    assert audit.hashes_of_events(body).whole == sha256(rfc8785.dumps([audit.fact(entry.events[0])])).hexdigest()
    assert b"hunter2" not in leaf + body


@examples(50)
@given(st.text(max_size=400), st.integers(0, 400), st.integers(0, 200))
def test_a_leaf_never_exceeds_its_limit_and_counts_omitted_fields(word: str, hidden: int, reasons: int) -> None:
    entry = an_entry(
        1, actor=word, resource=word, action=word, trace=word, key_id=word, outcome=word, reasons=(word,) * reasons
    )
    many = tuple(FieldRedaction(f"/{n}/{'x' * 60}", "email") for n in range(hidden))
    object.__setattr__(entry, "body", replace(entry.body, fields=many))

    leaf, _, _ = audit.encode_leaf(entry, RULES)

    said = msgspec.json.decode(leaf)
    assert len(leaf) <= 16 << 10
    assert leaf == rfc8785.dumps(said)
    shown = said["redacted_fields"]
    omitted = [field for field in shown if field["action"] == "omitted"]
    assert len(shown) == hidden or omitted[0]["rule"] == f"{hidden - len(shown) + 1} more"


def test_a_leaf_cut_to_fit_still_verifies_with_its_columns() -> None:
    leaves, tree = appended(None, an_entry(0, actor="a" * 20_000), an_entry(1))

    assert leaves[0].actor == "a" * 96
    assert audit.verify(leaves, tree).status == "whole"


def test_a_log_appended_in_pieces_is_the_log_appended_at_once() -> None:
    entries = [an_entry(n) for n in range(11)]

    first, tree = appended(None, *entries[:4])
    second, tree = appended(tree, *entries[4:])

    assert ([*first, *second], tree) == a_log(11)
    assert [leaf.index for leaf in (*first, *second)] == list(range(11))


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 20])
def test_an_unchanged_log_is_whole(size: int) -> None:
    leaves, tree = a_log(size)

    assert audit.verify(leaves, tree) == audit.AuditVerification("whole", size, kept=KeptRoot(size, tree.root))


def test_no_log_at_all_is_whole_and_records_without_a_tree_are_not() -> None:
    assert audit.verify([], None).status == "whole"
    assert audit.verify(a_log(1)[0], None).status == "tampered"


def test_a_record_whose_body_was_erased_verifies_if_a_later_record_says_so() -> None:
    erased = an_entry(2).task_id
    entries = [an_entry(n) for n in range(5)] + [an_entry(5, task_id=erased, action=audit.TASK_ERASE)]
    leaves, tree = appended(None, *entries)
    leaves[2] = replace(leaves[2], body=None, salt=b"")

    kept = KeptRoot(6, tree.root)
    assert audit.verify(leaves, tree) == audit.AuditVerification(
        "whole", 6, erased=1, erasures=1, erased_by=(5,), kept=kept
    )
    leaves[4] = replace(leaves[4], body=None, salt=b"")  # of another task
    verdict = audit.verify(leaves, tree)
    assert (verdict.status, verdict.index) == ("tampered", 4)


def test_a_log_whose_first_records_left_verifies_if_a_record_names_their_tree() -> None:
    first, tree = a_log(3)
    told = f"{tree.size}:{tree.root.hex()}"
    rest = [an_entry(3), an_entry(4, action=audit.TRIM, resource=told, task_id=None)]

    leaves, whole = appended(tree, *rest)

    kept = KeptRoot(5, whole.root)
    assert audit.verify(leaves, whole, tree.frontier) == audit.AuditVerification("whole", 2, begin=3, kept=kept)
    assert audit.verify(leaves, whole).status == "tampered"
    assert audit.verify([*first, *leaves], whole).status == "whole"
    untold, other = appended(tree, an_entry(3))
    assert audit.verify(untold, other, tree.frontier).status == "tampered"


def test_a_body_removed_without_its_salt_is_not_an_erasure() -> None:
    leaves, tree = a_log(5)
    leaves[2] = replace(leaves[2], body=None)

    verdict = audit.verify(leaves, tree)

    assert (verdict.status, verdict.index) == ("tampered", 2)


def test_a_salt_beside_a_body_whose_data_key_was_destroyed_is_found() -> None:
    entries = [an_entry(n) for n in range(3)] + [an_entry(3, task_id=None, action=audit.TENANT_ERASE, resource="k1")]
    leaves, tree = appended(None, *entries)
    gone = ErasedBody.under("k1")
    erased = [replace(leaf, body=gone, salt=b"") for leaf in leaves[:3]] + leaves[3:]

    assert audit.verify(erased, tree).status == "whole"
    erased[1] = replace(erased[1], salt=leaves[1].salt)
    verdict = audit.verify(erased, tree)
    assert (verdict.status, verdict.index) == ("tampered", 1)


def test_a_commitment_covers_what_may_be_shown_and_the_rest_each_with_a_half_of_the_salt() -> None:
    entry = an_entry(1, rows={"tsk_1": {"task tsk_1": "00" * 32}})
    _, body, _ = audit.encode_leaf(entry, RULES)

    opened = audit.opening(entry.salt, body)

    assert b"rows" not in opened.shown
    rest = rfc8785.dumps(msgspec.json.decode(body)["rows"])
    assert opened.rest == sha256(entry.salt[16:] + rest).digest()
    assert opened.salt == entry.salt[:16]
    whole = msgspec.json.decode(body)
    del whole["rows"]
    assert opened.shown == rfc8785.dumps(whole)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"payload":1}', b'{"rows":{},"payload":1}', b"\xff", b'{"rows":}'])
def test_what_is_no_body_opens_no_commitment(body: bytes) -> None:
    with pytest.raises(ValueError, match="no body"):
        audit.opening(bytes(32), body)


def test_a_log_of_an_earlier_version_verifies_and_its_changed_bodies_are_found() -> None:
    leaves = [as_once(leaf) for leaf in a_log(4)[0]]
    placed, trees = place({"acme": None}, leaves)

    assert audit.verify(placed, trees["acme"]).status == "whole"
    assert placed[2].body is not None
    placed[2] = replace(placed[2], body=placed[2].body.replace(b"no route", b"no roots"))
    verdict = audit.verify(placed, trees["acme"])
    assert (verdict.status, verdict.index) == ("tampered", 2)


def as_once(leaf: AuditLeaf) -> AuditLeaf:
    """Return a record as a version wrote it whose leaves committed to the whole body at once."""
    said, body = msgspec.json.decode(leaf.leaf), leaf.body
    assert body is not None
    said["body"] = {"alg": "sha256-salted", "commitment": sha256(leaf.salt + body).hexdigest()}
    data = rfc8785.dumps(said)
    return replace(leaf, leaf=data, hash=leaf_hash(data))


@given(st.integers(1, 9), st.integers(0, 8))
def test_a_log_that_was_rewritten_as_a_whole_differs_from_a_kept_root(kept: int, changed: int) -> None:
    leaves, tree = a_log(9)
    since = KeptRoot(kept, a_log(kept)[1].root)
    other, forged = appended(None, *(an_entry(n, **({"outcome": "refused"} if n == changed else {})) for n in range(9)))

    assert audit.verify(leaves, tree, since=since).status == "whole"
    assert audit.verify(other, forged).status == "whole"
    assert audit.verify(other, forged, since=since).status == ("tampered" if changed < kept else "whole")


def test_a_log_that_lost_its_end_is_shorter_than_a_kept_root_says() -> None:
    since = KeptRoot(9, a_log(9)[1].root)
    leaves, tree = a_log(8)

    verdict = audit.verify(leaves, tree, since=since)

    assert (verdict.status, verdict.index) == ("incomplete", 8)


def test_a_kept_root_older_than_what_is_left_of_the_log_is_not_compared() -> None:
    _, tree = a_log(3)
    told = f"{tree.size}:{tree.root.hex()}"
    rest = [an_entry(3), an_entry(4, action=audit.TRIM, resource=told, task_id=None)]
    leaves, whole = appended(tree, *rest)

    def status(size: int) -> str:
        return audit.verify(leaves, whole, tree.frontier, since=KeptRoot(size, a_log(size)[1].root)).status

    assert [status(2), status(3)] == ["incomplete", "whole"]
    assert audit.verify(leaves, whole, tree.frontier, since=KeptRoot(3, bytes(32))).status == "tampered"


def test_events_of_several_tasks_have_a_hash_for_each() -> None:
    entry = an_entry(1, events=(an_event(1), an_event(2), replace(an_event(3), task=an_event(1).task)))

    _, body, _ = audit.encode_leaf(entry, RULES)

    said = audit.hashes_of_events(body)
    assert said.whole is None
    first, second, third = entry.events
    assert said.by_task == {
        first.task: (2, audit.events_hash([audit.fact(first), audit.fact(third)])),
        second.task: (1, audit.events_hash([audit.fact(second)])),
    }


def flipped(value: Any, draw: Callable[[int], int]) -> Any:
    """Return the same bytes with one bit of one byte changed."""
    if isinstance(value, int):
        return value ^ (1 << draw(20))
    data = bytearray(value.encode("latin-1") if isinstance(value, str) else value or b"\0")
    data[draw(len(data))] ^= 1 << draw(8)
    return data.decode("latin-1") if isinstance(value, str) or value is None else bytes(data)


@examples(400)
@given(st.data())
def test_one_bit_changed_in_any_column_of_any_record_is_found_there(data: st.DataObject) -> None:
    leaves, tree = a_log(9)
    index = data.draw(st.integers(0, 8))
    column = data.draw(st.sampled_from([field.name for field in fields(AuditLeaf)]))
    other = flipped(getattr(leaves[index], column), lambda bound: data.draw(st.integers(0, bound - 1)))
    leaves[index] = replace(leaves[index], **{column: other})

    verdict = audit.verify(leaves, tree)

    assert (verdict.status, verdict.index) == ("tampered", index)
    assert verdict.reason


@given(st.data())
def test_one_bit_changed_in_the_head_of_the_tree_is_found(data: st.DataObject) -> None:
    leaves, tree = a_log(9)
    column = data.draw(st.sampled_from(["tenant", "size", "frontier", "root"]))
    other = flipped(getattr(tree, column), lambda bound: data.draw(st.integers(0, bound - 1)))

    verdict = audit.verify(leaves, replace(tree, **{column: other}))

    assert verdict.status == "tampered"


@given(st.integers(0, 8))
def test_a_removed_record_is_detected(index: int) -> None:
    leaves, tree = a_log(9)
    del leaves[index]

    verdict = audit.verify(leaves, tree)

    # A log without its last record looks like one that was not read to its end.
    assert (verdict.status, verdict.index) == ("incomplete" if index == 8 else "tampered", index)


@given(st.integers(0, 8), st.integers(0, 8))
def test_two_swapped_records_are_found(first: int, other: int) -> None:
    leaves, tree = a_log(9)
    leaves[first], leaves[other] = replace(leaves[other], index=first), replace(leaves[first], index=other)

    verdict = audit.verify(leaves, tree)

    assert verdict.status == ("whole" if first == other else "tampered")


def test_a_record_appended_behind_the_tree_is_detected() -> None:
    leaves, tree = a_log(9)
    more, _ = appended(tree, an_entry(9))

    verdict = audit.verify([*leaves, *more], tree)

    assert (verdict.status, verdict.index) == ("tampered", 9)


def test_a_rewritten_record_with_correct_hashes_does_not_give_the_root() -> None:
    leaves, tree = a_log(9)
    leaf, body, _ = audit.encode_leaf(an_entry(4, outcome="refused"), RULES)
    leaves[4] = replace(leaves[4], leaf=leaf, body=body, hash=leaf_hash(leaf))

    verdict = audit.verify(leaves, tree)

    assert verdict.status == "tampered"
    assert "root" in verdict.reason


def test_a_record_of_another_tenant_is_found_in_a_tree_made_for_it() -> None:
    leaves, tree = appended(None, an_entry(0, tenant="other"), tenant="other")

    verdict = audit.verify(leaves, replace(tree, tenant="acme"))

    assert (verdict.status, verdict.index) == ("tampered", 0)


@pytest.mark.parametrize("leaf", [b"", b"{}", b"\xff", b'{"v":2}'])
def test_an_invalid_leaf_is_tampered_with_and_not_a_crash(leaf: bytes) -> None:
    leaves, tree = a_log(1)

    verdict = audit.verify([replace(leaves[0], leaf=leaf, hash=leaf_hash(leaf))], tree)

    assert (verdict.status, verdict.index) == ("tampered", 0)
