"""Examples of requests and answers, by operation; openapi.py puts them into the description.

Those in examples.json are calls of a small story, with short ids; each line is one operation. Tests hold all examples
against the schemas, and find operations without one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Shown:
    """What is sent, if the call has a body, and what a successful call answers."""

    answer: Any
    request: Any = None
    status: int = 200


@cache
def all_examples() -> Mapping[str, Shown]:
    """Return the examples by operation, such as `GET /tasks`."""
    recorded = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return {**{label: Shown(**call) for label, call in recorded.items()}, **EXAMPLES}


def examples_of(operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the examples in the description of an operation, each with its name, as JSON to be read by people."""
    places = [("Example of a body", operation.get("requestBody", {}))]
    places += [(f"Example of an answer ({status})", response) for status, response in operation["responses"].items()]
    for what, place in places:
        example = place.get("content", {}).get("application/json", {}).get("example")
        if example is not None:
            yield what, json.dumps(example, indent=2)


TASK, BOT, LEASE = "tsk_01KZ8Q5T", "bot_01KZ8Q2B", "lse_01KZ8Q7M"
T0, T1, T2, T3 = (f"2026-11-29T08:{minute:02d}:00.000000Z" for minute in (0, 1, 4, 9))

_OPERATION = {
    "items": [
        {"task_id": TASK, "outcome": "done", "code": None, "detail": None},
        {
            "task_id": "tsk_01KZ8Q6A",
            "outcome": "refused",
            "code": "illegal_transition",
            "detail": "only a FAILED task can be retried",
        },
    ],
    "next_page_token": "",
    "id": "opr_01KZ8QB3",
    "action": "retry",
    "dry_run": False,
    "state": "ended",
    "progress": {"total": 2, "done": 1, "refused": 1, "left": 0},
    "created_at": T2,
    "ended_at": T3,
}

