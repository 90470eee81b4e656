"""The edge of level http: the real HTTP application, called in memory on the orchestrator's host, and the transport by
which the SDK reaches it. The simulated network decides, request by request, what goes wrong on the way.

`AnswerChecks` (oracle/http_answers.py) holds each answer against what is committed.
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
from swarmkeeper.sim.kernel.network import Call, ClientGone, Network, NoAnswer
from swarmkeeper.sim.oracle.http_answers import AnswerChecks, HttpModel, HttpRequest, kind_of, segment

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

# The name of a request in names of faults, where the caller knows better than the path.
CALLED: contextvars.ContextVar[str] = contextvars.ContextVar("swarmkeeper_sim_called", default="")


class Pipe:
    """An answer that goes on, on its way: pieces, then its end or None where the connection broke."""

    def __init__(self, network: Network[HttpEdge], call: Call) -> None:
        self._network, self._call = network, call
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._under_way: deque[bytes] = deque()  # one connection keeps the order, also where moments do not
        self.broken = False
        self.status, self.headers = 0, dict[str, str]()
        self.begun = asyncio.Event()  # there is a status, or there will be none

    def put(self, piece: bytes) -> None:
        """Send a piece; an empty one is the end."""
        if self.broken:
            return
        self._under_way.append(piece)
        if not self._network.piece(self._call, self._arrive):
            reached("a connection broke in the middle of a stream")
            self.cut()

    def _arrive(self) -> None:
        self._pieces.put_nowait(self._under_way.popleft())

    def cut(self) -> None:
        """The connection is gone, for both sides."""
        self.broken = True
        self._call.gone.set()
        self._pieces.put_nowait(None)

    def leave(self) -> None:
        """Its listener does, whether it was at its end or not."""
        self.broken = True
        self._network.leave(self._call)

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
    """What stands behind the network at this level."""

    def __init__(self, app: Application, model: HttpModel, network: Network[HttpEdge], host: Host) -> None:
        self._app, self._network, self._host = app, network, host
        self._checks = AnswerChecks(model)
        self._pipes: list[Pipe] = []

    def gone(self) -> None:
        """Its process is: connections break."""
        for pipe in self._pipes:
            pipe.cut()

    async def follow(self, call: Call, asked: HttpRequest) -> Pipe:
        """Carry out a request whose answer goes on; what is there of it when it begins."""
        pipe = Pipe(self._network, call)
        self._pipes = [one for one in self._pipes if not one.broken]
        self._pipes.append(pipe)
        self._host.start(self._flow(call, asked, pipe))
        await pipe.begun.wait()
        if not pipe.status and call.gone.is_set():
            raise ClientGone
        if not pipe.status:
            raise RuntimeError("the application ended without an answer")
        if call.reply is None:
            call.gone.set()  # nobody is at the other end of a request that came twice
        return pipe

    async def _flow(self, call: Call, asked: HttpRequest, pipe: Pipe) -> None:
        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                pipe.status, pipe.headers = message["status"], _names(message)
                pipe.begun.set()
                return
            if piece := message.get("body", b""):
                pipe.put(piece)
            if not message.get("more_body", False):
                pipe.put(b"")

        await self._app(_scope(asked), _hearing(call, asked), send)
        pipe.begun.set()  # or it never will

    async def ask(self, call: Call, asked: HttpRequest) -> Response:
        """Carry out one request, as a server does: the application hears when its caller is gone."""
        before = self._checks.before(asked)
        said = await self._said(call, asked)
        if said is None:
            if call.gone.is_set():
                raise ClientGone
            raise RuntimeError("the application ended without an answer")
        self._checks.answered(asked, said, before)
        return said

    async def _said(self, call: Call, asked: HttpRequest) -> Response | None:
        over = False
        status, headers, chunks = 0, dict[str, str](), list[bytes]()

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal status, headers, over
            if message["type"] == "http.response.start":
                status, headers = message["status"], _names(message)
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))
                over = not message.get("more_body", False)

        try:
            await self._app(_scope(asked), _hearing(call, asked), send)
        except StoreUnavailable as error:
            raise RuntimeError("trouble of the store left the application") from error
        return Response(status, headers, b"".join(chunks)) if over else None


def _names(message: Mapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): one.decode("latin-1") for name, one in message["headers"]}


def _hearing(call: Call, asked: HttpRequest) -> Callable[[], Awaitable[MutableMapping[str, Any]]]:
    """What an application hears of its caller: the request, and when nobody is there any more."""
    said = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal said
        if not said:
            said = True
            return {"type": "http.request", "body": asked.body or b"", "more_body": False}
        await call.gone.wait()
        return {"type": "http.disconnect"}

    return receive


def _unreachable() -> Unreachable:
    return Unreachable("unreachable", "no answer from the orchestrator", retryable=True)


def scope_of(
    method: str, path: str, headers: Mapping[str, str], body: bytes | None, *, client: str = "127.0.0.1"
) -> MutableMapping[str, Any]:
    """What a server tells an application of a request."""
    parts = urlsplit(path)
    sent = {"host": "swarmkeeper", **{name.lower(): value for name, value in headers.items()}}
    if body is not None:
        sent["content-length"] = str(len(body))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode("ascii"),
        "query_string": parts.query.encode("ascii"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
        "client": (client, 1),
        "server": ("swarmkeeper", 80),
        "state": {},
    }


def _scope(asked: HttpRequest) -> MutableMapping[str, Any]:
    return scope_of(asked.method, asked.path, asked.headers, asked.body)


class SimTransport:
    """Fulfils `sdk.transport.Transport`: one process's way to the orchestrator, through the simulated network."""

    def __init__(
        self, network: Network[HttpEdge], model: HttpModel, host: Host, *, source: str, connection: str, number: int = 1
    ) -> None:
        self._network, self._model, self._host = network, model, host
        self._source, self._connection, self._number = source, connection, number
        self.muted: set[str] = set()  # leases of which no heartbeat may tell
        self.again: dict[str, tuple[Fault, float]] = {}  # leases whose report is sent twice, and by what to measure

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        asked = HttpRequest(method, path, headers, body)
        if self.muted and kind_of(asked) == "beat":
            asked = self._without_muted(asked)
        what = CALLED.get() or self._called(asked)
        self._send_again(asked, what, timeout)
        return await self._send(asked, what, timeout)

    async def _send(self, asked: HttpRequest, what: str, timeout: float) -> Response:
        try:
            return await self._network.call(
                self._source,
                what,
                lambda edge, call: edge.ask(call, asked),
                seconds=timeout,
                connection=self._connection,
            )
        except NoAnswer:
            raise _unreachable() from None

    def _called(self, asked: HttpRequest) -> str:
        """`report.t7/a`: as level core calls the same request."""
        match kind_of(asked):
            case "register" | "lease" | "beat" as kind:
                return f"{kind}.{self._number}"
            case "report":
                return f"report.{self._model.label_of(asked.json['lease_id'])}"
            case "reports":
                return f"report.{self._model.label_of(asked.json['results'][0]['lease_id'])}"
            case "lease_ends":
                lease_id, _, verb = segment(asked.bare, 2).partition(":")
                return f"{verb}.{self._model.label_of(lease_id)}"
            case _:
                return f"fetch.{self._model.title(segment(asked.bare, 2))}"

    def _without_muted(self, asked: HttpRequest) -> HttpRequest:
        """What is muted is not told of. A heartbeat that has nothing to tell is an empty one: the bot lives."""
        told = asked.json
        kept = [one for one in told["leases"] if one["lease_id"] not in self.muted]
        return replace(asked, body=json.dumps({**told, "leases": kept}).encode())

    def _send_again(self, asked: HttpRequest, what: str, timeout: float) -> None:
        if not self.again or kind_of(asked) not in ("report", "reports"):
            return
        sent = [asked.json] if kind_of(asked) == "report" else asked.json["results"]
        for one in sent:
            if found := self.again.pop(one["lease_id"], None):
                fault, base = found
                self._host.start(self._later(asked, what, timeout, fault.amount(base)))

    async def _later(self, asked: HttpRequest, what: str, timeout: float, seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            answer = await self._send(asked, what, timeout)
        except Unreachable:
            return
        reached(f"a report that was sent again was answered with {answer.status}")

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float
    ) -> AsyncIterator[Streamed]:
        asked = HttpRequest(method, path, headers, None)
        try:
            pipe = await self._network.call(
                self._source,
                CALLED.get() or f"follow.{self._number}",
                lambda edge, call: edge.follow(call, asked),
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
