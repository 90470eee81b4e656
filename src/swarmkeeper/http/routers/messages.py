"""Routes for messages about a task. Bots receive messages in the answers to their heartbeats (hot.py)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from swarmkeeper.core import commands, errors
from swarmkeeper.engine.loop import Replayed
from swarmkeeper.http.dependencies import CurrentCall, Idempotency, TaskId, replay_header
from swarmkeeper.http.openapi import refuses, returns
from swarmkeeper.http.queries import MessagesQuery
from swarmkeeper.http.responses import Json, encode
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.wire import v1

router = APIRouter(tags=["messages"], route_class=StrictRoute)


@router.post(
    "/tasks/{task_id:id}/messages",
    response_model=v1.BotMessage,
    status_code=201,
    responses={**returns(201, "Location"), **refuses(errors.TaskClosed, errors.LeaseLost, errors.LeaseRequired)},
)
async def send_message(
    task_id: TaskId, body: v1.MessageRequest, call: CurrentCall, idempotency: Idempotency
) -> Response:
    """Send a message about a task to one bot, or to all bots that work on it.

    A bot receives it at least once, with a heartbeat; a bot that starts the work later receives it too. A bot may send
    messages about tasks that it holds a lease of.
    """
    answer = await call.services.engine.do(
        commands.SendMessage(
            by=call.by,
            task=task_id,
            to_bot=body.to_bot,
            payload=encode(body.payload),
            lease_id=body.lease_id,
            idempotency=idempotency,
            trace=call.trace,
        )
    )
    message_id = answer.resource if isinstance(answer, Replayed) else answer
    return Json(await call.after(lambda: call.services.messages.one(task_id, message_id)), 201, replay_header(answer))


@router.get("/tasks/{task_id:id}/messages", response_model=v1.MessagePage)
async def list_messages(task_id: TaskId, query: Annotated[MessagesQuery, Query()], call: CurrentCall) -> Response:
    """List the messages about a task, oldest first."""
    page = await call.read(
        lambda reads: reads.messages.page(
            call.by, task_id, after=query.after, page_size=query.page_size, page_token=query.page_token
        )
    )
    return Json(page)
