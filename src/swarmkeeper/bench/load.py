"""A lean HTTP client: one persistent connection, one call at a time.

It does not use the SDK, which would take processor time from the measured server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from swarmkeeper.bench.report import CannotMeasure
from swarmkeeper.clock import SystemClock

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


class HttpConnection(asyncio.Protocol):
    """An HTTP/1.1 connection. The server must send a Content-Length, as ours does."""

    def __init__(self, key: str) -> None:
        self.key = key  # sent with each call
        self._loop = asyncio.get_running_loop()
        self._clock = SystemClock()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._received = bytearray()
        self.calls = 0
        self.answered_at = 0  # microseconds of the clock: when the last answer was complete

    @classmethod
    async def open(cls, url: str, key: str) -> HttpConnection:
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: cls(key), parts.hostname or "", parts.port or 80)
        return connection

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def raw(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, bytes]:
        """Make one call; return its status and body."""
        assert self._answer is None, "one call at a time"
        if self._transport is None:
            raise CannotMeasure("the server hung up")
        answer: asyncio.Future[tuple[int, bytes]] = self._loop.create_future()
        self._answer = answer
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: bench\r\nx-api-key: {self.key}\r\n{more}"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)
        self.calls += 1
        try:
            return await answer
        finally:
            self._answer = None

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Make one call with JSON; return the answer.

        Raises:
            CannotMeasure: the call was refused.
        """
        status, content = await self.raw(method, path, b"" if body is None else _encode(body))
        answer = _decode(content) if content else None
        if status >= 300:
            code = answer.get("code") if isinstance(answer, dict) else None
            raise CannotMeasure(f"{method} {path.partition('?')[0]} was answered {status} {code}")
        return answer

    async def post(self, path: str, body: Any) -> Any:
        return await self.call("POST", path, body)

    # ---- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport is not a subclass

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(CannotMeasure("the server hung up"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(_HEAD_END)
        if head_end < 0:
            return
        begin = self._received.find(_LENGTH, 0, head_end)
        assert begin > 0, "the answer has a Content-Length"
        end = self._received.find(b"\r\n", begin)
        length = int(self._received[begin + len(_LENGTH) : end])
        body_begin = head_end + len(_HEAD_END)
        if len(self._received) < body_begin + length:
            return
        status, body = int(self._received[9:12]), bytes(self._received[body_begin : body_begin + length])
        del self._received[: body_begin + length]
        self.answered_at = self._clock.monotonic()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, body))


def size_of(body: Any) -> int:
    """Return the size of a value as JSON, in bytes."""
    return len(_encode(body))
