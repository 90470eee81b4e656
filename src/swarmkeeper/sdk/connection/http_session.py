"""Opens the aiohttp session of the default transport: limits, certificates, proxy."""

from __future__ import annotations

import os
import ssl
import sys
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import aiohttp

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

# The orchestrator closes an idle connection after 75 s, many proxies after 60 s: the client must close it first.
IDLE_SECONDS_MAX = 50.0
HEADER_BYTES_MAX = 64 * 1024
CONNECT_SECONDS_MAX = 10.0
# Gets an entry when the request of this context goes over a kept connection. aiohttp's own traces tell it, too, but
# take a tenth of the time of a call.
KEPT: ContextVar[list[bool] | None] = ContextVar("KEPT", default=None)


@lru_cache(maxsize=64)
def silence_of(seconds: float) -> aiohttp.ClientTimeout:
    """Return aiohttp's form of a bound on each silence."""
    return aiohttp.ClientTimeout(connect=min(seconds, CONNECT_SECONDS_MAX), sock_read=seconds)


class Connector(aiohttp.TCPConnector):
    """Keeps connections. Like a plain socket, it logs nothing if it is dropped without being closed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._used: WeakSet[object] = WeakSet()  # the protocols of connections that carried a request

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """Return a connection without unread bytes: they would be taken for the answer to this request."""
        while True:
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                self._note(connection.protocol)
                return connection
            connection.close()

    def _note(self, protocol: object) -> None:
        if protocol in self._used:
            kept = KEPT.get()
            if kept is not None:
                kept.append(True)
        elif protocol is not None:
            self._used.add(protocol)

    def __del__(self, _warnings: Any = None) -> None:
        """Do nothing: asyncio's transports close their connections, with a ResourceWarning."""


def open_session(*, secure: bool, proxy: str | None) -> aiohttp.ClientSession:
    """Return a session for the running event loop."""
    return aiohttp.ClientSession(
        # No limit: a heartbeat must not wait for a connection while long polls hold them all.
        connector=Connector(limit=0, keepalive_timeout=IDLE_SECONDS_MAX, ssl=_trusted() if secure else True),
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy,
        timeout=aiohttp.ClientTimeout(total=None),
        max_line_size=HEADER_BYTES_MAX,
        max_field_size=HEADER_BYTES_MAX,
    )


def _trusted() -> ssl.SSLContext:
    """Return the rules for the server's certificate: SSL_CERT_FILE or SSL_CERT_DIR, else what the system trusts."""
    if sys.platform in {"win32", "darwin"} and not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        import truststore  # on these systems Python's default does not use the system's certificates

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context()
