"""Completes FastAPI's OpenAPI document with what FastAPI cannot express.

- `returns`, `refuses`: declare the responses of a route.
- `describe`: builds the document and adapts it for client generators.
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
from swarmkeeper.http.insight.examples import all_examples
from swarmkeeper.http.responses import PROBLEM_TYPE
from swarmkeeper.wire import v1

Responses = dict[int | str, dict[str, Any]]


class DescribedRoute(Protocol):
    """The attributes of a route (routing.py) that the description uses."""

    responses: Responses
    status_code: int | None
    refusals: frozenset[type[SwarmkeeperError]]


DESCRIPTION = """A control plane for swarms of AI bots: who may do what, when, and at what cost.

Bodies are strict: an unknown field is refused, and `"5"` is not 5. Every error is a problem document (RFC 9457) whose
`code` is one of a closed set."""
TAGS = {
    "tasks": "Submit, read, wait for and control tasks.",
    "work": "Lease work, report results, send heartbeats.",
    "people": "Approvals and questions that wait for a person.",
    "messages": "Messages to bots about a task.",
    "bots": "Registered bots.",
    "keys": "API keys.",
    "secrets": "Values that bots get under a lease, and what the server keeps of them.",
    "sessions": "Sign-ins of browsers.",
    "persons": "The people to whom keys and sign-ins by token belong.",
    "kills": "What is stopped at once: bots, owners, skills, the tenant.",
    "tenant": "The tenant as a whole.",
    "legal holds": "What is not erased, however old it is.",
    "evidence": "Events and audit records.",
    "ops": "Health, metrics, API description.",
}
SUCCESS_WORDS = {
    200: "Success.",
    201: "Created.",
    202: "Begun.",
    204: "Deleted.",
    307: "Elsewhere.",
    304: "Not modified.",
    503: "Not ready.",
}
# Malformed and Invalid, because any route's query can be wrong.
EVERY_ROUTE = (errors.Internal, errors.Overloaded, errors.Malformed, errors.Invalid)

_METHODS = ("post", "get", "put", "patch", "delete")  # in the document's order
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
        "description": "An earlier call with the same key was carried out; this is its answer.",
        "schema": {"const": "true"},
    },
}

# ---- what routes declare -------------------------------------------------------------------------------------------


def returns(status: int, *headers: str, model: type[BaseModel] | None = None) -> Responses:
    """For `responses=`: a success status, with headers in addition to those of every response."""
    response: dict[str, Any] = {"description": SUCCESS_WORDS[status], "headers": _refer(headers)}
    return {status: response if model is None else {**response, "model": model}}


def refuses(*kinds: type[SwarmkeeperError]) -> Responses:
    """For `responses=`: the errors of a route, in addition to those its signature implies (see `StrictRoute`)."""
    return {"refusals": {"kinds": kinds}}


def refusals_of(declared: Responses) -> Iterable[type[SwarmkeeperError]]:
    kinds: tuple[type[SwarmkeeperError], ...] = declared.get("refusals", {}).get("kinds", ())
    return kinds


def describe_refusals(route: DescribedRoute) -> None:
    """Add the error responses of a route; each is a reference to the shared response for that set of codes."""
    problem = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, codes in _codes(route).items():
        if status in route.responses or status == (route.status_code or 200):  # success or problem
            route.responses.setdefault(status, {})["content"] = problem
        else:
            route.responses[status] = {"$ref": f"#/components/responses/{codes}"}


def _codes(route: DescribedRoute) -> dict[int, str]:
    """Map each error status of the route to the name of the shared response for its codes."""
    by_status: dict[int, set[str]] = {}
    for kind in route.refusals:
        by_status.setdefault(STATUS[kind][0], set()).add(kind.code)
    return {status: "-".join(sorted(codes)) for status, codes in by_status.items()}


def _refer(headers: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}


# ---- the document --------------------------------------------------------------------------------------------------

# A subtask is returned as planned: fields that the plan left out are absent.
_OF_A_SUBTASK = frozenset(v1.SubTask.model_fields) - {
    *("id", "parent_task_id", "key", "description", "required_skills", "depends_on"),
}
# Optional response fields by record. All others are always present; the API tests check every answer against this.
OPTIONAL: Mapping[str, frozenset[str]] = {
    "BatchResultAnswer": frozenset(v1.BatchResultAnswer.model_fields) - {"accepted"},
    "BeatAnswer": frozenset({"over_budget"}),
    "DefaultsOut": frozenset(v1.DefaultsOut.model_fields),
    "Health": frozenset({"version"}),
    "KeyRecord": frozenset({"key"}),
    "LeasePage": frozenset({"another_process"}),
    "LeasedSubTask": _OF_A_SUBTASK,
    "Problem": frozenset({"oldest_cursor"}),
    "ReleaseAnswer": frozenset({"replayed"}),
    "SubTaskBudgetOut": frozenset(v1.SubTaskBudget.model_fields),
    "SubTaskDetail": _OF_A_SUBTASK - {"status"} | {"late_results"},
    "SubTaskState": _OF_A_SUBTASK - {"status"},
    "Task": frozenset({"explanation", "result", "subtasks", "verdict"}),
    "TaskProgress": frozenset({"cancelled"}),
    "TaskBatchItem": frozenset({"task", "error"}),
    "TaskFailure": frozenset({"cause", "fix", "work_id"}),
    "UsageOut": frozenset(v1.UsageOut.model_fields),
}
# A record's field must not have the record's name: generated Python would not type-check.
_RENAMED = {"Reason": "ReasonSent"}


def describe(app: FastAPI, routes: Iterable[DescribedRoute]) -> dict[str, Any]:
    """Return FastAPI's document with these changes:

    - Operations share responses and headers by reference.
    - A schema used in requests and responses is split: `Usage` for requests, `UsageOut` for responses.
    - No field or parameter has a `default`, because generators treat such a field as always present. Requests state
      the default in the description; responses list the fields that are always present as required.
    - An optional parameter is not nullable.
    """
    with warnings.catch_warnings():
        # FastAPI silences this warning when it creates a parameter, but our models are only built at first use.
        warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)
        found: dict[str, Any] = FastAPI.openapi(app)
    components = found.setdefault("components", {})
    problem = v1.Problem.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    schemas = components["schemas"] = {**components["schemas"], **problem.pop("$defs"), "Problem": problem}
    components["headers"] = dict(_HEADERS)
    components["responses"] = _shared_responses(routes)
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            _add_examples(operation, f"{method.upper()} {path}")
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


def _add_examples(operation: dict[str, Any], label: str) -> None:
    if (shown := all_examples().get(label)) is None:
        return
    if shown.request is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = shown.request
    operation["responses"][str(shown.status)]["content"]["application/json"]["example"] = shown.answer


def _shared_responses(routes: Iterable[DescribedRoute]) -> dict[str, Any]:
    """Return the error responses: one for each set of codes that a status can have."""
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
    """Return the parameter without title and null, and with its default in the description."""
    schema = {key: value for key, value in parameter["schema"].items() if key not in ("title", "description")}
    branches = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(branches) == 1:
        schema = {**branches[0], **{key: value for key, value in schema.items() if key not in ("anyOf", "default")}}
    described = {"description": parameter["description"]} if "description" in parameter else {}
    if "default" in schema:
        described["default"] = schema.pop("default")
        _describe_default(described)
    return {**parameter, **described, "schema": schema}


def _describe_default(field: dict[str, Any]) -> None:
    default = field.pop("default", None)
    if default is not None and default not in ([], {}, ""):
        words = f"By default {str(default).lower() if isinstance(default, bool) else default}."
        field["description"] = f"{field['description']} {words}" if "description" in field else words


def _for_generators(document: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the document with renamed and split schemas; see `describe`."""
    operations = _renamed([document["paths"], document["components"]["responses"]], _RENAMED)
    document["paths"], document["components"]["responses"] = operations
    schemas = {_RENAMED.get(name, name): _renamed(schema, _RENAMED) for name, schema in schemas.items()}
    every = [operation for methods in document["paths"].values() for operation in methods.values()]
    sent = _reached([[each.get("requestBody"), each["parameters"]] for each in every], schemas)
    answered = _reached([document["components"]["responses"], [each["responses"] for each in every]], schemas)
    # Fields may be optional in requests and always present in responses, so such schemas need two versions.
    twice = {name: f"{name}Out" for name in sent & answered if "properties" in schemas[name]}
    for name in answered - sent:
        schemas[name] = _renamed(schemas[name], twice)
    for name, given in twice.items():
        schemas[given] = _renamed(schemas[name], twice)
    for name, schema in schemas.items():
        schema["title"] = name  # generators use it as the name of enums
        fields = schema.get("properties", {})
        if fields and (name in answered - sent or name in twice.values()):
            schema["required"] = sorted(fields.keys() - OPTIONAL.get(name, frozenset()))
        for field in fields.values():
            _describe_default(field)
    document["components"]["schemas"] = {name: schemas[name] for name in sorted(sent | answered | {*twice.values()})}
    return document


def _reached(roots: Any, schemas: Mapping[str, Any]) -> set[str]:
    """Return the names of all schemas reachable from `roots`."""
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
    """Return a copy with references to the schemas in `names` renamed."""
    if isinstance(part, dict):
        return {key: _renamed(each, names) for key, each in part.items()}
    if isinstance(part, list):
        return [_renamed(each, names) for each in part]
    if isinstance(part, str) and part.startswith(_SCHEMAS):
        name = part.removeprefix(_SCHEMAS)
        return _SCHEMAS + names.get(name, name)
    return part
