"""HTTP/1.1 over kept connections, as much of it as calls to the orchestrator need (RFC 9112): plain TCP, one answer at
a time on each connection. TLS, proxies and streams are a library's business; see transport.py.

It is here because a library's layers cost a bot more than all the rest of the SDK: a bot that does little between two
calls spends half of its time in them.

Theory. An answer's end is told by its Content-Length, by its last chunk, or by the end of the connection, in the order
in which RFC 9112 (6.3) has them. What cannot be read in one way only ends the connection. So does a caller who stops
waiting: what would still come must not be taken for the answer to the next call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

HEAD_BYTES_MAX = 64 * 1024
_HEAD_END = b"\r\n\r\n"
_WITHOUT_BODY = (204, 304)

Parsed = tuple[int, dict[str, str], bytes]  # status, headers with names in lower case, body


class NotHttp(Exception):
    """What came is no answer of HTTP/1.1."""


class HungUp(Exception):
    """The other side closed the connection before its answer was whole. `unheard`: before the first byte of it."""

    def __init__(self, *, unheard: bool) -> None:
        super().__init__()
        self.unheard = unheard


class Silence(Exception):
    """Nothing came, and nothing went, for as long as was allowed."""


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Parsed] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._silence = 0.0
        self._unsent = 0
        self._got = bytearray()
        self._head: tuple[int, dict[str, str]] | None = None
        self._left: int | None = None  # bytes of the body to come; None: until it is told
        self._chunked = False
        self._body = bytearray()
        self._no_body = False
        self._reusable = False

    @property
    def open(self) -> bool:
        """Whether it can be used here. The loop that it was opened on may have ended, or be another process's."""
        here = self._loop is asyncio.get_running_loop()
        return here and self._transport is not None and not self._transport.is_closing()

    @property
    def all_sent(self) -> bool:
        """Whether the server has taken the whole request; one that refuses a long body leaves the rest unread."""
        return self._transport is not None and self._transport.get_write_buffer_size() == 0

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, request: bytes, *, silence: float, no_body: bool) -> Parsed:
        """Send a request and read its answer. Ends the connection unless it can serve another.

        Raises:
            NotHttp, HungUp, Silence, OSError.
        """
        assert self._transport is not None, "it is open"
        assert self._waiting is None, "one call at a time"
        waiting: asyncio.Future[Parsed] = self._loop.create_future()
        self._waiting = waiting
        self._head, self._left, self._chunked, self._no_body = None, None, False, no_body
        self._body = bytearray()
        self._silence = silence
        try:
            self._transport.write(request)
            self._unsent = self._transport.get_write_buffer_size()
            self._timer = self._loop.call_later(silence, self._silent)
            found = await waiting
        except BaseException:
            self.close()
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._waiting = self._timer = None
        if not self._reusable or self._got:
            self.close()
        return found

    # ---- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is none by descent

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._waiting is None or self._waiting.done():
            return
        if self._head is not None and self._left is None and not self._chunked and exc is None:
            self._done()  # its end is the connection's
        else:
            self._fail(HungUp(unheard=self._head is None and not self._got))

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._waiting is None or self._waiting.done():
            self.close()  # nobody asked
            return
        try:
            self._read()
        except NotHttp as error:
            self._fail(error)
        except ValueError:
            self._fail(NotHttp("a number that is none"))
        if self._timer is not None and not self._waiting.done():
            self._timer.cancel()
            self._timer = self._loop.call_later(self._silence, self._silent)

    # ---- reading ---------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        while self._head is None:
            end = self._got.find(_HEAD_END)
            if end < 0:
                if len(self._got) > HEAD_BYTES_MAX:
                    raise NotHttp("a head without end")
                return
            head = bytes(self._got[:end])
            del self._got[: end + len(_HEAD_END)]
            self._begin(head)
        if self._chunked:
            self._read_chunks()
        elif self._left is None:
            self._body += self._got
            self._got.clear()
        elif len(self._got) >= self._left:
            self._body += self._got[: self._left]
            del self._got[: self._left]
            self._done()

    def _begin(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdecimal():
            raise NotHttp("no status line")
        status = int(rest[:3])
        if 100 <= status < 200:
            return  # the answer itself follows
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise NotHttp("a line that is no header")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self._head = status, headers
        connection = headers.get("connection", "").lower()
        self._reusable = version == "HTTP/1.1" and "close" not in connection
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if self._no_body or status in _WITHOUT_BODY:
            self._left = 0
        elif coding is not None:
            if coding.lower() != "chunked":
                raise NotHttp("a transfer coding that was not asked for")
            self._chunked = True
        elif length is not None:
            if not (length.isascii() and length.isdecimal()):
                raise NotHttp("a length that is none")
            self._left = int(length)
        else:
            self._reusable = False

    def _read_chunks(self) -> None:
        while True:
            if self._left is None:
                end = self._got.find(b"\r\n")
                if end < 0:
                    if len(self._got) > HEAD_BYTES_MAX:
                        raise NotHttp("a chunk without end")
                    return
                size = bytes(self._got[:end]).partition(b";")[0].strip()
                if not size or size.strip(b"0123456789abcdefABCDEF"):
                    raise NotHttp("a chunk without a size")
                self._left = int(size, 16)
                del self._got[: end + 2]
            if self._left == 0:
                # What may stand between the last chunk and the empty line are further headers, which nobody reads.
                if self._got.startswith(b"\r\n"):
                    del self._got[:2]
                elif (end := self._got.find(_HEAD_END)) >= 0:
                    del self._got[: end + len(_HEAD_END)]
                elif len(self._got) > HEAD_BYTES_MAX:
                    raise NotHttp("a trailer without end")
                else:
                    return
                self._done()
                return
            if len(self._got) < self._left + 2:
                return
            self._body += self._got[: self._left]
            if self._got[self._left : self._left + 2] != b"\r\n":
                raise NotHttp("a chunk that does not end")
            del self._got[: self._left + 2]
            self._left = None

    # ---- the end ---------------------------------------------------------------------------------------------------

    def _done(self) -> None:
        assert self._waiting is not None, "somebody waits"
        assert self._head is not None, "the head comes before the end"
        self._waiting.set_result((*self._head, bytes(self._body)))

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)

    def _silent(self) -> None:
        unsent = 0 if self._transport is None else self._transport.get_write_buffer_size()
        if unsent < self._unsent:  # a long body is still on its way
            self._unsent = unsent
            self._timer = self._loop.call_later(self._silence, self._silent)
        else:
            self._fail(Silence())


