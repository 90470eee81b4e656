"""The working set of one batch: what was loaded, what has changed, what was emitted.

Deciding never loads. What a decision looks for and does not find raises `NotLoaded`; the engine loads it and decides
that command again. Every change is journalled (journal.py), so that a command that is refused, or has to be decided
again, leaves nothing behind. Changes are handed over with `take_changes`; rows that list what may have changed
(`VOLATILE`) are forgotten after each command that changed something, and read afresh.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, cast

from swarmkeeper.core import ids, lookups, states
from swarmkeeper.core.catalogue import EventBody
from swarmkeeper.core.decide.undo_log import UndoLog
from swarmkeeper.core.errors import NotFound
from swarmkeeper.core.events import TaskMoved
from swarmkeeper.core.lookups import K, Lookup, V
from swarmkeeper.core.model import (
    ApiKey,
    Approval,
    Attempt,
    BackgroundJob,
    Bot,
    Edge,
    Event,
    Feedback,
    Json,
    Lease,
    Limits,
    Queue,
    QueueEntry,
    Task,
    Work,
)
from swarmkeeper.core.ports import Key, Rules
from swarmkeeper.core.rules import match
from swarmkeeper.core.rules.arrivals import Arrivals
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

# Lists of what may have changed since they were loaded.
VOLATILE: frozenset[str] = frozenset(
    {
        lookups.GRANTS,
        lookups.OPEN_WORKS,
        lookups.HELD_WORKS,
        lookups.LEASES_OF_BOT,
        lookups.BOTS_OF_KEY,
        lookups.KEYS_OF_BOT,
        lookups.APPROVALS,
        lookups.LATE,
        lookups.GRAPH,
    }
)
P = ParamSpec("P")
_LOST = frozenset({Status.FAILED, Status.CANCELLED})


class NotLoaded(Exception):
    """Deciding this command needs more rows."""

    def __init__(self, *needs: Key) -> None:
        super().__init__(needs)
        self.needs = needs


class WorkingSet(UndoLog):
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
    ) -> None:
        super().__init__(now=now, rules=rules)
        self.arrivals = Arrivals() if arrivals is None else arrivals
        self.wall = now if wall is None else wall  # by which keys expire: that of whoever looks at a calendar
        self.limits = limits
        self.queues = queues
        self.touched: dict[int, None] = {}  # queues that got something to hand out, in order
        self.held: dict[str, int] = {}  # bot id -> leases granted less leases ended in this batch
        self.position = max(now, position)  # the engine carries it on, so that no two items share one
        self._listed: dict[str, list[Key]] = {}  # work id -> the lists of its children that were loaded

    # ---- looking ---------------------------------------------------------------------------------------------------

    def put_loaded(self, loaded: Mapping[Key, Any]) -> None:
        """Take in what was loaded. Rows that are here already are newer, and stay."""
        for want, value in loaded.items():
            if want not in self.rows:
                self.rows[want] = value
                if want[0] in VOLATILE:
                    self._volatile.append(want)
                elif want[0] == lookups.CHILDREN:
                    self._listed.setdefault(want[1][0], []).append(want)
                elif want[0] == lookups.WORK and value is not None and value.kind is Kind.REVIEW:
                    # The reviews of a round are looked for by their keys: mostly there is but this one.
                    self.rows.setdefault(lookups.WORK_KEY.of((value.task, value.key)), value.id)

    def get(self, lookup: Lookup[K, V], key: K) -> V:
        """What was found under a key.

        Raises:
            NotLoaded: it was not loaded yet.
        """
        try:
            return cast(V, self.rows[lookup, key])
        except KeyError:
            raise NotLoaded((lookup, key)) from None

    def get_many(self, lookup: Lookup[K, V], keys: Iterable[K]) -> list[V]:
        """What was found under several keys, in their order. What is missing of them is loaded in one round."""
        needs = [(lookup, key) for key in keys]
        missing = [want for want in needs if want not in self.rows]
        if missing:
            raise NotLoaded(*missing)
        return [self.rows[want] for want in needs]

    def known(self, lookup: Lookup[K, V], key: K) -> V | None:
        """What was found under a key, or None where it was not loaded."""
        return self.rows.get((lookup, key))

    def task(self, task_id: str, tenant: str | None = None) -> Task:
        task = self.get(lookups.TASK, task_id)
        if task is None or (tenant is not None and task.tenant != tenant):
            raise NotFound("no such task")
        return task

    def work(self, work_id: str) -> Work:
        work = self.get(lookups.WORK, work_id)
        assert work is not None, "a work item that something refers to is there"
        return work

    def works(self, work_ids: Iterable[str]) -> list[Work]:
        """Items that something refers to, in the order of their ids here."""
        found = self.get_many(lookups.WORK, work_ids)
        works = [work for work in found if work is not None]
        assert len(works) == len(found), "a work item that something refers to is there"
        return works

    def bodies(self, payload_ids: Iterable[str | None]) -> list[bytes]:
        """Bodies that something refers to, as JSON, in the order of their ids here."""
        ids = list(payload_ids)
        found = self.get_many(lookups.PAYLOAD, [one for one in ids if one is not None])
        bodies = [body for body in found if body is not None]
        assert len(bodies) == len(ids), "a body that something refers to is there"
        return bodies

    def work_by_key(self, task: Task, key: str) -> Work | None:
        work_id = self.get(lookups.WORK_KEY, (task.id, key))
        return None if work_id is None else self.work(work_id)

    def lease_of(self, work: Work) -> Lease | None:
        return self.get(lookups.LEASE, work.id)

    def lease(self, lease_id: str) -> Lease | None:
        """The live lease of that id."""
        work_id = self.get(lookups.LEASE_ID, lease_id)
        if work_id is None:
            return None
        lease = self.get(lookups.LEASE, work_id)
        return lease if lease is not None and lease.lease_id == lease_id else None

    def bot(self, bot_id: str, tenant: str) -> Bot:
        bot = self.get(lookups.BOT, bot_id)
        if bot is None or bot.tenant != tenant:
            raise NotFound("no such bot")
        return bot

    def payload(self, payload_id: str) -> Json:
        body = self.get(lookups.PAYLOAD, payload_id)
        return None if body is None else json.loads(body)

    def jobs(self, task: Task) -> list[BackgroundJob]:
        return self.get(lookups.JOBS, task.id)

    # ---- writing ---------------------------------------------------------------------------------------------------

    def edit_task(self, task: Task) -> Task:
        self._edit(task).updated_at = self.now
        if task.id not in self.changes.tasks:
            self.put(self.changes.tasks, task.id, task)
        return task

    def edited_tasks(self) -> list[Task]:
        """The tasks that the current command has changed so far, in the order of their first change."""
        return [row for row, _ in self._before.values() if isinstance(row, Task)]

    def edit_work(self, work: Work) -> Work:
        self._edit(work)
        if work.id not in self.changes.works:
            self.put(self.changes.works, work.id, work)
            self.rows_written += 1
        return work

    def edit_lease(self, lease: Lease) -> Lease:
        self._edit(lease)
        if lease.work not in self.changes.leases:
            self.put(self.changes.leases, lease.work, lease)
        return lease

    def edit_bot(self, bot: Bot) -> Bot:
        self._edit(bot)
        self.put(self.changes.bots, bot.id, bot)
        return bot

    def edit_key(self, key: ApiKey) -> ApiKey:
        self._edit(key)
        self.put(self.changes.keys, key.id, key)
        return key

    def edit_approval(self, approval: Approval) -> Approval:
        self._edit(approval)
        self.put(self.changes.approvals, approval.id, approval)
        return approval

    def edit_job(self, job: BackgroundJob) -> BackgroundJob:
        self._edit(job)
        self.put(self.changes.jobs, job.id, job)
        return job

    def add_task(self, task: Task) -> None:
        self.put_row(lookups.TASK, task.id, task)
        self.put_row(lookups.JOBS, task.id, [])
        self.put(self.changes.tasks, task.id, task)

    def add_work(self, task: Task, work: Work) -> None:
        self.put_row(lookups.WORK, work.id, work)
        self.put_row(lookups.WORK_KEY, (task.id, work.key), work.id)
        self.put_row(lookups.LEASE, work.id, None)
        self.put(self.changes.works, work.id, work)
        self.rows_written += 1

    def add_edge(self, edge: Edge) -> None:
        self.changes.edges.append(edge)
        # What was listed for this parent is no longer all: forget it, it will be read afresh.
        for want in self._listed.get(edge.parent, ()):
            if want in self.rows:
                self._undo.append((self.rows, want, self.rows.pop(want)))

    def add_bot(self, bot: Bot) -> None:
        self.put_row(lookups.BOT, bot.id, bot)
        self.put_row(lookups.BOT_NAME, (bot.tenant, bot.name, bot.instance), bot.id)
        self.put(self.changes.bots, bot.id, bot)

    def remove_bot(self, bot: Bot) -> None:
        self.put_row(lookups.BOT, bot.id, None)
        self.put_row(lookups.BOT_NAME, (bot.tenant, bot.name, bot.instance), None)
        self.put(self.changes.bots, bot.id, None)

    def add_key(self, key: ApiKey) -> None:
        self.put_row(lookups.KEY, key.id, key)
        self.put(self.changes.keys, key.id, key)

    def add_approval(self, approval: Approval) -> None:
        self.put_row(lookups.APPROVAL, approval.id, approval)
        self.put(self.changes.approvals, approval.id, approval)
        self.set_timer("answer", approval.id, approval.expires_at)

    def add_job(self, task: Task, kind: str, args: Mapping[str, Json]) -> BackgroundJob:
        # Jobs of one task run in the order of their ids.
        job = BackgroundJob(
            f"chr_{self.next_position():020d}{task.id[4:]}", task.id, task.tenant, kind, self.now, args=args
        )
        self.put_row(lookups.JOBS, task.id, [*self.jobs(task), job])
        self.put(self.changes.jobs, job.id, job)
        return job

    def end_job(self, job: BackgroundJob) -> None:
        remaining = [one for one in self.get(lookups.JOBS, job.task) if one.id != job.id]
        self.put_row(lookups.JOBS, job.task, remaining)
        self.put(self.changes.jobs, job.id, None)

    def write_payload(self, task: Task, payload_id: str, body: bytes | None, *, kept: bool = True) -> str:
        """Write a body. One that is not `kept` is replaced or removed before long, and is not counted as stored."""
        if kept and body is not None:
            self._count(self.changes.stored, "stored_bytes", task.tenant, len(body))
        self.put(self.changes.payloads, payload_id, None if body is None else (task.id, body))
        self.put_row(lookups.PAYLOAD, payload_id, body)
        return payload_id

    def count_open(self, task: Task, by: int) -> None:
        """So many more of the task's subtasks are not final."""
        self.edit_task(task).n_open += by
        self._count(self.changes.opened_subtasks, "open_subtasks", task.tenant, by)

    def count_task(self, tenant: str, by: int) -> None:
        """A task was opened (1), or became final (-1)."""
        self._count(self.changes.opened, "open_tasks", tenant, by)

    def _count(self, counts: dict[str, int], name: str, tenant_id: str, by: int) -> None:
        self.put(counts, tenant_id, counts.get(tenant_id, 0) + by)
        tenant = self.known(lookups.TENANT, tenant_id)
        if tenant is not None:  # so that the next submission of this batch sees it
            self.put_row(lookups.TENANT, tenant_id, replace(tenant, **{name: getattr(tenant, name) + by}))

    def set_timer(self, kind: str, ref: str, due: int | None) -> None:
        self.put(self.changes.timers, (kind, ref), due)

    def give_feedback(self, work: Work, round_: int, text: str) -> None:
        if text:
            n = len(self.changes.feedback)
            self.changes.feedback.append(Feedback(work.id, work.task, round_, text, self.now, n))

    # ---- names and order -------------------------------------------------------------------------------------------

    def new_id(self, prefix: str) -> str:
        context = self._context()
        context.ids_made += 1
        return ids.timed(prefix, self.now, context.seed, f"{prefix}/{context.ids_made}")

    def chance(self, purpose: str) -> bytes:
        return ids.salt(self._context().seed + purpose.encode()[:32])[:16]

    def next_position(self, room: int = 1) -> int:
        """A moment, as an order: later calls get later ones, with room for so many between them."""
        position = self.position + 1
        self.position += room
        return position

    def queue(self, kind: Kind, skills: tuple[str, ...], assign_to: str | None) -> int:
        """The queue for such items, made where it is new. A queue once made stays."""
        wanted = tuple(sorted(set(skills)))
        queue = self.queues.find(kind, wanted, assign_to)
        if queue is None:
            queue = Queue(self.queues.next_id(), kind, wanted, assign_to)
            self.put(self.queues.by_id, queue.id, queue)
            self.put(self.queues.by_meaning, (kind, wanted, assign_to), queue)
            self.changes.queues.append(queue)
        return queue.id

    # ---- telling ---------------------------------------------------------------------------------------------------

    def emit(self, event: EventBody, *, task: Task | None = None, work: Work | None = None) -> None:
        """Write an event to the feed. One of a task takes the task's next number."""
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
                body=self.rules.redact(event.scanned(), event.own() if event.OWN.fields else None, tenant=tenant),
            )
        )

    # ---- what happens to tasks -------------------------------------------------------------------------------------

    def move_task(
        self,
        task: Task,
        transition: TaskTransition,
        event: Callable[Concatenate[TaskStatus, TaskStatus, P], TaskMoved],
        *args: P.args,
        **fields: P.kwargs,
    ) -> None:
        """Move a task along its life, and write the event of it.

        Args:
            event: its class, which must be the one for `transition`.
            fields: of the event, without the two statuses.
        """
        old = task.status
        self.edit_task(task).status = states.task_after(old, transition)
        moved = event(old, task.status, *args, **fields)
        assert f"task.{transition}" == moved.KIND, "each change of a task's status has an event of its own"
        self.emit(moved, task=task)

    def is_held(self, task: Task) -> bool:
        """Whether nothing of the task may be handed out now."""
        return bool(task.hold_reasons) or task.loading or task.status in TASK_CLOSED

    # ---- what happens to work items --------------------------------------------------------------------------------

    def move_work(self, task: Task, work: Work, transition: Transition) -> None:
        """Move an item along its life: status, counters, place in the queue, clocks. Telling is the caller's."""
        self._become(task, work, states.after(work.status, transition))

    def reopened(self, task: Task, work: Work, status: Status) -> None:
        """Put an item back to the start, whatever it was; see states.REOPEN."""
        self._become(task, work, status)
        work.tries = work.crashes = work.deferrals = work.put_off = work.unseen = work.reworks = 0
        work.round += 1
        work.result = work.result_hash = work.error = None

    def _become(self, task: Task, work: Work, status: Status) -> None:
        old = work.status
        self.edit_work(work).status = status
        work.since = self.now
        if old is Status.READY:
            self.unready(work)
            self.set_timer("start", work.id, None)
            if work.start_due is not None:
                work.start_left, work.start_due = max(0, work.start_due - self.now), None
        elif old is Status.WAITING:
            work.wake = None
            self.set_timer("wake", work.id, None)
        if work.kind is Kind.EXECUTE and (old in FINAL or status in FINAL):
            self.count_open(task, (status not in FINAL) - (old not in FINAL))
            task.n_failed += (status in _LOST) - (old in _LOST)
        if status is Status.READY:
            if old is not Status.LEASED:  # else it keeps its place and what is left of its time
                work.position, work.start_left = self.next_position(), work.start
            self.make_ready(task, work)

    def make_ready(self, task: Task, work: Work) -> None:
        """Put a READY item where bots find it and start its clock, unless its task is held back."""
        assert work.status is Status.READY, "only what is READY can be handed out"
        if self.is_held(task):
            return
        self.edit_work(work).start_due = self.now + work.start_left
        self.set_timer("start", work.id, work.start_due)
        position = match.place_of(task, work)
        ready = QueueEntry(
            work.id, work.queue, work.tenant, work.priority, position, work.position, work.task, work.excluded
        )
        self.put(self.changes.ready, work.id, ready)
        self.put(self.touched, work.queue, None)

    def unready(self, work: Work) -> None:
        self.put(self.changes.ready, work.id, None)

    def stop_start_clock(self, work: Work) -> None:
        """Take a READY item out of its queue and keep what is left of its time; `make_ready` goes on."""
        self.edit_work(work)
        self.unready(work)
        if work.start_due is not None:
            work.start_left, work.start_due = max(0, work.start_due - self.now), None
            self.set_timer("start", work.id, None)

    def wait(self, task: Task, work: Work, transition: Transition, until: int | None) -> None:
        """Let an item wait for a moment, or (None) for an answer."""
        self.move_work(task, work, transition)
        work.wake = until
        if until is not None:
            self.set_timer("wake", work.id, until)

    # ---- leases ----------------------------------------------------------------------------------------------------

    def grant(self, task: Task, work: Work, bot: Bot, *, ttl: int, claim_id: str | None) -> Lease:
        self.move_work(task, work, Transition.LEASED)
        work.attempt += 1
        lease = Lease(
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
        self.put_row(lookups.LEASE, work.id, lease)
        self.put_row(lookups.LEASE_ID, lease.lease_id, work.id)
        self.put_row(lookups.ATTEMPT, lease.lease_id, None)
        self.put(self.changes.leases, work.id, lease)
        self.set_timer("lease", work.id, lease.expires_at)
        self.set_timer("ends", work.id, lease.ends_at)
        self.put(self.held, bot.id, self.held.get(bot.id, 0) + 1)
        if claim_id is not None:
            claimed = self.known(lookups.CLAIM, (bot.id, claim_id))
            if claimed is not None:
                self.put_row(lookups.CLAIM, (bot.id, claim_id), [*claimed, work.id])
        return lease

    def saw(self, lease: Lease) -> None:
        """A call named this lease: its grant arrived."""
        if not lease.seen:
            self.edit_lease(lease).seen = True
            self.arrivals.named(lease, self.now)

    def end_lease(
        self,
        task: Task,
        work: Work,
        lease: Lease,
        ending: AttemptOutcome,
        *,
        error: Mapping[str, Json] | None = None,
        result: str | None = None,
        result_hash: str | None = None,
        usage: Mapping[str, int] | None = None,
        answer: str | None = None,
        reason: str | None = None,
    ) -> Attempt:
        """Write the attempt down and take the lease away; what happens to the item is the caller's next line."""
        spent = dict(usage if usage is not None else lease.usage or {})
        attempt = Attempt(
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
        self.put_row(lookups.ATTEMPT, lease.lease_id, attempt)
        self.put_row(lookups.LEASE, work.id, None)
        self.put_row(lookups.LEASE_ID, lease.lease_id, None)
        if work.id in self.changes.leases:
            self._undo.append((self.changes.leases, work.id, self.changes.leases.pop(work.id)))
        self.put(self.changes.leases_gone, work.id, None)
        for kind in ("lease", "ends", "grace") if lease.cancelled else ("lease", "ends"):
            self.set_timer(kind, work.id, None)
        self.put(self.held, lease.bot, self.held.get(lease.bot, 0) - 1)
        if lease.checkpoint is not None:
            self.edit_work(work).checkpoint = lease.checkpoint
        if lease.seen and work.unseen:
            self.edit_work(work).unseen = 0  # it is counted in a row
        if spent:
            total = dict(task.usage)
            for name, amount in spent.items():
                total[name] = total.get(name, 0) + amount
            self.edit_task(task).usage = total
        return attempt


def failure(code: str, detail: str, work: Work | None = None) -> dict[str, Json]:
    """Why a task or an item failed, as it is stored and shown."""
    plain: dict[str, Json] = {"code": code, "detail": detail}
    if work is not None:
        plain["work_id"] = work.id
    return plain
