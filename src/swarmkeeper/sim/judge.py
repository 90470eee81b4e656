"""What one commit must not do: the invariants that are checked on what it touched, after every commit.

The state of each item and task is followed from the events alone, along the tables of core/states.py, and compared with
the rows that come with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from swarmkeeper.core.model import Attempt, Event, Task, Work
from swarmkeeper.core.states import (
    FINAL,
    LIFE,
    TASK_CLOSED,
    TASK_LIFE,
    Ending,
    Happening,
    Kind,
    Status,
    TaskHappening,
    TaskStatus,
)
from swarmkeeper.sim.coverage import reached

if TYPE_CHECKING:
    from swarmkeeper.sim.model import Commit, Model

_WORK: Mapping[str, Happening] = MappingProxyType({f"work.{one}": one for one in Happening})
_TASK: Mapping[str, TaskHappening] = MappingProxyType({f"task.{one}": one for one in TaskHappening})
_NEXT: Mapping[Happening, Mapping[Status, Status]] = MappingProxyType(
    {
        one: MappingProxyType({status: after for (status, what), after in LIFE.items() if what is one})
        for one in Happening
    }
)
_REOPENED = frozenset({Status.BLOCKED, Status.READY, Status.SKIPPED})
_LOST = frozenset({Status.FAILED, Status.CANCELLED})


class Judge:
    def __init__(self, model: Model, secret: str) -> None:
        self._model = model
        self._secret = secret
        self._secret_bytes = secret.encode()
        self._may_be: dict[str, frozenset[Status]] = {}  # by item: what it is, as its events tell
        self._task_is: dict[str, TaskStatus | None] = {}
        self._sequence: dict[str, int] = {}
        self._attempt: dict[str, int] = {}  # by item: the newest granted
        self._accepted: dict[tuple[str, int], str] = {}  # (item, round) -> lease
        self._leaves: set[str] = set()
        self._last_at = 0

    def born(self, work: Work) -> None:
        self._may_be[work.id] = frozenset({Status.BLOCKED if work.kind is Kind.EXECUTE else Status.READY})

    # ---- what is told ----------------------------------------------------------------------------------------------

    def events(self, commit: Commit) -> None:
        model = self._model
        for leaf, n in commit.leaves.items():
            if n > 1 or leaf in self._leaves:
                model.broken("5.audit", leaf, "an audit record is there twice")
        self._leaves.update(commit.leaves)
        for event in commit.events:
            if event.audit not in commit.leaves:
                model.broken("5.audit", self._about(event), f"{event.kind} names no record of its commit")
            if event.at < self._last_at:
                model.broken("5.time", self._about(event), f"{event.kind} is told of a moment before the last")
            self._last_at = event.at
            if event.task is not None:
                self._event_of_task(event, event.task)
            if self._secret in json.dumps(event.body.value):
                model.broken("10.secret", self._about(event), f"a secret stands in the event {event.kind}")
        for body in commit.bodies:
            if self._secret_bytes in body:
                model.broken("10.secret", "-", "a secret stands in an audit record")
        for work in commit.works.values():
            may_be = self._may_be[work.id]
            if work.status not in may_be:
                told = " or ".join(sorted(may_be))
                model.broken("5.told", model.label(work.id), f"it is {work.status}, its events say {told}")
            self._may_be[work.id] = frozenset({work.status})
        for task in commit.tasks.values():
            if task.status is not self._task_is.get(task.id):
                model.broken("5.told", task.title, f"it is {task.status}, told is {self._task_is.get(task.id)}")

    def _about(self, event: Event) -> str:
        return self._model.label(event.work) if event.work is not None else self._model.title(event.task)

    def _event_of_task(self, event: Event, task: str) -> None:
        model = self._model
        if event.sequence != self._sequence.get(task, 0) + 1:
            model.broken("5.sequence", model.title(task), f"{event.kind} is number {event.sequence}")
        self._sequence[task] = event.sequence
        if event.kind in _TASK:
            before = self._task_is.get(task)
            after = TASK_LIFE.get((before, _TASK[event.kind]))
            if after is None:
                model.broken("5.cause", model.title(task), f"{event.kind} happens to a task that is {before}")
            else:
                self._task_is[task] = after
            if event.kind == f"task.{TaskHappening.RETRIED_TO_PLAN}":  # says with it that its plan is READY again
                self._may_be[model.works_of[task]["plan"]] = frozenset({Status.READY})
        elif event.kind == "work.reopened":
            for work in self._named(event, task):
                self._may_be[work] = _REOPENED
        elif event.kind in _WORK:
            for work in [event.work] if event.work is not None else self._named(event, task):
                self._happened(event, work)

    def _named(self, event: Event, task: str) -> Iterable[str]:
        works = self._model.works_of[task]
        return [works[key] for key in event.body.value["keys"]]

    def _happened(self, event: Event, work: str) -> None:
        model = self._model
        nexts = _NEXT[_WORK[event.kind]]
        before = self._may_be[work]
        after = frozenset(nexts[status] for status in before if status in nexts)
        if not after:
            was = " or ".join(sorted(before))
            model.broken("5.cause", model.label(work), f"{event.kind} happens to an item that is {was}")
            return
        self._may_be[work] = after
        if event.kind == "work.leased":
            attempt = event.body.value["attempt"]
            if attempt != self._attempt.get(work, 0) + 1:
                model.broken("2.newest", model.label(work), f"attempt {attempt} follows {self._attempt.get(work, 0)}")
            self._attempt[work] = attempt
        reached(event.kind)

    # ---- what is written -------------------------------------------------------------------------------------------

    def attempt(self, attempt: Attempt, commit: Commit) -> None:
        """An attempt ended. What it says must be what was granted."""
        model = self._model
        granted = commit.ended.get(attempt.lease_id)
        if granted is None or granted.work != attempt.work or granted.bot != attempt.bot:
            model.broken("2.fence", model.label(attempt.work), "an attempt ends that was not granted, or is over")
        if attempt.ending is not Ending.SUCCEEDED:
            return
        if attempt.attempt != self._attempt.get(attempt.work) and attempt.work not in commit.granted:
            model.broken("2.newest", model.label(attempt.work), f"attempt {attempt.attempt} is not the newest")
        first = self._accepted.setdefault((attempt.work, attempt.round), attempt.lease_id)
        if first != attempt.lease_id:
            model.broken("1.one-result", model.label(attempt.work), f"two results in round {attempt.round}")
        if granted is not None and granted.expires_at < attempt.ended:
            reached("a report came after its lease had run out, and before anybody saw it")

    def records(self, commit: Commit) -> None:
        model = self._model
        for work in commit.works.values():
            task = model.tasks[work.task]
            lease = model.leases.get(work.id)
            if (work.status is Status.LEASED) != (lease is not None):
                has = "no lease" if lease is None else "a lease"
                model.broken("3.lease", model.label(work.id), f"it is {work.status} and has {has}")
            elif lease is not None and lease.attempt != work.attempt:
                model.broken("3.lease", model.label(work.id), "its lease is not of its newest attempt")
            if work.status not in FINAL and task.status not in TASK_CLOSED:
                self._goes_on(task, work)
        for task in commit.tasks.values():
            if not model.chores.get(task.id):
                self._counters(task)
        for work_id, lease in commit.granted.items():
            if work_id in commit.ready_before:
                self._in_order(work_id, model.owners.get(lease.bot, ""), commit)

    def _goes_on(self, task: Task, work: Work) -> None:
        """An item that is not final has a timer, or waits for something that has one."""
        model = self._model
        timers = model.timers
        quiet = not model.chores.get(task.id)
        match work.status:
            case Status.LEASED:
                lease = model.leases.get(work.id)
                fine = lease is None or lease.cancelled or {("lease", work.id), ("ends", work.id)} <= timers
            case Status.WAITING if work.wake is not None:
                fine = ("wake", work.id) in timers
            case Status.WAITING:
                fine = any(("answer", one) in timers for one in model.asked.get(work.id, ()))
            case Status.READY if quiet and not task.holds:
                fine = ("start", work.id) in timers and work.id in model.ready
            case Status.BLOCKED if quiet:
                parents = model.parents.get(work.id, ())
                unsettled = sum(model.works[parent].status not in FINAL for parent in parents)
                if work.pending != unsettled:
                    model.broken("4.pending", model.label(work.id), f"{work.pending} for {unsettled} edges")
                fine = unsettled > 0
            case _:
                fine = True
        if not fine:
            model.broken("8.timer", model.label(work.id), f"nothing ends its being {work.status}")

    def _counters(self, task: Task) -> None:
        model = self._model
        subtasks = [model.works[one] for one in model.works_of[task.id].values()]
        subtasks = [work for work in subtasks if work.kind is Kind.EXECUTE]
        counted = (
            len(subtasks),
            sum(work.status not in FINAL for work in subtasks),
            sum(work.status in _LOST for work in subtasks),
        )
        if (task.n_total, task.n_open, task.n_failed) != counted:
            told = (task.n_total, task.n_open, task.n_failed)
            model.broken("4.counters", task.title, f"(all, open, failed) are {told}, counted {counted}")

    def _in_order(self, work_id: str, owner: str, commit: Commit) -> None:
        """Nothing that waited longer in the same line, and could go to the same bot, is still there."""
        model = self._model
        taken = commit.ready_before[work_id]
        for other in model.lines.get((taken.queue, taken.tenant, taken.priority), {}).values():
            if (other.place, other.work) > (taken.place, taken.work) or other.work in commit.works:
                continue
            task = model.tasks[other.task]
            held = task.holds or task.loading or task.status in TASK_CLOSED or model.chores.get(task.id)
            if not held and owner not in other.excluded:
                why = f"{model.label(other.work)} waits longer in the same line"
                model.broken("9.order", model.label(work_id), why)
                return
