"""Calls what a bot's author wrote and turns whatever leaves it into a value.

An exception of the author's code never crosses to the runner by itself: some of them (SystemExit, StopIteration, a
CancelledError of the code's own) mean something to asyncio and to threads, and would end more than one attempt.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from swarmkeeper.sdk.attempts.failures import Place, places_of

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Returned:
    value: object


@dataclass(frozen=True, slots=True)
class Raised:
    error: BaseException
    in_thread: bool = False


@dataclass(frozen=True, slots=True)
class Stopped:
    """It was cancelled from outside, by the runner or by an application that ends."""


Outcome = Returned | Raised | Stopped


@dataclass(frozen=True, slots=True)
class Running:
    """Code of the author at work. The future is the runner's, and never holds an exception."""

    outcome: asyncio.Future[Outcome]
    where: Callable[[], list[Place]]  # it stands now, from its outermost call inwards
    cancel: Callable[[], object] | None = None  # None: a thread, which can only look at `context.cancelled`


async def awaited(call: Callable[[], object], serving: asyncio.Task[Any] | None) -> Outcome:
    """Call, and await what comes back if it can be awaited. Runs as a task of its own.

    `serving` is the task that the whole bot runs in: where it is being cancelled too, the application ends, and a
    CancelledError is no fault of this code. The runner knows by itself when it has cancelled this; any other
    CancelledError is the code's own.
    """
    try:
        value = call()
        if inspect.isawaitable(value):
            value = await value
    except asyncio.CancelledError as error:
        return Stopped() if serving is not None and serving.cancelling() > 0 else Raised(error)
    except BaseException as error:  # a value from here on: see above
        return Raised(error)
    return Returned(value)


def called(call: Callable[[], object]) -> Outcome:
    """Call, in a thread."""
    try:
        return Returned(call())
    except BaseException as error:  # a value from here on: see above
        return Raised(error, in_thread=True)


def in_thread(call: Callable[[], object], name: str, context: contextvars.Context) -> Running:
    """Start plain code in a thread of its own. Loops of virtual time run it at once."""
    threads = Threads(name)
    outcome = asyncio.get_running_loop().run_in_executor(threads, lambda: context.run(called, call))
    return Running(outcome, lambda: places_of(threads.frame()))


def places_of_task(task: asyncio.Task[Any]) -> list[Place]:
    """Where a coroutine stands, from its outermost call inwards."""
    places: list[Place] = []
    waiting: object = task.get_coro()
    while inspect.iscoroutine(waiting):
        if waiting.cr_frame is not None:
            places.append((waiting.cr_code.co_filename, waiting.cr_frame.f_lineno, waiting.cr_code.co_name))
        waiting = waiting.cr_await
    return places


class Threads(Executor):
    """Daemon threads. Those of the standard library's pool are waited for when the process ends, however long."""

    _numbers = itertools.count(1)

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None

    def frame(self) -> FrameType | None:
        """Where the thread stands."""
        return None if self._thread is None else sys._current_frames().get(self._thread.ident or 0)

    def submit(
        self, fn: Callable[Arguments, Value], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Value]:
        done: Future[Value] = Future()

        def work() -> None:
            done.set_running_or_notify_cancel()
            done.set_result(fn(*args, **kwargs))  # what `called` returns: it raises nothing

        self._thread = threading.Thread(target=work, name=f"{self._name}-{next(self._numbers)}", daemon=True)
        self._thread.start()
        return done
