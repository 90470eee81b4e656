"""Run one batch: load, decide, run one slice of a job, grant leases, save. It does not depend on the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from typing import Any

from swarmkeeper.core import ids, lookups
from swarmkeeper.core.answers import Refusal, Replayed, ReportReceipt
from swarmkeeper.core.commands import ENGINE, Command, Continue, ReleaseLease, ReportResult, TimerFired
from swarmkeeper.core.decide import decide
from swarmkeeper.core.decide.loaded_rows import NotLoaded
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import IdempotencyKeyReused, SwarmkeeperError
from swarmkeeper.core.model import AuditEntry, BackgroundJob, Idempotency, Timer
from swarmkeeper.core.ports import Changes, Clock, Key, Transaction
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import Kind
from swarmkeeper.engine.dispatcher import Dispatcher
from swarmkeeper.engine.lease_facts import FactsGatherer
from swarmkeeper.engine.polls import Claimed, Poll, Scheduler
from swarmkeeper.govern import anchors, audit
from swarmkeeper.request_id import trace_fields

ROUNDS_MAX = 1_000  # detects endless loads; decisions ask for rows in bulk and need a few rounds
# Chooses the timers and the job of a batch, once it is known at which time it decides.
Choose = Callable[[Transaction, int], Awaitable[tuple[Sequence[Timer], BackgroundJob | None]]]

BATCH_TIME_MAX = 100_000  # microseconds that a batch counts as at most: a single slow one says little
COMPANY_PART = 8  # a batch waits for others an eighth of the time that the last one took
COMPANY_LOOKS = 2  # and looks in between whether they come at all
REPORTS_A_SLICE = 4  # with fewer than twice as many reports, each may write a whole slice: few do
SLICES_MAX = 16  # a slice is divided into at most this many when there are more reports


@dataclass(slots=True, eq=False)
class Queued:
    """One command, from its arrival to its answer."""

    command: Command[Any]
    seed: bytes
    answer: asyncio.Future[Any] | None = None
    request: str = ""  # request id
    value: Any = None
    error: SwarmkeeperError | None = None
    poll: Poll | None = None  # a claim sent along with a group of reports; on the last of them
    group: tuple[Queued, ...] = ()  # the others of that group; not this one, since a cycle would wait for the collector
    rounds: int = 0
    rows: int = 0  # rows that it wrote
    decided: bool = False

    @property
    def accepted(self) -> bool:
        return self.decided and self.error is None and not isinstance(self.value, Refusal)

    def settle(self, error: SwarmkeeperError | None) -> None:
        """Set the answer, or the error, if a caller still waits."""
        if self.answer is None or self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(self.value)

    def reset(self) -> None:
        self.value = self.error = None
        self.rounds, self.decided = 0, False
        if self.poll is not None:
            self.poll.undo()


async def ask(queued: Queued, enqueue: Callable[[Queued], None]) -> Any:
    queued.answer = asyncio.get_running_loop().create_future()
    enqueue(queued)
    return await queued.answer


async def ask_all(asked: Sequence[Queued], enqueue: Callable[[Queued], None]) -> list[Any]:
    """Return answers or errors, in order."""
    loop = asyncio.get_running_loop()
    answers: list[asyncio.Future[Any]] = []
    for queued in asked:
        queued.answer = loop.create_future()
        answers.append(queued.answer)
        try:
            enqueue(queued)
        except SwarmkeeperError as error:
            queued.answer.set_exception(error)
    results: list[Any] = []
    try:
        # They come with the same commit, so awaiting them one after another costs nothing.
        for answer in answers:
            try:
                results.append(await answer)
            except SwarmkeeperError as error:
                results.append(error.with_traceback(None))  # a traceback would keep this frame and all commands
    except BaseException:
        for answer in answers:
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # marks it as retrieved, so that asyncio does not log it
        raise
    return results


class Company:
    """Decides how long a batch waits for more commands, with a store that takes long for each batch.

    Theory. Bots that a batch has answered come back within a moment, each with its next result. If the next batch began
    with the first of them, the others would need a batch more. So soon after several answers, a batch waits as long as
    commands keep coming, until as many came as were answered. It waits for a small part of the time that a batch takes,
    so it cannot lose much, and may save a whole batch. A caller that comes alone does not wait.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._callers = self._answered_at = self._took = 0

    def answered(self, calls: Collection[str], began: int) -> None:
        """Note that a batch that began then has answered these calls now, however many commands each of them had."""
        self._callers, self._answered_at = len(calls), self._clock.monotonic()
        self._took = min(self._answered_at - began, BATCH_TIME_MAX)

    async def wait(self, queue: Sized) -> None:
        """Wait for those who are likely to come soon, while the queue grows."""
        now = self._clock.monotonic()
        if self._callers < 2 or now - self._answered_at > self._took:
            return
        last, before = now + self._took // COMPANY_PART, 0
        while before < len(queue) < self._callers and self._clock.monotonic() < last:
            before = len(queue)
            await asyncio.sleep(self._took / COMPANY_PART / COMPANY_LOOKS / 1_000_000)


