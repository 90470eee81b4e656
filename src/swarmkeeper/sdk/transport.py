"""How bytes get to the orchestrator and back. Knows HTTP and nothing of what is said in it. Plain HTTP goes by
http1.py; HTTPS, proxies and streams by a library.

`Transport` is the seam: the default goes over the network, a test or an embedding application passes its own. One that
has a method `for_another_loop() -> Transport` lets bots speak with the orchestrator on a thread of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from swarmkeeper.sdk import http1
from swarmkeeper.sdk.errors import Unreachable

if TYPE_CHECKING:
    import httpx2

# A bot holds one parked poll, one heartbeat and some reports at a time; several bots may share a client.
CONNECTIONS_MAX = 200
CONNECT_SECONDS_MAX = 10.0


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
    """Carries one request. Raises `Unreachable` when no whole answer came, whatever the cause."""

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response: ...

    def stream(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float
    ) -> AbstractAsyncContextManager[Streamed]:
        """`timeout` bounds each silence within the stream, not the whole of it."""
        ...

    async def aclose(self) -> None: ...


class HttpTransport:
    """Over the network, with connections kept alive. One is enough for any number of bots in a process."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the orchestrator's URL must look like http://host:port")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the orchestrator's URL must not hold a user or password: pass the key as api_key")
        self._url = url.rstrip("/")
        # A proxy for the outside world is of no use, and often fatal, on the way to one's own machine.
        self._trust_env = parts.hostname not in {"127.0.0.1", "localhost", "::1"}
        self._prefix = parts.path.rstrip("/")
        self._plain: http1.Host | None = None
        if parts.scheme == "http" and not (self._trust_env and _has_proxy(parts.hostname)):
            self._plain = http1.Host(parts.hostname, parts.port or 80, parts.netloc, idle_max=CONNECTIONS_MAX)
        self._http: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # that the library's connections belong to

    def for_another_loop(self) -> HttpTransport | None:
        """Another one to the same place: connections belong to the event loop that opened them."""
        return HttpTransport(self._url) if type(self) is HttpTransport else None  # how to make another class is its own

    def _client(self) -> httpx2.AsyncClient:
        here = asyncio.get_running_loop()
        if self._http is None or self._loop is not here:
            self._loop = here
            # Here and not above: whoever passes a transport of their own needs no HTTP library.
            import httpx2

            self._http = httpx2.AsyncClient(
                limits=httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
                follow_redirects=False,
                trust_env=self._trust_env,
            )
        return self._http

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        if self._plain is not None:
            try:
                status, names, whole = await self._plain.request(
                    method,
                    self._prefix + path,
                    headers,
                    body,
                    timeout=timeout,
                    connect_timeout=min(timeout, CONNECT_SECONDS_MAX),
                )
            except (http1.NotHttp, http1.HungUp, http1.Silence, OSError) as error:
                raise _unreachable(error, self._url) from error
            return Response(status, names, whole)
        import httpx2

        try:
            answer = await self._client().request(
                method,
                self._url + path,
                headers=dict(headers),
                content=body,
                timeout=httpx2.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS_MAX)),
            )
        except httpx2.RequestError as error:
            raise _unreachable(error, self._url) from error
        return Response(
            answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content
        )

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float
    ) -> AsyncIterator[Streamed]:
        import httpx2

        try:
            async with self._client().stream(
                method,
                self._url + path,
                headers=dict(headers),
                timeout=httpx2.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS_MAX)),
            ) as answer:
                names = {name.lower(): value for name, value in answer.headers.items()}
                yield Streamed(answer.status_code, names, answer.aiter_bytes())
        except httpx2.RequestError as error:
            raise _unreachable(error, self._url) from error

    async def aclose(self) -> None:
        if self._plain is not None:
            self._plain.close()
        if self._http is not None and self._loop is asyncio.get_running_loop():
            await self._http.aclose()
        self._http = None


def _has_proxy(host: str) -> bool:
    """Whether the environment names a proxy for plain HTTP to that host."""
    return not getproxies().keys().isdisjoint({"http", "all"}) and not proxy_bypass(host)


def _unreachable(error: Exception, url: str) -> Unreachable:
    # The type alone: messages of network libraries may hold addresses with credentials of proxies. Ours holds none.
    detail = f"no answer from the orchestrator at {url} ({type(error).__name__})"
    return Unreachable("unreachable", detail, retryable=True)
