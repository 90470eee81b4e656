"""Write rows of a task in slices: the rows of a plan, and rows that are reopened.

While some are missing, the task is `loading`: none of its items can be leased, and it cannot finish.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from swarmkeeper.core import events, lookups
from swarmkeeper.core.decide.effects import accounts, closing, rows
from swarmkeeper.core.decide.effects.steps import begin_job, room, step
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import BackgroundJob, Edge, Json, SubtaskSpec, TaskRecord, Work
from swarmkeeper.core.policies import labels
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import FINAL, AttemptOutcome, Status, Transition

_LOADS = frozenset({"plan", "reopen"})  # jobs that write rows: a task is `loading` until the last of them ends


# ---- plans ---------------------------------------------------------------------------------------------------------


def add_subtasks(
    working: WorkingSet,
    task: TaskRecord,
    specs: Sequence[SubtaskSpec],
    written: graph.Written | None = None,
    *,
    seen: labels.Flow = (),
) -> None:
    """Write a valid plan as rows, in slices. Counters include all rows at once, so that the task cannot finish early.

    Args:
        written: replaces `specs` for a first plan that is longer than a slice; see `graph.cut`.
        seen: labels of what the author of the subtasks has seen; they flow into all of them.
    """
    if written is not None:
        working.edit_task(task).subtask_labels = written.labels
        task.n_total += written.count
        working.count_open(task, written.count)
        _write_later(working, task, written.parts)
        return
    at = working.now
    failure_handled = graph.handled_keys(specs)
    inside = {spec.key for spec in specs}
    outside = sorted({parent for spec in specs for parent, _ in spec.depends_on if parent not in inside})
    parents = {key: known for key in outside if (known := working.get(lookups.WORK_KEY, (task.id, key))) is not None}
    working.get_many(lookups.WORK, list(parents.values()))
    for key in outside:
        if key in failure_handled:
            working.edit_work(working.work(parents[key])).failure_handled = True
    working.edit_task(task).subtask_labels = labels.merged(task.subtask_labels, graph.own_labels(specs))
    task.n_total += len(specs)
    working.count_open(task, len(specs))
    size = working.limits.slice_rows
    rows_each = size if len(specs) <= size else graph.part_rows(size)
    flowing = {key: labels.of_key(working.work(parent).labels, key) for key, parent in parents.items()}
    parts = list(graph.parts(specs, parents, failure_handled, rows_each, outside=flowing, base=seen))
    if len(parts) == 1 and not working.jobs(task):
        _write_whole(working, task, parts[0], at=at)
        return
    _write_later(working, task, [json.dumps(part).encode() for part in parts])


def _write_later(working: WorkingSet, task: TaskRecord, parts: Sequence[bytes]) -> None:
    task.loading = True
    at = working.now
    names = [f"{task.id}/plan/{at}/{number}" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        working.write_payload(task, name, part, kept=False)
    # Do not start it now: splitting a long plan was enough work for one commit, and a short plan waits for other jobs.
    working.add_job(task, "plan", {"slices": names, "at": at, "skipped": []})


def _write_whole(working: WorkingSet, task: TaskRecord, nodes: Sequence[Mapping[str, Json]], *, at: int) -> None:
    """Write a plan that fits in one slice at once, without a job; the task must have no other jobs."""
    written = rows.write_rows(working, task, nodes, at=at)
    skipped = [work for work in written if work.status is Status.SKIPPED]
    if skipped:
        working.emit(events.WorkSkipped.of(skipped), task=task)
        working.add_job(task, "settle", {"parents": [[work.id, ""] for work in skipped]})
    _release(working, task, written)


@step("plan")
def _plan_step(working: WorkingSet, task: TaskRecord, job: BackgroundJob) -> bool:
    """Write one slice of rows, from one or more parts; after the last, start the subtasks that can start."""
    names: list[str] = job.args["slices"]
    done = int(job.cursor or 0)
    written: list[Work] = []
    for nodes in rows.parts_now(working, names[done : done + graph.PARTS_A_SLICE]):
        written += rows.write_rows(working, task, nodes, at=job.args["at"])
        working.write_payload(task, names[done], None)
        done += 1
    skipped = [work for work in written if work.status is Status.SKIPPED]
    if skipped:
        working.emit(events.WorkSkipped.of(skipped), task=task)
    working.edit_job(job).cursor = str(done)
    job.args = {**job.args, "skipped": [*job.args["skipped"], *(work.id for work in skipped)]}
    if done < len(names):
        return False
    _loaded(working, task, job)
    if job.args["skipped"]:
        # A separate job, because their children can be listed only once these rows are stored.
        working.add_job(task, "settle", {"parents": [[work_id, ""] for work_id in job.args["skipped"]]})
    working.add_job(task, "release", {})
    return True


def _loaded(working: WorkingSet, task: TaskRecord, job: BackgroundJob) -> None:
    """Record that this job has written all its rows; end `loading` if no other job writes rows."""
    working.edit_task(task).loading = any(other.id != job.id and other.kind in _LOADS for other in working.jobs(task))


def _release(working: WorkingSet, task: TaskRecord, works: Iterable[Work]) -> None:
    freed = []
    for work in works:
        if work.status is Status.BLOCKED and work.pending == 0:
            working.move_work(task, work, Transition.UNBLOCKED)
            freed.append(work)
        elif work.status is Status.READY and work.start_due is None and not working.is_held(task):
            working.make_ready(task, work)  # it became READY while rows were still being written
    if freed:
        working.emit(events.WorkUnblocked.of(freed), task=task)


@step("release")
def _release_step(working: WorkingSet, task: TaskRecord, job: BackgroundJob) -> bool:
    """Start items without open dependencies: those of the new plan, and others that became READY meanwhile."""
    size = working.limits.slice_rows
    found = working.get(lookups.OPEN_WORKS, (task.id, job.cursor, size))
    _release(working, task, [working.work(work_id) for work_id in found])
    if found:
        working.edit_job(job).cursor = found[-1]
    return len(found) < size


# ---- reopening -----------------------------------------------------------------------------------------------------


def reopen(
    working: WorkingSet, task: TaskRecord, roots: Iterable[str], *, clear: bool, told: Iterable[str] = ()
) -> None:
    """Reset the roots and everything downstream to the start; see states.REOPEN.

    Args:
        clear: drop checkpoints, too (a retry does; rework continues from them).
        told: those that get feedback of a review, which has seen everything; so all labels flow into them.
    """
    _, edges = working.get(lookups.GRAPH, task.id)
    order = graph.downstream(roots, edges)
    if not order:
        return
    if len(order) > room(working) or working.jobs(task):
        # This takes several commits: the task must not finish until the last item is reopened.
        working.edit_task(task).loading = True
    begin_job(working, task, "reopen", {"order": order, "clear": clear, "whole": not task.loading, **_told(task, told)})


def _told(task: TaskRecord, told: Iterable[str]) -> dict[str, Json]:
    """Return what a job has to know of labels: nothing where no subtask has any."""
    return {"told": sorted(told), "seen": task.subtask_labels} if task.subtask_labels else {}


@step("reopen")
def _reopen_step(working: WorkingSet, task: TaskRecord, job: BackgroundJob) -> bool:
    done = int(job.cursor or 0)
    order: list[str] = job.args["order"]
    some = order[done : done + (len(order) if job.args["whole"] else working.limits.slice_rows)]
    working.get_many(lookups.PARENTS, some)
    working.get_many(lookups.WORK, some)
    working.get_many(lookups.LEASE, some)
    reopened = []
    for work_id in some:
        work = working.work(work_id)
        _reopen_item(working, task, work, clear=job.args["clear"])
        if task.subtask_labels:
            _flow_in(working, work, job.args)
        reopened.append(work)
    working.emit(events.WorkReopened.of(reopened), task=task)
    done += len(some)
    working.edit_job(job).cursor = str(done)
    if done < len(order):
        return False
    if not job.args["whole"]:
        _loaded(working, task, job)
        working.add_job(task, "unhold", {})
    return True


def _flow_in(working: WorkingSet, work: Work, args: Mapping[str, Json]) -> None:
    """Have the labels flow in that those before it have now, and with feedback, all. Nothing flows out again."""
    mine = work.labels or labels.NONE
    edges = working.get(lookups.PARENTS, work.id)
    before = [labels.of_key(parent.labels, parent.key) for parent in (working.work(edge.parent) for edge in edges)]
    seen = [tuple(each) for each in args.get("seen", ())] if work.id in args.get("told", ()) else []
    inflow = labels.merged(mine.inflow, *before, seen)
    if inflow != mine.inflow:
        working.edit_work(work).labels = labels.labels_or_none(mine.own, inflow)


def _reopen_item(working: WorkingSet, task: TaskRecord, work: Work, *, clear: bool) -> None:
    if work.status is Status.IN_REVIEW:
        review = working.work_by_key(task, f"review-of/{work.key}/{work.round}")
        if review is not None and review.status not in FINAL:
            closing.cancel_item(working, task, review)
    lease = working.lease_of(work)
    if lease is not None:
        accounts.end_attempt(working, task, work, lease, AttemptOutcome.CANCELLED)
    edges: list[Edge] = working.get(lookups.PARENTS, work.id)
    pending, broken = graph.edge_state(edges, {edge.parent: working.work(edge.parent).status for edge in edges})
    working.edit_work(work).pending = pending
    # A broken edge skips the item at once, as in `settle`; waiting for the other edges would not change that.
    status = Status.SKIPPED if broken else Status.BLOCKED if pending else Status.READY
    working.reopened(task, work, status)
    if clear:
        working.keep_checkpoint(task, work, None)
