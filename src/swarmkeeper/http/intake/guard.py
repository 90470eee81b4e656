"""uvicorn's HTTP protocol with additional bounds: the size of a request head, the time to receive it, and how much of
an unwanted body is read. The bounds on bodies, and on the time to receive them, are in limits.py.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from swarmkeeper.http.intake.answering import GuardedCycle

HEAD_BYTES_MAX = 64 * 1024  # request line and headers; counted per piece received, so slightly more may pass
HEAD_SECONDS_MAX = 15.0  # from the start of the connection, or the first byte of a head, to the end of the head

HEADERS_MAX = 100  # in a head, including trailers; browsers and proxies together send about 30
# Read from a body after its call was answered (mostly refused). The rest stays in the socket, and the connection is
# closed LINGER_SECONDS later, so that the caller can read the answer first.
UNWANTED_BYTES_MAX = 64 * 1024
LINGER_SECONDS = 2.0

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _BadHead(Exception):
    """The head of a request is not acceptable."""


class GuardedProtocol(HttpToolsProtocol):
    """Closes connections whose heads are too long or too slow, before the parser has buffered them.

    Theory. The parser joins the pieces of an unfinished header each time, so an endless header costs quadratic time on
    the shared event loop, and the sender needs no key. Headers come before a body and, if it is chunked, after it. So
    this class counts the bytes received since the parser last reported the end of a head, a piece of a body, or the end
    of a request. It also closes a connection whose next head is never finished: uvicorn's own timer stops at the first
    byte of a head.
    """

    _gathered = 0  # bytes received since the parser last reported something
    _unwanted = 0  # body bytes received after the answer
    _in_body = False
    _hosts = 0  # Host headers of the current head
    _too_many = False
    _host_error = ""  # what to answer if the Host header is wrong
    _timer: asyncio.TimerHandle | None = None
    _idle_from: float | None = None  # the loop's time when the connection became idle; None while it is not
    _idle_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        super().connection_made(transport)
        self._begin_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._gathered > HEAD_BYTES_MAX:
            self._refuse()
            return
        self._gathered += len(data)
        super().data_received(data)
        if self._gathered and not self._in_body and not self.transport.is_closing():
            self._begin_timer()

    # ---- callbacks of the parser -----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._hosts = 0
        self._gathered = self._gathered or 1  # the head began in the same piece that ended the previous request

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        headers = self.headers
        headers.append((name, value))
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        if len(headers) > HEADERS_MAX:
            self._too_many = True
            raise _BadHead

    def on_headers_complete(self) -> None:
        self._gathered = self._unwanted = 0
        self._in_body = True
        self._end_timer()
        version = self.parser.get_http_version()
        # RFC 9112, 3.2: answer 400 if Host is missing or repeated.
        if self._hosts != 1 and (self._hosts or version == "1.1"):
            self._host_error = "The request must have one Host header."
            raise _BadHead
        self._begin_cycle(version)

    def _begin_cycle(self, version: str) -> None:
        """Do what uvicorn does when a head is complete, with `GuardedCycle` as the class of the cycle.

        uvicorn's upgrade to WebSocket and its limit of concurrent requests are left out: this server uses neither.
        """
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version
        self.scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        self.scope["raw_path"] = self.root_path.encode("ascii") + url.path
        self.scope["query_string"] = url.query or b""
        before = self.cycle
        self.cycle = GuardedCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_body(self, body: bytes) -> None:
        self._gathered = 0
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.body += body
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()
            return
        self._unwanted += len(body)
        if self._unwanted > UNWANTED_BYTES_MAX and not self.transport.is_closing():
            self._stop_reading()

    def on_message_complete(self) -> None:
        self._gathered = 0
        self._in_body = False
        self._end_timer()
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Do what uvicorn does after a response; but one timer serves all idle times of a connection."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_from = self.loop.time()
            if self._idle_timer is None:
                self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._end_idle)
        if self._in_body and not self.transport.is_closing():
            self._begin_timer()  # answered before the body was read: limit the wait for the rest of it

    # ---- refusing --------------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        if self._too_many or self._answering:
            self._refuse()
        elif not self.transport.is_closing():
            super().send_400_response(self._host_error or msg)

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        if not self._answering:  # otherwise it would be written into the middle of another response
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

    def _unset_keepalive_if_required(self) -> None:
        self._idle_from = None

    def _end_idle(self) -> None:
        """Close the connection if it was idle for the whole time; otherwise look again when it may have been."""
        now = self.loop.time()
        left = self.timeout_keep_alive - (0.0 if self._idle_from is None else now - self._idle_from)
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._end_idle)
        else:
            self._idle_timer = None
            self.timeout_keep_alive_handler()

    def _too_slow(self) -> None:
        self._timer = None
        if self._answering:
            self._begin_timer()  # wait until the previous response is sent
        elif not self.transport.is_closing():
            self.transport.close()

    @property
    def _answering(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete
