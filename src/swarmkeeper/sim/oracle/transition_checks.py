"""Checks the transitions of each commit.

The state of each item and task is derived from events only, by the tables of core/states.py, and compared with the rows
of the same commit.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from swarmkeeper.core.decide import key_lines
from swarmkeeper.core.model import AttemptRecord, Event, LeaseRecord, TaskRecord, Work
from swarmkeeper.core.states import (
    EDGE_MET,
    FINAL,
    LIFE,
    TASK_CLOSED,
    TASK_LIFE,
    AttemptOutcome,
    Decision,
    Kind,
    Outcome,
    Status,
    TaskStatus,
    TaskTransition,
    Transition,
)
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.oracle.records import Commit, Records

_WORK: Mapping[str, Transition] = MappingProxyType({f"work.{transition}": transition for transition in Transition})
_TASK: Mapping[str, TaskTransition] = MappingProxyType(
    {f"task.{transition}": transition for transition in TaskTransition}
)
_NEXT: Mapping[Transition, Mapping[Status, Status]] = MappingProxyType(
    {
        transition: MappingProxyType({status: after for (status, what), after in LIFE.items() if what is transition})
        for transition in Transition
    }
)
_REOPENED = frozenset({Status.BLOCKED, Status.READY, Status.SKIPPED})
_LOST = frozenset({Status.FAILED, Status.CANCELLED})
_WAITS = frozenset({Status.BLOCKED, Status.CANCELLED, Status.SKIPPED})  # upstream items may still be open
_RESULTS = frozenset({f"work.{Transition.SUCCEEDED}", f"work.{Transition.SUBMITTED}"})
_ANSWERED = frozenset({"approval.decided", "approval.expired", "approval.cancelled"})


class TransitionChecks:
    def __init__(self, records: Records, secret: str) -> None:
        self._records = records
        self._secret = secret
        self._secret_bytes = secret.encode()
        self._may_be: dict[str, frozenset[Status]] = {}  # item -> statuses that its events allow
        self._task_is: dict[str, TaskStatus | None] = {}
        self._sequence: dict[str, int] = {}
        self._attempt: dict[str, int] = {}  # item -> its newest attempt
        self._accepted: dict[tuple[str, int], str] = {}  # (item, round) -> lease
        self._voter: dict[str, str] = {}  # item of a round of reviews -> owner of the bot that voted with it
        self._answered: dict[str, str] = {}  # approval -> id of the event that ended it
        self._leaves: set[str] = set()
        self._last_at = 0

    def created(self, work: Work) -> None:
        self._may_be[work.id] = frozenset({Status.BLOCKED if work.kind is Kind.EXECUTE else Status.READY})

    # ---- events ----------------------------------------------------------------------------------------------------

    def events(self, commit: Commit) -> None:
        records = self._records
        for leaf, n in commit.leaves.items():
            if n > 1 or leaf in self._leaves:
                records.broken("5.audit", leaf, "an audit record exists twice")
        self._leaves.update(commit.leaves)
        for event in commit.events:
            about = event.work or event.task
            if event.audit not in commit.leaves:
                records.broken("5.audit", about, f"{event.kind} names no audit record of its commit")
            if event.at < self._last_at:
                records.broken("5.time", about, f"{event.kind} has an earlier time than the event before it")
            self._last_at = event.at
            if event.task is not None:
                self._event_of_task(event, event.task)
            if self._secret in json.dumps(event.body.value):
                records.broken("10.secret", about, f"the event {event.kind} contains a secret")
        for body in commit.bodies:
            if self._secret_bytes in body:
                records.broken("10.secret", "-", "an audit record contains a secret")
        self._reasons(commit)
        for work in commit.works.values():
            may_be = self._may_be[work.id]
            if work.status not in may_be:
                expected = " or ".join(sorted(may_be))
                records.broken("5.told", work.id, f"it is {work.status}, but its events lead to {expected}")
            self._may_be[work.id] = frozenset({work.status})
        for task in commit.tasks.values():
            status = self._task_is.get(task.id)
            if task.status is not status:
                records.broken("5.told", task.id, f"it is {task.status}, but its events lead to {status}")

    def _reasons(self, commit: Commit) -> None:
        """Failure reasons of attempts, items and tasks are shown to readers, so they must hold no secret."""
        records = self._records
        reasons = [(attempt.work, attempt.error) for attempt in commit.attempts]
        reasons += [(work.id, work.error) for work in commit.works.values()]
        reasons += [(task.id, task.failure) for task in commit.tasks.values()]
        for about, reason in reasons:
            if reason is not None and self._secret in json.dumps(reason):
                records.broken("10.secret", about, "its failure reason contains a secret")

    def _event_of_task(self, event: Event, task: str) -> None:
        records = self._records
        if event.sequence != self._sequence.get(task, 0) + 1:
            records.broken("5.sequence", task, f"{event.kind} is number {event.sequence}")
        self._sequence[task] = event.sequence
        if event.kind in _TASK:
            before = self._task_is.get(task)
            after = TASK_LIFE.get((before, _TASK[event.kind]))
            if after is None:
                records.broken("5.cause", task, f"{event.kind} is not allowed for a task that is {before}")
            else:
                self._task_is[task] = after
            if event.kind == f"task.{TaskTransition.RETRIED_TO_PLAN}":  # this event also makes the plan READY again
                self._may_be[records.works_of[task]["plan"]] = frozenset({Status.READY})
        elif event.kind == "task.judged":
            self._judged(event, task)
        elif event.kind in _ANSWERED:
            before_it = self._answered.setdefault(event.body.value["approval"], event.id)
            if before_it != event.id:
                records.broken("1.one-decision", task, f"{event.kind} for an approval that has ended")
        elif event.kind == "work.reopened":
            for work in self._named(event, task):
                self._may_be[work] = _REOPENED
        elif event.kind in _WORK:
            for work in [event.work] if event.work is not None else self._named(event, task):
                self._happened(event, work)
            if event.kind in _RESULTS and self._task_is.get(task) in TASK_CLOSED:
                why = f"a result was accepted for a task that is {self._task_is[task]}"
                records.broken("2.closed", event.work or task, why)

    def _judged(self, event: Event, task: str) -> None:
        """Check the decision of a round against its votes. The same commit cancels open reviews."""
        records = self._records
        body, works = event.body.value, records.works_of[task]
        needed, of = records.tasks[task].quorum
        items = [works.get(f"review/{body['round']}/{number}", "") for number in range(1, of + 1)]
        votes = Counter(records.votes[item] for item in items if item in records.votes)
        failed = sum(item in records.works and records.works[item].status is Status.FAILED for item in items)
        could_be = max(votes[Decision.ACCEPT], votes[Decision.REJECT]) + of - failed - votes.total()
        if votes[Decision.ACCEPT] >= needed:
            right = Decision.ACCEPT
        elif votes[Decision.REJECT] >= needed:
            right = Decision.REJECT
        elif votes.total() + failed < of and could_be >= needed:
            right = None  # open votes may still decide it
        else:
            right = Decision.REWORK if votes[Decision.REWORK] else Decision.REJECT
        if body["decision"] != right:
            why = f"the decision is {body['decision']}; of {of} votes {needed} decide, and these are {dict(votes)}"
            records.broken("1.quorum", task, why)

    def _named(self, event: Event, task: str) -> Iterable[str]:
        works = self._records.works_of[task]
        return [works[key] for key in event.body.value["keys"]]

    def _happened(self, event: Event, work: str) -> None:
        records = self._records
        nexts = _NEXT[_WORK[event.kind]]
        before = self._may_be[work]
        after = frozenset(nexts[status] for status in before if status in nexts)
        if not after:
            was = " or ".join(sorted(before))
            records.broken("5.cause", work, f"{event.kind} is not allowed for an item that is {was}")
            return
        self._may_be[work] = after
        if event.kind == "work.leased":
            attempt = event.body.value["attempt"]
            if attempt != self._attempt.get(work, 0) + 1:
                records.broken("2.newest", work, f"attempt {attempt} follows {self._attempt.get(work, 0)}")
            self._attempt[work] = attempt
        reached(event.kind)

    # ---- records ---------------------------------------------------------------------------------------------------

    def attempt(self, attempt: AttemptRecord, commit: Commit) -> None:
        """Check an attempt that ended: it must match the lease that was granted."""
        records = self._records
        granted = commit.ended.get(attempt.lease_id)
        if granted is None or granted.work != attempt.work or granted.bot != attempt.bot:
            records.broken("2.fence", attempt.work, "an attempt ended that was not granted, or had ended before")
        elif attempt.ending is not AttemptOutcome.SUCCEEDED and granted.seen:
            due = {AttemptOutcome.EXPIRED: granted.expires_at, AttemptOutcome.TIMED_OUT: granted.ends_at}
            silent = records.silent(attempt.lease_id)
            # With timely heartbeats, a lease has at least half a TTL left; a slow commit may take some of that.
            in_use = attempt.ending is AttemptOutcome.EXPIRED and silent is not None and silent < granted.ttl // 4
            if attempt.ended < due.get(attempt.ending, 0) or in_use or attempt.ending is AttemptOutcome.UNSEEN:
                why = f"its bot was using the lease, and the attempt ended as {attempt.ending}"
                records.broken("2.early", attempt.work, why)
        if attempt.ending is not AttemptOutcome.SUCCEEDED:
            return
        self._voter[attempt.work] = records.owners.get(attempt.bot, "")
        if attempt.attempt != self._attempt.get(attempt.work) and attempt.work not in commit.granted:
            records.broken("2.newest", attempt.work, f"attempt {attempt.attempt} is not the newest")
        first = self._accepted.setdefault((attempt.work, attempt.round), attempt.lease_id)
        if first != attempt.lease_id:
            records.broken("1.one-result", attempt.work, f"two results in round {attempt.round}")
        if granted is not None and granted.expires_at < attempt.ended:
            reached("a report came after its lease had run out, and before anybody saw it")

    def records(self, commit: Commit) -> None:
        records = self._records
        for work in commit.works.values():
            task = records.tasks[work.task]
            lease = records.leases.get(work.id)
            if (work.status is Status.LEASED) != (lease is not None):
                has = "no lease" if lease is None else "a lease"
                records.broken("3.lease", work.id, f"it is {work.status} and has {has}")
            elif lease is not None and lease.attempt != work.attempt:
                records.broken("3.lease", work.id, "its lease is not of its newest attempt")
            if work.status not in FINAL and task.status not in TASK_CLOSED:
                self._goes_on(task, work)
        for work_id in dict.fromkeys(id_ for work in commit.works for id_ in (work, *records.children.get(work, ()))):
            self._upstream(records.works[work_id])
        for task in commit.tasks.values():
            if not records.jobs.get(task.id):
                self._counters(task)
            if task.status is TaskStatus.COMPLETED or task.outcome is Outcome.ACCEPTED:
                self._done(task)
        dated = {ref for kind, ref in commit.timed if kind == "deadline"} | commit.tasks.keys()
        for task in (records.tasks[id_] for id_ in sorted(dated)):
            if task.deadline is not None and records.timers.get(("deadline", task.id)) != task.deadline:
                records.broken("8.timer", task.title, "its deadline has no timer, or one of another time")
        if commit.granted:
            self._granted(commit.granted)
        for work_id, lease in commit.granted.items():
            if work_id in commit.ready_before:
                self._in_order(work_id, records.owners.get(lease.bot, ""), commit)

    def _granted(self, granted: Mapping[str, LeaseRecord]) -> None:
        """Check that each granted item was available, and that its bot was allowed to get it."""
        records = self._records
        held = Counter(lease.bot for lease in records.leases.values())
        for work_id, lease in granted.items():
            work, bot, name = records.works[work_id], records.bots.get(lease.bot), records.names.get(lease.bot)
            task = records.tasks[work.task]
            if bot is None or bot.status != "active":
                records.broken("6.drain", name, f"{records.label(work_id)} was handed to a draining or deleted bot")
            elif held[lease.bot] > bot.capacity:
                records.broken("6.capacity", name, f"it holds {held[lease.bot]} leases; its capacity is {bot.capacity}")
            if work.limits is not None:
                self._within_its_keys(work)
            if records.policed and records.may_go_out(work, along_the_graph=True):
                records.broken("2.policy", work_id, "it was handed out, and what flowed into it may be sent out")
            # The lease that reserves the last of a budget and the hold for the next item may be of one commit.
            if set(task.hold_reasons) - {"budget"} or task.status in TASK_CLOSED:
                why = f"it was handed out; its task is {task.status}, with holds {task.hold_reasons}"
                records.broken("2.closed", work_id, why)
            if work.kind is Kind.REVIEW and work.subject is None:
                self._votes_once(task, work, records.owners.get(lease.bot, ""))

    def _votes_once(self, task: TaskRecord, work: Work, owner: str) -> None:
        records = self._records
        if owner in task.contributors:
            records.broken("1.vote", work.id, "an owner reviews work that it contributed to")
        for key, other in records.works_of[task.id].items():
            if other == work.id or not key.startswith(f"review/{work.round}/"):
                continue
            lease = records.leases.get(other)
            if owner in (self._voter.get(other), None if lease is None else records.owners.get(lease.bot)):
                records.broken("1.vote", work.id, f"the owner that has {key} gets another vote")

    def _upstream(self, work: Work) -> None:
        """A started item has no open upstream item; a skipped item has an edge whose condition was not met."""
        records = self._records
        task, parents = records.tasks[work.task], records.parents.get(work.id)
        if parents is None or task.status in TASK_CLOSED or records.jobs.get(task.id):
            return
        ended = {parent: records.works[parent].status for parent in parents}
        if work.status not in _WAITS:
            for parent, status in ended.items():
                if status not in FINAL:
                    why = f"it is {work.status}, and its upstream item {records.works[parent].key} is {status}"
                    records.broken("4.upstream", work.id, why)
        elif work.status is Status.SKIPPED and all(
            EDGE_MET.get((parents[parent], ended[parent]), True) for parent in parents
        ):
            records.broken("4.upstream", work.id, "it is skipped, but the conditions of all its edges were met")

    def _goes_on(self, task: TaskRecord, work: Work) -> None:
        """An item that is not final has a timer, or waits for something that has one."""
        records = self._records
        timers = records.timers
        quiet = not records.jobs.get(task.id)
        match work.status:
            case Status.LEASED:
                lease = records.leases.get(work.id)
                fine = lease is None or lease.cancelled or {("lease", work.id), ("ends", work.id)} <= timers.keys()
            case Status.WAITING if work.wake is not None:
                fine = timers.get(("wake", work.id)) == work.wake
            case Status.WAITING:
                fine = any(("answer", approval) in timers for approval in records.open_questions.get(work.id, ()))
            case Status.READY if work.line is not None and work.start_due is None:
                fine = ("line", work.line) in timers or self._somebody_has_a_key_of(work)
            case Status.READY if quiet and not task.hold_reasons:
                due = timers.get(("start", work.id))
                # A restart extends both times, but reports no change of the timer.
                fine = due is not None and due <= (work.start_due or 0) and work.id in records.ready
            case Status.BLOCKED if quiet:
                parents = records.parents.get(work.id, ())
                unsettled = sum(records.works[parent].status not in FINAL for parent in parents)
                if work.pending != unsettled:
                    records.broken("4.pending", work.id, f"`pending` is {work.pending} for {unsettled} unsettled edges")
                fine = unsettled > 0
            case _:
                fine = True
        if not fine:
            records.broken("8.timer", work.id, f"it is {work.status}, and no timer ends that")

    def _within_its_keys(self, work: Work) -> None:
        """Check, from leases and items alone, that no more items of a key run than the largest of them allows."""
        records = self._records
        for key, _ in key_lines.keys_of(work):
            running = [records.works[leased] for leased in records.leases]
            allowed = [dict(key_lines.keys_of(other)).get(key) for other in running if other.tenant == work.tenant]
            most = [each for each in allowed if each is not None]
            if len(most) > max(most, default=0):
                records.broken("6.concurrency", work.id, f"{len(most)} items of one key run, of which {max(most)} may")

    def _somebody_has_a_key_of(self, work: Work) -> bool:
        """Whether another item of one of its keys runs, or may be leased: its end lets this one go on."""
        keys = dict(key_lines.keys_of(work))
        return any(
            other.id != work.id
            and other.tenant == work.tenant
            and (other.status is Status.LEASED or (other.status is Status.READY and other.start_due is not None))
            and not keys.keys().isdisjoint(dict(key_lines.keys_of(other)))
            for other in self._records.works.values()
            if other.limits is not None
        )

    def _counters(self, task: TaskRecord) -> None:
        records = self._records
        subtasks = [records.works[id_] for id_ in records.works_of[task.id].values()]
        subtasks = [work for work in subtasks if work.kind is Kind.EXECUTE]
        counted = (
            len(subtasks),
            sum(work.status not in FINAL for work in subtasks),
            sum(work.status in _LOST for work in subtasks),
        )
        if (task.n_total, task.n_open, task.n_failed) != counted:
            stored = (task.n_total, task.n_open, task.n_failed)
            records.broken("4.counters", task.title, f"(all, open, failed) are stored as {stored}; counted {counted}")

    def _done(self, task: TaskRecord) -> None:
        """A task under review has no open subtask; an accepted task has no open item."""
        records = self._records
        for key, work_id in records.works_of[task.id].items():
            work = records.works[work_id]
            if work.status not in FINAL and (task.outcome is Outcome.ACCEPTED or work.kind is Kind.EXECUTE):
                records.broken("4.done", task.title, f"it is {task.status}, and {key} is {work.status}")

    def _in_order(self, work_id: str, owner: str, commit: Commit) -> None:
        """Of the items in the queue that the bot may get, the granted one has the oldest task or has waited longest."""
        records = self._records
        taken = commit.ready_before[work_id]
        before = longer = None
        for other in records.queues.get((taken.queue, taken.tenant, taken.priority), {}).values():
            task = records.tasks[other.task]
            held = task.hold_reasons or task.loading or task.status in TASK_CLOSED or records.jobs.get(task.id)
            if held or owner in other.excluded or other.work in commit.works:
                continue
            if records.policed and records.may_go_out(records.works[other.work], along_the_graph=False):
                continue
            if (other.position, other.work) < (taken.position, taken.work):
                before = other.work
            if (other.since, other.work) < (taken.since, taken.work):
                longer = other.work
        if before is not None and longer is not None:
            why = f"the task of {records.label(before)} is older, and {records.label(longer)} has waited longer"
            records.broken("9.order", work_id, why)
