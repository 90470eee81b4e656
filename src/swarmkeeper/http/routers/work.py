"""The route that releases a lease. Leases, results and heartbeats are in hot.py."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from starlette.responses import Response

from swarmkeeper.core import commands, errors
from swarmkeeper.http.dependencies import CurrentCall, LeaseId
from swarmkeeper.http.openapi import refuses
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import micros

router = APIRouter(tags=["work"], route_class=StrictRoute)


@router.post(
    "/leases/{lease_id:id}:release",
    response_model=v1.ReleaseAnswer,
    responses=refuses(errors.LeaseLost, errors.TaskClosed),
)
async def release(
    lease_id: LeaseId, body: Annotated[v1.Release, Body(default_factory=v1.Release)], call: CurrentCall
) -> Response:
    """Release a lease: its work is offered again, now or after a delay.

    This counts as no try, until the work was put off for `give_up_after_seconds` in a row. From the third time in a row
    on, the delay is at least a quarter of the time that the work was put off so far.
    """
    await call.services.engine.do(
        commands.ReleaseLease(
            by=call.by,
            lease_id=lease_id,
            reason=body.reason or "",
            delay=micros(body.delay_seconds),
            progress=None if body.progress is None else body.progress.record(),
            trace=call.trace,
        )
    )
    return Json({"released": True})
