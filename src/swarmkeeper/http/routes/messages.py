"""What bots and clients tell each other about a task. Bots are told with their heartbeats, in work.py."""

from __future__ import annotations

from typing import Any

import msgspec

from swarmkeeper.core import commands, errors
from swarmkeeper.http.calls import Calls, Exchange, Reply
from swarmkeeper.http.query import MessagesQuery, NoQuery
from swarmkeeper.service.engine import Replayed
from swarmkeeper.wire import v1

calls = Calls("messages")

_encode = msgspec.json.Encoder().encode


@calls.add(
    "POST",
    "/tasks/{task_id}/messages",
    body=v1.MessageRequest,
    answers={201: v1.BotMessage},
    refusals=(errors.Forbidden, errors.NotFound, errors.TaskClosed, errors.LeaseLost, errors.LeaseRequired),
    idempotent=True,
)
async def send_message(x: Exchange[v1.MessageRequest, NoQuery]) -> Reply:
    """Tell a bot something about a task, or whoever works on it.

    It comes with a heartbeat, at least once; who takes the work up later is told too. A bot may speak about tasks that
    it holds a lease of.
    """
    task_id = x.path["task_id"]
    answer = await x.parts.engine.do(
        commands.Tell(
            by=x.by,
            task=task_id,
            to_bot=x.body.to_bot,
            payload=_encode(x.body.payload),
            lease_id=x.body.lease_id,
            idempotency=x.idempotency,
            trace=x.trace,
        )
    )
    message_id = answer.resource if isinstance(answer, Replayed) else answer
    headers = (("idempotency-replayed", "true"),) if isinstance(answer, Replayed) else ()
    return Reply(201, await x.after(x.parts.messages.one(task_id, message_id)), headers)


@calls.add(
    "GET",
    "/tasks/{task_id}/messages",
    query=MessagesQuery,
    answers={200: v1.MessagePage},
    refusals=(errors.Forbidden, errors.NotFound),
)
async def list_messages(x: Exchange[Any, MessagesQuery]) -> Reply:
    """List what was said about a task, the oldest first."""
    query = x.query
    page = await x.look(
        lambda reads: reads.messages.page(
            x.by, x.path["task_id"], after=query.after, page_size=query.page_size, page_token=query.page_token
        )
    )
    return Reply(200, page)
