"""What happened: the feed of events, and the audit log."""

from __future__ import annotations

from typing import Any

from swarmkeeper.core import errors
from swarmkeeper.http import sse
from swarmkeeper.http.calls import Calls, Exchange, Reply
from swarmkeeper.http.query import AuditQuery, EventsQuery, TaskAuditQuery
from swarmkeeper.http.routes.tasks import events_of
from swarmkeeper.wire import v1

calls = Calls("evidence")


@calls.add(
    "GET",
    "/events",
    query=EventsQuery,
    answers={200: v1.EventPage},
    media_types=("application/json", sse.EVENT_STREAM),
    refusals=(errors.Forbidden, errors.CursorTooOld),
    headers=("Last-Event-ID",),
)
async def all_events(x: Exchange[Any, EventsQuery]) -> Reply | None:
    """Read what happened in the tenant, or follow it as a stream."""
    return await events_of(x, None)


def _asked(query: TaskAuditQuery) -> dict[str, Any]:
    return {
        "actor": query.actor,
        "action": query.action,
        "after": -1 if query.after is None else query.after,
        "page_size": query.page_size,
        "page_token": query.page_token,
    }


@calls.add("GET", "/audit", query=AuditQuery, answers={200: v1.AuditPage}, refusals=(errors.Forbidden,))
async def list_audit(x: Exchange[Any, AuditQuery]) -> Reply:
    """List audit records: who did what, in order. A page that looked far for few may be short and still go on."""
    query = x.query
    return Reply(200, await x.look(lambda reads: reads.evidence.audit(x.by, task_id=query.task_id, **_asked(query))))


@calls.add(
    "GET",
    "/tasks/{task_id}/audit",
    query=TaskAuditQuery,
    answers={200: v1.AuditPage},
    refusals=(errors.Forbidden, errors.NotFound),
)
async def task_audit(x: Exchange[Any, TaskAuditQuery]) -> Reply:
    """List a task's audit records."""
    task_id, asked = x.path["task_id"], _asked(x.query)
    return Reply(200, await x.look(lambda reads: reads.evidence.audit_of_task(x.by, task_id, **asked)))
