"""Answers: read completely from the contract's examples, and from newer servers."""

from __future__ import annotations

import inspect
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from swarmkeeper.wire import answers, events, problems, requests, v1
from swarmkeeper.wire.shapes import read_answer
from swarmkeeper.wire.v1 import (
    BotPage,
    Graph,
    HeartbeatAnswer,
    KeyRecord,
    LeasePage,
    ReportAnswer,
    ReportBatchAnswer,
    SkillPage,
    SubTaskDetail,
    Task,
    TaskBatchAnswer,
    TaskPage,
)

NOON = "2026-01-31T12:00:00.000000Z"
VERDICT: dict[str, Any] = {
    "decision": "accept", "score": 1.0, "reasons": ["good"],
    "findings": [{"category": "quality", "severity": "info", "criterion": None, "subtask": "a", "text": "fine"}],
}  # fmt: skip
SUBTASK: dict[str, Any] = {
    "id": "sub_1", "parent_task_id": "tsk_1", "key": "a", "description": "d", "required_skills": ["s"],
    "status": "SUCCEEDED", "attempt": 1, "depends_on": [{"key": "b", "when": "done"}],
}  # fmt: skip
TASK: dict[str, Any] = {
    "id": "tsk_1", "title": "t", "description": "", "priority": 5, "status": "ARCHIVED", "outcome": "accepted",
    "failure": None, "holds": [], "progress": {"total": 1, "done": 1, "failed": 0}, "round": 1, "input": {},
    "labels": {}, "metadata": {}, "acceptance_criteria": [], "subtasks": [SUBTASK], "subtasks_total": 1,
    "result": {"a": {"words": 3}}, "verdict": VERDICT, "usage": {"tokens": 12, "cost_micro_usd": 40},
    "created_at": NOON, "updated_at": NOON,
}  # fmt: skip


def without(answer: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != name}


LEASE: dict[str, Any] = {
    "lease_id": "lse_1", "kind": "execute", "attempt": 1, "work_id": "sub_1", "task_id": "tsk_1",
    "task": {"title": "t", "description": "", "input": {}, "acceptance_criteria": [], "metadata": {}},
    "subtask": {**without(SUBTASK, "attempt"), "input": {"text": "x"}},
    "upstream": {"b": 1}, "feedback": [{"round": 1, "text": "more"}],
    "previous": {"attempt": 1, "ending": "failed", "output": None, "error": {"class": "retryable", "message": "m"}},
    "checkpoint": {"page": 3}, "answers": [{"question": "?", "answer": "!"}],
    "review": {"of": "task", "results": {"a": 1}}, "expires_at": NOON, "ends_at": NOON,
    "heartbeat_after_seconds": 10, "traceparent": None,
}  # fmt: skip
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "from_bot": "b",
    "to_bot": None,
    "task_id": "tsk_1",
    "payload": {},
    "timestamp": NOON,
}
BOT: dict[str, Any] = {
    "id": "bot_1", "type": "Executor", "name": "n", "instance": "", "version": "1", "endpoint": None, "owner": "o",
    "skills": ["s"], "capacity": 4, "dedicated": False, "labels": {}, "status": "away", "held": 0, "last_seen": NOON,
}  # fmt: skip
SHAPES: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (Task, TASK),
    (TaskPage, {"items": [TASK], "next_page_token": "x"}),
    (SubTaskDetail, {
        **SUBTASK, "input": {}, "output": {"$ref": "/tasks/tsk_1/subtasks/a/output", "sha256": "0", "bytes": 9},
        "verdict": VERDICT, "late_results": [{"lease_id": "l", "bot": "b", "received_at": NOON, "content": {}}],
        "attempts": [{"attempt": 1, "bot": "b", "lease_id": "l", "started_at": NOON, "ended_at": NOON,
                      "ending": "succeeded", "error": None, "usage": {"tokens": 1, "cost_micro_usd": 0}}],
    }),
    (LeasePage, {"leases": [LEASE], "reason": None}),
    (LeasePage, {"leases": [{**LEASE, "subtask": None, "previous": None, "review": None}], "reason": "no_match"}),
    (ReportAnswer, {"accepted": True, "replayed": False, "task_status": "IN_PROGRESS", "leases": [LEASE]}),
    (ReportBatchAnswer, {"results": [{"accepted": False, "code": "invalid_plan", "errors": [
        {"pointer": "/plan", "code": "type", "detail": "must be an object"}]}], "leases": []}),
    (TaskBatchAnswer, {"results": [{"status": 201, "task": TASK}, {"status": 422, "error": {
        "type": "t", "title": "t", "status": 422, "detail": "d", "code": "invalid", "retryable": False,
        "request_id": "r", "errors": []}}]}),
    (HeartbeatAnswer, {"leases": [{"lease_id": "l", "directive": "lost", "expires_at": None}], "drain": True,
                       "messages": [MESSAGE]}),
    (BotPage, {"items": [BOT], "next_page_token": ""}),
    (SkillPage, {"items": [{"skill": "s", "bots": 1, "waiting": 2, "oldest_seconds": 0.5}], "next_page_token": ""}),
    (Graph, {"nodes": [{"key": "a", "status": "READY", "attempt": 0}],
             "edges": [{"from": "a", "to": "b", "when": "done", "state": "open"}]}),
    (KeyRecord, {"id": "key_1", "key": "swk_…", "role": "bot:executor", "bot": "b", "owner": None, "skills": ["s"],
                 "created_at": NOON}),
]  # fmt: skip


