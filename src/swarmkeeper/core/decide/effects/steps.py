"""Long work of one task, done in slices: how it begins, and which function does a slice of which kind of chore.

`begin_chore` does the first slice in the command's own commit. What is left is written down as a `BackgroundJob`, and upkeep.py
goes on with it, one slice a batch. The chores of one task run one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import BackgroundJob, Json, Task

Step = Callable[[WorkingSet, Task, BackgroundJob], bool]  # does one slice; whether it was the last

STEPS: dict[str, Step] = {}  # by kind of chore; each module of this package adds its own with `step`


def step(kind: str) -> Callable[[Step], Step]:
    """Register the function that does one slice of a kind of chore."""

    def register(function: Step) -> Step:
        STEPS[kind] = function
        return function

    return register


def begin_chore(working: WorkingSet, task: Task, kind: str, args: Mapping[str, Json]) -> None:
    """Start a piece of work that may be long: at once where no other chore of the task is before it."""
    free = not working.jobs(task)
    job = working.add_job(task, kind, args)
    if free and STEPS[kind](working, task, job):
        working.end_job(job)


def room(working: WorkingSet) -> int:
    """How many more rows the current command, or the slice of a chore, may write."""
    return max(1, working.limits.slice_rows - working.rows_written)
