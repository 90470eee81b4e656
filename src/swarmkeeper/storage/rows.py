"""Converts records to rows and back, by one declaration per table.

A declaration names the record class, the columns, and a codec for each column whose value a database cannot store
directly. It gives the two conversions here, the column lists of the SQL files (statements.py), and the types of columns
for PostgreSQL.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from operator import itemgetter
from typing import Any, Generic, NoReturn, TypeVar, get_args, get_type_hints

import msgspec

from swarmkeeper.core.erasure.records import ErasedKeyRecord
from swarmkeeper.core.kills.records import KillRecord
from swarmkeeper.core.model import (
    AnswerRecord,
    ApiKey,
    ApprovalRecord,
    AttemptRecord,
    AuditLeaf,
    BackgroundJob,
    BotRecord,
    BudgetAccount,
    Cooldown,
    Edge,
    Event,
    FeedbackRecord,
    FieldRedaction,
    Idempotency,
    Json,
    KeyLimit,
    LateResultRecord,
    LeaseRecord,
    MessageRecord,
    Queue,
    QueueEntry,
    Reservation,
    TaskRecord,
    Tenant,
    Timer,
    Work,
    WorkRate,
)
from swarmkeeper.core.operations.records import OperationRecord
from swarmkeeper.core.persons.records import PersonRecord
from swarmkeeper.core.policies import labels
from swarmkeeper.core.policies.labels import Flow, WorkLabels
from swarmkeeper.core.rules.tree import AuditTree
from swarmkeeper.core.sessions.records import SessionRecord
from swarmkeeper.core.states import AttemptOutcome, BotType, Condition, Evaluation, Kind, Outcome, Status, TaskStatus
from swarmkeeper.storage.statements import Table

Row = tuple[Any, ...]
R = TypeVar("R")

# ---- codecs ---------------------------------------------------------------------------------------------------------


_ENCODED = object()  # default of Codec.empty: an empty value is encoded like any other


@dataclass(frozen=True, slots=True)
class Codec:
    """How a column stores a value."""

    encode: Callable[[Any], Any] | None = None  # None: the value is stored unchanged
    decode: Callable[[Any], Any] | Mapping[Any, Any] | None = None  # a mapping looks the value up
    empty: Any = _ENCODED  # what is stored for an empty value; most values are empty, so this saves the call
    nullable: bool = False  # None is stored as NULL, without a call


def _plain(value: Any) -> Any:
    """Convert a read-only mapping, which the encoder does not know, to a dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is not JSON")


_encode: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=_plain).encode
_decode: Callable[[str], Any] = msgspec.json.Decoder().decode


def to_json(value: Json) -> str:
    """Encode a value as JSON text."""
    return _encode(value).decode()


def _encode_redacted(value: tuple[FieldRedaction, ...]) -> str:
    return to_json([[field.pointer, field.rule, field.action, field.within] for field in value])


def _decode_list(text: str) -> tuple[str, ...]:
    return () if text == "[]" else tuple(_decode(text))


