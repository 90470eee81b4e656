"""Puts the parts together: the one place that knows which store, broker, clock and door there are, and when each starts
and stops; for an application that has the swarm inside, for another's server, and on a socket of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swarmkeeper import __version__
from swarmkeeper.broker.local import LocalBroker
from swarmkeeper.clock import SystemClock, SystemEntropy
from swarmkeeper.core.commands import CreateKey, RevokeKey
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Json, Principal
from swarmkeeper.core.ports import Changes, Clock, Entropy, StoreUnavailable
from swarmkeeper.govern import keys
from swarmkeeper.govern.access import Role
from swarmkeeper.govern.redaction import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.http.api import HttpLimits, Parts
from swarmkeeper.http.api import create_app as create_door
from swarmkeeper.observe.logs import Log, take_over
from swarmkeeper.observe.metrics import Metrics, Sources
from swarmkeeper.sdk.client import Client
from swarmkeeper.sdk.errors import Unreachable
from swarmkeeper.sdk.transport import Response, Streamed
from swarmkeeper.service.engine import Engine
from swarmkeeper.service.feed import Feed
from swarmkeeper.service.identity import Identity
from swarmkeeper.service.queries import Queries
from swarmkeeper.settings import Settings, read
from swarmkeeper.storage.sqlite.store import SqliteStore

if TYPE_CHECKING:
    import uvicorn

SECOND = 1_000_000
TENANT = "default"
# Whoever lives in this process needs no key; what it does is written down under this name.
OWN = Principal(TENANT, "embedding", Role.ADMIN)
HANG_UP_SECONDS = 1.0  # for which a call is left to notice that its caller is gone


class Orchestrator:
    """The whole of it, for as long as the block lasts.

    `app` is an ASGI application to be mounted or served; `client()` speaks to it without a socket. Where `ended` is
    set before the block does, the engine has stopped by itself, and nothing will be answered any more: end the process.

    Raises:
        StoreRefused: on entering: the store cannot be used as it is; the message says what helps.
        BadSetting: on entering: the pepper's file cannot be used.
    """

    app: FastAPI
    engine: Engine
    store: SqliteStore

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        migrate: bool = False,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        rules: Rulebook | None = None,
        log: Log | None = None,
    ) -> None:
        self.settings = settings or read().settings
        self.clock = clock or SystemClock()
        self.entropy = entropy or SystemEntropy()
        self.rules = rules or Rulebook(Redactor.default())
        self.log = log or make_log(self.settings, self.rules, self.clock)
        self.ended = asyncio.Event()
        self._migrate = migrate
        self._draining = False
        self._store_answers = True
        self._running: list[asyncio.Task[None]] = []
        self._own_key: tuple[str, str] | None = None  # (its record's id, its text)
        self._own_key_turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        pepper = self.settings.pepper_bytes()
        self.store = SqliteStore(self.settings.store, entropy=self.entropy)
        await self.store.open(migrate=self._migrate)
        try:
            await self._start(pepper)
        except BaseException:
            await self.store.close()
            raise
        return self

    async def _start(self, pepper: bytes | None) -> None:
        limits = self.settings.limits()
        broker = LocalBroker()
        self.engine = engine = Engine(
            self.store,
            clock=self.clock,
            entropy=self.entropy,
            rules=self.rules,
            limits=limits,
            broker=broker,
            log=self.log,
            on_commit=self._committed,
            queue_commands=self.settings.queue_commands,
        )
        self._identity = Identity(
            self.store,
            pepper or (await self.store.start()).pepper,
            now=engine.now,
            monotonic=self.clock.monotonic,
        )
        self._feed = Feed(self.store, broker, self.log)
        self._metrics = Metrics(
            self.store,
            Sources(
                figures=lambda: engine.figures,
                waiting=lambda: engine.waiting,
                parked=lambda: len(engine.scheduler.parked),
                leases=lambda: sum(engine.scheduler.held.values()),
                failures=lambda: self._identity.failures,
                running=lambda: engine.running,
                now=engine.now,
            ),
            version=__version__,
        )
        await engine.start()
        self.app = create_door(
            Parts(
                engine=engine,
                queries=Queries(self.store, self.rules, limits, now=engine.now, seen=self._identity.presence.last_seen),
                feed=self._feed,
                identity=self._identity,
                rules=self.rules,
                clock=self.clock,
                entropy=self.entropy,
                log=self.log,
                version=__version__,
                metrics=self._metrics.text,
                readiness=self.readiness,
                answered=self._answered,
                limits=http_limits(self.settings),
            )
        )
        loop = asyncio.create_task(engine.run(), name="swarmkeeper-engine")
        loop.add_done_callback(self._engine_ended)
        self._running = [
            loop,
            asyncio.create_task(self._feed.run(), name="swarmkeeper-feed"),
            asyncio.create_task(self._tick(), name="swarmkeeper-tick"),
        ]
        await asyncio.sleep(0)  # the engine runs from here on

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._take_back_own_key()
            self.drain()
            engine, *others = self._running
            for task in others:
                task.cancel()
            await asyncio.gather(engine, *others, return_exceptions=True)
        finally:
            await self.store.close()

    def drain(self) -> None:
        """Take nothing more: not ready from here on, polls and streams end, what was taken is answered."""
        self._draining = True
        self.engine.stop()
        for task in self._running[1:2]:
            task.cancel()  # the feed: whoever follows it hears that it is over

    # ---- what is told of it ----------------------------------------------------------------------------------------

    def readiness(self, verbose: bool = False) -> dict[str, Json]:
        """Whether it makes sense to send calls here, and, if asked, what that rests on."""
        store_answers = self._store_answers and self.engine.store_answers
        checks: dict[str, Json] = {
            "engine": "running" if self.engine.running else "stopped",
            "store": "answers" if store_answers else "does not answer",
            "draining": self._draining,
        }
        ready = self.engine.running and store_answers and not self._draining
        if not verbose:
            return {"ready": ready}
        figures = {"waiting_commands": self.engine.waiting, "parked_polls": len(self.engine.scheduler.parked)}
        return {"ready": ready, "version": __version__, **checks, **figures}

    async def has_keys(self) -> bool:
        """Whether anybody can call at all."""
        return bool((await self.store.read("any_key", {}))[0]["found"])

    # ---- speaking to it from within --------------------------------------------------------------------------------

    def client(self, api_key: str | None = None) -> Client:
        """A client that needs no socket. Without a key it may do everything in the tenant `default`."""
        own = None if api_key else self._own_key_text
        return Client("http://swarmkeeper", api_key or "", transport=InProcess(self.app, own))

    async def knows(self, api_key: str) -> bool:
        """Whether this key is one that may call now."""
        try:
            await self._identity.authenticate(api_key)
        except SwarmkeeperError:
            return False
        return True

    async def make_key(self, role: str, *, bot: str | None = None, owner: str | None = None) -> str:
        """A new key of the tenant `default`; its text, which is kept nowhere."""
        return (await self._make_key(role, bot=bot, owner=owner))[1]

    async def _make_key(self, role: str, *, bot: str | None = None, owner: str | None = None) -> tuple[str, str]:
        made = keys.new_key(self.entropy.secret(keys.ENTROPY_BYTES))
        digest = self._identity.digest(made.secret)
        command = CreateKey(by=OWN, role=role, public_id=made.public_id, digest=digest, bot=bot, owner=owner)
        return await self.engine.do(command), made.text

    async def _own_key_text(self) -> str:
        async with self._own_key_turn:
            if self._own_key is None:
                self._own_key = await self._make_key(Role.ADMIN)
            return self._own_key[1]

    async def _take_back_own_key(self) -> None:
        if self._own_key is not None:
            with contextlib.suppress(SwarmkeeperError):  # an engine that is gone takes no command
                await self.engine.do(RevokeKey(by=OWN, key=self._own_key[0]))
            self._own_key = None

    # ---- what goes on by itself ------------------------------------------------------------------------------------

    def _committed(self, changes: Changes) -> None:
        if changes.keys:
            self._identity.forget(changes.keys)
        for bot_id, bot in changes.bots.items():
            if bot is None:
                self._identity.presence.forget(bot_id)
            if bot is None or bot.status != "active":
                self.engine.end_polls(bot_id)

    def _answered(self, method: str, path: str, status: int, microseconds: int) -> None:
        self._metrics.answered(method, path, status, microseconds)
        # The path as it is declared: what callers wrote there, and their query strings, are not for logs.
        self.log("request", method=method, path=path, status=status, milliseconds=round(microseconds / 1000, 1))

    def _engine_ended(self, loop: asyncio.Task[None]) -> None:
        if self._draining:
            return
        error = None if loop.cancelled() else loop.exception()
        self.log("engine_ended", **({} if error is None else {"exception": error}))
        self.ended.set()

    async def _tick(self) -> None:
        while True:
            await self.clock.sleep(SECOND)
            try:
                if await self.store.changed_outside():
                    self._identity.forget_all()
                    self.engine.look_again()
                await self._identity.write_down(self.engine.do)
                await self._metrics.look()
                self._store_answers = True
            except StoreUnavailable as error:
                self._store_answers = False
                self.log("tick_failed", error=str(error))
            except SwarmkeeperError as error:
                self.log("tick_failed", error=error.detail)


def make_log(settings: Settings, rules: Rulebook, clock: Clock) -> Log:
    """The log on stderr, as the settings have it."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    return Log(sys.stderr, rules, clock.now, level=settings.log_level, as_json=as_json)


