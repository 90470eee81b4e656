"""The edge of level http: the real HTTP application, called in memory on the orchestrator's host, and the transport of
the SDK to it. The simulated network injects faults into each request.

`AnswerChecks` (oracle/http_answers.py) compares each answer with the committed state.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.sdk.connection.transport import Response, Streamed
from swarmkeeper.sdk.errors import Unreachable
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.faults import Fault
from swarmkeeper.sim.kernel.loop import Host
from swarmkeeper.sim.kernel.network import ClientGone, IncomingRequest, Network, NoAnswer
from swarmkeeper.sim.oracle.http_answers import AnswerChecks, HttpModel, HttpRequest, kind_of, segment

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

# Name of the current request for names of faults, if the caller sets one; else it is made from the path.
REQUEST_NAME: contextvars.ContextVar[str] = contextvars.ContextVar("swarmkeeper_sim_called", default="")


class ResponseStream:
    """A streamed answer in flight: pieces, then an empty piece at its end, or None if the connection broke."""

    def __init__(self, network: Network[HttpEdge], call: IncomingRequest) -> None:
        self._network, self._call = network, call
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._in_flight: deque[bytes] = deque()  # keeps the order of pieces that arrive at the same time
        self.broken = False
        self.status, self.headers = 0, dict[str, str]()
        self.begun = asyncio.Event()  # the status is known, or the application ended without one

    def put(self, piece: bytes) -> None:
        """Send a piece; an empty piece ends the stream."""
        if self.broken:
            return
        self._in_flight.append(piece)
        if not self._network.piece(self._call, self._arrive):
            reached("a connection broke in the middle of a stream")
            self.cut()

    def _arrive(self) -> None:
        self._pieces.put_nowait(self._in_flight.popleft())

    def cut(self) -> None:
        """Break the connection, for both sides."""
        self.broken = True
        self._call.gone.set()
        self._pieces.put_nowait(None)

    def leave(self) -> None:
        """The reader closes the connection, at the end of the stream or before."""
        self.broken = True
        self._network.hang_up(self._call)

    async def pieces(self, silence: float) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(silence):
                    piece = await self._pieces.get()
            except TimeoutError:
                raise _unreachable() from None
            if piece is None:
                raise _unreachable()
            if not piece:
                return
            yield piece


class HttpEdge:
    """Carries out the network's requests by calling the application."""

    def __init__(self, app: Application, model: HttpModel, network: Network[HttpEdge], host: Host) -> None:
        self._app, self._network, self._host = app, network, host
        self._checks = AnswerChecks(model)
        self._pipes: list[ResponseStream] = []

    def gone(self) -> None:
        """The process is gone: its connections break."""
        for pipe in self._pipes:
            pipe.cut()

    async def follow(self, call: IncomingRequest, request: HttpRequest) -> ResponseStream:
        """Carry out a request with a streamed answer. Return its pipe once the answer has begun."""
        pipe = ResponseStream(self._network, call)
        self._pipes = [open_pipe for open_pipe in self._pipes if not open_pipe.broken]
        self._pipes.append(pipe)
        self._host.start(self._flow(call, request, pipe))
        await pipe.begun.wait()
        if not pipe.status and call.gone.is_set():
            raise ClientGone
        if not pipe.status:
            raise RuntimeError("the application ended without an answer")
        if call.reply is None:
            call.gone.set()  # a duplicated request has no reader
        return pipe

    async def _flow(self, call: IncomingRequest, request: HttpRequest, pipe: ResponseStream) -> None:
        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                pipe.status, pipe.headers = message["status"], _headers_of(message)
                pipe.begun.set()
                return
            if piece := message.get("body", b""):
                pipe.put(piece)
            if not message.get("more_body", False):
                pipe.put(b"")

        await self._app(_scope(request), _receiver(call, request), send)
        pipe.begun.set()  # in case the application sent no status

    async def ask(self, call: IncomingRequest, request: HttpRequest) -> Response:
        """Carry out one request as a server does: the application is notified when its caller disconnects."""
        before = self._checks.before(request)
        answer = await self._run_app(call, request)
        if answer is None:
            if call.gone.is_set():
                raise ClientGone
            raise RuntimeError("the application ended without an answer")
        self._checks.answered(request, answer, before)
        return answer

    async def _run_app(self, call: IncomingRequest, request: HttpRequest) -> Response | None:
        over = False
        status, headers, chunks = 0, dict[str, str](), list[bytes]()

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal status, headers, over
            if message["type"] == "http.response.start":
                status, headers = message["status"], _headers_of(message)
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))
                over = not message.get("more_body", False)

        try:
            await self._app(_scope(request), _receiver(call, request), send)
        except StoreUnavailable as error:
            raise RuntimeError("trouble of the store left the application") from error
        return Response(status, headers, b"".join(chunks)) if over else None


