"""Events as a page or as a stream (Server-Sent Events).

A stream does not poll the store: it sleeps until its feed has events, its caller's key has ended, or a keep-alive
comment is due. An event is encoded once for all streams.
"""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from swarmkeeper.core.errors import Invalid
from swarmkeeper.http.dependencies import Call
from swarmkeeper.http.intake.limits import ClientDisconnected
from swarmkeeper.http.openapi import Responses
from swarmkeeper.http.queries import EventsQuery
from swarmkeeper.http.responses import Json, encode
from swarmkeeper.reads.feed import LATEST, Position, Subscription
from swarmkeeper.reads.insight import events as event_pages
from swarmkeeper.reads.views import View
from swarmkeeper.wire.events import SSE_ALIVE, SSE_HEADERS, sse

EVENT_STREAM = "text/event-stream"
IN_ORDER = "must be asc for a stream"
DESCRIBED: Responses = {200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}}


async def events(call: Call, query: EventsQuery, task_id: str | None) -> Response:
    """Answer with a page of events, or a stream if the caller asks for one; of one task, or of the tenant."""
    after = resumed_after(call, query.position)
    if wanted(call):
        if query.newest_first:
            raise Invalid("a stream is in order", details=(("/query/order", "invalid", IN_ORDER),))
        return EventStream(call, task_id, after, query.kinds)
    page = await call.read(
        lambda reads: event_pages.events(
            reads.queries,
            call.by,
            after=after,
            before=query.before,
            task_id=task_id,
            kinds=query.kinds,
            newest_first=query.newest_first,
            page_size=query.page_size,
        )
    )
    return Json(page)


def wanted(call: Call) -> bool:
    """Whether the caller asks for a stream rather than a page."""
    accepted = [part.split(";")[0].strip().lower() for part in call.headers.get("accept", "").split(",")]
    return EVENT_STREAM in accepted and not call.head


def resumed_after(call: Call, after: Position) -> Position:
    """Return where to continue. Last-Event-ID, which browsers send on reconnect, precedes `after`."""
    last = call.headers.get("last-event-id", "")
    return Position(last, "/headers/last-event-id") if last else after


class EventStream(Response):
    """Sends events until the task is closed, the caller disconnects or its key ends.

    A stream that lags too far behind is closed; the caller reconnects with the id of its last event. Where there may be
    none for long, because only some kinds or only new events were asked for, it gets an id without an event.

    Args:
        kinds: send only events of these; empty: all.
    """

    def __init__(self, call: Call, task_id: str | None, after: Position, kinds: frozenset[str] = frozenset()) -> None:
        super().__init__(headers=SSE_HEADERS)
        del self.headers["content-length"]
        self.call, self.task_id, self.after, self.kinds = call, task_id, after, kinds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call, services = self.call, self.call.services
        await services.queries.may_follow(call.by, self.task_id)
        after = await services.queries.number_after(call.by, self.task_id, self.after)
        with services.quotas.followers.held(call.by), services.key_watch.of(call.by) as ended:
            async with services.feed.subscribe(call.by.tenant, self.task_id, after=after) as subscription:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                # Sent at once, so that the caller knows that it is connected.
                at = self._id(after) if self.after.text == LATEST else b""
                await _send_piece(send, SSE_ALIVE + at)
                await self._follow(send, subscription, ended)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, send: Send, subscription: Subscription, ended: asyncio.Future[None]) -> None:
        """Send events, and a keep-alive comment whenever none came for a while.

        Raises:
            ClientDisconnected: the caller disconnected.
        """
        loop = asyncio.get_running_loop()
        alive_every = self.call.services.limits.alive_every
        told = subscription.cursor
        gone = asyncio.ensure_future(self.call.gone())
        for what_ends_it in (gone, ended):
            what_ends_it.add_done_callback(lambda _: subscription.nudge())
        alive = loop.call_later(alive_every, subscription.nudge)
        try:
            while (found := await subscription.some()) is not None:
                if gone.done():
                    raise ClientDisconnected
                if ended.done():
                    return  # the caller gets the reason when it reconnects
                fitting = [each for each in found if not self.kinds or each.row.kind in self.kinds]
                if fitting or not found:
                    last = fitting[-1].row.seq if fitting else told
                    behind = self.kinds and subscription.cursor > last
                    told = subscription.cursor
                    piece = b"".join(each.form(_encoded) for each in fitting) or SSE_ALIVE
                    await _send_piece(send, piece + (self._id(told) if behind else b""))
                    alive.cancel()
                    alive = loop.call_later(alive_every, subscription.nudge)
        finally:
            alive.cancel()
            gone.cancel()

    def _id(self, number: int) -> bytes:
        """Return an id without an event: a client resumes after it, and hands nothing on."""
        return b"id: %s\n\n" % self.call.services.queries.cursor_of(self.call.by, number).encode()


def _encoded(event: View) -> bytes:
    return sse(encode(event), id=str(event["id"]))


async def _send_piece(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})
