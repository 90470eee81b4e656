"""The OpenAPI 3.1 document, made from the declarations of calls and from the records of the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from swarmkeeper.core import errors
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.http.calls import Call
from swarmkeeper.http.errors import PROBLEM_TYPE, STATUS
from swarmkeeper.http.schemas import of_records
from swarmkeeper.http.sse import EVENT_STREAM
from swarmkeeper.wire import v1

_ID = "^[a-z]{3}_[0-9A-Za-z]{1,64}$"
_PATH_PARAMETERS: Mapping[str, tuple[str, str]] = {
    "task_id": (_ID, "A task's id."),
    "bot_id": (_ID, "A bot's id."),
    "lease_id": (_ID, "A lease's id."),
    "approval_id": (_ID, "An approval's id."),
    "key_id": (_ID, "The id of a key's record."),
    "subtask": (f"^[a-z0-9][a-z0-9._-]{{0,63}}$|{_ID}", "A subtask's key or id."),
}
_HEADERS: Mapping[str, tuple[dict[str, Any], str]] = {
    "Idempotency-Key": (
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]{1,255}$"},
        (
            "Makes the call safe to repeat, for 24 hours: the same body has the same answer, and no second effect. "
            "It is one of your API key's own: another key may use the same text."
        ),
    ),
    "Bot-Process": (
        {"type": "string", "minLength": 1, "maxLength": 255},
        "Which process of the bot asks, by a word of its own. Where two processes ask as one bot, the answer says so.",
    ),
    "If-None-Match": ({"type": "string"}, "An ETag from before: 304 where nothing has changed since."),
    "If-Match": ({"type": "string"}, "An ETag: 412 where the task has changed since."),
    "Last-Event-ID": (
        {"type": "string", "pattern": "^[0-9]{0,18}$"},
        "For a stream: the id of the last event that was seen.",
    ),
}
_HEADERS_TOLD: Mapping[str, Any] = {
    "X-Request-Id": {"description": "Which call this was, as logs have it.", "schema": {"type": "string"}},
    "API-Version": {"schema": {"const": "1"}},
    "traceparent": {"description": "W3C trace context.", "schema": {"type": "string"}},
    "Retry-After": {"description": "When to come back, in seconds.", "schema": {"type": "integer"}},
    "ETag": {"description": "Of this state; see If-None-Match and If-Match.", "schema": {"type": "string"}},
    "Location": {"description": "Where it is now.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "The call had been carried out before, under the same key.",
        "schema": {"const": "true"},
    },
}


def _told(*names: str) -> dict[str, Any]:
    every = ("X-Request-Id", "API-Version", "traceparent")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*every, *names)}


_DESCRIPTION = """A control plane for swarms of AI bots: who may do what, when, and at what cost.

