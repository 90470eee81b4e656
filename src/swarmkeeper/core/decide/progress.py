"""How a task moves on by itself once something of it changed: edges settle, plans become rows, tasks finish or fail.

Long work is a chore: `begin_chore` does the first slice in the command's own commit, and what is left is written down
and goes on one slice a batch (see upkeep.py). The chores of one task run one after another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from swarmkeeper.core import graph
from swarmkeeper.core.decide import asking, deadline, rows
from swarmkeeper.core.model import Chore, Edge, Json, SubtaskSpec, Task, Work
from swarmkeeper.core.states import (
    EDGE_MET,
    FINAL,
    OUTCOME_OF,
    TASK_CLOSED,
    Ending,
    Evaluation,
    FailureCode,
    Happening,
    Kind,
    Outcome,
    Status,
    TaskHappening,
    TaskStatus,
)
from swarmkeeper.core.world import World, failure

Step = Callable[[World, Task, Chore], bool]

_LOADS = frozenset({"plan", "reopen"})  # chores in which a task is not whole: it is `loading` until the last of them

KEYS_TOLD = graph.TOLD_MAX  # an event names at most so many keys; it always has the count
# How far down one slice follows what is skipped: each level has to be loaded, and what was decided is decided again.
LEVELS_MAX = 16


def keys_of(works: Sequence[Work]) -> dict[str, Json]:
    return {"count": len(works), "keys": [work.key for work in works[:KEYS_TOLD]]}


# ---- chores --------------------------------------------------------------------------------------------------------


def begin_chore(world: World, task: Task, kind: str, args: Mapping[str, Json]) -> None:
    """Start a piece of work that may be long: at once where no other chore of the task is before it."""
    free = not world.chores(task)
    chore = world.add_chore(task, kind, args)
    if free and STEPS[kind](world, task, chore):
        world.end_chore(chore)


def room(world: World) -> int:
    """How many more rows the current command, or the slice of a chore, may write."""
    return max(1, world.limits.slice_rows - world.rows_written)


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
    parents = {key: known for key in outside if (known := world.look("work_key", (task.id, key))) is not None}
    world.looks("work", list(parents.values()))
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
        world.emit("work.skipped", keys_of(skipped), task=task)
        world.add_chore(task, "settle", {"parents": [[work.id, ""] for work in skipped]})
    _release(world, task, written)


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
        world.emit("work.skipped", keys_of(skipped), task=task)
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
        world.emit("work.unblocked", keys_of(freed), task=task)


def _release_step(world: World, task: Task, chore: Chore) -> bool:
    """Let begin what waits for nothing: items of the new plan, and others that became READY while it was written."""
    size = world.limits.slice_rows
    found = world.look("open_works", (task.id, chore.cursor, size))
    _release(world, task, [world.work(work_id) for work_id in found])
    if found:
        world.edit_chore(chore).cursor = found[-1]
    return len(found) < size


# ---- edges ---------------------------------------------------------------------------------------------------------


def settle(world: World, task: Task, work: Work) -> None:
    """Tell everything that waits for this item that it has ended."""
    rest = _settle_some(world, task, [[work.id, ""]])
    if rest:
        world.add_chore(task, "settle", {"parents": rest})


def _settle_some(world: World, task: Task, parents: list[list[str]]) -> list[list[str]]:
    """Settle edges until the slice is full; what is left to do is returned, as [parent, last child done]."""
    size = world.limits.slice_rows
    queue = [list(one) for one in parents]
    world.looks("work", [parent_id for parent_id, _ in queue[:size]])
    depth = {parent_id: 0 for parent_id, _ in queue}
    freed: list[Work] = []
    skipped: list[Work] = []
    looked_at = 0
    while queue and room(world) > 1 and looked_at < size:
        parent_id, after = queue[0]
        if depth[parent_id] > LEVELS_MAX:
            break
        if ("children", (parent_id, after, size)) not in world.rows:
            # What lies behind all that are skipped together is loaded together.
            world.looks("children", [(one, last, size) for one, last in queue[: size - looked_at]])
        looked_at += 1
        edges: list[Edge] = world.look("children", (parent_id, after, size))
        status = world.work(parent_id).status
        for edge in edges:
            if room(world) <= 1:
                break
            queue[0][1] = edge.child
            child = world.work(edge.child)
            if child.status is not Status.BLOCKED:
                continue
            if not EDGE_MET[edge.condition, status]:
                world.happened(task, child, Happening.SKIPPED)
                skipped.append(child)
                queue.append([child.id, ""])
                depth[child.id] = depth[parent_id] + 1
                continue
            world.edit_work(child).pending -= 1
            if child.pending == 0:
                world.happened(task, child, Happening.UNBLOCKED)
                freed.append(child)
        else:
            if len(edges) < size:
                queue.pop(0)
    if skipped:
        world.emit("work.skipped", keys_of(skipped), task=task)
    if freed:
        world.emit("work.unblocked", keys_of(freed), task=task)
    return queue


def _settle_step(world: World, task: Task, chore: Chore) -> bool:
    rest = _settle_some(world, task, chore.args["parents"])
    world.edit_chore(chore).args = {"parents": rest}
    return not rest


# ---- ends of items -------------------------------------------------------------------------------------------------


def item_ended(world: World, task: Task, work: Work) -> None:
    """An execute item has become SUCCEEDED or FAILED: what follows for those behind it, and for the task."""
    if work.status is Status.FAILED and not work.handled:
        code = FailureCode((work.error or {}).get("code", "subtask_failed"))
        fail_task(world, task, code, f"subtask {work.key} failed and nothing handles it", work)
        return
    settle(world, task, work)


def finish_what_is_done(world: World) -> None:
    """Complete each task that this command has changed and of which every subtask has ended; then its review begins,
    or it is accepted.

    `decide` asks this once, after the whole decision. A decision that changes several things (opens some subtasks
    again and adds others) has moments in between in which nothing is open.
    """
    for task in world.edited_tasks():
        if task.n_open == 0 and not task.loading and task.status in (TaskStatus.PLANNED, TaskStatus.IN_PROGRESS):
            _finish(world, task)


def _finish(world: World, task: Task) -> None:
    world.task_happened(
        task, TaskHappening.FINISHED, {"total": task.n_total, "failed": task.n_failed, "round": task.round}
    )
    deadline.stop(world, task)
    begin_review(world, task)


def begin_review(world: World, task: Task) -> None:
    """What follows once a task is COMPLETED."""
    if task.evaluation is Evaluation.NONE:
        accept(world, task)
    else:
        open_round(world, task)


def fail_task(world: World, task: Task, code: FailureCode, detail: str, work: Work | None = None) -> None:
    """End a task without success; what is open of it is swept up."""
    if task.status in TASK_CLOSED:
        return
    outcome = OUTCOME_OF[code]
    world.edit_task(task)
    task.failure = failure(str(code), world.rules.text(detail, tenant=task.tenant), work)
    task.outcome = outcome
    world.count_task(task.tenant, -1)
    task.holds = ()
    deadline.stop(world, task)
    asking.cancel(world, task)
    world.task_happened(task, TaskHappening.FAILED, {"outcome": str(outcome), "code": str(code), "detail": detail})
    begin_chore(world, task, "cancel", {})


def _cancel_step(world: World, task: Task, chore: Chore) -> bool:
    """Cancel what is open. A leased item keeps its lease for a grace, so that its bot hears of it."""
    size = world.limits.slice_rows
    found = world.look("open_works", (task.id, chore.cursor, size))
    works = [world.work(work_id) for work_id in found]
    leases = dict(zip(found, world.looks("lease", found), strict=True))
    gone = []
    for work in works:
        if work.status in FINAL:  # since this very command: the list is of what is stored
            continue
        lease = leases[work.id]
        if lease is not None:
            if not lease.cancelled:
                world.edit_lease(lease).cancelled = True
                world.set_timer("lease", work.id, None)
                world.set_timer("ends", work.id, None)
                world.set_timer("grace", work.id, world.now + lease.ttl // 3 + 10_000_000)
            continue
        world.happened(task, work, Happening.CANCELLED)
        gone.append(work)
    if gone:
        world.emit("work.cancelled", keys_of(gone), task=task)
    if found:
        world.edit_chore(chore).cursor = found[-1]
    return len(found) < size


def cancel_item(world: World, task: Task, work: Work) -> None:
    """Cancel one item at once, its lease or its open question with it."""
    if work.status is Status.WAITING and work.wake is None:
        asking.cancel(world, task, work)
    lease = world.lease_of(work)
    if lease is not None:
        world.end_lease(task, work, lease, Ending.CANCELLED)
    world.happened(task, work, Happening.CANCELLED)
    world.emit("work.cancelled", keys_of([work]), task=task, work=work)


# ---- acceptance and review -----------------------------------------------------------------------------------------


def accept(world: World, task: Task) -> None:
    """The result is good: archive the task, or ask the person who has the last word."""
    if task.approval == "final":
        ask_people(world, task, "final", question="Accept this result?", subject=asking.result(world, task))
        return
    archive_accepted(world, task)


def archive_accepted(world: World, task: Task) -> None:
    world.edit_task(task).outcome = Outcome.ACCEPTED
    if task.holds:  # what was done under a hold: nothing is left to be held, or to be asked about
        task.holds = ()
        asking.cancel(world, task)
    world.count_task(task.tenant, -1)
    world.task_happened(task, TaskHappening.ACCEPTED, {"outcome": "accepted"})


def review_keys(task: Task) -> list[str]:
    return [f"review/{task.round}/{number}" for number in range(1, task.quorum[1] + 1)]


def open_round(world: World, task: Task) -> None:
    """Ask for as many independent judgements of the whole as the quorum names."""
    for number, key in enumerate(review_keys(task)):
        add_item(world, task, Kind.REVIEW, key, excluded=task.makers, ordinal=number)


def add_item(
    world: World,
    task: Task,
    kind: Kind,
    key: str,
    *,
    excluded: tuple[str, ...] = (),
    subject: Work | None = None,
    ordinal: int = 0,
) -> Work:
    """A plan or review item, READY at once."""
    skills = task.planner_skills if kind is Kind.PLAN else task.evaluator_skills
    start = task.defaults.get("start") or world.limits.start
    work = Work(
        id=world.new_id("wrk"),
        task=task.id,
        tenant=task.tenant,
        kind=kind,
        key=key,
        queue=world.queue(kind, skills, None),
        status=Status.READY,
        priority=task.priority,
        created_at=world.now,
        place=world.next_place(),
        subject=None if subject is None else subject.id,
        start=start,
        start_left=start,
        round=task.round if subject is None else subject.round,
        timeout=task.plan_timeout if kind is Kind.PLAN else task.review_timeout,
        max_attempts=world.limits.max_attempts,
        give_up=task.defaults.get("give_up") or world.limits.give_up,
        handled=True,
        excluded=tuple(sorted(excluded)),
        since=world.now,
        ordinal=ordinal if subject is None else subject.ordinal,
    )
    world.add_work(task, work)
    world.make_ready(task, work)
    return work


# ---- holds, approvals, deadline ------------------------------------------------------------------------------------


def hold(world: World, task: Task, name: str) -> None:
    """Hand out nothing more of the task until `unhold`."""
    first = not task.holds
    world.edit_task(task).holds = tuple(sorted({*task.holds, name}))
    world.emit("task.held", {"hold": name}, task=task)
    if first:
        begin_chore(world, task, "hold", {})


def unhold(world: World, task: Task, name: str) -> None:
    if name not in task.holds:
        return
    world.edit_task(task).holds = tuple(one for one in task.holds if one != name)
    world.emit("task.unheld", {"hold": name}, task=task)
    if not task.holds:
        begin_chore(world, task, "unhold", {})


def _each_ready(world: World, task: Task, chore: Chore, act: Callable[[Work], None]) -> bool:
    size = world.limits.slice_rows
    found = world.look("held_works", (task.id, chore.cursor, size))
    for work in (world.work(work_id) for work_id in found):
        if work.status is Status.READY:  # the list is of what is stored, this very command may have moved it on
            act(work)
    if found:
        world.edit_chore(chore).cursor = found[-1]
    return len(found) < size


def _hold_step(world: World, task: Task, chore: Chore) -> bool:
    return _each_ready(world, task, chore, world.stop_start_clock)


def _unhold_step(world: World, task: Task, chore: Chore) -> bool:
    if world.held_back(task):  # held again before this chore's turn came: the next release will do it
        return True
    return _each_ready(world, task, chore, lambda work: None if work.start_due else world.make_ready(task, work))


def _priority_step(world: World, task: Task, chore: Chore) -> bool:
    """Move what had the task's old priority to its new one."""
    size = world.limits.slice_rows
    found = world.look("open_works", (task.id, chore.cursor, size))
    for work in (world.work(work_id) for work_id in found):
        if work.status not in FINAL and work.priority == chore.args["old"]:
            world.edit_work(work).priority = chore.args["new"]
            if work.status is Status.READY and work.start_due is not None:
                world.stop_start_clock(work)
                world.make_ready(task, work)
    if found:
        world.edit_chore(chore).cursor = found[-1]
    return len(found) < size


