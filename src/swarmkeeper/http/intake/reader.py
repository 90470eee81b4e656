"""Reads long bodies where they hold up nobody: in a process of its own, started when the first one comes.

Why a process. Reading 16 MiB takes seconds where they are chosen for that (five million empty lists: 4.6 s), and most
of it is one call of a C library, which no other thread can interrupt: measured with a thread, a neighbour's claim waits
as long as that. A process costs 35 MB and, for a body of 10 kB, half a millisecond.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, BinaryIO, Protocol, cast

from swarmkeeper.core.errors import Overloaded, SwarmkeeperError
from swarmkeeper.engine.loop import Log
from swarmkeeper.engine.request_turns import Lane
from swarmkeeper.http.intake.content import PEEKED, Asked, Refusals, Sent, Understood, peek, shown, understand
from swarmkeeper.http.intake.helper import Gone, receive, tell
from swarmkeeper.wire.problems import Safe

# A body up to this is read on the spot: it takes at most some milliseconds, however it is made.
SHORT_BYTES = 4 << 10
# A report up to this is read before its lease is asked for: that takes less time than to ask.
UNASKED_BYTES = 1 << 10
# Up to this a body is no concern of the longest ones: it has a process of its own, and waits for none of those.
MIDDLE_BYTES = 64 << 10
COST_BYTES = 64 << 10  # take about as long as the rest of reading a long body
# More than the worst body takes; whatever needs longer hangs.
PATIENCE_SECONDS = 60.0
END_SECONDS = 5.0

# What of a report need not be read; it raises where nothing need be.
Admit = Callable[[Asked], Awaitable[Refusals]]


class Reader(Protocol):
    async def read(self, sent: Sent, safe: Safe, admit: Admit) -> Understood:
        """What a body means. Of a report, `admit` is asked before its content is looked at.

        Raises:
            SwarmkeeperError: it cannot be taken, or `admit` refused it.
        """

    def close(self) -> None: ...


async def read_here(sent: Sent, safe: Safe, admit: Admit | None) -> Understood:
    """The same on the spot, for what is short."""
    refused: Refusals = {}
    if admit is not None and sent.meaning in PEEKED and (asked := peek(sent)) is not None:
        refused = await admit(asked)
    return understand(sent, safe, refused)


class Readers:
    """Those who read long bodies: each one at a time, whose turn it is going by tenants and keys."""

    def __init__(self, middle: Reader, longest: Reader, weights: Mapping[str, int]) -> None:
        self._lanes = ((middle, Lane(weights)), (longest, Lane(weights)))

    async def read(self, sent: Sent, safe: Safe, admit: Admit) -> Understood:
        """As `Reader` does."""
        reader, lane = self._lanes[len(sent.raw) > MIDDLE_BYTES]
        async with lane.turn(sent.by, 1 + len(sent.raw) // COST_BYTES):
            return await reader.read(sent, safe, admit)

    def close(self) -> None:
        for reader, _ in self._lanes:
            reader.close()


class Here:
    """Reads in the caller's own turn: for simulations, which have no other process."""

    async def read(self, sent: Sent, safe: Safe, admit: Admit) -> Understood:
        return await read_here(sent, safe, admit)

    def close(self) -> None:
        pass


class Helper:
    """One other process, for one body at a time. If it ends, the next body starts it again."""

    def __init__(self, log: Log, *, command: tuple[str, ...] | None = None) -> None:
        self._log = log
        self._command = command or (sys.executable, "-P", "-m", "swarmkeeper.http.intake.helper")
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._thread = ThreadPoolExecutor(1, "swarmkeeper-reader")

    async def read(self, sent: Sent, safe: Safe, admit: Admit) -> Understood:
        loop = asyncio.get_running_loop()
        hung = loop.call_later(PATIENCE_SECONDS, self._kill)
        whole = False
        try:
            asked = await loop.run_in_executor(self._thread, self._begin, sent)
            refused: Refusals = {}
            if asked is not None:
                try:
                    refused = await admit(asked)
                except SwarmkeeperError:
                    await loop.run_in_executor(self._thread, self._say, None)
                    whole = True
                    raise
            value, names = await loop.run_in_executor(
                self._thread, self._end, refused if sent.meaning in PEEKED else None
            )
            whole = True
        except (OSError, Gone, pickle.UnpicklingError, EOFError) as error:
            self._log("reader_ended", error=repr(error))
            raise Overloaded("the request could not be read now; nothing was done", retry_after=1) from error
        finally:
            hung.cancel()
            if not whole:
                self._kill()  # in the middle of a conversation: what it would say next is no answer to what comes next
        value = shown(value, names, safe)
        if isinstance(value, SwarmkeeperError):
            raise value
        assert isinstance(value, Understood), "a helper tells what a body means, or why it means nothing"
        return replace(value, value=shown(value.value, names, safe))

    def close(self) -> None:
        """End it. A body that is being read is not waited for."""
        process, self._process = self._process, None
        self._thread.shutdown(wait=False, cancel_futures=True)
        if process is not None:
            process.kill()  # it has nothing to lose
            process.wait(END_SECONDS)
            _shut(process)

    def _kill(self) -> None:
        self._killed = True
        if self._process is not None:
            self._process.kill()

    # ---- on the thread, which waits for the pipes --------------------------------------------------------------------

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, started where there is none that lives."""
        process = self._process
        if process is not None and self._killed:
            process.wait()
        if process is not None and process.poll() is not None:
            _shut(process)
            process = None
        if process is None:
            # A session of its own: what a terminal or a supervisor tells the server's group is not for this one.
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
            self._process, self._killed = process, False
        return process

    def _pipes(self) -> tuple[BinaryIO, BinaryIO]:
        process = self._process
        if process is None:
            raise Gone
        return cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)

    def _begin(self, sent: Sent) -> Asked | None:
        self._running()
        to, back = self._pipes()
        tell(to, pickle.dumps(replace(sent, raw=b""), pickle.HIGHEST_PROTOCOL))
        tell(to, sent.raw)
        return cast(Asked | None, pickle.loads(receive(back))) if sent.meaning in PEEKED else None  # noqa: S301  # of a process of our own

    def _say(self, refused: Mapping[int, SwarmkeeperError] | None) -> None:
        tell(self._pipes()[0], pickle.dumps(refused))

    def _end(self, refused: Refusals | None) -> tuple[Any, list[str]]:
        if refused is not None:
            self._say(refused)
        return cast(tuple[Any, list[str]], pickle.loads(receive(self._pipes()[1])))  # noqa: S301  # of a process of our own


def _shut(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was left to be written goes nowhere
                pipe.close()
