"""Where the two halves of a bot run: the orchestrator's side makes calls, the author's side runs the author's code.

With `TwoLoops` the orchestrator's side has its own thread and event loop: heartbeats and reports go on even while the
author's code blocks the author's loop. With `OneLoop` both sides share the caller's loop: for virtual time, and for an
orchestrator in this process that can be called on that loop only. The transport decides: if it can be made anew for
another loop, there are two loops. All other code is the same in both cases.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, Protocol, TypeVar

from swarmkeeper.sdk.attempts.failures import OwnCode
from swarmkeeper.sdk.attempts.stalls import HeartbeatSeconds, StallWatch
from swarmkeeper.sdk.attempts.user_code import Outcome, Running, Stopped, awaited, in_thread, places_of_task
from swarmkeeper.sdk.connection.calls import Calls

log = logging.getLogger("swarmkeeper.bot")

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


class Sides(Protocol):
    """Runs each half of a bot where it belongs."""

    calls: Calls  # for the orchestrator's side

    async def on_orchestrator_side(
        self, work: Callable[Arguments, Awaitable[Value]], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Value:
        """Await `work` on the orchestrator's side; called on the author's. Passes a cancellation on."""
        ...

    def start_on_author_loop(self, call: Callable[[], object], name: str) -> Running:
        """Start the author's code on the author's loop; called on the orchestrator's side."""
        ...

    def start_thread(self, call: Callable[[], object], name: str) -> Running:
        """Start the author's plain function in a thread of its own."""
        ...

    def watch(self, heartbeat_seconds: HeartbeatSeconds, own: OwnCode) -> None:
        """Log a warning when the author's loop is blocked while this bot has work."""
        ...

    def work_arrived(self) -> None:
        """Check the author's loop now."""
        ...

    def call_author_side(self, call: Callable[[], object]) -> None:
        """Schedule a call on the author's side; calls keep their order."""
        ...

    def call_orchestrator_side(self, call: Callable[[], object]) -> None:
        """Schedule a call on the orchestrator's side. From any thread, and from a signal handler."""
        ...


