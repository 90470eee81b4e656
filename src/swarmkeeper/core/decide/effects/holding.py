"""Change which items of a task can be leased: holds, questions to people, changes of priority."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarmkeeper.core import events, lookups
from swarmkeeper.core.decide.effects import deadline, questions
from swarmkeeper.core.decide.effects.steps import begin_job, next_works, step
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import BackgroundJob, TaskRecord, Work
from swarmkeeper.core.states import FINAL, Status


def hold(working: WorkingSet, task: TaskRecord, name: str) -> None:
    """Grant no more leases on the task until `unhold`."""
    first = not task.hold_reasons
    working.edit_task(task).hold_reasons = tuple(sorted({*task.hold_reasons, name}))
    working.emit(events.TaskHeld(hold=name), task=task)
    if first:
        begin_job(working, task, "hold", {})


def unhold(working: WorkingSet, task: TaskRecord, name: str) -> None:
    if name not in task.hold_reasons:
        return
    working.edit_task(task).hold_reasons = tuple(reason for reason in task.hold_reasons if reason != name)
    working.emit(events.TaskUnheld(hold=name), task=task)
    if not task.hold_reasons:
        begin_job(working, task, "unhold", {})


def _each_ready(working: WorkingSet, task: TaskRecord, job: BackgroundJob, act: Callable[[Work], None]) -> bool:
    works, last = next_works(working, task, job, lookups.HELD_WORKS)
    for work in works:
        if work.status is Status.READY:
            act(work)
    return last


@step("hold")
def _hold_step(working: WorkingSet, task: TaskRecord, job: BackgroundJob) -> bool:
    return _each_ready(working, task, job, working.stop_start_clock)


@step("unhold")
def _unhold_step(working: WorkingSet, task: TaskRecord, job: BackgroundJob) -> bool:
    if working.is_held(task):  # held again before this job ran: the next `unhold` will do it
        return True
    return _each_ready(working, task, job, lambda work: None if work.start_due else working.make_ready(task, work))


@step("priority")
def _priority_step(working: WorkingSet, task: TaskRecord, job: BackgroundJob) -> bool:
    """Give items that had the task's old priority the new one."""
    works, last = next_works(working, task, job, lookups.OPEN_WORKS)
    for work in works:
        if work.status not in FINAL and work.priority == job.args["old"]:
            working.edit_work(work).priority = job.args["new"]
            if work.status is Status.READY and work.start_due is not None:
                working.stop_start_clock(work)
                working.make_ready(task, work)
    return last


def ask_people(working: WorkingSet, task: TaskRecord, kind: str, **asked: Any) -> None:
    """Ask for an approval (arguments as for `questions.put`); meanwhile hold the task and stop its deadline."""
    approval = questions.put(working, task, kind, **{"asked_by": task.submitted_by, **asked})
    deadline.stop(working, task)
    hold(working, task, approval.id)
