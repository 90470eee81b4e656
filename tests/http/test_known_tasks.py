"""What this server remembers of the tasks that it has committed: the row of a new one, and the version of each."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.core import named_reads
from swarmkeeper.core.model import Principal, TaskRecord
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.states import Outcome, TaskStatus
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.reads.tasks import known_tasks
from swarmkeeper.reads.tasks.known_tasks import KnownTasks
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller

CLIENT = Principal("t", "key_1", "client")


@pytest.fixture
async def swarm(tmp_path: Path) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(Settings(store=f"sqlite:///{tmp_path / 's.db'}", log_level="error")) as swarm:
        yield swarm


def task(name: str = "tsk_1", **fields: Any) -> TaskRecord:
    made = TaskRecord(name, "t", TaskStatus.CREATED, 5, 0, 0, "pld_1", "title", "key_1", version=1, sequence=1)
    return replace(made, **fields)


def knowing(*committed: TaskRecord, **fields: Any) -> KnownTasks:
    known = KnownTasks(Rulebook(Redactor.default()))
    for each in committed:
        known.committed(Changes(tasks={each.id: each}, **fields))
    return known


def test_the_version_is_that_of_the_last_commit() -> None:
    known = knowing(task(), task(version=2), task("tsk_2", version=7, outcome=Outcome.ACCEPTED))

    assert known.version(CLIENT, "tsk_1") == (2, False)
    assert known.version(CLIENT, "tsk_2") == (7, True)
    assert known.version(CLIENT, "tsk_3") is None


def test_a_task_is_forgotten_when_another_server_has_changed_it() -> None:
    known = knowing(task(version=3, sequence=4), task("tsk_2"))

    known.happened("tsk_1", 4)  # an event of the commit here
    assert known.version(CLIENT, "tsk_1") == (3, False)

    known.happened("tsk_1", 5)
    assert known.version(CLIENT, "tsk_1") is None
    assert known.version(CLIENT, "tsk_2") == (1, False)


def test_memory_does_not_answer_while_others_are_not_followed() -> None:
    known = knowing(task())
    known.is_fresh = lambda: False

    assert known.version(CLIENT, "tsk_1") is None


@pytest.mark.parametrize(
    "caller",
    [
        Principal("other", "key_1", "client"),
        Principal("t", "key_1", "client", sees_own=True),
        Principal("t", "key_1", "bot:executor"),
    ],
)
def test_memory_answers_only_who_may_read_the_task(caller: Principal) -> None:
    known = knowing(task(party="key:key_2"))

    assert known.version(caller, "tsk_1") is None
    assert known.take_submitted(caller, "tsk_1") is None


def test_after_an_erasure_nothing_is_known() -> None:
    known = knowing(task(), task("tsk_2"))

    known.committed(Changes(erased=[("task", {})]))

    assert known.version(CLIENT, "tsk_1") is None
    assert known.take_submitted(CLIENT, "tsk_2") is None


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_tasks, "KNOWN_MAX", 2)
    monkeypatch.setattr(known_tasks, "SUBMITTED_MAX", 1)
    known = knowing(task("a"), task("b"), task("a", version=2), task("c"))

    assert [known.version(CLIENT, name) is None for name in "abc"] == [False, True, False]
    assert [known.take_submitted(CLIENT, name) is None for name in "abc"] == [True, True, False]


def test_the_row_of_a_submission_is_taken_once_and_only_without_a_budget() -> None:
    known = knowing(task())
    assert known.take_submitted(CLIENT, "tsk_1") is not None
    assert known.take_submitted(CLIENT, "tsk_1") is None

    assert knowing(task(version=2)).take_submitted(CLIENT, "tsk_1") is None


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"labels": {"b": "1", "a": "2"}, "priority": 9, "deadline_seconds": 60, "metadata": {"m": [1]}},
        {"evaluation": "each", "quorum": {"accept": 2, "of": 3}, "max_rounds": 2, "approval": "plan"},
        {
            "planner_skills": ["p", "o"],
            "evaluator_skills": ["e"],
            "plan_timeout_seconds": 7,
            "review_timeout_seconds": 8,
        },
        {"defaults": {"timeout_seconds": 5, "max_attempts": 2}, "budget": {"tokens": 9}},
    ],
    ids=["plain", "labels", "quorum", "skills", "budget"],
)
async def test_the_row_is_what_the_store_reads(
    swarm: Orchestrator, client: Caller, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    services = swarm.app.state.services
    shown: list[Any] = []
    take = services.known_tasks.take_submitted

    def noted(by: Principal, name: str) -> Any:
        shown.append(take(by, name))
        return shown[-1]

    monkeypatch.setattr(services.known_tasks, "take_submitted", noted)
    made = await client.post("/tasks", {"title": "t", **more})
    by = await services.identity.authenticate(client.key)
    (read,) = await named_reads.fetch(swarm.store, named_reads.TASK_ROW, tenant=by.tenant, task=made.json["id"])

    assert made.status == 201, made.json
    assert (shown == [None]) if "budget" in more else ([parsed(row) for row in shown] == [parsed(read)])


def parsed(row: Any) -> list[Any]:
    return [json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value for value in row]


async def test_submitting_and_waiting_for_a_known_task_read_nothing_of_it(
    swarm: Orchestrator, client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    queries = type(swarm.app.state.services.queries)
    ask = queries._task

    async def noted(self: Any, by: Principal, name: str) -> Any:
        read.append(name)
        return await ask(self, by, name)

    monkeypatch.setattr(queries, "_task", noted)
    made = (await client.post("/tasks", {"title": "t"})).json["id"]
    assert read == []

    await client.post(f"/tasks/{made}:cancel", {})
    read.clear()
    ended = await client.get(f"/tasks/{made}?wait_seconds=5&until=final")

    assert ended.json["outcome"] == "cancelled"
    assert read == [made]  # for the answer alone
