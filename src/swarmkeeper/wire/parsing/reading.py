"""Parses the plan or verdict of a report, and collects every error in it.

A bot gets all errors in one answer: those of the schema found here, and those of the graph found in
core/rules/graph.py. So an invalid subtask keeps its key and edges; otherwise each edge to it would be an error, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from swarmkeeper.core.errors import Detail
from swarmkeeper.wire.problems import ERRORS_MAX, Path, Safe, details_of, hidden, pointer
from swarmkeeper.wire.requests import Plan, SubTask, Verdict, bounded
from swarmkeeper.wire.shapes import Json


def read_plan(
    raw: Json, *, safe: Safe = hidden, at: Path = ("plan",), task: str | None = None
) -> tuple[list[SubTask], list[Detail]]:
    """Return a plan's subtasks in order, and the schema errors. With errors, use the subtasks only for further checks.

    Args:
        safe: redacts a name that is not in our schema.
        at: position of the plan in the request.
        task: id of the planned task, if known; a subtask that names another parent is an error.
    """
    if not isinstance(raw, dict) or not isinstance(raw.get("subtasks"), list):
        return [], _errors_of(Plan, raw, safe, at)
    subtasks, errors = _read_subtasks(raw["subtasks"], safe, (*at, "subtasks"))
    # The list has been checked; now check the fields around it.
    errors += _errors_of(Plan, {**raw, "subtasks": []}, safe, at)
    errors += _foreign(subtasks, task, (*at, "subtasks"))
    return subtasks, errors[:ERRORS_MAX]


def read_verdict(
    raw: Json, *, safe: Safe = hidden, at: Path = ("verdict",), task: str | None = None
) -> tuple[Verdict | None, list[Detail]]:
    """Return the verdict, or None if its schema is wrong, and the errors. Arguments as for `read_plan`."""
    try:
        verdict = Verdict.model_validate(raw)
    except ValidationError as error:
        return None, list(details_of(error, safe=safe, at=at))
    return verdict, _foreign(verdict.subtasks, task, (*at, "subtasks"))


def _foreign(subtasks: Sequence[SubTask], task: str | None, at: Path) -> list[Detail]:
    """Return an error for each subtask that names another parent task. A copy from an answer names this one."""
    return [
        (pointer((*at, index, "parent_task_id")), "not_allowed", "must be the planned task's id, or be left out")
        for index, subtask in enumerate(subtasks)
        if task is not None and subtask.parent_task_id not in (None, task)
    ]


def _errors_of(model: type[Plan], raw: Json, safe: Safe, at: Path) -> list[Detail]:
    try:
        model.model_validate(raw)
    except ValidationError as error:
        return list(details_of(error, safe=safe, at=at))
    return []


def _read_subtasks(raw: list[Any], safe: Safe, at: Path) -> tuple[list[SubTask], list[Detail]]:
    subtasks: list[SubTask] = []
    errors: list[Detail] = []
    for index, item in enumerate(bounded(raw)):
        try:
            subtasks.append(SubTask.model_validate(item))
        except ValidationError as error:
            if len(errors) < ERRORS_MAX:
                errors += details_of(error, safe=safe, at=(*at, index))
            subtasks.append(_key_and_edges(item))
    return subtasks, errors


def _key_and_edges(raw: Json) -> SubTask:
    """Return the valid key and edges of a subtask that is invalid elsewhere."""
    if not isinstance(raw, dict):
        return SubTask(description="")
    key = raw.get("key")
    edges = raw.get("depends_on")
    valid: dict[str, Any] = {"description": "", "depends_on": []}
    if isinstance(key, str):
        valid["key"] = key
    for edge in edges if isinstance(edges, list) else []:
        try:
            SubTask.model_validate({"description": "", "depends_on": [edge]})
        except ValidationError:
            continue
        valid["depends_on"].append(edge)
    return SubTask.model_validate(valid)
