"""Generate the event reference, a page and a JSON Schema, from the engine's catalogue. gen_docs.py calls this."""

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
    "secret": "Secrets",
    "legal_hold": "Legal holds",
    "kill": "Kills",
    "person": "Persons",
    "audit": "Audit records",
    "store": "The store",
}

# The meaning of each field. `make docs` fails for a field without an entry.
WORDS = {
    "added": "number of subtasks that the review added",
    "amount": "what is limited: `cost_micro_usd`, `tokens` or `attempts`",
    "approval": "id of the approval or question",
    "work.budget_spent.approval": "id of the approval that may raise it; without one, the subtask has failed",
    "attempt": "number of the attempt at the item, from 1",
    "bot": "id of the bot",
    "bytes": "size of the body",
    "code": "the reason, as a code",
    "count": "number of subtasks",
    "crashes": "number of bots in a row that went silent while they worked on the item",
    "deadline_seconds": "seconds until the new deadline",
    "decision": "decision of the review",
    "detail": "the reason, as text",
    "error": "the failure, as the bot reported it: `class` and `message`",
    "failed": "number of subtasks that failed or were cancelled",
    "from": "status before",
    "from_bot": "name of the sending bot, or id of the client's key",
    "hold": "`paused`; `budget`, while the rest of it is reserved; or the id of the approval that holds the task",
    "in_seconds": "seconds until the item is ready again",
    "key": "key of the item",
    "key.created.key": "id of the key",
    "key.revoked.key": "id of the key",
    "key.rotated.key": "id of the key",
    "keys": f"keys of the subtasks; at most the first {events.KEYS_MAX}",
    "kind": "kind of the work item",
    "approval.cancelled.kind": "kind of the approval: `plan`, `final`, `rounds`, `question` or `budget`",
    "approval.decided.kind": "kind of the approval: `plan`, `final`, `rounds`, `question` or `budget`",
    "approval.escalated.kind": "kind of the approval: `plan`, `final`, `rounds`, `question` or `budget`",
    "approval.expired.kind": "kind of the approval: `plan`, `final`, `rounds`, `question` or `budget`",
    "approval.opened.kind": "kind of the approval: `plan`, `final`, `rounds`, `question` or `budget`",
    "approval.reminded.kind": "kind of the approval: `plan`, `final`, `rounds`, `question` or `budget`",
    "budget.reached.key": "key of the subtask, if it is a subtask's budget",
    "budget.raised.key": "key of the subtask, if it is a subtask's budget",
    "labels": "all labels after the change",
    "level": "whose budget it is: `tenant`, `task` or `subtask`",
    "limit": "the limit",
    "budget.raised.limit": "all limits after the change",
    "budget": "all limits of the tenant's budget, if it has one",
    "max_backlog": "limit of open tasks; null for the server's limit",
    "message": "id of the message",
    "name": "name of the bot",
    "kill": "id of the kill",
    "person": "id of the person",
    "kill.placed.kind": "what is killed: `bot`, `owner`, `skill` or `tenant`",
    "kill.lifted.kind": "what was killed: `bot`, `owner`, `skill` or `tenant`",
    "kill.placed.name": "its name",
    "kill.lifted.name": "its name",
    "kill.placed.until": "when it ends by itself, in microseconds since 1970; `null`: when it is lifted",
    "how": "`hand`: a person lifted it; `until`: its time is over",
    "names": "names of the secrets",
    "secret.deleted.name": "name of the secret",
    "secret.put.name": "name of the secret",
    "secret.retired.name": "name of the secret",
    "secret.put.version": "number of the version",
    "secret.retired.version": "number of the newest version, which stays",
    "lease": "id of the lease",
    "tags": "tags of the values: equal values of a tenant have equal tags",
    "versions": "versions of the secrets, as their back ends name them",
    "outcome": "how the task ended",
    "percent": "part of the limit that is spent: 50, 80, 95 or 100",
    "priority": "the new priority",
    "tenant.rate.key": "`tenant`, `skill:<name>` or `scope:<name>`",
    "most": "how many leases may run at once; null for any number",
    "per_minute": "how many leases may be granted in a minute; null for any number",
    "tokens_per_minute": "how many tokens a minute may have; null for any number",
    "scope": "what the provider limits: no bot of this scope gets work meanwhile",
    "reached": "time that the backup had reached, in microseconds since 1970",
    "before": "index of the first record that is kept",
    "task": "id of the task; without it, the hold is on the whole tenant",
    "task.erased.task": "id of the task",
    "reason": "the reason that the person or bot gave",
    "bot.deleted.reason": "`not_seen` if the bot was removed because it was away too long",
    "role": "role of the key",
    "round": "round of the task, or of a subtask that is reviewed by itself",
    "sha256": "digest of the result",
    "skills": "skills of the bot",
    "spent": "how much was used",
    "targets": f"keys of the subtasks to be reworked; at most the first {events.KEYS_MAX}",
    "title": "title of the task",
    "to": "status after",
    "to_bot": "id or name of the receiving bot; null for all bots that work on the task",
    "total": "number of subtasks of the task",
    "tries": "number of tries so far",
    "type": "type of the bot",
    "verb": "`approve`, `reject` or `answer`",
    "version": "version of the bot",
    "votes": "number of votes for each decision",
    "weight": "the tenant's share of the engine's time",
}

COMMON = {
    "task_id": "the task, or null",
    "work_id": "the work item, or null if there is none or more than one",
    "actor": "who caused the event: id of a key or bot, or `engine`",
    "audit_id": "the audit record of the command that caused the event",
}

INTRODUCTION = f"""\
Each change that the engine makes is an event in the feed: `GET /events`, `GET /tasks/{{task_id}}/events`. An event is a
CloudEvent (1.0) of type `{PREFIX}<kind>{VERSION}` with one of the kinds below, and its `data` has the fields listed for
that kind. The [JSON Schema](events.schema.json) describes the same for programs. Later versions may add kinds and
fields: ignore those that you do not know.

The `data` of every event also has:

"""
MARKS = """
A field is *scanned* if its value may come from outside: a secret in it is replaced by `[redacted:<rule>]`, and
`redacted_fields` in `data` lists the positions. The engine makes the values of all other fields. An *optional* field is
left out if it has no value.
"""


def page(note: str) -> str:
    common = _table(("member", "meaning"), ((f"`{name}`", words) for name, words in COMMON.items()))
    parts = ["# Events\n\n", note, INTRODUCTION, common, MARKS]
    for group, title in GROUPS.items():
        parts.append(f"\n## {title}\n")
        parts += [_section(known) for kind, known in CATALOGUE.items() if kind.startswith(f"{group}.")]
    return "".join(parts)


def schema() -> str:
    """Return the JSON Schema of an event as sent, for all current kinds."""
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
    assert found, f"the field `{field.name}` of {known.KIND} has no meaning: add it to WORDS"
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
        return {"enum": [member.value for member in type_]}
    if isinstance(type_, UnionType):
        return {"type": [_PLAIN[member] for member in get_args(type_)]}
    inner = get_args(type_)[-1]
    if issubclass(get_origin(type_), Mapping):
        return {"type": "object"} if inner is Any else {"type": "object", "additionalProperties": _schema(inner)}
    return {"type": "array", "items": _schema(inner)}


def _words(found: Mapping[str, Any]) -> str:
    """Return the description of a JSON type for people."""
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
