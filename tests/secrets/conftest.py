"""A server with a secrets broker, an administrator, and bots that hold leases on work with references."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.settings import Settings
from tests.http.conftest import Answered, Caller
from tests.support.kept_sessions import _function_scoped_runner  # noqa: F401
from tests.support.postgres import server

Json = Any
SECOND = 1_000_000
VALUE = "Tr0ub4dor and 3 friends"  # no rule knows it


class Forward(SystemClock):
    """A clock that can be moved forward."""

    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead

    def monotonic(self) -> int:
        return super().monotonic() + self.ahead


@dataclass
class Bot:
    call: Caller
    id: str
    name: str
    lease: Json = None

    async def take(self) -> Json:
        """Lease one work item, which must be ready."""
        answer = await self.call.post("/leases", {"bot_id": self.id, "wait_seconds": 0})
        (self.lease,) = answer.json["leases"]
        return self.lease

    async def resolve(self, *names: str, lease: str | None = None) -> Answered:
        lease_id = self.lease["lease_id"] if lease is None else lease
        return await self.call.post(f"/leases/{lease_id}/secrets:resolve", {"names": list(names)})

    async def values(self, *names: str) -> list[str]:
        answer = await self.resolve(*names)
        assert answer.status == 200, answer.json
        return [secret["value"] for secret in answer.json["secrets"]]

    async def tell(self, **payload: Json) -> None:
        body = {"lease_id": self.lease["lease_id"], "payload": payload}
        answer = await self.call.post(f"/tasks/{self.lease['task_id']}/messages", body)
        assert answer.status in (200, 201), answer.json

    async def beat(self, message: str) -> None:
        part = {"lease_id": self.lease["lease_id"], "progress": {"fraction": 0.5, "message": message, "log": [message]}}
        answer = await self.call.post(f"/bots/{self.id}:heartbeat", {"leases": [part]})
        assert answer.status == 200, answer.json

    async def report(self, **content: Json) -> Answered:
        status = "failed" if "error" in content else "succeeded"
        body = {"bot_id": self.id, "lease_id": self.lease["lease_id"], "status": status, **content}
        return await self.call.post(f"/tasks/{self.lease['task_id']}/results", body)


@dataclass
class Swarm:
    orchestrator: Orchestrator
    admin: Caller
    clock: Forward

    async def put(self, name: str, value: str = VALUE, by: Caller | None = None) -> Answered:
        return await (by or self.admin).call("PUT", f"/secrets/{name}", {"value": value})

    async def bot(self, name: str = "worker", type_: str = "Executor", tenant: str = "default", *skills: str) -> Bot:
        role = f"bot:{type_.lower()}"
        key = await self.orchestrator.make_key(role, bot=name, owner=name, tenant=tenant)
        call = Caller(self.orchestrator.app, key)
        body = {"type": type_, "version": "1", "skills": list(skills or ("work",)), "capacity": 8}
        answer = await call.post("/bots/register", body)
        assert answer.status in (200, 201), answer.json
        return Bot(call, answer.json["id"], name)

    async def submit(self, *references: str, by: Caller | None = None, skill: str = "work", **more: Json) -> str:
        subtask = {
            "key": "use",
            "description": "use it",
            "required_skills": [skill],
            "input": {"with": [f"secret://{reference}" for reference in references]},
        }
        answer = await (by or self.admin).post("/tasks", {"title": "t", "subtasks": [subtask], **more})
        assert answer.status == 201, answer.json
        task: str = answer.json["id"]
        return task

    async def at_work(self, *references: str, **more: Json) -> Bot:
        """Return a bot that holds a lease on work with these references."""
        bot = await self.bot()
        await self.submit(*references, **more)
        await bot.take()
        return bot


@dataclass
class Files:
    """The files of a broker."""

    folder: Path

    def key(self, number: int = 1, name: str = "keys") -> str:
        return self.keys(name, number)

    def keys(self, name: str, *numbers: int) -> str:
        text = "\n".join(base64.b64encode(bytes([number]) * 32).decode() for number in numbers)
        return self.private(name, text)

    def config(self, text: str) -> str:
        return self.private("secrets.toml", text)

    def private(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return str(path)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db" if request.param == "sqlite" else server().new_store()


@asynccontextmanager
async def running(store: str, **settings: Any) -> AsyncIterator[Swarm]:
    clock = Forward()
    async with Orchestrator(Settings(store=store, log_level="error", **settings), clock=clock) as orchestrator:
        yield Swarm(orchestrator, Caller(orchestrator.app, await orchestrator.make_key("admin")), clock)


@pytest.fixture
async def swarm(store: str, files: Files) -> AsyncIterator[Swarm]:
    async with running(store, secrets_key_file=files.key()) as started:
        yield started
