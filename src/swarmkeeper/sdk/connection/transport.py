"""Carries HTTP requests to the orchestrator. Knows nothing of their content.

`Transport` is the interface: the default uses the network; a test or an embedding application passes its own. With a
method `for_another_loop() -> Transport`, bots can call the orchestrator from a thread of their own.

The default uses aiohttp. Measured with one bot, a call by httpx2 takes about twice as much processor time.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from swarmkeeper.sdk.connection.proxies import proxy_for
from swarmkeeper.sdk.errors import Unreachable

if TYPE_CHECKING:
    import aiohttp

# A body up to this size fits into the buffers on the way: it is sent at once.
PIECE_BYTES = 64 * 1024
# aiohttp repeats these by itself if a kept connection turns out to be closed.
REPEATED_BY_LIBRARY = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True, slots=True)
class Streamed:
    status: int
    headers: Mapping[str, str]  # names in lower case
    chunks: AsyncIterator[bytes]


class Transport(Protocol):
    """Carries requests. Raises `Unreachable` if no whole answer came, whatever the cause."""

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response: ...

    def stream(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float
    ) -> AbstractAsyncContextManager[Streamed]:
        """Open a stream. `timeout` (seconds) bounds each silence within the stream, not the whole of it."""
        ...

    async def aclose(self) -> None: ...


class HttpTransport:
    """Carries requests over the network and keeps connections. One serves any number of bots in a process.

    `timeout` bounds each silence, in seconds: a long body may take longer in either direction while bytes flow.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the orchestrator's URL must look like http://host:port")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the orchestrator's URL must not hold a user or password: pass the key as api_key")
        self._url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._proxy = proxy_for(parts.scheme, parts.hostname)
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # the loop that the session's connections belong to
        self._forget: weakref.finalize[..., HttpTransport] | None = None

    def for_another_loop(self) -> HttpTransport | None:
        """Return a transport to the same URL for another event loop; None for a subclass, which may need more."""
        return HttpTransport(self._url) if type(self) is HttpTransport else None

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        """Send one request and return its whole answer.

        Raises:
            Unreachable: no whole answer came.
            ValueError: a header holds a line break; nothing was sent.
        """
        import aiohttp

        try:
            kept: list[bool] = []  # not empty if the request went over a kept connection
            try:
                return await self._exchange(method, path, headers, body, timeout, kept)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # The server may close a kept connection just as a request leaves: try once on a new one.
                if not kept or method in REPEATED_BY_LIBRARY:
                    raise
            return await self._exchange(method, path, headers, body, timeout, [])
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error, self._url) from error

    async def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
        kept: list[bool],
    ) -> Response:
        if body is None or len(body) <= PIECE_BYTES:
            answer = await self._send(method, path, headers, body, timeout, kept)
            return Response(answer.status, _with_lower_names(answer.headers), await answer.read())
        async with asyncio.timeout(timeout) as silence:
            sent = {**headers, "content-length": str(len(body))}
            answer = await self._send(method, path, sent, _pieces(body, silence, timeout), timeout, kept)
            silence.reschedule(None)  # aiohttp times the answer
            try:
                return Response(answer.status, _with_lower_names(answer.headers), await answer.read())
            finally:
                answer.close()  # a server that refuses a long body does not read the rest: do not keep the connection

    async def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | AsyncIterator[bytes] | None,
        timeout: float,
        kept: list[bool] | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request and return once the head of the answer has arrived."""
        from yarl import URL

        # Imported while running: with another transport no HTTP library is needed.
        from swarmkeeper.sdk.connection.http_session import KEPT, silence_of

        KEPT.set(kept)
        return await self._session_of_loop().request(
            method,
            URL(self._url + path, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=silence_of(timeout),
        )

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float
    ) -> AsyncIterator[Streamed]:
        import aiohttp

        try:
            answer = await self._send(method, path, headers, None, timeout)
            try:
                yield Streamed(answer.status, _with_lower_names(answer.headers), answer.content.iter_any())
            finally:
                answer.close()
        except aiohttp.ClientError as error:
            raise _unreachable(error, self._url) from error

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None and self._loop is asyncio.get_running_loop():
            await session.close()
        if self._forget is not None:
            self._forget()

    def _session_of_loop(self) -> aiohttp.ClientSession:
        """Return the session of the running loop, which may differ from the last call's."""
        # Imported running: with another transport no HTTP library is needed.
        from swarmkeeper.sdk.connection.http_session import open_session

        running = asyncio.get_running_loop()
        if self._session is None or self._loop is not running:
            if self._forget is not None:
                self._forget()
            self._session, self._loop = open_session(secure=self._secure, proxy=self._proxy), running
            # Without this, aiohttp logs an error for a client that is dropped without being closed.
            self._forget = weakref.finalize(self, self._session.detach)
        return self._session


async def _pieces(body: bytes, silence: asyncio.Timeout, timeout: float) -> AsyncIterator[bytes]:
    """Yield a long body in pieces; restart the timeout with each piece that the network takes."""
    loop = asyncio.get_running_loop()
    for begin in range(0, len(body), PIECE_BYTES):
        if silence.when() is not None:  # None: the answer has arrived already
            silence.reschedule(loop.time() + timeout)
        yield body[begin : begin + PIECE_BYTES]
    silence.reschedule(None)


def _with_lower_names(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with names in lower case; those of the same name are joined by commas (RFC 9110, 5.3)."""
    lowered: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        lowered[key] = f"{lowered[key]}, {value}" if key in lowered else value
    return lowered


def _unreachable(error: Exception, url: str) -> Unreachable:
    # Why aiohttp could not connect. Until 3.13, an untrusted certificate has no os_error.
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", error)
    # The type only: messages of network libraries may hold proxy URLs with credentials. Our own URL holds none.
    detail = f"no answer from the orchestrator at {url} ({type(cause).__name__})"
    return Unreachable("unreachable", detail, retryable=True)
