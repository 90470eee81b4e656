"""What sinks get: each audit record, event and gap is a CloudEvent (1.0) in JSON.

`source` and `id` together are the same whenever a record is sent again, and no other record has them. So a receiver can
leave repeats out. Records that are too large for a sink are sent without their payload; their hash and index say which
record of the log it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from swarmkeeper.core.named_reads import AuditRecordRow, EventRow
from swarmkeeper.core.ports import OutgoingEvent
from swarmkeeper.core.rules.tree import leaf_hash
from swarmkeeper.reads import audit_queries, views
from swarmkeeper.reads.views import View

AUDIT_SOURCE = "/audit"
NO_TENANT = "-"  # of a gap in the feed, which is that of all tenants
encode = msgspec.json.Encoder().encode
_LEFT = "they left the store before they were sent"


@dataclass(frozen=True, slots=True)
class SinkRecord(OutgoingEvent):
    """`seq` is where the cursor stands when this record was sent."""

    at: int = 0  # microseconds
    cursor: str = ""  # name of the cursor
    facts: tuple[tuple[str, str], ...] = ()  # what a receiver may want to filter by, as texts
    refused: bool = False  # the record is about something that was not allowed


class _Actor(msgspec.Struct):
    id: str
    key: str | None
    type: str
    person: str | None = None


class _Decision(msgspec.Struct):
    effect: str
    policy: msgspec.Raw
    reasons: msgspec.Raw


class _LeafPassedOn(msgspec.Struct):
    """The leaf of an audit record; what is only passed on stays as it is written."""

    id: str
    at: int
    action: str
    actor: _Actor
    decision: _Decision
    outcome: str
    redacted_fields: msgspec.Raw
    resource: msgspec.Raw
    rules: msgspec.Raw
    task_id: str | None
    trace: str


class _BodyPassedOn(msgspec.Struct):
    events: msgspec.Raw
    payload: msgspec.Raw


class _PublicRecord(msgspec.Struct):
    """The same as `audit_queries.public_record` returns."""

    id: str
    index: int
    task_id: str | None
    event: str
    action: str
    actor: _Actor
    resource: msgspec.Raw
    outcome: str
    decision: _Decision
    events: msgspec.Raw
    trace: str | None
    rules: msgspec.Raw
    hash: str
    erased: bool
    payload: msgspec.Raw
    redacted_fields: msgspec.Raw
    timestamp: str | None


class _CloudEvent(msgspec.Struct):
    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str | None
    datacontenttype: str
    tenant: str
    data: _PublicRecord


_leaf_of = msgspec.json.Decoder(_LeafPassedOn).decode
_body_of = msgspec.json.Decoder(_BodyPassedOn).decode
_NO_BODY = _BodyPassedOn(msgspec.Raw(b"[]"), msgspec.Raw(b"null"))


def of_audit(row: AuditRecordRow, tenant: str, cursor: str, most: int) -> SinkRecord:
    """Return an audit record of at most `most` bytes."""
    # This runs for each record that is written: its payload is not read, but passed on as it is written.
    leaf = _leaf_of(row.leaf)
    own = _NO_BODY if row.body is None else _body_of(row.body)
    hash_, action = leaf_hash(row.leaf).hex(), leaf.action
    public = _PublicRecord(
        *(leaf.id, row.place, leaf.task_id, action, action, leaf.actor, leaf.resource, leaf.outcome, leaf.decision),
        *(own.events, leaf.trace or None, leaf.rules, hash_, row.body is None, own.payload, leaf.redacted_fields),
        views.time(leaf.at),
    )
    kind = f"audit.{action}"
    head = ("1.0", leaf.id, AUDIT_SOURCE, f"io.swarmkeeper.{kind}.v1", f"{tenant}/{row.place}", public.timestamp)
    body = encode(_CloudEvent(*head, "application/json", tenant, public))
    if len(body) > most:
        record = audit_queries.public_record(row)
        body = _fitting(lambda data: _audit_body(tenant, record, data), record, most)
    facts = (
        ("type", "audit"),
        ("id", leaf.id),
        ("tenant", tenant),
        ("index", str(row.place)),
        ("action", action),
        ("outcome", leaf.outcome),
        ("hash", hash_),
        *((("task", leaf.task_id),) if leaf.task_id else ()),
    )
    refused = leaf.decision.effect != "allow"
    return SinkRecord(row.place + 1, leaf.id, tenant, kind, body, leaf.at, cursor, facts, refused)


def _audit_body(tenant: str, record: View, data: View) -> View:
    return {
        "specversion": "1.0",
        "id": record["id"],
        "source": AUDIT_SOURCE,
        "type": f"io.swarmkeeper.audit.{record['action']}.v1",
        "subject": f"{tenant}/{record['index']}",
        "time": record["timestamp"],
        "datacontenttype": "application/json",
        "tenant": tenant,
        "data": data,
    }


def _fitting(wrap: Callable[[View], View], data: View, most: int) -> bytes:
    """Encode with as much of the data as fits: without payload, or else with what names the record."""
    body = encode(wrap(data))
    if len(body) <= most:
        return body
    less = {name: value for name, value in data.items() if name not in ("payload", "events")}
    body = encode(wrap({**less, "omitted": ["payload", "events"]}))
    if len(body) <= most:
        return body
    names = ("id", "index", "task_id", "event", "outcome", "hash", "timestamp")
    least = {name: data[name] for name in names if name in data}
    return encode(wrap({**least, "omitted": ["*"]}))


def of_event(row: EventRow, cursor: str, most: int) -> SinkRecord:
    """Return an event of the feed of at most `most` bytes."""
    shown = {**views.event(row, str(row.seq)), "datacontenttype": "application/json", "tenant": row.tenant}
    body = encode(shown)
    if len(body) > most:
        names = ("task_id", "work_id", "audit_id")
        kept: dict[str, Any] = {name: shown["data"].get(name) for name in names}
        body = encode({**shown, "data": {**kept, "omitted": ["*"]}})
    facts: list[tuple[str, str]] = [
        ("type", "event"),
        ("id", str(row.seq)),
        ("tenant", row.tenant),
        ("event", row.kind),
        ("audit", row.audit),
    ]
    if row.task:
        facts.append(("task", row.task))
    return SinkRecord(row.seq, row.id, row.tenant, row.kind, body, row.at, cursor, tuple(facts))


def of_gap(what: str, tenant: str, first: int, last: int, count: int, at: int, cursor: str, upto: int) -> SinkRecord:
    """Return what tells that records are missing.

    Args:
        what: audit or events.
        first, last: index of the first and the last audit record, or ids of the events.
        count: how many are missing: of the numbers between, some may never have belonged to an event.
        upto: where the cursor stands after it.
    """
    id_ = f"gap-{what}-{tenant}-{first}-{last}"
    body = {
        "specversion": "1.0",
        "id": id_,
        "source": AUDIT_SOURCE,
        "type": f"io.swarmkeeper.{what}.gap.v1",
        "subject": f"{tenant}/{first}-{last}",
        "time": views.time(at),
        "datacontenttype": "application/json",
        "tenant": tenant,
        "data": {"first": first, "last": last, "count": count, "reason": _LEFT},
    }
    facts = (("type", "gap"), ("id", id_), ("tenant", tenant), ("first", str(first)), ("last", str(last)))
    return SinkRecord(upto, id_, tenant, f"{what}.gap", encode(body), at, cursor, facts, refused=True)


def of_test(at: int, id_: str) -> SinkRecord:
    """Return a record with which an operator tests a sink."""
    body: Mapping[str, Any] = {
        "specversion": "1.0",
        "id": id_,
        "source": AUDIT_SOURCE,
        "type": "io.swarmkeeper.audit.test.v1",
        "subject": "test",
        "time": views.time(at),
        "datacontenttype": "application/json",
        "tenant": NO_TENANT,
        "data": {"reason": "swarmkeeper sinks check"},
    }
    return SinkRecord(0, id_, NO_TENANT, "audit.test", encode(body), at, "", (("type", "test"), ("id", id_)))
