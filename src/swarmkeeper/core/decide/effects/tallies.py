"""Keep sums of costs: when an attempt ends, when its task gets other labels, and when it leaves. See core/tallies/."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.lookups import TASK_COSTS
from swarmkeeper.core.model import TaskRecord
from swarmkeeper.core.tallies import counting
from swarmkeeper.core.tallies.records import BY_LABEL, AttemptCosts, CostKey, pairs_of, week_of


def relabel(working: WorkingSet, task: TaskRecord, labels: Mapping[str, str]) -> None:
    """Move what the task's attempts used from its labels to others. Call it before the labels change."""
    if not task.usage:
        return
    for costs in working.get(TASK_COSTS, (task.id, ())):
        for times, names in ((-1, task.labels), (1, labels)):
            working.add_costs(_of_labels(task, costs, names), costs.spent, times)


def _of_labels(task: TaskRecord, costs: AttemptCosts, labels: Mapping[str, str]) -> Iterable[CostKey]:
    party, week = task.party or "", week_of(task.created_at)
    return [(task.tenant, BY_LABEL, costs.day, label, party, week) for label in pairs_of(labels)]


def erase_attempts(working: WorkingSet, task: TaskRecord, works: tuple[str, ...]) -> None:
    """Take what attempts at these items used out of all sums; only those of days stay, without a name."""
    if not task.usage:
        return
    for costs in working.get(TASK_COSTS, (task.id, works)):
        skills = working.queues.by_id[costs.queue].skills
        keys = counting.cost_keys(task, costs.day, costs.bot, skills, task.labels)
        working.add_costs(keys, costs.spent, -1)
        working.add_costs([counting.erased_key(task, costs.day)], costs.spent, 1)


def erase_task(working: WorkingSet, task: TaskRecord) -> None:
    """Count the task no more."""
    counts, by_label = counting.erased(task, counting.state_of(task))
    changes = working.changes
    for key, by in counts.items():
        working.put(changes.task_counts, key, changes.task_counts.get(key, 0) + by)
    for of_label, by in by_label.items():
        working.put(changes.label_counts, of_label, changes.label_counts.get(of_label, 0) + by)
