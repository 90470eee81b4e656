"""The working set of one batch: loaded rows, changes, events.

Decisions never load. A decision that misses a row raises `NotLoaded`; the engine loads the row and decides that command
again. An undo log (undo_log.py) records every change, so that a command that is refused, or must be decided again,
leaves nothing behind. `take_changes` returns the changes. Rows that list what may have changed (`VOLATILE`) are dropped
after each command that changes something, and loaded again; lists of one task only after a command that changes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec

from swarmkeeper.core import ids, lookups, states
from swarmkeeper.core.catalogue import EventBody
from swarmkeeper.core.decide import key_lines, work_rates
from swarmkeeper.core.decide.anchors import AnchoredRow
from swarmkeeper.core.decide.loaded_rows import LoadedRows
from swarmkeeper.core.errors import ResourceNotFound
from swarmkeeper.core.events import TaskMoved
from swarmkeeper.core.kills.records import KillBook
from swarmkeeper.core.model import (
    ApiKey,
    ApprovalRecord,
    AttemptRecord,
    BackgroundJob,
    BotRecord,
    Edge,
    Event,
    FeedbackRecord,
    Json,
    LeaseRecord,
    Limits,
    QueueEntry,
    TaskRecord,
    Tenant,
    Work,
)
from swarmkeeper.core.persons.lookups import KEYS_OF_PERSON
from swarmkeeper.core.ports import Changes, Key, Rules
from swarmkeeper.core.rules import match
from swarmkeeper.core.rules.arrivals import Arrivals
from swarmkeeper.core.rules.budgets import BudgetBook
from swarmkeeper.core.rules.match import QueueBook
from swarmkeeper.core.states import (
    FINAL,
    TASK_CLOSED,
    AttemptOutcome,
    Kind,
    Status,
    TaskStatus,
    TaskTransition,
    Transition,
)
from swarmkeeper.core.tallies import counting

# Lookups whose lists may be outdated after a change.
VOLATILE: frozenset[str] = frozenset(
    {
        lookups.GRANTS,
        lookups.OPEN_WORKS,
        lookups.HELD_WORKS,
        lookups.LEASES_OF_BOT,
        lookups.BOTS_OF_KEY,
        lookups.KEYS_OF_BOT,
        KEYS_OF_PERSON,
        lookups.APPROVALS,
        lookups.LATE,
        lookups.GRAPH,
        lookups.KEY_LINE,
        lookups.TASK_COSTS,
    }
)
P = ParamSpec("P")
_LOST = frozenset({Status.FAILED, Status.CANCELLED})


class WorkingSet(LoadedRows):
    def __init__(
        self,
        *,
        now: int,
        rules: Rules,
        limits: Limits,
        queues: QueueBook,
        position: int = 0,
        arrivals: Arrivals | None = None,
        wall: int | None = None,
        budgets: BudgetBook | None = None,
        rates: work_rates.Rates | None = None,
        kills: KillBook | None = None,
    ) -> None:
        super().__init__(now=now, rules=rules)
        self.arrivals = Arrivals() if arrivals is None else arrivals
        self.budgets = BudgetBook() if budgets is None else budgets
        self.wall = now if wall is None else wall  # wall clock time; API keys expire by it
        self.limits = limits
        self.rates: work_rates.Rates = {} if rates is None else rates
        self.kills = KillBook() if kills is None else kills
        self.queues = queues
        self.touched: dict[int, None] = {}  # queues that got new items to lease, in order
        self.opened: dict[str, None] = {}  # ids of cooldowns that let work through again
        self.held: dict[str, int] = {}  # bot id -> leases granted less leases ended in this batch
        self.held_saved: dict[str, int] = {}  # as of the last `take_changes`
        self.position = max(now, position)  # carried from batch to batch, so that positions are unique
        self._listed: dict[str, list[Key]] = {}  # work id -> the loaded lists of its children
        self._unsaved: dict[str, None] = {}  # items in `changes.ready` that have no queue entry in the store
        self._counted: dict[str, counting.State] = {}  # by task: the state in which the store counts it

    def begin_at(self, now: int) -> None:
        """Set the time at which the batch decides; call this before the first decision."""
        self.now = now
        self.position = max(now, self.position)

    # ---- reading ---------------------------------------------------------------------------------------------------

    def put_loaded(self, loaded: Mapping[Key, Any]) -> None:
        """Add loaded rows. Rows that are present already are newer, and stay."""
        for want, value in loaded.items():
            if want not in self.rows:
                self.rows[want] = value
                if want[0] == lookups.TASK:
                    counting.remember(self._counted, value)
                elif want[0] in VOLATILE:
                    self._volatile.append(want)
                elif want[0] == lookups.CHILDREN:
                    self._listed.setdefault(want[1][0], []).append(want)
                elif want[0] == lookups.WORK and value is not None and value.kind is Kind.REVIEW:
                    # The reviews of a round are found by their keys; usually a round has only this one.
                    self.rows.setdefault(lookups.WORK_KEY.of((value.task, value.key)), value.id)

    def works(self, work_ids: Iterable[str]) -> list[Work]:
        """Return work items that must exist, in the order of the ids."""
        found = self.get_many(lookups.WORK, work_ids)
        works = [work for work in found if work is not None]
        assert len(works) == len(found), "a referenced work item must exist"
        return works

    def bodies(self, payload_ids: Iterable[str | None]) -> list[bytes]:
        """Return payloads that must exist, as JSON, in the order of the ids."""
        ids = list(payload_ids)
        found = self.get_many(lookups.PAYLOAD, [payload_id for payload_id in ids if payload_id is not None])
        bodies = [body for body in found if body is not None]
        assert len(bodies) == len(ids), "a referenced payload must exist"
        return bodies

    def work_by_key(self, task: TaskRecord, key: str) -> Work | None:
        work_id = self.get(lookups.WORK_KEY, (task.id, key))
        return None if work_id is None else self.work(work_id)

    def lease_of(self, work: Work) -> LeaseRecord | None:
        return self.get(lookups.LEASE, work.id)

    def lease(self, lease_id: str) -> LeaseRecord | None:
        """Return the live lease with this id, or None."""
        work_id = self.get(lookups.LEASE_ID, lease_id)
        if work_id is None:
            return None
        lease = self.get(lookups.LEASE, work_id)
        return lease if lease is not None and lease.lease_id == lease_id else None

    def bot(self, bot_id: str, tenant: str) -> BotRecord:
        bot = self.get(lookups.BOT, bot_id)
        if bot is None or bot.tenant != tenant:
            raise ResourceNotFound("no such bot")
        return bot

    def payload(self, payload_id: str) -> Json:
        body = self.get(lookups.PAYLOAD, payload_id)
        return None if body is None else json.loads(body)

    def jobs(self, task: TaskRecord) -> list[BackgroundJob]:
        return self.get(lookups.JOBS, task.id)

    # ---- writing ---------------------------------------------------------------------------------------------------

    def edit_task(self, task: TaskRecord) -> TaskRecord:
        if id(task) not in self._before:
            self._edit(task)
        task.updated_at = self.now
        if task.id not in self.changes.tasks:
            self.put(self.changes.tasks, task.id, task)
        return task

    def edited_tasks(self) -> list[TaskRecord]:
        """Return the tasks that the current command has changed, in the order of their first change."""
        return [row for row, _ in self._before.values() if isinstance(row, TaskRecord)]

    def edit_work(self, work: Work) -> Work:
        if id(work) not in self._before:
            self._edit(work)
        if work.id not in self.changes.works:
            self.put(self.changes.works, work.id, work)
            self.rows_written += 1
        return work

    def edit_lease(self, lease: LeaseRecord) -> LeaseRecord:
        self._edit(lease)
        if lease.work not in self.changes.leases:
            self.put(self.changes.leases, lease.work, lease)
        return lease

    def edit_bot(self, bot: BotRecord) -> BotRecord:
        self._edit(bot)
        self.put(self.changes.bots, bot.id, bot)
        return bot

    def edit_key(self, key: ApiKey) -> ApiKey:
        self._edit(key)
        self.put(self.changes.keys, key.id, key)
        return key

    def edit_approval(self, approval: ApprovalRecord) -> ApprovalRecord:
        self._edit(approval)
        self.put(self.changes.approvals, approval.id, approval)
        return approval

    def edit_job(self, job: BackgroundJob) -> BackgroundJob:
        self._edit(job)
        self.put(self.changes.jobs, job.id, job)
        return job

    def add_task(self, task: TaskRecord) -> None:
        self.put_row(lookups.TASK, task.id, task)
        self.put_row(lookups.JOBS, task.id, [])
        self.put(self.changes.tasks, task.id, task)

    def add_work(self, task: TaskRecord, work: Work) -> None:
        self.put_row(lookups.WORK, work.id, work)
        self.put_row(lookups.WORK_KEY, (task.id, work.key), work.id)
        self.put_row(lookups.LEASE, work.id, None)
        self.put(self.changes.works, work.id, work)
        self.rows_written += 1

    def add_edge(self, edge: Edge) -> None:
        self.changes.edges.append(edge)
        # The loaded lists of this parent's children, and of the child's parents, are incomplete now: drop them.
        for want in (*self._listed.get(edge.parent, ()), lookups.PARENTS.of(edge.child)):
            if want in self.rows:
                self._undo.append((self.rows, want, self.rows.pop(want)))

    def add_bot(self, bot: BotRecord) -> None:
        self.put_row(lookups.BOT, bot.id, bot)
        self.put_row(lookups.BOT_NAME, (bot.tenant, bot.name, bot.instance), bot.id)
        self.put(self.changes.bots, bot.id, bot)

    def remove_bot(self, bot: BotRecord) -> None:
        self.put_row(lookups.BOT, bot.id, None)
        self.put_row(lookups.BOT_NAME, (bot.tenant, bot.name, bot.instance), None)
        self.put(self.changes.bots, bot.id, None)
        self.put(self.anchored, ("bot", bot.id), AnchoredRow(bot.tenant, "", None))

    def add_key(self, key: ApiKey) -> None:
        self.put_row(lookups.KEY, key.id, key)
        self.put(self.changes.keys, key.id, key)

    def add_approval(self, approval: ApprovalRecord) -> None:
        self.put_row(lookups.APPROVAL, approval.id, approval)
        self.put(self.changes.approvals, approval.id, approval)
        self.set_timer("answer", approval.id, approval.expires_at)

    def add_job(self, task: TaskRecord, kind: str, args: Mapping[str, Json]) -> BackgroundJob:
        # Jobs of one task run in the order of their ids.
        job = BackgroundJob(
            f"chr_{self.next_position():020d}{task.id[4:]}", task.id, task.tenant, kind, self.now, args=args
        )
        self.put_row(lookups.JOBS, task.id, [*self.jobs(task), job])
        self.put(self.changes.jobs, job.id, job)
        return job

    def end_job(self, job: BackgroundJob) -> None:
        remaining = [other for other in self.get(lookups.JOBS, job.task) if other.id != job.id]
        self.put_row(lookups.JOBS, job.task, remaining)
        self.put(self.changes.jobs, job.id, None)

    def write_payload(self, task: TaskRecord, payload_id: str, body: bytes | None, *, kept: bool = True) -> str:
        """Write a payload, or remove it (None); return its id.

        Args:
            kept: False if it will soon be replaced or removed; then it does not count as stored bytes.
        """
        if kept and body is not None:
            self.count_stored(task.tenant, len(body))
        self.put(self.changes.payloads, payload_id, None if body is None else (task.id, body))
        self.put_row(lookups.PAYLOAD, payload_id, body)
        return payload_id

    def keep_checkpoint(self, task: TaskRecord, work: Work, payload_id: str | None) -> None:
        """Have the next attempt continue from this checkpoint, or from none; the former one is removed."""
        former, self.edit_work(work).checkpoint = work.checkpoint, payload_id
        if former is not None and former != payload_id:
            self.write_payload(task, former, None)

    def count_stored(self, tenant: str, by: int) -> None:
        """Count bytes of payloads that were written, or (negative) erased."""
        self._count(self.changes.stored, "stored_bytes", tenant, by)

    def count_open(self, task: TaskRecord, by: int) -> None:
        """Add `by` to the number of the task's subtasks that are not final."""
        self.edit_task(task).n_open += by
        self._count(self.changes.opened_subtasks, "open_subtasks", task.tenant, by)

    def count_task(self, tenant: str, by: int) -> None:
        """Count a task that was opened (1) or became final (-1)."""
        self._count(self.changes.opened, "open_tasks", tenant, by)

    def _count(self, counts: dict[str, int], name: str, tenant_id: str, by: int) -> None:
        self.put(counts, tenant_id, counts.get(tenant_id, 0) + by)
        tenant: Tenant | None = self.rows.get((lookups.TENANT, tenant_id))
        if tenant is not None:  # so that the next submission of this batch sees it
            self.put_row(lookups.TENANT, tenant_id, replace(tenant, **{name: getattr(tenant, name) + by}))

    def set_timer(self, kind: str, ref: str, due: int | None) -> None:
        self.put(self.changes.timers, (kind, ref), due)

    def give_feedback(self, work: Work, round_: int, text: str) -> None:
        if text:
            n = len(self.changes.feedback)
            self.changes.feedback.append(FeedbackRecord(work.id, work.task, round_, text, self.now, n))

    # ---- names and order -------------------------------------------------------------------------------------------

    def new_id(self, prefix: str) -> str:
        context = self._context()
        context.ids_made += 1
        return ids.timed(prefix, self.now, context.seed, f"{prefix}/{context.ids_made}")

    def chance(self, purpose: str) -> bytes:
        return ids.salt(self._context().seed + purpose.encode()[:32])[:16]

    def next_position(self, room: int = 1) -> int:
        """Return a unique, increasing position, and reserve `room` positions from it on."""
        position = self.position + 1
        self.position += room
        return position

    def queue(self, kind: Kind, skills: tuple[str, ...], assign_to: str | None) -> int:
        """Return the id of the queue for such items; create it if it is new. Queues are never removed."""
        wanted = tuple(sorted(set(skills)))
        queue = self.queues.find(kind, wanted, assign_to)
        if queue is None:
            queue = self.queues.new(kind, wanted, assign_to)
            self.put(self.queues.by_id, queue.id, queue)
            self.put(self.queues.by_meaning, (kind, wanted, assign_to), queue)
            self.changes.queues.append(queue)
        return queue.id

    # ---- events ----------------------------------------------------------------------------------------------------

    def emit(self, event: EventBody, *, task: TaskRecord | None = None, work: Work | None = None) -> None:
        """Write an event to the feed. An event of a task gets the task's next sequence number."""
        context = self._context()
        sequence = 0
        if task is not None:
            self.edit_task(task)
            task.sequence += 1
            sequence = task.sequence
        tenant = context.tenant if task is None else task.tenant
        if context.request and context.audit not in self.changes.requests:
            self.put(self.changes.requests, context.audit, context.request)
        self.changes.events.append(
            Event(
                id=self.new_id("evt"),
                at=self.now,
                tenant=tenant,
                task=None if task is None else task.id,
                sequence=sequence,
                work=None if work is None else work.id,
                kind=event.KIND,
                actor=context.actor,
                audit=context.audit,
                body=self.rules.redact(
                    event.SCANNED.of(event), event.OWN.of(event) if event.OWN.fields else None, tenant=tenant
                ),
            )
        )

    # ---- what happens to tasks -------------------------------------------------------------------------------------

    def move_task(
        self,
        task: TaskRecord,
        transition: TaskTransition,
        event: Callable[Concatenate[TaskStatus, TaskStatus, P], TaskMoved],
        *args: P.args,
        **fields: P.kwargs,
    ) -> None:
        """Change a task's status by a transition, and emit its event.

        Args:
            event: the event class for `transition`.
            fields: the event's fields, without the two statuses.
        """
        old = task.status
        self.edit_task(task).status = states.task_after(old, transition)
        moved = event(old, task.status, *args, **fields)
        assert f"task.{transition}" == moved.KIND, "the event must be the one for this transition"
        self.emit(moved, task=task)

    def is_held(self, task: TaskRecord) -> bool:
        """Whether none of the task's items may be leased now."""
        return bool(task.hold_reasons) or task.loading or task.status in TASK_CLOSED

    # ---- what happens to work items --------------------------------------------------------------------------------

    def move_work(self, task: TaskRecord, work: Work, transition: Transition) -> None:
        """Change an item's status by a transition, with its counters, queue entry and timers. The caller emits."""
        self._become(task, work, states.after(work.status, transition))

    def reopened(self, task: TaskRecord, work: Work, status: Status) -> None:
        """Reset an item to its start, from any status; see states.REOPEN."""
        self._become(task, work, status)
        work.tries = work.crashes = work.deferrals = work.put_off = work.unseen = work.reworks = 0
        work.round += 1
        work.result = work.result_hash = work.error = None

    def _become(self, task: TaskRecord, work: Work, status: Status) -> None:
        old = work.status
        self.edit_work(work).status = status
        work.since = self.now
        if old is Status.READY:
            self.stop_start_clock(work)
        elif old is Status.WAITING:
            work.wake = None
            self.set_timer("wake", work.id, None)
        if work.kind is Kind.EXECUTE and (old in FINAL or status in FINAL):
            self.count_open(task, (status not in FINAL) - (old not in FINAL))
            task.n_failed += (status in _LOST) - (old in _LOST)
        if status is Status.READY:
            if old is not Status.LEASED:  # a released item keeps its position and remaining time
                work.position, work.start_left = self.next_position(), work.start
            self.make_ready(task, work)

    def make_ready(self, task: TaskRecord, work: Work) -> None:
        """Add a READY item to its queue and start its schedule-to-start clock, unless its task is held."""
        assert work.status is Status.READY, "only a READY item can be queued"
        if self.is_held(task) or (work.limits is not None and not key_lines.enter(self, work)):
            return
        self.queue_up(task, work)

    def queue_up(self, task: TaskRecord, work: Work) -> None:
        """Add a READY item to its queue, whatever holds it back."""
        if work.start_due is None and work.id not in self.changes.ready:
            self.put(self._unsaved, work.id, None)
        self.edit_work(work).start_due = self.now + work.start_left
        self.set_timer("start", work.id, work.start_due)
        position = match.position_of(task, work)
        ready = QueueEntry(
            work.id, work.queue, work.tenant, work.priority, position, work.position, work.task, work.excluded
        )
        self.put(self.changes.ready, work.id, ready)
        self.put(self.touched, work.queue, None)

    def stop_start_clock(self, work: Work) -> None:
        """Remove a READY item from its queue and keep its remaining time; `make_ready` continues."""
        self.edit_work(work)
        if work.limits is not None:
            key_lines.leave(self, work)
        unsaved = work.id in self._unsaved  # most items are leased in the batch that made them READY
        if unsaved:
            self.drop(self._unsaved, work.id)
            self.drop(self.changes.ready, work.id)
            self.drop(self.changes.timers, ("start", work.id))
        else:
            self.put(self.changes.ready, work.id, None)
        if work.start_due is not None:
            work.start_left, work.start_due = max(0, work.start_due - self.now), None
            if not unsaved:
                self.set_timer("start", work.id, None)

    def take_changes(self) -> Changes:
        self._unsaved, self.held_saved = {}, dict(self.held)
        counting.count_changed(self.changes, self._counted)
        counting.mark(self.changes, self.rows, self.queues.by_id)
        return super().take_changes()

    def wait(self, task: TaskRecord, work: Work, transition: Transition, until: int | None) -> None:
        """Make an item wait until a time, or (None) for an answer."""
        self.move_work(task, work, transition)
        work.wake = until
        if until is not None:
            self.set_timer("wake", work.id, until)

    # ---- leases ----------------------------------------------------------------------------------------------------

    def grant(self, task: TaskRecord, work: Work, bot: BotRecord, *, ttl: int, claim_id: str | None) -> LeaseRecord:
        self.move_work(task, work, Transition.LEASED)
        if work.limits is not None:
            key_lines.occupy(self, work)
        work.attempt += 1
        lease = LeaseRecord(
            work=work.id,
            task=task.id,
            tenant=work.tenant,
            lease_id=ids.secret("lse", self._context().seed, f"lease/{work.id}/{work.attempt}"),
            attempt=work.attempt,
            bot=bot.id,
            claim_id=claim_id,
            granted_at=self.now,
            expires_at=self.now + ttl,
            ends_at=self.now + work.timeout,
            ttl=ttl,
        )
        lease_id = lease.lease_id
        rows = {
            (lookups.LEASE, work.id): lease,
            (lookups.LEASE_ID, lease_id): work.id,
            (lookups.ATTEMPT, lease_id): None,
        }
        self.put_all(self.rows, rows)
        self.put(self.changes.leases, work.id, lease)
        timers = {("lease", work.id): lease.expires_at, ("ends", work.id): lease.ends_at}
        self.put_all(self.changes.timers, timers)
        self.put(self.held, bot.id, self.held.get(bot.id, 0) + 1)
        if claim_id is not None:
            claimed = self.rows.get((lookups.CLAIM, (bot.id, claim_id)))
            if claimed is not None:
                self.put_row(lookups.CLAIM, (bot.id, claim_id), [*claimed, work.id])
        return lease

    def mark_seen(self, lease: LeaseRecord) -> None:
        """Mark a lease as seen: a call named it, so its grant arrived."""
        if not lease.seen:
            self.edit_lease(lease).seen = True
            self.arrivals.named(lease, self.now)

    def end_lease(
        self,
        task: TaskRecord,
        work: Work,
        lease: LeaseRecord,
        ending: AttemptOutcome,
        *,
        error: Mapping[str, Json] | None = None,
        result: str | None = None,
        result_hash: str | None = None,
        usage: Mapping[str, int] | None = None,
        answer: str | None = None,
        reason: str | None = None,
    ) -> AttemptRecord:
        """Record the attempt and remove the lease. The caller must then change the item's status."""
        spent = dict(usage if usage is not None else lease.usage or {})
        attempt = AttemptRecord(
            work=work.id,
            task=task.id,
            tenant=work.tenant,
            attempt=lease.attempt,
            lease_id=lease.lease_id,
            bot=lease.bot,
            started=lease.granted_at,
            ended=self.now,
            ending=ending,
            round=work.round,
            error=error,
            result=result,
            result_hash=result_hash,
            usage=spent or None,
            answer=answer,
            reason=self.rules.text(reason, tenant=work.tenant) if reason else None,
            progress=self.rules.redact(lease.progress, tenant=work.tenant).value if lease.progress else None,
        )
        self.changes.attempts.append(attempt)
        lease_id = lease.lease_id
        rows = {
            (lookups.ATTEMPT, lease_id): attempt,
            (lookups.LEASE, work.id): None,
            (lookups.LEASE_ID, lease_id): None,
        }
        self.put_all(self.rows, rows)
        if work.id in self.changes.leases:
            self.drop(self.changes.leases, work.id)
        self.put(self.changes.leases_gone, work.id, None)
        kinds = ("lease", "ends", "grace") if lease.cancelled else ("lease", "ends")
        self.put_all(self.changes.timers, dict.fromkeys([(kind, work.id) for kind in kinds]))
        self.put(self.held, lease.bot, self.held.get(lease.bot, 0) - 1)
        if work.limits is not None:
            key_lines.vacate(self, work)
        if lease.checkpoint is not None:
            self.keep_checkpoint(task, work, lease.checkpoint)
        if lease.seen and work.unseen:
            self.edit_work(work).unseen = 0  # it counts unseen leases in a row
        if spent.get("tokens") and work.tenant in self.rates:
            skills, bot = self.queues.by_id[work.queue].skills, self.get(lookups.BOT, lease.bot)
            if bot is not None:
                work_rates.used(self, bot, skills, spent["tokens"])
        if spent:
            total = {name: task.usage.get(name, 0) + spent.get(name, 0) for name in {**task.usage, **spent}}
            self.edit_task(task).usage = total
            self.add_costs_of(task, lease.bot, self.queues.by_id[work.queue].skills, spent)
        return attempt


def failure(code: str, detail: str, work: Work | None = None) -> dict[str, Json]:
    """Return the reason of a failed task or item, in its stored form."""
    plain: dict[str, Json] = {"code": code, "detail": detail}
    if work is not None:
        plain["work_id"] = work.id
    return plain
