"""Converts rows to the API's wire format, as plain dicts. Reading and permissions are in queries.py."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from swarmkeeper.core.erasure.records import ErasedBody
from swarmkeeper.core.errors import Erased, Invalid
from swarmkeeper.core.model import Json, LeaseRecord, Reservation, TaskRecord, Work
from swarmkeeper.core.named_reads import (
    AttemptRow,
    BotRow,
    EdgeRow,
    EventRow,
    KeyRow,
    LateResultRow,
    LegalHoldRow,
    NodeRow,
    SubtaskRow,
    TaskRow,
)
from swarmkeeper.core.policies import labels
from swarmkeeper.core.retention import WHOLE_TENANT
from swarmkeeper.core.rules import budgets
from swarmkeeper.core.rules.stuck import Stuck
from swarmkeeper.core.states import EDGE_MET, TASK_CLOSED, Condition, Kind, Status, TaskStatus, effective

View = dict[str, Any]

SECOND = 1_000_000
# Larger values are fetched separately: a hundred answers for bots should fit into memory.
INLINE_BYTES_MAX = 256 * 1024
INLINE_BYTES_IN_ALL = 1024 * 1024
# The inputs in a list of subtasks. A caller that watches a task gets the list again with each change.
INPUTS_BYTES_IN_ALL = 64 * 1024
SOURCE = "/swarmkeeper"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_decode = msgspec.json.decode


def time(micros: int | None) -> str | None:
    """Format a time: `2026-01-31T23:59:59.000001Z`. UTC, always with six decimals, so that strings sort by time."""
    if micros is None:
        return None
    return f"{_second(micros // SECOND)}.{micros % SECOND:06}Z"


@lru_cache(4_096)  # a list has many times, and is read again and again
def _second(number: int) -> str:
    return (_EPOCH + timedelta(seconds=number)).isoformat()[:19]


def seconds(micros: int | None) -> float | int | None:
    """Convert a duration to seconds; whole seconds as an int."""
    if micros is None:
        return None
    return micros // SECOND if micros % SECOND == 0 else micros / SECOND


def json_of(text: str | bytes | None) -> Json:
    """Decode a stored body.

    Raises:
        Erased: its data key was destroyed.
    """
    if text is None:
        return None
    if type(text) is ErasedBody:
        raise Erased("it was erased with the data keys of its tenant")
    return _decode(text)


# ---- pages ---------------------------------------------------------------------------------------------------------


def token(*parts: str | int) -> str:
    """Encode the position where a page ended as an opaque page token."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def read_token(text: str, *kinds: type) -> list[Any]:
    """Decode a page token into its parts, one for each type in `kinds`.

    Raises:
        Invalid: it is not a page token, or it is one of another list.
    """
    try:
        parts = _decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, UnicodeError, msgspec.DecodeError):
        parts = None
    if (
        not isinstance(parts, list)
        or len(parts) != len(kinds)
        or not all(type(part) is kind for part, kind in zip(parts, kinds, strict=True))
        or any(isinstance(part, int) and abs(part) > 2**62 for part in parts)
    ):
        raise bad_token()
    return parts


def bad_token() -> Invalid:
    return Invalid(
        "the page token does not belong to this list",
        details=(("/query/page_token", "invalid", "use next_page_token of the page before, or leave it out"),),
    )


def page(items: Sequence[View], next_page_token: str = "") -> View:
    return {"items": list(items), "next_page_token": next_page_token}


# ---- large values --------------------------------------------------------------------------------------------------


class Inline:
    """The room for outputs that is left in one answer."""

    def __init__(self) -> None:
        self._left = INLINE_BYTES_IN_ALL

    def fits(self, size: int) -> bool:
        if size > INLINE_BYTES_MAX or size > self._left:
            return False
        self._left -= size
        return True


def reference(task: str, key: str, sha256: str, size: int, *, attempt: int | None = None) -> View:
    """Return the reference that replaces a value that is too large."""
    path = f"/tasks/{task}/subtasks/{key}/output" + ("" if attempt is None else f"?attempt={attempt}")
    return {"$ref": path, "sha256": sha256, "bytes": size}


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


# ---- tasks ---------------------------------------------------------------------------------------------------------


def said(stored: str | None) -> View | None:
    """Return what a bot has said of its progress, with every field of the schema; only what it said is stored."""
    found = json_of(stored)
    return None if found is None else {"fraction": None, "message": None, "log": [], **found}


def progress(row: TaskRow) -> View:
    """Return a task's progress. Open subtasks of a closed task, which the sweep will cancel, count as cancelled."""
    unreached = row.n_open if TaskStatus(row.status) in TASK_CLOSED else 0
    done = row.n_total - row.n_open - row.n_failed
    return {"total": row.n_total, "done": done, "failed": row.n_failed + unreached}


