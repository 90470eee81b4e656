"""Requests without a key that are too long or arrive too slowly, over a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmkeeper.core.errors import Malformed
from swarmkeeper.http.intake import guard, limits
from swarmkeeper.server import serving
from swarmkeeper.settings import Settings

HEAD = b"GET /health HTTP/1.1\r\nhost: x\r\n"
POST = b"POST /tasks HTTP/1.1\r\nhost: x\r\n"


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with serving(Settings(store=f"sqlite:///{tmp_path / 's.db'}", port=0)) as served, asyncio.timeout(20):
        yield served.url


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "HEAD_SECONDS_MAX", 0.3)


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def answered(url: str, *sent: bytes, pause: float = 0.0) -> bytes:
    """Return all bytes until the server closes the connection; fail if it does not."""
    reader, writer = await connect(url)
    try:
        for piece in sent:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(2):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"x-a: " + b"a" * 8_000_000,
        HEAD + b"x-a: b\r\n" * 1_000_000,
        b"GET /" + b"a" * 8_000_000,
    ],
)
async def test_an_endless_head_is_refused_before_it_is_buffered(url: str, sent: bytes) -> None:
    answer = await answered(url, sent)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")


async def test_trailers_are_limited_too(url: str) -> None:
    chunked = POST + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nx-a: "

    answer = await answered(url, chunked + b"a" * 8_000_000)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 401 ")


async def test_long_but_legal_heads_are_answered(url: str) -> None:
    answer = await answered(url, HEAD + b"connection: close\r\nx-a: " + b"a" * 30_000 + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_many_requests_on_one_connection_do_not_add_up(url: str) -> None:
    long = HEAD + b"x-a: " + b"a" * 30_000 + b"\r\n\r\n"

    answer = await answered(url, *([long] * 10), HEAD + b"connection: close\r\n\r\n", pause=0.01)

    assert answer.count(b"HTTP/1.1 200 ") == 11


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        ((b"",), 0),
        ((HEAD,), 0),
        ((HEAD + b"\r\n" + HEAD,), 1),
        ((HEAD + b"\r\n", b"\r\n"), 1),
        ((POST + b"content-length: 9\r\n\r\n", b"{", b"{", b"{"), 1),
    ],
    ids=["nothing", "half a head", "half a second head", "an empty line", "the rest of a body that was refused"],
)
async def test_a_head_that_is_never_finished_closes_the_connection(
    url: str, sent: tuple[bytes, ...], answers: int
) -> None:
    assert (await answered(url, *sent, pause=0.05)).count(b"HTTP/1.1 ") == answers


@pytest.mark.usefixtures("hasty")
async def test_an_idle_connection_between_two_requests_stays_open(url: str) -> None:
    reader, writer = await connect(url)
    for _ in range(2):
        writer.write(HEAD + b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await reader.readuntil(b"}")
        await asyncio.sleep(0.6)
    assert not reader.at_eof()
    writer.close()


@pytest.mark.parametrize(
    "head",
    [b"GET /health HTTP/1.1\r\n\r\n", b"GET /health HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"],
    ids=["none", "two"],
)
async def test_a_request_without_one_host_is_refused(url: str, head: bytes) -> None:
    answer = await answered(url, head)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"The request must have one Host header.")


@pytest.mark.parametrize(
    "lengths",
    [
        b"content-length: 4\r\ntransfer-encoding: chunked",
        b"transfer-encoding: chunked\r\ncontent-length: 4",
        b"content-length: 4\r\ncontent-length: 5",
        b"transfer-encoding: gzip",
        b"transfer-encoding: xchunked",
        b"transfer-encoding: chunked, identity",
        b"content-length : 4",
        b"content-length: +4",
    ],
)
async def test_a_body_whose_end_could_be_read_in_two_ways_is_refused(url: str, lengths: bytes) -> None:
    """Otherwise a proxy and this server might see two different requests (request smuggling)."""
    answer = await answered(url, POST + lengths + b"\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nhost: x\r\n\r\n")

    # 400, or none if the call had begun. What follows is no second request, and the connection ends.
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") <= 1


async def test_an_old_client_needs_no_host(url: str) -> None:
    assert (await answered(url, b"GET /livez HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_the_number_of_headers_is_limited(url: str) -> None:
    few = HEAD + b"connection: close\r\n" + b"x: y\r\n" * (guard.HEADERS_MAX - 2) + b"\r\n"
    many = HEAD + b"x: y\r\n" * guard.HEADERS_MAX + b"\r\n"

    assert (await answered(url, few)).startswith(b"HTTP/1.1 200 ")
    assert (await answered(url, many)).startswith(b"HTTP/1.1 431 ")


async def test_only_a_little_of_the_body_of_a_refused_call_is_read(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LINGER_SECONDS", 0.2)
    reader, writer = await connect(url)
    head = POST + b"content-type: application/json\r\ncontent-length: 100000000\r\n\r\n"
    writer.write(head)
    answer = asyncio.ensure_future(reader.read(12))
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 100_000_000:
            writer.write(b" " * 1_000_000)
            await writer.drain()
            sent += 1_000_000

    writer.close()

    assert await answer == b"HTTP/1.1 401"
    # The buffers of both sockets and of our stream; the rest was never read.
    assert sent < 30_000_000


async def test_a_body_that_arrives_too_slowly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = 0

    async def receive() -> dict[str, object]:
        nonlocal pieces
        pieces += 1
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" " * 10, "more_body": True}

    monkeypatch.setattr(limits, "BODY_BYTES_A_SECOND_MIN", 100_000)
    with pytest.raises(Malformed, match="100000 bytes a second"):
        await limits.read_body({}, receive, 1 << 20, silence=0.1)

    assert 1 < pieces < 30


async def test_a_long_body_that_arrives_steadily_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    left = 30

    async def receive() -> dict[str, object]:
        nonlocal left
        left -= 1
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" " * 1_000, "more_body": left > 0}

    monkeypatch.setattr(limits, "BODY_BYTES_A_SECOND_MIN", 1_000)
    body = await limits.read_body({"content-type": "application/json"}, receive, 1 << 20, silence=10)

    assert len(body) == 30_000