EXAMPLES: Mapping[str, Shown] = {
    "GET /tasks/{task_id}/timeline": Shown(
        {
            "items": [
                {
                    "work_id": "sub_01KZ8Q5V",
                    "kind": "execute",
                    "key": "fetch",
                    "subject": None,
                    "status": "LEASED",
                    "round": 1,
                    "created_at": T0,
                    "since": T3,
                    "wake_at": None,
                    "fails_at": None,
                    "bars": [
                        {
                            "attempt": 1,
                            "bot": "crawler",
                            "lease_id": LEASE,
                            "start": T1,
                            "end": T2,
                            "ending": "failed",
                            "round": 1,
                            "error": {"class": "retryable", "message": "KeyError: 'total'"},
                            "expires_at": None,
                        }
                    ],
                    "bars_left_out": 0,
                    "waits": [
                        {"start": T0, "end": T1, "after": None},
                        {"start": T2, "end": None, "after": "failed"},
                    ],
                }
            ],
            "next_page_token": "",
            "task_id": TASK,
            "status": "IN_PROGRESS",
            "created_at": T0,
            "updated_at": T3,
            "now": T3,
        }
    ),
    "GET /tasks/{task_id}/verdicts": Shown(
        {
            "items": [
                {
                    "work_id": "wrk_01KZ8Q9C",
                    "subject": None,
                    "round": 1,
                    "evaluator": "critic",
                    "attempt": 1,
                    "at": T3,
                    "decision": "rework",
                    "score": 0.4,
                    "reasons": ["The summary has no sources."],
                    "findings": [],
                    "feedback": [{"subtask": "write", "text": "Name the source of each figure."}],
                    "targets": ["write"],
                    "added": [],
                    "complete": True,
                }
            ],
            "next_page_token": "",
        }
    ),
    "GET /limits": Shown(
        {
            "items": [
                {"limit": "open_tasks", "scope": "tenant", "used": 312, "most": 10_000},
                {"limit": "tasks_a_minute", "scope": "key", "used": 4, "most": None},
            ],
            "rates": [{"key": "skill:ocr", "max": 8, "per_minute": 120, "tokens_per_minute": None}],
            "budget": {
                "limit": {"cost_micro_usd": 50_000_000},
                "spent": {"cost_micro_usd": 12_450_000, "tokens": 1_204_000, "attempts": 930},
                "reserved": {"cost_micro_usd": 50_000},
            },
        }
    ),
    "GET /sessions": Shown(
        {
            "items": [{"id": "ses_01KZ8S01", "created_at": T0, "used_at": T1, "ends_at": T3, "current": True}],
            "next_page_token": "",
        }
    ),
    "GET /bots/{bot_id}/leases": Shown(
        {
            "items": [
                {
                    "lease_id": LEASE,
                    "work_id": "sub_01KZ8Q5V",
                    "task_id": TASK,
                    "task_title": "Count the words of three pages",
                    "kind": "execute",
                    "key": "fetch",
                    "attempt": 2,
                    "round": 1,
                    "priority": 5,
                    "granted_at": T1,
                    "expires_at": T2,
                    "ends_at": T3,
                    "cancelled": False,
                }
            ],
            "next_page_token": "",
        }
    ),
    "GET /queues": Shown(
        {
            "items": [
                {
                    "kind": "execute",
                    "skills": ["ocr"],
                    "assign_to": None,
                    "waiting": 570,
                    "waiting_at_least": False,
                    "oldest_at": T0,
                    "oldest_seconds": 540,
                    "leased": 0,
                    "leased_at_least": False,
                    "in_per_minute": 12,
                    "out_per_minute": 0,
                    "bots": 0,
                    "bots_asking": 0,
                    "why": {
                        "reason": "no_capable_bot",
                        "detail": "no executor has skill ocr",
                        "fix": "swarmkeeper bot run FILE --skill ocr",
                        "until": None,
                    },
                }
            ],
            "next_page_token": "",
        }
    ),
    "GET /approvals": Shown(
        {
            "items": [
                {
                    "id": "apr_01KZ8QA1",
                    "kind": "question",
                    "state": "open",
                    "task_id": TASK,
                    "task_title": "Count the words of three pages",
                    "work_id": "sub_01KZ8Q5V",
                    "asked_by": "crawler",
                    "asker": "crawler",
                    "question": "Which of the two pages is meant?",
                    "choices": ["first", "second"],
                    "schema": None,
                    "subject": None,
                    "subject_hash": "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",
                    "opened_at": T1,
                    "expires_at": T3,
                    "at_expiry": None,
                    "step_up": None,
                    "decision": None,
                }
            ],
            "next_page_token": "",
            "open": 1,
            "open_at_least": False,
        }
    ),
    "GET /changes": Shown(
        {
            "cursor": "AAECAwQFBgcICQoLDA0ODw-_",
            "counts": {
                "open_tasks": 12,
                "open_subtasks": 230,
                "CREATED": 2,
                "PLANNED": 1,
                "IN_PROGRESS": 9,
                "COMPLETED": 0,
                "FAILED": 3,
                "ARCHIVED": 5120,
            },
            "approvals_open": 1,
            "tasks": [TASK],
            "also": ["bot"],
        }
    ),
    "POST /tasks:bulk": Shown(
        {
            **_OPERATION,
            "items": [{"task_id": TASK, "outcome": None, "code": None, "detail": None}],
            "state": "running",
            "progress": {"total": 1, "done": 0, "refused": 0, "left": 1},
            "ended_at": None,
        },
        request={"action": "retry", "filter": {"outcome": ["failed"]}, "reason": "the model is back", "dry_run": True},
        status=202,
    ),
    "GET /audit/{index}/body": Shown(
        {
            "index": 11,
            "erased": False,
            "alg": "sha256-salted-parts",
            "salt": "5a0c2f6e9b1d48c7a3e5f0187d2b6c94",
            "body": '{"events":["evt_01KZ8E02"],"events_hash":"9a1f…","payload":{"labels":{},"title":"Count words"}}',
            "rest": "3b7e0d5c3b7e0d5c3b7e0d5c3b7e0d5c3b7e0d5c3b7e0d5c3b7e0d5c3b7e0d5c",
        }
    ),
    "GET /operations/{operation_id}": Shown(_OPERATION),
    "GET /operations": Shown(
        {
            "items": [{name: value for name, value in _OPERATION.items() if name not in ("items", "next_page_token")}],
            "next_page_token": "",
        }
    ),
}
