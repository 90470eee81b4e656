"""Answers are read the same however they come in pieces; what can be read in two ways, or not to its end, is none."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.sdk.http1 import HEAD_BYTES_MAX, Connection, Host, HungUp, NotHttp, Parsed, Silence

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"
TRAILER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


class Line(asyncio.Transport):
    """A transport whose other end is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.unsent = 0
        self.closed = False

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


async def answered(
    pieces: list[bytes], *, ends: bool = False, no_body: bool = False, line: Line | None = None
) -> Parsed:
    """What a call is answered with, where the other side says this, and then perhaps closes."""
    connection = Connection()
    connection.connection_made(line or Line())
    call = asyncio.create_task(connection.exchange(b"request", silence=5, no_body=no_body))
    await asyncio.sleep(0)
    for piece in pieces:
        connection.data_received(piece)
    if ends:
        connection.connection_lost(None)
    return await call


@given(st.data())
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([LENGTH, CHUNKED, TRAILER, CONTINUED]))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=10)))
    pieces = [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    line = Line()

    status, _, body = asyncio.run(answered(pieces, line=line))

    assert (status, body) == (200, b"hello")
    assert not line.closed  # it can serve another call


async def test_headers_of_one_name_are_joined() -> None:
    assert (await answered([LENGTH]))[1]["x-a"] == "1, 2"


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    line = Line()

    status, _, body = await answered([b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo"], ends=True, line=line)

    assert (status, body) == (200, b"hello")


@pytest.mark.parametrize("answer", [EMPTY, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"])
async def test_some_answers_have_no_body_whatever_they_say(answer: bytes) -> None:
    line = Line()

    assert (await answered([answer], line=line))[2] == b""
    assert not line.closed


async def test_the_answer_to_head_has_no_body() -> None:
    assert (await answered([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"], no_body=True))[2] == b""


@pytest.mark.parametrize(
    "answer",
    [
        LENGTH + b"x",  # more than was asked for
        LENGTH.replace(b"X-A: 1", b"Connection: Close"),
        LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
async def test_a_connection_that_cannot_serve_another_call_is_closed(answer: bytes) -> None:
    line = Line()

    assert (await answered([answer], line=line))[2] == b"hello"
    assert line.closed


@pytest.mark.parametrize(
    "answer",
    [
        b"SMTP ready\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2xx OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello",
        b"HTTP/1.1 200 OK\r\n" + b"x" * HEAD_BYTES_MAX,
    ],
)
async def test_what_cannot_be_read_in_one_way_is_no_answer(answer: bytes) -> None:
    line = Line()

    with pytest.raises(NotHttp):
        await answered([answer], line=line)
    assert line.closed


@pytest.mark.parametrize(("pieces", "unheard"), [([], True), ([b"HT"], False), ([LENGTH[:-1]], False)])
async def test_half_an_answer_is_none(pieces: list[bytes], unheard: bool) -> None:
    with pytest.raises(HungUp) as caught:
        await answered(pieces, ends=True)
    assert caught.value.unheard is unheard


async def test_whoever_stops_waiting_takes_the_connection_along() -> None:
    line = Line()
    connection = Connection()
    connection.connection_made(line)
    exchange = asyncio.create_task(connection.exchange(b"", silence=5, no_body=False))
    await asyncio.sleep(0)
    exchange.cancel()
    await asyncio.gather(exchange, return_exceptions=True)
    assert line.closed


async def test_a_long_request_is_not_silence_while_it_is_on_its_way() -> None:
    line = Line()
    line.unsent = 3
    connection = Connection()
    connection.connection_made(line)
    call = asyncio.create_task(connection.exchange(b"long", silence=0.02, no_body=False))
    for _ in range(3):
        await asyncio.sleep(0.015)
        line.unsent = max(0, line.unsent - 1)
    assert not call.done()

    with pytest.raises(Silence):
        await call
    assert line.closed


# ---- connections that are kept -------------------------------------------------------------------------------------

Serving = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], object]


@asynccontextmanager
async def host(answers: list[bytes]) -> AsyncIterator[tuple[Host, list[bytes]]]:
    """A server that says the next of these to each call and closes after one that is empty; and what was called."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while answers:
                heard.append(await reader.readuntil(b"\r\n\r\n"))
                answer = answers.pop(0)
                if not answer:
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = Host("127.0.0.1", port, f"127.0.0.1:{port}", idle_max=1)
    try:
        yield made, heard
    finally:
        made.close()
        server.close()


async def ask(of: Host, **headers: str) -> Parsed:
    return await of.request("GET", "/x", headers, None, timeout=5, connect_timeout=5)


async def test_a_call_on_a_connection_that_had_been_closed_is_made_on_a_new_one() -> None:
    async with host([LENGTH, b"", LENGTH]) as (asked, heard):
        await ask(asked)
        await ask(asked)

    assert len(heard) == 3


async def test_a_server_that_hangs_up_on_a_new_connection_is_not_asked_twice() -> None:
    async with host([b"", LENGTH]) as (asked, heard):
        with pytest.raises(HungUp):
            await ask(asked)

    assert len(heard) == 1


async def test_a_header_cannot_end_its_line() -> None:
    async with host([LENGTH]) as (asked, heard):
        with pytest.raises(ValueError, match="line break"):
            await ask(asked, traceparent="00\r\nx-api-key: mine")

    assert heard == []
