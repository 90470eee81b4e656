"""The clock of a deadline: it stands while a task is COMPLETED or a person is asked, and goes on with what is left."""

from __future__ import annotations

from swarmkeeper.core.model import Task
from swarmkeeper.core.world import World


def stop(world: World, task: Task) -> None:
    if task.deadline is not None:
        world.edit_task(task)
        task.deadline_left, task.deadline = max(0, task.deadline - world.now), None
        world.set_timer("deadline", task.id, None)


def start(world: World, task: Task) -> None:
    if task.deadline_left is not None:
        world.edit_task(task)
        task.deadline, task.deadline_left = world.now + task.deadline_left, None
        world.set_timer("deadline", task.id, task.deadline)
