"""What has changed, as one message or as a stream (Server-Sent Events)."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from swarmkeeper.http.dependencies import Call
from swarmkeeper.http.insight.queries import ChangesQuery
from swarmkeeper.http.intake.limits import ClientDisconnected
from swarmkeeper.http.responses import Json, encode
from swarmkeeper.http.routers import sse
from swarmkeeper.reads.feed import Position
from swarmkeeper.reads.insight.changes import Listener, WhatChanged, view
from swarmkeeper.wire.events import SSE_ALIVE, SSE_HEADERS
from swarmkeeper.wire.events import sse as framed


async def changes(call: Call, query: ChangesQuery) -> Response:
    """Answer with one message, or a stream if the caller asks for one."""
    after = sse.resumed_after(call, query.position)
    if sse.wanted(call):
        return ChangeStream(call, after)
    call.services.changes.check(call.by)
    told = await call.services.changes.since(call.by, after)
    return Json(view(told, call.services.queries.cursor_of(call.by, told.cursor)))


class ChangeStream(Response):
    """Tells what changes until the caller disconnects, its key ends or the server stops."""

    def __init__(self, call: Call, after: Position) -> None:
        super().__init__(headers=SSE_HEADERS)
        del self.headers["content-length"]
        self.call, self.after = call, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call, services = self.call, self.call.services
        with services.quotas.followers.held(call.by), services.key_watch.of(call.by) as ended:
            async with services.changes.listen(call.by, self.after) as listener:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await self._follow(send, listener, ended)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, send: Send, listener: Listener, ended: asyncio.Future[None]) -> None:
        """Send messages, and a keep-alive comment whenever there was none for a while.

        Raises:
            ClientDisconnected: the caller disconnected.
        """
        loop, alive_every = asyncio.get_running_loop(), self.call.services.limits.alive_every
        gone = asyncio.ensure_future(self.call.gone())
        for what_ends_it in (gone, ended):
            what_ends_it.add_done_callback(lambda _: listener.nudge())
        alive = loop.call_later(alive_every, listener.nudge)
        try:
            while True:
                told = await listener.next()
                if gone.done():
                    raise ClientDisconnected
                if ended.done() or (told is None and listener.ended):
                    return  # the caller gets the reason when it reconnects
                body = SSE_ALIVE if told is None else self._message(told)
                await send({"type": "http.response.body", "body": body, "more_body": True})
                alive.cancel()
                alive = loop.call_later(alive_every, listener.nudge)
        finally:
            alive.cancel()
            gone.cancel()

    def _message(self, told: WhatChanged) -> bytes:
        def write() -> bytes:
            cursor = self.call.services.queries.cursor_of(self.call.by, told.cursor)
            return framed(encode(view(told, cursor)), id=cursor)

        return self.call.services.changes.form(told, write)