class Host:
    """One server, with the connections to it that are not in use."""

    def __init__(self, host: str, port: int, authority: str, *, idle_max: int) -> None:
        self._host, self._port, self._authority, self._idle_max = host, port, authority, idle_max
        self._idle: list[Connection] = []

    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        timeout: float,
        connect_timeout: float,
    ) -> Parsed:
        """`timeout` bounds each silence.

        Raises:
            NotHttp, HungUp, Silence, OSError: no whole answer came.
        """
        request = _written(method, target, self._authority, headers, body)
        no_body = method == "HEAD"
        while self._idle:
            connection = self._idle.pop()
            if not connection.open:
                continue
            try:
                return await self._exchange(connection, request, timeout, no_body=no_body)
            except HungUp as error:
                if not error.unheard:
                    raise
                break  # it was closed while it was idle, and we heard of it too late: that says nothing of the server
        try:
            async with asyncio.timeout(connect_timeout):
                _, connection = await asyncio.get_running_loop().create_connection(Connection, self._host, self._port)
        except TimeoutError:
            raise Silence from None
        return await self._exchange(connection, request, timeout, no_body=no_body)

    async def _exchange(self, connection: Connection, request: bytes, silence: float, *, no_body: bool) -> Parsed:
        found = await connection.exchange(request, silence=silence, no_body=no_body)
        if connection.open and connection.all_sent and len(self._idle) < self._idle_max:
            self._idle.append(connection)
        else:
            connection.close()
        return found

    def close(self) -> None:
        for connection in self._idle:
            if connection.open:
                connection.close()
        self._idle.clear()


def _written(method: str, target: str, authority: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"host: {authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None or method in ("POST", "PUT", "PATCH"):
        lines.append(f"content-length: {len(body or b'')}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
        raise ValueError("a header or path holds a line break")
    return head.encode("latin-1") + _HEAD_END + (body or b"")
