"""An operation on many tasks survives the death of its server: it goes on, and each task is dealt with once."""

import asyncio
import signal
from pathlib import Path

import pytest

from swarmkeeper import Client
from swarmkeeper.testing.test_server import soon
from tests.cli.shell import Server
from tests.support.postgres import server

TASKS = 400


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}" if request.param == "sqlite" else server().new_store()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def started(store: str, folder: Path) -> tuple[Server, str]:
    environ = {"SWARMKEEPER_PEPPER": "a pepper that is not in the store"} if store.startswith("postgresql") else {}
    served = Server("serve", "--store", store, "--port", "0", "--json", folder=folder, environ=environ)
    return served, served.first_line()["url"]


@pytest.fixture
def key(store: str, folder: Path) -> str:
    served, _ = started(store, folder)
    environ = {"SWARMKEEPER_PEPPER": "a pepper that is not in the store"} if store.startswith("postgresql") else {}
    made = Server("key", "create", "--store", store, "--role", "admin", "--json", folder=folder, environ=environ)
    text: str = made.first_line()["key"]
    assert made.end() == 0
    served.stop()
    return text


async def test_an_operation_goes_on_after_kill_9(store: str, folder: Path, key: str) -> None:
    served, url = started(store, folder)
    async with Client(url, key) as client:
        tasks: list[str] = []
        for _ in range(TASKS // 100):
            made = await client.submit_many([{"title": "t", "planner_skills": ["none"]}] * 100)
            tasks += [item.task.id for item in made if item.task is not None]
        operation = await client.bulk("cancel", ids=tasks, idempotency_key="once")

        async def in_the_middle() -> bool:
            return (await client.operation(operation.id)).progress.done >= 24

        assert await soon(in_the_middle, 20)
    served.stop(signal.SIGKILL)

    served, url = started(store, folder)
    try:
        async with Client(url, key) as client:
            begun = (await client.operation(operation.id)).progress
            assert 0 < begun.left < TASKS  # otherwise the rest of this test proves nothing
            again = await client.bulk("cancel", ids=tasks, idempotency_key="once")
            assert again.id == operation.id

            async def is_over() -> bool:
                return (await client.operation(operation.id)).state == "ended"

            assert await soon(is_over, 60)
            ended = await client.operation(operation.id)
            assert (ended.progress.done, ended.progress.refused) == (TASKS, 0)
            records = [record.task_id async for record in client.audit(action="task.cancel")]
            assert sorted(filter(None, records)) == sorted(tasks)  # each once
            assert len([each async for each in client.audit(action="tasks.bulk")]) == 1
    finally:
        await asyncio.to_thread(served.stop)
