"""Adds what a batch changes to the counts and sums of its `Changes`. See records.py for what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from swarmkeeper.core.lookups import TASK
from swarmkeeper.core.model import Queue, TaskRecord
from swarmkeeper.core.ports import Changes, Key
from swarmkeeper.core.tallies.records import (
    BY_BOT,
    BY_DAY,
    BY_LABEL,
    BY_SKILL,
    ERASED,
    CostKey,
    CountKey,
    LabelKey,
    Spent,
    mark_of_failure,
    mark_of_skill,
    marks_of_error,
    pairs_of,
    week_of,
)

# Status, outcome, labels and code of the failure: what a task is counted and listed by, of all that may change.
State = tuple[Any, ...]


def state_of(task: TaskRecord) -> State:
    return task.status, task.outcome, task.labels, task.failure and task.failure["code"]


def remember(states: MutableMapping[str, State], task: TaskRecord | None) -> None:
    """Note in which state the store counts a task that was just loaded."""
    if task is not None:
        states[task.id] = state_of(task)


def count_changed(changes: Changes, states: MutableMapping[str, State]) -> None:
    """Count the tasks that have changed, and remember their new states.

    Args:
        states: by id, the states in which the tasks are counted already. A new task has none.
    """
    for task in changes.tasks.values():
        before, now = states.get(task.id), state_of(task)
        if before == now:
            continue
        if before is not None:
            _count(changes, task, before, -1)
            if before[2] != now[2]:
                changes.relabelled[task.id] = before[2]
            if before[3] and before[3] != now[3]:
                _mark(changes, task, (mark_of_failure(before[3]),), is_there=False)
        if now[3] and (before is None or before[3] != now[3]):
            _mark(changes, task, (mark_of_failure(now[3]),))
        _count(changes, task, now, 1)
        states[task.id] = now


def mark(changes: Changes, rows: Mapping[Key, Any], queues: Mapping[int, Queue]) -> None:
    """Mark the tasks of new items with the skills that these need, and of ended attempts with the words of errors.

    Args:
        changes: before their versions are raised.
        rows: have the tasks, unless they leave.
    """
    new = {(work.task, work.queue): None for work in changes.works.values() if work.version == 0}
    for name, queue in new:
        if (task := rows.get((TASK, name))) is not None:
            _mark(changes, task, map(mark_of_skill, queues[queue].skills))
    for attempt in changes.attempts:
        if attempt.error is not None and (task := rows.get((TASK, attempt.task))) is not None:
            _mark(changes, task, marks_of_error(attempt.error))


def _mark(changes: Changes, task: TaskRecord, marks: Iterable[str], *, is_there: bool = True) -> None:
    for each in marks:
        changes.marks[task.tenant, each, task.created_at, task.id] = is_there


def _count(changes: Changes, task: TaskRecord, state: State, by: int) -> None:
    status, outcome, labels, _ = state
    party, week = task.party or "", week_of(task.created_at)
    counts: dict[CountKey, int] = changes.task_counts
    key = (task.tenant, party, week, str(status), str(outcome or ""))
    counts[key] = counts.get(key, 0) + by
    by_label: dict[LabelKey, int] = changes.label_counts
    for name, value in labels.items():
        of_label = (task.tenant, name, value, party, week)
        by_label[of_label] = by_label.get(of_label, 0) + by


def erased(task: TaskRecord, state: State) -> tuple[dict[CountKey, int], dict[LabelKey, int]]:
    """Return the counts less a task that leaves."""
    less = Changes()
    _count(less, task, state, -1)
    return less.task_counts, less.label_counts


def cost_keys(
    task: TaskRecord, day: int, bot: str, skills: tuple[str, ...], labels: Mapping[str, str]
) -> list[CostKey]:
    """Return all sums that what an attempt used belongs to."""
    tenant, party, week = task.tenant, task.party or "", week_of(task.created_at)
    names = [(BY_DAY, ""), (BY_BOT, bot), *((BY_SKILL, skill) for skill in skills)]
    names += [(BY_LABEL, label) for label in pairs_of(labels)]
    return [(tenant, part, day, name, party, week) for part, name in names]


def erased_key(task: TaskRecord, day: int) -> CostKey:
    """Return the sum that stays when an attempt leaves. It tells of no task, bot or person."""
    return task.tenant, ERASED, day, "", "", 0


def added(one: Spent | None, other: Spent, times: int = 1) -> Spent:
    """Return a sum of amounts."""
    first = one or (0, 0, 0, 0)
    return (
        first[0] + times * other[0],
        first[1] + times * other[1],
        first[2] + times * other[2],
        first[3] + times * other[3],
    )