def ask_people(world: World, task: Task, kind: str, **asked: Any) -> None:
    """Ask for an approval, as `asking.put` has it: the task is held, and its deadline stands meanwhile."""
    approval = asking.put(world, task, kind, **{"asked_by": task.submitted_by, **asked})
    deadline.stop(world, task)
    hold(world, task, approval.id)


# ---- opening again -------------------------------------------------------------------------------------------------


def reopen(world: World, task: Task, roots: Iterable[str], *, clear: bool) -> None:
    """Put roots and all that lies downstream of them back to the start; see states.REOPEN.

    Args:
        clear: forget checkpoints, too (retry does; rework goes on from them).
    """
    _, edges = world.look("graph", task.id)
    order = graph.downstream(roots, edges)
    if not order:
        return
    if len(order) > room(world) or world.chores(task):
        # Not all in this commit: until the last of them is open again, nobody may take the task to be done.
        world.edit_task(task).loading = True
    begin_chore(world, task, "reopen", {"order": order, "clear": clear, "whole": not task.loading})


def _reopen_step(world: World, task: Task, chore: Chore) -> bool:
    done = int(chore.cursor or 0)
    order: list[str] = chore.args["order"]
    some = order[done : done + (len(order) if chore.args["whole"] else world.limits.slice_rows)]
    world.looks("parents", some)
    world.looks("work", some)
    world.looks("lease", some)
    told = []
    for work_id in some:
        work = world.work(work_id)
        _reopen_one(world, task, work, clear=chore.args["clear"])
        told.append(work)
    world.emit("work.reopened", keys_of(told), task=task)
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
            cancel_item(world, task, review)
    lease = world.lease_of(work)
    if lease is not None:
        world.end_lease(task, work, lease, Ending.CANCELLED)
    edges: list[Edge] = world.look("parents", work.id)
    pending, broken = graph.standing(edges, {edge.parent: world.work(edge.parent).status for edge in edges})
    world.edit_work(work).pending = pending
    # A broken edge skips at once, as it does in the first pass; waiting for the others would end the same way.
    status = Status.SKIPPED if broken else Status.BLOCKED if pending else Status.READY
    world.reopened(task, work, status)
    if clear:
        work.checkpoint = None


STEPS: Mapping[str, Step] = {
    "plan": _plan_step,
    "release": _release_step,
    "settle": _settle_step,
    "cancel": _cancel_step,
    "hold": _hold_step,
    "unhold": _unhold_step,
    "priority": _priority_step,
    "reopen": _reopen_step,
}
