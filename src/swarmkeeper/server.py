"""Serves the orchestrator on a socket with uvicorn, or on another ASGI server."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import ipaddress
import math
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from swarmkeeper.app import Orchestrator
from swarmkeeper.observe.logs import Log, take_over
from swarmkeeper.settings import BadSetting, Settings, read_secret
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
    reload_certificate: Callable[[], None]  # raises BadSetting, and goes on with the old one


@asynccontextmanager
async def serving(
    settings: Settings,
    *,
    migrate: bool = False,
    log: Log | None = None,
    take_over_logs: bool = False,
    around: Callable[[ASGIApp], ASGIApp] | None = None,
    keeps_pepper: bool = True,
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
        keeps_pepper: as for Orchestrator.

    Raises:
        CannotServe: others could reach the server and it has no keys, no TLS or an open secret, or the address is in
            use, or the certificate cannot be used.
        StoreRefused, BadSetting: as for Orchestrator.
    """
    listening = asyncio.Event()
    if take_over_logs:
        library.tune()
    async with Orchestrator(settings, migrate=migrate, log=log, keeps_pepper=keeps_pepper) as swarm:
        if not _is_loopback(settings.host):
            _check_open_host(settings, swarm, has_keys=await swarm.has_keys())
        certificate = _certificate(settings) if settings.tls_cert else None
        listener = _bind(settings.host, settings.port)
        put_back = take_over(swarm.log) if take_over_logs else None
        server = _http_server(swarm.app if around is None else around(swarm.app), settings, listening)
        server.config.load()
        server.config.ssl = certificate
        answering = asyncio.create_task(server.serve(sockets=[listener]))
        stop = asyncio.Event()
        stopping = asyncio.create_task(_stop_when(stop, swarm, server))
        try:
            await listening.wait()
            if take_over_logs:
                swarm.rules.redactor.compile_again()
                settle_memory()
            url = _url(settings.host, listener.getsockname()[1], secure=certificate is not None)
            swarm.log("listening", url=url)
            yield Served(url, swarm, stop, partial(_hang_up, server), partial(_reload, certificate, settings))
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


def _url(host: str, port: int, *, secure: bool) -> str:
    scheme = "https" if secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _certificate(settings: Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        _reload(context, settings)
    except BadSetting as error:
        raise CannotServe(str(error), "name a certificate and its key as PEM files") from None
    return context


def _reload(context: ssl.SSLContext | None, settings: Settings) -> None:
    """Read the certificate from its files; connections that are open keep the one they have.

    Raises:
        BadSetting: the files cannot be used.
    """
    if context is None:
        return
    read_secret(settings.tls_key, "tls_key")  # says why, if it cannot be read or everyone may
    try:
        # Tried out first: half of a new pair must not be left in the one that is used.
        for each in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), context):
            each.load_cert_chain(settings.tls_cert, settings.tls_key, password=_no_password)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error.__class__.__name__
        raise BadSetting(f"tls_cert and tls_key cannot be used together ({reason})") from None


def _no_password() -> str:
    raise ValueError("the key has a password")


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
    if not (settings.tls_cert or settings.trusted_proxy or settings.insecure):
        raise CannotServe(
            "others could reach this server without TLS, and read keys on their way",
            "give it a certificate (--tls-cert, --tls-key), or name the proxy in front of it (--trusted-proxy);"
            " --insecure allows plain text",
        )
    files = {"the key file": settings.api_key_file, "the store": str(swarm.store.path or "")}
    for what, file in files.items():
        if file and Path(file).exists() and Path(file).stat().st_mode & 0o007:
            raise CannotServe(f"everyone on this machine may read {what}", f"run: chmod 600 {file}")


def first_key_command(settings: Settings) -> str:
    """Return the command that creates the first key of an empty store."""
    return f"swarmkeeper key create --store {shown(settings.store)} --role admin"


# ---- on another ASGI server ----------------------------------------------------------------------------------------


class Hosted:
    """Runs an orchestrator during the lifespan of its server."""

    def __init__(self, settings: Settings | None) -> None:
        self._settings = settings
        self._swarm: Orchestrator | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if self._swarm is None:
            raise RuntimeError("the server runs no lifespan: mount Orchestrator(...).app instead")
        await self._swarm.app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            swarm = await Orchestrator(self._settings).__aenter__()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        self._swarm = swarm
        watching = asyncio.create_task(_end_process_with(swarm))
        try:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        finally:
            watching.cancel()
            self._swarm = None
            await swarm.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})


async def _end_process_with(swarm: Orchestrator) -> None:
    await swarm.ended.wait()
    signal.raise_signal(signal.SIGTERM)  # the server then stops as usual
