"""Erases because an administrator asks for it: a task, for a person whose data it holds, or all data of the tenant."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from swarmkeeper.core import errors
from swarmkeeper.core.erasure.commands import EraseNow, EraseTenant
from swarmkeeper.govern.access import Action
from swarmkeeper.http.dependencies import CurrentCall, Idempotency, Permission, TaskId, replay_header
from swarmkeeper.http.openapi import refuses
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.wire import v1

router = APIRouter(route_class=StrictRoute)


@router.post(
    "/tasks/{task_id:id}:erase",
    response_model=v1.Erasure,
    tags=["tasks"],
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


@router.post(
    "/tenant:erase",
    response_model=v1.TenantErasure,
    tags=["tenant"],
    dependencies=[Depends(Permission(Action.TENANT_ERASE))],
    responses=refuses(errors.IllegalTransition, errors.StillStopping, errors.ResourceNotFound),
)
async def erase_tenant(body: v1.TenantErasureRequest, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Destroy the data keys of the tenant: from the answer on, nothing that was encrypted under them can be read.

    This cannot be undone. The tenant must be killed, by another person than the one who erases it, and its tasks must
    have ended. Their rows leave in the background. What the tenant does afterwards is encrypted under a new key.
    """
    until = await call.services.erasable(call.by.tenant)
    command = EraseTenant(
        by=call.by, idempotency=idempotency, trace=call.trace, tenant=body.tenant, reason=body.reason, until=until
    )
    answer = await call.services.engine.do(command)
    return Json({"tenant": call.by.tenant}, 200, replay_header(answer))
