"""The OpenAPI document is FastAPI's own; here stands what FastAPI cannot express, and the words that routes share.

- `returns`, `refuses`: how a route declares its responses.
- `describe`: the document, changed so that generators of clients understand it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.warnings import UnsupportedFieldAttributeWarning

from swarmkeeper.core import errors
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.http.errors import STATUS
from swarmkeeper.http.responses import PROBLEM_TYPE
from swarmkeeper.wire import v1

Responses = dict[int | str, dict[str, Any]]


class DescribedRoute(Protocol):
    """What the description needs of a route (routing.py)."""

    responses: Responses
    status_code: int | None
    refusals: frozenset[type[SwarmkeeperError]]


DESCRIPTION = """A control plane for swarms of AI bots: who may do what, when, and at what cost.

Bodies are strict: an unknown field is refused, `"5"` is not 5. Every refusal is a problem document (RFC 9457) whose
`code` is one of a closed set."""
TAGS = {
    "tasks": "Submit, read, wait for and control tasks.",
    "work": "Lease work, report results, send heartbeats.",
    "bots": "Registered bots.",
    "keys": "API keys.",
    "evidence": "Events and audit records.",
    "ops": "Health, metrics, API description.",
}
WORDS = {200: "Success.", 201: "Created.", 204: "Deleted.", 304: "Not modified.", 503: "Not ready."}
# Any query can be wrong.
EVERY_ROUTE = (errors.Internal, errors.Overloaded, errors.Malformed, errors.Invalid)

_METHODS = ("post", "get", "patch", "delete")  # in the order in which they are shown
_SCHEMAS = "#/components/schemas/"
_EVERY_RESPONSE = ("X-Request-Id", "API-Version", "traceparent")
_HEADERS: Mapping[str, Any] = {
    "X-Request-Id": {"description": "The id of this request, as in the logs.", "schema": {"type": "string"}},
    "API-Version": {"schema": {"const": "1"}},
    "traceparent": {"description": "W3C trace context.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before the next try.", "schema": {"type": "integer"}},
    "ETag": {
        "description": "The version; see If-None-Match and If-Match.",
        "schema": {"type": "string"},
    },
    "Location": {"description": "The URL of the new resource.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "The call was carried out before, under the same key.",
        "schema": {"const": "true"},
    },
}

# ---- what routes declare -------------------------------------------------------------------------------------------


def returns(status: int, *headers: str, model: type[BaseModel] | None = None) -> Responses:
    """For `responses=`: a status that is no refusal, with headers beside those of every response."""
    response: dict[str, Any] = {"description": WORDS[status], "headers": _refer(headers)}
    return {status: response if model is None else {**response, "model": model}}


def refuses(*kinds: type[SwarmkeeperError]) -> Responses:
    """For `responses=`: what a route may be refused with, beside what its signature implies (see `StrictRoute`)."""
    return {"refusals": {"kinds": kinds}}


def refusals_of(declared: Responses) -> Iterable[type[SwarmkeeperError]]:
    kinds: tuple[type[SwarmkeeperError], ...] = declared.get("refusals", {}).get("kinds", ())
    return kinds


def describe_refusals(route: DescribedRoute) -> None:
    """Add the responses of all refusals of a route, each a reference to the one for that set of codes."""
    problem = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, codes in _codes(route).items():
        if status in route.responses or status == (route.status_code or 200):  # what comes then is either
            route.responses.setdefault(status, {})["content"] = problem
        else:
            route.responses[status] = {"$ref": f"#/components/responses/{codes}"}


def _codes(route: DescribedRoute) -> dict[int, str]:
    """By status the codes of the route's refusals, as the name of a shared response."""
    by_status: dict[int, set[str]] = {}
    for kind in route.refusals:
        by_status.setdefault(STATUS[kind][0], set()).add(kind.code)
    return {status: "-".join(sorted(codes)) for status, codes in by_status.items()}


def _refer(headers: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}


# ---- the document --------------------------------------------------------------------------------------------------

# A subtask is answered as it was planned: what was left out there stays out.
_OF_A_SUBTASK = frozenset(v1.SubTask.model_fields) - {
    *("id", "parent_task_id", "key", "description", "required_skills", "depends_on"),
}
# What an answer may leave out, by record. All else is always there; the tests of the API hold every answer against it.
SOMETIMES: Mapping[str, frozenset[str]] = {
    "BatchResultAnswer": frozenset({"code", "detail", "errors", "replayed", "task_status"}),
    "DefaultsOut": frozenset(v1.DefaultsOut.model_fields),
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
    "UsageOut": frozenset(v1.UsageOut.model_fields),
}
# Two records of one name; and a field of a record may not have its name, or generated Python does not type-check.
_RENAMED = {"Reason-Input": "ReasonSent", "Reason-Output": "WaitingReason"}


