"""Adds what a batch changes to the counts and sums of its `Changes`. See records.py for what they are."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from swarmkeeper.core.model import TaskRecord
from swarmkeeper.core.ports import Changes
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
    pairs_of,
    week_of,
)

State = tuple[Any, ...]  # status, outcome, labels: what a task is counted by, of all that may change


def state_of(task: TaskRecord) -> State:
    return task.status, task.outcome, task.labels


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
        _count(changes, task, now, 1)
        states[task.id] = now


def _count(changes: Changes, task: TaskRecord, state: State, by: int) -> None:
    status, outcome, labels = state
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
