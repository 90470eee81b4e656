"""Keeps bots running: claims what they have room for, runs their code, reports, drains on a signal.

Three coroutines serve each bot. One holds the long poll; one beats (session.py); one reports, and whatever became done
while a report was under way goes out together with the next. The author's code runs beside them: a coroutine on the
loop, a plain function in a thread. Time comes from the event loop and chance from the client, so that a loop of virtual
time and a seeded chance make a run that repeats exactly.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import signal
import sys
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

from swarmkeeper.sdk import chance as chances
from swarmkeeper.sdk.answers import Answer, Ask, Failed, Later
from swarmkeeper.sdk.bots import BaseBot, takes_context
from swarmkeeper.sdk.client import Client
from swarmkeeper.sdk.errors import ApiError, Busy, Conflict, Forbidden, NotFound, Refused, ServerFault, Unauthenticated
from swarmkeeper.sdk.session import BATCH_BYTES_MAX, BATCH_MAX, POLL_SECONDS, HeldLease, Session, failure_of

log = logging.getLogger("swarmkeeper.bot")

# A pod has 30 s between SIGTERM and SIGKILL by default; what is not done by then is given back in the rest.
DRAIN_SECONDS = 25.0
# How long giving work back may take once the time to finish it is over: the calls of one round of retries.
HAND_BACK_SECONDS = 4.0


def run(*bots: BaseBot, client: Client | None = None, drain_seconds: float = DRAIN_SECONDS) -> None:
    """Run bots until SIGTERM or SIGINT, then let them finish what they hold, for `drain_seconds` at most.

    The orchestrator and the key are SWARMKEEPER_URL and SWARMKEEPER_API_KEY (or SWARMKEEPER_API_KEY_FILE), unless a
    client is passed (it is closed at the end). A second signal gives everything back at once.

    Raises:
        SystemExit: with a message, where the orchestrator refuses these bots or the key cannot be read.
    """
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line for each call otherwise
    try:
        asyncio.run(_run_until_signal(bots, client, drain_seconds))
    except (ApiError, OSError, ValueError) as error:
        sys.exit(f"swarmkeeper: {error}")


async def _run_until_signal(bots: Sequence[BaseBot], client: Client | None, drain_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    async with client or Client() as used:
        serving = asyncio.create_task(serve(bots, used, stop=stop, drain_seconds=drain_seconds))

        def heard() -> None:
            if stop.is_set():
                serving.cancel()
            stop.set()

        def heard_elsewhere(_number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(heard)

        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(number, heard)
            except NotImplementedError:  # Windows
                signal.signal(number, heard_elsewhere)
        try:
            await serving
        except asyncio.CancelledError:
            log.warning("stopped at once: what was held has been given back, or will be when its lease ends")


async def serve(
    bots: Sequence[BaseBot], client: Client, *, stop: asyncio.Event | None = None, drain_seconds: float = DRAIN_SECONDS
) -> None:
    """Run bots inside an application until `stop` is set (then they drain) or this is cancelled (then they give back).

    The client stays open. If one bot ends with an error, all do.

    Raises:
        ApiError: the orchestrator refuses a bot for good: a wrong key, a type or name it may not have.
    """
    if not bots:
        raise ValueError("serve at least one bot")
    stop = stop or asyncio.Event()
    runners = [BotRunner(bot, client, stop, drain_seconds) for bot in bots]
    tasks = [asyncio.create_task(runner.run(), name=f"swarmkeeper-bot-{n}") for n, runner in enumerate(runners)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


class BotRunner:
    """One bot, from its registration to the last report."""

    def __init__(self, bot: BaseBot, client: Client, stop: asyncio.Event, drain_seconds: float) -> None:
        self.bot = bot
        self.session = Session(bot, client.calls)
        bot.attach(self.session)
        self._code = bot.code()
        self._with_context = takes_context(self._code)
        self._on_the_loop = inspect.iscoroutinefunction(self._code)  # else in a thread
        self._stop = stop
        self._drain_seconds = drain_seconds
        self._chance = client.calls.chance
        self._jobs: dict[str, asyncio.Task[None]] = {}  # lease id → the author's code at work
        self._done: list[tuple[HeldLease, Answer]] = []  # to be reported
        self._something_done = asyncio.Event()
        self._threads = ThreadPoolExecutor(max_workers=bot.capacity, thread_name_prefix=f"{self.session.label}-work")

    async def run(self) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        try:
            if await self._register_unless(stopping):
                async with self.session.serving():
                    await self._serve_until(stopping)
        finally:
            stopping.cancel()
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _register_unless(self, stopping: asyncio.Task[bool]) -> bool:
        registering = asyncio.create_task(self.session.register())
        try:
            await asyncio.wait([registering, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not registering.done():
                return False
            registering.result()
            return True
        finally:
            registering.cancel()

    async def _serve_until(self, stopping: asyncio.Task[bool]) -> None:
        claiming = asyncio.create_task(self._claim_forever())
        reporting = asyncio.create_task(self._report_forever())
        try:
            await asyncio.wait([claiming, reporting, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not reporting.done() and not claiming.done():
                # The poll's connection closes, and the orchestrator hands nothing out to a poll that is gone.
                claiming.cancel()
                await self._drain()
        finally:
            claiming.cancel()
            await self._give_back()
            reporting.cancel()
            ends = await asyncio.gather(claiming, reporting, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    # ---- claiming

    async def _claim_forever(self) -> None:
        loop = asyncio.get_running_loop()
        empty = 0
        while True:
            asked_at = loop.time()
            leases = await self.session.claim(await self.session.room())
            for lease in leases:
                self._start(lease)
            # An empty answer before its time (draining, at capacity, a server going down) must not become a busy loop.
            empty = empty + 1 if not leases and loop.time() - asked_at < POLL_SECONDS / 2 else 0
            if empty:
                await asyncio.sleep(chances.pause(self._chance, empty, first=0.5, most=5.0))

    def _start(self, lease: HeldLease) -> None:
        job = asyncio.create_task(self._work(lease), name=f"swarmkeeper-work-{lease.work_id}")
        self._jobs[lease.lease_id] = job
        lease.on_end = job.cancel
        job.add_done_callback(lambda _: self._jobs.pop(lease.lease_id, None))

    # ---- working

    async def _work(self, lease: HeldLease) -> None:
        """One attempt, from the lease to an answer that waits to be reported, or to its end without one."""
        try:
            answer = await self.session.prepare(lease, await self._answer(lease))
            if isinstance(answer, Later | Ask):
                await self._end_without_report(lease, answer)
            else:
                self._to_report(lease, answer)
        except asyncio.CancelledError:
            if lease.ended is None:
                await self._hand_back(lease)
            self.session.drop(lease)
        except Exception:
            # Ours, not the author's. The lease runs out, and the work goes to somebody else.
            log.exception("%s: an attempt was lost", self.session.label)
            self.session.drop(lease)

    async def _answer(self, lease: HeldLease) -> Answer:
        try:
            work = await lease.open(self.session.fetched)
        except ApiError as error:
            return Later(5, f"what this work depends on could not be read ({error.code})")
        arguments = (work, lease.context) if self._with_context else (work,)
        try:
            if self._on_the_loop:
                answer = await self._code(*arguments)
            else:
                answer = await self._in_thread(lease, arguments)
                if inspect.isawaitable(answer):
                    answer = await answer
        except Exception as error:
            self.session.note("failed", lease_id=lease.lease_id, task_id=lease.task_id, error=type(error).__name__)
            log.debug("%s: the traceback", self.session.label, exc_info=True)
            return Failed(told(error))
        if lease.ended is not None:
            # The code took the cancellation for an end of its own; what it made is not wanted.
            raise asyncio.CancelledError
        return answer  # type: ignore[no-any-return]  # whatever it is, prepare() looks at it

    async def _in_thread(self, lease: HeldLease, arguments: tuple[object, ...]) -> object:
        context = contextvars.copy_context()
        running = asyncio.get_running_loop().run_in_executor(self._threads, lambda: context.run(self._code, *arguments))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # A thread cannot be stopped, only asked (context.cancelled). Until it ends its place is taken; but when
            # the whole process is to end, nobody waits for it.
            if lease.ended is not None:
                await asyncio.wait([running])
            raise

    async def _end_without_report(self, lease: HeldLease, answer: Later | Ask) -> None:
        try:
            if isinstance(answer, Later):
                await self.session.release(lease, answer)
            else:
                await self.session.ask(lease, answer)
        except ApiError as error:
            if isinstance(answer, Ask) and isinstance(error, Refused):
                self.session.note("refused", what="question", code=error.code, detail=str(error))
                self._to_report(lease, failure_of("this question cannot be asked", error))
                return
            self._lost(lease, error)
        self.session.drop(lease)

    async def _hand_back(self, lease: HeldLease) -> None:
        """The process ends: somebody else goes on, from the last checkpoint, and no try is counted."""
        try:
            async with asyncio.timeout(HAND_BACK_SECONDS):
                answer = await self.session.prepare(lease, Later(why="the bot is stopping"))
                if isinstance(answer, Later):
                    await self.session.release(lease, answer)
        except (ApiError, TimeoutError) as error:
            log.warning("%s: could not give back %s: %s", self.session.label, lease.lease_id, error)

    # ---- reporting

    def _to_report(self, lease: HeldLease, answer: Answer) -> None:
        self._done.append((lease, answer))
        self._something_done.set()

    async def _report_forever(self) -> None:
        while True:
            self._something_done.clear()
            if self._done:
                await self._report(self._next_batch())
            else:
                await self._something_done.wait()

    def _next_batch(self) -> list[tuple[HeldLease, Answer]]:
        """As many as go into one call: at least one."""
        size, count = 0, 0
        for lease, _ in self._done[:BATCH_MAX]:
            size += lease.size
            if count and size > BATCH_BYTES_MAX:
                break
            count += 1
        batch, self._done = self._done[:count], self._done[count:]
        return batch

    async def _report(self, batch: list[tuple[HeldLease, Answer]]) -> None:
        # The places that these leave are filled by the same call; while stopping, none is.
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
                # Something about one of them was too much for the call as a whole: let each speak for itself.
                for each in batch:
                    await self._report([each])
                return
        for (lease, answer), refusal in zip(batch, refusals, strict=True):
            if refusal is None:
                self.session.drop(lease)
            else:
                await self._refused(lease, answer, refusal)
        for lease in leases:
            self._start(lease)

    async def _refused(self, lease: HeldLease, answer: Answer, error: ApiError) -> None:
        match error:
            case Unauthenticated():
                raise error
            case Conflict() | NotFound() | Forbidden():
                self._lost(lease, error)
                self.session.drop(lease)
            case Busy():
                await asyncio.sleep(chances.pause(self._chance, 2))
                self._to_report(lease, answer)
            case _:
                self.session.note("refused", what="result", code=error.code, detail=str(error))
                if isinstance(answer, Failed):
                    self.session.drop(lease)  # not even that: the lease runs out, and counts as a crash
                else:
                    self._to_report(lease, failure_of("the orchestrator refused this result", error))

    def _lost(self, lease: HeldLease, error: ApiError) -> None:
        self.session.note("lost", lease_id=lease.lease_id, task_id=lease.task_id, code=error.code, detail=error.detail)

    # ---- stopping

    async def _drain(self) -> None:
        self.session.note("draining", held=len(self.session.held), seconds=self._drain_seconds)
        try:
            async with asyncio.timeout(self._drain_seconds):
                await self.session.empty()
        except TimeoutError:
            log.warning("%s: %d not done in time", self.session.label, len(self.session.held))

    async def _give_back(self) -> None:
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs, timeout=HAND_BACK_SECONDS + 1)


def told(error: BaseException) -> str:
    """An exception as the outcome of an attempt: type, message, and where. The server redacts it, a hook may before."""
    said = "".join(traceback.format_exception_only(error)).strip()
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return said
    innermost = frames[-1]
    # The file's name without its folders: those tell of the machine, not of the fault.
    return f"{said} (at {Path(innermost.filename).name}:{innermost.lineno} in {innermost.name})"
