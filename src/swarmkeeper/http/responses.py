"""The responses of this API: JSON that is encoded once, sent in pieces where it is long."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

PROBLEM_TYPE = "application/problem+json"
PIECE_BYTES = 256 << 10  # of a body are sent at once

# One encoder for all answers. Keys keep their order, so that answers read as they are written.
encode = msgspec.json.Encoder().encode


class Json(JSONResponse):
    """`content` is what JSON can hold, or bytes that are JSON already."""

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else encode(content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = self.body
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sent = 0
        while len(body) - sent > PIECE_BYTES:
            # A slow reader waits for their own next piece, and others are answered between two of them.
            await send({"type": "http.response.body", "body": body[sent : sent + PIECE_BYTES], "more_body": True})
            await asyncio.sleep(0)
            sent += PIECE_BYTES
        await send({"type": "http.response.body", "body": body[sent:]})


class Problem(Json):
    media_type = PROBLEM_TYPE
