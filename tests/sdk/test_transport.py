"""The default transport, over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from swarmkeeper.sdk.errors import Unreachable
from swarmkeeper.sdk.transport import HttpTransport

SAYING = b"HTTP/1.1 200 OK\r\nX-Request-Id: r1\r\nContent-Length: 2\r\n\r\nok"
STREAMING = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class Listener:
    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(request)
                path = request.split()[1]
                if path == b"/half":
                    writer.write(SAYING[:-1])
                    break
                if path == b"/silent":
                    await asyncio.sleep(30)
                if path == b"/events":
                    writer.write(STREAMING)
                    for piece in (b"id: 1\n", b"data: {}\n\n"):
                        writer.write(piece)
                        await writer.drain()
                    break
                writer.write(SAYING)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[HttpTransport, Listener]]:
    listener = Listener()
    server = await asyncio.start_server(listener, "127.0.0.1", 0)
    transport = HttpTransport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield transport, listener
    finally:
        await transport.aclose()
        server.close()


async def test_a_connection_is_used_again() -> None:
    async with listening() as (transport, listener):
        for _ in range(3):
            answer = await transport.request("GET", "/x?a=%2F", {"x-api-key": "k"}, None, 5)

    assert (answer.status, answer.headers["x-request-id"], answer.body) == (200, "r1", b"ok")
    assert listener.connections == 1
    assert listener.requests[0].startswith(b"GET /x?a=%2F HTTP/1.1\r\n")
    assert b"x-api-key: k\r\n" in listener.requests[0]


async def test_half_an_answer_is_none() -> None:
    async with listening() as (transport, _):
        with pytest.raises(Unreachable):
            await transport.request("GET", "/half", {}, None, 5)


async def test_an_answer_that_takes_too_long_is_none() -> None:
    async with listening() as (transport, _):
        with pytest.raises(Unreachable):
            await transport.request("GET", "/silent", {}, None, 0.05)


async def test_nobody_there_is_unreachable() -> None:
    async with listening() as (transport, _):
        pass

    with pytest.raises(Unreachable, match=r"at http://127\.0\.0\.1:[0-9]+ \(ConnectionRefusedError"):
        await transport.request("GET", "/x", {}, None, 5)
    await transport.aclose()


async def test_a_stream_comes_piece_by_piece() -> None:
    async with listening() as (transport, _), transport.stream("GET", "/events", {}, 5) as streamed:
        pieces = [piece async for piece in streamed.chunks]

    assert streamed.status == 200
    assert b"".join(pieces) == b"id: 1\ndata: {}\n\n"
