"""Small tasks are read on the event loop, others on the reading thread, with the same answers."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.core.model import AttemptRecord, LeaseRecord, Principal, TaskRecord
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.states import AttemptOutcome
from swarmkeeper.reads import reading_thread
from swarmkeeper.reads.reading_thread import SMALL_BYTES, SMALL_ROWS, SmallTasks
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller, Fleet

Json = Any


@pytest.fixture
async def swarm(tmp_path: Path) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(Settings(store=f"sqlite:///{tmp_path / 's.db'}", log_level="error")) as swarm:
        yield swarm


def record(version: int = 1, **fields: Any) -> TaskRecord:
    task = TaskRecord.__new__(TaskRecord)  # only these fields are looked at
    task.id, task.version, task.n_total, task.failure = "tsk_1", version, 0, None
    for name, value in fields.items():
        setattr(task, name, value)
    return task


def changes(task: TaskRecord | None = None, size: int | None = None, **fields: Any) -> Changes:
    payloads: dict[str, tuple[str, bytes] | None] = {} if size is None else {"p": ("tsk_1", b" " * size), "gone": None}
    return Changes(tasks={} if task is None else {task.id: task}, payloads=payloads, **fields)


def attempt(**fields: Any) -> AttemptRecord:
    plain = AttemptRecord("sub_1", "tsk_1", "t", 1, "lse_1", "bot_1", 0, 1, AttemptOutcome.SUCCEEDED)
    return replace(plain, **fields)


def known(*committed: Changes) -> bool:
    small = SmallTasks()
    for each in committed:
        small.committed(each)
    return "tsk_1" in small


def test_a_task_is_small_while_all_that_was_committed_for_it_is() -> None:
    begun = changes(record(), SMALL_BYTES // 2)

    assert known(begun)
    assert known(begun, changes(record(2, n_total=SMALL_ROWS), SMALL_BYTES // 2), Changes(attempts=[attempt()]))
    assert not known(changes(record(2), 1))  # its beginning was not seen
    assert not known(changes(record(), SMALL_BYTES + 1))
    assert not known(begun, changes(None, SMALL_BYTES // 2), changes(None, 1))
    assert not known(begun, changes(record(2, n_total=SMALL_ROWS + 1)), changes(record(3)))
    assert not known(begun, changes(record(2, failure={"code": "x", "detail": "y"})))
    wordy: dict[str, Any]
    for wordy in ({"error": {}}, {"reason": "r"}, {"progress": {}}):
        assert not known(begun, Changes(attempts=[attempt(**wordy)]))


def test_a_task_with_progress_is_not_small() -> None:
    lease = LeaseRecord.__new__(LeaseRecord)
    lease.task, lease.progress = "tsk_1", None
    assert known(changes(record()), Changes(leases={"sub_1": lease}))
    lease.progress = {"percent": 1}
    assert not known(changes(record()), Changes(leases={"sub_1": lease}))


def test_the_oldest_tasks_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_thread, "SMALL_TASKS_MAX", 2)
    small = SmallTasks()
    for name in ("a", "b", "c"):
        small.committed(Changes(tasks={name: record()}))
    assert [name in small for name in ("a", "b", "c")] == [False, True, True]

    small.forget_all()

    assert "c" not in small


async def reads_elsewhere(swarm: Orchestrator, monkeypatch: pytest.MonkeyPatch) -> list[Principal]:
    """Return a list that gets the caller of each read on the reading thread."""
    seen: list[Principal] = []
    look = swarm.app.state.services.reading_thread.look

    async def noted(by: Principal, work: Any) -> Any:
        seen.append(by)
        return await look(by, work)

    monkeypatch.setattr(swarm.app.state.services.reading_thread, "look", noted)
    return seen


async def test_both_ways_of_reading_show_the_same(
    swarm: Orchestrator, client: Caller, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = await reads_elsewhere(swarm, monkeypatch)
    made = (await client.post("/tasks", {"title": "t", "input": {"n": 1}})).json["id"]
    planned = {"title": "p", "evaluation": "none", "subtasks": [{"key": "a", "description": "b"}]}
    other = (await client.post("/tasks", planned)).json["id"]
    bot = await fleet.bot("Executor")

    async def look(task: str) -> tuple[bytes, str, int]:
        before = len(seen)
        answer = await client.get(f"/tasks/{task}")
        assert answer.status == 200
        return answer.body, answer.headers["etag"], len(seen) - before

    found = [await look(made), await look(other)]
    await bot.report(await bot.one(), output=41)
    found.append(await look(other))
    swarm._small_tasks.forget_all()
    thread = [await look(made), await look(other)]

    assert [elsewhere for *_, elsewhere in found] == [0, 0, 0]
    assert [elsewhere for *_, elsewhere in thread] == [1, 1]
    assert [found[0][:2], found[2][:2]] == [each[:2] for each in thread]


async def test_an_explanation_is_read_on_the_thread(
    swarm: Orchestrator, client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (await client.post("/tasks", {"title": "t"})).json["id"]
    seen = await reads_elsewhere(swarm, monkeypatch)

    assert (await client.get(f"/tasks/{made}?explain=true")).json["explanation"]

    assert len(seen) == 1


async def test_a_submitted_task_is_shown_as_it_is_read(swarm: Orchestrator, client: Caller) -> None:
    for more in ({}, {"subtasks": [{"key": "a", "description": "b"}]}, {"labels": {"a": "b"}, "deadline_seconds": 60}):
        made = await client.post("/tasks", {"title": "t", "description": "d", **more})
        read = await client.get(f"/tasks/{made.json['id']}")

        assert list(made.json.items()) == list(read.json.items())
        assert made.headers["etag"] == read.headers["etag"]


async def test_only_a_task_without_a_plan_is_shown_from_one_row(
    swarm: Orchestrator, client: Caller, fleet: Fleet
) -> None:
    by = await swarm.app.state.services.identity.authenticate(client.key)
    queries = swarm.app.state.services.queries
    body = {"title": "t", "evaluation": "none", "subtasks": [{"key": "a", "description": "b"}]}
    made = (await client.post("/tasks", body)).json["id"]
    bot = await fleet.bot("Executor")
    await bot.report(await bot.one(), output=41)

    assert await queries.submitted(by, made, None) == await queries.task(by, made)
