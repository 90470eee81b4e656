"""uvicorn's handling of one request and its response, with less work for responses of known length.

uvicorn writes the head of a response and its body separately, and matches each header against two patterns.
"""

from __future__ import annotations

import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

# The names of headers that this server sends in responses of known length. They are valid and in lower case, so only
# the values are checked. A response with another name, such as `connection`, is left to uvicorn.
_NAMES = frozenset(
    (
        *(b"date", b"content-type", b"content-length", b"cache-control", b"x-content-type-options", b"x-request-id"),
        *(b"traceparent", b"api-version", b"etag", b"location", b"idempotency-replayed", b"ratelimit"),
        *(b"ratelimit-policy", b"retry-after", b"www-authenticate", b"allow", b"link"),
    )
)
# Characters that may not be in a value (RFC 9110, 5.5). CR and LF also end the lines of a head: they are counted.
_NOT_IN_A_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

Message = Any  # uvicorn's types of messages are not public


class GuardedCycle(RequestResponseCycle):
    """One request and its response. A head with a known length is written together with the first piece of its body.

    ASGI permits this: a server need not send the head before the first piece of the body.
    """

    _head = b""  # of a response that has begun, not written yet

    async def send(self, message: Message) -> None:
        if self._head and message["type"] == "http.response.body":
            if self.flow.write_paused and not self.disconnected:
                await self.flow.drain()
            if not self.disconnected:
                self._write(message.get("body", b""), more=message.get("more_body", False))
        elif self.response_started or not self._begin(message):
            await super().send(message)

    def _begin(self, message: Message) -> bool:
        """Keep the head of the response until its body comes; return False if uvicorn must write it."""
        if (
            message["type"] != "http.response.start"
            or self.disconnected
            or self.access_log
            or self.flow.write_paused
            or self.scope["method"] == "HEAD"
        ):
            return False
        length = None
        headers = [*self.default_headers, *message["headers"]]
        lines = [STATUS_LINE[message["status"]]]
        for name, value in headers:
            if name not in _NAMES:
                return False
            if name == b"content-length":
                length = int(value)
            lines += name, b": ", value, b"\r\n"
        if length is None:
            return False
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        ends = len(headers) + 2 + (not self.keep_alive)
        if _NOT_IN_A_HEAD.search(head) or not head.count(b"\r") == head.count(b"\n") == ends:
            return False
        self.response_started = True
        self.waiting_for_100_continue = False
        self.chunked_encoding = False
        self.expected_content_length = length
        self._head = head
        return True

    def _write(self, body: bytes, *, more: bool) -> None:
        """Write the head and the first piece of the body."""
        if len(body) > self.expected_content_length:
            raise RuntimeError("the body is longer than its Content-Length")
        if not more and len(body) < self.expected_content_length:
            raise RuntimeError("the body is shorter than its Content-Length")
        head, self._head = self._head, b""
        self.transport.write(head + body)
        self.expected_content_length -= len(body)
        if more:
            return
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
