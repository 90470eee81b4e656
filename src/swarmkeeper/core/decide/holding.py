"""What stops and starts the handing out of a task's items: holds, questions to people, a change of priority."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarmkeeper.core import events, lookups
from swarmkeeper.core.decide import asking, deadline
from swarmkeeper.core.decide.steps import begin_chore, step
from swarmkeeper.core.model import Chore, Task, Work
from swarmkeeper.core.states import FINAL, Status
from swarmkeeper.core.world import World


def hold(world: World, task: Task, name: str) -> None:
    """Hand out nothing more of the task until `unhold`."""
    first = not task.holds
    world.edit_task(task).holds = tuple(sorted({*task.holds, name}))
    world.emit(events.TaskHeld(hold=name), task=task)
    if first:
        begin_chore(world, task, "hold", {})


def unhold(world: World, task: Task, name: str) -> None:
    if name not in task.holds:
        return
    world.edit_task(task).holds = tuple(one for one in task.holds if one != name)
    world.emit(events.TaskUnheld(hold=name), task=task)
    if not task.holds:
        begin_chore(world, task, "unhold", {})


def _each_ready(world: World, task: Task, chore: Chore, act: Callable[[Work], None]) -> bool:
    size = world.limits.slice_rows
    found = world.get(lookups.HELD_WORKS, (task.id, chore.cursor, size))
    for work in (world.work(work_id) for work_id in found):
        if work.status is Status.READY:  # the list is of what is stored, this very command may have moved it on
            act(work)
    if found:
        world.edit_chore(chore).cursor = found[-1]
    return len(found) < size


@step("hold")
def _hold_step(world: World, task: Task, chore: Chore) -> bool:
    return _each_ready(world, task, chore, world.stop_start_clock)


@step("unhold")
def _unhold_step(world: World, task: Task, chore: Chore) -> bool:
    if world.held_back(task):  # held again before this chore's turn came: the next release will do it
        return True
    return _each_ready(world, task, chore, lambda work: None if work.start_due else world.make_ready(task, work))


@step("priority")
def _priority_step(world: World, task: Task, chore: Chore) -> bool:
    """Move what had the task's old priority to its new one."""
    size = world.limits.slice_rows
    found = world.get(lookups.OPEN_WORKS, (task.id, chore.cursor, size))
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
