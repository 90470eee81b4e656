"""The engine loop: gather the waiting commands, run them as one batch in one transaction, answer.

Theory. The cost of a durable change is the fsync, not the logic. So all commands that arrive during one commit form the
next batch and share its commit. An idle engine commits a single command at once, and a busy one forms large batches
(see also `Company` in batch.py). Callers are answered only after the commit; a reply lost afterwards does no harm,
because every command can be repeated (idempotency key, lease, claim id).

Decisions are pure, and an undo log covers every command, so that a refused one leaves nothing behind. If deciding or
saving raises anything else than a refusal, the batch is rolled back and its commands run one by one: only the faulty
command fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from swarmkeeper.core.answers import Refusal, Replayed, ReportReceipt, T
from swarmkeeper.core.commands import ClaimWork, Command, ReportResult, SendHeartbeat, TimerFired
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import Internal, Overloaded, SwarmkeeperError
from swarmkeeper.core.model import BackgroundJob, Limits, Timer
from swarmkeeper.core.ports import (
    EVENTS_TOPIC,
    LOOK_TOPIC,
    WRITTEN_TOPIC,
    Broker,
    Changes,
    Clock,
    Entropy,
    Key,
    LogWriter,
    Looked,
    RowsBusy,
    Rules,
    SharedStore,
    StaleVersion,
    Store,
    StoreLost,
    StoreUnavailable,
    Transaction,
)
from swarmkeeper.core.rules.arrivals import Arrivals
from swarmkeeper.core.rules.budgets import BudgetBook
from swarmkeeper.core.rules.match import QueueBook
from swarmkeeper.engine.batch import Batch, Choose, Company, Queued, ask, ask_all, refuse, slice_rows, trace_of
from swarmkeeper.engine.engine_time import APART, EngineTime
from swarmkeeper.engine.fairness import Costs, FairQueue
from swarmkeeper.engine.heartbeat_cache import HeartbeatCache
from swarmkeeper.engine.lease_facts import Granted
from swarmkeeper.engine.polls import Claimed, Poll, PollState, Scheduler
from swarmkeeper.engine.stats import Stats
from swarmkeeper.engine.upkeep import PURGE_EVERY, TIMERS_MAX, Upkeep, purge
from swarmkeeper.request_id import NO_TRACE, REQUEST, tracing

__all__ = ["Claimed", "Engine", "Granted", "Poll", "Refusal", "Replayed"]

SECOND = 1_000_000
# A command takes up to a millisecond to decide: larger batches would block the loop, and save few commits.
BATCH_COST = 128  # an ordinary command costs 1
SHARED = 8  # divides the batch while several tenants are active; with smaller batches, overhead would dominate
BATCH_BYTES = 4 << 20
BUSY_TICKS = 2  # turns of the event loop between batches: answers leave, and requests already in their sockets join
QUEUE_COMMANDS = 10_000
ALIVE_EVERY = 5 * SECOND
LOOK_EVERY = SECOND // 2  # in a shared store: how late the work and timers of other servers are found without a hint
START_FLOOR = 30 * SECOND  # least time after a stop in which a bot may still take a waiting item
STORE_PAUSE = SECOND // 5  # pause after the store could not take a batch
FAULT_PAUSE = 30 * SECOND  # delay of a timer that cannot be decided, so that it does not block the others
RERUNS_MAX = 5
_GONE = "this server has lost its store and ends; ask again when it has been started anew"


class Engine:
    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        entropy: Entropy,
        rules: Rules,
        limits: Limits,
        broker: Broker,
        log: LogWriter,
        on_commit: Callable[[Changes], None] = lambda changes: None,
        queue_commands: int = QUEUE_COMMANDS,
    ) -> None:
        self.limits = limits
        self.stats = Stats()
        self.scheduler = Scheduler()
        self.running, self._arrived, self._budgets = False, Arrivals(), BudgetBook()
        self.traced, self._failed = False, NO_TRACE  # whether traces are sent, and that of the batch that failed last
        self.store_answers = True  # False after a failed batch, until a batch succeeds
        self._store, self._clock, self._entropy, self._rules = store, clock, entropy, rules
        self._broker, self._log, self._on_commit = broker, log, on_commit
        self.weights: dict[str, int] = {}  # by tenant
        self._queue: FairQueue[Queued | Poll] = FairQueue(self.weights, queue_commands)
        self._woken, self._queues, self._heartbeat_cache = asyncio.Event(), QueueBook(), HeartbeatCache()
        # Whether memory may answer: in a shared store, only while what others change is followed.
        self.is_fresh: Callable[[], bool] = lambda: True
        self.gate: Callable[[Command[Any]], SwarmkeeperError | None] = lambda command: None  # why one is refused now
        self.time = EngineTime(clock)
        self._apart = False  # whether engine time was far ahead of the wall clock when last logged
        self._tenants = 1  # active now or recently
        self._costs, self._upkeep, self._company = Costs(), Upkeep(self.weights), Company(clock)
        self._alive_due = self._purge_due = self._pause_until = self._look_due = 0
        self._looked_at = self._arrivals = self._position = 0
        self._moved = 0  # microseconds by which time jumped forward, not yet applied in the store
        self._stalled = self._stopping = False
        self._lost: StoreLost | None = None

    # ---- public interface ------------------------------------------------------------------------------------------

    async def start(self, *, alone: bool = True) -> None:
        """Continue where the last run ended. Pass `alone=False` if another process runs the server on this store."""
        started = await self._store.start()
        self.time.start(started.alive_at)
        self._looked_at = self._clock.monotonic()
        if alone and started.alive_at:
            await self._store.grace(self.now(), self.now() + START_FLOOR)
            started = await self._store.start()
        self._learn(started)
        await self.reload_weights()
        self._purge_due = self.now() + PURGE_EVERY

    def now(self) -> int:
        """Return engine time in microseconds; it never goes back. See engine_time.py."""
        return self.time.now()

    @property
    def waiting(self) -> int:
        """Number of queued commands and polls."""
        return len(self._queue)

    async def do(self, command: Command[T]) -> T:
        """Carry out one command; return its answer once it is durable.

        Raises:
            SwarmkeeperError: the command was refused; only the refusal itself may be recorded.
        """
        if isinstance(command, SendHeartbeat) and not self._stopping and self.is_fresh():
            known = self._heartbeat_cache.answer(command, self.now(), self._rules)
            if known is not None:
                return cast(T, known)  # T is HeartbeatResult here
        return cast(T, await ask(self._queued(command), self._enqueue))

    async def do_all(self, commands: Sequence[Command[T]]) -> list[T | SwarmkeeperError]:
        """Carry out independent commands, in one batch if they fit; return answers or errors, in order."""
        return await ask_all([self._queued(command) for command in commands], self._enqueue)

    async def report(
        self, reports: Sequence[ReportResult], claim: ClaimWork | None = None
    ) -> tuple[list[ReportReceipt | SwarmkeeperError], Claimed]:
        """Take reports, and grant a claim in the same commit.

        The claim never parks, and is decided only if a report was accepted. Returns the answers or errors of the
        reports in order, and the leases.
        """
        asked = tuple(self._queued(report) for report in reports)
        poll = None
        if claim is not None and asked and self.gate(claim) is None:
            poll = self._poll(claim, parks=False, with_report=True)
            asked[-1].poll, asked[-1].group = poll, asked[:-1]
        answers = await ask_all(asked, self._enqueue)
        if poll is None or not any(queued.accepted for queued in asked):
            return answers, Claimed((), None)
        try:
            return answers, await poll.answer
        except SwarmkeeperError:
            return answers, Claimed((), None)  # the reports are accepted; their bot asks again

    def claim(self, claim: ClaimWork, *, parks: bool) -> Poll:
        """Ask for work. The poll's `answer` has leases, or none if it may not park or is ended."""
        poll = self._poll(claim, parks=parks)
        self._enqueue(poll)
        return poll

    def end(self, poll: Poll) -> None:
        """End a poll whose time is up: answer it without leases, unless a batch has leases for it."""
        if poll.state is not PollState.GRANTED:
            self.scheduler.end(poll)

    def abandon(self, poll: Poll) -> None:
        """Drop a poll whose connection is gone; leases just granted to it return to their queues as unseen.

        Leases that a repeated call was given meanwhile, here or at another server, stay with their bot.
        """
        self.scheduler.forget(poll)
        for granted in () if self._stopping else poll.leases_lost_with_it:
            stored = granted.lease.version + 1  # the batch that granted it has raised it after the copy
            lost = TimerFired(kind="unseen", ref=granted.work, lease_id=granted.lease_id, version=stored)
            self._queue.put(poll.claim.by.tenant, self._queued(lost))
            self._woken.set()

    def end_polls(self, bot_id: str) -> None:
        self.scheduler.end_all(bot_id)

    def look_again(self) -> None:
        """Reconsider all polls, because another process has written and may have added work."""
        self._heartbeat_cache.forget_all()
        self._upkeep.jobs = True
        self.scheduler.retry_all()
        self._woken.set()

    def look_at(self, queues: Collection[int]) -> None:
        """Reconsider the polls that these queues serve, because another server has added items to them."""
        if not self._queues.by_id.keys() >= set(queues):
            self._look_due = 0  # a new queue
        self.scheduler.retry_serving(queues, self._queues)
        self._woken.set()

    def forget(self, *, bots: Iterable[str] = (), tasks: Iterable[str] = (), works: Iterable[str] = ()) -> None:
        """Forget what is known of these, because another server may have changed them."""
        self._heartbeat_cache.forget(bots=bots, tasks=tasks, works=works)

    async def reload_weights(self) -> None:
        """Read the tenants' weights, rates and kills, and which have budgets, again; others may have changed them."""
        self.weights.update({row["id"]: row["weight"] for row in await self._store.read("tenant_shares", {})})
        self._budgets.tenants.update({row["id"]: None for row in await self._store.read("tenant_budgets", {})})
        await self.scheduler.read(self._store)

    async def run(self) -> None:
        """Run batches until `stop`. If this raises, no command will be answered any more: end the process.

        Raises:
            StoreLost: the store's files are no longer the ones that were opened.
        """
        self.running = True
        try:
            while not self._stopping or self._queue:
                if self._lost is not None:
                    raise self._lost
                await self._wait()
                self._notice_stall(ALIVE_EVERY)  # an idle loop wakes this often
                self._keep_time()
                if self._store.shared:
                    await self._company.wait(self._queue)
                    if self.now() >= self._look_due:
                        await self._look_around()
                await self._turn()
                self._notice_stall()  # a store may take its time
                await asyncio.sleep(0)  # a store that never awaits must not starve other tasks
                for _ in range(BUSY_TICKS if self._queue or self._upkeep.jobs else 0):
                    await asyncio.sleep(0)
        finally:
            self.running = False
            self._stopping = True
            left = self._queue.take_all()
            gone = Overloaded("the orchestrator is stopping", retry_after=1)
            refuse([item for item in left if isinstance(item, Queued)], [], gone)
            for poll in [*self.scheduler.parked.values(), *(item for item in left if isinstance(item, Poll))]:
                self.scheduler.end(poll)

    def stop(self) -> None:
        """Refuse new commands; `run` returns once the queued ones are answered."""
        self._stopping = True
        for poll in list(self.scheduler.parked.values()):
            self.scheduler.end(poll)
        self._woken.set()

    async def once(self, command: Command[T]) -> T:
        """Carry out one command without a running loop: for tools, also beside servers, and before the start."""
        queued = self._queued(command)
        await self._rerun([queued], [], upkeep=False)
        if queued.error is not None:
            raise queued.error
        return cast(T, queued.value)

    def _learn(self, looked: Looked) -> None:
        for queue in looked.queues:
            if queue.id not in self._queues.by_id:
                self._queues.add(queue)
        self._upkeep.next_due, self._upkeep.jobs = looked.next_due, looked.jobs
        self.scheduler.cooling = set(looked.cooling)
        self.scheduler.retry_serving(looked.waiting, self._queues)

    async def _look_around(self) -> None:
        """Learn what other servers have added, in case a hint was lost or its server has ended; not all at once."""
        try:
            self._learn(await self._store.look())
            if not self.is_fresh():  # this server has not read the feed for a second
                await self.reload_weights()
        except StoreUnavailable as error:
            self._unavailable(error, [], [])
        self._look_due = self.now() + LOOK_EVERY - LOOK_EVERY * self._entropy.seed()[0] // 1024

    # ---- gathering -------------------------------------------------------------------------------------------------

    def _queued(self, command: Command[Any]) -> Queued:
        return Queued(command, self._entropy.seed(), request=REQUEST.get())

    def _poll(self, claim: ClaimWork, *, parks: bool, with_report: bool = False) -> Poll:
        self._arrivals += 1
        answer: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
        # Mark the exception as retrieved: asyncio would log it if the caller no longer waits.
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        return Poll(claim, self._entropy.seed(), self._arrivals, answer, parks, with_report, REQUEST.get())

    def _enqueue(self, item: Queued | Poll) -> None:
        command = item.claim if isinstance(item, Poll) else item.command
        if self._stopping or not self._queue.has_room(command.by.tenant):
            raise Overloaded("the orchestrator is overloaded at the moment", retry_after=1)
        if (refusal := self.gate(command)) is not None:
            raise refusal
        self._queue.put(command.by.tenant, item)
        self._woken.set()

    async def _wait(self) -> None:
        """Wait until there is something to do."""
        while not self._stopping:
            now = self.now()
            if self._queue or self._upkeep.jobs or self.scheduler.has_due:
                due = now
            else:
                dues = (self._alive_due, self._upkeep.next_due, self._look_due if self._store.shared else None)
                due = min(due for due in dues if due is not None)
            due = max(due, self._pause_until)
            if due <= now:
                return
            self._woken.clear()
            if self._pause_until > now:
                await self._clock.sleep(self._pause_until - now)
                continue
            waking = asyncio.get_running_loop().call_later((due - now) / SECOND, self._woken.set)
            try:
                await self._woken.wait()
            finally:
                waking.cancel()

    def _gather(self) -> tuple[list[Queued], list[Poll]]:
        commands: list[Queued] = []
        polls: list[Poll] = []
        # A single tenant may fill the batch; with several active, batches are smaller so that none waits long.
        self._tenants = max(self._queue.turn(), 1)
        room = BATCH_COST if self._tenants == 1 else BATCH_COST // SHARED
        if self._upkeep.jobs:
            room //= 2  # a slice of a job takes as long as the other half
        size = 0
        while self._queue:
            item = self._queue.first()
            cost = self._costs.of(item)
            if room < cost and (commands or polls):
                break
            room -= cost
            if isinstance(item, Poll):
                self.scheduler.end_older(item)
                polls.append(item)
                self._queue.take(cost)
                continue
            size += item.command.size
            if commands and size > BATCH_BYTES:
                break
            commands.append(item)
            self._queue.take(cost)
        return commands, polls

    # ---- one turn --------------------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        commands, polls = self._gather()
        try:
            await self._rerun(commands, polls, upkeep=True)
        except StoreUnavailable as error:
            self._unavailable(error, commands, polls)
            return
        except Exception as error:
            self._log("batch_failed", error=repr(error), commands=len(commands))
            await self._one_by_one(commands, polls)
        if self.now() >= self._purge_due:
            try:
                self._purge_due = await purge(self._store, self.now())
            except StoreUnavailable as error:
                self._unavailable(error, [], [])

    def _notice_stall(self, idle: int = 0) -> None:
        """Detect that the loop was blocked: heartbeats were missed or late, so bots get the same grace as after a stop.

        Bots send a heartbeat every third of a lease's TTL, and it is not written while half of the TTL is left
        (`is_quiet`). The difference, a sixth of the TTL, is how long the loop may be blocked.
        """
        now = self._clock.monotonic()
        self._stalled = self._stalled or now - self._looked_at > idle + self.limits.lease_ttl // 6
        self._looked_at = now

    def _keep_time(self) -> None:
        """Follow the wall clock, and log when engine time is far ahead of it."""
        if forward := self.time.follow():
            self._moved += forward
            self._log("clock_forward", seconds=forward / SECOND)
        ahead = self.time.ahead()
        if self._apart != (ahead > APART):
            self._apart = not self._apart
            if self._apart:
                self._log("clock_apart", ahead_seconds=ahead / SECOND)
            else:
                self._log("clock_agrees", ahead_seconds=ahead / SECOND)

    async def _rerun(self, commands: list[Queued], polls: list[Poll], *, upkeep: bool) -> None:
        beside: dict[Key, None] = {}
        for rerun in range(RERUNS_MAX + 1):
            try:
                await self._run(commands, polls, upkeep=upkeep, beside=tuple(beside))
                return
            except StaleVersion as stale:
                if isinstance(stale, RowsBusy):
                    beside.update(dict.fromkeys(stale.needs))
                self.stats.reruns += 1
                if rerun == RERUNS_MAX:
                    raise

    async def _run(
        self,
        commands: list[Queued],
        polls: list[Poll],
        *,
        upkeep: bool = False,
        choose: Choose | None = None,
        beside: Sequence[Key] = (),
    ) -> None:
        began = self._clock.monotonic()
        if upkeep and (self._stalled or self._moved):
            if self._stalled:
                self._log("stalled")
            await self._store.grace(self.now(), self.now() + START_FLOOR, moved=self._moved)
            self._heartbeat_cache.forget_all()
            self._stalled, self._moved = False, 0
        now = self.now()
        known = set(self._queues.by_id)
        self.scheduler.kills.fresh = self.is_fresh()
        rules = self._rules.in_force()  # audit records name the rules that applied to them
        working = WorkingSet(
            now=now,
            wall=self._clock.now(),
            rules=rules,
            limits=self.limits,
            queues=self._queues,
            position=self._position,
            arrivals=self._arrived,
            budgets=self._budgets,
            rates=self.scheduler.rates,
            kills=self.scheduler.kills,
        )
        for queued in commands:
            queued.reset()
        try:
            async with self._store.begin() as transaction:
                batch = Batch(transaction, working, self.scheduler, self._entropy.seed)
                await batch.run(
                    commands,
                    polls,
                    choose=self._upkeep.choose if upkeep else choose,
                    beside=beside,
                    alive=upkeep and now >= self._alive_due,
                    slice_rows=slice_rows(self.limits.slice_rows, self._tenants),
                )
        except BaseException:
            self._failed = trace_of(working, commands) if self.traced else NO_TRACE
            for queue_id in set(self._queues.by_id) - known:
                self._queues.remove(self._queues.by_id[queue_id])
            self.scheduler.undo([*polls, *(queued.poll for queued in commands if queued.poll)])
            raise
        self.store_answers |= bool(batch.saved)  # a batch that writes nothing succeeds even on a full disk
        # What is committed must not run again, whatever fails from here on: callers get what was decided.
        with self._noting_faults("after a commit"):
            self._committed(batch, began, commands, upkeep=upkeep)
        with self._noting_faults("answers"):
            self._settle(commands, polls, batch.answered, began)
        await self._notify(batch.saved)

    def _committed(self, batch: Batch, began: int, commands: Sequence[Queued], *, upkeep: bool) -> None:
        """Update the engine's state after a commit."""
        if upkeep:
            self._upkeep.committed()
        self._position = batch.working.position
        self.scheduler.committed(batch.working.held, {bot for changes in batch.saved for bot in changes.bots})
        for changes in batch.saved:
            self._upkeep.saved(changes)
            if changes.alive_at is not None:
                self._alive_due = changes.alive_at + ALIVE_EVERY
            self.stats.saved(changes)
            self.scheduler.limited(changes)
            self._heartbeat_cache.committed(changes)
            for tenant in changes.tenants.values():
                self.weights[tenant.id] = tenant.weight
        self._costs.learn(commands)
        for queued in commands:
            if isinstance(queued.command, SendHeartbeat):
                self._heartbeat_cache.learn(queued.command, batch.working)
        self.stats.committed(self._clock.monotonic() - began)

    def _settle(self, commands: list[Queued], polls: list[Poll], answered: Sequence[Poll], began: int) -> None:
        """Answer the callers: the decisions are durable."""
        self.stats.answered(len(commands))
        for queued in commands:
            error = queued.value.error if isinstance(queued.value, Refusal) else queued.error
            if error is not None:
                self.stats.refused[error.code] = self.stats.refused.get(error.code, 0) + 1
            queued.settle(error)
        for poll in answered:
            self.scheduler.unpark(poll)
            poll.deliver()
        for poll in polls:
            if poll.open:
                if self._stopping:
                    self.scheduler.end(poll)
                else:
                    self.scheduler.end_older(poll)  # one with the same claim id in the same batch
                    self.scheduler.park(poll)
        self._company.answered({each.request for each in commands} | {each.request for each in answered}, began)

    async def _notify(self, saved: Sequence[Changes]) -> None:
        """Send hints about committed changes."""
        with self._noting_faults("hint"):
            for changes in saved:
                self._on_commit(changes)
            shared = cast("SharedStore", self._store) if self._store.shared else None
            # Nobody can read events of a shared store before one server has numbered them; it then tells all.
            if any(changes.events for changes in saved) and not (shared and shared.numbers_events):
                await self._broker.publish(WRITTEN_TOPIC if shared else EVENTS_TOPIC)
            entries = [entry for changes in saved for entry in changes.ready.values()] if shared else []
            if added := {entry.queue for entry in entries if entry is not None}:
                await self._broker.publish(LOOK_TOPIC, ",".join(map(str, sorted(added))).encode())

    # ---- when it fails ---------------------------------------------------------------------------------------------

    def _unavailable(self, error: StoreUnavailable, commands: Sequence[Queued], polls: Sequence[Poll]) -> None:
        """Refuse the commands, since nothing was done; callers try again, parked polls stay parked."""
        self.store_answers = False
        if isinstance(error, StoreLost):
            self._lost = error
        else:
            self._log("store_unavailable", error=str(error))
        self._pause_until = self.now() + STORE_PAUSE
        again = Overloaded(_GONE if self._lost else "the store cannot be written now; nothing was done", retry_after=1)
        refuse(commands, polls, again)

    async def _one_by_one(self, commands: Sequence[Queued], polls: Sequence[Poll]) -> None:
        """Find the faulty command: run each alone, in the same order; then polls; then timers and jobs."""
        for queued in commands:
            await self._alone([queued], [], type(queued.command).__name__)
        for poll in polls:
            await self._alone([], [poll], ClaimWork.__name__)
        await self._upkeep_one_by_one()

    async def _alone(self, commands: list[Queued], polls: list[Poll], what: str) -> None:
        try:
            await self._rerun(commands, polls, upkeep=False)
        except StoreUnavailable as error:
            self._unavailable(error, commands, polls)
        except StaleVersion:
            refuse(commands, polls, Overloaded("others keep changing the same rows; nothing was done", retry_after=1))
        except Exception as error:
            self._fault(error, what, self._failed, (commands or polls)[0].request or None)
            refuse(commands, polls, Internal("internal error; it was logged"))

    async def _upkeep_one_by_one(self) -> None:
        try:
            async with self._store.begin() as transaction:
                timers = await transaction.due(self.now(), TIMERS_MAX)
                job = await self._upkeep.turns.next(transaction)
            for timer in timers:
                if not await self._runs(f"timer {timer.kind}", [timer]):
                    async with self._store.begin() as transaction:
                        await transaction.save(Changes(timers={(timer.kind, timer.ref): self.now() + FAULT_PAUSE}))
            if job is not None and not await self._runs(f"job {job.kind}", [], job):
                self._upkeep.turns.served(job)
                self._pause_until = self.now() + SECOND
        except StoreUnavailable as error:
            self._unavailable(error, [], [])

    async def _runs(self, what: str, timers: Sequence[Timer], job: BackgroundJob | None = None) -> bool:
        """Run one timer or job slice. Return False if it is faulty, which is logged; a stale one is tried again."""

        async def choose(transaction: Transaction, now: int) -> tuple[Sequence[Timer], BackgroundJob | None]:
            return timers, job

        try:
            await self._run([], [], choose=choose)
        except StoreUnavailable:
            raise
        except StaleVersion:
            self._pause_until = self.now() + STORE_PAUSE
        except Exception as error:
            self._fault(error, what, self._failed)
            return False
        return True

    @contextmanager
    def _noting_faults(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._fault(error, what, NO_TRACE)

    def _fault(self, error: Exception, what: str, trace: Mapping[str, str], request: str | None = None) -> None:
        self.stats.faults += 1
        with tracing(trace):
            self._log("fault", what=what, error=repr(error), request_id=request, exception=error)
