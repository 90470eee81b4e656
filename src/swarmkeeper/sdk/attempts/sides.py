"""Where a bot's two halves run: what speaks with the orchestrator, and what the author wrote.

With `TwoLoops` the orchestrator's side has a thread and an event loop of its own: heartbeats leave, leases are watched
and results are reported also while the author's code blocks the author's loop. With `OneLoop` both share the caller's
loop: where time is virtual, and where the orchestrator is in this very process and can be asked on that loop alone.
The transport decides: one that can be made anew for another loop gets one. All else is the same code in both.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ParamSpec, Protocol, TypeVar

from swarmkeeper.sdk.attempts.failures import OwnCode
from swarmkeeper.sdk.attempts.stalls import Rhythm, StallWatch
from swarmkeeper.sdk.attempts.user_code import Outcome, Running, Stopped, awaited, in_thread, places_of_task
from swarmkeeper.sdk.connection.calls import Calls

log = logging.getLogger("swarmkeeper.bot")

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


class Sides(Protocol):
    calls: Calls  # for use on the orchestrator's side

    async def orchestrators(
        self, work: Callable[Arguments, Awaitable[Value]], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Value:
        """Await this on the orchestrator's side, called from the author's. A cancellation goes over, too."""
        ...

    def start_users(self, call: Callable[[], object], name: str) -> Running:
        """Start code of the author on the author's loop, called from the orchestrator's side."""
        ...

    def start_thread(self, call: Callable[[], object], name: str) -> Running:
        """Start plain code of the author in a thread of its own."""
        ...

    def watch(self, rhythm: Rhythm, own: OwnCode) -> None:
        """Tell of it when the author's loop stands still while this bot is at work."""
        ...

    def work_came(self) -> None:
        """Look at the author's loop now."""
        ...

    def tell_users(self, call: Callable[[], object]) -> None:
        """Have the author's side call this soon, in the order told."""
        ...

    def tell_orchestrators(self, call: Callable[[], object]) -> None:
        """Have the orchestrator's side call this soon. From any thread, and from a signal handler."""
        ...


