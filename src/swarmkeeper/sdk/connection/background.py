"""Runs coroutines for callers without an event loop: on one loop in a thread of its own, shared by all callers.

Theory. An event loop belongs to one thread, so calls from several threads need a loop in a separate thread. A fork
copies the loop's memory but not its thread, and shares its sockets with the parent. So a forked child never touches
the copy: it starts its own loop and connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, wait
from typing import Any, TypeVar

Value = TypeVar("Value")

SIGNALS_SECONDS = 0.5  # how often the main thread looks for Ctrl-C; a person should not notice the delay


class Closed(RuntimeError):
    """The loop was closed before this call or during it."""


class BackgroundLoop:
    """An event loop in a daemon thread. The first call starts it; `close` or the end of the process ends it.

    Args:
        name: the thread's name.
        last: runs last on the loop, once for each loop that was started.
        forked: called in a forked child, which must not use anything that ran on the loop.
    """

    def __init__(self, name: str, *, last: Callable[[], Coroutine[Any, Any, None]], forked: Callable[[], None]) -> None:
        self._name = name
        self._last = last
        self._forked = forked
        self._lock = threading.Lock()
        self._closed = False
        self._running: _Running | None = None
        self.forks = 0  # forks between the process that made this and the current one
        _made.add(self)

    def run(self, coroutine: Coroutine[Any, Any, Value]) -> Value:
        """Run a coroutine and return its result. If the caller is interrupted, the coroutine is cancelled.

        Raises:
            Closed: the loop is closed, or was closed while the coroutine ran.
            RuntimeError: called on the loop itself, which would wait for itself.
        """
        future: Future[Value] | None = None
        running: _Running | None = None
        try:
            with self._lock:
                if self._closed:
                    raise Closed("this client is closed")
                running = self._start_if_needed()
                if running.thread is threading.current_thread():
                    raise RuntimeError("a client without coroutines cannot be called from within its own transport")
                future = asyncio.run_coroutine_threadsafe(coroutine, running.loop)
            return _result(future)
        except CancelledError:
            raise Closed("the client was closed while this call waited") from None
        except BaseException:
            # An interrupt may come between any two lines: only the loop knows whether the coroutine has begun.
            if running is None:
                coroutine.close()
            elif future is None or not future.done():
                running.soon(_forget, coroutine)
            raise

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a cleanup without waiting for it. A generator may end in any thread, and on the loop itself."""
        with self._lock:
            running = None if self._closed else self._running
            if running is not None:
                asyncio.run_coroutine_threadsafe(coroutine, running.loop)
        if running is None:
            coroutine.close()  # the loop is gone, and with it all that needs cleanup

    def close(self) -> None:
        """Cancel running calls, run `last`, end the thread. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = self._start_if_needed()
        running.stop()
        if running.thread is not threading.current_thread():
            running.thread.join()
        if running.ended.done():
            running.ended.result()

    def abandon(self) -> None:
        """Do the same without waiting. For a finalizer, which may run in any thread at any time."""
        self._closed = True
        if self._running is not None:
            self._running.stop()

    def renew_in_child(self) -> None:
        """Drop the parent's loop after a fork; the next call starts a new one."""
        # A thread that does not exist in the child may have held the lock.
        self._lock = threading.Lock()
        self.forks += 1
        left, self._running = self._running, None
        if left is not None:
            left.detach_from_parent()
        self._forked()

    def _start_if_needed(self) -> _Running:
        if self._running is None:
            self._running = _Running(self._name, self._last)
        return self._running


class _Running:
    """One loop and its thread."""

    def __init__(self, name: str, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        # Made here, so that a forked child knows which files the loop watched.
        self._selector = selectors.DefaultSelector()
        self.loop = asyncio.SelectorEventLoop(self._selector)
        self.ended: Future[None] = Future()
        self._stopping = asyncio.Event()
        self.thread = threading.Thread(target=self._serve, args=(last,), name=name, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.soon(self._stopping.set)

    def soon(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call it on the loop, unless the loop has ended."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(callback, *arguments)

    def detach_from_parent(self) -> None:
        """Detach, in a forked child, from the parent's files.

        Do not close the loop or unregister from the selector: the selector's file is shared with the parent, which
        would lose its connections. Files are replaced, not closed: objects that hold their numbers still exist.
        """
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            for key in self._selector.get_map().values():
                os.dup2(nothing, key.fd, inheritable=False)
        finally:
            os.close(nothing)

    def _serve(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            asyncio.set_event_loop(self.loop)
            self.loop.run_until_complete(self._until_stopped(last))
        except BaseException as error:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)
        finally:
            self.loop.close()

    async def _until_stopped(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await self._stopping.wait()
        calls = asyncio.all_tasks() - {asyncio.current_task()}
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await last()
        await self.loop.shutdown_asyncgens()


def _result(future: Future[Value]) -> Value:
    # A signal that comes just before a wait does not end it (on Windows no signal does). Signals are handled in the
    # main thread, so that one waits in short steps.
    timeout = SIGNALS_SECONDS if threading.current_thread() is threading.main_thread() else None
    while not wait([future], timeout).done:
        pass
    return future.result()


def _forget(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Cancel the task that runs this coroutine; if there is none, close the coroutine."""
    for task in asyncio.all_tasks():
        if task.get_coro() is coroutine:
            task.cancel()
            return
    coroutine.close()


_made: weakref.WeakSet[BackgroundLoop] = weakref.WeakSet()


def _in_forked_child() -> None:
    for loop in list(_made):
        loop.renew_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_in_forked_child)
