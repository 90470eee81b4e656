"""Logs a line for each submission, failed attempt, lost lease and failed task.

Lines are written after the commit, from the redacted event. All other events are only in the feed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarmkeeper.core import ids
from swarmkeeper.core.model import Event
from swarmkeeper.core.ports import Changes, LogWriter
from swarmkeeper.request_id import NO_TRACE, trace_fields, tracing

_LEASE_LOST = {
    "work.lease_expired": "its bot sent no heartbeat in time",
    "work.lease_unseen": "its bot sent nothing after it was leased",
}
# Events of a failed attempt, or of a failed wait for one.
_FAILED = frozenset(
    {
        *("work.failed", "work.attempt_failed", "work.timed_out", "work.poisoned", "work.expired"),
        *("work.review_failed", "work.rejected", "work.denied", "work.answer_expired", "work.rounds_exhausted"),
    }
)
_LOGGED = _FAILED | _LEASE_LOST.keys() | {"task.submitted", "task.failed"}


class Happenings:
    def __init__(self, log: LogWriter, *, traced: bool = False) -> None:
        """Args: with `traced`, lines name the span of the task or of the attempt."""
        self._log, self._traced = log, traced

    def committed(self, changes: Changes) -> None:
        """Log the events of a committed transaction."""
        for event in changes.events:
            if event.kind not in _LOGGED:  # nearly all
                continue
            body = event.body.value
            if isinstance(body, dict):
                with tracing(_trace_of(event, changes) if self._traced else NO_TRACE):
                    self._log_event(event, body, changes.requests.get(event.audit))

    def _log_event(self, event: Event, body: Mapping[str, Any], request: str | None) -> None:
        if event.kind == "task.submitted":
            self._log("task_submitted", task=event.task, title=body.get("title"), by=event.actor, request_id=request)
        elif event.kind == "task.failed":
            self._log(
                "task_failed",
                task=event.task,
                outcome=body.get("outcome"),
                code=body.get("code"),
                detail=body.get("detail"),
                request_id=request,
            )
        elif event.kind in _LEASE_LOST:
            self._log(
                "lease_lost",
                task=event.task,
                work=event.work,
                subtask=body.get("key"),
                bot=body.get("bot"),
                attempt=body.get("attempt"),
                reason=_LEASE_LOST[event.kind],
                request_id=request,
            )
        elif event.kind in _FAILED:
            error = body.get("error")
            self._log(
                "work_failed",
                task=event.task,
                work=event.work,
                subtask=body.get("key"),
                bot=body.get("bot"),
                attempt=body.get("attempt"),
                what=event.kind.removeprefix("work."),
                error=error.get("message") if isinstance(error, Mapping) else None,
                retry_in_seconds=body.get("in_seconds"),
                request_id=request,
            )


def _trace_of(event: Event, changes: Changes) -> Mapping[str, str]:
    """Return what a line about an event says of its trace. An event of a task changes the task, in the same changes."""
    task = None if event.task is None else changes.tasks.get(event.task)
    if task is None:
        return NO_TRACE
    ended = (each.lease_id for each in changes.attempts if each.work == event.work)
    return trace_fields(task.trace, ids.span_id(next(ended, task.id)))
