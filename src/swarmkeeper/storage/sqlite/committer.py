"""Runs commits in a thread, one statement at a time, so that the event loop never waits for the disk.

An executor would do, but most of a single command's time is the way to its commit and back; this takes half as long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any

_Execute = Callable[[str], Any]


class _Job:
    __slots__ = ("ended", "error", "execute", "loop", "statement", "waiter")

    def __init__(self, execute: _Execute, statement: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.execute, self.statement = execute, statement
        self.ended = False
        self.error: BaseException | None = None
        self.waiter: asyncio.Future[None] = self.loop.create_future()

    def end(self) -> None:
        """Wake the waiter. Runs in the event loop."""
        self.ended = True
        if not self.waiter.done():
            self.waiter.set_result(None)


class Committer:
    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        # A daemon, so that a process that ends without closing its store does not wait for it.
        self._thread = Thread(target=self._work, name="swarmkeeper-commit", daemon=True)
        self._thread.start()

    async def run(self, execute: _Execute, statement: str) -> None:
        """Run `execute(statement)` in the thread, and wait for its end even if the caller is cancelled: nobody else may
        use the connection before."""
        job = _Job(execute, statement)
        self._jobs.put(job)
        cancelled: asyncio.CancelledError | None = None
        while not job.ended:
            try:
                await job.waiter
            except asyncio.CancelledError as error:
                cancelled = error
                job.waiter = job.loop.create_future()
        if cancelled is not None:
            raise cancelled
        if job.error is not None:
            raise job.error

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.execute(job.statement)
            except BaseException as error:
                job.error = error
            try:
                job.loop.call_soon_threadsafe(job.end)
            except RuntimeError:
                continue  # the event loop is closed: nobody waits