class OneLoop:
    """Both sides on the loop that is running."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Task[Any] | None = None

    def open(self) -> None:
        self._loop, self._serving = asyncio.get_running_loop(), asyncio.current_task()

    async def orchestrators(
        self, work: Callable[Arguments, Awaitable[Value]], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Value:
        return await work(*args, **kwargs)

    def start_users(self, call: Callable[[], object], name: str) -> Running:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Outcome] = loop.create_future()
        task = loop.create_task(awaited(call, self._serving), name=name)
        task.add_done_callback(lambda done: _settle(outcome, _outcome_of(done)))
        return Running(outcome, lambda: places_of_task(task), task.cancel)

    def start_thread(self, call: Callable[[], object], name: str) -> Running:
        return in_thread(call, name, contextvars.copy_context())

    def watch(self, rhythm: Rhythm, own: OwnCode) -> None:
        """Nobody is left to notice: what would, stands still too."""

    def work_came(self) -> None:
        """As for `watch`."""

    def tell_users(self, call: Callable[[], object]) -> None:
        call()

    def tell_orchestrators(self, call: Callable[[], object]) -> None:
        assert self._loop is not None, "opened before it is told anything"
        self._loop.call_soon_threadsafe(call)


class TwoLoops:
    """The orchestrator's side on a thread of its own; the author's is the loop that opens it."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self._users = asyncio.get_running_loop()
        self._serving = asyncio.current_task()
        self._context = contextvars.copy_context()
        self._stalls = StallWatch(self._users, threading.get_ident())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        # A daemon: a process whose author's side is gone must be able to end.
        self._thread = threading.Thread(target=self._live, name="swarmkeeper-orchestrator", daemon=True)
        self._started: asyncio.Future[None] = self._users.create_future()
        self._ended: asyncio.Future[None] = self._users.create_future()

    def start(self) -> None:
        self._thread.start()

    async def started(self) -> None:
        """Until it may be used."""
        await asyncio.shield(self._started)

    async def close(self) -> None:
        """End the orchestrator's side, with whatever is left on it."""
        await self.started()
        assert self._closing is not None, "it is there from the start"
        self.tell_orchestrators(self._closing.set)
        await asyncio.shield(self._ended)

    def _live(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._until_closed())
        finally:
            _soon(self._users, lambda: _settle(self._ended, None))

    async def _until_closed(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        _soon(self._users, lambda: _settle(self._started, None))
        watching = asyncio.create_task(self._stalls.run())
        await self._closing.wait()
        watching.cancel()
        await self.calls.aclose()

    async def orchestrators(
        self, work: Callable[Arguments, Awaitable[Value]], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Value:
        here, there = asyncio.get_running_loop(), self._loop
        assert there is not None, "opened before it is used"
        ended: asyncio.Future[asyncio.Task[Value]] = here.create_future()
        begun: list[asyncio.Task[Value]] = []

        async def worked() -> Value:
            return await work(*args, **kwargs)

        def begin() -> None:
            task = asyncio.get_running_loop().create_task(worked())
            begun.append(task)
            task.add_done_callback(lambda done: _soon(here, lambda: _settle(ended, done)))

        def cancel() -> None:
            begun[0].cancel()

        there.call_soon_threadsafe(begin)
        # As though it were awaited directly: a cancellation goes to what works there, and how that ends is the end.
        while not ended.done():
            try:
                await asyncio.wait([ended])
            except asyncio.CancelledError:
                there.call_soon_threadsafe(cancel)
        return ended.result().result()

    def start_users(self, call: Callable[[], object], name: str) -> Running:
        here = asyncio.get_running_loop()
        outcome: asyncio.Future[Outcome] = here.create_future()
        begun: list[asyncio.Task[Outcome]] = []

        def begin() -> None:
            context = self._context.copy()
            task = self._users.create_task(awaited(call, self._serving), name=name, context=context)
            begun.append(task)
            task.add_done_callback(lambda done: _soon(here, lambda: _settle(outcome, _outcome_of(done))))

        def cancel() -> None:
            begun[0].cancel()

        if not _soon(self._users, begin):
            _settle(outcome, Stopped())
        return Running(
            outcome,
            lambda: places_of_task(begun[0]) if begun else [],
            lambda: _soon(self._users, cancel),
        )

    def start_thread(self, call: Callable[[], object], name: str) -> Running:
        return in_thread(call, name, self._context.copy())

    def watch(self, rhythm: Rhythm, own: OwnCode) -> None:
        self._stalls.add(rhythm, own)

    def work_came(self) -> None:
        self._stalls.look()

    def tell_users(self, call: Callable[[], object]) -> None:
        _soon(self._users, call)

    def tell_orchestrators(self, call: Callable[[], object]) -> None:
        if self._loop is not None:
            _soon(self._loop, call)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> bool:
    """Have a loop call this soon; False where it has ended, and so all that waited there."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        return False
    return True


def _settle(future: asyncio.Future[Value], value: Value) -> None:
    if not future.done():
        future.set_result(value)


def _outcome_of(task: asyncio.Task[Outcome]) -> Outcome:
    return Stopped() if task.cancelled() else task.result()  # cancelled before its first step


def sides_of(calls: Calls) -> AbstractAsyncContextManager[Sides]:
    """The sides for a bot that speaks by these calls, from here: the author's side is the loop that is running."""
    elsewhere = calls.for_another_loop()
    return _one(OneLoop(calls)) if elsewhere is None else _two(TwoLoops(elsewhere))


@asynccontextmanager
async def _one(sides: OneLoop) -> AsyncIterator[Sides]:
    sides.open()
    yield sides


@asynccontextmanager
async def _two(sides: TwoLoops) -> AsyncIterator[Sides]:
    sides.start()
    try:
        await sides.started()
        yield sides
    finally:
        await sides.close()
