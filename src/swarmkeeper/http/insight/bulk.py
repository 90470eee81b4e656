"""Routes for operations on many tasks."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from swarmkeeper.access.operations import callers
from swarmkeeper.core import errors
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.operations.commands import StartOperation
from swarmkeeper.core.operations.reads import OPEN_OPERATIONS_OF
from swarmkeeper.engine.loop import Replayed
from swarmkeeper.govern.access import Action
from swarmkeeper.http.dependencies import Call, CurrentCall, Idempotency, Permission, in_path, replay_header, require
from swarmkeeper.http.insight.queries import OperationQuery
from swarmkeeper.http.openapi import returns
from swarmkeeper.http.queries import PageQuery
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.reads.insight import operations
from swarmkeeper.reads.tasks.filters import TaskFilter
from swarmkeeper.wire.insight.bulk import BulkRequest, OperationPage, OperationState
from swarmkeeper.wire.shapes import micros_or_none, of_datetime

router = APIRouter(tags=["tasks"], route_class=StrictRoute)

OPEN_MAX = 20  # operations of a tenant that run at a time
OperationId = Annotated[str, in_path("An operation's id.")]


@router.post(
    "/tasks:bulk",
    dependencies=[Depends(Permission(Action.TASK_CANCEL))],
    response_model=OperationState,
    status_code=202,
    responses=returns(202, "Location"),
)
async def bulk_tasks(body: BulkRequest, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Cancel, pause, resume, retry or archive up to 10,000 tasks, one by one.

    The answer comes at once; the operation goes on in the background, also after a crash. Each task is dealt with as by
    a single call of the same caller: with its rights at that moment, and with an audit record of its own.
    """
    require(call.services.rules, call.by, f"task.{body.action}")
    command = StartOperation(
        by=call.by,
        idempotency=idempotency,
        trace=call.trace,
        action=body.action,
        tasks=await _tasks(call, body),
        caller=callers.to_json(call.by),
        args=json.dumps(_args(body)),
        reason=body.reason or "",
        dry_run=body.dry_run,
        seal=call.services.identity.digest,
    )
    await _check_room(call)
    answer = await call.services.engine.do(command)
    operation_id = answer.resource if isinstance(answer, Replayed) else answer
    call.services.operation_started()
    shown = await call.after(lambda: _read(call, operation_id, OperationQuery()))
    return Json(shown, 202, {"location": f"{call.base}/operations/{operation_id}", **replay_header(answer)})


async def _tasks(call: Call, body: BulkRequest) -> tuple[str, ...]:
    if body.ids is not None:
        return tuple(dict.fromkeys(body.ids))
    assert body.filter is not None, "the model has one of them"
    chosen = body.filter
    filters = TaskFilter(
        status=tuple(chosen.status),
        outcome=tuple(chosen.outcome),
        labels=tuple(chosen.label),
        skills=tuple(chosen.skill),
        error=chosen.error,
        words=chosen.q,
        created_after=None if chosen.created_after is None else of_datetime(chosen.created_after),
        created_before=None if chosen.created_before is None else of_datetime(chosen.created_before),
    )
    return await operations.selected(call.services.reading_thread, call.by, filters)


def _args(body: BulkRequest) -> dict[str, object]:
    args: dict[str, object] = {"reason": body.reason or ""}
    if body.action == "retry":
        args["deadline"] = micros_or_none(body.deadline_seconds)
        args["budget"] = None if body.budget is None else body.budget.limits()
    return args


async def _check_room(call: Call) -> None:
    reader = call.services.queries.reader
    (running,) = await fetch(reader, OPEN_OPERATIONS_OF, tenant=call.by.tenant, limit=OPEN_MAX)
    if running.number >= OPEN_MAX:
        raise errors.RateLimited(f"{OPEN_MAX} operations of the tenant are running: wait for one to end", retry_after=5)


@router.get("/operations", response_model=OperationPage)
async def list_operations(query: Annotated[PageQuery, Query()], call: CurrentCall) -> Response:
    """List the operations of the last days, the newest first. A key of scope own sees its own."""
    shown = await call.read(
        lambda reads: operations.operations(
            reads.queries, call.by, page_size=query.page_size, page_token=query.page_token
        )
    )
    return Json(shown)


@router.get("/operations/{operation_id:id}", response_model=OperationState)
async def get_operation(
    operation_id: OperationId, query: Annotated[OperationQuery, Query()], call: CurrentCall
) -> Response:
    """Read how far an operation is, and what came of each task."""
    return Json(await _read(call, operation_id, query))


async def _read(call: Call, operation_id: str, query: OperationQuery) -> bytes:
    return await call.read(
        lambda reads: operations.operation(
            reads.queries,
            call.by,
            operation_id,
            outcome=query.outcome,
            page_size=query.page_size,
            page_token=query.page_token,
        )
    )
