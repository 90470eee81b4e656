"""Reports the health of a process of bots to a supervisor: in a file, or over HTTP to its probes.

Runs on the orchestrator's side (sides.py), so that it is right even while the author's code blocks the author's loop.

`ok`: every bot is registered, reaches the orchestrator, and has a slot that is free or at work. `unreachable`: every
call of a bot has failed for some time; a restart would not help. `stuck`: code that does not end holds every slot of a
bot; a restart helps. `starting`: not registered yet.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from swarmkeeper import files

HealthStatus = Literal["ok", "starting", "unreachable", "stuck"]
_WORST_FIRST: tuple[HealthStatus, ...] = ("stuck", "unreachable", "starting", "ok")

# Probes take a file older than a minute for that of a dead process.
FILE_SECONDS = 5.0
_HEAD_BYTES_MAX = 8192
_READ_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class BotHealth:
    name: str
    status: HealthStatus
    held: int  # leases
    capacity: int
    why: str = ""  # empty if ok


@dataclass(frozen=True, slots=True)
class Health:
    """Where to report health. `port` 0 takes a free port; `listening` is called with host and port."""

    file: Path | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    listening: Callable[[str, int], object] | None = None

    @classmethod
    def of_environment(cls) -> Health | None:
        """Return the health that SWARMKEEPER_HEALTH_FILE and SWARMKEEPER_HEALTH_PORT ask for; None without both.

        Raises:
            ValueError: the port is neither PORT nor HOST:PORT.
        """
        file, at = os.environ.get("SWARMKEEPER_HEALTH_FILE"), os.environ.get("SWARMKEEPER_HEALTH_PORT")
        if not file and not at:
            return None
        host, port = address(at) if at else ("127.0.0.1", None)
        return cls(Path(file) if file else None, host, port)

    @asynccontextmanager
    async def shown(self, bots: Callable[[], Sequence[BotHealth]]) -> AsyncIterator[None]:
        """Report health while the block lasts.

        Raises:
            OSError: the file cannot be written, or the port is taken.
        """
        server = writing = None
        if self.file is not None:
            files.write(self.file, _document(bots()) + "\n")
            writing = asyncio.create_task(_keep_writing(self.file, bots))
        try:
            if self.port is not None:
                server = await asyncio.start_server(lambda r, w: _answer(r, w, bots), self.host, self.port)
                if self.listening is not None:
                    self.listening(*server.sockets[0].getsockname()[:2])
            yield
        finally:
            if server is not None:
                server.close()
            if writing is not None and self.file is not None:
                writing.cancel()
                with suppress(OSError):
                    self.file.unlink(missing_ok=True)


def address(text: str) -> tuple[str, int]:
    """Return host and port of `PORT` or `HOST:PORT`.

    Raises:
        ValueError: it is neither.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise ValueError("the health port must be PORT or HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


def overall(bots: Sequence[BotHealth]) -> HealthStatus:
    """Return the worst status of the bots."""
    return next((status for status in _WORST_FIRST if any(bot.status == status for bot in bots)), "starting")


def _document(bots: Sequence[BotHealth]) -> str:
    return json.dumps({"status": overall(bots), "bots": [asdict(bot) for bot in bots]})


# ---- a file ----------------------------------------------------------------------------------------------------------


async def _keep_writing(file: Path, bots: Callable[[], Sequence[BotHealth]]) -> None:
    while True:
        await asyncio.sleep(FILE_SECONDS)
        with suppress(OSError):  # a full disk must not stop the bots; the probe notices that the file is old
            await asyncio.to_thread(files.write, file, _document(bots()) + "\n")


# ---- HTTP ------------------------------------------------------------------------------------------------------------


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bots: Callable[[], Sequence[BotHealth]]
) -> None:
    """Answer one request and close the connection."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(_READ_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        if len(head) <= _HEAD_BYTES_MAX:
            path = head.partition(b" ")[2].partition(b" ")[0].partition(b"?")[0]
            writer.write(_reply(path.decode("ascii", "replace"), bots()))
            await writer.drain()
    writer.close()


def _reply(path: str, bots: Sequence[BotHealth]) -> bytes:
    status = overall(bots)
    # An unreachable orchestrator makes a bot not ready, but still alive: it recovers without a restart.
    good = {"/livez": status != "stuck", "/readyz": status == "ok"}.get(path)
    if good is None:
        return _http("404 Not Found", json.dumps({"detail": "there is /livez and /readyz"}))
    return _http("200 OK" if good else "503 Service Unavailable", _document(bots))


def _http(status: str, body: str) -> bytes:
    content = body.encode()
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n"
        "cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + content
