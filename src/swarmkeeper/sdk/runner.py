"""Keeps bots running: claims work for free slots, runs the bot's code, reports results, drains on a signal.

Four coroutines serve each bot. One holds the long poll; one sends heartbeats (session.py); one reports, and batches
the results that finish while a report is in flight; one notices when no slot is left. They run on the orchestrator's
side (sides.py). The author's code runs on the author's side: a coroutine on the author's loop, a plain function in a
thread. Time comes from the event loop and randomness from the client: virtual time and a seed make a run repeatable.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from swarmkeeper.sdk import bot_logs
from swarmkeeper.sdk.answers import Answer, Ask, Failed, Later
from swarmkeeper.sdk.attempts import preparing
from swarmkeeper.sdk.attempts.at_work import CodeAtWork
from swarmkeeper.sdk.attempts.failures import RaisedElsewhere, kind_of
from swarmkeeper.sdk.attempts.sendable import readable
from swarmkeeper.sdk.attempts.sides import Sides, sides_of
from swarmkeeper.sdk.attempts.user_code import Raised, Returned
from swarmkeeper.sdk.bots import BaseBot
from swarmkeeper.sdk.client import Client
from swarmkeeper.sdk.connection import chance as chances
from swarmkeeper.sdk.errors import ApiError, Busy, Conflict, Forbidden, NotFound, Refused, ServerFault, Unauthenticated
from swarmkeeper.sdk.health import BotHealth, Health, HealthStatus
from swarmkeeper.sdk.leases import HeldLease, Work
from swarmkeeper.sdk.processes.ending import Ender, run_through
from swarmkeeper.sdk.processes.loading import refuse_while_loading
from swarmkeeper.sdk.session import BATCH_BYTES_MAX, BATCH_MAX, POLL_SECONDS, Session

log = logging.getLogger("swarmkeeper.bot")

# By default a pod has 30 s between SIGTERM and SIGKILL. The remaining 5 s are for giving back unfinished work.
DRAIN_SECONDS = 25.0
# How long giving work back may take after the drain: the calls of one round of retries.
HAND_BACK_SECONDS = 4.0
# How long code that does not end may hold every slot. A client library's own timeout is often a minute.
STUCK_SECONDS = 120.0
# A lost connection is usually restored within a second or two: report only longer outages.
UNREACHABLE_SECONDS = 10.0
# How long a finished result waits for others that began with it. Most of a call's cost is not that of its results.
GATHER_SECONDS = 0.002
# Work that could not be done through a fault of this bot is offered again after this time.
OWN_FAULT_SECONDS = 5


class BotStuck(RuntimeError):
    """Code that does not end holds every slot of a bot, so the bot cannot claim work. Restart the process."""


class Interrupted(Exception):
    """KeyboardInterrupt was raised in the author's code on the event loop."""


def run(
    *bots: BaseBot,
    client: Client | None = None,
    drain_seconds: float = DRAIN_SECONDS,
    stuck_seconds: float = STUCK_SECONDS,
    health: Health | None = None,
) -> None:
    """Run bots until SIGTERM or SIGINT, then let them finish the work they hold. Call it on the main thread.

    A second signal gives all work back at once. Your code is not waited for if it does not end: the process exits once
    the bots hold no work.

    Args:
        bots: at least one.
        client: says address and key; closed at the end. By default `Client()`.
        drain_seconds: how long bots may finish their work after the first signal; the rest is given back.
        stuck_seconds: how long code that does not end may hold every slot of a bot before the process exits.
        health: where to report the health of the bots, for a supervisor. By default where SWARMKEEPER_HEALTH_FILE and
            SWARMKEEPER_HEALTH_PORT (PORT or HOST:PORT) say.

    Raises:
        RunWhileLoading: this file is being loaded for its bots, by `bot run` or the simulator.
        SystemExit: with a message: the orchestrator refuses a bot or the key, or a bot is stuck.
    """
    refuse_while_loading()
    bot_logs.begin()
    try:
        health = health or Health.of_environment()
        with Ender() as ender:
            run_through(_run_until_signal(bots, client, ender, health, RunnerLimits(drain_seconds, stuck_seconds)))
    except (ApiError, OSError, ValueError, BotStuck) as error:
        sys.exit(f"swarmkeeper: {error}")