def slice_rows(rows: int, tenants: int) -> int:
    """Return how many rows a command may write: fewer while several tenants are active."""
    return 2 * graph.part_rows(rows) if tenants > 1 else rows


def refuse(commands: Sequence[Queued], polls: Sequence[Poll], error: SwarmkeeperError) -> None:
    """Answer commands that were not carried out, and polls."""
    for queued in commands:
        queued.settle(error)
        if queued.poll is not None:
            queued.poll.refuse(error)
    for poll in polls:
        poll.refuse(error)


def trace_of(working: WorkingSet, commands: Sequence[Queued]) -> Mapping[str, str]:
    """Return what a log line says of the trace of a batch of one command, poll, timer or slice that failed.

    It is that of the only task that was loaded; if there is no such task, that of the command's call.
    """
    tasks = [row for (kind, _), row in working.rows.items() if kind == lookups.TASK and row is not None]
    if len(tasks) == 1:
        return trace_fields(tasks[0].trace, ids.span_id(tasks[0].id))
    return trace_fields(commands[0].command.trace if commands else "")


@dataclass(slots=True)
class Batch:
    transaction: Transaction
    working: WorkingSet
    scheduler: Scheduler
    seed: Callable[[], bytes]
    saved: list[Changes] = field(default_factory=list)
    answered: list[Poll] = field(default_factory=list)

    async def run(
        self,
        commands: Sequence[Queued],
        polls: Sequence[Poll],
        *,
        choose: Choose | None = None,
        beside: Iterable[Key] = (),
        alive: bool = False,
        slice_rows: int | None = None,
    ) -> None:
        """Decide the commands, the timers and the job that `choose` returns, and the polls; save the result.

        Args:
            beside: more rows for the first load, which is the one that may wait for other writers.
            slice_rows: how many rows one command may write, or the job's slice if nothing else waits; None: the limit.
        """
        whole = self.working.limits.slice_rows if slice_rows is None else slice_rows
        self._slice(whole)
        # Many reports share the slice, so that together they do not make the batch too long.
        several = sum(isinstance(queued.command, ReportResult) for queued in commands) // REPORTS_A_SLICE
        if several > 1:
            self._slice(max(whole // several, whole // SLICES_MAX))
        due = self.scheduler.due()  # parked polls: others have added work for them
        await self._load({**_needs_of(commands), **dict.fromkeys((*_needs_after(commands, [*polls, *due]), *beside))})
        self.working.begin_at(await self.transaction.now(self.working.now))
        timers, job = ((), None) if choose is None else await choose(self.transaction, self.working.now)
        fired = [Queued(TimerFired(kind=timer.kind, ref=timer.ref), self.seed()) for timer in timers]
        # Reports and heartbeats come before timers, so that they count before their lease can expire.
        await self._decide_all([*commands, *fired])
        for queued in fired:
            assert queued.error is None, f"a timer was refused: {queued.error}"
        if job is not None:
            self._slice(-(-whole // 2) if commands or polls else whole)  # callers wait for the slice, too
            step = Queued(Continue(job=job.id, task=job.task), self.seed())
            await self._decide_all([step])
            assert step.error is None, f"a job was refused: {step.error}"
        riders = [
            queued.poll
            for queued in commands
            if queued.poll is not None and any(member.accepted for member in (queued, *queued.group))
        ]
        dispatcher = Dispatcher(self.scheduler, self.working, self.transaction)
        self.answered = await dispatcher.run([*polls, *riders], self.save)
        for queued in commands:
            if isinstance(queued.value, ReportReceipt):
                queued.value = queued.value.settled()
        await self._gather_facts()
        await self._finish(alive=alive)

    def _slice(self, rows: int) -> None:
        self.working.limits = replace(self.working.limits, slice_rows=max(1, rows))

    # ---- deciding --------------------------------------------------------------------------------------------------

    async def _decide_all(self, batch: Sequence[Queued]) -> None:
        await self._load(_needs_of(batch))
        await self._load(_needs_behind(self.working, [queued.command for queued in batch]))
        waiting = batch
        while waiting:
            missing: dict[Key, None] = {}
            again = []
            for queued in waiting:
                found = self._decide(queued)
                if found:
                    missing.update(dict.fromkeys(found))
                    again.append(queued)
            if again:
                await self.save()
                await self._load(missing)
            waiting = again

    async def _load(self, needs: Iterable[Key]) -> None:
        missing = [want for want in needs if want not in self.working.rows]
        if missing:
            self.working.put_loaded(await self.transaction.load(missing))

    def _decide(self, queued: Queued) -> tuple[Key, ...]:
        """Decide one command; return the rows that must be loaded first, if any."""
        queued.rounds += 1
        assert queued.rounds < ROUNDS_MAX, "a command asks for more and more rows"
        working, command = self.working, queued.command
        actor_type, actor = _actor(command)
        working.begin(
            actor_type=actor_type,
            actor=actor,
            by=command.by,
            seed=queued.seed,
            trace=command.trace,
            request=queued.request,
        )
        try:
            queued.value = self._replayed(command)
            if queued.value is None:
                queued.value = decide(working, command)
                self._remember(command, queued.value)
            queued.rows = working.rows_written
            working.finish()
        except NotLoaded as missing:
            working.undo()
            return missing.needs
        except SwarmkeeperError as error:
            working.undo()
            queued.error = error.with_traceback(None)  # a traceback would form a reference cycle with this frame
        queued.decided = True
        return ()

    def _replayed(self, command: Command[Any]) -> Replayed | None:
        if command.idempotency is None:
            return None
        request_hash = command.idempotency[1]
        own, former = (self._known(command, name) for name in command.remembered_as)
        if own is not None and own.request_hash != request_hash:
            raise IdempotencyKeyReused("this Idempotency-Key was used with another request")
        known = own or (former if former is not None and former.request_hash == request_hash else None)
        return None if known is None else Replayed(known.resource)

    def _known(self, command: Command[Any], name: str) -> Idempotency | None:
        known = self.working.get(lookups.IDEMPOTENCY, (command.by.tenant, name))
        return None if known is None or known.expires <= self.working.now else known

    def _remember(self, command: Command[Any], value: Any) -> None:
        if command.idempotency is None or isinstance(value, Refusal):
            return
        key, request_hash = command.remembered_as[0], command.idempotency[1]
        resource = value if isinstance(value, str) else str(value[0])
        expires = self.working.now + self.working.limits.idempotency
        row = Idempotency(command.by.tenant, key, request_hash, 0, resource, expires)
        self.working.put_row(lookups.IDEMPOTENCY, (command.by.tenant, key), row)
        self.working.changes.idempotency.append(row)

    async def _gather_facts(self) -> None:
        """Add to the granted leases what their answers show, so that nothing need be read after the commit."""
        polls = [poll for poll in self.answered if poll.found.leases]
        if polls:
            gatherer = FactsGatherer(self.working, self._load_saved, ahead=self.transaction.reads_together)
            claims = await gatherer.gather([poll.found.leases for poll in polls])
            for poll, granted in zip(polls, claims, strict=True):
                poll.found = Claimed(granted, None)

    async def _load_saved(self, needs: Iterable[Key]) -> None:
        """Load missing rows of the batch's own state.

        Payloads that the batch wrote are in the working set. Only lists of edges and items must be read after what the
        batch added to them is saved.
        """
        missing = [want for want in needs if want not in self.working.rows]
        if missing:
            lists = _grown(self.working.changes)
            if any(want in lists or want[0] not in _KNOWN_LISTS for want in missing):
                await self.save()
            self.working.put_loaded(await self.transaction.load(missing))

    # ---- saving ----------------------------------------------------------------------------------------------------

    async def save(self) -> None:
        """Write the changes so far, so that later loads see them."""
        changes = self.working.take_changes()
        if changes:
            await self.transaction.save(changes)
            self.saved.append(changes)

    async def _finish(self, *, alive: bool) -> None:
        """Write the rest, with the audit records, and record that the engine is alive."""
        changes = self.working.take_changes()
        anchors.attach(self.working.entries, self.working.anchored, self._further_record)
        changes.leaves += audit.leaves_of(self.working.entries, self.working.rules.hash)
        if changes or self.saved or alive:
            # Many positions assigned at one moment run ahead of the time; the next run starts after them.
            changes.alive_at = self.working.position
            await self.transaction.save(changes)
            self.saved.append(changes)

    def _further_record(self, tenant: str, task: str) -> AuditEntry:
        """Add an audit record for rows of a task, or of none, that changed with a command on something else."""
        seed, now = self.seed(), self.working.now
        entry = AuditEntry(
            id=ids.timed("aud", now, seed, "audit"),
            at=now,
            tenant=tenant,
            actor_type="engine",
            actor="engine",
            key_id=ENGINE.key_id,
            action="rows.anchor",
            resource=task or tenant,
            task_id=task or None,
            outcome="accepted",
            effect="allow",
            reasons=(),
            events=(),
            body=self.working.rules.redact({}, tenant=tenant),
            salt=ids.salt(seed),
        )
        self.working.entries.append(entry)
        return entry


# What the facts of leases need: rows that no list is in, and lists of which it is known what adds to them.
_KNOWN_LISTS = frozenset({lookups.LIGHT_PAYLOAD, lookups.WORK, lookups.PARENTS, lookups.PLAN_ITEMS})


def _grown(changes: Changes) -> set[Key]:
    """Return the lists that these changes add edges or planned items to."""
    grown: set[Key] = {(lookups.PARENTS, edge.child) for edge in changes.edges}
    planned = (work for work in changes.works.values() if work.version == 0 and work.kind is Kind.EXECUTE)
    return grown | {(lookups.PLAN_ITEMS, work.task) for work in planned}


def _actor(command: Command[Any]) -> tuple[str, str]:
    by = command.by
    if by.role == "engine":
        return "engine", "engine"
    bot = getattr(command, "bot", None)
    if by.role.startswith("bot:") and isinstance(bot, str):
        return "bot", bot
    return "key", by.key_id


def _needs_of(batch: Iterable[Queued]) -> dict[Key, None]:
    needs: dict[Key, None] = {}
    for queued in batch:
        needs.update(dict.fromkeys(queued.command.needs()))
    return needs


def _needs_after(commands: Iterable[Queued], polls: Iterable[Poll]) -> list[Key]:
    """Return the rows needed after any decision; they share the first round of loads."""
    needs: dict[Key, None] = {}
    for queued in commands:
        if queued.poll is not None:
            needs.update(dict.fromkeys(queued.poll.claim.needs()))
    for poll in polls:
        needs.update(dict.fromkeys(poll.claim.needs()))
    return list(needs)


def _needs_behind(working: WorkingSet, commands: Iterable[Command[Any]]) -> list[Key]:
    """Return the rows behind items that may end now: the items that depend on them, and their tasks' jobs."""
    behind: dict[Key, None] = {}
    known = working.rows.get
    for command in commands:
        work_id: str | None
        if isinstance(command, TimerFired):
            work_id = command.ref
        elif isinstance(command, (ReportResult, ReleaseLease)) and command.lease_id is not None:
            work_id = known((lookups.LEASE_ID, command.lease_id))
        else:
            continue
        if work_id is None:
            continue
        lease = known((lookups.LEASE, work_id))
        work = known((lookups.WORK, work_id))
        task_id = lease.task if lease is not None else work.task if work is not None else None
        if task_id is not None:
            behind[lookups.TASK, task_id] = behind[lookups.JOBS, task_id] = None
            if work is None or work.kind is Kind.EXECUTE:  # nothing depends on plan and review items
                behind[lookups.CHILDREN, (work_id, "", working.limits.slice_rows)] = None
    return list(behind)
