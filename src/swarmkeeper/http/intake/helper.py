"""The process that reads long bodies, one after another: `python -m swarmkeeper.http.intake.helper`.

It reads requests from standard input and writes answers to standard output, as frames: eight bytes of length, then a
pickle. Pickle is safe here, because both ends are the same program. If the parent is killed, the input ends and this
process exits.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO

LENGTH = struct.Struct("!Q")
NICENESS = 10  # the server process has priority


class Gone(Exception):
    """The other end has closed the pipe."""


def receive(source: BinaryIO) -> bytes:
    """Read one frame.

    Raises:
        Gone: the pipe is closed.
    """
    (length,) = LENGTH.unpack(_exactly(source, LENGTH.size))
    return _exactly(source, length)


def _exactly(source: BinaryIO, length: int) -> bytes:
    found = source.read(length)
    if found is None or len(found) < length:
        raise Gone
    return found


def send(sink: BinaryIO, frame: bytes) -> None:
    sink.write(LENGTH.pack(len(frame)))
    sink.write(frame)
    sink.flush()


def handle_body(source: BinaryIO, sink: BinaryIO) -> None:
    """Read and translate one body.

    Frames: receive the `ReceivedBody` without its bytes, then the bytes. For a report, send its `ReportHead`, then
    receive the refused results, or None if nothing needs to be read. Then send the parsed body or its error, and the
    names for `with_names`.
    """
    from swarmkeeper.core.errors import SwarmkeeperError
    from swarmkeeper.http.intake import content

    received: content.ReceivedBody = pickle.loads(receive(source))  # noqa: S301  # from our own process
    received = replace(received, raw=receive(source))
    refused: Any = {}
    if received.translator in content.PEEKED:
        send(sink, pickle.dumps(content.peek(received)))
        refused = pickle.loads(receive(source))  # noqa: S301  # from our own process
    if refused is None:
        return  # everything was refused
    names = content.Names()
    value: Any
    try:
        value = content.parse_body(received, names, refused)
    except SwarmkeeperError as error:
        value = error
    send(sink, pickle.dumps((value, names.names), pickle.HIGHEST_PROTOCOL))


def _ignore(*numbers: int) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def main(nice: Callable[[int], int] = os.nice) -> None:
    _ignore(signal.SIGINT, signal.SIGTERM)  # the parent handles these, and needs this process while it shuts down
    nice(NICENESS)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a library's output must not mix with the frames
    try:
        while True:
            handle_body(source, sink)
    except (Gone, BrokenPipeError):
        os._exit(0)  # the parent is gone


if __name__ == "__main__":
    main()
