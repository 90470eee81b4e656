"""Rows of a task that are written in slices: those of a plan, and those that are opened again.

While some of them are missing, the task is `loading`: nothing of it is handed out, and it cannot finish.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from swarmkeeper.core import events, graph, lookups
from swarmkeeper.core.decide import closing, rows
from swarmkeeper.core.decide.steps import begin_chore, room, step
from swarmkeeper.core.model import Chore, Edge, Json, SubtaskSpec, Task, Work
from swarmkeeper.core.states import FINAL, Ending, Happening, Status
from swarmkeeper.core.world import World

_LOADS = frozenset({"plan", "reopen"})  # chores in which a task is not whole: it is `loading` until the last of them


# ---- plans ---------------------------------------------------------------------------------------------------------


def add_subtasks(world: World, task: Task, specs: Sequence[SubtaskSpec], written: graph.Written | None = None) -> None:
    """Turn a sound plan into rows, in slices. Counters tell the whole at once, so that nothing finishes too early.

    Args:
        written: a first plan that is longer than a slice, in place of `specs`; see `graph.cut`.
    """
    if written is not None:
        world.edit_task(task)
        task.n_total += written.count
        world.count_open(task, written.count)
        _write_later(world, task, written.parts)
        return
    at = world.now
    handled = graph.handled_keys(specs)
    inside = {spec.key for spec in specs}
    outside = sorted({parent for spec in specs for parent, _ in spec.depends_on if parent not in inside})
    parents = {key: known for key in outside if (known := world.get(lookups.WORK_KEY, (task.id, key))) is not None}
    world.get_many(lookups.WORK, list(parents.values()))
    for key in outside:
        if key in handled:
            world.edit_work(world.work(parents[key])).handled = True
    world.edit_task(task)
    task.n_total += len(specs)
    world.count_open(task, len(specs))
    size = world.limits.slice_rows
    parts = list(graph.parts(specs, parents, handled, size if len(specs) <= size else graph.part_rows(size)))
    if len(parts) == 1 and not world.chores(task):
        _write_whole(world, task, parts[0], at=at)
        return
    _write_later(world, task, [json.dumps(part).encode() for part in parts])


def _write_later(world: World, task: Task, parts: Sequence[bytes]) -> None:
    task.loading = True
    at = world.now
    names = [f"{task.id}/plan/{at}/{number}" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        world.write_payload(task, name, part, kept=False)
    # Never begun here: to cut a long plan was work enough for one commit, and a short one waits for other chores.
    world.add_chore(task, "plan", {"slices": names, "at": at, "skipped": []})


def _write_whole(world: World, task: Task, nodes: Sequence[Mapping[str, Json]], *, at: int) -> None:
    """A plan that one slice holds, where nothing of the task is before it: no chore, and nothing kept for one."""
    written = rows.write_rows(world, task, nodes, at=at)
    skipped = [work for work in written if work.status is Status.SKIPPED]
    if skipped:
        world.emit(events.WorkSkipped.of(skipped), task=task)
        world.add_chore(task, "settle", {"parents": [[work.id, ""] for work in skipped]})
    _release(world, task, written)


@step("plan")
def _plan_step(world: World, task: Task, chore: Chore) -> bool:
    """Write one slice of rows, of one part or more; after the last, let what can begin begin."""
    names: list[str] = chore.args["slices"]
    done = int(chore.cursor or 0)
    written: list[Work] = []
    for nodes in rows.parts_now(world, names[done : done + graph.PARTS_A_SLICE]):
        written += rows.write_rows(world, task, nodes, at=chore.args["at"])
        world.write_payload(task, names[done], None)
        done += 1
    skipped = [work for work in written if work.status is Status.SKIPPED]
    if skipped:
        world.emit(events.WorkSkipped.of(skipped), task=task)
    world.edit_chore(chore).cursor = str(done)
    chore.args = {**chore.args, "skipped": [*chore.args["skipped"], *(work.id for work in skipped)]}
    if done < len(names):
        return False
    _loaded(world, task, chore)
    if chore.args["skipped"]:
        # A chore of its own: what lies behind them can be listed only once these rows are stored.
        world.add_chore(task, "settle", {"parents": [[work_id, ""] for work_id in chore.args["skipped"]]})
    world.add_chore(task, "release", {})
    return True


def _loaded(world: World, task: Task, chore: Chore) -> None:
    """Note that the rows of this chore are all written: where no other writes some, the task is whole again."""
    world.edit_task(task).loading = any(one.id != chore.id and one.kind in _LOADS for one in world.chores(task))


def _release(world: World, task: Task, works: Iterable[Work]) -> None:
    freed = []
    for work in works:
        if work.status is Status.BLOCKED and work.pending == 0:
            world.happened(task, work, Happening.UNBLOCKED)
            freed.append(work)
        elif work.status is Status.READY and work.start_due is None and not world.held_back(task):
            world.make_ready(task, work)  # it became READY while rows were still being written
    if freed:
        world.emit(events.WorkUnblocked.of(freed), task=task)


@step("release")
def _release_step(world: World, task: Task, chore: Chore) -> bool:
    """Let begin what waits for nothing: items of the new plan, and others that became READY while it was written."""
    size = world.limits.slice_rows
    found = world.get(lookups.OPEN_WORKS, (task.id, chore.cursor, size))
    _release(world, task, [world.work(work_id) for work_id in found])
    if found:
        world.edit_chore(chore).cursor = found[-1]
    return len(found) < size


# ---- opening again -------------------------------------------------------------------------------------------------


def reopen(world: World, task: Task, roots: Iterable[str], *, clear: bool) -> None:
    """Put roots and all that lies downstream of them back to the start; see states.REOPEN.

    Args:
        clear: forget checkpoints, too (retry does; rework goes on from them).
    """
    _, edges = world.get(lookups.GRAPH, task.id)
    order = graph.downstream(roots, edges)
    if not order:
        return
    if len(order) > room(world) or world.chores(task):
        # Not all in this commit: until the last of them is open again, nobody may take the task to be done.
        world.edit_task(task).loading = True
    begin_chore(world, task, "reopen", {"order": order, "clear": clear, "whole": not task.loading})


@step("reopen")
def _reopen_step(world: World, task: Task, chore: Chore) -> bool:
    done = int(chore.cursor or 0)
    order: list[str] = chore.args["order"]
    some = order[done : done + (len(order) if chore.args["whole"] else world.limits.slice_rows)]
    world.get_many(lookups.PARENTS, some)
    world.get_many(lookups.WORK, some)
    world.get_many(lookups.LEASE, some)
    told = []
    for work_id in some:
        work = world.work(work_id)
        _reopen_one(world, task, work, clear=chore.args["clear"])
        told.append(work)
    world.emit(events.WorkReopened.of(told), task=task)
    done += len(some)
    world.edit_chore(chore).cursor = str(done)
    if done < len(order):
        return False
    if not chore.args["whole"]:
        _loaded(world, task, chore)
        world.add_chore(task, "unhold", {})
    return True


def _reopen_one(world: World, task: Task, work: Work, *, clear: bool) -> None:
    if work.status is Status.IN_REVIEW:
        review = world.work_by_key(task, f"review-of/{work.key}/{work.round}")
        if review is not None and review.status not in FINAL:
            closing.cancel_item(world, task, review)
    lease = world.lease_of(work)
    if lease is not None:
        world.end_lease(task, work, lease, Ending.CANCELLED)
    edges: list[Edge] = world.get(lookups.PARENTS, work.id)
    pending, broken = graph.standing(edges, {edge.parent: world.work(edge.parent).status for edge in edges})
    world.edit_work(work).pending = pending
    # A broken edge skips at once, as it does in the first pass; waiting for the others would end the same way.
    status = Status.SKIPPED if broken else Status.BLOCKED if pending else Status.READY
    world.reopened(task, work, status)
    if clear:
        work.checkpoint = None
