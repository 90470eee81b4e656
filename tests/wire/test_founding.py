"""The original records are accepted, each with every field filled as in the original plan."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from swarmkeeper.core.states import TaskStatus as CoreTaskStatus
from swarmkeeper.wire.shapes import read, read_answer
from swarmkeeper.wire.v1 import AuditLog, Bot, BotInfo, BotMessage, SubTask, SubTaskState, TaskDefinition, TaskStatus

SUBTASK: dict[str, Any] = {
    "id": "sub_1",
    "parent_task_id": "tsk_1",
    "description": "Count the words of page one",
    "required_skills": ["text.count"],
    "status": "CREATED",
}
TASK: dict[str, Any] = {
    "id": "tsk_1",
    "title": "Count words",
    "description": "Of all three pages",
    "created_at": "2026-01-31T12:00:00Z",
    "priority": 3,
    "subtasks": [SUBTASK],
}
BOT: dict[str, Any] = {"id": "bot_1", "type": "Executor", "version": "1.0", "endpoint": "http://bot:8080/"}
MESSAGE: dict[str, Any] = {
    "from_bot": "bot_1",
    "to_bot": "bot_2",
    "task_id": "tsk_1",
    "payload": {"seen": 3},
    "timestamp": "2026-01-31T12:00:00Z",
}
AUDIT: dict[str, Any] = {
    "id": "aud_1",
    "task_id": "tsk_1",
    "event": "task.submit",
    "payload": {"title": "Count words"},
    "redacted_fields": ["/payload/password"],
    "timestamp": "2026-01-31T12:00:00Z",
}
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_task_definition_is_accepted_unchanged() -> None:
    task = read(TaskDefinition, TASK)

    assert (task.title, task.description, task.priority) == ("Count words", "Of all three pages", 3)
    assert task.subtasks is not None
    assert task.subtasks[0].spec(1).key == "s1"
    assert task.subtasks[0].required_skills == ["text.count"]


def test_a_task_definition_without_subtasks_is_accepted() -> None:
    assert read(TaskDefinition, {**TASK, "subtasks": None}).subtasks is None


@pytest.mark.parametrize("whatever", [None, 7, "x", {"a": 1}])
def test_fields_that_only_the_server_sets_are_ignored(whatever: Any) -> None:
    ours = dict.fromkeys(("id", "created_at", "status"), whatever)
    theirs = dict.fromkeys(("id", "parent_task_id", "status"), whatever)

    task = read(TaskDefinition, {**TASK, **ours, "subtasks": [{**SUBTASK, **theirs}]})

    assert task.subtasks is not None
    assert task.subtasks[0].spec(1) == read(SubTask, SUBTASK).spec(1)
    assert read(BotInfo, {**BOT, "id": whatever, "status": whatever}).version == "1.0"


def test_a_subtask_is_one_record_in_a_plan_and_in_an_answer() -> None:
    sent = read(SubTask, SUBTASK)
    shown = read_answer(SubTaskState, {**SUBTASK, "key": "s1", "status": "READY", "attempt": 2, "news": 1})

    assert isinstance(shown, SubTask)
    assert (shown.id, shown.parent_task_id, shown.attempt) == ("sub_1", "tsk_1", 2)
    assert shown.description == sent.description
    assert read_answer(SubTask, {**SUBTASK, "news": 1}).id == "sub_1"


@pytest.mark.parametrize("casing", ["Executor", "executor", "EXECUTOR", "eXecutor"])
def test_bot_info_is_accepted_in_any_casing(casing: str) -> None:
    bot = read(BotInfo, {**BOT, "type": casing})

    assert (bot.type, bot.version, bot.endpoint) == ("Executor", "1.0", "http://bot:8080/")


@pytest.mark.parametrize("kind", ["Planner", "Executor", "Evaluator"])
def test_there_are_three_types_of_bot(kind: str) -> None:
    assert read(BotInfo, {**BOT, "type": kind}).type == kind


def test_the_server_answers_with_the_fields_of_bot_info() -> None:
    shown = read_answer(Bot, {**BOT, "name": "counter", "status": "active", "news": 1})

    assert isinstance(shown, BotInfo)
    assert (shown.id, shown.status) == ("bot_1", "active")


def test_a_task_has_exactly_six_states() -> None:
    assert [*TaskStatus] == ["CREATED", "PLANNED", "IN_PROGRESS", "COMPLETED", "FAILED", "ARCHIVED"]
    assert TaskStatus is CoreTaskStatus


def test_a_founding_bot_message_is_read_unchanged() -> None:
    message = read_answer(BotMessage, MESSAGE)

    assert (message.from_bot, message.to_bot, message.task_id) == ("bot_1", "bot_2", "tsk_1")
    assert (message.payload, message.timestamp) == ({"seen": 3}, NOON)


def test_a_founding_audit_log_is_read_unchanged() -> None:
    record = read_answer(AuditLog, AUDIT)

    assert (record.id, record.task_id, record.event) == ("aud_1", "tsk_1", "task.submit")
    assert (record.payload, record.timestamp) == ({"title": "Count words"}, NOON)
    assert [each.pointer for each in record.redacted_fields] == ["/payload/password"]
