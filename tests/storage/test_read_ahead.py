"""A store in PostgreSQL reads what a task shows with one statement: it shows the same as reads one after another."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.core import named_reads
from swarmkeeper.core.answers import not_replayed
from swarmkeeper.core.commands import Cancel, Register, Submit
from swarmkeeper.core.model import SubtaskSpec, VerdictRecord
from swarmkeeper.core.ports import NotReadAhead, ReadsAhead
from swarmkeeper.core.states import Decision
from swarmkeeper.reads.queries import Queries
from swarmkeeper.settings import Settings
from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.storage.sqlite import SqliteStore
from tests.bench.test_costs import PLAN, work
from tests.support.at_rest import key_file
from tests.support.postgres import server

RESULTS: dict[str, dict[str, Any]] = {
    "Planner": {"plan": PLAN},
    "Executor": {"output": b'{"hash":"0"}'},
    "Evaluator": {"verdict": VerdictRecord(Decision.ACCEPT)},
}


@pytest.fixture
def store() -> str:
    return server().new_store()


@pytest.fixture
def key() -> str:
    return ""


@pytest_asyncio.fixture
async def swarm(store: str, key: str) -> AsyncIterator[Orchestrator]:
    settings = Settings(store=store, log_level="error", four_eyes=False, encryption_key=key)
    async with Orchestrator(settings) as swarm:
        yield swarm


class TestEncrypted:
    @pytest.fixture
    def key(self, tmp_path: Path) -> str:
        return key_file(tmp_path / "master")

    async def test_inputs_are_opened(self, swarm: Orchestrator) -> None:
        task = not_replayed(
            await swarm.engine.do(
                Submit(by=OWN, title="hello", spec=b'{"title":"hello"}', subtasks=(SubtaskSpec("a", "grow roses"),))
            )
        )
        at_once = None
        for _ in range(2):
            one_by_one = await queries_of(swarm).task(OWN, task)
            at_once = await queries_of(swarm).small_task(OWN, task)
            assert at_once == one_by_one

        assert "grow roses" in json.dumps(at_once)


async def submitted(swarm: Orchestrator) -> str:
    return not_replayed(await swarm.engine.do(Submit(by=OWN, title="hello", spec=b'{"title":"hello"}')))


async def steps(swarm: Orchestrator) -> AsyncIterator[None]:
    """Take one piece of work of a task at a time, until there is none."""
    bots = {}
    for kind in RESULTS:
        command = Register(by=OWN, type=kind, version="1", name=kind, capacity=1)
        bots[kind], _ = not_replayed(await swarm.engine.do(command))
    yield
    for kind in ("Planner", *["Executor"] * len(PLAN), "Evaluator"):
        await work(swarm.engine, bots[kind], 1, **RESULTS[kind])
        yield


def queries_of(swarm: Orchestrator) -> Queries:
    return swarm._reading_thread._reads.queries


@pytest.fixture
def statements(swarm: Orchestrator, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return a function that returns the statements of the store's readers since it was last called."""
    seen: list[str] = []
    store = swarm.store
    assert isinstance(store, PostgresStore)
    connect = store._connect

    async def watched(*, writing: bool) -> Any:
        connection = await connect(writing=writing)
        connection.add_query_logger(lambda query: seen.append(query.query))
        return connection

    monkeypatch.setattr(store, "_connect", watched)

    def taken() -> list[str]:
        found, seen[:] = list(seen), []
        return found

    return taken


async def test_a_task_shows_the_same_at_every_step_of_its_life(swarm: Orchestrator) -> None:
    task = await submitted(swarm)
    shown = []
    async for _ in steps(swarm):
        at_once = await queries_of(swarm).small_task(OWN, task)
        assert at_once == await queries_of(swarm).task(OWN, task)
        shown.append(at_once[0]["status"])

    assert (shown[0], shown[-1]) == ("CREATED", "ARCHIVED")
    assert len(set(shown)) >= 3


async def test_a_task_that_goes_well_is_read_with_one_statement(
    swarm: Orchestrator, statements: Callable[[], list[str]]
) -> None:
    task = await submitted(swarm)
    async for _ in steps(swarm):
        pass
    assert isinstance(swarm.store, PostgresStore)
    swarm.store._idle.clear()
    await queries_of(swarm).task(OWN, task)
    assert len(statements()) >= 4  # one after another: begin, the task, its subtasks, its results, commit
    await queries_of(swarm).small_task(OWN, task)  # the connection learns types of columns
    statements()

    await queries_of(swarm).small_task(OWN, task)

    assert len(statements()) == 1


async def test_other_reads_of_the_same_moment_are_refused(swarm: Orchestrator) -> None:
    task = await submitted(swarm)
    assert isinstance(swarm.store, PostgresStore)
    await queries_of(swarm).task(OWN, task)
    ahead = await swarm.store.read_ahead([(named_reads.TASK_ROW, {"tenant": OWN.tenant, "task": task})])
    assert ahead is not None

    with pytest.raises(NotReadAhead):
        await ahead.read(named_reads.TASK_ROW, {"tenant": "another", "task": task})
    with pytest.raises(NotReadAhead):
        await ahead.read(named_reads.GRAPH_EDGES, {"task": task})
    with pytest.raises(NotReadAhead):  # it was there when the task was read, and is not now
        await ahead.read(named_reads.PAYLOADS, {"ids": '["pay_gone"]'})


async def test_a_task_that_failed_shows_why(swarm: Orchestrator) -> None:
    task = await submitted(swarm)
    await queries_of(swarm).task(OWN, task)
    await swarm.engine.do(Cancel(by=OWN, task=task))

    shown, _ = await queries_of(swarm).small_task(OWN, task)

    assert shown == (await queries_of(swarm).task(OWN, task))[0]


def test_only_a_store_in_a_server_reads_ahead() -> None:
    assert issubclass(PostgresStore, ReadsAhead)
    assert not issubclass(SqliteStore, ReadsAhead)
