"""In-memory transport for the SDK: calls an ASGI application on the running loop, without a network.

It behaves like a server: when the caller hangs up, the application's task continues, receives `http.disconnect`, and
its further output is dropped. An exception before the answer becomes a 500.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from swarmkeeper.sdk.connection.transport import Response, Streamed
from swarmkeeper.sdk.errors import Unreachable
from swarmkeeper.sim.play.http.http_edge import Application, Message, scope_of


class _Call:
    """One request and its answer, from the server's side."""

    def __init__(self, body: bytes) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.started = asyncio.Event()
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._body: bytes | None = body
        self._over = asyncio.Event()  # fully answered, or the caller is gone
        self.gone = False

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.gone:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]
            }
            self.started.set()
        elif message["type"] == "http.response.body":
            if chunk := message.get("body", b""):
                self._chunks.put_nowait(chunk)
            if not message.get("more_body", False):
                self.end()

    def fail(self) -> None:
        """The application raised: answer 500, if nothing was sent yet."""
        if not self.started.is_set():
            self.status = 500
            self.started.set()
        self.end()

    def end(self) -> None:
        if not self._over.is_set():
            self._over.set()
            self._chunks.put_nowait(None)

    def hang_up(self) -> None:
        self.gone = True
        self._over.set()

    async def chunks(self, silence: float) -> AsyncIterator[bytes]:
        while True:
            async with asyncio.timeout(silence):
                chunk = await self._chunks.get()
            if chunk is None:
                return
            yield chunk


class AsgiTransport:
    """Implements `sdk.transport.Transport`."""

    def __init__(self, app: Application, *, client: str = "127.0.0.1") -> None:
        self.errors: list[Exception] = []  # raised by the application
        self._app = app
        self._client = client
        self._running: set[asyncio.Task[None]] = set()

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        call = self._begin(method, path, headers, body)
        try:
            async with asyncio.timeout(timeout):
                await call.started.wait()
                content = b"".join([chunk async for chunk in call.chunks(timeout)])
            return Response(call.status, call.headers, content)
        except TimeoutError as error:
            raise _silent() from error
        finally:
            call.hang_up()

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float
    ) -> AsyncIterator[Streamed]:
        call = self._begin(method, path, headers, None)
        try:
            async with asyncio.timeout(timeout):
                await call.started.wait()
            yield Streamed(call.status, call.headers, call.chunks(timeout))
        except TimeoutError as error:
            raise _silent() from error
        finally:
            call.hang_up()

    async def aclose(self) -> None:
        """Wait until the application has finished all requests."""
        if self._running:
            await asyncio.wait(self._running)

    def _begin(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> _Call:
        scope = scope_of(method, path, headers, body, client=self._client)
        call = _Call(body or b"")
        task = asyncio.ensure_future(self._serve(scope, call))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return call

    async def _serve(self, scope: MutableMapping[str, Any], call: _Call) -> None:
        try:
            await self._app(scope, call.receive, call.send)
        except Exception as error:
            self.errors.append(error)
            call.fail()
        else:
            call.end()


def _silent() -> Unreachable:
    return Unreachable("unreachable", "no answer from the orchestrator in time", retryable=True)
