"""Routes that count and sum: how many tasks match, which labels there are, what attempts cost."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from swarmkeeper.govern.access import Action
from swarmkeeper.http.dependencies import CurrentCall
from swarmkeeper.http.queries import CostsQuery, LabelsQuery, MatchingTasks
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.wire import v1

router = APIRouter(tags=["tasks"], route_class=StrictRoute)


@router.get("/tasks:count", response_model=v1.TaskTally)
async def count_tasks(query: Annotated[MatchingTasks, Query()], call: CurrentCall) -> Response:
    """Count tasks: exactly by status and outcome, or by one label; with other filters up to some thousand."""
    filters = query.filters()
    return Json(
        await call.read_shared(Action.TASK_READ, lambda reads: reads.queries.task_lists.count(call.by, filters))
    )


@router.get("/tasks:labels", response_model=v1.LabelTallyPage)
async def list_labels(query: Annotated[LabelsQuery, Query()], call: CurrentCall) -> Response:
    """List the labels that tasks have, in order, with how many tasks have each."""
    page = await call.read_shared(
        Action.TASK_READ,
        lambda reads: reads.queries.task_lists.labels(
            call.by, key=query.key, page_size=query.page_size, page_token=query.page_token
        ),
    )
    return Json(page)


@router.get("/costs", response_model=v1.CostReport)
async def get_costs(query: Annotated[CostsQuery, Query()], call: CurrentCall) -> Response:
    """Read what attempts cost, by day, bot, skill or label."""
    costs = await call.read_shared(
        Action.TASK_READ,
        lambda reads: reads.queries.cost_sums.costs(call.by, by=query.by, first=query.first, last=query.last),
        may_be_old=True,
    )
    return Json(costs)
