"""Reads a plan or a verdict that came in a report: as much of it as can be read, and all that cannot.

A bot is told everything that is wrong in one answer, the errors of shape found here and those of the graph found in
core/rules/graph.py. So a subtask that is partly unreadable keeps its name and edges: else each edge to it would be an
error, too.
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
    """A plan's subtasks, each at its place, and the errors of shape; with errors, they only serve further checks.

    Args: `task` is the one that is planned, where that is known: its subtasks cannot have another as their parent.
    """
    if not isinstance(raw, dict) or not isinstance(raw.get("subtasks"), list):
        return [], _errors_of(Plan, raw, safe, at)
    subtasks, errors = _read_subtasks(raw["subtasks"], safe, (*at, "subtasks"))
    # The list has been read; what is left are the fields around it.
    errors += _errors_of(Plan, {**raw, "subtasks": []}, safe, at)
    errors += _foreign(subtasks, task, (*at, "subtasks"))
    return subtasks, errors[:ERRORS_MAX]


def read_verdict(
    raw: Json, *, safe: Safe = hidden, at: Path = ("verdict",), task: str | None = None
) -> tuple[Verdict | None, list[Detail]]:
    """The verdict, and what is wrong with it. Args: `task` as for a plan."""
    try:
        verdict = Verdict.model_validate(raw)
    except ValidationError as error:
        return None, list(details_of(error, safe=safe, at=at))
    return verdict, _foreign(verdict.subtasks, task, (*at, "subtasks"))


def _foreign(subtasks: Sequence[SubTask], task: str | None, at: Path) -> list[Detail]:
    """Subtasks that say that they are another task's. What was copied from answers about this one may stay."""
    return [
        (pointer((*at, place, "parent_task_id")), "not_allowed", "must be the task that is planned, or be left out")
        for place, subtask in enumerate(subtasks)
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
    for place, each in enumerate(bounded(raw)):
        try:
            subtasks.append(SubTask.model_validate(each))
        except ValidationError as error:
            if len(errors) < ERRORS_MAX:
                errors += details_of(error, safe=safe, at=(*at, place))
            subtasks.append(_what_stands(each))
    return subtasks, errors


def _what_stands(raw: Json) -> SubTask:
    """Name and edges of a subtask that is wrong elsewhere."""
    if not isinstance(raw, dict):
        return SubTask(description="")
    key = raw.get("key")
    edges = raw.get("depends_on")
    standing: dict[str, Any] = {"description": "", "depends_on": []}
    if isinstance(key, str):
        standing["key"] = key
    for edge in edges if isinstance(edges, list) else []:
        try:
            SubTask.model_validate({"description": "", "depends_on": [edge]})
        except ValidationError:
            continue
        standing["depends_on"].append(edge)
    return SubTask.model_validate(standing)
