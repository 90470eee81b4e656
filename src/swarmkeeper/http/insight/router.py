"""Routes for what a dashboard reads of a task over time, and of what a tenant does now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from swarmkeeper.govern.access import Action
from swarmkeeper.http.dependencies import BotId, CurrentCall, LastEventId, Permission, TaskId
from swarmkeeper.http.insight import change_stream
from swarmkeeper.http.insight.queries import ChangesQuery, TimelineQuery, VerdictsQuery
from swarmkeeper.http.queries import PageQuery
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routers import sse
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.reads.insight import queues, timeline, verdicts
from swarmkeeper.wire.insight.changes import ChangesTold
from swarmkeeper.wire.insight.history import Timeline, VerdictPage
from swarmkeeper.wire.insight.load import LeaseHeldPage, QueuePage, TenantLimits

router = APIRouter(route_class=StrictRoute)


@router.get("/tasks/{task_id:id}/timeline", tags=["tasks"], response_model=Timeline)
async def get_timeline(task_id: TaskId, query: Annotated[TimelineQuery, Query()], call: CurrentCall) -> Response:
    """Read a task as a timeline: a lane for each subtask, plan and review, with its attempts and waits."""
    page = await call.read(
        lambda reads: timeline.timeline(
            reads.queries, call.by, task_id, page_size=query.page_size, page_token=query.page_token
        )
    )
    return Json(page)


@router.get("/tasks/{task_id:id}/verdicts", tags=["tasks"], response_model=VerdictPage)
async def list_verdicts(task_id: TaskId, query: Annotated[VerdictsQuery, Query()], call: CurrentCall) -> Response:
    """List what evaluators said of a task and its subtasks, in all rounds."""
    page = await call.read(
        lambda reads: verdicts.verdicts(
            reads.queries,
            call.services.rules,
            call.by,
            task_id,
            subtask=query.subtask,
            page_size=query.page_size,
            page_token=query.page_token,
        )
    )
    return Json(page)


@router.get("/bots/{bot_id:id}/leases", tags=["bots"], response_model=LeaseHeldPage)
async def list_bot_leases(bot_id: BotId, query: Annotated[PageQuery, Query()], call: CurrentCall) -> Response:
    """List what a bot works on."""
    page = await call.read(
        lambda reads: queues.leases_of_bot(
            reads.queries, call.by, bot_id, page_size=query.page_size, page_token=query.page_token
        )
    )
    return Json(page)


@router.get("/queues", tags=["bots"], response_model=QueuePage)
async def list_queues(query: Annotated[PageQuery, Query()], call: CurrentCall) -> Response:
    """List queues: what waits in each and for how long, what is leased, how fast it goes, and which bots can do it."""
    flow = call.services.flow.of(call.by.tenant)
    page = await call.read(
        lambda reads: queues.queues(
            reads.queries, reads.explainer, call.by, flow, page_size=query.page_size, page_token=query.page_token
        )
    )
    return Json(page)


@router.get("/limits", tags=["ops"], response_model=TenantLimits, dependencies=[Depends(Permission(Action.SKILL_READ))])
async def get_limits(call: CurrentCall) -> Response:
    """Read the limits of the tenant and of the caller's key, and what of them is used now."""
    return Json(await call.read(lambda reads: reads.explainer.limits(call.by)))


@router.get("/changes", tags=["evidence"], response_model=ChangesTold, responses={**sse.DESCRIBED})
async def get_changes(query: Annotated[ChangesQuery, Query()], call: CurrentCall, last: LastEventId = None) -> Response:
    """Read what has changed, or follow it as a stream of at most two messages a second."""
    return await change_stream.changes(call, query)
