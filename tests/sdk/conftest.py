"""Fixtures: a real orchestrator in this process, and checks for tests of code that starts processes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from swarmkeeper import BaseBot, Client, Context
from swarmkeeper.app import Orchestrator
from swarmkeeper.sdk.processes import subprocesses
from swarmkeeper.sdk.runner import serve
from swarmkeeper.settings import Settings
from tests.sdk.alive import Alive
from tests.sdk.bot_thread import Serving
from tests.support.async_forks import fork_programs


@pytest.fixture
async def swarm() -> AsyncIterator[Orchestrator]:
    async with Orchestrator(Settings(store="sqlite://:memory:", log_level="error", four_eyes=False)) as swarm:
        yield swarm


@pytest.fixture
def client(swarm: Orchestrator) -> Client:
    return swarm.client()


@pytest.fixture
def serving(client: Client) -> Serving:
    """Serve bots while a block lasts."""

    @asynccontextmanager
    async def run(*bots: BaseBot) -> AsyncIterator[None]:
        stop = asyncio.Event()
        served = asyncio.create_task(serve(bots, client, stop=stop, drain_seconds=5))
        try:
            yield
        finally:
            stop.set()
            await served

    return run


@pytest.fixture
def context() -> Context:
    return Context(task_id="tsk_1", work_id="sub_1", lease_id="lse_1", attempt=1)


@pytest.fixture
def alive(tmp_path: Path) -> Iterator[Alive]:
    alive = Alive(tmp_path)
    yield alive
    alive.close()


@pytest.fixture
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give programs less time to end, so that tests of programs that do not end are quick."""
    monkeypatch.setattr(subprocesses, "GRACE_SECONDS", 0.1)


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let bots that a test starts as processes be forks."""
    fork_programs(monkeypatch)