def describe(app: FastAPI, routes: Iterable[DescribedRoute]) -> dict[str, Any]:
    """FastAPI's document, with what it cannot express:

    - responses and headers that operations share, so that each stands there once;
    - names of schemas that are both sent and answered: `Usage` as it is sent, `UsageOut` as it is answered;
    - no field or parameter has a default, since generators take one that has for one that is always there: requests
      say it in words, and answers name what is always there as required;
    - a parameter that may be left out is not null.
    """
    with warnings.catch_warnings():
        # FastAPI itself silences this where it makes a parameter; our models are built at their first use only.
        warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)
        found: dict[str, Any] = FastAPI.openapi(app)
    components = found.setdefault("components", {})
    problem = v1.Problem.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    schemas = components["schemas"] = {**components["schemas"], **problem.pop("$defs"), "Problem": problem}
    components["headers"] = dict(_HEADERS)
    components["responses"] = _shared_responses(routes)
    for operation in (each for methods in found["paths"].values() for each in methods.values()):
        operation.setdefault("security", [])
        operation["parameters"] = [_parameter(each) for each in operation.get("parameters", ())]
        replayed = any(each["name"] == "Idempotency-Key" for each in operation["parameters"])
        operation["responses"] = dict(sorted(operation["responses"].items()))
        for status, response in operation["responses"].items():
            if "$ref" in response:
                operation["responses"][status] = {"$ref": response["$ref"]}
            else:
                names = (*_EVERY_RESPONSE, *(("Idempotency-Replayed",) if replayed else ()))
                response["headers"] = {**_refer(names), **response.get("headers", {})}
    found["paths"] = {
        path: {method: methods[method] for method in _METHODS if method in methods}
        for path, methods in sorted(found["paths"].items())
    }
    return _for_generators(found, schemas)


def _shared_responses(routes: Iterable[DescribedRoute]) -> dict[str, Any]:
    """The refusals, one response for each set of codes that a status can have."""
    found: dict[str, Any] = {}
    for route in routes:
        for status, codes in _codes(route).items():
            found[codes] = {
                "description": f"Refused: {codes.replace('-', ', ')}.",
                "headers": _refer((*_EVERY_RESPONSE, *(("Retry-After",) if status in (429, 503) else ()))),
                "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
    return dict(sorted(found.items()))


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    """The same without title and null; a default in words."""
    schema = {key: value for key, value in parameter["schema"].items() if key not in ("title", "description")}
    branches = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(branches) == 1:
        schema = {**branches[0], **{key: value for key, value in schema.items() if key not in ("anyOf", "default")}}
    with_words = {"description": parameter["description"]} if "description" in parameter else {}
    if "default" in schema:
        with_words["default"] = schema.pop("default")
        _say_default(with_words)
    return {**parameter, **with_words, "schema": schema}


def _say_default(field: dict[str, Any]) -> None:
    default = field.pop("default", None)
    if default is not None and default not in ([], {}, ""):
        words = f"By default {str(default).lower() if isinstance(default, bool) else default}."
        field["description"] = f"{field['description']} {words}" if "description" in field else words


def _for_generators(document: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The document with its schemas named and written as `describe` says."""
    operations = _renamed([document["paths"], document["components"]["responses"]], _RENAMED)
    document["paths"], document["components"]["responses"] = operations
    schemas = {_RENAMED.get(name, name): _renamed(schema, _RENAMED) for name, schema in schemas.items()}
    every = [operation for methods in document["paths"].values() for operation in methods.values()]
    sent = _reached([[each.get("requestBody"), each["parameters"]] for each in every], schemas)
    answered = _reached([document["components"]["responses"], [each["responses"] for each in every]], schemas)
    # In what is sent, fields may be left out that are always answered.
    twice = {name: f"{name}Out" for name in sent & answered if "properties" in schemas[name]}
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
            _say_default(field)
    document["components"]["schemas"] = {name: schemas[name] for name in sorted(sent | answered | {*twice.values()})}
    return document


def _reached(roots: Any, schemas: Mapping[str, Any]) -> set[str]:
    """The names of all schemas that these lead to."""
    found: set[str] = set()
    waiting = list(_names(roots))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _names(schemas[name])
    return found


def _names(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str) and part["$ref"].startswith(_SCHEMAS):
            yield part["$ref"].removeprefix(_SCHEMAS)
        for each in part.values():
            yield from _names(each)
    elif isinstance(part, list):
        for each in part:
            yield from _names(each)


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    """A copy, in which some references lead elsewhere."""
    if isinstance(part, dict):
        return {key: _renamed(each, names) for key, each in part.items()}
    if isinstance(part, list):
        return [_renamed(each, names) for each in part]
    if isinstance(part, str) and part.startswith(_SCHEMAS):
        name = part.removeprefix(_SCHEMAS)
        return _SCHEMAS + names.get(name, name)
    return part
