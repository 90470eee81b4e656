"""The default transport over a real socket: connections are kept, and a partial answer counts as none."""

import asyncio
import base64
import gc
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from swarmkeeper.sdk.connection.http_session import HEADER_BYTES_MAX
from swarmkeeper.sdk.connection.transport import PIECE_BYTES, HttpTransport, Response
from swarmkeeper.sdk.errors import Unreachable
from tests.sdk.http_server import SAYING, Saying, serving

STREAMING = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"
TRAILER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH
LONG_BODY = bytes(16 * 1024 * 1024)  # more than the buffers of the system take


async def ask(transport: HttpTransport, method: str = "GET", timeout: float = 5, **headers: str) -> Response:
    return await transport.request(method, "/x", headers, None, timeout)


async def test_a_connection_is_used_again() -> None:
    server = Saying(SAYING, SAYING, SAYING)
    async with serving(server) as transport:
        for _ in range(3):
            answer = await transport.request("GET", "/x?a=%2F", {"x-api-key": "k"}, None, 5)

    assert (answer.status, answer.headers["x-request-id"], answer.body) == (200, "r1", b"ok")
    assert server.connections == 1
    assert server.heard[0].startswith(b"GET /x?a=%2F HTTP/1.1\r\n")
    assert b"x-api-key: k\r\n" in server.heard[0]


async def test_half_an_answer_counts_as_no_answer() -> None:
    async with serving(Saying(SAYING[:-1], then_closes=True)) as transport:
        with pytest.raises(Unreachable):
            await ask(transport)


async def test_an_answer_that_takes_too_long_counts_as_no_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client hangs up
        writer.close()

    async with serving(serve) as transport:
        with pytest.raises(Unreachable):
            await ask(transport, timeout=0.05)


async def test_a_missing_server_is_unreachable() -> None:
    async with serving(Saying()) as transport:
        pass

    with pytest.raises(Unreachable, match=r"at http://127\.0\.0\.1:[0-9]+ \(ConnectionRefusedError"):
        await transport.request("GET", "/x", {}, None, 5)
    await transport.aclose()


async def test_a_stream_comes_piece_by_piece() -> None:
    events = b"id: 1\ndata: {}\n\n"
    server = Saying(STREAMING + events, then_closes=True, byte_by_byte=True)
    async with serving(server) as transport, transport.stream("GET", "/events", {}, 5) as streamed:
        pieces = [piece async for piece in streamed.chunks]

    assert streamed.status == 200
    assert b"".join(pieces) == events


async def test_many_calls_at_once_do_not_wait_for_each_other() -> None:
    asked = 0
    all_asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        if asked == 250:
            all_asked.set()
        await all_asked.wait()
        writer.write(SAYING)
        writer.close()

    async with serving(serve) as transport:
        answers = await asyncio.gather(*(ask(transport, timeout=30) for _ in range(250)))

    assert {answer.status for answer in answers} == {200}


# ---- reading answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [LENGTH, CHUNKED, TRAILER, CONTINUED])
@pytest.mark.parametrize("byte_by_byte", [False, True])
async def test_an_answer_may_arrive_in_any_pieces(whole: bytes, byte_by_byte: bool) -> None:
    server = Saying(whole, SAYING, byte_by_byte=byte_by_byte)
    async with serving(server) as transport:
        answer = await ask(transport)
        again = await ask(transport)

    assert (answer.status, answer.body, again.body) == (200, b"hello", b"ok")
    assert server.connections == 1


async def test_a_huge_answer_is_read_to_its_end() -> None:
    body = bytes(range(256)) * 64 * 1024
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with serving(Saying(head + body)) as transport:
        assert (await ask(transport)).body == body


