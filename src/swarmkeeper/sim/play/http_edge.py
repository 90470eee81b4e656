"""The network as the SDK sees it at the second level, and the edge behind it: the real HTTP application, called in
memory on the orchestrator's host. What goes wrong on the way is the simulated network's business, request by request.

What is answered is held against what is committed (`Oracle`), from outside: only what any caller could read is looked
at.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from swarmkeeper.core.ports import Changes, StoreUnavailable
from swarmkeeper.sdk.errors import Unreachable
from swarmkeeper.sdk.transport import Response, Streamed
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.faults import Fault
from swarmkeeper.sim.kernel.loop import Host
from swarmkeeper.sim.kernel.network import Call, ClientGone, Network, NoAnswer
from swarmkeeper.sim.oracle.model import Model
from swarmkeeper.sim.oracle.seen import LeaseSeen
from swarmkeeper.sim.oracle.tenant_isolation import ID

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

# How a request is called in names of faults, where whoever makes it knows better than the path.
CALLED: contextvars.ContextVar[str] = contextvars.ContextVar("swarmkeeper_sim_called", default="")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def bare(self) -> str:
        return self.path.partition("?")[0]

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else {}


EventSeen = tuple[str, str, str | None]  # what an event says happened, its audit record, its task


class HttpModel(Model):
    """The shadow model, which also remembers what was leased, for the SDK tells a bot less than its choices go by, and
    what was told, for whoever follows the feed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.leased: dict[str, LeaseSeen] = {}
        self.told_to: dict[str, list[EventSeen]] = defaultdict(list)  # by tenant
        self.told_at: dict[str, list[int]] = defaultdict(list)  # when each was, of the loop's time

    def committed(self, saved: Sequence[Changes]) -> None:
        super().committed(saved)
        for changes in saved:
            self._lease(changes)
            for event in changes.events:
                self.told_to[event.tenant].append((event.kind, event.audit, event.task))
                self.told_at[event.tenant].append(self._loop.now)

    def _lease(self, changes: Changes) -> None:
        for lease in changes.leases.values():
            if lease.lease_id in self.leased:
                continue
            item = self.works[lease.work]
            self.leased[lease.lease_id] = LeaseSeen.of(lease, item, self.title(item.task))

    def label_of(self, lease_id: str) -> str:
        lease = self.leased.get(lease_id)
        return lease_id if lease is None else lease.label


class Oracle:
    """Whether an answer is one that may be given."""

    def __init__(self, model: HttpModel) -> None:
        self._model = model

    def before(self, asked: Asked) -> int:
        """What is to be remembered while a request is carried out: the version of a task that is looked at."""
        task = self._model.tasks.get(_segment(asked.bare, 2)) if asked.method == "GET" else None
        by = self._by(asked)
        return 0 if task is None or (by is not None and task.tenant != by) else task.version

    def _by(self, asked: Asked) -> str | None:
        """Whose key it comes with, where there is more than one tenant."""
        isolation = self._model.isolation
        return None if isolation is None else isolation.key_holders.get(asked.headers.get("x-api-key", ""))

    def answered(self, asked: Asked, answer: Response, version_before: int) -> None:
        kind, verb = _kind(asked), asked.bare.rpartition(":")[2]
        if answer.status >= 500 and answer.status != 503:
            self.broken("0.fault", asked.bare, f"it is answered with {answer.status}")
        if self._model.isolation is not None:
            known = {*ID.findall(asked.path), *ID.findall((asked.body or b"").decode())}
            words = ID.findall(answer.body.decode())
            self._model.isolation.told(self._by(asked), [one for one in words if one not in known], asked.bare)
        if answer.status not in (200, 201):
            if answer.status == 404 and kind == "look" and version_before:
                self.broken("7.acknowledged", asked.bare, "a task that was committed is not there")
            return
        told = json.loads(answer.body)
        self._granted(asked, told)
        match kind:
            case "submit":
                self._submitted(told["id"], told["title"])
            case "look":
                self._seen(told, answer.headers, version_before)
            case "report":
                self._reported(asked.json["lease_id"], asked.json["bot_id"])
            case "reports":
                for sent, one in zip(asked.json["results"], told["results"], strict=True):
                    if one["accepted"]:
                        self._reported(sent["lease_id"], asked.json["bot_id"])
            case "beat":
                self._beaten(_segment(asked.bare, 2).partition(":")[0], told)
            case "lease_ends":
                lease_id = _segment(asked.bare, 2).partition(":")[0]
                if lease_id not in self._model.attempts:
                    self.broken("7.acknowledged", self._model.label_of(lease_id), f"{verb}: the lease has no end")
            case _:
                pass

    def broken(self, invariant: str, entity: str, why: str) -> None:
        self._model.broken(invariant, entity, why)

    def _submitted(self, task_id: str, title: str) -> None:
        if task_id not in self._model.tasks:
            self.broken("7.acknowledged", title, "the task is not stored")
        elif self._model.tasks[task_id].title != title:
            self.broken("7.acknowledged", title, "it is answered with another task")
        else:
            self._model.acknowledged[title] = task_id

    def _seen(self, told: Mapping[str, Any], headers: Mapping[str, str], before: int) -> None:
        """A task reads as it was at some moment between the question and the answer."""
        task = self._model.tasks.get(told["id"])
        version = int(headers["etag"].strip('"'))
        if task is None:
            self.broken("7.durable", told["title"], "it is shown, and was never committed")
        elif not before <= version <= task.version:
            self.broken("7.durable", task.title, f"version {version} is shown, {before} to {task.version} were there")
        elif version == task.version and told["status"] != task.status:
            self.broken("7.durable", task.title, f"it reads as {told['status']}, {task.status} was committed")

    def _reported(self, lease_id: str, bot: str) -> None:
        attempt = self._model.attempts.get(lease_id)
        if attempt is None:
            label = self._model.label_of(lease_id)
            self.broken("2.fence", label, "a report is accepted, and its lease did not end with it")
        elif attempt.bot != bot:
            label = self._model.label(attempt.work)
            self.broken("2.fence", label, "a report is accepted from a bot that has not the lease")

    def _beaten(self, bot: str, told: Mapping[str, Any]) -> None:
        for one in told["leases"]:
            if one["directive"] == "continue" and self._model.holders.get(one["lease_id"]) != bot:
                self.broken("2.fence", one["lease_id"], "a bot goes on with a lease that it was never granted")

    def _granted(self, asked: Asked, told: Any) -> None:
        if _kind(asked) not in ("lease", "report", "reports"):
            return
        for lease in told["leases"]:
            if self._model.holders.get(lease["lease_id"]) != asked.json["bot_id"]:
                self.broken("7.acknowledged", lease["lease_id"], "a lease is handed out that is not stored")


