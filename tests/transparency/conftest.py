"""Fixtures: a store of each kind, and a key that signs its audit log."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.core.commands import Submit
from swarmkeeper.settings import Settings
from swarmkeeper.transparency import notes, signer
from swarmkeeper.transparency.checkpoints import origin_of
from swarmkeeper.transparency.notes import SigningKey, VerifierKey
from swarmkeeper.transparency.outside import FileMissing
from tests.http.conftest import Answered, Caller
from tests.support.kept_sessions import _function_scoped_runner  # noqa: F401
from tests.support.postgres import server as postgres

NAME = "swarm.example.org"
ORIGIN = origin_of(NAME, "default")


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/swarm.db" if request.param == "sqlite" else postgres().new_store()


@dataclass
class KeyFile:
    path: Path

    def add(self) -> VerifierKey:
        """Add a new key to the file; return what verifies it for the tenant `default`."""
        key = notes.new_key(NAME, os.urandom(32))
        with self.path.open("a", encoding="utf-8") as file:
            file.write(key.secret() + "\n")
        self.path.chmod(0o600)
        return key.named(ORIGIN).verifier

    def keys(self) -> list[SigningKey]:
        return signer.read_keys(self.path.read_text(encoding="utf-8"))


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "audit.key")


@dataclass
class ServedLog:
    """A server and its published log, for an auditor."""

    swarm: Orchestrator
    auditor: Caller

    async def grow(self, records: int) -> None:
        submits = [Submit(by=OWN, title="hello", spec=b'{"title":"hello"}') for _ in range(records)]
        for begin in range(0, records, 100):
            await self.swarm.engine.do_all(submits[begin : begin + 100])

    async def sign(self) -> None:
        assert self.swarm._signer is not None
        while await self.swarm._signer.sign_all():
            pass

    async def ask(self, path: str) -> Answered:
        return await self.auditor.get(f"/audit/{path}")

    async def get(self, path: str) -> bytes:
        """Implements `Source`."""
        answer = await self.ask(path)
        if answer.status == 404:
            raise FileMissing(path)
        assert answer.status == 200, answer
        return answer.body


@asynccontextmanager
async def served(store_url: str, key_file: KeyFile) -> AsyncIterator[ServedLog]:
    settings = Settings(
        store=store_url,
        audit_key_file=str(key_file.path),
        log_level="error",
        open_tasks=0,
        tasks_a_minute_key=0,
        tasks_a_minute_tenant=0,
    )
    async with Orchestrator(settings) as swarm:
        yield ServedLog(swarm, Caller(swarm.app, await swarm.make_key("auditor")))
