"""The real application on a store in memory, with its engine running, and a caller that uses ASGI."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest
from starlette.types import ASGIApp, Message, Receive

from swarmkeeper.app import Orchestrator
from swarmkeeper.core.commands import CreateKey
from swarmkeeper.core.model import Principal
from swarmkeeper.govern import keys
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.settings import Settings
from tests.http.described import differences

Json = Any


@dataclass
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body) if self.body else None


@dataclass
class _Connection:
    """A server's connection whose `receive` is a method, as in uvicorn."""

    receiving: Receive
    hung_up: asyncio.Event

    @property
    def disconnected(self) -> bool:
        return self.hung_up.is_set()

    async def receive(self) -> Message:
        return await self.receiving()


def path_of(route: StrictRoute) -> str:
    """Return a path of this route: with ids of nothing."""
    path = re.sub(r"\{\w+_id\}", "tsk_0", route.path_format)
    return path.replace("{subtask}", "a").replace("{index}", "0").replace("{name}", "n")


@dataclass
class Caller:
    """Calls the application with one key."""

    app: ASGIApp
    key: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    client: str = "127.0.0.1"
    # Whether the server tells that a caller is gone, as ours does, or `receive` alone does, as in other servers.
    tells: ClassVar[bool] = False

    def with_key(self, key: str | None) -> "Caller":
        return Caller(self.app, key)

    async def get(self, path: str, **headers: str) -> Answered:
        return await self.call("GET", path, headers=headers)

    async def post(self, path: str, body: Json = None, **headers: str) -> Answered:
        return await self.call("POST", path, body, headers=headers)

    async def call(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | list[bytes] | None = None,
        gone: asyncio.Event | None = None,
    ) -> Answered:
        """Make one call; `gone` disconnects. Header names may be written with underscores."""
        pieces: list[Message] = []
        await self.stream(method, path, body, pieces, headers=headers, raw=raw, gone=gone)
        if not pieces:
            return Answered(0, {}, b"")
        names = {name.decode(): value.decode() for name, value in pieces[0]["headers"]}
        answered = Answered(pieces[0]["status"], names, b"".join(each.get("body", b"") for each in pieces[1:]))
        if names.get("content-type") == "application/json" and answered.body:
            assert differences(method, path, answered.status, answered.json) == []
        return answered

    async def stream(
        self,
        method: str,
        path: str,
        body: Json,
        pieces: "list[Message] | asyncio.Queue[Message]",
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | list[bytes] | None = None,
        gone: asyncio.Event | None = None,
    ) -> None:
        sent = {name.replace("_", "-").lower(): value for name, value in {**self.headers, **(headers or {})}.items()}
        if self.key is not None:
            sent.setdefault("x-api-key", self.key)
        if raw is None and body is not None:
            raw = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        chunks = raw if isinstance(raw, list) else [raw or b""]
        bare, _, query = path.partition("?")
        waiting = list(chunks)
        hung_up = gone or asyncio.Event()

        async def receive() -> Message:
            if waiting:
                piece = waiting.pop(0)
                return {"type": "http.request", "body": piece, "more_body": bool(waiting)}
            await hung_up.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if isinstance(pieces, list):
                pieces.append(message)
            else:
                await pieces.put(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(bare),
            "raw_path": bare.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": (self.client, 4711),
            "server": ("swarmkeeper", 80),
            "state": {},
        }
        connection = _Connection(receive, hung_up)
        await self.app(scope, connection.receive if self.tells else receive, send)


@pytest.fixture
def store_url() -> str:
    return "sqlite://:memory:"


@pytest.fixture
async def swarm(store_url: str) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(Settings(store=store_url)) as swarm:
        yield swarm


@pytest.fixture
async def nobody(swarm: Orchestrator) -> Caller:
    return Caller(swarm.app)


@pytest.fixture
async def admin(swarm: Orchestrator) -> Caller:
    return Caller(swarm.app, await swarm.make_key("admin"))


@pytest.fixture
async def client(swarm: Orchestrator) -> Caller:
    return Caller(swarm.app, await swarm.make_key("client"))


async def key_of(swarm: Orchestrator, tenant: str, role: str) -> str:
    """Create a key of any tenant."""
    made = keys.new_key(swarm.entropy.secret(keys.ENTROPY_BYTES))
    digest = keys.digest((await swarm.store.start()).pepper, made.secret)
    by = Principal(tenant, "tests", "admin")
    await swarm.engine.do(CreateKey(by=by, role=role, public_id=made.public_id, digest=digest))
    return made.text


@dataclass
class BotCaller:
    """A bot with a key of its own."""

    call: Caller
    id: str

    async def lease(self, **more: Json) -> Answered:
        return await self.call.post("/leases", {"bot_id": self.id, "wait_seconds": 0, **more})

    async def one(self, **more: Json) -> Json:
        answer = await self.lease(**{"wait_seconds": 5, **more})
        assert answer.status == 200, answer.json
        (lease,) = answer.json["leases"]
        return lease

    async def report(self, lease: Json, **content: Json) -> Answered:
        status = "failed" if "error" in content else "succeeded"
        body = {"bot_id": self.id, "lease_id": lease["lease_id"], "status": status, **content}
        return await self.call.post(f"/tasks/{lease['task_id']}/results", body)


class Fleet:
    """Makes bots, each with its own key."""

    def __init__(self, swarm: Orchestrator) -> None:
        self.swarm = swarm

    async def bot(self, type_: str, name: str | None = None, **more: Json) -> BotCaller:
        name = name or type_.lower()
        key = await self.swarm.make_key(f"bot:{type_.lower()}", bot=name)
        caller = Caller(self.swarm.app, key)
        answer = await caller.post("/bots/register", {"type": type_, "version": "1.0", **more})
        assert answer.status == 201, answer.json
        return BotCaller(caller, answer.json["id"])


@pytest.fixture
async def fleet(swarm: Orchestrator) -> Fleet:
    return Fleet(swarm)
