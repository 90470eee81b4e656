"""Runs coroutines for callers that have no event loop: on one loop, in one thread, shared by all threads that call.

Theory. An event loop belongs to one thread, so calls from many threads must meet on a loop that is none of theirs.
A fork copies the loop's memory but not its thread, and shares its sockets with the parent. So a forked child never
touches the copy: it starts with a loop and connections of its own.
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

SIGNALS_SECONDS = 0.5  # a person who presses Ctrl-C should not notice


class Closed(RuntimeError):
    """The loop was closed, before this call or while it waited."""


class BackgroundLoop:
    """An event loop in a daemon thread. The first call starts it; `close` ends it, or the end of the process.

    Args:
        name: of the thread.
        last: runs on the loop as the last thing, once for each loop that was started.
        forked: is called in a forked child, where nothing of what ran on the loop may be used again.
    """

    def __init__(self, name: str, *, last: Callable[[], Coroutine[Any, Any, None]], forked: Callable[[], None]) -> None:
        self._name = name
        self._last = last
        self._forked = forked
        self._lock = threading.Lock()
        self._closed = False
        self._running: _Running | None = None
        self.forks = 0  # how many forks lie between the process that made this and the one that looks
        _made.add(self)

    def run(self, coroutine: Coroutine[Any, Any, Value]) -> Value:
        """Return what the coroutine returns; it is cancelled where the caller is interrupted.

        Raises:
            Closed: the loop is closed, or was closed while the coroutine ran.
            RuntimeError: called from the loop itself, which would wait for itself.
        """
        future: Future[Value] | None = None
        running: _Running | None = None
        try:
            with self._lock:
                if self._closed:
                    raise Closed("this client is closed")
                running = self._started()
                if running.thread is threading.current_thread():
                    raise RuntimeError("a client without coroutines cannot be called from within its own transport")
                future = asyncio.run_coroutine_threadsafe(coroutine, running.loop)
            return _result(future)
        except CancelledError:
            raise Closed("the client was closed while this call waited") from None
        except BaseException:
            # An interrupt comes between any two lines: only the loop knows whether the coroutine has begun.
            if running is None:
                coroutine.close()
            elif future is None or not future.done():
                running.soon(_forget, coroutine)
            raise

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run what tidies up, without waiting: a generator's end may come in any thread, and on the loop itself."""
        with self._lock:
            running = None if self._closed else self._running
            if running is not None:
                asyncio.run_coroutine_threadsafe(coroutine, running.loop)
        if running is None:
            coroutine.close()  # what it would tidy up went with the loop

    def close(self) -> None:
        """Cancel what runs, run `last`, end the thread. A second time does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = self._started()
        running.stop()
        if running.thread is not threading.current_thread():
            running.thread.join()
        if running.ended.done():
            running.ended.result()

    def abandon(self) -> None:
        """Do the same without waiting for it: for a finalizer, which may run in any thread at any time."""
        self._closed = True
        if self._running is not None:
            self._running.stop()

    def renew_in_child(self) -> None:
        # The lock may have been held by a thread that does not exist here.
        self._lock = threading.Lock()
        self.forks += 1
        left, self._running = self._running, None
        if left is not None:
            left.let_go()
        self._forked()

    def _started(self) -> _Running:
        if self._running is None:
            self._running = _Running(self._name, self._last)
        return self._running


class _Running:
    """One loop and its thread."""

    def __init__(self, name: str, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        # Made here, so that a forked child knows which files the loop looked at.
        self._selector = selectors.DefaultSelector()
        self.loop = asyncio.SelectorEventLoop(self._selector)
        self.ended: Future[None] = Future()
        self._stopping = asyncio.Event()
        self.thread = threading.Thread(target=self._serve, args=(last,), name=name, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.soon(self._stopping.set)

    def soon(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call it on the loop, unless that has ended."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(callback, *arguments)

    def let_go(self) -> None:
        """Give up, in a forked child, what is the parent's.

        Neither loop nor selector is told: the selector's file is the parent's too, and would forget the parent's
        connections. Each file is replaced rather than closed, because objects that hold its number live on.
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
    # A signal that comes just before a lock is waited for does not wake its waiter (and on Windows none does): the
    # main thread, to which signals come, looks up now and then.
    timeout = SIGNALS_SECONDS if threading.current_thread() is threading.main_thread() else None
    while not wait([future], timeout).done:
        pass
    return future.result()


def _forget(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Cancel the task that runs it, or see to it that none ever does."""
    for task in asyncio.all_tasks():
        if task.get_coro() is coroutine:
            task.cancel()
            return
    coroutine.close()


_made: weakref.WeakSet[BackgroundLoop] = weakref.WeakSet()


def _in_forked_child() -> None:
    for each in list(_made):
        each.renew_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_in_forked_child)
