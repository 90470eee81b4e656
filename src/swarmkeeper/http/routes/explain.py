"""Why a task waits, and the command that helps."""

from __future__ import annotations

from typing import Any

from swarmkeeper.core import errors
from swarmkeeper.http.calls import Calls, Exchange, Reply
from swarmkeeper.http.query import NoQuery
from swarmkeeper.wire import v1

calls = Calls("tasks")


@calls.add(
    "GET",
    "/tasks/{task_id}:explain",
    answers={200: v1.Explanation},
    refusals=(errors.Forbidden, errors.NotFound),
)
async def explain_task(x: Exchange[Any, NoQuery]) -> Reply:
    """Ask why a task is not done yet: the reason for each thing that waits, and the command that helps."""
    return Reply(200, await x.look(lambda reads: reads.explainer.explain(x.by, x.path["task_id"])))
