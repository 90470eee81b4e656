"""The protocol that reads requests off a socket, with bounds that uvicorn's own lacks: how much may come that is no
body, how long a head may take, and how much of a body is read that nobody wants. How long bodies may be, and how long a
call waits for one, is in limits.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 64 * 1024  # of a request line and headers; somewhat more passes, as it is counted by the piece
HEAD_SECONDS_MAX = 15.0  # from a connection's begin, or a head's first byte, to the head's end

HEADERS_MAX = 100  # in a head, with those after a body; browsers and proxies together send some 30
# Of a body whose call has been answered already: refused, mostly. The rest is left in the socket, and the connection is
# closed a little later, so that the caller can read the answer first.
UNWANTED_BYTES_MAX = 64 * 1024
LINGER_SECONDS = 2.0

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _BadHead(Exception):
    """The head of a request cannot be taken as it is."""


class GuardedProtocol(HttpToolsProtocol):
    """Hangs up on what is too long or too slow before the parser has gathered it.

    Theory. The parser joins the pieces of an unfinished header again and again, so a header without end costs quadratic
    time on the loop that serves everybody, and needs no key. Headers come before a body and, where it is chunked, after
    it; so counted is whatever came since the parser last told the end of a head, a piece of a body, or the end of a
    request. Nobody but us ends a connection whose next head is never finished: uvicorn's own timer stops at its first
    byte.
    """

    _gathered = 0  # bytes that the parser has taken in and told nothing of
    _unwanted = 0  # bytes of the body that came after its answer
    _in_body = False
    _too_many = False
    _missing = ""  # what is wrong with the head, for whoever sent it
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        super().connection_made(transport)
        self._begin_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._gathered > HEAD_BYTES_MAX:
            self._refuse()
            return
        self._gathered += len(data)
        super().data_received(data)
        if self._gathered and not self._in_body and not self.transport.is_closing():
            self._begin_timer()

    # ---- what the parser tells -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._gathered = self._gathered or 1  # a head has begun in the piece that ended the request before it

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > HEADERS_MAX:
            self._too_many = True
            raise _BadHead

    def on_headers_complete(self) -> None:
        self._gathered = self._unwanted = 0
        self._in_body = True
        self._end_timer()
        hosts = sum(name == b"host" for name, _ in self.headers)
        # RFC 9112, 3.2: a request without one, or with several, is answered 400.
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._missing = "The request must have one Host header."
            raise _BadHead
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._gathered = 0
        super().on_body(body)
        if self.cycle.response_complete:
            self._unwanted += len(body)
            if self._unwanted > UNWANTED_BYTES_MAX and not self.transport.is_closing():
                self._stop_reading()

    def on_message_complete(self) -> None:
        self._gathered = 0
        self._in_body = False
        self._end_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body and not self.transport.is_closing():
            self._begin_timer()  # it was answered unread: the rest of its body is not awaited for ever

    # ---- refusing --------------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        if self._too_many or self._answering:
            self._refuse()
        elif not self.transport.is_closing():
            super().send_400_response(self._missing or msg)

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        if not self._answering:  # else it would stand in the middle of an answer
            self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _stop_reading(self) -> None:
        self.flow.pause_reading()
        self._end_timer()
        self._timer = self.loop.call_later(LINGER_SECONDS, self._too_slow)

    # ---- time ------------------------------------------------------------------------------------------------------

    def _begin_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS_MAX, self._too_slow)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._answering:
            self._begin_timer()  # the answer before it goes first
        elif not self.transport.is_closing():
            self.transport.close()

    @property
    def _answering(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete
