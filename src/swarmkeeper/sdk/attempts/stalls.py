"""Notices, from the orchestrator's side, when the author's loop is blocked or the whole process was frozen.

A blocked loop runs no coroutine: hooks are not called, other attempts of the process wait, and a cancelled attempt
cannot end. Heartbeats go on, because another thread sends them. A frozen process (code that holds the interpreter, a
suspended machine) sends no heartbeats either, and can only be noticed afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable

from swarmkeeper.sdk.attempts.failures import OwnCode, places_of, shown

log = logging.getLogger("swarmkeeper.bot")

BLOCKED = "has blocked the event loop"  # in the log message; `bot test` searches for these words
_IDLE_SECONDS = 10.0  # between two checks while there is no work; new work is checked at once
# The threshold while no bot had work at the last check, so that no heartbeat interval was known.
_FROZEN_SECONDS = 5.0
_CHECKS_PER_INTERVAL = 4
# One check serves all work that arrives within this time: busy bots would otherwise ask with every claim.
_TOGETHER_SECONDS = 0.05

HeartbeatSeconds = Callable[[], float | None]  # seconds between two heartbeats of a bot; None: it has no work


class StallWatch:
    """Watches the author's loop for the bots that run on it."""

    def __init__(self, author_loop: asyncio.AbstractEventLoop, thread: int) -> None:
        self._author_loop, self._thread = author_loop, thread
        self._bots: list[tuple[HeartbeatSeconds, OwnCode]] = []
        self._work_arrived = asyncio.Event()  # used only on the orchestrator's side

    def add(self, seconds: HeartbeatSeconds, own: OwnCode) -> None:
        self._bots.append((seconds, own))

    def check_soon(self) -> None:
        """Check soon: new work may block the loop with its first line."""
        self._work_arrived.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            interval = self._interval()
            pause = _IDLE_SECONDS if interval is None else interval / _CHECKS_PER_INTERVAL
            asleep = loop.time()
            self._work_arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._work_arrived.wait()
                    await asyncio.sleep(_TOGETHER_SECONDS)
            if (late := loop.time() - asleep - pause) > (_FROZEN_SECONDS if interval is None else interval):
                _warn_frozen(late)
            interval = self._interval()
            if interval is None:
                continue
            asked, answer = loop.time(), self._ask(loop)
            await asyncio.wait([answer], timeout=interval)
            if answer.done():
                continue
            if (late := loop.time() - asked - interval) > interval:
                _warn_frozen(late)
                await asyncio.wait([answer], timeout=interval)
            if not answer.done():
                self._warn_blocked(interval)
                await answer
                log.info("the event loop runs again, after %.1f s", loop.time() - asked)

    def _interval(self) -> float | None:
        return min((each for seconds, _ in self._bots if (each := seconds()) is not None), default=None)

    def _ask(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Return a future that is done once the author's loop has run a callback."""
        answer: asyncio.Future[None] = loop.create_future()

        def resolve() -> None:
            if not answer.done():
                answer.set_result(None)

        def reply() -> None:
            loop.call_soon_threadsafe(resolve)

        try:
            self._author_loop.call_soon_threadsafe(reply)
        except RuntimeError:  # the loop is closed: there is nothing to watch
            resolve()
        return answer

    def _warn_blocked(self, interval: float) -> None:
        places = places_of(sys._current_frames().get(self._thread))
        own = [place for place in places if any(owner.owns(place[0]) for _, owner in self._bots)] or places
        where = shown(own[-1]) if own else "unknown code"
        log.warning(
            "%s %s for more than %.1f s: heartbeats go on, but no other coroutine of this process does, and it could "
            "not be cancelled. Write `await asyncio.to_thread(...)` around the call that blocks, or a plain `def` in "
            "place of `async def`: it runs in a thread of its own",
            where,
            BLOCKED,
            interval,
        )


def _warn_frozen(seconds: float) -> None:
    log.warning(
        "this whole process stood still for %.1f s, and sent no heartbeat: what it held may be lost. Either the "
        "machine was suspended or overloaded, or a call into C code held the interpreter: make such calls in a process "
        "of their own",
        seconds,
    )
