"""The undo log of one command, and the context for its audit record.

A command that is refused, or must be decided again, leaves nothing behind: mapping entries and record fields get their
old values, and lists are cut to their old lengths. working_set.py has the rows and the changes themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any, TypeVar

from swarmkeeper.core import ids
from swarmkeeper.core.decide import anchors
from swarmkeeper.core.lookups import APPROVALS, GRAPH, HELD_WORKS, KEY_LIMIT, OPEN_WORKS, K, Lookup, V
from swarmkeeper.core.model import (
    ApiKey,
    ApprovalRecord,
    AuditEntry,
    BackgroundJob,
    BotRecord,
    Json,
    LeaseRecord,
    Principal,
    TaskRecord,
    Work,
)
from swarmkeeper.core.ports import Changes, Key, Rules
from swarmkeeper.core.tallies import counting
from swarmkeeper.core.tallies.records import DAY, CostKey, Spent, spent_by

_ABSENT: Any = object()
_Row = TypeVar("_Row", TaskRecord, Work, LeaseRecord, BotRecord, ApiKey, ApprovalRecord, BackgroundJob)
_SLOTS = {
    row: tuple(slot.name for slot in fields(row))
    for row in (TaskRecord, Work, LeaseRecord, BotRecord, ApiKey, ApprovalRecord, BackgroundJob)
}
_READ = {row: attrgetter(*names) for row, names in _SLOTS.items()}
# Lists of rows of one task, by its id or by a page of it. They are outdated only when rows of that task have changed.
LISTS_OF_A_TASK = frozenset({OPEN_WORKS, HELD_WORKS, APPROVALS, GRAPH})


def copied(record: _Row) -> _Row:
    """Return a shallow copy of a record; its members are never changed in place."""
    kind = type(record)
    return kind(*_READ[kind](record))


@dataclass(slots=True)
class CommandContext:
    """The actor of the current command, and the contents of its audit record."""

    actor_type: str
    actor: str
    by: Principal
    seed: bytes
    audit: str  # id of the audit record, if there will be one
    trace: str = ""
    action: str = ""
    tenant: str = ""
    resource: str = ""
    task: str | None = None
    outcome: str = "accepted"
    effect: str = "allow"
    reasons: tuple[str, ...] = ()
    body: Json = None
    own: Mapping[str, Json] | None = None
    request: str = ""  # request id
    ids_made: int = 0


def _task_of(row: Any) -> str | None:
    """Return the id of the task that a row belongs to; None if it is no row of a task."""
    return row.id if isinstance(row, TaskRecord) else getattr(row, "task", None)


def _body(context: CommandContext) -> Json:
    """Return what is redacted for the audit record. The key id of a token is a hash: this says whose it is."""
    body, login = context.body if context.body is not None else {}, context.by.token
    if login is None or not isinstance(body, dict):
        return body
    return {**body, "identity": {"issuer": login.issuer, "subject": login.subject}}


class UndoLog:
    def __init__(self, *, now: int, rules: Rules) -> None:
        self.now = now
        self.rules = rules
        self.rows: dict[Key, Any] = {}
        self.changes = Changes()
        self.entries: list[AuditEntry] = []
        self.anchored: anchors.Anchored = {}  # the rows written so far that the audit records of this batch must prove
        self.rows_written = 0  # by the current command; limits its slice
        self.context: CommandContext | None = None
        self._undo: list[tuple[MutableMapping[Any, Any], Any, Any]] = []
        self._before: dict[int, tuple[Any, tuple[Any, ...]]] = {}
        self._marks: tuple[int, ...] = ()
        self._volatile: list[Key] = []  # rows to drop after each command that changes something

    def begin(
        self, *, actor_type: str, actor: str, by: Principal, seed: bytes, trace: str = "", request: str = ""
    ) -> None:
        """Open the scope of one command, which ends with `finish` or `undo`."""
        audit = ids.timed("aud", self.now, seed, "audit")
        self.context = CommandContext(actor_type, actor, by, seed, audit, trace, tenant=by.tenant, request=request)
        self._undo.clear()
        self._before.clear()
        self.rows_written = 0
        self._marks = tuple(map(len, self._lists()))

    def finish(self) -> None:
        """Keep the command's changes, and create its audit record if `record` was called."""
        context = self._context()
        events = tuple(self.changes.events[self._marks[0] :])
        if context.action:
            self.entries.append(
                AuditEntry(
                    id=context.audit,
                    at=self.now,
                    tenant=context.tenant,
                    actor_type=context.actor_type,
                    actor=context.actor,
                    key_id=context.by.key_id,
                    action=context.action,
                    resource=context.resource,
                    task_id=context.task,
                    outcome=context.outcome,
                    effect=context.effect,
                    reasons=context.reasons,
                    events=events,
                    body=self.rules.redact(_body(context), context.own, tenant=context.tenant),
                    salt=ids.salt(context.seed),
                    trace=context.trace,
                    person=context.by.person,
                )
            )
        else:
            assert not events, "a command that emits events must have an audit record"
        if self._before:
            anchors.put_changed(self.anchored, self._before.values())
        if self._volatile and (self._undo or self._before):
            self._drop_outdated()
        self.context = None

    def _drop_outdated(self) -> None:
        """Drop the lists that the current command may have made outdated. Those of other tasks stay.

        Otherwise many commands in one batch, each on a task of its own, would load their lists again after each other.
        """
        changed = {_task_of(record) for record, _ in self._before.values()}
        changed.update(_task_of(row) for mapping, key, old in self._undo for row in (old, mapping.get(key)))
        changed.update(edge.task for edge in self.changes.edges[self._marks[1] :])
        kept = []
        for want in self._volatile:
            kind, key = want
            if kind in LISTS_OF_A_TASK and (key if isinstance(key, str) else key[0]) not in changed:
                kept.append(want)
            else:
                self.rows.pop(want, None)
        self._volatile = kept

    def undo(self) -> None:
        """Undo all changes since `begin`."""
        for mapping, key, old in reversed(self._undo):
            if old is _ABSENT:
                mapping.pop(key, None)
            else:
                mapping[key] = old
        for record, values in self._before.values():
            for name, value in zip(_SLOTS[type(record)], values, strict=True):
                setattr(record, name, value)
        for items, length in zip(self._lists(), self._marks, strict=True):
            del items[length:]
        self._undo.clear()
        self._before.clear()
        self.context = None

    def record(
        self,
        action: str,
        resource: str,
        *,
        task: TaskRecord | None = None,
        body: Json = None,
        own: Mapping[str, Json] | None = None,
    ) -> None:
        """Set the contents of the command's audit record.

        Args:
            body: scanned by redaction.
            own: more members of the body, made by the engine; see `Rules.redact`.
        """
        context = self._context()
        context.action, context.resource, context.body, context.own = action, resource, body, own
        if task is not None:
            context.task, context.tenant = task.id, task.tenant

    def has_events(self) -> bool:
        """Whether the current command has emitted an event."""
        return len(self.changes.events) > self._marks[0]

    def refused(self, code: str) -> None:
        """Mark the audit record as refused, for a command that is refused but still recorded."""
        context = self._context()
        context.outcome, context.reasons = "refused", (code,)

    def take_changes(self) -> Changes:
        """Return the changes since the last call, with versions raised. Call this only between commands."""
        assert self.context is None, "changes can be taken only between commands"
        changes, self.changes = self.changes, Changes()
        if not changes:  # so it is in most batches of an idle engine
            return changes
        anchors.put_new(self.anchored, changes)
        for versioned in (changes.tasks, changes.works, changes.leases, changes.keys, changes.approvals):
            for row in versioned.values():
                row.version += 1
        for job in changes.jobs.values():
            if job is not None:
                job.version += 1
        for bot in changes.bots.values():
            if bot is not None:
                bot.row_version += 1
        for name, limit in changes.key_limits.items():
            assert limit is not None, "only here is an unused key removed"
            kept = replace(limit, version=limit.version + 1) if limit.running or limit.lines else None
            changes.key_limits[name] = self.rows[KEY_LIMIT, name] = kept
        return changes

    def _lists(self) -> tuple[list[Any], ...]:
        changes = self.changes
        return (
            changes.events,
            changes.edges,
            changes.attempts,
            changes.late_results,
            changes.feedback,
            changes.answered,
            changes.messages,
            changes.idempotency,
            changes.queues,
            changes.erased,
            changes.operations,
        )

    def _context(self) -> CommandContext:
        assert self.context is not None, "this is allowed only inside a command"
        return self.context

    def put(self, mapping: MutableMapping[Any, Any], key: Any, value: Any) -> None:
        """Set a mapping entry; `undo` restores the old value."""
        self._undo.append((mapping, key, mapping.get(key, _ABSENT)))
        mapping[key] = value

    def put_all(self, mapping: MutableMapping[Any, Any], entries: Mapping[Any, Any]) -> None:
        """Set several entries of a mapping; `undo` restores their old values."""
        undo, get = self._undo, mapping.get
        for key, value in entries.items():
            undo.append((mapping, key, get(key, _ABSENT)))
            mapping[key] = value

    def add_costs_of(self, task: TaskRecord, bot: str, skills: tuple[str, ...], usage: Mapping[str, int]) -> None:
        """Add what an attempt that ends now has used to all its sums."""
        self.add_costs(counting.cost_keys(task, self.now // DAY, bot, skills, task.labels), spent_by(usage))

    def add_costs(self, keys: Iterable[CostKey], spent: Spent, times: int = 1) -> None:
        """Add what was used to these sums; negative times take it out."""
        costs = self.changes.costs
        for key in keys:
            self.put(costs, key, counting.added(costs.get(key), spent, times))

    def drop(self, mapping: MutableMapping[Any, Any], key: Any) -> None:
        """Remove a mapping entry; `undo` restores it."""
        self._undo.append((mapping, key, mapping.pop(key)))

    def put_row(self, lookup: Lookup[K, V], key: K, value: V) -> None:
        """Set the value of a lookup for a key; `undo` restores the old value."""
        want = (lookup, key)
        self._undo.append((self.rows, want, self.rows.get(want, _ABSENT)))
        self.rows[want] = value

    def _edit(self, record: _Row) -> _Row:
        if id(record) not in self._before:
            self._before[id(record)] = (record, _READ[type(record)](record))
        return record
