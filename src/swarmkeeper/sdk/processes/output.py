"""Keeps the beginning and end of a program's output, and splits it into lines."""

from __future__ import annotations

import re
from collections.abc import Callable

LINE_BYTES_MAX = 8_000  # the orchestrator takes no longer log lines
# Terminal sequences (ECMA-48: CSI, OSC, other escapes) and control characters except the tab.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class HeadAndTail:
    """Keeps the beginning and the end of a stream, together up to `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._head, self._tail = bytearray(), bytearray()
        self._count = 0

    def add(self, data: bytes) -> None:
        self._count += len(data)
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    @property
    def truncated(self) -> bool:
        return self._count > 2 * self._half

    def text(self) -> str:
        tail = self._tail[-self._half :]
        left_out = self._count - len(self._head) - len(tail)
        notice = f"\n[{left_out} bytes left out]\n".encode() if left_out else b""
        return (bytes(self._head) + notice + bytes(tail)).decode(errors="replace")


class LineSplitter:
    """Splits a stream into lines of plain text. A carriage return also ends a line, because progress bars use it."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._incomplete = bytearray()

    def add(self, data: bytes) -> None:
        *whole, incomplete = (bytes(self._incomplete) + data).replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            self._emit(line)
        while len(incomplete) > LINE_BYTES_MAX:
            self._emit(incomplete[:LINE_BYTES_MAX])
            incomplete = incomplete[LINE_BYTES_MAX:]
        self._incomplete = bytearray(incomplete)

    def end(self) -> None:
        self._emit(bytes(self._incomplete))
        self._incomplete.clear()

    def _emit(self, line: bytes) -> None:
        text = _CONTROL.sub("", line.decode(errors="replace")).rstrip()
        if text:
            self._on_line(text)
