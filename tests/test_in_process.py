"""The transport that calls an application in the same process, on the virtual loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from swarmkeeper.in_process import InProcess
from swarmkeeper.sdk.connection.transport import Transport
from swarmkeeper.sdk.errors import Unreachable
from swarmkeeper.sim.kernel.loop import VirtualLoop, virtual_loop

app = FastAPI()
disconnects: list[str] = []


@app.post("/echo/{name}")
async def echo(name: str, request: Request) -> dict[str, object]:
    body = await request.body()
    return {"name": name, "query": dict(request.query_params), "key": request.headers["x-key"], "body": body.decode()}


@app.get("/slow")
async def slow(request: Request) -> str:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    disconnects.append("gone")
    return "too late"


@app.get("/stream")
async def stream(every: float = 1) -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(3):
            await asyncio.sleep(every)
            yield b"%d\n" % number

    return StreamingResponse(lines())


@app.get("/broken")
async def broken() -> None:
    raise RuntimeError("so")


@pytest.fixture
def loop() -> VirtualLoop:
    disconnects.clear()
    return virtual_loop()


def test_it_is_a_transport_of_the_sdk() -> None:
    transport: Transport = InProcess(app)

    assert transport is not None


def test_the_application_gets_the_whole_request_and_the_caller_the_whole_answer(loop: VirtualLoop) -> None:
    async def story() -> None:
        answer = await InProcess(app).request("POST", "/echo/a%20b?x=1", {"X-Key": "k"}, b"hello", 5)
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.body == b'{"name":"a b","query":{"x":"1"},"key":"k","body":"hello"}'

    loop.run_until_complete(story())


def test_after_a_timeout_the_caller_hangs_up_and_the_application_notices(loop: VirtualLoop) -> None:
    async def story() -> None:
        with pytest.raises(Unreachable):
            await InProcess(app).request("GET", "/slow", {}, None, 5)
        assert loop.now == 5_000_000

    loop.run_until_complete(story())

    assert disconnects == ["gone"]


def test_the_application_notices_a_cancelled_caller(loop: VirtualLoop) -> None:
    async def story() -> None:
        asking = asyncio.ensure_future(InProcess(app).request("GET", "/slow", {}, None, 60))
        await asyncio.sleep(2)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()

    loop.run_until_complete(story())

    assert disconnects == ["gone"]


def test_a_stream_arrives_piece_by_piece(loop: VirtualLoop) -> None:
    async def story() -> list[tuple[bytes, int]]:
        async with InProcess(app).stream("GET", "/stream", {}, 5) as streamed:
            assert streamed.status == 200
            return [(chunk, loop.now) async for chunk in streamed.chunks]

    assert loop.run_until_complete(story()) == [(b"0\n", 1_000_000), (b"1\n", 2_000_000), (b"2\n", 3_000_000)]


def test_silence_within_a_stream_ends_it(loop: VirtualLoop) -> None:
    async def story() -> None:
        async with InProcess(app).stream("GET", "/stream?every=9", {}, 5) as streamed:
            async for _ in streamed.chunks:
                raise AssertionError("nothing comes in time")

    with pytest.raises(Unreachable):
        loop.run_until_complete(story())


def test_an_application_that_raises_answers_500(loop: VirtualLoop) -> None:
    async def story() -> None:
        answer = await InProcess(app).request("GET", "/broken", {}, None, 5)
        assert answer.status == 500

    loop.run_until_complete(story())
