"""The schemas of the OpenAPI document: the records of the wire, written so that generators of clients understand them.

Generators take a field with a `default` for one that is always there, in requests, too, where it may be left out. So no
field has one: requests tell it in words, and answers name what is always there as required.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from swarmkeeper.wire import v1

_REF = "#/components/schemas/{model}"
_PREFIX = _REF.format(model="")
# A subtask is answered as it was planned: what was left out there stays out.
_OF_A_SUBTASK = frozenset(v1.SubTask.model_fields) - {
    *("id", "parent_task_id", "key", "description", "required_skills", "depends_on"),
}
# What an answer may leave out, by record. All else is always there; the tests of the API hold every answer against it.
SOMETIMES: Mapping[str, frozenset[str]] = {
    "BatchResultAnswer": frozenset({"code", "detail", "errors", "replayed", "task_status"}),
    "DefaultsGiven": frozenset(v1.DefaultsGiven.model_fields),
    "Health": frozenset({"version"}),
    "KeyRecord": frozenset({"key"}),
    "LeasePage": frozenset({"another_process"}),
    "LeasedSubTask": _OF_A_SUBTASK,
    "ReleaseAnswer": frozenset({"replayed"}),
    "SubTaskDetail": _OF_A_SUBTASK - {"status"} | {"late_results"},
    "SubTaskState": _OF_A_SUBTASK - {"status"},
    "Task": frozenset({"explanation", "result", "subtasks", "verdict"}),
    "TaskProgress": frozenset({"cancelled"}),
    "TaskBatchItem": frozenset({"task", "error"}),
    "TaskFailure": frozenset({"cause", "fix", "work_id"}),
    "UsageGiven": frozenset(v1.UsageGiven.model_fields),
}

# Two records of one name; and a field of a record may not have its name, or generated Python does not type-check.
_RENAMED = {"Reason-Input": "ReasonSent", "Reason-Output": "WaitingReason"}

Refs = dict[tuple[type[BaseModel], JsonSchemaMode], dict[str, Any]]


def of_records(wanted: Iterable[tuple[type[BaseModel], JsonSchemaMode]]) -> tuple[Refs, dict[str, Any]]:
    """A reference for each record, as it is sent ("validation") or answered ("serialization"); all schemas by name."""
    asked = list(wanted)
    made, found = models_json_schema(asked, ref_template=_REF)
    refs: Refs = {record: _renamed(made[record], _RENAMED) for record in asked}
    schemas = {_RENAMED.get(name, name): _renamed(schema, _RENAMED) for name, schema in found["$defs"].items()}
    sent, answered = (
        _reached([refs[one] for one in asked if one[1] == mode], schemas) for mode in ("validation", "serialization")
    )
    # What is both sent and answered is two records: in the one, fields may be left out.
    twice = {name: f"{name}Given" for name in sent & answered if "properties" in schemas[name]}
    for name in answered - sent:
        schemas[name] = _renamed(schemas[name], twice)
    for name, given in twice.items():
        schemas[given] = _renamed(schemas[name], twice)
    for name, schema in schemas.items():
        schema["title"] = name  # generators name enums by it
        fields = schema.get("properties", {})
        if fields and (name in answered - sent or name in twice.values()):
            schema["required"] = sorted(fields.keys() - SOMETIMES.get(name, frozenset()))
        for field in fields.values():
            _tell_default(field)
    return refs, schemas


def _reached(roots: Iterable[Any], schemas: Mapping[str, Any]) -> set[str]:
    """The names of all schemas that these lead to."""
    found: set[str] = set()
    waiting = [name for root in roots for name in _names(root)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _names(schemas[name])
    return found


def _names(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(_PREFIX)
        for part in schema.values():
            yield from _names(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _names(part)


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """A copy, in which some references lead elsewhere."""
    if isinstance(schema, dict):
        return {key: _renamed(part, names) for key, part in schema.items()}
    if isinstance(schema, list):
        return [_renamed(part, names) for part in schema]
    if isinstance(schema, str) and schema.startswith(_PREFIX):
        name = schema.removeprefix(_PREFIX)
        return _PREFIX + names.get(name, name)
    return schema


def _tell_default(field: dict[str, Any]) -> None:
    default = field.pop("default", None)
    if default is not None and default not in ([], {}, ""):
        words = f"By default {str(default).lower() if isinstance(default, bool) else default}."
        field["description"] = f"{field['description']} {words}" if "description" in field else words
