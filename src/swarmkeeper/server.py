"""Serves the orchestrator on a socket with uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import ipaddress
import math
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from swarmkeeper.app import Orchestrator
from swarmkeeper.observe.logs import Log, take_over
from swarmkeeper.settings import Settings
from swarmkeeper.storage import library
from swarmkeeper.storage.opening import shown

if TYPE_CHECKING:
    import uvicorn


# How long another thread may keep the loop from running. Python's default is 5 ms each time.
SWITCH_SECONDS = 0.0005
# Only some calls that end in an error leave reference cycles, so the collector finds little. It examines new objects
# after each 2,000 of them, in 1 to 2 ms. Examining older objects takes 30 ms or more and blocks all answers, so the
# other two numbers make that rare: after ten million new objects.
GC_THRESHOLD = (2_000, 5_000, 1_000)


class CannotServe(Exception):
    """The server cannot start. The message says why, `fix` what helps."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.detail, self.fix = detail, fix


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    url: str
    swarm: Orchestrator
    stop: asyncio.Event  # set it to make the server refuse new calls; leaving the block waits for its end
    hang_up: Callable[[tuple[str, int]], None]  # cuts the connection of a client, given as in `scope["client"]`


@asynccontextmanager
async def serving(
    settings: Settings,
    *,
    migrate: bool = False,
    log: Log | None = None,
    take_over_logs: bool = False,
    around: Callable[[ASGIApp], ASGIApp] | None = None,
) -> AsyncIterator[Served]:
    """Run a server on `settings.host` and `settings.port` while the block lasts.

    It answers before the block begins; all calls that it accepted are answered when the block ends. `stop` is also set
    if the engine ends by itself.

    Args:
        settings: of the server.
        migrate: update the schema of an older store.
        log: by default a log on stderr.
        take_over_logs: redact and write what libraries log, too. For a process that is only a server.
        around: wraps the application.

    Raises:
        CannotServe: others could reach the server and it has no keys or an open secret, or the address is in use.
        StoreRefused, BadSetting: as for Orchestrator.
    """
    listening = asyncio.Event()
    if take_over_logs:
        library.tune()
    async with Orchestrator(settings, migrate=migrate, log=log) as swarm:
        if not _is_loopback(settings.host):
            _check_open_host(settings, swarm, has_keys=await swarm.has_keys())
        listener = _bind(settings.host, settings.port)
        put_back = take_over(swarm.log) if take_over_logs else None
        server = _http_server(swarm.app if around is None else around(swarm.app), settings, listening)
        answering = asyncio.create_task(server.serve(sockets=[listener]))
        stop = asyncio.Event()
        stopping = asyncio.create_task(_stop_when(stop, swarm, server))
        try:
            await listening.wait()
            if take_over_logs:
                swarm.rules.redactor.compile_again()
                settle_memory()
            url = _url(settings.host, listener.getsockname()[1])
            swarm.log("listening", url=url)
            yield Served(url, swarm, stop, partial(_hang_up, server))
        finally:
            stop.set()
            await stopping
            await answering
            if put_back is not None:
                put_back()


def _http_server(app: ASGIApp, settings: Settings, listening: asyncio.Event) -> uvicorn.Server:
    """Return a server that leaves signals to the caller, and sets `listening` once it answers."""
    import uvicorn

    from swarmkeeper.http.intake.guard import GuardedProtocol

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            listening.set()

    return Server(
        uvicorn.Config(
            app,
            interface="asgi3",
            http=GuardedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=2048,
            timeout_keep_alive=75,  # seconds; longer than the SDK keeps idle connections, which avoids a race
            timeout_graceful_shutdown=math.ceil(settings.stop_seconds),
        )
    )


def settle_memory() -> None:
    """Keep other threads and garbage collection from delaying the loop, and return free memory.

    A full collection over modules, schemas and rules stops the loop for 70 ms and frees nothing, so these objects are
    frozen. Garbage of commands is collected as before, but not after every 700 objects.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    _return_free_memory()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


def _return_free_memory() -> None:
    """Return to the system what the start has freed: 11 MB with the shipped rules. Only glibc can."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _hang_up(server: uvicorn.Server, client: tuple[str, int]) -> None:
    for connection in list(server.server_state.connections):
        transport = getattr(connection, "transport", None)
        if transport is not None and transport.get_extra_info("peername")[:2] == client:
            transport.abort()


async def _stop_when(stop: asyncio.Event, swarm: Orchestrator, server: uvicorn.Server) -> None:
    ended = asyncio.create_task(swarm.ended.wait())
    asked = asyncio.create_task(stop.wait())
    await asyncio.wait([ended, asked], return_when=asyncio.FIRST_COMPLETED)
    for waiting in (ended, asked):
        waiting.cancel()
    stop.set()
    swarm.drain()
    server.should_exit = True


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        why = error.strerror or type(error).__name__
        fix = "choose another with --port (0 picks a free one), or stop what uses it"
        raise CannotServe(f"cannot listen on port {port} of the host that is set: {why}", fix) from None
    listener.setblocking(False)
    return listener


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_open_host(settings: Settings, swarm: Orchestrator, *, has_keys: bool) -> None:
    """Check a server that others can reach: it has keys, and others cannot read its secrets.

    Raises:
        CannotServe: a check fails.
    """
    if not has_keys:
        raise CannotServe(
            "others could reach this server, and it has no keys",
            f"make the first key: {first_key_command(settings)}, or name it with SWARMKEEPER_BOOTSTRAP_KEY_FILE",
        )
    files = {"the key file": settings.api_key_file, "the store": str(swarm.store.path or "")}
    for what, file in files.items():
        if file and Path(file).exists() and Path(file).stat().st_mode & 0o007:
            raise CannotServe(f"everyone on this machine may read {what}", f"run: chmod 600 {file}")


def first_key_command(settings: Settings) -> str:
    """Return the command that creates the first key of an empty store."""
    return f"swarmkeeper key create --store {shown(settings.store)} --role admin"
