"""Remembers the tasks that this server has just committed, for callers who would otherwise ask the store for them.

Whoever submits a task is shown the row that its commit wrote. Whoever waits for a task first asks for its version; the
answer may be older than what another server has committed in the meantime, since the caller is told of every change
from then on: by a commit here, or by the feed of events. So a task is forgotten as soon as an event names it that this
server has not written itself. Each event of a task has the next number of that task: one that the remembered task does
not count yet is another server's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from swarmkeeper.core.model import Principal, TaskRecord
from swarmkeeper.core.named_reads import TaskRow
from swarmkeeper.core.ports import Changes, Rules

KNOWN_MAX = 20_000  # versions, the newest
SUBMITTED_MAX = 1_000  # rows of tasks that were submitted, until their callers take them


class _KnownVersion(NamedTuple):
    tenant: str
    party: str | None
    version: int
    final: bool
    sequence: int  # of its last event


class KnownTasks:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._of: dict[str, _KnownVersion] = {}
        self._submitted: dict[str, TaskRecord] = {}
        # Whether memory may answer: in a shared store, only while what others change is followed.
        self.is_fresh: Callable[[], bool] = lambda: True

    def committed(self, changes: Changes) -> None:
        """Follow a commit of this process."""
        if changes.erased or changes.erased_keys:
            self.forget_all()
        for name, task in changes.tasks.items():
            self._of.pop(name, None)  # it becomes the newest
            final = task.outcome is not None
            self._of[name] = _KnownVersion(task.tenant, task.party, task.version, final, task.sequence)
            if task.version == 1:
                self._submitted[name] = task
        _shorten(self._of, KNOWN_MAX)
        _shorten(self._submitted, SUBMITTED_MAX)

    def happened(self, task: str, sequence: int) -> None:
        """Follow the feed: forget a task that another server has changed."""
        known = self._of.get(task)
        if known is not None and known.sequence < sequence:
            del self._of[task]

    def forget_all(self) -> None:
        """Call this after another process has written, or after a tenant or a task was erased."""
        self._of.clear()
        self._submitted.clear()

    def version(self, principal: Principal, task_id: str) -> tuple[int, bool] | None:
        """Return a task's version and whether it is final; None if only the store can say, or who may not know."""
        known = self._of.get(task_id)
        if known is None or not self.is_fresh() or not self._shows(principal, known.tenant, known.party):
            return None
        return known.version, known.final

    def take_submitted(self, principal: Principal, task_id: str) -> TaskRow | None:
        """Return the row of a task as its submission has just written it, once; None if only the store can say."""
        task = self._submitted.pop(task_id, None)
        if task is None or task.budget is not None or not self._shows(principal, task.tenant, task.party):
            return None
        return _row_of(task)

    def _shows(self, principal: Principal, tenant: str, party: str | None) -> bool:
        return principal.tenant == tenant and principal.sees(party) and self._rules.may(principal, "task.read")


def _shorten(known: dict[str, _KnownVersion] | dict[str, TaskRecord], most: int) -> None:
    while len(known) > most:
        del known[next(iter(known))]


def _row_of(task: TaskRecord) -> TaskRow:
    """Return what the store would read of a task without a budget."""
    accept, of = task.quorum
    return TaskRow(
        id=task.id,
        tenant=task.tenant,
        party=task.party,
        title=task.title,
        status=task.status.value,
        outcome=None if task.outcome is None else task.outcome.value,
        failure=None if task.failure is None else _json(task.failure),
        holds=_json(task.hold_reasons),
        priority=task.priority,
        version=task.version,
        spec=task.spec,
        verdict=task.verdict,
        n_total=task.n_total,
        n_open=task.n_open,
        n_failed=task.n_failed,
        loading=int(task.loading),
        round=task.round,
        labels=_json(task.labels),
        submitted_by=task.submitted_by,
        planner_skills=_json(task.planner_skills),
        evaluator_skills=_json(task.evaluator_skills),
        evaluation=task.evaluation.value,
        quorum_accept=accept,
        quorum_of=of,
        max_rounds=task.max_rounds,
        approval=task.approval,
        plan_timeout=task.plan_timeout,
        review_timeout=task.review_timeout,
        defaults=_json(task.defaults),
        deadline=task.deadline,
        usage=_json(task.usage),
        created_at=task.created_at,
        updated_at=task.updated_at,
        budget=None,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