def defaults(text: str) -> View:
    plain = json_of(text)
    shown = {
        "timeout_seconds": seconds(plain.get("timeout")),
        "max_attempts": plain.get("max_attempts"),
        "schedule_to_start_seconds": seconds(plain.get("start")),
        "give_up_after_seconds": seconds(plain.get("give_up")),
        "on_failure": plain.get("on_failure"),
    }
    return {name: value for name, value in shown.items() if value is not None}


def approval_terms(text: str) -> View | None:
    terms = json_of(text).get("terms")
    if terms is None:
        return None
    return {
        "expires_in_seconds": seconds(terms["expires"]),
        "at_expiry": "approve" if terms["approve"] else "reject",
        "remind_after_seconds": seconds(terms["remind"]),
        "escalate_after_seconds": seconds(terms["escalate"]),
        "step_up": None if terms.get("step_up") is None else {"max_age_seconds": terms["step_up"] // 1_000_000},
    }


def task(row: TaskRow, spec: bytes | None) -> View:
    """Return a task without its subtasks, result and verdict."""
    sent = json_of(spec) or {}
    return {
        "id": row.id,
        "title": row.title,
        "description": sent.get("description", ""),
        "priority": row.priority,
        "status": row.status,
        "outcome": row.outcome,
        "failure": json_of(row.failure),
        "holds": json_of(row.holds),
        "progress": progress(row),
        "round": row.round,
        "input": sent.get("input", {}),
        "labels": json_of(row.labels),
        "metadata": sent.get("metadata", {}),
        "acceptance_criteria": sent.get("acceptance_criteria", []),
        "planner_skills": json_of(row.planner_skills),
        "evaluator_skills": json_of(row.evaluator_skills),
        "deadline_at": time(row.deadline),
        "evaluation": row.evaluation,
        "quorum": {"accept": row.quorum_accept, "of": row.quorum_of},
        "max_rounds": row.max_rounds,
        "approval": row.approval,
        "approval_terms": approval_terms(row.defaults),
        "plan_timeout_seconds": seconds(row.plan_timeout),
        "review_timeout_seconds": seconds(row.review_timeout),
        "defaults": defaults(row.defaults),
        "subtasks_total": row.n_total,
        "usage": json_of(row.usage),
        "budget": None if row.budget is None else budget(row.budget, subtasks=row.n_total),
        "created_at": time(row.created_at),
        "updated_at": time(row.updated_at),
    }


def budget(account: str, *, subtasks: int | None = None) -> View:
    """Return the state of a budget.

    Args:
        subtasks: how many there are, if the number may be limited.
    """
    shown: View = json_of(account)
    del shown["told"]
    if subtasks is not None and "subtasks" in shown["limit"]:
        shown["spent"] = {**shown["spent"], "subtasks": subtasks}
    return shown


def verdict(body: bytes | None) -> View | None:
    if body is None:
        return None
    plain: Any = json_of(body)
    return {
        "decision": plain["decision"],
        "score": plain.get("score"),
        "reasons": plain.get("reasons", []),
        "findings": plain.get("findings", []),
    }


def as_planned(work_id: str, task_id: str, key: str, spec: View | None) -> View:
    """Return a subtask as planned, including its `input`."""
    return {"id": work_id, "parent_task_id": task_id, **(spec or {}), "key": key}


# Descriptions of plan and review items, which are not part of any plan.
_OTHERS = {Kind.PLAN: "Make the plan of the task.", Kind.REVIEW: "Judge what was made."}


def subtask(
    row: SubtaskRow, status: TaskStatus, *, of_task: Mapping[str, str], room: int = INPUTS_BYTES_IN_ALL
) -> View:
    """Return an item with its current state, for a list; without its input if that does not fit into `room` bytes.

    Args:
        of_task: the labels of its task.
    """
    shown = as_planned(row.id, row.task, row.key, json_of(row.spec))
    kind = Kind(row.kind)
    if kind is not Kind.EXECUTE:
        shown |= {"description": _OTHERS[kind], "required_skills": [], "depends_on": []}
    shown["input"] = shown.get("input", {}) if len(row.spec or b"") <= room else None
    if row.budget is not None:
        shown["budget"] = budget(row.budget)
    shown["kind"] = str(kind)
    shown["priority"] = row.priority
    shown["status"] = str(effective(status, Status(row.status)))
    every = labels.effective(of_task, labels.from_json(json_of(row.labels)), row.key)
    shown["effective_labels"] = [{"name": name, "value": value, "from": source} for name, value, source in every]
    return shown | {"attempt": row.attempt, "round": row.round}


def attempt(row: AttemptRow) -> View:
    return {
        "attempt": row.attempt,
        "bot": row.bot,
        "bot_name": row.bot_name,
        "lease_id": row.lease_id,
        "started_at": time(row.started),
        "ended_at": time(row.ended),
        "ending": row.ending,
        "error": json_of(row.error),
        "reason": row.reason,
        "progress": said(row.progress),
        "usage": json_of(row.usage),
    }


def late_result(row: LateResultRow) -> View:
    return {
        "lease_id": row.lease_id,
        "bot": row.bot,
        "received_at": time(row.at),
        "content": json_of(row.body),
    }


def graph(nodes: Sequence[NodeRow], edges: Sequence[EdgeRow], status: TaskStatus) -> View:
    def state(row: EdgeRow) -> str:
        # A cancelled parent does not settle an edge: it stays open.
        parent = effective(status, Status(row.status))
        met = EDGE_MET.get((Condition(row.condition), parent))
        return "open" if met is None else "met" if met else "broken"

    return {
        "nodes": [
            {
                "key": row.key,
                "status": str(effective(status, Status(row.status))),
                "attempt": row.attempt,
            }
            for row in nodes
        ],
        "edges": [{"from": row.parent, "to": row.child, "when": row.condition, "state": state(row)} for row in edges],
    }


# ---- work ----------------------------------------------------------------------------------------------------------


def leased_task(of_task: TaskRecord, body: bytes | None) -> View:
    sent = json_of(body) or {}
    return {
        "title": of_task.title,
        "description": sent.get("description", ""),
        "input": sent.get("input", {}),
        "acceptance_criteria": sent.get("acceptance_criteria", []),
        "metadata": sent.get("metadata", {}),
        "labels": dict(of_task.labels),
        "priority": of_task.priority,
        "round": of_task.round,
        "created_at": time(of_task.created_at),
    }


def _allowance(reserved: Reservation) -> View:
    return {name: reserved.amounts[name] for name in budgets.USED if name in reserved.amounts}


def lease(held: LeaseRecord, item: Work, of_task: TaskRecord, sent: bytes | None, spec: View | None) -> View:
    """Return a lease without the results of other items; lease_views.py adds them."""
    return {
        "lease_id": held.lease_id,
        "kind": item.kind,
        "attempt": held.attempt,
        "work_id": item.id,
        "task_id": item.task,
        "task": leased_task(of_task, sent),
        "subtask": as_planned(item.id, item.task, item.key, spec) if item.kind is Kind.EXECUTE else None,
        "upstream": {},
        "feedback": [],
        "previous": None,
        "checkpoint": None,
        "answers": [],
        "review": None,
        "expires_at": time(held.expires_at),
        "ends_at": time(held.ends_at),
        "allowance": None if held.reserved is None else _allowance(held.reserved),
        # A third of the lease, so that one heartbeat may be lost.
        "heartbeat_after_seconds": seconds(held.ttl // 3),
        "traceparent": of_task.trace or None,
    }


# ---- bots and keys -------------------------------------------------------------------------------------------------


def bot(row: BotRow, *, last_seen: int, away: bool, stuck: Sequence[Stuck] = ()) -> View:
    return {
        "id": row.id,
        "type": row.type,
        "name": row.name,
        "instance": row.instance,
        "version": row.version,
        "endpoint": row.endpoint,
        "owner": row.owner,
        "skills": json_of(row.skills),
        "capacity": row.capacity,
        "dedicated": bool(row.dedicated),
        "labels": json_of(row.labels),
        "status": "away" if away and row.status == "active" else row.status,
        "held": row.held,
        "stuck": [{"work_id": code.work, "since": time(code.since), "where": code.where} for code in stuck],
        "last_seen": time(last_seen),
        "created_at": time(row.created_at),
    }


def key(row: KeyRow) -> View:
    return {
        "id": row.id,
        "role": row.role,
        "bot": row.bot,
        "owner": row.owner,
        "person": row.person,
        "person_name": row.person_name,
        "scope": (row.scope or "tenant") if row.role == "client" else None,
        "skills": json_of(row.skills),
        "networks": json_of(row.networks),
        "created_at": time(row.created_at),
        "expires_at": time(row.expires_at),
        "revoked_at": time(row.revoked_at),
        "last_used": time(row.used_at),
    }


def legal_hold(row: LegalHoldRow) -> View:
    return {
        "task_id": None if row.id == WHOLE_TENANT else row.id,
        "reason": row.reason,
        "placed_by": row.placed_by,
        "placed_at": time(row.placed_at),
    }


# ---- events --------------------------------------------------------------------------------------------------------


def event(row: EventRow, shown_id: str) -> View:
    """Return an event as a CloudEvent (1.0).

    Args:
        shown_id: for a tenant its cursor, which hides the number; what the operator reads has the number.
    """
    data = dict(json_of(row.body))
    data |= {"task_id": row.task, "work_id": row.work, "actor": row.actor, "audit_id": row.audit}
    redacted = json_of(row.redacted)
    if redacted:
        names = ("pointer", "rule", "action", "in")
        data["redacted_fields"] = [dict(zip(names, field, strict=True)) for field in redacted]
    return {
        "specversion": "1.0",
        "id": shown_id,
        "source": SOURCE,
        "type": f"io.swarmkeeper.{row.kind}.v1",
        "subject": None if row.task is None else f"tasks/{row.task}",
        "time": time(row.at),
        "sequence": row.sequence,
        "data": data,
    }
