"""Settle the edges of an ended item: its children become READY, or are skipped."""

from __future__ import annotations

from swarmkeeper.core import events, lookups
from swarmkeeper.core.decide.effects.steps import room, step
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import BackgroundJob, Edge, TaskRecord, Work
from swarmkeeper.core.states import EDGE_MET, Status, Transition

# Levels of skipped items that one slice follows. Each level needs another load, and then a new decision.
LEVELS_MAX = 16


def settle(working: WorkingSet, task: TaskRecord, work: Work) -> None:
    """Settle all edges from an item that has ended; a job continues if they are more than a slice."""
    rest = _settle_some(working, task, [[work.id, ""]])
    if rest:
        working.add_job(task, "settle", {"parents": rest})


def _settle_some(working: WorkingSet, task: TaskRecord, parents: list[list[str]]) -> list[list[str]]:
    """Settle edges until the slice is full; return the rest as a list of [parent, last child done]."""
    size = working.limits.slice_rows
    queue = [list(entry) for entry in parents]
    working.get_many(lookups.WORK, [parent_id for parent_id, _ in queue[:size]])
    depth = {parent_id: 0 for parent_id, _ in queue}
    freed: list[Work] = []
    skipped: list[Work] = []
    looked_at = 0
    while queue and room(working) > 1 and looked_at < size:
        parent_id, after = queue[0]
        if depth[parent_id] > LEVELS_MAX:
            break
        if working.known(lookups.CHILDREN, (parent_id, after, size)) is None:
            # Load the children of all queued parents together.
            working.get_many(lookups.CHILDREN, [(parent, last, size) for parent, last in queue[: size - looked_at]])
        looked_at += 1
        edges: list[Edge] = working.get(lookups.CHILDREN, (parent_id, after, size))
        status = working.work(parent_id).status
        for edge in edges:
            if room(working) <= 1:
                break
            queue[0][1] = edge.child
            child = working.work(edge.child)
            if child.status is not Status.BLOCKED:
                continue
            if not EDGE_MET[edge.condition, status]:
                working.move_work(task, child, Transition.SKIPPED)
                skipped.append(child)
                queue.append([child.id, ""])
                depth[child.id] = depth[parent_id] + 1
                continue
            working.edit_work(child).pending -= 1
            if child.pending == 0:
                working.move_work(task, child, Transition.UNBLOCKED)
                freed.append(child)
        else:
            if len(edges) < size:
                queue.pop(0)
    if skipped:
        working.emit(events.WorkSkipped.of(skipped), task=task)
    if freed:
        working.emit(events.WorkUnblocked.of(freed), task=task)
    return queue


@step("settle")
def _settle_step(working: WorkingSet, task: TaskRecord, job: BackgroundJob) -> bool:
    rest = _settle_some(working, task, job.args["parents"])
    working.edit_job(job).args = {"parents": rest}
    return not rest