def http_limits(settings: Settings) -> HttpLimits:
    """What an operator may set about the door."""
    return HttpLimits(
        public_url=settings.public_url,
        root_path=settings.root_path,
        trusted_proxies=settings.trusted_proxy,
        metrics_open=settings.metrics_open,
        wait_max=settings.wait_seconds_max,
    )


# ---- on another's server -------------------------------------------------------------------------------------------


def create_app(settings: Settings | None = None) -> ASGIApp:
    """An ASGI application that starts and stops with its server: `uvicorn --factory swarmkeeper.app:create_app`."""
    return _Hosted(settings)


class _Hosted:
    """Lives as long as the lifespan that its server gives it."""

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
    signal.raise_signal(signal.SIGTERM)  # the server's own way to stop


# ---- on a socket of its own ----------------------------------------------------------------------------------------


class CannotServe(Exception):
    """The server does not start like this. The message says why, `fix` what helps."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.detail, self.fix = detail, fix


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers."""

    url: str
    swarm: Orchestrator
    stop: asyncio.Event  # set it, and the server stops taking calls; leave the block to wait for its end


@asynccontextmanager
async def serving(
    settings: Settings, *, migrate: bool = False, log: Log | None = None, take_over_logs: bool = False
) -> AsyncIterator[Served]:
    """A server on `host` and `port`, which answers before the block begins and has answered what it took when it ends.

    `stop` is set too where the engine ends by itself. `take_over_logs` is for a process that is nothing but a server:
    what libraries log goes through ours, and is redacted.

    Raises:
        CannotServe: there is nobody who could call from elsewhere, a secret lies open, or the address is taken.
        StoreRefused, BadSetting: as for Orchestrator.
    """
    import uvicorn

    from swarmkeeper.http.guard import GuardedProtocol

    listening = asyncio.Event()

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # signals are the business of whoever serves

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            listening.set()

    async with Orchestrator(settings, migrate=migrate, log=log) as swarm:
        if not _is_loopback(settings.host):
            _check_open_host(settings, swarm, has_keys=await swarm.has_keys())
        listener = _bind(settings.host, settings.port)
        put_back = take_over(swarm.log) if take_over_logs else None
        config = uvicorn.Config(
            swarm.app,
            http=GuardedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=2048,
            timeout_keep_alive=75,  # longer than a parked poll: a connection is not closed while its bot thinks of it
            timeout_graceful_shutdown=math.ceil(settings.stop_seconds),
        )
        server = Server(config)
        answering = asyncio.create_task(server.serve(sockets=[listener]))
        stop = asyncio.Event()
        stopping = asyncio.create_task(_stop_when(stop, swarm, server))
        try:
            await listening.wait()
            yield Served(_url(settings.host, listener.getsockname()[1]), swarm, stop)
        finally:
            stop.set()
            await stopping
            await answering
            if put_back is not None:
                put_back()


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
    """Others can reach this server: nobody may be able to read its secrets, and somebody must be able to call it."""
    if not has_keys:
        raise CannotServe(
            "others could reach this server, and it has no keys", f"make the first key: {first_key_command(settings)}"
        )
    files = {"the key file": settings.api_key_file, "the store": str(swarm.store.path or "")}
    for what, file in files.items():
        if file and Path(file).exists() and Path(file).stat().st_mode & 0o007:
            raise CannotServe(f"everyone on this machine may read {what}", f"run: chmod 600 {file}")


def first_key_command(settings: Settings) -> str:
    """What to type to get the first key of an empty store."""
    return f"swarmkeeper key create --store {settings.store} --role admin"


# ---- within this process -------------------------------------------------------------------------------------------


class InProcess:
    """Carries calls to an ASGI application in this very process: the SDK's `Transport`.

    `key` makes the key of calls that come without one.
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
            # It may wait for room in a queue that nobody reads any more, and should not have to.
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
