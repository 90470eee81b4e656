"""Turns counts and sums of a batch into rows for the statements of writes.sql, and loads what their changes need."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

from swarmkeeper.core.ports import Changes, Key
from swarmkeeper.core.tallies.records import AttemptCosts, pairs_of
from swarmkeeper.storage.rows import Row

LOOKUPS = frozenset({"task_costs"})
Writes = list[tuple[str, list[Row]]]
_KEYS = (5, 5, 6)  # columns of a key: of counts of tasks, of labels, of costs


def load(wanted: Mapping[str, Iterable[Any]]) -> Generator[tuple[str, Mapping[str, Any]], list[Any], dict[Key, Any]]:
    """Return the rows of the lookups of tallies among `wanted`, which has the keys by lookup."""
    found: dict[Key, Any] = {}
    for task, works in wanted.get("task_costs", ()):
        if works:
            got = yield "load_costs_of_works", {"works": json.dumps(works)}
        else:
            got = yield "load_costs_of_task", {"task": task}
        found["task_costs", (task, works)] = tuple(
            AttemptCosts(day, bot, queue, tuple(spent)) for day, bot, queue, *spent in got
        )
    return found


def given(changes: Changes) -> tuple[list[Row], list[Row], list[Row]]:
    """Return what a batch adds to counts of tasks, to counts of labels and to costs."""
    counts = [(*key, by) for key, by in changes.task_counts.items() if by]
    by_label = [(*key, by) for key, by in changes.label_counts.items() if by]
    costs = [(*key, *spent) for key, spent in changes.costs.items() if any(spent)]
    return counts, by_label, costs


def summed(told: Iterable[Sequence[Sequence[Sequence[Any]]]]) -> tuple[list[Row], list[Row], list[Row]]:
    """Return the sums of what several batches add: a row for each count, in the order of their keys."""
    by_key: tuple[dict[Row, list[int]], ...] = ({}, {}, {})
    for parts in told:
        for sums, part, width in zip(by_key, parts, _KEYS, strict=True):
            for row in part:
                key, amounts = tuple(row[:width]), row[width:]
                known = sums.get(key)
                sums[key] = list(amounts) if known is None else [a + b for a, b in zip(known, amounts, strict=True)]
    counts, by_label, costs = ([(*key, *sums[key]) for key in sorted(sums) if any(sums[key])] for sums in by_key)
    return counts, by_label, costs


def writes_of(counts: list[Row], by_label: list[Row], costs: list[Row], late: Sequence[Row] = ()) -> Writes:
    """Return the statements for these rows. What is at nothing afterwards is removed: names may tell of persons.

    Args:
        late: those of costs that may belong to spans of days, too; see spans.py.
    """
    writes: Writes = [("add_task_count", counts), ("add_label_count", by_label), ("add_cost", costs)]
    writes.append(("drop_label_count", [row[:-1] for row in by_label if row[-1] < 0]))
    writes.append(("drop_cost", [row[:6] for row in costs if row[-1] < 0]))
    if late:
        writes.append(("add_cost_span", list(late)))
        writes.append(("drop_cost_span", [row[:4] for row in late if row[-1] < 0]))
    return [write for write in writes if write[1]]


def labels(changes: Changes) -> tuple[list[Row], list[Row]]:
    """Return the labels and marks that tasks have no more, and those that they have now."""
    gone: list[Row] = []
    come: list[Row] = []
    for name, task in changes.tasks.items():
        former = changes.relabelled.get(name)
        if former is not None:
            gone += [(task.tenant, label, task.created_at, name) for label in pairs_of(former)]
        if task.labels and (former is not None or task.version == 1):
            come += [(task.tenant, label, task.created_at, name) for label in pairs_of(task.labels)]
    for mark, is_there in changes.marks.items():
        (come if is_there else gone).append(mark)
    return gone, come