def _decode_list_or_null(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(_decode(text))


def _decode_object(text: str) -> dict[str, Any]:
    return {} if text == "{}" else _decode(text)


def _decode_nullable(text: str | None) -> Any:
    return None if text is None else _decode(text)


def _decode_nullable_list(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else _decode_list(text)


def decode_budget(text: str | None) -> BudgetAccount | None:
    return None if text is None else BudgetAccount(**_decode(text))


def _decode_reservation(text: str | None) -> Reservation | None:
    if text is None:
        return None
    plain = _decode(text)
    return Reservation(tuple(plain["levels"]), plain["amounts"])


def _encode_labels(item: WorkLabels) -> str:
    return to_json({"own": item.own, "inflow": item.inflow})


def _decode_labels(text: str | None) -> WorkLabels | None:
    return None if text is None else labels.from_json(_decode(text))


def _decode_flow(text: str | None) -> Flow:
    return () if text is None else tuple(map(tuple, _decode(text)))


def _word(words: type[StrEnum], *, nullable: bool = False) -> Codec:
    """Return the codec of an enum. A dict lookup is four times faster than a call of the enum."""
    members: dict[str | None, StrEnum | None] = {word.value: word for word in words}
    if nullable:
        members[None] = None
    return Codec(decode=members)


UNCHANGED = Codec()
FLAG = Codec(decode=bool)
JSON = Codec(to_json, _decode)
NULLABLE_JSON = Codec(to_json, _decode_nullable, nullable=True)
OBJECT = Codec(to_json, _decode_object, empty="{}")
LIST = Codec(to_json, _decode_list, empty="[]")
LIST_OR_NULL = Codec(to_json, _decode_list_or_null, empty=None)
NULLABLE_LIST = Codec(to_json, _decode_nullable_list, nullable=True)  # NULL is None, not the empty list
BUDGET = Codec(to_json, decode_budget, nullable=True)
RESERVATION = Codec(to_json, _decode_reservation, nullable=True)
LABELS = Codec(_encode_labels, _decode_labels, nullable=True)
FLOW = Codec(to_json, _decode_flow, empty=None)
REDACTED = Codec(_encode_redacted, empty="[]")

# ---- tables ---------------------------------------------------------------------------------------------------------


class RecordTable(Generic[R]):
    """A table of records of one class: its columns, and the two conversions.

    The conversions are the store's hottest code. So each is compiled once to what one would write by hand, such as
    `lambda it: (it.id, encode_list(it.skills), …)`, as `collections.namedtuple` and `dataclasses` do. Calling the
    standard library's attribute getters in turn took twice as long.
    """

    def __init__(
        self,
        record: type[R],
        name: str,
        fixed: str,
        changing: str = "",
        hot: str = "",
        *,
        beside: str = "",
        codecs: Mapping[str, Codec] | None = None,
        parts: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            record: the dataclass. Each of its fields has a column.
            fixed: columns that never change after the insert; the first is the key.
            changing: the other columns.
            hot: those of `changing` that nearly every update changes.
            beside: columns of the table that the record does not have.
            codecs: of the columns that do not store their value unchanged.
            parts: the field of each column whose name differs or that stores a part of it, such as `pair[0]` and
                `pair[1]` for a pair in two columns. A record with a part like `field.attribute` can be written as a
                row, but not read from one.
        """
        self.record = record
        self.table = Table(
            name, tuple(fixed.split()), tuple(changing.split()), tuple(hot.split()), tuple(beside.split())
        )
        codecs, parts = codecs or {}, parts or {}
        columns = self.table.columns
        assert codecs.keys() | parts.keys() <= set(columns), f"{name}: codecs or parts of an unknown column"
        paths = {column: parts.get(column, column) for column in columns}
        self._paths, self._codecs = paths, codecs
        self.to_row: Callable[[R], Row] = _compiled_writer(paths, codecs)
        self.from_row: Callable[[Row], R] = _compiled_reader(record, paths, codecs)

    def column_types(self) -> dict[str, str]:
        """Return the type of each column of the record, as PostgreSQL names it: text, bigint, boolean or bytea."""
        hints = get_type_hints(self.record)
        return {column: self._type_of(column, path, hints) for column, path in self._paths.items()}

    def _type_of(self, column: str, path: str, hints: Mapping[str, Any]) -> str:
        codec = self._codecs.get(column, UNCHANGED)
        if codec is not UNCHANGED:
            return "boolean" if codec is FLAG else "text"  # an enum, or JSON
        field, _, position = path.partition("[")
        kind = hints[field]
        if position:  # such as `pair[0]`
            kind = get_args(kind)[0]
        kinds = [part for part in get_args(kind) or (kind,) if part is not type(None)]
        return _COLUMN_TYPES[kinds[0]]


_COLUMN_TYPES: Mapping[type[Any], str] = {str: "text", int: "bigint", bytes: "bytea"}


def _compiled_writer(paths: Mapping[str, str], codecs: Mapping[str, Codec]) -> Callable[[Any], Row]:
    names: dict[str, Any] = {}
    values: list[str] = []
    for column, path in paths.items():
        value, codec = f"it.{path}", codecs.get(column, UNCHANGED)
        if codec.encode is not None:
            names[f"encode_{column}"] = codec.encode
            encoded = f"encode_{column}({value})"
            if codec.nullable:
                value = f"None if {value} is None else {encoded}"
            else:
                value = encoded if codec.empty is _ENCODED else f"{encoded} if {value} else {codec.empty!r}"
        values.append(value)
    return _compiled(f"lambda it: ({', '.join(values)},)", names)


def _compiled_reader(record: type[R], paths: Mapping[str, str], codecs: Mapping[str, Codec]) -> Callable[[Row], R]:
    if any("." in path for path in paths.values()):
        return partial(_refuse, record)
    names: dict[str, Any] = {"record": record}
    values: dict[str, list[str]] = {}  # per field: the expressions of its columns
    for position, (column, path) in enumerate(paths.items()):
        value, decode = f"row[{position}]", codecs.get(column, UNCHANGED).decode
        if decode is not None:
            names[f"decode_{column}"] = decode
            value = f"decode_{column}[{value}]" if isinstance(decode, Mapping) else f"decode_{column}({value})"
        values.setdefault(path.partition("[")[0], []).append(value)
    fields = [field.name for field in dataclasses.fields(record)]  # type: ignore[arg-type]  # a record is a dataclass
    assert values.keys() == set(fields), f"{record.__name__}: fields and columns do not match"
    columns_of = (values[field] for field in fields)
    arguments = [columns[0] if len(columns) == 1 else f"({', '.join(columns)})" for columns in columns_of]
    if arguments == [f"row[{position}]" for position in range(len(arguments))]:
        arguments = ["*row"]
    return _compiled(f"lambda row: record({', '.join(arguments)})", names)


def _compiled(source: str, names: dict[str, Any]) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = eval(source, names)  # noqa: S307  # built only from the declarations below
    return found


def _refuse(record: type[Any], _: Row) -> NoReturn:
    raise TypeError(f"a row of {record.__name__} stores only parts of its fields and cannot be read as a record")


def maker(kind: type[R], columns: Sequence[str]) -> Callable[[Row], R]:
    """Return the function that converts a row to a dict of all columns, or to a record of those that have a field.

    With all columns of a table, and the class of its records, values are decoded, too.

    Raises:
        LookupError: a field without a default has no column.
    """
    whole = _WHOLE.get(kind)
    if whole is not None and list(columns) == whole[0]:
        return whole[1]
    if issubclass(kind, dict):
        return lambda row: kind(zip(columns, row, strict=True))
    fields = inspect.signature(kind).parameters.values()
    if lacking := [field.name for field in fields if field.name not in columns and field.default is field.empty]:
        raise LookupError(f"{kind.__name__} has no column for {', '.join(lacking)}")
    present = [field.name for field in fields if field.name in columns]
    is_whole = len(present) == len(fields)  # positional calls are faster
    arguments = [f"{'' if is_whole else f'{name}='}row[{columns.index(name)}]" for name in present]
    return _compiled(f"lambda row: kind({', '.join(arguments)})", {"kind": kind})


TASK = RecordTable(
    TaskRecord,
    "task",
    "id tenant created_at spec title submitted_by trace party",
    "status priority updated_at labels planner_skills evaluator_skills evaluation quorum_accept quorum_of max_rounds"
    " approval plan_timeout review_timeout defaults outcome failure holds version sequence n_total n_open n_failed"
    " round reworks deadline deadline_left planned started loading makers verdict usage place budget subtask_labels",
    "status updated_at version sequence n_total n_open n_failed planned started makers place",
    codecs={
        "status": _word(TaskStatus),
        "labels": OBJECT,
        "planner_skills": LIST,
        "evaluator_skills": LIST,
        "evaluation": _word(Evaluation),
        "defaults": OBJECT,
        "outcome": _word(Outcome, nullable=True),
        "failure": NULLABLE_JSON,
        "holds": LIST,
        "planned": FLAG,
        "started": FLAG,
        "loading": FLAG,
        "makers": LIST,
        "usage": OBJECT,
        "budget": BUDGET,
        "subtask_labels": FLOW,
    },
    parts={
        "quorum_accept": "quorum[0]",
        "quorum_of": "quorum[1]",
        "holds": "hold_reasons",
        "makers": "contributors",
        "place": "position",
    },
)
WORK = RecordTable(
    Work,
    "work",
    "id task tenant kind key created_at subject ordinal",
    "queue status priority place attempt tries crashes deferrals unseen start_due start_left start pending round"
    " reworks timeout max_attempts continues handled wake payload result result_hash checkpoint excluded taker error"
    " since give_up put_off budget limits line labels version",
    "status place attempt start_due start_left pending result result_hash since version",
    codecs={
        "kind": _word(Kind),
        "status": _word(Status),
        "continues": FLAG,
        "handled": FLAG,
        "excluded": LIST,
        "error": NULLABLE_JSON,
        "budget": BUDGET,
        "labels": LABELS,
    },
    parts={
        "place": "position",
        "continues": "continue_on_failure",
        "handled": "failure_handled",
        "taker": "reviewer_owner",
    },
)
LEASE = RecordTable(
    LeaseRecord,
    "lease",
    "work task tenant lease_id attempt bot granted_at ttl",
    "claim_id expires_at ends_at seen refusals refused progress usage checkpoint cancelled reserved version",
    codecs={
        "seen": FLAG,
        "refused": LIST,
        "progress": NULLABLE_JSON,
        "usage": NULLABLE_JSON,
        "cancelled": FLAG,
        "reserved": RESERVATION,
    },
)
BOT = RecordTable(
    BotRecord,
    "bot",
    "id tenant created_at",
    "type name instance version owner key_id skills capacity dedicated endpoint labels status scope last_seen"
    " person row_version",
    codecs={"type": _word(BotType), "skills": LIST, "dedicated": FLAG, "labels": OBJECT},
)
API_KEY = RecordTable(
    ApiKey,
    "api_key",
    "id public_id tenant role created_at person scope",
    "digest bot owner skills expires_at revoked_at previous_digest previous_until networks version",
    codecs={"skills": NULLABLE_LIST, "networks": NULLABLE_LIST},
)
APPROVAL = RecordTable(
    ApprovalRecord,
    "approval",
    "id tenant task kind opened_at work asked_by question choices schema step_up",
    "expires_at subject_hash subject at_expiry state decision decided_by decided_at decided_person version",
    codecs={"choices": LIST} | dict.fromkeys(("schema", "subject", "at_expiry", "decision"), NULLABLE_JSON),
)
JOB = RecordTable(
    BackgroundJob, "chore", "id task tenant kind created_at", "cursor args version", codecs={"args": OBJECT}
)
QUEUE = RecordTable(Queue, "queue", "id kind skills assign_to", codecs={"kind": _word(Kind), "skills": LIST})
EDGE = RecordTable(Edge, "edge", "task parent child condition", codecs={"condition": _word(Condition)})
READY = RecordTable(
    QueueEntry,
    "ready",
    "work queue tenant priority place since task excluded",
    beside="start_due",  # the item's, as its timer
    codecs={"excluded": LIST_OR_NULL},
    parts={"place": "position"},
)
KEY_LIMIT = RecordTable(
    KeyLimit,
    "key_limit",
    "id tenant key",
    "running lines version",
    codecs={"lines": OBJECT},
)
WORK_RATE = RecordTable(WorkRate, "work_rate", "id tenant key", "most per_minute tokens_per_minute calls_at tokens_at")
KILL = RecordTable(KillRecord, "kill", "id tenant kind name", "reason placed_by placed_at until")
ERASED_KEY = RecordTable(ErasedKeyRecord, "erased_key", "id tenant erased_at erased_by")
OPERATION = RecordTable(
    OperationRecord,
    "operation",
    "id tenant party caller action args dry_run total trace created_at",
    "ended_at owner until items_hash slices done refused seal forged_at",
)
PERSON = RecordTable(PersonRecord, "person", "id tenant created_at", "name disabled_at")
SESSION = RecordTable(
    SessionRecord,
    "session",
    "id tenant key_id created_at",
    "digest seal used_at ends_at public_id secret_digest login",
)
COOLDOWN = RecordTable(Cooldown, "cooldown", "id tenant scope phase until")
TIMER = RecordTable(Timer, "timer", "kind ref due")
ATTEMPT = RecordTable(
    AttemptRecord,
    "attempt",
    "lease_id work task tenant attempt bot started ended ending round error result result_hash usage answer reason"
    " progress settled",
    codecs={
        "ending": _word(AttemptOutcome),
        "error": NULLABLE_JSON,
        "usage": NULLABLE_JSON,
        "progress": NULLABLE_JSON,
        "settled": RESERVATION,
    },
)
LATE_RESULT = RecordTable(
    LateResultRecord,
    "late_result",
    "lease_id content_hash work task tenant bot at payload settled",
    codecs={"settled": RESERVATION},
)
FEEDBACK = RecordTable(FeedbackRecord, "feedback", "work task round text at n")
ANSWERED = RecordTable(AnswerRecord, "answered", "work task question answer at", codecs={"answer": JSON})
MESSAGE = RecordTable(MessageRecord, "message", "id tenant task from_bot to_bot payload at")
IDEMPOTENCY = RecordTable(Idempotency, "idempotency", "tenant key request_hash status resource expires")
EVENT = RecordTable(
    Event,
    "event",
    "id at tenant task sequence work kind actor audit body redacted",
    codecs={"body": JSON, "redacted": REDACTED},
    parts={"body": "body.value", "redacted": "body.fields"},
)
AUDIT_LEAF = RecordTable(
    AuditLeaf,
    "audit_leaf",
    "tenant place id task actor action at leaf salt body hash",
    parts={"place": "index"},
)
AUDIT_TREE = RecordTable(AuditTree, "audit_tree", "tenant size frontier root")


START = "start"  # the timer of an item in its queue; its row has the time


def ready_row(timers: Mapping[tuple[str, str], int | None], work: str, entry: QueueEntry) -> Row:
    return (*READY.to_row(entry), timers.get((START, work)))


def tenant(row: Row) -> Tenant:
    """Return the tenant for a row of the query `load_tenant`; several statements write its columns."""
    id_, weight, max_backlog, open_tasks, open_subtasks, stored_bytes, budget = row
    return Tenant(id_, weight, max_backlog, open_tasks, open_subtasks, stored_bytes, decode_budget(budget))


RECORDS: tuple[RecordTable[Any], ...] = (
    *(TASK, WORK, LEASE, BOT, API_KEY, APPROVAL, JOB, QUEUE, EDGE, READY, TIMER, ATTEMPT, LATE_RESULT, FEEDBACK),
    *(KEY_LIMIT, WORK_RATE, KILL, PERSON, SESSION, COOLDOWN, ANSWERED, MESSAGE, IDEMPOTENCY, EVENT, AUDIT_LEAF),
    *(AUDIT_TREE, ERASED_KEY, OPERATION),
)
PAYLOAD = Table("payload", ("id", "task", "body", "sealed"))


TABLES: Mapping[str, Table] = {table.name: table for table in (*(records.table for records in RECORDS), PAYLOAD)}
_WHOLE: Mapping[type[Any], tuple[list[str], Callable[[Row], Any]]] = {
    **{records.record: (list(records.table.columns), records.from_row) for records in RECORDS},
    Tenant: (["id", "weight", "max_backlog", "open_tasks", "open_subtasks", "stored_bytes", "budget"], tenant),
}  # by class: the columns of its table, and what makes a record of them
VERSION: Mapping[str, int] = {
    name: table.columns.index("row_version" if name == "bot" else "version")
    for name, table in TABLES.items()
    if "version" in table.columns
}  # by table: the position of the version in a row


@dataclass(frozen=True, slots=True)
class Hot:
    """Decides whether an update of hot columns suffices."""

    others: Callable[[Row], Row]  # gets the columns that seldom change
    width: int  # how many columns of a row the statement takes


def _hot(table: Table) -> Hot:
    seldom = [index for index, name in enumerate(table.columns) if name in table.changing and name not in table.hot]
    return Hot(itemgetter(*seldom), 1 + max(table.columns.index(name) for name in table.hot))


HOT: Mapping[str, Hot] = {name: _hot(table) for name, table in TABLES.items() if table.hot}

# The statements of a store's `set_back`, in order.
TIMES = (
    *("tasks", "task_times", "works", "work_times", "ready", "leases", "timers", "rates", "cooldowns", "approvals"),
    *("bots", "feedback", "answers", "idempotency", "alive", "tallies"),
)