async def _run_until_signal(
    bots: Sequence[BaseBot], client: Client | None, ender: Ender, health: Health | None, limits: RunnerLimits
) -> None:
    async with client or Client() as used, sides_of(used.calls) as sides:
        group = BotGroup(bots, used, sides, limits, health=health, on_end=ender.over)
        ender.on_signals(group.stop, group.stop_at_once)
        try:
            await group.serve()
        except asyncio.CancelledError:
            if not ender.stopped_at_once:
                raise
            log.warning("stopped at once: the work held was given back, or is taken back when its lease expires")


async def serve(
    bots: Sequence[BaseBot],
    client: Client,
    *,
    stop: asyncio.Event | None = None,
    drain_seconds: float = DRAIN_SECONDS,
    stuck_seconds: float = STUCK_SECONDS,
) -> None:
    """Run bots inside an application. They drain when `stop` is set; they give work back when this is cancelled.

    The client stays open. If one bot ends with an error, all bots stop.

    Raises:
        ApiError: the orchestrator refuses a bot for good: a wrong key, or a type or name that the key may not use.
        BotStuck: code that does not end has held every slot of a bot for `stuck_seconds`.
    """
    refuse_while_loading()
    async with sides_of(client.calls) as sides:
        group = BotGroup(bots, client, sides, RunnerLimits(drain_seconds, stuck_seconds))
        waiting = asyncio.create_task(_stop_when_set(stop, group))
        try:
            await group.serve()
        finally:
            waiting.cancel()


async def _stop_when_set(stop: asyncio.Event | None, group: BotGroup) -> None:
    if stop is not None:
        await stop.wait()
        group.stop()


@dataclass(frozen=True, slots=True)
class RunnerLimits:
    """See `run`."""

    drain_seconds: float
    stuck_seconds: float


class BotGroup:
    """The bots that one `run` or `serve` keeps running."""

    def __init__(
        self,
        bots: Sequence[BaseBot],
        client: Client,
        sides: Sides,
        limits: RunnerLimits,
        *,
        health: Health | None = None,
        on_end: Callable[[], object] | None = None,  # called on the orchestrator's side when no work is held any more
    ) -> None:
        if not bots:
            raise ValueError("serve at least one bot")
        self._sides = sides
        self._health, self._on_end = health or Health(), on_end
        self._stopping = asyncio.Event()  # used only on the orchestrator's side
        self._task: asyncio.Task[None] | None = None
        self.runners = [BotRunner(bot, Session(bot, client.calls), sides, self._stopping, limits) for bot in bots]

    def stop(self) -> None:
        """Let the bots finish the work they hold, then stop. May be called from any thread."""
        self._sides.call_orchestrator_side(self._stopping.set)

    def stop_at_once(self) -> None:
        """Let the bots give back the work they hold, then stop. May be called from any thread."""
        self._sides.call_orchestrator_side(lambda: self._task is not None and self._task.cancel())

    async def serve(self) -> None:
        """Run the bots until they stop. Call it on the author's side.

        Raises:
            KeyboardInterrupt: it was raised in the author's code.
        """
        try:
            await self._sides.on_orchestrator_side(self._run)
        except Interrupted:
            raise KeyboardInterrupt from None

    async def _run(self) -> None:
        self._task = asyncio.current_task()
        try:
            async with self._health.shown(lambda: [runner.health() for runner in self.runners]):
                await self._run_all()
        finally:
            self._task = None
            if self._on_end is not None:
                self._on_end()

    async def _run_all(self) -> None:
        tasks = [
            asyncio.create_task(runner.run(), name=f"swarmkeeper-bot-{n}") for n, runner in enumerate(self.runners)
        ]
        try:
            ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            if others and any(isinstance(task.exception(), BotStuck) for task in ended):
                self._stopping.set()  # the other bots drain: their work is sound
                await asyncio.wait(others)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end


