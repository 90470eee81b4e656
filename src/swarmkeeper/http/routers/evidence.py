"""Routes for events and audit records, and for testing redaction."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from swarmkeeper.core import errors
from swarmkeeper.core.model import Json as JsonValue
from swarmkeeper.govern.access import Action
from swarmkeeper.http.dependencies import CurrentCall, LastEventId, Permission, TaskId
from swarmkeeper.http.openapi import refuses
from swarmkeeper.http.queries import AuditQuery, EventsQuery, TaskAuditQuery
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routers import sse
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.reads.reading_thread import Reads
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import micros

router = APIRouter(tags=["evidence"], route_class=StrictRoute)


@router.get("/events", response_model=v1.EventPage, responses={**sse.DESCRIBED, **refuses(errors.CursorTooOld)})
async def all_events(query: Annotated[EventsQuery, Query()], call: CurrentCall, last: LastEventId = None) -> Response:
    """Read the tenant's events, or follow them as a stream."""
    return await sse.events(call, query, None)


def _filters(query: TaskAuditQuery) -> dict[str, Any]:
    return {
        "actor": query.actor,
        "action": query.action,
        "resource": query.resource,
        "after": -1 if query.after is None else query.after,
        "since": None if query.since is None else micros(query.since.timestamp()),
        "until": None if query.until is None else micros(query.until.timestamp()),
        "newest_first": query.order == "desc",
        "page_size": query.page_size,
        "page_token": query.page_token,
    }


@router.get("/audit", response_model=v1.AuditPage)
async def list_audit(query: Annotated[AuditQuery, Query()], call: CurrentCall) -> Response:
    """List audit records, in order or the newest first.

    A filtered page may be short, or empty, although more records follow.
    """
    return Json(
        await call.read(lambda reads: reads.audit_queries.audit(call.by, task_id=query.task_id, **_filters(query)))
    )


@router.get("/tasks/{task_id:id}/audit", response_model=v1.AuditPage)
async def task_audit(task_id: TaskId, query: Annotated[TaskAuditQuery, Query()], call: CurrentCall) -> Response:
    """List a task's audit records."""
    return Json(await call.read(lambda reads: reads.audit_queries.audit_of_task(call.by, task_id, **_filters(query))))


@router.post(
    "/redaction:test", dependencies=[Depends(Permission(Action.REDACTION_TEST))], response_model=v1.RedactionTested
)
async def test_redaction(body: v1.RedactionTest, call: CurrentCall) -> Response:
    """Redact a value as the tenant's evidence would show it, and list what was hidden.

    Nothing is stored.
    """

    async def redacted(reads: Reads) -> JsonValue:
        found = call.services.rules.redact(body.value, tenant=call.by.tenant)
        fields: list[dict[str, Any]] = [
            {"pointer": field.pointer, "rule": field.rule, "action": field.action, "in": field.within}
            for field in found.fields
        ]
        return {"value": found.value, "redacted_fields": fields}

    return Json(await call.read(redacted))
