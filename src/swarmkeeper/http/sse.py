"""The stream of events (Server-Sent Events).

Nothing here polls the store: a follower sleeps until its feed has something, and wakes each second only to look whether
its caller's key still stands, which is known in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from swarmkeeper.core.errors import Invalid, Unauthenticated
from swarmkeeper.core.model import Json
from swarmkeeper.http.calls import Exchange
from swarmkeeper.http.errors import encode
from swarmkeeper.http.limits import ClientGone
from swarmkeeper.http.query import CURSOR_MAX
from swarmkeeper.service.feed import Subscription
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


async def events(x: Exchange[Any, Any], subscription: Subscription) -> AsyncGenerator[dict[str, Json] | None, None]:
    """The events of a subscription as they come, and None each time the key was looked at.

    Raises:
        ClientGone: the caller hung up.
        Unauthenticated: its key no longer stands.
    """
    gone = asyncio.ensure_future(x.gone())
    coming = asyncio.ensure_future(anext(subscription, None))
    loop = asyncio.get_running_loop()
    look_at = loop.time() + x.parts.limits.key_check_every
    try:
        while True:
            pause = max(0.0, look_at - loop.time())
            await asyncio.wait({coming, gone}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ClientGone
            if loop.time() >= look_at:
                look_at = loop.time() + x.parts.limits.key_check_every
                if not await x.parts.identity.still_good(x.by):
                    raise Unauthenticated("the API key was revoked or has expired")
                yield None
            if coming.done():
                event = coming.result()
                if event is None:
                    return
                coming = asyncio.ensure_future(anext(subscription, None))
                yield event
    finally:
        gone.cancel()
        coming.cancel()


async def stream(x: Exchange[Any, Any], task_id: str | None, after: int) -> None:
    """Tell events until the task is over, the caller hangs up or its key ends.

    A follower that lags too far behind is cut off, and comes back with the id of the last event it got.
    """
    await x.parts.queries.may_follow(x.by, task_id)
    await x.parts.queries.check_cursor(after)
    async with x.parts.feed.subscribe(x.by.tenant, task_id, after=after) as subscription:
        headers = [(name.lower().encode(), value.encode()) for name, value in SSE_HEADERS.items()]
        await x.send({"type": "http.response.start", "status": 200, "headers": headers})
        # At once, so that whoever connects knows that they are.
        await _tell(x, SSE_ALIVE)
        loop = asyncio.get_running_loop()
        told_at = loop.time()
        try:
            async with aclosing(events(x, subscription)) as coming:
                async for event in coming:
                    if event is not None:
                        await _tell(x, sse(encode(event), id=str(event["id"])))
                    elif loop.time() - told_at < x.parts.limits.alive_every:
                        continue
                    else:
                        await _tell(x, SSE_ALIVE)
                    told_at = loop.time()
        except Unauthenticated:
            pass  # the stream ends; whoever comes back is told why
        await x.send({"type": "http.response.body", "body": b"", "more_body": False})


async def _tell(x: Exchange[Any, Any], piece: bytes) -> None:
    await x.send({"type": "http.response.body", "body": piece, "more_body": True})
