"""The thread and event loop of one bot's agents.

A tool that blocks its loop then blocks neither heartbeats nor other bots. All attempts of one bot share the loop,
because agents keep clients that belong to the loop that first used them.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")


class AgentLoop:
    """Runs coroutines on a loop in a daemon thread, which starts with the first one and never ends by itself."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, work: Callable[[], Awaitable[Value]]) -> Value:
        """Await `work` on the loop, and return or raise what it does.

        A cancellation is passed on, and the end of `work` is awaited. A second one does not wait any longer: the
        application ends, and the thread may be in a call that does not.
        """
        caller, loop = asyncio.get_running_loop(), self._running()
        ended: asyncio.Future[asyncio.Task[Value]] = caller.create_future()
        begun: list[asyncio.Task[Value]] = []

        async def worked() -> Value:
            return await work()

        def begin() -> None:
            begun.append(loop.create_task(worked()))
            begun[0].add_done_callback(over)

        def over(task: asyncio.Task[Value]) -> None:
            if not task.cancelled():
                task.exception()  # retrieved: nobody waits for it if the caller's loop is closed
            with contextlib.suppress(RuntimeError):  # the caller's loop is closed
                caller.call_soon_threadsafe(ended.set_result, task)

        def cancel() -> None:
            begun[0].cancel()

        loop.call_soon_threadsafe(begin)
        cancelled = False
        while not ended.done():
            try:
                await asyncio.wait([ended])
            except asyncio.CancelledError:
                if cancelled:
                    raise
                cancelled = True
                loop.call_soon_threadsafe(cancel)
        return ended.result().result()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True).start()
            return self._loop
