"""Ends a process that runs bots on a signal, even if the author's code hangs.

The main thread receives signals and passes them to a thread of this module, which stops the orchestrator's side
(sides.py): the bots finish or give back their work, whatever the author's loop does. If the author's code then still
keeps the process from ending, this thread ends the process, because a supervisor waits for that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, Literal, Self

log = logging.getLogger("swarmkeeper.bot")

# How long the process may go on after all work is given back: enough for an ordinary clean-up.
ENDING_SECONDS = 5.0
# The same after a second signal: giving work back takes at most this long if the orchestrator does not answer.
AT_ONCE_SECONDS = 8.0
_FLUSH_SECONDS = 0.5
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

EndingEvent = int | Literal["over", "returned"]  # a signal number; the bots have ended; `run` has returned


class Ender:
    """Handles signals while it is entered. The first drains the bots; the second makes them give back their work."""

    def __init__(self) -> None:
        # The only queue that is reentrant: a signal handler may put while the main thread puts.
        self._events: queue.SimpleQueue[EndingEvent] = queue.SimpleQueue()
        self._steps: list[Callable[[], None]] = []
        self._signals = 0
        self._last_signal = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._live, name="swarmkeeper-signals", daemon=True)
        self._before: dict[int, object] = {}
        self._process = os.getpid()

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("run(...) handles signals, so it needs the main thread; elsewhere, await serve(...)")
        self._before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what `signal` gave us
        self._events.put("returned")

    @property
    def stopped_at_once(self) -> bool:
        return self._signals > 1

    def on_signals(self, stop: Callable[[], None], stop_at_once: Callable[[], None]) -> None:
        """Set what the first and the second signal do. Signals that came before count."""
        with self._lock:
            self._steps = [stop, stop_at_once]
            for step in self._steps[: self._signals]:
                step()

    def over(self) -> None:
        """Note that the bots have ended and hold no work."""
        self._events.put("over")

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() == self._process:
            self._events.put(number)
        else:  # a process that the author's code forked, without the thread
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _live(self) -> None:
        patience: float | None = None  # seconds until the process is ended; None: not yet
        while True:
            try:
                event = self._events.get(timeout=patience)
            except queue.Empty:
                self._end()
            if event == "over":
                patience = ENDING_SECONDS
            elif event == "returned":
                if not self.stopped_at_once:
                    return
            else:
                patience = self._signal(event, patience)

    def _signal(self, number: int, patience: float | None) -> float | None:
        with self._lock:
            self._signals += 1
            self._last_signal = number
            for step in self._steps[self._signals - 1 : self._signals]:
                step()
        if self._signals > 2:
            self._end()
        return patience if self._signals == 1 else AT_ONCE_SECONDS

    def _end(self) -> None:
        """End the process at once: a thread or the loop of the author's code does not end."""
        os.write(2, b"swarmkeeper: code of the bot does not end; the process is ended without it\n")
        flushing = threading.Thread(target=_flush, daemon=True)
        flushing.start()
        flushing.join(_FLUSH_SECONDS)
        os._exit(128 + self._last_signal if self._last_signal else 1)


def run_through(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end on a new event loop, whatever other tasks do.

    asyncio raises a `sys.exit()` of any task out of the loop, which would end everything. Here it ends only the task
    that the author's code made; who awaits that task gets the exception. `loop.stop()` does not end the loop, either.
    """
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(main)
        while True:
            try:
                loop.run_until_complete(task)
            except (SystemExit, RuntimeError) as error:
                if task.done() or loop.is_closed():
                    raise
                log.warning("code of the bot would have ended the event loop; it goes on: %r", error)
            else:
                return


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
