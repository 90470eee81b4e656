"""What follows from the end of an item for those that wait for it: they become READY, or are skipped."""

from __future__ import annotations

from swarmkeeper.core import events, lookups
from swarmkeeper.core.decide.steps import room, step
from swarmkeeper.core.model import Chore, Edge, Task, Work
from swarmkeeper.core.states import EDGE_MET, Happening, Status
from swarmkeeper.core.world import World

# How far down one slice follows what is skipped: each level has to be loaded, and what was decided is decided again.
LEVELS_MAX = 16


def settle(world: World, task: Task, work: Work) -> None:
    """Tell everything that waits for this item that it has ended."""
    rest = _settle_some(world, task, [[work.id, ""]])
    if rest:
        world.add_chore(task, "settle", {"parents": rest})


def _settle_some(world: World, task: Task, parents: list[list[str]]) -> list[list[str]]:
    """Settle edges until the slice is full; what is left to do is returned, as [parent, last child done]."""
    size = world.limits.slice_rows
    queue = [list(one) for one in parents]
    world.get_many(lookups.WORK, [parent_id for parent_id, _ in queue[:size]])
    depth = {parent_id: 0 for parent_id, _ in queue}
    freed: list[Work] = []
    skipped: list[Work] = []
    looked_at = 0
    while queue and room(world) > 1 and looked_at < size:
        parent_id, after = queue[0]
        if depth[parent_id] > LEVELS_MAX:
            break
        if world.known(lookups.CHILDREN, (parent_id, after, size)) is None:
            # What lies behind all that are skipped together is loaded together.
            world.get_many(lookups.CHILDREN, [(one, last, size) for one, last in queue[: size - looked_at]])
        looked_at += 1
        edges: list[Edge] = world.get(lookups.CHILDREN, (parent_id, after, size))
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
        world.emit(events.WorkSkipped.of(skipped), task=task)
    if freed:
        world.emit(events.WorkUnblocked.of(freed), task=task)
    return queue


@step("settle")
def _settle_step(world: World, task: Task, chore: Chore) -> bool:
    rest = _settle_some(world, task, chore.args["parents"])
    world.edit_chore(chore).args = {"parents": rest}
    return not rest
