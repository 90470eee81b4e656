"""The limits on bytes of bodies that are being read, by key, by tenant and in total, over a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.access.quotas import MIB
from swarmkeeper.server import Served, serving
from swarmkeeper.settings import read
from tests.http.conftest import Caller

ALMOST = 15 * MIB


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """A server with the settings of a test."""

    @asynccontextmanager
    async def serve(**limits: int) -> AsyncIterator[Served]:
        settings = {"store": f"sqlite:///{tmp_path / 's.db'}", "port": 0, **limits}
        async with serving(read(settings, environ={}).settings) as served, asyncio.timeout(20):
            yield served

    return serve


@pytest.fixture
async def served(serve: Serve) -> AsyncIterator[Served]:
    async with serve() as served:
        yield served


@dataclass
class Sending:
    """A call whose body is being sent."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(first.split()[1]), headers, json.loads(body)


@asynccontextmanager
async def sending(served: Served, key: str, length: int | None, body: bytes = b"{") -> AsyncIterator[Sending]:
    """Begin a submission of `declared` bytes; None sends it in chunks, without Content-Length."""
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    how = f"content-length: {length}" if length is not None else "transfer-encoding: chunked"
    head = ("POST /tasks HTTP/1.1", "host: x", f"x-api-key: {key}", "content-type: application/json", how)
    writer.write("\r\n".join([*head, "", ""]).encode())
    writer.write(body if length is not None else b"%x\r\n%s\r\n" % (len(body), body))
    try:
        yield Sending(reader, writer)
    finally:
        writer.close()


async def until(happened: Callable[[], bool]) -> None:
    """Wait until a condition on the server holds."""
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110  # no event signals this
            await asyncio.sleep(0.005)


async def held(served: Served, number: int) -> None:
    """Wait until this number of bytes is held in total."""
    await until(lambda: served.swarm.quotas.intake.bodies.total == number)


async def test_bodies_of_one_key_are_limited_before_they_are_read(serve: Serve) -> None:
    async with serve(body_bytes_key=32 * MIB) as served:
        await _one_key(served)


async def _one_key(served: Served) -> None:
    key, other_key = [await served.swarm.make_key("client") for _ in range(2)]
    task = json.dumps({"title": "x"}).encode()

    async with sending(served, key, ALMOST), sending(served, key, ALMOST):
        await held(served, 2 * ALMOST)
        async with sending(served, key, ALMOST) as third:
            status, headers, answer = await third.answer()
            assert (status, answer["code"], headers["retry-after"]) == (429, "rate_limited", "1")
            assert "this key may have 33554432 bytes" in answer["detail"]
        async with sending(served, other_key, len(task), task) as neighbour:
            assert (await neighbour.answer())[0] == 201
        await held(served, 2 * ALMOST)
    await held(served, 0)
    async with sending(served, key, len(task), task) as again:
        assert (await again.answer())[0] == 201


async def test_bodies_of_a_tenant_are_limited_across_its_keys(serve: Serve) -> None:
    task = json.dumps({"title": "x"}).encode()
    async with serve(body_bytes_tenant=31 * MIB) as served:
        keys = [await served.swarm.make_key("client") for _ in range(3)]
        other = await served.swarm.make_key("client", tenant="other")

        async with sending(served, keys[0], ALMOST), sending(served, keys[1], ALMOST):
            await held(served, 2 * ALMOST)
            async with sending(served, keys[2], ALMOST) as third:
                status, _, answer = await third.answer()
                assert (status, answer["code"]) == (429, "rate_limited")
                assert "this tenant" in answer["detail"]
            async with sending(served, other, len(task), task) as neighbour:
                assert (await neighbour.answer())[0] == 201


async def test_all_bodies_together_are_limited_and_a_small_tenant_is_still_served(serve: Serve) -> None:
    task = json.dumps({"title": "x"}).encode()
    async with serve(body_bytes=40 * MIB) as served:
        a, b = [[await served.swarm.make_key("client", tenant=name) for _ in range(2)] for name in ("a", "b")]
        third = await served.swarm.make_key("client", tenant="c")

        async with sending(served, a[0], ALMOST), sending(served, a[1], ALMOST):
            await held(served, 2 * ALMOST)
            async with sending(served, b[0], ALMOST):  # less than half of the limit
                await held(served, 3 * ALMOST)
                async with sending(served, b[1], ALMOST) as refused:
                    status, headers, answer = await refused.answer()
                    assert (status, answer["code"], headers["retry-after"]) == (503, "overloaded", "1")
                async with sending(served, third, len(task), task) as neighbour:
                    assert (await neighbour.answer())[0] == 201


async def test_a_body_of_unknown_length_is_counted_as_it_arrives(served: Served) -> None:
    key = await served.swarm.make_key("client")

    async with sending(served, key, None, b" " * MIB):
        await until(lambda: MIB <= served.swarm.quotas.intake.bodies.total <= 2 * MIB)
    await held(served, 0)


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"{", 400), (b'{"title": 1}', 422), (b'{"title": "x"}', 201), (b'{"a": ' + b'{"a":' * 99, 400)],
)
async def test_no_bytes_stay_held_however_a_call_ends(served: Served, sent: bytes, status: int) -> None:
    caller = Caller(served.swarm.app, await served.swarm.make_key("client"))

    answer = await caller.call("POST", "/tasks", raw=sent, headers={"content-type": "application/json"})

    assert answer.status == status
    intake = served.swarm.quotas.intake
    assert (intake.bodies.total, intake._decoded) == (0, 0)


async def test_a_waiting_poll_holds_no_bytes_of_its_body(served: Served) -> None:
    admin = Caller(served.swarm.app, await served.swarm.make_key("admin"))
    bot = (await admin.post("/bots/register", {"type": "Executor", "version": "1"})).json["id"]
    padded = json.dumps({"bot_id": bot, "wait_seconds": 20}).encode() + b" " * 900_000
    gone = asyncio.Event()
    poll = asyncio.create_task(
        admin.call("POST", "/leases", raw=padded, headers={"content-type": "application/json"}, gone=gone)
    )
    await until(lambda: bool(served.swarm.engine.scheduler.parked))

    intake = served.swarm.quotas.intake
    assert (intake.bodies.total, intake._decoded) == (0, 0)
    gone.set()
    await poll


async def test_a_body_that_would_take_too_much_memory_decoded_is_refused(served: Served) -> None:
    caller = Caller(served.swarm.app, await served.swarm.make_key("client"))
    bomb = b'{"title": "x", "input": {"a": [' + b"{}," * 3_000_000 + b"0]}}"

    answer = await caller.call("POST", "/tasks", raw=bomb, headers={"content-type": "application/json"})

    assert (answer.status, answer.json["code"]) == (413, "too_large")
    assert "more values" in answer.json["detail"]
