"""Erases a task because somebody asks for it: an administrator, for a person whose data it holds."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from swarmkeeper.core import errors
from swarmkeeper.core.erasure.commands import EraseNow
from swarmkeeper.http.dependencies import CurrentCall, Idempotency, TaskId, replay_header
from swarmkeeper.http.openapi import refuses
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.wire import v1

router = APIRouter(tags=["tasks"], route_class=StrictRoute)


@router.post(
    "/tasks/{task_id:id}:erase",
    response_model=v1.Erasure,
    status_code=202,
    responses=refuses(errors.IllegalTransition, errors.StillStopping, errors.ResourceNotFound),
)
async def erase_task(task_id: TaskId, body: v1.ErasureRequest, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Erase a task that has ended, with all that belongs to it. This cannot be undone.

    It is gone a moment after the answer: read it until the answer is 404. The audit log keeps its records and proofs,
    without their bodies, and a record of the erasure.
    """
    until = await call.services.erasable(call.by.tenant)
    command = EraseNow(
        by=call.by, idempotency=idempotency, trace=call.trace, task=task_id, reason=body.reason, until=until
    )
    answer = await call.services.engine.do(command)
    return Json({"task_id": task_id}, 202, replay_header(answer))
