"""Calls an ASGI application in the same process, without a socket: the transport of `Orchestrator.client()`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope

from swarmkeeper.sdk.connection.transport import Response, Streamed
from swarmkeeper.sdk.errors import Unreachable

HANG_UP_SECONDS = 1.0  # how long a call may take to notice that its caller is gone


class InProcess:
    """An SDK `Transport` to an ASGI application in the same process.

    `key` returns the API key for calls without one.
    """

    def __init__(self, app: ASGIApp, key: Callable[[], Awaitable[str]] | None = None) -> None:
        self._app, self._key = app, key

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        try:
            async with asyncio.timeout(timeout), self._call(method, path, headers, body or b"") as streamed:
                content = b"".join([chunk async for chunk in streamed.chunks])
        except TimeoutError:
            raise Unreachable("unreachable", "no answer in time", retryable=True) from None
        return Response(streamed.status, streamed.headers, content)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float
    ) -> AsyncIterator[Streamed]:
        async with self._call(method, path, headers, b"", silence=timeout) as streamed:
            yield streamed

    async def aclose(self) -> None:
        return

    @asynccontextmanager
    async def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, silence: float | None = None
    ) -> AsyncIterator[Streamed]:
        if self._key is not None and not headers.get("x-api-key"):
            headers = {**headers, "x-api-key": await self._key()}
        sent: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=16)
        gone = asyncio.Event()
        begun = False

        async def receive() -> Message:
            nonlocal begun
            if not begun:
                begun = True
                return {"type": "http.request", "body": body, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def answer() -> None:
            try:
                await self._app(_scope(method, path, headers), receive, sent.put)
            finally:
                await sent.put(None)

        answering = asyncio.create_task(answer())
        try:
            start = await _next(sent, silence)
            names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
            yield Streamed(start["status"], names, _chunks(sent, silence))
        finally:
            gone.set()
            # Empty the queue: the call may wait for room in it, and no one reads it any more.
            while not sent.empty():
                sent.get_nowait()
            await asyncio.wait([answering], timeout=HANG_UP_SECONDS)
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


async def _next(sent: asyncio.Queue[Message | None], silence: float | None) -> Any:
    try:
        async with asyncio.timeout(silence):
            message = await sent.get()
    except TimeoutError:
        raise Unreachable("unreachable", "no answer in time", retryable=True) from None
    if message is None:
        raise Unreachable("unreachable", "the application ended without an answer", retryable=True)
    return message


async def _chunks(sent: asyncio.Queue[Message | None], silence: float | None) -> AsyncIterator[bytes]:
    while True:
        message = await _next(sent, silence)
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body", False):
            return


def _scope(method: str, path: str, headers: Mapping[str, str]) -> Scope:
    bare, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(bare),
        "raw_path": bare.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "client": None,
        "server": ("swarmkeeper", 80),
        "state": {},
    }