def _headers_of(message: Mapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]}


def _receiver(call: IncomingRequest, request: HttpRequest) -> Callable[[], Awaitable[MutableMapping[str, Any]]]:
    """Return the ASGI `receive` function: the request first, then the disconnect."""
    answer = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal answer
        if not answer:
            answer = True
            return {"type": "http.request", "body": request.body or b"", "more_body": False}
        await call.gone.wait()
        return {"type": "http.disconnect"}

    return receive


def _unreachable() -> Unreachable:
    return Unreachable("unreachable", "no answer from the orchestrator", retryable=True)


def _scope(request: HttpRequest) -> MutableMapping[str, Any]:
    """Return the ASGI scope of a request."""
    parts = urlsplit(request.path)
    sent = {"host": "swarmkeeper", **{name.lower(): value for name, value in request.headers.items()}}
    if request.body is not None:
        sent["content-length"] = str(len(request.body))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode("ascii"),
        "query_string": parts.query.encode("ascii"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("swarmkeeper", 80),
        "state": {},
    }


class SimTransport:
    """Implements `sdk.connection.transport.Transport` for one process, over the simulated network."""

    def __init__(
        self, network: Network[HttpEdge], model: HttpModel, host: Host, *, source: str, connection: str, number: int = 1
    ) -> None:
        self._network, self._model, self._host = network, model, host
        self._source, self._connection, self._number = source, connection, number
        self.muted: set[str] = set()  # ids of leases to leave out of heartbeats
        self.again: dict[str, tuple[Fault, float]] = {}  # leases whose report is sent twice: fault, base of its delay

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        request = HttpRequest(method, path, headers, body)
        if self.muted and kind_of(request) == "beat":
            request = self._without_muted(request)
        what = REQUEST_NAME.get() or self._request_name(request)
        self._send_again(request, what, timeout)
        return await self._send(request, what, timeout)

    async def _send(self, request: HttpRequest, what: str, timeout: float) -> Response:
        try:
            return await self._network.call(
                self._source,
                what,
                lambda edge, call: edge.ask(call, request),
                seconds=timeout,
                connection=self._connection,
            )
        except NoAnswer:
            raise _unreachable() from None

    def _request_name(self, request: HttpRequest) -> str:
        """Name a request as level core does: `report.t7/a`."""
        match kind_of(request):
            case "register" | "lease" | "beat" as kind:
                return f"{kind}.{self._number}"
            case "report":
                return f"report.{self._model.label_of(request.json['lease_id'])}"
            case "reports":
                return f"report.{self._model.label_of(request.json['results'][0]['lease_id'])}"
            case "lease_ends":
                lease_id, _, verb = segment(request.bare, 2).partition(":")
                return f"{verb}.{self._model.label_of(lease_id)}"
            case _:
                return f"fetch.{self._model.title(segment(request.bare, 2))}"

    def _without_muted(self, request: HttpRequest) -> HttpRequest:
        """Leave muted leases out of a heartbeat. If none is left, it is sent empty: the bot itself is alive."""
        body = request.json
        kept = [lease for lease in body["leases"] if lease["lease_id"] not in self.muted]
        return replace(request, body=json.dumps({**body, "leases": kept}).encode())

    def _send_again(self, request: HttpRequest, what: str, timeout: float) -> None:
        if not self.again or kind_of(request) not in ("report", "reports"):
            return
        sent = [request.json] if kind_of(request) == "report" else request.json["results"]
        for report in sent:
            if found := self.again.pop(report["lease_id"], None):
                fault, base = found
                self._host.start(self._later(request, what, timeout, fault.amount(base)))

    async def _later(self, request: HttpRequest, what: str, timeout: float, seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            answer = await self._send(request, what, timeout)
        except Unreachable:
            return
        reached(f"a report that was sent again was answered with {answer.status}")

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float
    ) -> AsyncIterator[Streamed]:
        request = HttpRequest(method, path, headers, None)
        try:
            pipe = await self._network.call(
                self._source,
                REQUEST_NAME.get() or f"follow.{self._number}",
                lambda edge, call: edge.follow(call, request),
                seconds=timeout,
                connection=self._connection,
            )
        except NoAnswer:
            raise _unreachable() from None
        try:
            yield Streamed(pipe.status, pipe.headers, pipe.pieces(timeout))
        finally:
            pipe.leave()

    async def aclose(self) -> None:
        return
