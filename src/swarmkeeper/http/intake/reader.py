"""Reads long bodies in a separate process, so that they do not block the event loop. The first long body starts it.

Why a process. Reading a malicious body of 16 MiB takes seconds (five million empty lists: 4.6 s). Most of that is one
call of a C library that holds the GIL: measured with a thread, another caller's claim waits just as long. A process
costs 35 MB and, for a body of 10 kB, half a millisecond.
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

from swarmkeeper.access.request_turns import Lane
from swarmkeeper.core.errors import Overloaded, SwarmkeeperError
from swarmkeeper.core.ports import LogWriter
from swarmkeeper.http.intake.content import (
    PEEKED,
    ParsedBody,
    ReceivedBody,
    RefusedResults,
    ReportHead,
    parse_body,
    peek,
    with_names,
)
from swarmkeeper.http.intake.helper import Gone, receive, send
from swarmkeeper.wire.problems import Safe

# A body up to this size is read on the event loop: the worst one takes a few milliseconds.
SHORT_BYTES = 4 << 10
# A report up to this size is read without checking its lease first: reading is faster than the check.
UNCHECKED_BYTES = 1 << 10
# Bodies up to this size have their own process, so that they do not wait for longer ones.
MIDDLE_BYTES = 64 << 10
COST_BYTES = 64 << 10  # reading this many bytes takes about as long as the fixed cost of a long body
# Longer than the worst body takes, so a helper that needs more hangs.
PATIENCE_SECONDS = 60.0
END_SECONDS = 5.0

# Returns the results of a report that need not be read; raises if the whole report is refused.
Admit = Callable[[ReportHead], Awaitable[RefusedResults]]


class BodyReader(Protocol):
    async def read(self, received: ReceivedBody, safe: Safe, admit: Admit) -> ParsedBody:
        """Parse and translate a body. For a report, call `admit` before reading its content.

        Raises:
            SwarmkeeperError: the body is not valid, or `admit` refused it.
        """

    def close(self) -> None: ...


async def read_inline(received: ReceivedBody, safe: Safe, admit: Admit | None) -> ParsedBody:
    """Read a short body on the event loop; see `BodyReader.read`."""
    refused: RefusedResults = {}
    if admit is not None and received.translator in PEEKED and (head := peek(received)) is not None:
        refused = await admit(head)
    return parse_body(received, safe, refused)


class Readers:
    """Two readers for long bodies, by size. Each reads one body at a time; tenants and keys take fair turns."""

    def __init__(self, middle: BodyReader, longest: BodyReader, weights: Mapping[str, int]) -> None:
        self._lanes = ((middle, Lane(weights)), (longest, Lane(weights)))

    async def read(self, received: ReceivedBody, safe: Safe, admit: Admit) -> ParsedBody:
        """Read the body in the caller's turn; see `BodyReader.read`."""
        reader, lane = self._lanes[len(received.raw) > MIDDLE_BYTES]
        async with lane.turn(received.by, 1 + len(received.raw) // COST_BYTES):
            return await reader.read(received, safe, admit)

    def close(self) -> None:
        for reader, _ in self._lanes:
            reader.close()


class InlineReader:
    """Reads in the same process: for simulations."""

    async def read(self, received: ReceivedBody, safe: Safe, admit: Admit) -> ParsedBody:
        return await read_inline(received, safe, admit)

    def close(self) -> None:
        pass


class ProcessReader:
    """Reads in a helper process, one body at a time. If the process ends, the next body starts a new one."""

    def __init__(self, log: LogWriter, *, command: tuple[str, ...] | None = None) -> None:
        self._log = log
        self._command = command or (sys.executable, "-P", "-m", "swarmkeeper.http.intake.helper")
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._thread = ThreadPoolExecutor(1, "swarmkeeper-reader")

    async def read(self, received: ReceivedBody, safe: Safe, admit: Admit) -> ParsedBody:
        loop = asyncio.get_running_loop()
        hung = loop.call_later(PATIENCE_SECONDS, self._kill)
        whole = False
        try:
            head = await loop.run_in_executor(self._thread, self._begin, received)
            refused: RefusedResults = {}
            if head is not None:
                try:
                    refused = await admit(head)
                except SwarmkeeperError:
                    await loop.run_in_executor(self._thread, self._send_refusals, None)
                    whole = True
                    raise
            value, names = await loop.run_in_executor(
                self._thread, self._end, refused if received.translator in PEEKED else None
            )
            whole = True
        except (OSError, Gone, pickle.UnpicklingError, EOFError) as error:
            self._log("reader_ended", error=repr(error))
            raise Overloaded("the request could not be read now; nothing was done", retry_after=1) from error
        finally:
            hung.cancel()
            if not whole:
                self._kill()  # the exchange is incomplete: its next frame would not answer the next body
        value = with_names(value, names, safe)
        if isinstance(value, SwarmkeeperError):
            raise value
        assert isinstance(value, ParsedBody), "a helper returns a translated body or an error"
        return replace(value, value=with_names(value.value, names, safe))

    def close(self) -> None:
        """End the process without waiting for a body that is being read."""
        process, self._process = self._process, None
        self._thread.shutdown(wait=False, cancel_futures=True)
        if process is not None:
            process.kill()  # it has no state to save
            process.wait(END_SECONDS)
            _shut(process)

    def _kill(self) -> None:
        self._killed = True
        if self._process is not None:
            self._process.kill()

    # ---- run on the thread, because pipe operations block ------------------------------------------------------------

    def _running(self) -> subprocess.Popen[bytes]:
        """Return the process; start one if none is running."""
        process = self._process
        if process is not None and self._killed:
            process.wait()
        if process is not None and process.poll() is not None:
            _shut(process)
            process = None
        if process is None:
            # In a new session, so that it does not get signals that are sent to the server's process group.
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

    def _begin(self, received: ReceivedBody) -> ReportHead | None:
        self._running()
        to, back = self._pipes()
        send(to, pickle.dumps(replace(received, raw=b""), pickle.HIGHEST_PROTOCOL))
        send(to, received.raw)
        return cast(ReportHead | None, pickle.loads(receive(back))) if received.translator in PEEKED else None  # noqa: S301  # from our own process

    def _send_refusals(self, refused: Mapping[int, SwarmkeeperError] | None) -> None:
        send(self._pipes()[0], pickle.dumps(refused))

    def _end(self, refused: RefusedResults | None) -> tuple[Any, list[str]]:
        if refused is not None:
            self._send_refusals(refused)
        return cast(tuple[Any, list[str]], pickle.loads(receive(self._pipes()[1])))  # noqa: S301  # from our own process


def _shut(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # closing flushes buffered bytes into a broken pipe
                pipe.close()
