"""Runs bots as in production: in a thread, over real sockets, against a real orchestrator."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from swarmkeeper import BaseBot, Client
from swarmkeeper.sdk.runner import serve
from swarmkeeper.testing.test_server import RecordedCall, TestServer, soon

Serving = Callable[..., AbstractAsyncContextManager[None]]  # the fixture `serving`


@asynccontextmanager
async def at_work(server: TestServer, *bots: BaseBot, **settings: Any) -> AsyncIterator[None]:
    """Serve the bots on an event loop in another thread while the block lasts."""
    key = await server.swarm.make_key("admin")
    stopped = threading.Event()

    async def story() -> None:
        stop = asyncio.Event()
        async with Client(server.url, key) as client:
            serving = asyncio.create_task(serve(bots, client, stop=stop, **settings))
            await asyncio.wait(
                [serving, asyncio.create_task(asyncio.to_thread(stopped.wait))], return_when="FIRST_COMPLETED"
            )
            stop.set()
            await serving

    working = asyncio.create_task(asyncio.to_thread(asyncio.run, story()))
    try:
        yield
    finally:
        stopped.set()
        await working


async def calls(server: TestServer, kind: Any, count: int) -> list[RecordedCall]:
    """Wait until `count` calls of a kind have arrived, and return all calls of that kind."""
    assert await soon(lambda: len(server.of(kind)) >= count, seconds=20)
    return server.of(kind)
