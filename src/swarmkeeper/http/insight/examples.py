"""Examples of requests and answers, by operation; openapi.py puts them into the description.

Tests hold them against its schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shown:
    """What is sent, if the call has a body, and what a successful call answers."""

    answer: Any
    request: Any = None
    status: int = 200


TASK, BOT, LEASE = "tsk_01KZ8Q5T", "bot_01KZ8Q2B", "lse_01KZ8Q7M"
T0, T1, T2, T3 = (f"2026-11-29T08:{minute:02d}:00.000000Z" for minute in (0, 1, 4, 9))

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
}
