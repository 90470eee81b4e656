"""Gives callers that ask the same at the same time the same answer: many pages that show one list read it once.

An answer is never older than the request: who comes after a read has begun waits for the next one. So a read that many
ask for at once runs twice, and not once for each of them. If others have joined the last time, the next one waits a
moment for them before it begins: then it runs once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any

from swarmkeeper.core.model import Principal
from swarmkeeper.reads.reading_thread import ReadingThread, Reads

TOGETHER_SECONDS = 0.01  # pages that are told of a change at once ask within it
LAST_SECONDS = 5.0  # for so long it is known that others have joined
KEYS_MAX = 1_000  # of which this is known


@dataclass(slots=True)
class _SharedRead:
    answer: asyncio.Future[bytes] | None = None
    is_shared: bool = False
    has_begun: bool = False  # set where it runs, before it looks at anything


class SharedReads:
    def __init__(self) -> None:
        self._newest: dict[Hashable, _SharedRead] = {}  # by key, while it is not answered
        self._shared_at: dict[Hashable, float] = {}  # by key: when the last read that several shared was asked for

    async def look(
        self, thread: ReadingThread, by: Principal, key: Hashable, work: Callable[[Reads], Coroutine[Any, Any, bytes]]
    ) -> bytes:
        """Run `work`, or wait for a read of the same key that has not begun yet.

        Args:
            by: in whose turn it runs.
            key: all that the answer depends on, besides the rows. The caller has checked that it may be read.
        """
        read = self._newest.get(key)
        if read is None or read.has_begun or read.answer is None:
            read = self._newest[key] = _SharedRead()
            read.answer = asyncio.ensure_future(self._run(thread, by, key, read, work))
            read.answer.add_done_callback(lambda answer: self._ended(key, read, answer))
        elif not read.is_shared:
            read.is_shared = True
            self._note(key)
        # Who hangs up must not take the answer from the others.
        return await asyncio.shield(read.answer)

    async def _run(
        self,
        thread: ReadingThread,
        by: Principal,
        key: Hashable,
        read: _SharedRead,
        work: Callable[[Reads], Coroutine[Any, Any, bytes]],
    ) -> bytes:
        if asyncio.get_running_loop().time() - self._shared_at.get(key, -LAST_SECONDS) < LAST_SECONDS:
            await asyncio.sleep(TOGETHER_SECONDS)

        async def begun(reads: Reads) -> bytes:
            read.has_begun = True
            return await work(reads)

        return await thread.look(by, begun)

    def _note(self, key: Hashable) -> None:
        self._shared_at.pop(key, None)
        self._shared_at[key] = asyncio.get_running_loop().time()  # the newest at the end
        while len(self._shared_at) > KEYS_MAX:
            del self._shared_at[next(iter(self._shared_at))]

    def _ended(self, key: Hashable, read: _SharedRead, answer: asyncio.Future[bytes]) -> None:
        if self._newest.get(key) is read:
            del self._newest[key]
        if not answer.cancelled():
            answer.exception()  # it is raised where somebody waits for it, if anybody does
