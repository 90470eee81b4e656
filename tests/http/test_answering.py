"""Responses written by `GuardedCycle` are byte for byte those of uvicorn's own class."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from swarmkeeper.http.intake import guard
from swarmkeeper.http.intake.answering import GuardedCycle

Headers = list[tuple[bytes, bytes]]


@dataclass
class Connection(asyncio.Transport):
    """Records what is written."""

    written: list[bytes] = field(default_factory=list)
    closed: bool = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


GET = b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
OLD = GET.replace(b"HTTP/1.1", b"HTTP/1.0")
CLOSE = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nExpect: 100-continue\r\n\r\nabc"
CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
UPGRADE = GET.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
HTTP2 = GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n")
REQUESTS = [
    *(
        GET,
        HEAD,
        OLD,
        CLOSE,
        POST,
        CHUNKED,
        UPGRADE,
        HTTP2,
        GET + GET,
        GET + HEAD + POST,
        CLOSE + GET,
        b"nonsense\r\n\r\n",
    ),
    *(GET.replace(b"Host", b"Guest"), GET.replace(b"Host: x", b"Host: x\r\nhost: y"), GET[:-2], GET + b"GET"),
]


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


def length(number: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % number


KIND = (b"content-type", b"application/json")
RESPONSES: list[list[Message]] = [
    [start(200, KIND, length(2)), body(b"{}")],
    [start(201, KIND, length(2), (b"etag", b'"1"'), (b"location", b"/x")), body(b"{}")],
    [start(200, KIND, length(4), (b"Etag", b'"1"')), body(b"ab", more=True), body(b"cd")],
    [start(200, length(4)), body(b"", more=True), body(b"abcd", more=True), body()],
    [start(200, length(0)), body()],
    [start(200, length(0)), {"type": "http.response.body"}],
    [start(200, KIND), body(b"ab", more=True), body(b"cd", more=True), body()],
    [start(304, (b"etag", b'"1"')), body()],
    [start(204), body()],
    [start(200, length(2), (b"connection", b"close")), body(b"ok")],
    [start(200, length(2), (b"x-unknown", b"1")), body(b"ok")],
    [start(200, (b"transfer-encoding", b"chunked")), body(b"ok")],
    [start(200, length(2), (b"location", "/ü".encode("latin-1"))), body(b"ok")],
    [start(200, length(2), (b"location", b"/\tx")), body(b"ok")],
    *(
        [start(200, length(2), (b"location", bad)), body(b"ok")]
        for bad in (b"a\r\nb: c", b"a\nb", b"a\rb", b"a\0b", b"\x7f")
    ),
    [start(200, length(2), (b"bad name", b"1")), body(b"ok")],
    [start(200, length(200_000)), body(b"x" * 200_000)],
    [],
    [body(b"early")],
    [start(200, length(2)), body(b"ok"), body(b"more")],
]
# The application breaks the rules of ASGI.
WRONG: list[list[Message]] = [
    [start(200, length(2)), body(b"too long")],
    [start(200, length(9)), body(b"short")],
    [start(200, length(2))],
    [start(200, length(2)), start(200, length(2))],
]


async def exchange(kind: type[RequestResponseCycle], sent: bytes, pieces: int, response: list[Message]) -> Connection:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (scope["path"], scope["query_string"]) in (("/a b", b"c=d"), ("/", b""))
        if scope["method"] == "POST":
            assert (await receive())["type"] == "http.request"
        for message in response:
            await send(dict(message))

    config = uvicorn.Config(
        app, interface="asgi3", ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False
    )
    state = ServerState()
    state.default_headers = [(b"date", b"Fri, 01 Jan 2027 00:00:00 GMT")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "GuardedCycle", kind)
        protocol = guard.GuardedProtocol(config, state, {}, _loop=asyncio.get_running_loop())
        connection = Connection()
        protocol.connection_made(connection)
        size = -(-len(sent) // pieces)
        for begin in range(0, len(sent), size):
            if not connection.closed:
                protocol.data_received(sent[begin : begin + size])
            for _ in range(4):
                await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        protocol.connection_lost(None)
        await asyncio.sleep(0)
    return connection


def cases() -> Iterator[tuple[bytes, int, list[Message]]]:
    for sent in REQUESTS:
        for pieces in (1, 2, len(sent)):
            for response in RESPONSES:
                yield sent, pieces, response


async def test_every_response_is_written_as_by_uvicorn() -> None:
    for sent, pieces, response in cases():
        mine = await exchange(GuardedCycle, sent, pieces, response)
        theirs = await exchange(RequestResponseCycle, sent, pieces, response)

        assert b"".join(mine.written) == b"".join(theirs.written), (sent, pieces, response)
        assert mine.closed == theirs.closed, (sent, pieces, response)


async def test_head_and_body_are_one_write() -> None:
    connection = await exchange(GuardedCycle, GET, 1, RESPONSES[0])

    assert len(connection.written) == 1


@pytest.mark.parametrize("response", WRONG)
async def test_a_wrong_response_is_not_begun(response: list[Message]) -> None:
    connection = await exchange(GuardedCycle, GET, 1, response)

    assert connection.closed
    assert connection.written == []  # uvicorn has written its head by then


async def test_a_caller_that_is_gone_is_known_without_receiving() -> None:
    found: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        exchange = receive.__self__  # type: ignore[attr-defined]  # a bound method
        found.append(exchange.disconnected)
        await receive()
        await receive()
        found.append(exchange.disconnected)

    config = uvicorn.Config(app, interface="asgi3", ws="none", lifespan="off", log_config=None)
    protocol = guard.GuardedProtocol(config, ServerState(), {}, _loop=asyncio.get_running_loop())
    protocol.connection_made(Connection())
    protocol.data_received(GET)
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert found == [False, True]


async def test_one_timer_closes_an_idle_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, length(0)))
        await send(body())

    config = uvicorn.Config(app, interface="asgi3", ws="none", lifespan="off", log_config=None, timeout_keep_alive=1)
    protocol = guard.GuardedProtocol(config, ServerState(), {}, _loop=asyncio.get_running_loop())
    protocol.timeout_keep_alive = 0.2  # type: ignore[assignment]  # shorter than uvicorn's shortest
    connection = Connection()
    protocol.connection_made(connection)
    for _ in range(4):  # it is never idle for long
        protocol.data_received(GET)
        await asyncio.sleep(0.1)
        assert not connection.closed
    await asyncio.sleep(0.25)

    assert connection.closed
    protocol.connection_lost(None)
