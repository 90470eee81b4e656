"""An asyncio event loop with virtual time, so that a run is a pure function of code and seed.

Time is an integer count of microseconds and moves only when nothing is ready to run. Callbacks run first in, first
out; timers in the order of (moment, serial). Tasks and futures hash by their serial number, so that asyncio iterates
over its sets of them (`wait`, `TaskGroup`) in the same order in every process. There is no selector and no thread:
`run_in_executor` runs the function at once, and real sockets do not exist. With `chaos`, ready callbacks run in any
order.

A `Host` is a process that can die: its work stops at once, and no `finally` block of it runs. It can also be paused,
like a machine that sleeps: its callbacks run later, in the same order.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import inspect
import itertools
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar, TypeVarTuple, Unpack, cast

SECOND = 1_000_000

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_HOST: contextvars.ContextVar[Host | None] = contextvars.ContextVar("swarmkeeper_sim_host", default=None)


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is set, but the caller waits: it would wait for ever."""


class _Serial:
    serial = 0

    def __hash__(self) -> int:
        return self.serial

    def __eq__(self, other: object) -> bool:
        return self is other


class _Future(_Serial, asyncio.Future[Any]):
    pass


class _Task(_Serial, asyncio.Task[Any]):
    pass


class Host:
    """A simulated process."""

    def __init__(self, loop: VirtualLoop, name: str = "") -> None:
        self._loop = loop
        self.name = name
        self.alive = True
        self.paused_until = 0  # loop time
        self._tasks: list[asyncio.Task[Any]] = []

    def spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Start a task that dies with this process, together with every task that it starts."""
        context = contextvars.copy_context()
        context.run(_HOST.set, self)
        task = self._loop.create_task(work, context=context)
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(task)
        return task

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        """Start such a task without waiting for its result."""
        _ = self.spawn(work)

    def pause(self, microseconds: int) -> None:
        """Pause for this time; callbacks that become due meanwhile run afterwards."""
        self.paused_until = max(self.paused_until, self._loop.now + microseconds)

    def die(self) -> None:
        """Stop at once. None of its code runs again, not even cleanup; a caller that awaits it waits for ever."""
        self.alive = False
        self._loop.bury(self._tasks)
        self._tasks = []


class VirtualLoop(asyncio.AbstractEventLoop):
    def __init__(self, chaos: Callable[[int, int], int] | None = None) -> None:
        self._chaos = chaos  # (step, how many are ready) -> which of them runs next
        self.now = 0  # microseconds since the loop was made
        self.steps = 0  # callbacks run
        self.troubles: list[dict[str, Any]] = []  # unhandled exceptions: each is a failure of the run
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[int, int, asyncio.Handle]] = []
        self._serial = itertools.count(1)
        self._graves: list[asyncio.Task[Any]] = []
        self._running = self._stopping = self._closed = False

    # ---- time ------------------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self.now / SECOND

    def stall(self, microseconds: int) -> None:
        """Let time pass while nothing runs, like a machine that sleeps."""
        assert not self._running, "stall() may not be called from a callback"
        self.now += microseconds

    # ---- scheduling ------------------------------------------------------------------------------------------------

    def call_soon(
        self,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Same as `call_soon`: there is only one thread, and `run_in_executor` uses it too."""
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        # At least one microsecond: code that waits for a fraction of one would otherwise loop without end.
        later = max(1, round(delay * SECOND)) if delay > 0 else 0
        return self._call_at(self.now + later, callback, args, context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self._call_at(round(when * SECOND), callback, args, context)

    def _call_at(
        self, when: int, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None
    ) -> asyncio.TimerHandle:
        when = max(when, self.now)
        handle = asyncio.TimerHandle(when / SECOND, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._serial), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: the handle is dropped when it becomes due."""

    def create_future(self) -> asyncio.Future[Any]:
        future = _Future(loop=self)
        future.serial = next(self._serial)
        return future

    def create_task(
        self,
        coro: Generator[Any, None, _T] | Coroutine[Any, Any, _T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **options: Any,
    ) -> asyncio.Task[_T]:
        serial = next(self._serial)
        task = _Task.__new__(_Task)
        task.serial = serial  # before `__init__`, which puts it into a set
        # Asyncio's own name counter is per process, so default names would differ from run to run.
        _Task.__init__(task, cast(Any, coro), loop=self, name=name or f"task-{serial}", context=context, **options)
        return cast("asyncio.Task[_T]", task)

    def run_in_executor(self, executor: Any, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts) -> asyncio.Future[_T]:
        """Run it now: with threads, the order of events would depend on the machine."""
        done: asyncio.Future[_T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    # ---- running ---------------------------------------------------------------------------------------------------

    def run_until_complete(self, future: Any) -> Any:
        """Run until `future` is done, moving time as far as needed. Return its result.

        Raises:
            Deadlock: it can never become done.
        """
        waited = asyncio.ensure_future(future, loop=self)
        waited.add_done_callback(lambda done: self.stop())
        self._run(None)
        return waited.result()

    def run_for(self, microseconds: int) -> None:
        """Run everything that is due within this time, and stop at its end."""
        self._run(self.now + microseconds)

    def run_forever(self) -> None:
        self._run(None)

    def _run(self, until: int | None) -> None:
        assert not self._running, "this loop is already running"
        assert not self._closed, "this loop is closed"
        outer = events._get_running_loop()
        events._set_running_loop(self)
        self._running, self._stopping = True, False
        try:
            while not self._stopping and self._move_on(until):
                handle = self._ready.popleft() if self._chaos is None else self._any(self._chaos)
                if handle.cancelled():
                    continue
                host = _host_of(handle)
                if host is not None:
                    if not host.alive:
                        continue
                    if host.paused_until > self.now:
                        heapq.heappush(self._timers, (host.paused_until, next(self._serial), handle))
                        continue
                self.steps += 1
                handle._run()
        finally:
            self._running = False
            events._set_running_loop(outer)

    def _any(self, chaos: Callable[[int, int], int]) -> asyncio.Handle:
        place = chaos(self.steps, len(self._ready)) if len(self._ready) > 1 else 0
        self._ready.rotate(-place)
        handle = self._ready.popleft()
        self._ready.rotate(place)
        return handle

    def _move_on(self, until: int | None) -> bool:
        """Make a callback ready, moving time if necessary. Return False if `until` is reached first."""
        timers = self._timers
        if not self._ready:
            while timers and timers[0][2].cancelled():
                heapq.heappop(timers)
            due = timers[0][0] if timers else None
            if until is not None and (due is None or due > until):
                self.now = until
                return False
            if due is None:
                raise Deadlock(f"at {self.time():.6f} s nothing is ready and no timer is set")
            self.now = max(self.now, due)
        while timers and timers[0][0] <= self.now:
            self._ready.append(heapq.heappop(timers)[2])
        return True

    def bury(self, tasks: list[asyncio.Task[Any]]) -> None:
        """Keep dead tasks: a garbage-collected coroutine would run its `finally` blocks."""
        self._graves += [task for task in tasks if not task.done()]

    def stop(self) -> None:
        self._stopping = True

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Close the loop and every task left on it."""
        self._closed = True
        for left in asyncio.all_tasks(self):
            coroutine = left.get_coro()
            if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()  # it has not started, so it has nothing to clean up
        self._ready.clear()
        self._timers.clear()
        for task in self._graves:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # how asyncio itself silences it
        self._graves.clear()

    # ---- other methods of an asyncio loop ---------------------------------------------------------------------------

    def get_debug(self) -> bool:
        return False

    def get_task_factory(self) -> None:
        return None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.troubles.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.troubles.append(context)

    async def shutdown_asyncgens(self) -> None:
        """Do nothing: the loop does not track generators."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Do nothing: there is no executor."""


def virtual_loop(chaos: Callable[[int, int], int] | None = None) -> VirtualLoop:
    return VirtualLoop(chaos)  # type: ignore[abstract]  # sockets, signals and processes do not exist here


def _host_of(handle: asyncio.Handle) -> Host | None:
    context = handle._context  # type: ignore[attr-defined]  # which process a callback belongs to is in its context
    return cast("Host | None", context.get(_HOST))