async def test_headers_of_one_name_are_joined() -> None:
    async with serving(Saying(LENGTH)) as transport:
        assert (await ask(transport)).headers["x-a"] == "1, 2"


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    async with serving(Saying(b"HTTP/1.1 200 OK\r\n\r\nhello", then_closes=True)) as transport:
        answer = await ask(transport)

    assert (answer.status, answer.body) == (200, b"hello")


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
    ],
)
async def test_some_answers_have_no_body_whatever_their_headers_say(method: str, answer: bytes) -> None:
    server = Saying(answer, SAYING)
    async with serving(server) as transport:
        assert (await ask(transport, method)).body == b""
        assert (await ask(transport)).body == b"ok"

    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        LENGTH + LENGTH.replace(b"hello", b"wrong"),
        LENGTH.replace(b"X-A: 1", b"Connection: Close"),
        LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
async def test_a_connection_that_cannot_serve_another_call_is_not_used_again(answer: bytes) -> None:
    server = Saying(answer, LENGTH)
    async with serving(server) as transport:
        answers = [await ask(transport), await ask(transport)]

    assert [each.body for each in answers] == [b"hello", b"hello"]
    assert server.connections == 2


async def test_an_unrequested_answer_is_not_taken_for_the_next() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(LENGTH)
        if not done.is_set():
            await answered.wait()
            writer.write(LENGTH.replace(b"hello", b"wrong"))
            await reader.read()
        writer.close()

    answered, done = asyncio.Event(), asyncio.Event()
    async with serving(serve) as transport:
        first = await ask(transport)
        answered.set()
        await asyncio.sleep(0.1)
        done.set()
        second = await ask(transport)

    assert (first.body, second.body) == (b"hello", b"hello")


@pytest.mark.parametrize(
    "answer",
    [
        b"SMTP ready\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2xx OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello",
        b"HTTP/1.1 200 OK\r\n" + b"x" * HEADER_BYTES_MAX,
        LENGTH + b"x",  # more bytes than the length says
    ],
)
async def test_an_invalid_answer_counts_as_no_answer(answer: bytes) -> None:
    server = Saying(answer)
    async with serving(server) as transport:
        with pytest.raises(Unreachable):
            await ask(transport, timeout=1)

        await asyncio.wait_for(server.hung_up.wait(), 5)


@pytest.mark.parametrize("answer", [b"", b"HT", LENGTH[:-1]])
async def test_an_answer_that_ends_too_early_counts_as_no_answer(answer: bytes) -> None:
    async with serving(Saying(answer, then_closes=True)) as transport:
        with pytest.raises(Unreachable):
            await ask(transport, "POST")


async def test_a_header_with_a_line_break_is_refused() -> None:
    server = Saying(LENGTH)
    async with serving(server) as transport:
        with pytest.raises(ValueError, match=r"header injection|Newline or carriage return"):  # aiohttp's words differ
            await ask(transport, traceparent="00\r\nx-api-key: mine")

    assert server.heard == []


# ---- connections that are kept -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_call_on_a_closed_connection_is_repeated_on_a_new_one(method: str) -> None:
    server = Saying(LENGTH, b"", LENGTH)
    async with serving(server) as transport:
        await ask(transport, method)
        await ask(transport, method)

    assert len(server.heard) == 3


async def test_a_call_on_a_new_connection_is_not_repeated() -> None:
    server = Saying(b"", LENGTH)
    async with serving(server) as transport:
        with pytest.raises(Unreachable):
            await ask(transport, "POST")

    assert len(server.heard) == 1


