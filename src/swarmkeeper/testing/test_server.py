"""Test server for the bot conformance kit: a real orchestrator on a loopback port with faults on request, and the bot's
process. The checks are in bot_suite.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swarmkeeper.app import Orchestrator
from swarmkeeper.sdk.client import Client
from swarmkeeper.server import serving
from swarmkeeper.settings import Settings

LEASE_SECONDS = 2.0
OUTPUT_BYTES_MAX = 8_192  # last part of the bot's output, kept for the report
Kind = Literal["register", "claim", "report", "beat", "release", "ask", "other"]
_CALLS: Mapping[Kind, re.Pattern[str]] = {
    "register": re.compile(r"POST /bots/register"),
    "claim": re.compile(r"POST /leases"),
    "report": re.compile(r"POST (/tasks/[^/]+)?/results"),
    "beat": re.compile(r"POST /bots/[^/]+:heartbeat"),
    "release": re.compile(r"POST /leases/[^/]+:release"),
    "ask": re.compile(r"POST /leases/[^/]+:ask"),
}


@dataclass(slots=True, eq=False)
class RecordedCall:
    """A request of the bot, and its answer."""

    kind: Kind
    at: float  # seconds of the event loop's clock
    body: Any
    status: int = 0  # 0: the connection was cut
    answer: Any = None


@dataclass(slots=True, eq=False)
class InjectedFault:
    """A fault for calls of one kind; it happens `times` times."""

    of: Kind
    do: Literal["lose", "refuse", "garble", "hold", "extend", "repeat"]
    times: int = 1
    status: int = 503  # of a refusal
    only_leases: bool = False  # do not apply it to claims without leases
    met: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[RecordedCall] = field(default_factory=list)  # to which it was applied
    release: asyncio.Event = field(default_factory=asyncio.Event)  # set it to continue held calls


class TestServer:
    """The orchestrator of one bot under test. It applies faults between its HTTP server and its application."""

    __test__ = False  # not a class of tests

    url: str
    swarm: Orchestrator
    client: Client
    hang_up: Callable[[tuple[str, int]], None]  # cuts the connection of a client
    _app: ASGIApp

    def __init__(self) -> None:
        self.calls: list[RecordedCall] = []
        self._faults: list[InjectedFault] = []

    def arrange(self, fault: InjectedFault) -> InjectedFault:
        self._faults.append(fault)
        return fault

    def calm(self) -> None:
        """Remove all faults, and continue held calls."""
        for fault in self._faults:
            fault.release.set()
        self._faults.clear()

    def of(self, kind: Kind, since: int = 0) -> list[RecordedCall]:
        return [call for call in self.calls[since:] if call.kind == kind]

    # ---- between the server and the application --------------------------------------------------------------------

    def around(self, app: ASGIApp) -> ASGIApp:
        self._app = app
        return self._call

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kind = _kind(scope)
        body = await _body(receive)
        call = RecordedCall(kind, asyncio.get_running_loop().time(), _json(body))
        self.calls.append(call)
        before = self._fault(kind, "refuse", "hold")
        if before is not None:
            self._count(before, call)
            if before.do == "refuse":
                call.status = before.status
                problem = {"type": "about:blank", "title": "tried", "status": call.status, "code": "overloaded"}
                content = json.dumps({**problem, "retryable": True}).encode()
                await _answer(send, call.status, content, retry_after="1")
                return
            await before.release.wait()
        await self._pass(scope, body, receive, send, call)

    def _fault(self, kind: Kind, *of: str) -> InjectedFault | None:
        return next((fault for fault in self._faults if fault.of == kind and fault.do in of and fault.times > 0), None)

    async def _pass(self, scope: Scope, body: bytes, receive: Receive, send: Send, call: RecordedCall) -> None:
        """Let the application answer, and apply a fault to the answer."""
        sent: list[Message] = []

        async def gather(message: Message) -> None:
            sent.append(message)

        await self._app(scope, _receiving(body, receive), gather)
        content = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
        call.status, call.answer = sent[0]["status"] if sent else 0, _json(content)
        fault = self._fault(call.kind, "lose", "garble", "extend", "repeat")
        if fault is None or not _applies(fault, call):
            for message in sent:
                await send(message)
            return
        self._count(fault, call)
        match fault.do:
            case "lose":
                call.status = 0
                self.hang_up(tuple(scope["client"]))
            case "garble":
                call.status = 502
                await _answer(send, 502, b"<html><body>bad gateway</body></html>", media_type="text/html")
            case "extend":
                await _answer(send, call.status, json.dumps(_extended(call.answer)).encode())
            case "repeat":
                twice = {**call.answer, "leases": call.answer["leases"] * 2}
                await _answer(send, 200, json.dumps(twice).encode())

    def _count(self, fault: InjectedFault, call: RecordedCall) -> None:
        fault.times -= 1
        fault.calls.append(call)
        fault.met.set()


@asynccontextmanager
async def running_test_server(*, lease_seconds: float = LEASE_SECONDS) -> AsyncIterator[TestServer]:
    """Run an orchestrator on a free port. A longer lease is kept by a bot whose machine stalls for seconds."""
    settings = Settings(
        store="sqlite://:memory:",
        host="127.0.0.1",
        port=0,
        log_level="error",
        lease_seconds=lease_seconds,
        four_eyes=False,  # the bot and the person who tests it have one key
    )
    server = TestServer()
    async with serving(settings, around=server.around) as served, served.swarm.client() as client:
        server.url, server.swarm, server.client, server.hang_up = served.url, served.swarm, client, served.hang_up
        yield server
        server.calm()


def _applies(fault: InjectedFault, call: RecordedCall) -> bool:
    if fault.only_leases or fault.do == "repeat":
        return call.kind == "claim" and isinstance(call.answer, dict) and bool(call.answer.get("leases"))
    return fault.do != "extend" or isinstance(call.answer, dict)


def _kind(scope: Scope) -> Kind:
    call = f"{scope['method']} {scope['path']}"
    return next((kind for kind, pattern in _CALLS.items() if pattern.fullmatch(call)), "other")


def _extended(answer: dict[str, Any]) -> dict[str, Any]:
    """Add a field to each record, as a later release might. Free-form objects stay unchanged."""
    new = {"of_a_later_release": {"n": 1}}
    leases = [
        {**lease, **new, **{name: {**lease[name], **new} for name in ("task", "subtask") if lease.get(name)}}
        for lease in answer.get("leases") or []
    ]
    return {**answer, **new, **({"leases": leases} if leases else {})}


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return b"".join(chunks)


def _receiving(body: bytes, receive: Receive) -> Receive:
    begun = False

    async def again() -> Message:
        nonlocal begun
        if not begun:
            begun = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


async def _answer(
    send: Send, status: int, content: bytes, *, media_type: str = "application/json", retry_after: str | None = None
) -> None:
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(content)).encode())]
    if retry_after is not None:
        headers.append((b"retry-after", retry_after.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


# ---- the bot's own process -----------------------------------------------------------------------------------------


def command_of(target: str | Sequence[str]) -> list[str]:
    """Return the command that starts a bot: `target` is FILE_OR_MODULE:CLASS or a command as a list of words."""
    if not isinstance(target, str):
        return list(target)
    start = "from swarmkeeper.cli.main import main; main()"
    return [sys.executable, "-c", start, "bot", "run", target]


class Process:
    """A bot's process and its output."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._output = bytearray()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str]) -> Process:
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,  # so that its child processes are killed with it
            )
        )

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    @property
    def said(self) -> str:
        return bytes(self._output).decode("utf-8", "replace")

    def ask_to_stop(self) -> None:
        if self.alive:
            self._process.send_signal(signal.SIGTERM)

    async def ended(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    async def kill(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it and its child processes have ended
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None, "the process has a pipe"
        while chunk := await self._process.stdout.read(4096):
            self._output += chunk
            del self._output[:-OUTPUT_BYTES_MAX]


async def soon(what: Callable[[], bool | Awaitable[bool]], seconds: float) -> bool:
    """Poll `what` until it is true, for at most `seconds`; return whether it became true."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = what()
                if found if isinstance(found, bool) else await found:
                    return True
                await asyncio.sleep(0.05)
    except TimeoutError:
        return False
