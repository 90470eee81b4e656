"""How a task comes to have subtasks: submission, and the plan that a planner reports."""

from __future__ import annotations

from collections.abc import Sequence

from swarmkeeper.core import events, graph
from swarmkeeper.core.commands import Submit
from swarmkeeper.core.decide import asking, holding, loading, rows, tenants
from swarmkeeper.core.errors import Forbidden, InvalidPlan
from swarmkeeper.core.model import SubtaskSpec, Task
from swarmkeeper.core.states import Evaluation, Kind, TaskHappening, TaskStatus
from swarmkeeper.core.world import World


def submit(world: World, command: Submit) -> str:
    """Take a task in; its id. With `subtasks` it is planned at once, else a planner is asked."""
    if not world.rules.may(command.by, "task.submit"):
        raise Forbidden(world.rules.why_not(command.by, "task.submit"))
    if command.subtasks is not None:
        errors = graph.check_plan(command.subtasks) if command.checked is None else command.checked
        if errors:
            raise InvalidPlan("the subtasks are not a valid plan", details=tuple(errors))
    number = len(command.subtasks or ()) if command.written is None else command.written.count
    tenants.admit(world, command.by.tenant, number)
    task_id = world.new_id("tsk")
    task = Task(
        id=task_id,
        tenant=command.by.tenant,
        status=TaskStatus.CREATED,
        priority=command.priority,
        created_at=world.now,
        updated_at=world.now,
        spec=f"{task_id}/spec",
        title=command.title,
        submitted_by=command.by.key_id,
        labels=command.labels,
        planner_skills=command.planner_skills,
        evaluator_skills=command.evaluator_skills,
        evaluation=Evaluation(command.evaluation),
        quorum=command.quorum,
        max_rounds=command.max_rounds,
        approval=command.approval,
        plan_timeout=command.plan_timeout or world.limits.timeout,
        review_timeout=command.review_timeout or world.limits.timeout,
        defaults=command.defaults,
        trace=command.trace,
        place=world.next_place(),
    )
    world.add_task(task)
    world.count_task(task.tenant, 1)
    world.write_payload(task, task.spec, command.spec)
    world.record("task.submit", task.id, task=task, body={"title": command.title, "labels": dict(command.labels)})
    world.emit(events.TaskSubmitted(to=TaskStatus.CREATED, title=command.title), task=task)
    if command.deadline is not None:
        task.deadline = world.now + command.deadline
        world.set_timer("deadline", task.id, task.deadline)
    if command.subtasks is None:
        rows.add_item(world, task, Kind.PLAN, "plan")
    else:
        accept_plan(world, task, command.subtasks, asked_by=task.submitted_by, written=command.written)
    return task.id


def accept_plan(
    world: World, task: Task, specs: Sequence[SubtaskSpec], *, asked_by: str, written: graph.Written | None = None
) -> None:
    """The plan is sound: the task is PLANNED from here on, its rows follow.

    Args:
        written: in place of `specs` where it is longer than a slice; see `graph.cut`.
    """
    world.edit_task(task).planned = True
    count = len(specs) if written is None else written.count
    keys = [spec.key for spec in specs[: events.KEYS_MAX]] if written is None else list(written.keys)
    task.place = world.next_place(room=count)
    world.task_happened(task, TaskHappening.PLANNED, events.TaskPlanned, count=count, keys=keys)
    if task.approval == "plan" and not task.started:
        holding.ask_people(
            world,
            task,
            "plan",
            question="Carry out this plan?",
            subject=asking.plan(specs, task.round) if written is None else asking.long_plan(written, task.round),
            asked_by=asked_by,
        )
    loading.add_subtasks(world, task, specs, written)