class OneLoop:
    """Both sides on the running loop."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Task[Any] | None = None

    def open(self) -> None:
        self._loop, self._serving = asyncio.get_running_loop(), asyncio.current_task()

    async def on_orchestrator_side(
        self, work: Callable[Arguments, Awaitable[Value]], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Value:
        return await work(*args, **kwargs)

    def start_on_author_loop(self, call: Callable[[], object], name: str) -> Running:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Outcome] = loop.create_future()
        task = loop.create_task(awaited(call, self._serving), name=name)
        task.add_done_callback(lambda done: _settle(outcome, _outcome_of(done)))
        return Running(outcome, lambda: places_of_task(task), task.cancel)

    def start_thread(self, call: Callable[[], object], name: str) -> Running:
        return in_thread(call, name, contextvars.copy_context())

    def watch(self, heartbeat_seconds: HeartbeatSeconds, own: OwnCode) -> None:
        """Do nothing: a blocked loop would block the watch, too."""

    def work_arrived(self) -> None:
        """Do nothing, as in `watch`."""

    def call_author_side(self, call: Callable[[], object]) -> None:
        call()

    def call_orchestrator_side(self, call: Callable[[], object]) -> None:
        assert self._loop is not None, "the sides are opened"
        self._loop.call_soon_threadsafe(call)


class TwoLoops:
    """The orchestrator's side on a thread of its own; the author's side is the loop that opens it."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self._author_loop = asyncio.get_running_loop()
        self._for_author = Mailbox(self._author_loop)
        self._for_orchestrator: Mailbox | None = None
        self._serving = asyncio.current_task()
        self._context = contextvars.copy_context()
        self._stalls = StallWatch(self._author_loop, threading.get_ident())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        # A daemon thread: it must not keep a process alive whose author's side has ended.
        self._thread = threading.Thread(target=self._live, name="swarmkeeper-orchestrator", daemon=True)
        self._started: asyncio.Future[None] = self._author_loop.create_future()
        self._ended: asyncio.Future[None] = self._author_loop.create_future()

    def start(self) -> None:
        self._thread.start()

    async def started(self) -> None:
        """Wait until the orchestrator's side runs."""
        await asyncio.shield(self._started)

    async def close(self) -> None:
        """End the orchestrator's side and cancel what still runs there."""
        await self.started()
        assert self._closing is not None, "set before `started`"
        self.call_orchestrator_side(self._closing.set)
        await asyncio.shield(self._ended)

    def _live(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._until_closed())
        finally:
            _soon(self._author_loop, lambda: _settle(self._ended, None))

    async def _until_closed(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        self._for_orchestrator = Mailbox(self._loop)
        _soon(self._author_loop, lambda: _settle(self._started, None))
        watching = asyncio.create_task(self._stalls.run())
        await self._closing.wait()
        watching.cancel()
        await self.calls.aclose()

    async def on_orchestrator_side(
        self, work: Callable[Arguments, Awaitable[Value]], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Value:
        caller, orchestrator = asyncio.get_running_loop(), self._loop
        assert orchestrator is not None, "the sides are opened"
        ended: asyncio.Future[asyncio.Task[Value]] = caller.create_future()
        begun: list[asyncio.Task[Value]] = []

        async def worked() -> Value:
            return await work(*args, **kwargs)

        def begin() -> None:
            task = asyncio.get_running_loop().create_task(worked())
            begun.append(task)
            task.add_done_callback(lambda done: _soon(caller, lambda: _settle(ended, done)))

        def cancel() -> None:
            begun[0].cancel()

        orchestrator.call_soon_threadsafe(begin)
        # As if `work` were awaited directly: a cancellation is passed on, and its outcome is the outcome here.
        while not ended.done():
            try:
                await asyncio.wait([ended])
            except asyncio.CancelledError:
                orchestrator.call_soon_threadsafe(cancel)
        return ended.result().result()

    def start_on_author_loop(self, call: Callable[[], object], name: str) -> Running:
        back = self._for_orchestrator
        assert back is not None, "called on the orchestrator's side"
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        begun: list[asyncio.Task[Outcome]] = []

        def begin() -> None:
            context = self._context.copy()
            task = self._author_loop.create_task(awaited(call, self._serving), name=name, context=context)
            begun.append(task)
            task.add_done_callback(lambda done: back.post(lambda: _settle(outcome, _outcome_of(done))))

        def cancel() -> None:
            begun[0].cancel()

        if not self._for_author.post(begin):
            _settle(outcome, Stopped())
        return Running(
            outcome,
            lambda: places_of_task(begun[0]) if begun else [],
            lambda: self._for_author.post(cancel),
        )

    def start_thread(self, call: Callable[[], object], name: str) -> Running:
        return in_thread(call, name, self._context.copy())

    def watch(self, heartbeat_seconds: HeartbeatSeconds, own: OwnCode) -> None:
        self._stalls.add(heartbeat_seconds, own)

    def work_arrived(self) -> None:
        self._stalls.check_soon()

    def call_author_side(self, call: Callable[[], object]) -> None:
        self._for_author.post(call)

    def call_orchestrator_side(self, call: Callable[[], object]) -> None:
        if self._loop is not None:
            _soon(self._loop, call)


class Mailbox:
    """Hands calls over to a loop in another thread, in order. Calls that come together wake the loop once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[Callable[[], object]] = deque()
        self._woken = False  # the loop will look into `_calls`

    def post(self, call: Callable[[], object]) -> bool:
        """Schedule a call, from any thread; False if the loop is closed."""
        # No lock is needed: two threads may both wake the loop, and then its second look finds nothing.
        self._calls.append(call)
        if self._woken:
            return not self._loop.is_closed()
        self._woken = True
        return _soon(self._loop, self._make_calls)

    def _make_calls(self) -> None:
        self._woken = False  # first: a call that is posted from here on wakes the loop again
        try:
            for _ in range(len(self._calls)):
                self._calls.popleft()()
        except BaseException:  # the loop reports it, or ends by it; the other calls are not its victims
            if self._calls:
                self._woken = True
                _soon(self._loop, self._make_calls)
            raise


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> bool:
    """Schedule a call on a loop; False if the loop is closed."""
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


@asynccontextmanager
async def sides_of(calls: Calls) -> AsyncIterator[Sides]:
    """Open the sides for bots that use these calls. The running loop becomes the author's side."""
    elsewhere = calls.for_another_loop()
    if elsewhere is None:
        one_loop = OneLoop(calls)
        one_loop.open()
        yield one_loop
        return
    two_loops = TwoLoops(elsewhere)
    two_loops.start()
    try:
        await two_loops.started()
        yield two_loops
    finally:
        await two_loops.close()
