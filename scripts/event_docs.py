"""Makes the reference of events, a page and a JSON Schema, from the catalogue of the engine. Run by gen_docs.py."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from swarmkeeper.core import events
from swarmkeeper.core.catalogue import CATALOGUE, EventBody, Field

PREFIX, VERSION = "io.swarmkeeper.", ".v1"

GROUPS = {
    "task": "Tasks",
    "work": "Work items",
    "approval": "Approvals and questions",
    "bot": "Bots",
    "key": "API keys",
    "tenant": "Tenants",
}

# What a reader wants to know of each field. A field without words stops `make docs`.
WORDS = {
    "added": "how many subtasks the review added",
    "approval": "id of the approval or question",
    "attempt": "which attempt at the item, from 1",
    "bot": "id of the bot",
    "bytes": "size of the body",
    "code": "why, as a code",
    "count": "how many subtasks",
    "crashes": "bots in a row that went silent over the item",
    "deadline_seconds": "seconds until the new deadline",
    "decision": "what the review decided",
    "detail": "why, in words",
    "error": "the failure, as the bot reported it: `class` and `message`",
    "failed": "how many of the subtasks failed or were cancelled",
    "from": "status before",
    "from_bot": "name of the bot that spoke, or id of the client's key",
    "hold": "`paused`, or the id of the approval that holds the task",
    "in_seconds": "seconds until the item is ready again",
    "key": "key of the item",
    "key.created.key": "id of the key",
    "key.revoked.key": "id of the key",
    "key.rotated.key": "id of the key",
    "keys": f"their keys; the first {events.KEYS_MAX} where there are more",
    "kind": "kind of the work item",
    "approval.cancelled.kind": "what is asked: `plan`, `final`, `rounds` or `question`",
    "approval.decided.kind": "what is asked: `plan`, `final`, `rounds` or `question`",
    "approval.expired.kind": "what is asked: `plan`, `final`, `rounds` or `question`",
    "approval.opened.kind": "what is asked: `plan`, `final`, `rounds` or `question`",
    "labels": "all labels, as they are now",
    "max_backlog": "how many tasks may be open; null for the server's own limit",
    "message": "id of the message",
    "name": "name of the bot",
    "outcome": "how the task ended",
    "priority": "the new priority",
    "reason": "why, in the words of the person or bot",
    "bot.deleted.reason": "`not_seen` where nobody asked for it",
    "role": "role of the key",
    "round": "round of the task, or of the subtask where it is reviewed by itself",
    "sha256": "digest of the result",
    "skills": "skills of the bot",
    "targets": f"keys of the subtasks to be reworked; the first {events.KEYS_MAX} where there are more",
    "title": "title of the task",
    "to": "status now",
    "to_bot": "id or name of the bot that it is for; null for all that work on the task",
    "total": "how many subtasks the task has",
    "tries": "tries so far",
    "type": "type of the bot",
    "verb": "`approve`, `reject` or `answer`",
    "version": "version of the bot",
    "votes": "how many votes there are for each decision",
    "weight": "its share of the engine's time",
}

COMMON = {
    "task_id": "the task, or null",
    "work_id": "the work item, or null where there is none or there are several",
    "actor": "who caused it: id of a key or bot, or `engine`",
    "audit_id": "the audit record of the command that caused it",
}

INTRODUCTION = f"""\
Each change that the engine makes is an event in the feed: `GET /events`, `GET /tasks/{{task_id}}/events`. An event is a
CloudEvent (1.0) of type `{PREFIX}<kind>{VERSION}`, where the kind is one of those below, and its `data` has the fields
that are listed for the kind. The [JSON Schema](events.schema.json) says the same for programs. New kinds and new fields
may be added: ignore those that you do not know.

The `data` of every event also has:

"""
MARKS = """
A field is *scanned* where its value may come from outside: a secret in it is replaced by `[redacted:<rule>]`, and
`redacted_fields` in `data` says where. The engine itself makes the values of the others. An *optional* field is left
out where there is nothing to say.
"""


def page(note: str) -> str:
    common = _table(("member", "meaning"), ((f"`{name}`", words) for name, words in COMMON.items()))
    parts = ["# Events\n\n", note, INTRODUCTION, common, MARKS]
    for group, title in GROUPS.items():
        parts.append(f"\n## {title}\n")
        parts += [_section(known) for kind, known in CATALOGUE.items() if kind.startswith(f"{group}.")]
    return "".join(parts)


def schema() -> str:
    """Of an event as it is sent, for the kinds that are known now."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Event",
        "description": "An event of the feed: a CloudEvent whose data depends on its type.",
        "type": "object",
        "required": ["type", "data"],
        "properties": {"type": {"enum": [_type_of(kind) for kind in CATALOGUE]}, "data": {"type": "object"}},
        "allOf": [
            {
                "if": {"properties": {"type": {"const": _type_of(kind)}}},
                "then": {"properties": {"data": {"$ref": f"#/$defs/{kind}"}}},
            }
            for kind in CATALOGUE
        ],
        "$defs": {kind: _schema_of(known) for kind, known in CATALOGUE.items()},
    }
    return json.dumps(document, indent=2) + "\n"


def _section(known: type[EventBody]) -> str:
    text = f"\n### {known.KIND}\n\n{inspect.getdoc(known)}\n"
    if not known.fields():
        return text
    rows = (
        (
            f"`{field.name}`" + (", optional" if field.omitted else ""),
            _words(_schema(field.type)),
            "" if field.own else "yes",
            _meaning(known, field),
        )
        for field in known.fields()
    )
    return text + "\n" + _table(("field", "type", "scanned", "meaning"), rows)


def _meaning(known: type[EventBody], field: Field) -> str:
    found = WORDS.get(f"{known.KIND}.{field.name}") or WORDS.get(field.name)
    assert found, f"{known.KIND} has a field `{field.name}` that nothing explains: add it to WORDS"
    return found


def _schema_of(known: type[EventBody]) -> dict[str, Any]:
    return {
        "description": inspect.getdoc(known),
        "type": "object",
        "required": [field.name for field in known.fields() if not field.omitted],
        "properties": {
            field.name: {"description": _meaning(known, field), **_schema(field.type)} for field in known.fields()
        },
    }


_PLAIN = {str: "string", int: "integer", float: "number", NoneType: "null"}


def _schema(type_: Any) -> dict[str, Any]:
    if type_ in _PLAIN:
        return {"type": _PLAIN[type_]}
    if isinstance(type_, type) and issubclass(type_, Enum):
        return {"enum": [one.value for one in type_]}
    if isinstance(type_, UnionType):
        return {"type": [_PLAIN[one] for one in get_args(type_)]}
    inner = get_args(type_)[-1]
    if issubclass(get_origin(type_), Mapping):
        return {"type": "object"} if inner is Any else {"type": "object", "additionalProperties": _schema(inner)}
    return {"type": "array", "items": _schema(inner)}


def _words(found: Mapping[str, Any]) -> str:
    """A type of JSON, for people."""
    if "enum" in found:
        return ", ".join(f"`{value}`" for value in found["enum"])
    if found["type"] == "array":
        return f"array of {_words(found['items'])}"
    if "additionalProperties" in found:
        return f"object of {_words(found['additionalProperties'])}"
    return found["type"] if isinstance(found["type"], str) else " or ".join(found["type"])


def _type_of(kind: str) -> str:
    return f"{PREFIX}{kind}{VERSION}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"
