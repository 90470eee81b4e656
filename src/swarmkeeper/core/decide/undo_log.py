"""The journal of one command: who acts, what its audit record will say, and how all that it did is taken back.

A command that is refused, or has to be decided again, leaves nothing behind: entries of mappings are put back as they
were, records get their fields back, lists are cut to where they ended. What a world knows and does is in working.py.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, TypeVar

from swarmkeeper.core import ids
from swarmkeeper.core.lookups import K, Lookup, V
from swarmkeeper.core.model import ApiKey, Approval, AuditEntry, BackgroundJob, Bot, Json, Lease, Principal, Task, Work
from swarmkeeper.core.ports import Changes, Key, Rules

_ABSENT: Any = object()
_Row = TypeVar("_Row", Task, Work, Lease, Bot, ApiKey, Approval, BackgroundJob)
_SLOTS = {
    row: tuple(one.name for one in fields(row)) for row in (Task, Work, Lease, Bot, ApiKey, Approval, BackgroundJob)
}
_READ = {row: attrgetter(*names) for row, names in _SLOTS.items()}


@dataclass(slots=True)
class CommandContext:
    """Who acts, and what the audit record of it will say."""

    actor_type: str
    actor: str
    by: Principal
    seed: bytes
    audit: str  # id of the record to be
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
    request: str = ""  # id of the call
    ids_made: int = 0


class UndoLog:
    def __init__(self, *, now: int, rules: Rules) -> None:
        self.now = now
        self.rules = rules
        self.rows: dict[Key, Any] = {}
        self.changes = Changes()
        self.entries: list[AuditEntry] = []
        self.rows_written = 0  # by the current command: what bounds its part of long work
        self.context: CommandContext | None = None
        self._undo: list[tuple[MutableMapping[Any, Any], Any, Any]] = []
        self._before: dict[int, tuple[Any, tuple[Any, ...]]] = {}
        self._marks: tuple[int, ...] = ()
        self._volatile: list[Key] = []  # rows that are forgotten after each command that changed something

    def begin(
        self, *, actor_type: str, actor: str, by: Principal, seed: bytes, trace: str = "", request: str = ""
    ) -> None:
        """Open the scope of one command. Everything until `finish` or `undo` belongs to it."""
        audit = ids.timed("aud", self.now, seed, "audit")
        self.context = CommandContext(actor_type, actor, by, seed, audit, trace, tenant=by.tenant, request=request)
        self._undo.clear()
        self._before.clear()
        self.rows_written = 0
        self._marks = tuple(map(len, self._lists()))

    def finish(self) -> None:
        """Keep what was done. Its audit record is made where anything was."""
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
                    body=self.rules.redact(
                        context.body if context.body is not None else {}, context.own, tenant=context.tenant
                    ),
                    salt=ids.salt(context.seed),
                    trace=context.trace,
                )
            )
        else:
            assert not events, "an event without an audit record"
        if self._undo or self._before:
            for want in self._volatile:
                self.rows.pop(want, None)
            self._volatile.clear()
        self.context = None

    def undo(self) -> None:
        """Forget what was done since `begin`."""
        for mapping, key, old in reversed(self._undo):
            if old is _ABSENT:
                mapping.pop(key, None)
            else:
                mapping[key] = old
        for record, values in self._before.values():
            for name, value in zip(_SLOTS[type(record)], values, strict=True):
                setattr(record, name, value)
        for each, length in zip(self._lists(), self._marks, strict=True):
            del each[length:]
        self._undo.clear()
        self._before.clear()
        self.context = None

    def record(
        self,
        action: str,
        resource: str,
        *,
        task: Task | None = None,
        body: Json = None,
        own: Mapping[str, Json] | None = None,
    ) -> None:
        """Say what the current command does: its audit record. `own` is what of its body is ours, see Rules.redact."""
        context = self._context()
        context.action, context.resource, context.body, context.own = action, resource, body, own
        if task is not None:
            context.task, context.tenant = task.id, task.tenant

    def refused(self, code: str) -> None:
        """The command is refused, but leaves a record of its own."""
        context = self._context()
        context.outcome, context.reasons = "refused", (code,)

    def take_changes(self) -> Changes:
        """What has changed since the last call, with versions raised. Only between scopes."""
        assert self.context is None, "changes are taken between commands"
        changes, self.changes = self.changes, Changes()
        for versioned in (changes.tasks, changes.works, changes.leases, changes.keys, changes.approvals):
            for row in versioned.values():
                row.version += 1
        for job in changes.jobs.values():
            if job is not None:
                job.version += 1
        for bot in changes.bots.values():
            if bot is not None:
                bot.row_version += 1
        return changes

    def _lists(self) -> tuple[list[Any], ...]:
        c = self.changes
        return (
            c.events,
            c.edges,
            c.attempts,
            c.late_results,
            c.feedback,
            c.answered,
            c.messages,
            c.idempotency,
            c.queues,
        )

    def _context(self) -> CommandContext:
        assert self.context is not None, "outside of any command"
        return self.context

    def put(self, mapping: MutableMapping[Any, Any], key: Any, value: Any) -> None:
        """Set an entry, so that `undo` can take it back."""
        self._undo.append((mapping, key, mapping.get(key, _ABSENT)))
        mapping[key] = value

    def put_row(self, lookup: Lookup[K, V], key: K, value: V) -> None:
        """Set what is found under a key from now on, so that `undo` can take it back."""
        want = (lookup, key)
        self._undo.append((self.rows, want, self.rows.get(want, _ABSENT)))
        self.rows[want] = value

    def _edit(self, record: _Row) -> _Row:
        if id(record) not in self._before:
            self._before[id(record)] = (record, _READ[type(record)](record))
        return record
