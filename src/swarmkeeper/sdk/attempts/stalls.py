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
_LOOKS_A_BEAT = 4

Rhythm = Callable[[], float | None]  # seconds between two heartbeats of a bot; None: it has no work


class StallWatch:
    """Watches the author's loop for the bots that run on it."""

    def __init__(self, users: asyncio.AbstractEventLoop, thread: int) -> None:
        self._users, self._thread = users, thread
        self._bots: list[tuple[Rhythm, OwnCode]] = []
        self._work_came = asyncio.Event()  # used only on the orchestrator's side

    def add(self, rhythm: Rhythm, own: OwnCode) -> None:
        self._bots.append((rhythm, own))

    def look(self) -> None:
        """Check soon: new work may block the loop with its first line."""
        self._work_came.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            beat = self._beat()
            pause = _IDLE_SECONDS if beat is None else beat / _LOOKS_A_BEAT
            asleep = loop.time()
            self._work_came.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._work_came.wait()
            if (late := loop.time() - asleep - pause) > (_FROZEN_SECONDS if beat is None else beat):
                _tell_frozen(late)
            beat = self._beat()
            if beat is None:
                continue
            asked, answer = loop.time(), self._ask(loop)
            await asyncio.wait([answer], timeout=beat)
            if answer.done():
                continue
            if (late := loop.time() - asked - beat) > beat:
                _tell_frozen(late)
                await asyncio.wait([answer], timeout=beat)
            if not answer.done():
                self._tell_blocked(beat)
                await answer
                log.info("the event loop runs again, after %.1f s", loop.time() - asked)

    def _beat(self) -> float | None:
        return min((each for rhythm, _ in self._bots if (each := rhythm()) is not None), default=None)

    def _ask(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Return a future that is done once the author's loop has run a callback."""
        answer: asyncio.Future[None] = loop.create_future()

        def heard() -> None:
            if not answer.done():
                answer.set_result(None)

        def answered() -> None:
            loop.call_soon_threadsafe(heard)

        try:
            self._users.call_soon_threadsafe(answered)
        except RuntimeError:  # the loop is closed: there is nothing to watch
            heard()
        return answer

    def _tell_blocked(self, beat: float) -> None:
        places = places_of(sys._current_frames().get(self._thread))
        own = [place for place in places if any(owner.owns(place[0]) for _, owner in self._bots)] or places
        where = shown(own[-1]) if own else "unknown code"
        log.warning(
            "%s %s for more than %.1f s: heartbeats go on, but no other coroutine of this process does, and it could "
            "not be cancelled. Write `await asyncio.to_thread(...)` around the call that blocks, or a plain `def` in "
            "place of `async def`: it runs in a thread of its own",
            where,
            BLOCKED,
            beat,
        )


def _tell_frozen(seconds: float) -> None:
    log.warning(
        "this whole process stood still for %.1f s, and sent no heartbeat: what it held may be lost. Either the "
        "machine was suspended or overloaded, or a call into C code held the interpreter: make such calls in a process "
        "of their own",
        seconds,
    )