Bodies are strict: an unknown field is refused, `"5"` is not 5. Every refusal is a problem document (RFC 9457) whose
`code` is one of a closed set."""
_TAGS = {
    "tasks": "Submit, look at, wait for and steer tasks.",
    "work": "What bots do.",
    "bots": "The fleet.",
    "keys": "API keys.",
    "evidence": "What happened.",
    "ops": "Health, figures, descriptions.",
}


def document(calls: Sequence[Call], version: str) -> dict[str, Any]:
    """The whole document."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(v1.Problem, "serialization"): None}
    for call in calls:
        if call.body is not None:
            wanted[call.body, "validation"] = None
        wanted[call.query, "validation"] = None
        for told in call.answers.values():
            if told is not None:
                wanted[told, "serialization"] = None
    refs, schemas = of_records(wanted)
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, refs, schemas)
    for query in {call.query for call in calls}:
        schemas.pop(refs[query, "validation"]["$ref"].rpartition("/")[2], None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "swarmkeeper",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": {
            "schemas": {name: schemas[name] for name in sorted(schemas)},
            "headers": dict(_HEADERS_TOLD),
            "responses": _refused(calls, refs[v1.Problem, "serialization"]),
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(call: Call, refs: Mapping[Any, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    text = "\n\n".join(part.strip() for part in (call.handler.__doc__ or "").split("\n\n")[1:])
    told: dict[str, Any] = {
        "operationId": call.operation,
        "tags": [call.tag],
        "summary": call.summary,
        **({"description": " ".join(text.split())} if text else {}),
        "security": [] if call.open else [{"key": []}, {"bearer": []}],
        "parameters": _parameters(call, refs, schemas),
        "responses": _responses(call, refs),
    }
    if call.body is not None:
        told["requestBody"] = {
            "required": not call.body_optional,
            "content": {"application/json": {"schema": refs[call.body, "validation"]}},
        }
    return told


def _parameters(call: Call, refs: Mapping[Any, Any], schemas: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, (pattern, meaning) in _PATH_PARAMETERS.items():
        if f"{{{name}}}" in call.path:
            schema = {"type": "string", "pattern": pattern}
            found.append({"name": name, "in": "path", "required": True, "description": meaning, "schema": schema})
    query = schemas[refs[call.query, "validation"]["$ref"].rpartition("/")[2]]
    for name, schema in query.get("properties", {}).items():
        plain = {key: value for key, value in schema.items() if key not in ("title", "description")}
        text = {"description": schema["description"]} if "description" in schema else {}
        found.append({"name": name, "in": "query", "required": False, **text, "schema": _not_null(plain)})
    for name in (*(("Idempotency-Key",) if call.idempotent else ()), *call.headers):
        schema, words = _HEADERS[name]
        found.append({"name": name, "in": "header", "required": False, "description": words, "schema": schema})
    return found


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter cannot be null: it is left out."""
    branches = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(branches) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**branches[0], **rest}


def _responses(call: Call, refs: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, told in call.answers.items():
        content = {} if status in (204, 304) else {"content": _content(call, told, refs)}
        names = [
            *(("Retry-After",) if status == 503 else ()),
            *(("ETag",) if told is v1.Task or status == 304 else ()),
            *(("Location",) if status == 201 and told is not v1.KeyRecord else ()),
            *(("Idempotency-Replayed",) if call.idempotent else ()),
        ]
        found[str(status)] = {"description": _WORDS[status], "headers": _told(*names), **content}
    for status, codes in _codes(call).items():
        if str(status) in found:  # what is told then is either
            problem = {PROBLEM_TYPE: {"schema": refs[v1.Problem, "serialization"]}}
            found[str(status)]["content"] = {**found[str(status)]["content"], **problem}
        else:
            found[str(status)] = {"$ref": f"#/components/responses/{_name(codes)}"}
    return dict(sorted(found.items()))


def _codes(call: Call) -> dict[int, tuple[str, ...]]:
    """What it may be refused with, by status."""
    by_status: dict[int, set[str]] = {}
    for refusal in _refusals(call):
        by_status.setdefault(STATUS[refusal][0], set()).add(refusal.code)
    return {status: tuple(sorted(codes)) for status, codes in by_status.items()}


def _name(codes: Sequence[str]) -> str:
    return "-".join(codes)


def _refused(calls: Sequence[Call], problem: Any) -> dict[str, Any]:
    """Each set of codes that calls share, once."""
    found: dict[str, Any] = {}
    for call in calls:
        for status, codes in _codes(call).items():
            found[_name(codes)] = {
                "description": f"Refused: {', '.join(codes)}.",
                "headers": _told(*(("Retry-After",) if status in (429, 503) else ())),
                "content": {PROBLEM_TYPE: {"schema": problem}},
            }
    return dict(sorted(found.items()))


_WORDS = {200: "Here it is.", 201: "It was made.", 204: "It is gone.", 304: "Nothing has changed.", 503: "Not now."}


def _content(call: Call, told: type[BaseModel] | None, refs: Mapping[Any, Any]) -> dict[str, Any]:
    schema = {} if told is None else refs[told, "serialization"]
    return {
        media_type: {"schema": {"type": "string"} if media_type != "application/json" else schema}
        for media_type in call.media_types
        # A stream is told apart by what the caller accepts; a client that does not ask for one never gets it.
        if media_type != EVENT_STREAM or call.path.endswith("/events")
    }


def _refusals(call: Call) -> Iterable[type[SwarmkeeperError]]:
    yield from call.refusals
    yield from (errors.Internal, errors.Overloaded, errors.Malformed, errors.Invalid)  # any query can be wrong
    if not call.open:
        yield from (errors.Unauthenticated, errors.RateLimited)
    if call.body is not None:
        yield from (errors.TooLarge, errors.UnsupportedMediaType)
    if "{" in call.path:
        yield errors.NotFound
    if call.idempotent:
        yield errors.IdempotencyKeyReused
