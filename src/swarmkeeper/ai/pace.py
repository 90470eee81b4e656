"""Keeps the requests of all bots of one process within what a model's provider allows.

Bots may have event loops of their own, so a pace may be used from several loops.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_MINUTE = 60.0
# A request that waits for a slot looks again after this time, in case the loop of the one that left has died.
_LOOK_AGAIN_SECONDS = 5.0


class ModelPace:
    """Bounds on the requests to one model.

    Args:
        requests_per_minute: in any 60 seconds; None: not bounded.
        tokens_per_minute: in any 60 seconds; a request waits while they are used up. None: not bounded.
        max_concurrent: requests at a time; None: not bounded.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        max_concurrent: int | None = None,
    ) -> None:
        self._requests_max, self._tokens_max = requests_per_minute, tokens_per_minute
        self._concurrent_max = max_concurrent
        self._lock = threading.Lock()
        self._requests: deque[float] = deque()  # when each was sent
        self._tokens: deque[tuple[float, int]] = deque()
        self._tokens_used = 0
        self._running = 0
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = deque()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until a request may be sent; it ends with the block."""
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    def used(self, tokens: int) -> None:
        """Count what a request has used."""
        if self._tokens_max is None or tokens <= 0:
            return
        now = asyncio.get_running_loop().time()
        with self._lock:
            self._tokens.append((now, tokens))
            self._tokens_used += tokens

    async def _enter(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            woken = asyncio.Event()
            with self._lock:
                wait = self._wait(loop.time())
                if wait is None:
                    self._requests.append(loop.time())
                    self._running += 1
                    return
                if wait == 0:
                    self._waiting.append((loop, woken))
            if wait > 0:
                await asyncio.sleep(wait)
                continue
            try:
                async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                    await woken.wait()
            except TimeoutError:
                pass
            except asyncio.CancelledError:
                if self._forget(woken):
                    self._wake_next()  # this request was woken for a slot, and does not want it any more
                raise
            self._forget(woken)

    def _forget(self, woken: asyncio.Event) -> bool:
        """Stop waiting; True if the request had been woken, or is about to be."""
        with self._lock:
            left = deque(each for each in self._waiting if each[1] is not woken)
            was_woken = len(left) == len(self._waiting)
            self._waiting = left
        return was_woken

    def _wait(self, now: float) -> float | None:
        """Return seconds until the next look; 0: until a slot is free; None: the request may be sent."""
        while self._requests and self._requests[0] <= now - _MINUTE:
            self._requests.popleft()
        while self._tokens and self._tokens[0][0] <= now - _MINUTE:
            self._tokens_used -= self._tokens.popleft()[1]
        waits = []
        if self._requests_max is not None and len(self._requests) >= self._requests_max:
            waits.append(self._requests[0] + _MINUTE - now)
        if self._tokens_max is not None and self._tokens_used >= self._tokens_max:
            waits.append(self._tokens[0][0] + _MINUTE - now)
        if waits:
            return max([*waits, 0.001])  # never 0, which means something else
        if self._concurrent_max is not None and self._running >= self._concurrent_max:
            return 0
        return None

    def _leave(self) -> None:
        with self._lock:
            self._running -= 1
        self._wake_next()

    def _wake_next(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                loop, woken = self._waiting.popleft()
            try:
                loop.call_soon_threadsafe(woken.set)
            except RuntimeError:  # its loop is closed: wake another
                continue
            return
