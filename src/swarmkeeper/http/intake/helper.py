"""The process in which long bodies are read: `python -m swarmkeeper.http.intake.helper`, one body after another.

It is told on its standard input and answers on its standard output, in frames of eight bytes of length and a pickle:
both ends are the same program. Its parent may be killed at any moment; then the input ends, and so does this.
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
NICENESS = 10  # whoever answers everybody comes first


class Gone(Exception):
    """The other end has closed."""


def receive(source: BinaryIO) -> bytes:
    """
    Raises:
        Gone: there is nothing more.
    """
    (length,) = LENGTH.unpack(_exactly(source, LENGTH.size))
    return _exactly(source, length)


def _exactly(source: BinaryIO, length: int) -> bytes:
    found = source.read(length)
    if found is None or len(found) < length:
        raise Gone
    return found


def tell(sink: BinaryIO, frame: bytes) -> None:
    sink.write(LENGTH.pack(len(frame)))
    sink.write(frame)
    sink.flush()


def converse(source: BinaryIO, sink: BinaryIO) -> None:
    """One body: what it is about comes first, then the body; then whose report it is goes back, where it is one, and
    what of it need not be read comes; then what it means goes back."""
    from swarmkeeper.core.errors import SwarmkeeperError
    from swarmkeeper.http.intake import content

    sent: content.Sent = pickle.loads(receive(source))  # noqa: S301  # of a process of our own
    sent = replace(sent, raw=receive(source))
    refused: Any = {}
    if sent.meaning in content.PEEKED:
        tell(sink, pickle.dumps(content.peek(sent)))
        refused = pickle.loads(receive(source))  # noqa: S301  # of a process of our own
    if refused is None:
        return  # nothing of it need be read
    names = content.Names()
    value: Any
    try:
        value = content.understand(sent, names, refused)
    except SwarmkeeperError as error:
        value = error
    tell(sink, pickle.dumps((value, names.names), pickle.HIGHEST_PROTOCOL))


def _ignore(*numbers: int) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def main(nice: Callable[[int], int] = os.nice) -> None:
    _ignore(signal.SIGINT, signal.SIGTERM)  # meant for the parent, which still needs this one while it ends
    nice(NICENESS)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever a library prints must not stand between frames
    try:
        while True:
            converse(source, sink)
    except (Gone, BrokenPipeError):
        os._exit(0)  # nobody is there to be told anything


if __name__ == "__main__":
    main()
