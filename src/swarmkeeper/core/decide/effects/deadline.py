"""The clock of a deadline: stopped while a task is COMPLETED or waits for a person; then the remaining time runs."""

from __future__ import annotations

from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import TaskRecord


def stop(working: WorkingSet, task: TaskRecord) -> None:
    if task.deadline is not None:
        working.edit_task(task)
        task.deadline_left, task.deadline = max(0, task.deadline - working.now), None
        working.set_timer("deadline", task.id, None)


def start(working: WorkingSet, task: TaskRecord) -> None:
    if task.deadline_left is not None:
        working.edit_task(task)
        task.deadline, task.deadline_left = working.now + task.deadline_left, None
        working.set_timer("deadline", task.id, task.deadline)
