"""`swarmkeeper serve`, which tells of each call that says when it began for how long the main thread has run since.

Both moments are on the clock of that thread, which stands still while it waits for its turn on a processor: so a call
is weighed alike on a busy machine and on a quiet one.
"""

from __future__ import annotations

import json
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swarmkeeper import server
from swarmkeeper.cli.main import main

BEGAN = b"x-began"
_serving = server.serving


class Weigher:
    """Answers `/weighed` with what calls took since it was asked last, in milliseconds."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._took: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == "/weighed":
            told, self._took = json.dumps(self._took).encode(), []
            length = [(b"content-length", b"%d" % len(told))]
            await send({"type": "http.response.start", "status": 200, "headers": length})
            await send({"type": "http.response.body", "body": told})
            return
        began = next((float(value) for name, value in scope.get("headers", ()) if name == BEGAN), None)

        async def weighed(message: Message) -> None:
            if message["type"] == "http.response.start" and began is not None:
                self._took.append(time.thread_time() * 1_000 - began)
            await send(message)

        await self._app(scope, receive, weighed)


def weighing(*given: Any, **named: Any) -> Any:
    return _serving(*given, around=Weigher, **named)


if __name__ == "__main__":
    server.serving = weighing  # that is what this program is for
    main()