async def test_a_cancelled_call_closes_its_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        hung_up.set()
        writer.close()

    asked, hung_up = asyncio.Event(), asyncio.Event()
    async with serving(serve) as transport:
        call = asyncio.create_task(ask(transport))
        await asyncio.wait_for(asked.wait(), 5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        await asyncio.wait_for(hung_up.wait(), 5)


def test_each_event_loop_has_connections_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    async def story(listener: socket.socket, transport: HttpTransport) -> None:
        server = await asyncio.start_server(Saying(SAYING), sock=listener)
        answers.append(await ask(transport))
        server.close()

    answers: list[Response] = []
    listener = socket.create_server(("127.0.0.1", 0))
    transport = HttpTransport(f"http://127.0.0.1:{listener.getsockname()[1]}")
    asyncio.run(story(listener, transport))
    listener = socket.create_server(("127.0.0.1", int(transport._url.rpartition(":")[2])))
    asyncio.run(story(listener, transport))
    asyncio.run(transport.aclose())
    del transport
    gc.collect()

    assert [answer.body for answer in answers] == [b"ok", b"ok"]

    assert "Unclosed" not in caplog.text


async def test_a_transport_that_is_dropped_and_not_closed_logs_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(Saying(SAYING)) as transport:
        dropped = HttpTransport(transport._url)
        await ask(dropped)
        del dropped
        gc.collect()
        await asyncio.sleep(0)

    assert "Unclosed" not in caplog.text


# ---- long bodies ---------------------------------------------------------------------------------------------------


async def test_a_long_request_does_not_time_out_while_bytes_flow() -> None:
    got = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await reader.readuntil(b"\r\n\r\n")
        while got < len(LONG_BODY):
            got += len(await reader.read(2 * PIECE_BYTES))
            await asyncio.sleep(0.01)
        writer.write(SAYING)
        writer.close()

    async with serving(serve) as transport:
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = await transport.request("POST", "/x", {}, LONG_BODY, 1)
        took = loop.time() - began

    assert (answer.body, got) == (b"ok", len(LONG_BODY))
    assert took > 1


async def test_a_server_that_takes_no_more_of_a_long_request_is_unreachable() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hung_up.wait()
        writer.close()

    hung_up = asyncio.Event()
    async with serving(serve) as transport:
        with pytest.raises(Unreachable):
            await transport.request("POST", "/x", {}, LONG_BODY, 0.1)
        hung_up.set()


async def test_a_refusal_of_a_long_request_is_read_before_all_of_it_is_sent() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(SAYING if request.startswith(b"GET") else SAYING.replace(b"200 OK", b"413 Too Long"))
        await ended.wait()
        writer.close()

    ended = asyncio.Event()
    async with serving(serve) as transport:
        refused = await transport.request("POST", "/x", {}, LONG_BODY, 5)
        answer = await ask(transport)
        ended.set()

    assert (refused.status, refused.body, answer.status) == (413, b"ok", 200)
    assert connections == 2


async def test_the_connection_of_a_long_request_is_used_again() -> None:
    connections = 0
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                await reader.readexactly(len(LONG_BODY))
                writer.write(SAYING)
        except asyncio.IncompleteReadError:
            writer.close()

    async with serving(serve) as transport:
        for _ in range(2):
            await transport.request("POST", "/x", {}, LONG_BODY, 5)

    assert connections == 1
    assert f"content-length: {len(LONG_BODY)}\r\n".encode() in heads[0].lower()


# ---- proxies -------------------------------------------------------------------------------------------------------


@contextmanager
def environment(**variables: str) -> Iterator[pytest.MonkeyPatch]:
    """Set an environment with these proxies and no others."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield patch


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
async def test_calls_use_the_proxy_that_the_environment_names(name: str) -> None:
    server = Saying(SAYING)
    async with serving(server) as transport:
        proxy = transport._url.replace("http://", "http://user:word@")
        with environment(**{name.lower(): proxy}):
            through = HttpTransport("http://swarm.example/below")
        answer = await ask(through)
        await through.aclose()

    assert answer.body == b"ok"
    assert server.heard[0].startswith(b"GET http://swarm.example/below/x HTTP/1.1\r\n")
    assert b"Basic " + base64.b64encode(b"user:word") in server.heard[0]


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("http://127.0.0.1:1", {}),
        ("http://localhost:1", {}),
        ("http://[::1]:1", {}),
        ("http://swarm.example:1", {"no_proxy": ".example"}),
    ],
)
def test_no_proxy_is_used_for_this_machine_and_excepted_hosts(url: str, more: Mapping[str, str]) -> None:
    with environment(http_proxy="socks5://proxy.example:1080", **more):
        HttpTransport(url)


def test_a_proxy_other_than_http_is_refused() -> None:
    with environment(http_proxy="socks5://proxy.example:1080"), pytest.raises(ValueError, match="not an HTTP proxy"):
        HttpTransport("http://swarm.example")
