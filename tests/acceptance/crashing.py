"""`serve`, but the process kills itself at a named point once a file says so: crashing.py POINT ARMED options…

The points are `before_commit` and `after_commit` of the store, and `after_reply`: the last byte of an answer is sent.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from swarmkeeper import app
from swarmkeeper.cli.main import main
from swarmkeeper.storage.sqlite.store import SqliteStore

POINT, ARMED = sys.argv[1], Path(sys.argv[2])
SENT_BY = 0.3  # seconds


posts = 0  # begun; the engine's own sign of life is a commit, too, and must not be taken for that of a request


def reached(point: str) -> None:
    if posts:
        kill(point)


def armed() -> bool:
    return ARMED.exists()


def kill(point: str) -> None:
    if point == POINT and armed():
        ARMED.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


class CrashingStore(SqliteStore):
    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options, crash=reached)


class Telling:
    """The application, with a point after each answer."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        global posts

        async def sending(message: Any) -> None:
            await send(message)
            # Armed by now: or the answer before the one that is meant would end the process in the middle of this one.
            if message["type"] == "http.response.body" and not message.get("more_body") and armed():
                # The server writes at the end of its loop's turn: what is killed in this one has not sent a byte.
                asyncio.get_running_loop().call_later(SENT_BY, kill, "after_reply")

        if scope["type"] != "http" or scope["method"] != "POST":
            await self._inner(scope, receive, send)
            return
        posts += 1
        try:
            await self._inner(scope, receive, sending)
        finally:
            posts -= 1


build = vars(app)["create_http_app"]


def build_telling(*arguments: Any, **options: Any) -> Any:
    return Telling(build(*arguments, **options))


vars(app)["store_at"] = CrashingStore
vars(app)["create_http_app"] = build_telling

sys.argv = ["swarmkeeper", "serve", *sys.argv[3:]]
main()
