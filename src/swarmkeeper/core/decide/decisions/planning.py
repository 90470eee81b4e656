"""Create a task and its subtasks: submission, and the plan that a planner reports."""

from __future__ import annotations

from collections.abc import Sequence

from swarmkeeper.core import events
from swarmkeeper.core.commands import Submit
from swarmkeeper.core.decide import killed, policies
from swarmkeeper.core.decide.decisions import budgets as budget_decisions
from swarmkeeper.core.decide.decisions import tenants
from swarmkeeper.core.decide.effects import holding, loading, questions, rows
from swarmkeeper.core.decide.effects.owners import check_may
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import InvalidPlan
from swarmkeeper.core.model import SubtaskSpec, TaskRecord
from swarmkeeper.core.rules import budgets, graph
from swarmkeeper.core.states import Evaluation, Kind, TaskStatus, TaskTransition


def submit(working: WorkingSet, command: Submit) -> str:
    """Create a task; return its id. With `subtasks` it is planned at once, else a planner gets a plan item."""
    check_may(working, command.by, "task.submit")
    if command.subtasks is not None:
        errors = graph.check_plan(command.subtasks) if command.checked is None else command.checked
        if errors:
            raise InvalidPlan("the subtasks are not a valid plan", details=tuple(errors))
    number = len(command.subtasks or ()) if command.written is None else command.written.count
    killed.check_submission(working, command.by.tenant)
    policies.submission(working, command.by, command.labels, command.priority)
    tenants.admit(working, command.by.tenant, number)
    task_id = working.new_id("tsk")
    task = TaskRecord(
        id=task_id,
        tenant=command.by.tenant,
        status=TaskStatus.CREATED,
        priority=command.priority,
        created_at=working.now,
        updated_at=working.now,
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
        plan_timeout=command.plan_timeout or working.limits.timeout,
        review_timeout=command.review_timeout or working.limits.timeout,
        defaults=command.defaults,
        trace=command.trace,
        position=working.next_position(),
        budget=None if command.budget is None else budgets.from_request(command.budget),
        party=command.by.party,
    )
    if command.subtasks is not None and (errors := budget_decisions.too_many_subtasks(task, number, at="")):
        raise InvalidPlan("the budget does not allow as many subtasks", details=tuple(errors))
    working.add_task(task)
    working.count_task(task.tenant, 1)
    working.write_payload(task, task.spec, command.spec)
    working.record("task.submit", task.id, task=task, body={"title": command.title, "labels": dict(command.labels)})
    working.emit(events.TaskSubmitted(to=TaskStatus.CREATED, title=command.title), task=task)
    if command.deadline is not None:
        task.deadline = working.now + command.deadline
        working.set_timer("deadline", task.id, task.deadline)
    if command.subtasks is None:
        rows.add_item(working, task, Kind.PLAN, "plan")
    else:
        accept_plan(working, task, command.subtasks, asked_by=task.submitted_by, written=command.written)
    return task.id


def accept_plan(
    working: WorkingSet,
    task: TaskRecord,
    specs: Sequence[SubtaskSpec],
    *,
    asked_by: str,
    written: graph.Written | None = None,
) -> None:
    """Accept a valid plan: the task becomes PLANNED, and its rows are written.

    Args:
        asked_by: a bot's name, or a key's id, that may not approve the plan.
        written: replaces `specs` if the plan is longer than a slice; see `graph.cut`.
    """
    working.edit_task(task).planned = True
    count = len(specs) if written is None else written.count
    keys = [spec.key for spec in specs[: events.KEYS_MAX]] if written is None else list(written.keys)
    task.position = working.next_position(room=count)
    working.move_task(task, TaskTransition.PLANNED, events.TaskPlanned, count=count, keys=keys)
    if task.approval == "plan" and not task.started:
        holding.ask_people(
            working,
            task,
            "plan",
            question="Carry out this plan?",
            subject=questions.plan(specs, task.round) if written is None else questions.long_plan(written, task.round),
            asked_by=asked_by,
        )
    loading.add_subtasks(working, task, specs, written)
