"""Routes for legal holds: what is under one is not erased, however old it is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from swarmkeeper.core import commands, errors
from swarmkeeper.core.retention import WHOLE_TENANT
from swarmkeeper.http.dependencies import CurrentCall, Idempotency, replay_header
from swarmkeeper.http.openapi import refuses
from swarmkeeper.http.queries import PageQuery
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.wire import v1

router = APIRouter(tags=["legal holds"], route_class=StrictRoute)


@router.get("/legal-holds", response_model=v1.LegalHoldPage)
async def list_legal_holds(query: Annotated[PageQuery, Query()], call: CurrentCall) -> Response:
    """List the legal holds of the tenant and of its tasks."""
    page = await call.read(
        lambda reads: reads.queries.legal_holds(call.by, page_size=query.page_size, page_token=query.page_token)
    )
    return Json(page)


@router.post(
    "/legal-holds",
    response_model=v1.LegalHold,
    status_code=201,
    responses=refuses(errors.IllegalTransition, errors.ResourceNotFound),
)
async def place_legal_hold(body: v1.LegalHoldRequest, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Place a legal hold on a task, or on everything of the tenant: it is kept until the hold is released.

    A hold that is in place stays as it is.
    """
    held = body.task_id or WHOLE_TENANT
    command = commands.PlaceLegalHold(
        by=call.by, idempotency=idempotency, trace=call.trace, task=held, reason=body.reason
    )
    answer = await call.services.engine.do(command)
    return Json(await call.after(lambda: call.services.queries.legal_hold(call.by, held)), 201, replay_header(answer))


@router.post("/legal-holds:release", response_model=v1.LegalHoldState, responses=refuses(errors.ResourceNotFound))
async def release_legal_hold(body: v1.LegalHoldRequest, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Release the legal hold on a task, or on the tenant. What was kept long enough is erased soon."""
    held = body.task_id or WHOLE_TENANT
    command = commands.ReleaseLegalHold(
        by=call.by, idempotency=idempotency, trace=call.trace, task=held, reason=body.reason
    )
    answer = await call.services.engine.do(command)
    return Json({"task_id": body.task_id, "held": False}, 200, replay_header(answer))
