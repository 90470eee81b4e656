"""The stream of events (Server-Sent Events).

Nothing here polls the store: a follower sleeps until its feed has something, its caller's key has ended, or so long has
passed that the caller has to hear that it is still there. An event is written once for all who follow.
"""

from __future__ import annotations

import asyncio
from typing import Any

from swarmkeeper.core.errors import Invalid
from swarmkeeper.http.calls import Exchange
from swarmkeeper.http.errors import encode
from swarmkeeper.http.limits import ClientGone
from swarmkeeper.http.query import CURSOR_MAX
from swarmkeeper.service.feed import Subscription
from swarmkeeper.service.views import View
from swarmkeeper.wire.events import SSE_ALIVE, SSE_HEADERS, sse

EVENT_STREAM = "text/event-stream"


def wanted(x: Exchange[Any, Any]) -> bool:
    """Whether the caller asks for a stream rather than a page."""
    accepted = [part.split(";")[0].strip().lower() for part in x.headers.get("accept", "").split(",")]
    return EVENT_STREAM in accepted and x.scope["method"] != "HEAD"


def resumed_after(x: Exchange[Any, Any], after: int) -> int:
    """The cursor to go on from: what the browser sends by itself when it connects again goes first."""
    last = x.headers.get("last-event-id", "")
    if not last:
        return after
    if not (last.isascii() and last.isdecimal() and len(last) < 20 and int(last) <= CURSOR_MAX):
        raise Invalid(
            "the Last-Event-ID is not an event's id",
            details=(("/headers/last-event-id", "invalid", "must be the id of an event of this feed"),),
        )
    return int(last)


async def stream(x: Exchange[Any, Any], task_id: str | None, after: int) -> None:
    """Tell events until the task is over, the caller hangs up or its key ends.

    A follower that lags too far behind is cut off, and comes back with the id of the last event it got.
    """
    await x.parts.queries.may_follow(x.by, task_id)
    await x.parts.queries.check_cursor(after)
    with x.parts.quotas.followers.held(x.by), x.parts.standing.of(x.by) as ended:
        async with x.parts.feed.subscribe(x.by.tenant, task_id, after=after) as subscription:
            headers = [(name.lower().encode(), value.encode()) for name, value in SSE_HEADERS.items()]
            await x.send({"type": "http.response.start", "status": 200, "headers": headers})
            # At once, so that whoever connects knows that they are.
            await _tell(x, SSE_ALIVE)
            await _follow(x, subscription, ended)
            await x.send({"type": "http.response.body", "body": b"", "more_body": False})


async def _follow(x: Exchange[Any, Any], subscription: Subscription, ended: asyncio.Future[None]) -> None:
    """Tell what comes, and each time that nothing has come for a while that the stream is alive.

    Raises:
        ClientGone: the caller hung up.
    """
    loop = asyncio.get_running_loop()
    gone = asyncio.ensure_future(x.gone())
    for what_ends_it in (gone, ended):
        what_ends_it.add_done_callback(lambda _: subscription.nudge())
    alive = loop.call_later(x.parts.limits.alive_every, subscription.nudge)
    try:
        while (told := await subscription.some()) is not None:
            if gone.done():
                raise ClientGone
            if ended.done():
                return  # whoever comes back is told why
            await _tell(x, b"".join(each.form(_written) for each in told) or SSE_ALIVE)
            alive.cancel()
            alive = loop.call_later(x.parts.limits.alive_every, subscription.nudge)
    finally:
        alive.cancel()
        gone.cancel()


def _written(event: View) -> bytes:
    return sse(encode(event), id=str(event["id"]))


async def _tell(x: Exchange[Any, Any], piece: bytes) -> None:
    await x.send({"type": "http.response.body", "body": piece, "more_body": True})