def _kind(asked: Asked) -> str:
    """What a request is about, as far as its answer can be checked."""
    parts = asked.bare.strip("/").split("/")
    match asked.method, parts:
        case "POST", ["tasks"]:
            return "submit"
        case "GET", ["tasks", task] if ":" not in task:
            return "look"
        case "POST", ["tasks", _, "results"]:
            return "report"
        case "POST", ["results"]:
            return "reports"
        case "POST", ["leases"]:
            return "lease"
        case "POST", ["leases", _]:
            return "lease_ends"
        case "POST", ["bots", "register"]:
            return "register"
        case "POST", ["bots", bot] if bot.endswith(":heartbeat"):
            return "beat"
        case _:
            return ""


def _segment(path: str, place: int) -> str:
    parts = path.split("/")
    return parts[place] if len(parts) > place else ""


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
        self._oracle = Oracle(model)
        self._pipes: list[Pipe] = []

    def gone(self) -> None:
        """Its process is: connections break."""
        for pipe in self._pipes:
            pipe.cut()

    async def follow(self, call: Call, asked: Asked) -> Pipe:
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

    async def _flow(self, call: Call, asked: Asked, pipe: Pipe) -> None:
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

    async def ask(self, call: Call, asked: Asked) -> Response:
        """Carry out one request, as a server does: the application hears when its caller is gone."""
        before = self._oracle.before(asked)
        said = await self._said(call, asked)
        if said is None:
            if call.gone.is_set():
                raise ClientGone
            raise RuntimeError("the application ended without an answer")
        self._oracle.answered(asked, said, before)
        return said

    async def _said(self, call: Call, asked: Asked) -> Response | None:
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


def _hearing(call: Call, asked: Asked) -> Callable[[], Awaitable[MutableMapping[str, Any]]]:
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


def _scope(asked: Asked) -> MutableMapping[str, Any]:
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
        asked = Asked(method, path, headers, body)
        if self.muted and _kind(asked) == "beat":
            asked = self._without_muted(asked)
        what = CALLED.get() or self._called(asked)
        self._send_again(asked, what, timeout)
        return await self._send(asked, what, timeout)

    async def _send(self, asked: Asked, what: str, timeout: float) -> Response:
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

    def _called(self, asked: Asked) -> str:
        """`report.t7/a`: as the first level calls the same request."""
        match _kind(asked):
            case "register" | "lease" | "beat" as kind:
                return f"{kind}.{self._number}"
            case "report":
                return f"report.{self._model.label_of(asked.json['lease_id'])}"
            case "reports":
                return f"report.{self._model.label_of(asked.json['results'][0]['lease_id'])}"
            case "lease_ends":
                lease_id, _, verb = _segment(asked.bare, 2).partition(":")
                return f"{verb}.{self._model.label_of(lease_id)}"
            case _:
                return f"fetch.{self._model.title(_segment(asked.bare, 2))}"

    def _without_muted(self, asked: Asked) -> Asked:
        """What is muted is not told of. A heartbeat that has nothing to tell is an empty one: the bot lives."""
        told = asked.json
        kept = [one for one in told["leases"] if one["lease_id"] not in self.muted]
        return replace(asked, body=json.dumps({**told, "leases": kept}).encode())

    def _send_again(self, asked: Asked, what: str, timeout: float) -> None:
        if not self.again or _kind(asked) not in ("report", "reports"):
            return
        sent = [asked.json] if _kind(asked) == "report" else asked.json["results"]
        for one in sent:
            if found := self.again.pop(one["lease_id"], None):
                fault, base = found
                self._host.start(self._later(asked, what, timeout, fault.amount(base)))

    async def _later(self, asked: Asked, what: str, timeout: float, seconds: float) -> None:
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
        asked = Asked(method, path, headers, None)
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
