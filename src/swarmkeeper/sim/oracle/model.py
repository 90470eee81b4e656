"""The shadow model: the expected content of the store, built from its commits and kept apart from it.

It knows what rows cannot show: the lease of each result, the order of changes, and the answers given to each caller.
After each commit it checks the records that the commit touched (see transition_checks.py). It checks all rows at
intervals, after restarts, and at the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any

from swarmkeeper.core import commands
from swarmkeeper.core.answers import HeartbeatResult, ReportReceipt
from swarmkeeper.core.commands import Command
from swarmkeeper.core.model import Work
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.states import FINAL, TASK_CLOSED, Kind, Status
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.loop import SECOND, VirtualLoop
from swarmkeeper.sim.kernel.trace import Trace
from swarmkeeper.sim.oracle import checks
from swarmkeeper.sim.oracle.records import Commit, Records
from swarmkeeper.sim.oracle.seen import LeaseSeen
from swarmkeeper.sim.oracle.tenant_isolation import TenantIsolation, named
from swarmkeeper.sim.oracle.transition_checks import TransitionChecks
from swarmkeeper.sim.oracle.user_invariants import UserInvariant

# A timer may be late by the longest pause and the backlog behind it.
OVERDUE = 600 * SECOND
QUIET = 5 * SECOND  # commits without events are named by the time, at this resolution; an idle engine makes one in it

_ID = re.compile(r"\b(?:tsk|sub|wrk)_[0-9A-V]{26}\b")


class Model(Records):
    """The invariants' own view of the system. Users' invariants may read all of `Records`: `tasks`, `works`, …"""

    def __init__(
        self,
        loop: VirtualLoop,
        trace: Trace,
        *,
        secret: str,
        full_every: int,
        user_invariants: Sequence[UserInvariant] = (),
    ) -> None:
        super().__init__(loop, trace)
        self._full_every, self._user_invariants = full_every, user_invariants
        self.isolation: TenantIsolation | None = None  # only with more than one tenant
        self.commits = 0
        self.places: dict[str, int] = {}  # names of commits (see `describe`), and their counts
        self._job_task: dict[str, str] = {}
        self._transition_checks = TransitionChecks(self, secret)

    # ---- commits ---------------------------------------------------------------------------------------------------

    def describe(self, saved: Sequence[Changes]) -> str:
        """Name a commit by its first event, so that the name stays the same when other faults are left out."""
        for changes in saved:
            for event in changes.events:
                work = changes.works.get(event.work or "") or self.works.get(event.work or "")
                task = changes.tasks.get(event.task or "") or self.tasks.get(event.task or "")
                named = "-" if task is None else task.title
                return f"{event.kind}.{named}" + ("" if work is None else f"/{work.key}")
            for work_id in changes.leases:
                return f"beat.{self.label(work_id)}"
        # By time, not by count: the number of earlier commits depends on the other faults.
        return f"quiet.second-{self._loop.now // QUIET * (QUIET // SECOND)}"

    def committed(self, saved: Sequence[Changes]) -> None:
        """Apply one transaction, and check it."""
        if not saved or self.violation is not None:
            return
        self.commits += 1
        place = self.describe(saved)
        self.places[place] = self.places.get(place, 0) + 1
        commit = Commit()
        for changes in saved:
            self._learn(changes, commit)
        if self.isolation is not None:
            self.isolation.committed(saved)
        for event in commit.events:
            about = self.label(event.work) if event.work else self.title(event.task)
            self._trace(event.kind, about, self.names.get(event.actor, event.actor))
        self._transition_checks.events(commit)
        for changes in saved:
            self._apply(changes, commit)
        self._transition_checks.records(commit)
        for invariant in self._user_invariants:
            for wrong in invariant.check(self, commit):
                about, why = ("-", wrong) if isinstance(wrong, str) else wrong
                self.broken(invariant.name, about, why, invariant.words)
        if self.commits % self._full_every == 0:
            self.check_rows("now and then")

    def _learn(self, changes: Changes, commit: Commit) -> None:
        """Learn new records before the events about them are read."""
        for task in changes.tasks.values():
            if task.id not in self.tasks:
                known = self.by_title.setdefault(task.title, task.id)
                if known != task.id:
                    self.broken("1.one-task", task.title, f"it has two tasks: {known} and {task.id}")
                self.works_of[task.id] = {}
            self.tasks[task.id] = commit.tasks[task.id] = copy(task)
        for work in changes.works.values():
            if work.id not in self.works:
                self.works_of[work.task][work.key] = work.id
                self._transition_checks.created(work)
            self.works[work.id] = commit.works[work.id] = copy(work)
            if work.kind is Kind.REVIEW and work.subject is None and work.status is Status.SUCCEEDED:
                self._vote(work, changes)
        for edge in changes.edges:
            self.parents.setdefault(edge.child, {})[edge.parent] = edge.condition
            self.children.setdefault(edge.parent, []).append(edge.child)
        for bot_id, bot in changes.bots.items():
            self.bots[bot_id] = copy(bot)
            if bot is not None:
                self.owners[bot.id], self.names[bot.id] = bot.owner, named(bot.tenant, bot.name)
        for leaf in changes.leaves:
            commit.leaves[leaf.id] = commit.leaves.get(leaf.id, 0) + 1
            commit.bodies.append(leaf.body or b"")
        commit.events += changes.events
        commit.attempts += changes.attempts

    def _vote(self, work: Work, changes: Changes) -> None:
        written = changes.payloads.get(work.result or "")
        if written is not None:
            self.votes[work.id] = json.loads(written[1])["decision"]

    def _apply(self, changes: Changes, commit: Commit) -> None:
        for work_id in changes.leases_gone:
            lease = self.leases.pop(work_id, None)
            if lease is not None:
                commit.ended[lease.lease_id] = lease
        for lease in changes.leases.values():
            known = self.leases.get(lease.work)
            if known is None or known.lease_id != lease.lease_id:
                commit.granted[lease.work] = lease
                self.holders[lease.lease_id] = lease.bot
            self.leases[lease.work] = copy(lease)
        for attempt in changes.attempts:
            self._transition_checks.attempt(attempt, commit)
            self.attempts[attempt.lease_id] = attempt
            self.ended[attempt.lease_id] = self._loop.now
        self._queue(changes, commit)
        commit.timed.update(changes.timers)
        for name, due in changes.timers.items():
            if due is None:
                self.timers.pop(name, None)
            else:
                self.timers[name] = due
        for approval in changes.approvals.values():
            self.approvals[approval.id] = copy(approval)
            if approval.work is not None:
                questions = self.open_questions.setdefault(approval.work, set())
                (questions.add if approval.state == "open" else questions.discard)(approval.id)
        for job_id, job in changes.jobs.items():
            if job is not None:
                self._job_task[job_id] = job.task
                self.jobs.setdefault(job.task, set()).add(job_id)
            elif job_id in self._job_task:
                self.jobs[self._job_task[job_id]].discard(job_id)
        commit.at = max(commit.at, changes.alive_at or 0)

    def _queue(self, changes: Changes, commit: Commit) -> None:
        for work_id, ready in changes.ready.items():
            before = self.ready.pop(work_id, None)
            if before is not None:
                commit.ready_before.setdefault(work_id, before)
                del self.queues[before.queue, before.tenant, before.priority][work_id]
            if ready is not None:
                self.ready[work_id] = copied = copy(ready)
                self.queues.setdefault((ready.queue, ready.tenant, ready.priority), {})[work_id] = copied

    # ---- answers ---------------------------------------------------------------------------------------------------

    def answered(self, command: Command[Any], answer: Any) -> None:
        """Check an answer that is about to be given: its content must be committed."""
        if self.isolation is not None:
            self.isolation.answered(command, answer)
        if isinstance(command, commands.Submit):
            if answer not in self.tasks:
                self.broken("7.acknowledged", command.title, "the task is not stored")
            self.acknowledged[command.title] = answer
        elif isinstance(answer, ReportReceipt):
            assert isinstance(command, commands.ReportResult)
            self._reported(command, answer)
        elif isinstance(answer, HeartbeatResult):
            assert isinstance(command, commands.SendHeartbeat)
            for lease in answer.directives:
                if lease.directive != "continue":
                    continue
                if self.holders.get(lease.lease_id) != command.bot:
                    self.broken("2.fence", lease.lease_id, "a bot may continue a lease that it was never granted")
                elif self.ended.get(lease.lease_id, self._loop.now) < self._loop.now:  # not by the same commit
                    ended = self.attempts[lease.lease_id]
                    self.broken("2.fence", ended.work, f"a bot may continue a lease that ended as {ended.ending}")
                self.last_heartbeats[lease.lease_id] = self._loop.now
        elif isinstance(command, commands.ReleaseLease) and command.lease_id not in self.attempts:
            self.broken("7.acknowledged", command.lease_id, "the lease was released, and its attempt has not ended")
        elif isinstance(command, commands.Cancel) and self.tasks[command.task].status not in TASK_CLOSED:
            reached("a task was cancelled and taken up again before the answer")

    def _reported(self, command: commands.ReportResult, answer: ReportReceipt) -> None:
        attempt = self.attempts.get(command.lease_id or "")
        if attempt is None or attempt.result_hash != command.content_hash:
            entity = command.lease_id if attempt is None else attempt.work
            self.broken("2.fence", entity, "a report was accepted, and the attempt did not end with it")
        elif attempt.bot != command.bot:
            self.broken("2.fence", attempt.work, "a report was accepted from a bot that does not hold the lease")

    def granted(self, bot: str, leases: Iterable[LeaseSeen]) -> None:
        for lease in leases:
            if self.holders.get(lease.lease_id) != bot:
                self.broken("7.acknowledged", lease.label, "a lease was handed out that is not stored")

    def read_task(self, tenant: str, task_id: str, row: Mapping[str, Any] | None) -> None:
        """Check a task that was read: it must be as committed. For another tenant, it must not be found."""
        task = self.tasks.get(task_id)
        if task is not None and task.tenant != tenant:
            if row is not None:
                self.broken("2.tenant", task.title, f"{tenant} can read it")
            return
        if (task is None) != (row is None):
            self.broken("7.acknowledged", task_id, "a committed task is not found")
        elif task is not None and row is not None and (task.status, task.version) != (row["status"], row["version"]):
            self.broken("7.durable", task.title, f"it is shown as {row['status']}; {task.status} was committed")

    # ---- all rows --------------------------------------------------------------------------------------------------

    def check_rows(self, when: str, *, audit: bool = False) -> None:
        """Check the invariants on all rows, and that the rows are as committed. Call it only between transactions."""
        if self.violation is not None or self.connection is None:
            return
        connection = self.connection()
        for found in checks.broken(connection, audit=audit, policed=self.policed):
            names = [self.named(id_) for id_ in _ID.findall(found)]
            why = f"{when}: {found}" + "".join(f" ({name})" for name in names)
            self.broken("rows", names[0] if names else "-", why)
        self.compare(when)
        alive = connection.execute("SELECT value FROM meta WHERE key = 'alive_at'").get
        if when == "now and then" and alive is not None:
            overdue = connection.execute(f"SELECT kind, ref FROM ({checks.TIMERS}) WHERE due < ?", (alive - OVERDUE,))
            for kind, ref in overdue:
                self.broken("8.due", str(ref), f"its timer `{kind}` is long overdue")

    def compare(self, when: str) -> None:
        if self.connection is None or self.violation is not None:
            return
        execute = self.connection().execute
        stored: dict[Any, Any] = {row[0]: row[1:] for row in execute("SELECT id, status, version FROM task")}
        known: dict[Any, Any] = {task.id: (task.status, task.version) for task in self.tasks.values()}
        self._same(when, known, stored)
        stored = {row[0]: row[1:] for row in execute("SELECT id, status, version, attempt FROM work")}
        known = {work.id: (work.status, work.version, work.attempt) for work in self.works.values()}
        self._same(when, known, stored)
        stored = dict(execute("SELECT work, lease_id FROM lease").fetchall())  # type: ignore[arg-type]  # pairs, as the statement says
        known = {lease.work: lease.lease_id for lease in self.leases.values()}
        self._same(when, known, stored)

    def _same(self, when: str, known: Mapping[Any, Any], stored: Mapping[Any, Any]) -> None:
        for id_ in (*known, *stored):
            if known.get(id_) != stored.get(id_):
                self.broken("7.durable", id_, f"{when}: committed {known.get(id_)}, stored {stored.get(id_)}")
                return

    # ---- liveness --------------------------------------------------------------------------------------------------

    def open_tasks(self) -> list[str]:
        """Return the titles of acknowledged tasks that have not ended."""
        return [title for title, task in self.acknowledged.items() if self.tasks[task].status not in TASK_CLOSED]

    def open_works(self, task_id: str) -> list[str]:
        return [
            f"{key} {self.works[work].status}"
            for key, work in self.works_of[task_id].items()
            if self.works[work].status not in FINAL
        ]
