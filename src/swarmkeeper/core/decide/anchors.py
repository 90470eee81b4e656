"""Which rows the audit log proves, and by which of their columns; and which of them a batch has changed.

Theory. Each audit record holds the hashes of the rows that its commit wrote: the rows are anchored in the log.
Replaying the log gives the last hash of each row. So a row that was changed, inserted or removed by other means is
found.
Only columns that are evidence count. Counters, times of the schedule and positions in queues change with every step,
follow from other rows or from the events, and would double what is written; `doctor --deep` compares those. Times of
creation do not count, because `doctor --reset-clock` moves them; the events have them, too. The hashes
stand in the bodies of records of the same task, so they leave with the task when it is erased.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, fields
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from swarmkeeper.core.erasure.records import ErasedKeyRecord
from swarmkeeper.core.kills.records import KillRecord
from swarmkeeper.core.model import (
    AnswerRecord,
    ApiKey,
    ApprovalRecord,
    AttemptRecord,
    BotRecord,
    BudgetAccount,
    Edge,
    FeedbackRecord,
    LateResultRecord,
    MessageRecord,
    Queue,
    TaskRecord,
    Tenant,
    Work,
    WorkRate,
)
from swarmkeeper.core.operations.records import OperationRecord
from swarmkeeper.core.persons.records import PersonRecord
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.retention import WHOLE_TENANT, LegalHoldRecord
from swarmkeeper.core.states import Status, TaskStatus

Name = tuple[str, str]  # a row: its table, and its key
Values = tuple[Any, ...]

# While an item or a task is in one of these, its status changes with each lease. The events show which it is, and are
# compared with it.
_OPEN = frozenset({Status.BLOCKED, Status.READY, Status.LEASED, Status.WAITING})
_OPEN_TASK = frozenset({TaskStatus.CREATED, TaskStatus.PLANNED, TaskStatus.IN_PROGRESS})
# Payloads that are soon replaced are no evidence: a bot's checkpoints, and a plan while it is being loaded.
_PASSING = ("/checkpoint", "/plan/")


@dataclass(frozen=True, slots=True)
class AnchoredTable:
    """A table whose rows are anchored, with the fields of its record that count."""

    name: str
    fields: tuple[str, ...]
    key: tuple[str, ...]  # fields whose values, separated by blanks, name the row
    task: str  # the field with the row's task; "" if rows belong to no task
    at: str  # the field with the time from which the row has existed; "" if it has none of its own
    read: Callable[[Any], Values]  # the values of the fields
    pick: Callable[[Values], Values]  # the same from the values of all fields
    key_of: Callable[[Any], str]
    # What of the last fields counts; None: everything.
    refine: Callable[[Values], Values] | None = None

    def values(self, record: Any) -> Values:
        read = self.read(record)
        return read if self.refine is None else self.refine(read)

    def task_of(self, record: Any) -> str:
        task: str = getattr(record, self.task) if self.task else ""
        return "" if task == WHOLE_TENANT else task


def _table(
    kind: type[Any],
    name: str,
    *,
    key: str = "id",
    task: str = "task",
    at: str = "",
    without: str = "",
    last: str = "",
    refine: Callable[[Values], Values] | None = None,
) -> AnchoredTable:
    """Declare a table.

    Args:
        without: fields that do not count.
        last: fields that `refine` expects at the end.
    """
    every = [field.name for field in fields(kind)]
    own = [field for field in every if field not in {*without.split(), *last.split()}] + last.split()
    pick = itemgetter(*map(every.index, own))
    return AnchoredTable(name, tuple(own), tuple(key.split()), task, at, attrgetter(*own), pick, _key_of(key), refine)


def _key_of(key: str) -> Callable[[Any], str]:
    names = key.split()
    if len(names) == 1:
        return attrgetter(key) if key != "id" else _id_of
    return lambda record: " ".join([str(getattr(record, name)) for name in names])


# The ids of queues are numbers of sixteen digits, which look like those of cards: so they are written in letters.
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def _id_of(record: Any) -> str:
    return f"{record.id:x}".translate(_LETTERS) if type(record) is Queue else record.id


def _limit(budget: BudgetAccount | None) -> Values | None:
    return None if budget is None else (budget.limit, budget.at_limit)


def _of_tenant(read: Values) -> Values:
    return (*read[:-1], _limit(read[-1]))


def _if_any(read: Values) -> Values:
    """Leave out the last two fields if both are empty: rows from before there were such fields keep their hashes."""
    return read if read[-1] is not None or read[-2] is not None else read[:-2]


def _if_person(read: Values) -> Values:
    """Leave out the person if there is none, for the same reason."""
    return read if read[-1] is not None else read[:-1]


def _status_and_budget(read: Values, open_: frozenset[Any]) -> Values:
    """Return the values with labels only where there are any: rows of earlier versions have none, and their hash."""
    *rest, labels, status, budget = read
    return (*rest, *((labels,) if labels else ()), "open" if status in open_ else status, _limit(budget))


def _of_task(read: Values) -> Values:
    """The party is left out for the same reason, if there is none."""
    *rest, party, labels, status, budget = read
    return _status_and_budget((*rest, *(() if party is None else (party,)), labels, status, budget), _OPEN_TASK)


def _of_work(read: Values) -> Values:
    return _status_and_budget(read, _OPEN)


TABLES: Mapping[type[Any], AnchoredTable] = MappingProxyType(
    {
        TaskRecord: _table(
            TaskRecord,
            "task",
            task="id",
            at="created_at",
            without="created_at updated_at version sequence n_total n_open n_failed deadline deadline_left started"
            " loading usage position",
            last="party subtask_labels status budget",
            refine=_of_task,
        ),
        Work: _table(
            Work,
            "work",
            at="created_at",
            without="created_at position attempt tries crashes deferrals put_off unseen start_due start_left pending"
            " wake checkpoint since version line reviewer_owner",
            last="labels status budget",
            refine=_of_work,
        ),
        Edge: _table(Edge, "edge", key="parent child"),
        AttemptRecord: _table(AttemptRecord, "attempt", key="lease_id", at="ended"),
        LateResultRecord: _table(LateResultRecord, "late_result", key="lease_id content_hash", at="at"),
        FeedbackRecord: _table(FeedbackRecord, "feedback", key="work at n round", at="at"),
        AnswerRecord: _table(AnswerRecord, "answered", key="work at", at="at"),
        ApprovalRecord: _table(
            ApprovalRecord,
            "approval",
            at="opened_at",
            without="opened_at expires_at version",
            last="step_up decided_person",
            refine=_if_any,
        ),
        MessageRecord: _table(MessageRecord, "message", at="at"),
        ApiKey: _table(
            ApiKey, "api_key", task="", at="created_at", without="version", last="person scope", refine=_if_any
        ),
        PersonRecord: _table(PersonRecord, "person", task="", at="created_at"),
        BotRecord: _table(
            BotRecord,
            "bot",
            task="",
            at="created_at",
            without="created_at scope last_seen row_version",
            last="person",
            refine=_if_person,
        ),
        Tenant: _table(
            Tenant,
            "tenant",
            task="",
            without="open_tasks open_subtasks stored_bytes",
            last="budget",
            refine=_of_tenant,
        ),
        LegalHoldRecord: _table(LegalHoldRecord, "legal_hold", key="tenant task", at="placed_at"),
        KillRecord: _table(KillRecord, "kill", task="", at="placed_at"),
        OperationRecord: _table(OperationRecord, "operation", task="", at="created_at", without="owner until"),
        ErasedKeyRecord: _table(ErasedKeyRecord, "erased_key", task="", at="erased_at"),
        Queue: _table(Queue, "queue", task=""),
        WorkRate: _table(WorkRate, "work_rate", task="", without="calls_at tokens_at"),
    }
)
PAYLOAD = "payload"  # its rows are pairs of task id and body; the body is hashed, and its bytes count


def is_passing(payload_id: str) -> bool:
    """Whether a payload is one that is soon replaced."""
    return _PASSING[0] in payload_id or _PASSING[1] in payload_id


class AnchoredRow(NamedTuple):
    """A row that a batch has written, in its last state."""

    tenant: str | None  # None if the row does not say
    task: str
    record: Any  # None if it was removed


# Rows that were written: records, or what is said of rows that are no records or were removed.
Anchored = MutableMapping[Name, Any]


def row_of(written: Any) -> AnchoredRow:
    """Return to whom a row of `Anchored` belongs."""
    if type(written) is AnchoredRow:
        return written
    tenant = written.id if type(written) is Tenant else getattr(written, "tenant", None)
    return AnchoredRow(tenant, TABLES[type(written)].task_of(written), written)


def put(anchored: Anchored, record: Any) -> None:
    """Add a row that was written."""
    table = TABLES[record.__class__]
    anchored[table.name, table.key_of(record)] = record


def put_changed(anchored: Anchored, edited: Iterable[tuple[Any, Values]]) -> None:
    """Add the edited rows that differ in what counts. Each comes with the former values of all its fields."""
    # This runs for each row of each command: calls cost more than anything else here.
    for record, before in edited:
        kind = record.__class__
        if kind not in TABLES:
            continue
        table = TABLES[kind]
        now, then, refine = table.read(record), table.pick(before), table.refine
        if now == then:
            continue
        if refine is None or now[:-2] != then[:-2] or refine(now) != refine(then):
            anchored[table.name, table.key_of(record)] = record


def put_new(anchored: Anchored, changes: Changes) -> None:
    """Add the rows that are inserted; call this before versions are raised."""
    for versioned in (changes.tasks, changes.works, changes.keys, changes.approvals):
        for key in versioned:
            if versioned[key].version == 0:
                put(anchored, versioned[key])
    for bot in changes.bots.values() if changes.bots else ():
        if bot is not None and bot.row_version == 0:
            put(anchored, bot)
    inserted: tuple[Iterable[Any], ...] = (
        *(changes.edges, changes.attempts, changes.late_results, changes.feedback, changes.answered),
        *(changes.messages, changes.queues),
    )
    for rows in inserted:
        for record in rows:
            put(anchored, record)
    for tenant in changes.tenants.values() if changes.tenants else ():
        put(anchored, tenant)
    for payload_id in changes.payloads:
        payload = changes.payloads[payload_id]
        if payload is not None and not is_passing(payload_id):  # only those that pass are ever removed
            anchored[PAYLOAD, payload_id] = AnchoredRow(None, payload[0], payload)
    for tenant_id, task in changes.legal_holds:
        hold = changes.legal_holds[tenant_id, task]
        of_task = "" if task == WHOLE_TENANT else task
        anchored["legal_hold", f"{tenant_id} {task}"] = AnchoredRow(tenant_id, of_task, hold)