def with_news(answer: Any) -> Any:
    """Add unknown fields to an answer at every depth."""
    match answer:
        case dict():
            # Free-form user data is left unchanged; only records gain fields.
            open_ended = {"labels", "metadata", "input", "result", "upstream", "results", "error", "payload"}
            more = {key: value if key in open_ended else with_news(value) for key, value in answer.items()}
            return {"news": 1, **more}
        case list():
            return [with_news(each) for each in answer]
        case _:
            return answer


@pytest.mark.parametrize(
    ("model", "answer"), SHAPES, ids=lambda value: value.__name__ if isinstance(value, type) else ""
)
def test_each_answer_of_the_contract_round_trips(model: type[BaseModel], answer: dict[str, Any]) -> None:
    written = read_answer(model, answer).model_dump(mode="json", by_alias=True, exclude_unset=True)

    assert normal(written) == normal(answer)


def normal(answer: Any) -> Any:
    """Cut times to the second, because Pydantic omits zero fractions."""
    match answer:
        case dict():
            return {key: normal(value) for key, value in answer.items()}
        case list():
            return [normal(each) for each in answer]
        case str():
            return answer.replace(".000000Z", "Z")
        case _:
            return answer


@pytest.mark.parametrize(
    ("model", "answer"), SHAPES, ids=lambda value: value.__name__ if isinstance(value, type) else ""
)
def test_an_answer_may_gain_fields(model: type[BaseModel], answer: dict[str, Any]) -> None:
    assert read_answer(model, with_news(answer)).model_dump(exclude={"checkpoint"}) is not None


@pytest.mark.parametrize(
    ("model", "answer"), SHAPES, ids=lambda value: value.__name__ if isinstance(value, type) else ""
)
def test_an_answer_can_be_made_from_plain_values(model: type[BaseModel], answer: dict[str, Any]) -> None:
    assert model.model_validate(answer) == read_answer(model, answer)


def test_the_subtask_of_a_lease_is_the_record_of_the_sdk() -> None:
    lease = read_answer(LeasePage, {"leases": [LEASE], "reason": None}).leases[0]

    assert isinstance(lease.subtask, v1.SubTask)
    assert lease.subtask.input == {"text": "x"}
    assert lease.subtask.edges[0].when == "done"
    assert lease.expires_at == datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_every_record_has_a_schema_and_a_description() -> None:
    records = [each for each in vars(v1).values() if inspect.isclass(each) and issubclass(each, BaseModel)]
    assert len(records) > 60

    for record in records:
        assert TypeAdapter(record).json_schema(mode="validation")
        assert TypeAdapter(record).json_schema(mode="serialization")


def test_version_one_has_every_record() -> None:
    defined = {
        name
        for module in (answers, events, problems, requests)
        for name, each in vars(module).items()
        if inspect.isclass(each) and issubclass(each, BaseModel)
    }

    parts = {name for name in defined if name in {"Answer", "BaseModel", "Request"} or "[" in name}

    assert defined - parts <= set(vars(v1))


# Only the server has the strict parser, which uses msgspec.
@pytest.mark.parametrize(("module", "more"), [("v1", {"msgspec"}), ("parsing.strict", set())])
def test_the_records_load_no_server(module: str, more: set[str]) -> None:
    code = f"import sys, swarmkeeper.wire.{module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not ({"fastapi", "starlette", "uvicorn", "apsw", "rich", "asyncio"} | more) & set(loaded)
