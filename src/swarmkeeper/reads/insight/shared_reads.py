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
# A sum over many rows that took longer than this is given again for so many times as long as it took, if it may be old:
# pages that show it use no more than a twentieth of a processor.
LONG_SECONDS = 0.05
TIMES = 20
KEPT_MAX = 50  # such answers


@dataclass(slots=True)
class _SharedRead:
    answer: asyncio.Future[bytes] | None = None
    is_shared: bool = False
    has_begun: bool = False  # set where it runs, before it looks at anything
    seconds: float = 0.0  # that it took


class SharedReads:
    def __init__(self) -> None:
        self._newest: dict[Hashable, _SharedRead] = {}  # by key, while it is not answered
        self._kept: dict[Hashable, tuple[float, bytes]] = {}  # by key: until when, and the answer
        self._shared_at: dict[Hashable, float] = {}  # by key: when the last read that several shared was asked for

    async def look(
        self,
        thread: ReadingThread,
        by: Principal,
        key: Hashable,
        work: Callable[[Reads], Coroutine[Any, Any, bytes]],
        *,
        may_be_old: bool = False,
    ) -> bytes:
        """Run `work`, or wait for a read of the same key that has not begun yet.

        Args:
            by: in whose turn it runs.
            key: all that the answer depends on, besides the rows. The caller has checked that it may be read.
            may_be_old: give an answer again that took long.
        """
        kept = self._kept.get(key) if may_be_old else None
        if kept is not None and asyncio.get_running_loop().time() < kept[0]:
            return kept[1]
        read = self._newest.get(key)
        if read is None or read.has_begun or read.answer is None:
            read = self._newest[key] = _SharedRead()
            read.answer = asyncio.ensure_future(self._run(thread, by, key, read, work))
            read.answer.add_done_callback(lambda answer: self._ended(key, read, answer))
        elif not read.is_shared:
            read.is_shared = True
            self._note(key)
        # Who hangs up must not take the answer from the others.
        answer = await asyncio.shield(read.answer)
        if may_be_old and read.seconds > LONG_SECONDS:
            self._keep(key, read.seconds * TIMES, answer)
        return answer

    def _keep(self, key: Hashable, seconds: float, answer: bytes) -> None:
        self._kept.pop(key, None)
        self._kept[key] = asyncio.get_running_loop().time() + seconds, answer
        while len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]

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

        loop = asyncio.get_running_loop()

        async def begun(reads: Reads) -> bytes:
            read.has_begun = True
            began = loop.time()
            answer = await work(reads)
            read.seconds = loop.time() - began
            return answer

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
