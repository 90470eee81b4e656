"""Calls the author's code and returns its result or exception as a value.

An exception of the author's code is never raised in the runner: asyncio and threads give some exceptions a meaning
(SystemExit, StopIteration, a CancelledError of the code's own), and these would end more than one attempt.
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
    """The runner cancelled it, or the application that runs the bot ends."""


Outcome = Returned | Raised | Stopped


@dataclass(frozen=True, slots=True)
class Running:
    """Running code of the author. The future belongs to the runner's loop and never holds an exception."""

    outcome: asyncio.Future[Outcome]
    where: Callable[[], list[Place]]  # its current calls, outermost first
    cancel: Callable[[], object] | None = None  # None: a thread, which can only check `context.cancelled`


async def awaited(call: Callable[[], object], serving: asyncio.Task[Any] | None) -> Outcome:
    """Make the call and, if it returns an awaitable, await that. Runs as a task of its own.

    `serving` is the task that the whole bot runs in. If it is being cancelled, the application ends, and a
    CancelledError is not the code's own. The runner itself knows when it has cancelled this.
    """
    try:
        value = call()
        if inspect.isawaitable(value):
            value = await value
    except asyncio.CancelledError as error:
        return Stopped() if serving is not None and serving.cancelling() > 0 else Raised(error)
    except BaseException as error:  # returned as a value: see the module's docstring
        return Raised(error)
    return Returned(value)


def called(call: Callable[[], object]) -> Outcome:
    """Make the call. Runs in a thread."""
    try:
        return Returned(call())
    except BaseException as error:  # returned as a value: see the module's docstring
        return Raised(error, in_thread=True)


def in_thread(call: Callable[[], object], name: str, context: contextvars.Context) -> Running:
    """Start a plain function in a thread of its own. A loop with virtual time runs it at once instead."""
    threads = Threads(name)
    outcome = asyncio.get_running_loop().run_in_executor(threads, lambda: context.run(called, call))
    return Running(outcome, lambda: places_of(threads.frame()))


def places_of_task(task: asyncio.Task[Any]) -> list[Place]:
    """Return a coroutine's current calls, outermost first."""
    places: list[Place] = []
    waiting: object = task.get_coro()
    while inspect.iscoroutine(waiting):
        if waiting.cr_frame is not None:
            places.append((waiting.cr_code.co_filename, waiting.cr_frame.f_lineno, waiting.cr_code.co_name))
        waiting = waiting.cr_await
    return places


class Threads(Executor):
    """Runs each call in a daemon thread. The standard library's pool would keep the process from ending."""

    _numbers = itertools.count(1)

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None

    def frame(self) -> FrameType | None:
        """Return the thread's current frame."""
        return None if self._thread is None else sys._current_frames().get(self._thread.ident or 0)

    def submit(
        self, fn: Callable[Arguments, Value], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Value]:
        done: Future[Value] = Future()

        def work() -> None:
            done.set_running_or_notify_cancel()
            done.set_result(fn(*args, **kwargs))  # `fn` is `called`, which raises nothing

        self._thread = threading.Thread(target=work, name=f"{self._name}-{next(self._numbers)}", daemon=True)
        self._thread.start()
        return done
