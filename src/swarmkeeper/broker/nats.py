"""Broker through NATS, without JetStream: a hint is a message that nobody keeps. Opens connections to NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.errors import Error, NoServersError

from swarmkeeper.broker.addresses import shown
from swarmkeeper.broker.remote import SECONDS_SILENT, SECONDS_TO_CONNECT, ConnectionLost, RemoteBroker
from swarmkeeper.core.ports import LogWriter

SUBJECT = "swarmkeeper-hints"


class _StrictClient(NatsClient):
    """Sends credentials through TLS if the address asks for it.

    The driver itself asks the server whether to use TLS, so anybody between the two could say no.
    """

    needs_tls = False

    def _connect_command(self) -> bytes:
        if self.needs_tls and not self._server_info.get("tls_required"):
            raise Error("nats: the server offers no TLS, which tls:// asks for")
        command: bytes = super()._connect_command()
        return command


async def connect(url: str, *, closed: Callable[[], None]) -> NatsClient:
    """Open a connection that never opens itself again: a caller that sees it end knows what may be lost.

    Args:
        closed: called when the connection has ended.

    Raises:
        ConnectionLost: the server cannot be reached, or does not let us in.
    """
    why: list[Exception] = []

    async def failed(error: Exception) -> None:
        why.append(error)

    async def ended() -> None:
        closed()

    client = _StrictClient()
    client.needs_tls = urlsplit(url).scheme == "tls"
    try:
        await client.connect(
            [url],
            name="swarmkeeper",
            error_cb=failed,
            closed_cb=ended,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=SECONDS_TO_CONNECT,
            ping_interval=int(SECONDS_SILENT),
            max_outstanding_pings=1,
            no_echo=True,
            flush_timeout=SECONDS_SILENT,
        )
    except (OSError, TimeoutError, ValueError, Error) as error:
        cause = why[-1] if isinstance(error, NoServersError) and why else error
        await client.close()
        raise ConnectionLost(str(cause) or type(cause).__name__) from error
    except BaseException:
        await client.close()
        raise
    return client


async def close(client: NatsClient) -> None:
    """Close a connection, also if the server does not answer."""
    with suppress(TimeoutError, OSError, Error):
        async with asyncio.timeout(2):
            await client.close()


class NatsBroker(RemoteBroker):
    def __init__(self, url: str, name: str, log: LogWriter) -> None:
        """
        Args:
            name: of the store whose servers exchange hints.
        """
        super().__init__(shown(url), log)
        self._url = url
        self._prefix = f"{SUBJECT}.{name}."

    async def _exchange(self) -> None:
        client = await connect(self._url, closed=self._wake)
        try:
            await client.subscribe(f"{self._prefix}>", cb=self._receive)
            await client.flush(timeout=SECONDS_TO_CONNECT)
            self._connected()
            while not client.is_closed:
                for topic, body in await self._gathered():
                    await client.publish(self._prefix + topic, body)
            if client.last_error is not None:
                raise ConnectionLost(str(client.last_error) or type(client.last_error).__name__)
        finally:
            await close(client)

    async def _receive(self, message: Msg) -> None:
        await self._heard(message.subject.removeprefix(self._prefix), message.data)
