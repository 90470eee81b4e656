"""What a sink gets of an audit record is what a reader of the log gets, although its parts are passed on unread."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.named_reads import AuditRecordRow
from swarmkeeper.govern.audit import canonical
from swarmkeeper.reads import audit_queries
from swarmkeeper.sinks import records

TEXTS = st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e30, 1e30) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def rows(draw: Any) -> AuditRecordRow:
    leaf = {
        "action": draw(TEXTS),
        "actor": {"id": draw(TEXTS), "key": draw(TEXTS), "type": "bot", **draw(st.sampled_from([{}, {"person": "p"}]))},
        "at": draw(st.integers(0, 4_000_000_000_000_000)),
        "body": {"alg": "sha256-salted-parts", "commitment": "00"},
        "decision": {"effect": draw(st.sampled_from(["allow", "deny"])), "policy": "built-in", "reasons": ["one"]},
        "id": draw(TEXTS),
        "outcome": draw(TEXTS),
        "redacted_fields": draw(
            st.sampled_from([[], [{"action": "tag", "in": "value", "pointer": "/a", "rule": "r"}]])
        ),
        "resource": draw(TEXTS),
        "rules": "00",
        "task_id": draw(st.none() | TEXTS),
        "tenant": "default",
        "trace": draw(TEXTS),
        "v": 1,
    }
    payload = draw(VALUES)
    body = {"events": draw(st.lists(TEXTS, max_size=2)), "payload": payload, "rows": {"": [["task t", "00"]]}}
    return AuditRecordRow(draw(st.integers(0, 9)), canonical(leaf), draw(st.sampled_from([None, canonical(body)])))


@given(rows())
def test_a_sink_gets_the_record_as_readers_of_the_log_do(row: AuditRecordRow) -> None:
    sent = json.loads(records.of_audit(row, "default", "c", 1 << 20).body)

    assert sent["data"] == json.loads(json.dumps(audit_queries.public_record(row)))
    assert (sent["time"], sent["subject"]) == (sent["data"]["timestamp"], f"default/{row.place}")
    short = json.loads(records.of_audit(row, "default", "c", 0).body)
    assert short["data"] == {name: sent["data"][name] for name in short["data"] if name != "omitted"} | {
        "omitted": ["*"]
    }
