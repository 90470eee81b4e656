"""Background jobs: long work of one task, done in slices; and which function does a slice of which kind of job.

`begin_job` does the first slice in the commit of the command. The rest is stored as a `BackgroundJob`, and
decisions/timers.py continues it with one slice in each batch. The jobs of one task run one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import BackgroundJob, Json, Task

Step = Callable[[WorkingSet, Task, BackgroundJob], bool]  # does one slice; whether it was the last

STEPS: dict[str, Step] = {}  # by kind of job; each module of this package adds its own with `step`


def step(kind: str) -> Callable[[Step], Step]:
    """Register the function that does one slice of a kind of job."""

    def register(function: Step) -> Step:
        STEPS[kind] = function
        return function

    return register


def begin_job(working: WorkingSet, task: Task, kind: str, args: Mapping[str, Json]) -> None:
    """Start a piece of work that may be long: at once where no other job of the task is before it."""
    free = not working.jobs(task)
    job = working.add_job(task, kind, args)
    if free and STEPS[kind](working, task, job):
        working.end_job(job)


def room(working: WorkingSet) -> int:
    """How many more rows the current command, or the slice of a job, may write."""
    return max(1, working.limits.slice_rows - working.rows_written)
