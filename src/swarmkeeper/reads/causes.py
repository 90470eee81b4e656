"""Explains why an attempt did not succeed: the message, attempt, bot and time, and when the next try is due.

The input is the row of a work item joined with its last attempt (`subtasks_page`, `subtask_row`).
"""

from __future__ import annotations

from typing import Any

from swarmkeeper.core.named_reads import SubtaskRow
from swarmkeeper.core.states import FINAL, AttemptOutcome, Status, TaskStatus, effective
from swarmkeeper.reads.views import View, json_of, time

# The bound of a message in a list of up to 200 subtasks; the attempt itself has the whole message.
MESSAGE_LENGTH_MAX = 2_000
# Messages for attempts without one from the bot.
_WORDS = {
    AttemptOutcome.FAILED: "it failed, and its bot gave no reason",
    AttemptOutcome.EXPIRED: "the lease expired: its bot sent no heartbeat in time",
    AttemptOutcome.TIMED_OUT: "it timed out",
    AttemptOutcome.UNSEEN: "the lease expired: its bot sent nothing after it was leased",
}
_PUT_OFF = (AttemptOutcome.DEFERRED, AttemptOutcome.RELEASED)
_WELL = frozenset({Status.SUCCEEDED, Status.SKIPPED, Status.IN_REVIEW})


def who_and_when(row: SubtaskRow, status: TaskStatus) -> View:
    """Return the bot that holds or ended an item, and when the attempt started and ended."""
    now = effective(status, Status(row.status))
    held = bool(row.held) and now is Status.LEASED
    ended = (now in FINAL or now is Status.IN_REVIEW) and row.last_round == row.round
    return {
        "bot": row.holder if held else row.tried_by if ended else None,
        "started_at": time(row.started) if held or ended else None,
        "ended_at": time(row.ended) if ended else None,
    }


def cause(row: SubtaskRow, status: TaskStatus) -> View | None:
    """Return why the last attempt at an item failed; None if it succeeded or there was none."""
    now = effective(status, Status(row.status))
    if now in _WELL:
        return None
    failure = json_of(row.error) or {}
    ending = AttemptOutcome(row.ending) if row.ending is not None and row.last_round == row.round else None
    tried = ending is not None
    error = (json_of(row.last_error) or {}) if tried else {}
    message = error.get("message") or failure.get("detail") or (row.reason if tried else None)
    if not message and ending is not None:
        message = _WORDS.get(ending)
    if not message or (
        ending in (AttemptOutcome.SUCCEEDED, AttemptOutcome.ASKED, AttemptOutcome.CANCELLED) and not failure
    ):
        return None
    return {
        "message": _cut(str(message)),
        "class": error.get("class"),
        "errors": error.get("errors", []),
        "work_id": row.id,
        "kind": row.kind,
        "key": row.key,
        "bot": row.tried_by if tried else None,
        "attempt": row.last_attempt if tried else None,
        "ending": None if ending is None else str(ending),
        "at": time(row.ended if tried else row.since),
        "retry_at": time(row.wake) if now is Status.WAITING else None,
    }


def put_off(ending: str, error: Any, reason: str | None) -> str:
    """Return the message of an attempt after which its item waits; empty if there is none."""
    said = (error or {}).get("message") or reason
    return (
        _cut(str(said))
        if said
        else ""
        if AttemptOutcome(ending) in _PUT_OFF
        else _WORDS.get(AttemptOutcome(ending), "")
    )


def sentence(cause: View) -> str:
    """Return a cause as a sentence.

    Example: `KeyError: 'x' (at bot.py:7 in execute); attempt 2 of fetch by crawler at 12:00:00Z`.
    """
    said = str(cause["message"])
    if cause["attempt"] is not None:
        said += f"; attempt {cause['attempt']} of {cause['key']} by {cause['bot']} at {cause['at'][11:19]}Z"
    return said


def _cut(text: str) -> str:
    return text if len(text) <= MESSAGE_LENGTH_MAX else f"{text[: MESSAGE_LENGTH_MAX - 1]}…"
