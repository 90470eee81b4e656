"""Response classes: JSON that is encoded once and sent in pieces if it is long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

PROBLEM_TYPE = "application/problem+json"
PIECE_BYTES = 256 << 10  # of a body sent at once

# One encoder for all responses. It keeps the order of keys.
encode = msgspec.json.Encoder().encode


class Json(JSONResponse):
    """A JSON response. Args: `content` is a JSON value, or bytes that are already JSON."""

    def __init__(self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        # Starlette's constructor handles headers that are never set here, and takes three times as long.
        self.status_code = status_code
        self.background = None
        self.body = content if isinstance(content, bytes) else encode(content)
        self.raw_headers = [
            (b"content-type", self.media_type.encode()),
            (b"content-length", b"%d" % len(self.body)),
            *((name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sent = 0
        while len(self.body) - sent > PIECE_BYTES:
            # Sending in pieces lets the event loop answer other calls in between.
            piece = self.body[sent : sent + PIECE_BYTES]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)
            sent += PIECE_BYTES
        await send({"type": "http.response.body", "body": self.body[sent:] if sent else self.body})


class ProblemResponse(Json):
    media_type = PROBLEM_TYPE
