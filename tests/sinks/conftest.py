"""Fixtures: certificates, a receiver of each kind, and what writes a file of sinks."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.outgoing import owned
from swarmkeeper.settings import Settings
from swarmkeeper.sinks import reader
from tests.http.conftest import Caller
from tests.sinks.receivers import KINDS, Certificates, Receiver
from tests.support.postgres import server as postgres

# A server that could not let go of its sink keeps others away for 15 s, and this machine may have other work.
SECONDS = 60
MEMORY = "sqlite://:memory:"
WriteSinks = Callable[..., Path]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.made(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=KINDS, ids=lambda each: str(each.kind))
async def receiver(
    request: pytest.FixtureRequest, tmp_path: Path, certificates: Certificates
) -> AsyncIterator[Receiver]:
    made: Receiver = request.param(tmp_path, certificates)
    await made.start()
    yield made
    await made.kill()


@pytest.fixture
def sinks_file(tmp_path: Path) -> WriteSinks:
    """Write a file with one sink for each receiver; further keys are for all of them."""

    def write(*receivers: Receiver, **more: Any) -> Path:
        path = tmp_path / "sinks.toml"
        path.write_text(
            "\n".join(table_of(each.kind, {"kind": each.kind, **each.table(), **more}) for each in receivers)
        )
        return path

    return write


def table_of(name: str, keys: dict[str, Any]) -> str:
    # JSON's texts, numbers, booleans and lists are those of TOML.
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items() if not isinstance(value, dict)]
    for key, inner in keys.items():
        if isinstance(inner, dict):
            pairs = ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in inner.items())
            lines.append(f"{key} = {{ {pairs} }}")
    return "\n".join([f"[sink.{name}]", *lines, ""])


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/swarm.db" if request.param == "sqlite" else postgres().new_store()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sinks wait only briefly where they wait."""
    monkeypatch.setattr(owned, "WAIT_SECONDS_MAX", 0.5)
    monkeypatch.setattr(owned, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(owned, "TAKE_OVER_SECONDS", 0.2)
    monkeypatch.setattr(reader, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(reader, "STOPPED_SECONDS", 0.4)


def settings(store_url: str, file: Path, **more: Any) -> Settings:
    return Settings(store=store_url, sinks=str(file), log_format="json", **more)


async def log_of(swarm: Orchestrator) -> list[dict[str, Any]]:
    """Return the whole audit log of the default tenant, as the API gives it."""
    auditor = Caller(swarm.app, await swarm.make_key("auditor"))
    found: list[dict[str, Any]] = []
    while True:
        after = f"&after={found[-1]['index']}" if found else ""
        page = (await auditor.get(f"/audit?page_size=200{after}")).json["items"]
        if not page:
            return found
        found += page


def audits(events: list[dict[str, Any]], tenant: str = "default") -> list[dict[str, Any]]:
    """Return the audit records of a tenant among the events, each once, in the order of their first arrival."""
    found = {(e["source"], e["id"]): e for e in reversed(events) if ".audit." in e["type"] and e["tenant"] == tenant}
    order = dict.fromkeys((e["source"], e["id"]) for e in events)
    return [found[key]["data"] for key in order if key in found]


def indices(events: list[dict[str, Any]], tenant: str = "default") -> list[int]:
    """Return the places in the tenant's log of the audit records among the events, in the order of their arrival."""
    return [record["index"] for record in audits(events, tenant)]


async def until_there(receiver: Receiver, last: int, tenant: str = "default") -> list[dict[str, Any]]:
    """Wait for the tenant's audit record with this index; return everything that was received."""
    async with asyncio.timeout(SECONDS):
        while True:
            events = await receiver.received()
            if any(record.get("index") == last for record in audits(events, tenant)):
                return events
            await asyncio.sleep(0.05)


async def nothing_is_lost(swarm: Orchestrator, receiver: Receiver) -> list[dict[str, Any]]:
    """Wait until the whole log of the default tenant is there, check its order, and return what was received."""
    shown = await log_of(swarm)
    events = await until_there(receiver, shown[-1]["index"])
    assert indices(events)[: len(shown)] == list(range(len(shown)))
    return events


async def said(capfd: pytest.CaptureFixture[str], event: str, so_far: list[str]) -> dict[str, Any]:
    """Wait for a line of the log, and return it."""
    async with asyncio.timeout(SECONDS):
        while True:
            so_far += capfd.readouterr().err.splitlines()
            for line in so_far:
                if f'"event": "{event}"' in line:
                    found: dict[str, Any] = json.loads(line)
                    return found
            await asyncio.sleep(0.05)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(SECONDS):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.05)


async def work(swarm: Orchestrator, count: int, *, tenant: str = "default", title: str = "t") -> None:
    client = Caller(swarm.app, await swarm.make_key("client", tenant=tenant))
    for _ in range(count):
        task = {"title": title, "subtasks": [{"key": "a", "description": "d"}], "evaluation": "none"}
        assert (await client.post("/tasks", task)).status == 201
