"""A local HTTP server that answers with given bytes, over a real socket."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from swarmkeeper.sdk.connection.transport import PIECE_BYTES, HttpTransport

SAYING = b"HTTP/1.1 200 OK\r\nX-Request-Id: r1\r\nContent-Length: 2\r\n\r\nok"

Serving = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serving, tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpTransport]:
    """Run a server that calls `serve` for each connection, and yield a transport to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE_BYTES)  # so that long requests fill it
    server = await asyncio.start_server(serve, sock=listener, ssl=tls)
    transport = HttpTransport(f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}")
    try:
        yield transport
    finally:
        await transport.aclose()
        server.close()


class Saying:
    """Answers each request with the next of these; closes the connection if that is empty."""

    def __init__(self, *answers: bytes, then_closes: bool = False, byte_by_byte: bool = False) -> None:
        self.answers = list(answers)
        self.then_closes = then_closes
        self.byte_by_byte = byte_by_byte
        self.heard: list[bytes] = []
        self.connections = 0
        self.hung_up = asyncio.Event()  # the client closed a connection

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heard.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0)
                if not answer:
                    break
                for piece in [answer[at : at + 1] for at in range(len(answer))] if self.byte_by_byte else [answer]:
                    writer.write(piece)
                    await asyncio.sleep(0)
                if self.then_closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            writer.close()
