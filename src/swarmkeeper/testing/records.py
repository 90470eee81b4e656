"""Records for store tests: minimal ones, ones with every field filled, and builders with defaults."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import Enum
from types import UnionType
from typing import Any

from swarmkeeper.core.model import (
    UNPLACED,
    ApiKey,
    ApprovalRecord,
    AttemptRecord,
    AuditLeaf,
    BackgroundJob,
    BotRecord,
    Event,
    Idempotency,
    LeaseRecord,
    QueueEntry,
    TaskRecord,
    Work,
)
from swarmkeeper.core.ports import Changes, Key, Started
from swarmkeeper.core.rules.tree import leaf_hash
from swarmkeeper.core.states import AttemptOutcome, BotType, Kind, Status, TaskStatus
from swarmkeeper.govern.redaction.redactor import Redactor

LOADED: tuple[type[Any], ...] = (
    TaskRecord,
    Work,
    LeaseRecord,
    AttemptRecord,
    BotRecord,
    ApiKey,
    ApprovalRecord,
    BackgroundJob,
    Idempotency,
)
VERSIONED: tuple[type[Any], ...] = (TaskRecord, Work, LeaseRecord, BotRecord, ApiKey, ApprovalRecord, BackgroundJob)
NOTHING_STARTED = Started(
    alive_at=0,
    queues=(),
    waiting=(),
    next_due=None,
    jobs=False,
    cooling=(),
    pepper=b"",
    cursor_key=b"",
    numbers_until=0,
)

# Fields with values that a store may rely on. All others are filled by type.
_BOUNDED: Mapping[str, Any] = {
    "priority": 9,
    "quorum": (2, 9),
    "n_total": 7,
    "n_open": 3,
    "n_failed": 4,
    "approval": "rounds",
    "ttl": 30_000_000,
    "capacity": 64,
    "holds": ("apr_1", "paused"),
}
_BOUNDED_OF: Mapping[type[Any], Mapping[str, Any]] = {
    BotRecord: {"status": "draining"},
    ApprovalRecord: {"kind": "question", "state": "decided"},
}
_UNCHANGING = frozenset(
    {
        *("id", "tenant", "task", "work", "key", "kind", "created_at", "spec", "title", "submitted_by", "trace"),
        *("subject", "ordinal", "lease_id", "attempt", "bot", "granted_at", "ttl", "public_id", "role", "person"),
        *("opened_at", "asked_by", "question", "choices", "schema", "party", "scope", "step_up"),
    }
)
_MAY_CHANGE_HERE = frozenset({(Work, "attempt"), (ApprovalRecord, "subject"), (ApiKey, "bot"), (BotRecord, "person")})
_TEXT = "naïve “text” \u2028 \U0001f41d 'quoted' {}"
_BIG = 2**53


def _value(kind: Any, name: str) -> Any:
    if typing.get_origin(kind) in (typing.Union, UnionType):
        kind = next(arg for arg in typing.get_args(kind) if arg is not type(None))
    origin = typing.get_origin(kind) or kind
    if origin is bool:
        return True
    if origin is int:
        return _BIG - sum(name.encode())  # differs by field, so that swapped columns are found
    if origin is str:
        return f"{name}: {_TEXT}"
    if origin is bytes:
        return name.encode() + bytes(range(256))
    if origin is tuple:
        item, *_ = typing.get_args(kind)
        if typing.get_origin(item) is tuple:  # of rows
            return tuple(
                tuple(f"{name} {row}{position}" for position, _ in enumerate(typing.get_args(item))) for row in "ab"
            )
        return (f"{name} a", f"{name} “b”")
    if isinstance(origin, type) and issubclass(origin, Enum):
        return list(origin)[-1]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item = typing.get_args(kind)[1]
        return {f"{name} é": _BIG if item is int else "one" if item is str else [1.5, None, {"deep": [-_BIG]}]}
    if isinstance(origin, type) and dataclasses.is_dataclass(origin):
        kinds = typing.get_type_hints(origin)
        return origin(**{field.name: _value(kinds[field.name], field.name) for field in dataclasses.fields(origin)})
    raise TypeError(f"no value for field {name} of type {kind}")


def filled(record: type[Any], *, id: str) -> Any:  # noqa: A002  the field's name
    """Return a record with a distinct value in every field."""
    return _record(record, id, dataclasses.fields(record))


def bare(record: type[Any], *, id: str) -> Any:  # noqa: A002  the field's name
    """Return a record with only the required fields."""
    missing = dataclasses.MISSING
    fields = dataclasses.fields(record)
    required = [field for field in fields if field.default is missing and field.default_factory is missing]
    return _record(record, id, required)


def _record(record: type[Any], id: str, fields: Iterable[dataclasses.Field[Any]]) -> Any:  # noqa: A002  the field's name
    kinds = typing.get_type_hints(record)
    values = {field.name: _value(kinds[field.name], field.name) for field in fields}
    values |= {name: value for name, value in _BOUNDED.items() if name in values}
    return record(**values | dict(_BOUNDED_OF.get(record, {})) | _names(record, id))


def changed(record: Any) -> Any:
    """Return the next version of a bare record, with every changeable field changed."""
    full = filled(type(record), id=_id(record))
    keep = {
        field.name: getattr(record, field.name)
        for field in dataclasses.fields(record)
        if field.name in _UNCHANGING and (type(record), field.name) not in _MAY_CHANGE_HERE
    }
    return at_version(replace(full, **keep), 2)


def at_version(record: Any, version: int) -> Any:
    return replace(record, **{_version_of(type(record)): version})


def changes_of(record: Any) -> Changes:
    """Return the changes that save the record and those it depends on."""
    match record:
        case TaskRecord():
            return Changes(tasks={record.id: record})
        case Work():
            owner = {} if record.version > 1 else {record.task: task(id=record.task)}
            return Changes(tasks=owner, works={record.id: record})
        case LeaseRecord():
            if record.version > 1:
                return Changes(leases={record.work: record})
            item = work(id=record.work, task=record.task)
            return Changes(tasks={item.task: task(id=item.task)}, works={item.id: item}, leases={item.id: record})
        case AttemptRecord():
            return Changes(attempts=[record])
        case BotRecord():
            return Changes(bots={record.id: record})
        case ApiKey():
            return Changes(keys={record.id: record})
        case ApprovalRecord():
            return Changes(approvals={record.id: record})
        case BackgroundJob():
            return Changes(jobs={record.id: record})
        case Idempotency():
            return Changes(idempotency=[record])
    raise TypeError(f"a {type(record).__name__} cannot be loaded by key")


def want_of(record: Any) -> Key:
    """Return the key that loads the record."""
    match record:
        case BackgroundJob():
            return ("jobs", record.task)
        case Idempotency():
            return ("idempotency", (record.tenant, record.key))
        case ApiKey():
            return ("key", record.id)
        case AttemptRecord():
            return ("attempt", record.lease_id)
        case _:
            return (type(record).__name__.removesuffix("Record").lower(), _id(record))


def loaded(record: Any) -> Any:
    """Return what `want_of` loads: a list for a job, because jobs are loaded by task; else the record."""
    return [record] if isinstance(record, BackgroundJob) else record


def _id(record: Any) -> str:
    return str(getattr(record, _ID.get(type(record), "id")))


_ID: Mapping[type[Any], str] = {LeaseRecord: "work", AttemptRecord: "lease_id", Idempotency: "key"}


def _version_of(record: type[Any]) -> str:
    return "row_version" if record is BotRecord else "version"


def _names(record: type[Any], id: str) -> dict[str, Any]:  # noqa: A002  the field's name
    names: dict[str, Any] = {_ID.get(record, "id"): id}
    if record in VERSIONED:
        names[_version_of(record)] = 1
    for name in ("work", "lease_id", "public_id", "key", "instance", "task"):
        if name in {field.name for field in dataclasses.fields(record)}:
            names.setdefault(name, f"{name} of {id}")
    return names


# ---- builders ------------------------------------------------------------------------------------------------------


def task(**given: Any) -> TaskRecord:
    default = TaskRecord(
        id="tsk_1",
        tenant="acme",
        status=TaskStatus.CREATED,
        priority=5,
        created_at=1,
        updated_at=1,
        spec="tsk_1/spec",
        title="count words",
        submitted_by="key_1",
        version=1,
    )
    return replace(default, **given)


def work(**given: Any) -> Work:
    default = Work(
        id="sub_1",
        task="tsk_1",
        tenant="acme",
        kind=Kind.EXECUTE,
        key="count",
        queue=1,
        status=Status.READY,
        priority=5,
        created_at=1,
        version=1,
    )
    return replace(default, **given)


def lease(work_id: str = "sub_1", **given: Any) -> LeaseRecord:
    default = LeaseRecord(
        work=work_id,
        task="tsk_1",
        tenant="acme",
        lease_id=f"lse_{work_id[4:]}",
        attempt=1,
        bot="bot_1",
        claim_id=None,
        granted_at=1,
        expires_at=30_000_001,
        ends_at=900_000_001,
        ttl=30_000_000,
        version=1,
    )
    return replace(default, **given)


def attempt(work_id: str = "sub_1", **given: Any) -> AttemptRecord:
    default = AttemptRecord(
        work=work_id,
        task="tsk_1",
        tenant="acme",
        attempt=1,
        lease_id=f"lse_old_{work_id[4:]}",
        bot="bot_1",
        started=1,
        ended=2,
        ending=AttemptOutcome.FAILED,
    )
    return replace(default, **given)


def ready(work_id: str = "sub_1", **given: Any) -> QueueEntry:
    return replace(
        QueueEntry(work=work_id, queue=1, tenant="acme", priority=5, position=1, since=1, task="tsk_1"), **given
    )


def bot(bot_id: str = "bot_1", **given: Any) -> BotRecord:
    default = BotRecord(
        id=bot_id,
        tenant="acme",
        type=BotType.EXECUTOR,
        name="worker",
        instance="",
        version="1.0",
        owner="owner",
        key_id="key_1",
        created_at=1,
        row_version=1,
    )
    return replace(default, **given)


def key(key_id: str = "key_1", **given: Any) -> ApiKey:
    default = ApiKey(
        id=key_id,
        public_id="abcdefghij",
        tenant="acme",
        role="client",
        digest=b"digest",
        created_at=1,
        version=1,
    )
    return replace(default, **given)


def approval(approval_id: str = "apr_1", **given: Any) -> ApprovalRecord:
    default = ApprovalRecord(
        id=approval_id,
        tenant="acme",
        task="tsk_1",
        kind="question",
        opened_at=1,
        expires_at=9,
        subject_hash="hash",
        version=1,
    )
    return replace(default, **given)


def job(job_id: str = "chr_1", **given: Any) -> BackgroundJob:
    return replace(
        BackgroundJob(id=job_id, task="tsk_1", tenant="acme", kind="sweep", created_at=1, version=1), **given
    )


@functools.cache
def _redactor() -> Redactor:
    return Redactor.default()


def event(sequence: int, **given: Any) -> Event:
    default = Event(
        id=f"evt_{sequence}",
        at=sequence,
        tenant="acme",
        task="tsk_1",
        sequence=sequence,
        work=None,
        kind="task.updated",
        actor="key_1",
        audit="aud_1",
        body=_redactor().redact({"n": sequence}),
    )
    return replace(default, **given)


def leaf(number: int, **given: Any) -> AuditLeaf:
    """Return an audit record that has no place in its tree yet."""
    default = AuditLeaf(
        tenant="acme",
        index=UNPLACED,
        id=f"aud_{number}",
        task="tsk_1",
        actor="key_1",
        action="task.submit",
        at=number,
        leaf=b"leaf %d" % number,
        salt=b"salt",
        body=b"{}",
        hash=leaf_hash(b"leaf %d" % number),
    )
    return replace(default, **given)
