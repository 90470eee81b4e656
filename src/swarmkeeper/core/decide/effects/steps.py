"""Background jobs: long work of one task, done in slices, and the function for each kind of job.

`begin_job` does the first slice in the commit of the command. The rest is stored as a `BackgroundJob`, and
decisions/timers.py continues it with one slice in each batch. The jobs of one task run one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.lookups import Lookup, Page
from swarmkeeper.core.model import BackgroundJob, Json, TaskRecord, Work

Step = Callable[[WorkingSet, TaskRecord, BackgroundJob], bool]  # runs one slice; returns whether it was the last

STEPS: dict[str, Step] = {}  # by kind of job; modules of this package register theirs with `step`


def step(kind: str) -> Callable[[Step], Step]:
    """Register the decorated function as the one that runs a slice of this kind of job."""

    def register(function: Step) -> Step:
        STEPS[kind] = function
        return function

    return register


def begin_job(working: WorkingSet, task: TaskRecord, kind: str, args: Mapping[str, Json]) -> None:
    """Start a job; its first slice runs at once, unless the task has other jobs."""
    free = not working.jobs(task)
    job = working.add_job(task, kind, args)
    if free and STEPS[kind](working, task, job):
        working.end_job(job)


def next_works(
    working: WorkingSet, task: TaskRecord, job: BackgroundJob, lookup: Lookup[Page, list[str]]
) -> tuple[list[Work], bool]:
    """Return a job's next slice of the items in a list, and whether it is the last; advance the cursor.

    The list shows the stored state; the current command may have changed the items.
    """
    size = working.limits.slice_rows
    found = working.get(lookup, (task.id, job.cursor, size))
    works = working.works(found)
    if found:
        working.edit_job(job).cursor = found[-1]
    return works, len(found) < size


def room(working: WorkingSet) -> int:
    """Return how many more rows the current command, or job slice, may write; at least 1."""
    return max(1, working.limits.slice_rows - working.rows_written)