class BotRunner:
    """Runs one bot, from its registration to the last report, on the orchestrator's side."""

    def __init__(self, bot: BaseBot, session: Session, sides: Sides, stop: asyncio.Event, limits: RunnerLimits) -> None:
        self.bot = bot
        self.session = session
        session.sides = sides
        session.check = self._check_held
        bot.attach(session)
        self._at_work = CodeAtWork(bot, session, sides)
        self._stop = stop
        self._limits = limits
        self._chance = sides.calls.chance
        self._jobs: dict[str, asyncio.Task[None]] = {}  # lease id → its attempt
        self._begun: dict[str, float] = {}  # lease id → when its attempt began, in the loop's seconds; oldest first
        self._done: list[tuple[HeldLease, Answer]] = []  # waiting to be reported
        self._reporting: set[str] = set()  # lease ids whose report waits or is in flight
        self._something_done = asyncio.Event()
        self._interrupted = asyncio.Event()

    async def run(self) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        try:
            if await self._begin_unless(stopping):
                await self._serve_until(stopping)
        finally:
            stopping.cancel()
            self._at_work.close()
            await self.session.finish()
            self.session.leave()

    async def _begin_unless(self, stopping: asyncio.Task[bool]) -> bool:
        beginning = asyncio.create_task(self._begin())
        try:
            await asyncio.wait([beginning, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not beginning.done():
                return False
            beginning.result()
            return True
        finally:
            beginning.cancel()

    async def _begin(self) -> None:
        await self._at_work.begin()
        await self.session.begin()

    async def _serve_until(self, stopping: asyncio.Task[bool]) -> None:
        claiming = asyncio.create_task(self._claim_forever())
        others = [
            asyncio.create_task(work)
            for work in (self._report_forever(), self._end_when_stuck(), self._end_when_interrupted())
        ]
        try:
            await asyncio.wait([claiming, *others, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not any(task.done() for task in (claiming, *others)):
                # This closes the poll's connection, so the orchestrator grants it nothing more.
                claiming.cancel()
                await self._drain()
        finally:
            claiming.cancel()
            await self._give_back()
            for task in others:
                task.cancel()
            ends = await asyncio.gather(claiming, *others, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    # ---- claiming

    async def _claim_forever(self) -> None:
        loop = asyncio.get_running_loop()
        empty = 0
        while True:
            asked_at = loop.time()
            leases = await self.session.claim(await self.session.free_slots())
            for lease in leases:
                self._start(lease)
            # An early empty answer (draining, at capacity, server stopping) must not become a busy loop.
            empty = empty + 1 if not leases and loop.time() - asked_at < POLL_SECONDS / 2 else 0
            if empty:
                await asyncio.sleep(chances.pause(self._chance, empty, first=0.5, most=5.0))

    def _start(self, lease: HeldLease) -> None:
        job = asyncio.create_task(self._attempt(lease), name=f"swarmkeeper-attempt-{lease.work_id}")
        lease.on_end = job.cancel
        self._begun[lease.lease_id] = asyncio.get_running_loop().time()
        self._keep(lease, job)

    def _keep(self, lease: HeldLease, job: asyncio.Task[None]) -> None:
        self._jobs[lease.lease_id] = job
        job.add_done_callback(lambda _: self._ended(lease.lease_id))

    def _ended(self, lease_id: str) -> None:
        self._jobs.pop(lease_id, None)
        self._begun.pop(lease_id, None)

    def _check_held(self) -> None:
        """Give back leases that no code works on; heartbeats would keep them alive until their time-out."""
        for lease in list(self.session.held.values()):
            if lease.lease_id not in self._jobs and lease.lease_id not in self._reporting:
                log.error("%s: gave back %s: a lease was held, but no code ran", self.session.label, lease.work_id)
                self._keep(lease, asyncio.create_task(self._end(lease, Later(why="no code ran for it"))))

    # ---- working

    async def _attempt(self, lease: HeldLease) -> None:
        """Run one attempt. It ends with a report, a question, the work given back, or nothing if the lease is lost."""
        answer: Answer | None = None  # None: the lease is lost, so there is nothing to report
        try:
            answer = await self.session.prepare(lease, await self._answer(lease))
        except asyncio.CancelledError:
            if lease.ended is None:
                answer = Later(why="the bot is stopping")
        except Exception as error:
            # A fault of the SDK, not of the author's code.
            log.exception("%s: an attempt failed outside its code", self.session.label)
            answer = Later(OWN_FAULT_SECONDS, f"the bot failed outside its code ({type(error).__name__})")
        finally:
            await self._end(lease, answer)

    async def _end(self, lease: HeldLease, answer: Answer | None) -> None:
        try:
            if isinstance(answer, Later) and not lease.reporting:
                await self._hand_back(lease, answer)
            elif isinstance(answer, Later | Ask):
                await self._end_without_report(lease, answer)
            elif answer is not None:
                self._to_report(lease, answer)
        finally:
            if lease.lease_id not in self._reporting:
                self.session.drop(lease)

    async def _answer(self, lease: HeldLease) -> Answer:
        try:
            work = await lease.open(self.session.fetched)
        except ApiError as error:
            return Later(OWN_FAULT_SECONDS, f"an input of this work could not be read ({error.code})")
        return await self._call_code(lease, work)

    async def _call_code(self, lease: HeldLease, work: Work) -> Answer:
        """Run the author's code and turn its return value or exception into an answer.

        Raises:
            CancelledError: the lease is lost, or the bot stops.
        """
        outcome = await self._at_work.outcome(lease, work)
        if lease.ended is not None:
            # The code caught the cancellation and returned or raised something else: drop it.
            raise asyncio.CancelledError
        match outcome:
            case Returned(value):
                return value  # type: ignore[return-value]  # prepare() checks it
            case Raised(error):
                if isinstance(error, KeyboardInterrupt) and not outcome.in_thread:
                    # Ctrl-C: the interpreter raises it in the code that runs on the main thread.
                    self._interrupted.set()
                    raise asyncio.CancelledError
                if preparing.is_correctable(lease, error) and lease.request_correction(str(error)):
                    self.session.note("refused", what="answer", code="invalid", detail=str(error))
                    return await self._call_code(lease, work)
                return self._failed(lease, error)
        raise asyncio.CancelledError

    def _failed(self, lease: HeldLease, error: BaseException) -> Failed:
        detail = lease.context.masked(self.session.own.describe(error))
        self.session.note("failed", lease_id=lease.lease_id, task_id=lease.task_id, error=kind_of(error), detail=detail)
        attempt = f"attempt {lease.context.attempt} at {lease.work_id}"
        if isinstance(error, RaisedElsewhere):
            trace = readable(f"\n{error.trace}".rstrip())
            log.warning("%s: %s failed: %s%s", self.session.label, attempt, detail, trace)
            return error.failure
        log.warning("%s: %s failed: %s", self.session.label, attempt, detail, exc_info=error)
        return preparing.failure_from(lease, error, detail)

    def health(self) -> BotHealth:
        session, status, why = self.session, "ok", ""
        if len(session.lingering) >= self.bot.capacity:
            status, why = "stuck", self._at_work.describe()
        elif (trouble := session.trouble) and asyncio.get_running_loop().time() - trouble.since >= UNREACHABLE_SECONDS:
            status, why = "unreachable", str(trouble.error)
        elif session.info is None:
            status = "starting"
        return BotHealth(session.label, cast(HealthStatus, status), len(session.held), self.bot.capacity, why)

    async def _end_when_stuck(self) -> None:
        """Watch for code that does not end.

        Raises:
            BotStuck: such code has held every slot for `stuck_seconds`.
        """
        session = self.session
        while True:
            await session.wait_until(lambda: len(session.lingering) >= self.bot.capacity)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.stuck_seconds):
                    await session.wait_until(lambda: len(session.lingering) < self.bot.capacity)
                continue
            where = self._at_work.describe()
            text = f"code that does not end has held every slot for {self._limits.stuck_seconds:g} s: {where}"
            log.error("%s: stuck: %s", session.label, text)
            raise BotStuck(f"{session.label} is stuck: {text}")

    async def _end_when_interrupted(self) -> None:
        await self._interrupted.wait()
        raise Interrupted

    # ---- ending without a result

    async def _end_without_report(self, lease: HeldLease, answer: Later | Ask) -> None:
        try:
            if isinstance(answer, Later):
                await self.session.release(lease, answer)
            else:
                await self.session.ask(lease, answer)
        except ApiError as error:
            if isinstance(answer, Ask) and isinstance(error, Refused):
                self.session.note("refused", what="question", code=error.code, detail=str(error))
                self._to_report(lease, preparing.failure_of("this question cannot be asked", error))
            else:
                self._lost(lease, error)

    async def _hand_back(self, lease: HeldLease, answer: Later) -> None:
        """Give the work back: another attempt continues from the last checkpoint, and no try is counted."""
        lease.reporting = True
        try:
            async with asyncio.timeout(HAND_BACK_SECONDS):
                await self.session.settle(lease, answer)
                await self.session.release(lease, answer)
        except (ApiError, TimeoutError) as error:
            log.warning("%s: could not give back %s: %s", self.session.label, lease.lease_id, error)

    # ---- reporting

    def _to_report(self, lease: HeldLease, answer: Answer) -> None:
        self._reporting.add(lease.lease_id)
        self._done.append((lease, answer))
        self._something_done.set()

    def _reported(self, lease: HeldLease) -> None:
        self._reporting.discard(lease.lease_id)
        self.session.drop(lease)

    async def _report_forever(self) -> None:
        while True:
            self._something_done.clear()
            if self._done:
                await self._gather()
                await self._report(self._next_batch())
            else:
                await self._something_done.wait()

    async def _gather(self) -> None:
        """While an attempt runs that has only just begun, give it a moment to end: one call then reports it, too.

        Work that was granted together and takes no time ends together, but each result comes from the code's thread by
        itself. Without this, a call would carry one or two of them.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + GATHER_SECONDS
        while self._begun and next(reversed(self._begun.values())) > (now := loop.time()) - GATHER_SECONDS:
            if now >= until:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until - now):
                    await self._something_done.wait()
            self._something_done.clear()

    def _next_batch(self) -> list[tuple[HeldLease, Answer]]:
        """Take as many waiting results as fit into one call: at least one."""
        size, count = 0, 0
        for lease, _ in self._done[:BATCH_MAX]:
            size += lease.size
            if count and size > BATCH_BYTES_MAX:
                break
            count += 1
        batch, self._done = self._done[:count], self._done[count:]
        return batch

    async def _report(self, batch: list[tuple[HeldLease, Answer]]) -> None:
        # The same call claims work for the slots that become free, unless the bot stops.
        claim = 0 if self._stop.is_set() else len(batch)
        refusals: list[ApiError | None]
        if len(batch) == 1:
            try:
                leases = await self.session.report_one(*batch[0], claim=claim)
                refusals = [None]
            except ApiError as error:
                leases, refusals = [], [error]
        else:
            try:
                refusals, leases = await self.session.report_many(batch, claim=claim)
            except (Refused, ServerFault, NotFound):
                # One result made the whole call fail: report each alone.
                for item in batch:
                    await self._report([item])
                return
        for lease in leases:
            self._start(lease)
        for (lease, answer), refusal in zip(batch, refusals, strict=True):
            if refusal is None:
                self._reported(lease)
            else:
                await self._refused(lease, answer, refusal)

    async def _refused(self, lease: HeldLease, answer: Answer, error: ApiError) -> None:
        match error:
            case Unauthenticated():
                raise error
            case Conflict() | NotFound() | Forbidden():
                self._lost(lease, error)
                self._reported(lease)
            case Busy():
                await asyncio.sleep(chances.pause(self._chance, 2))
                self._to_report(lease, answer)
            case _:
                self.session.note("refused", what="result", code=error.code, detail=str(error))
                if isinstance(answer, Failed):
                    self._reported(lease)  # the failure is refused, too: the lease expires and counts as a crash
                elif isinstance(error, Refused) and lease.kind != "execute" and lease.request_correction(str(error)):
                    self._reporting.discard(lease.lease_id)
                    self._start(lease)
                else:
                    self._to_report(lease, preparing.refused(lease, answer, error))

    def _lost(self, lease: HeldLease, error: ApiError) -> None:
        self.session.note("lost", lease_id=lease.lease_id, task_id=lease.task_id, code=error.code, detail=error.detail)

    # ---- stopping

    async def _drain(self) -> None:
        self.session.note("draining", held=len(self.session.held), seconds=self._limits.drain_seconds)
        try:
            async with asyncio.timeout(self._limits.drain_seconds):
                await self.session.wait_until(lambda: not self.session.held)
        except TimeoutError:
            log.warning("%s: %d not done in time", self.session.label, len(self.session.held))

    async def _give_back(self) -> None:
        """Report finished work and give back the rest."""
        for lease_id, job in self._jobs.items():
            lease = self.session.held.get(lease_id)
            if lease is None or not lease.reporting:
                job.cancel()
        try:
            async with asyncio.timeout(HAND_BACK_SECONDS + 1):
                await self.session.wait_until(lambda: not self.session.held)
        except TimeoutError:
            log.warning("%s: %d could not be given back", self.session.label, len(self.session.held))
        finally:
            jobs = list(self._jobs.values())
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
