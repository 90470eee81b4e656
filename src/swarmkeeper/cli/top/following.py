"""Follows what changes at the server, and says whether it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from swarmkeeper.cli.framework.typed_calls import TypedCalls
from swarmkeeper.sdk.client import Client
from swarmkeeper.sdk.connection.calls import ApiResponse
from swarmkeeper.sdk.errors import ApiError, Forbidden, Unauthenticated
from swarmkeeper.wire.events import SseReader
from swarmkeeper.wire.insight.changes import ChangesTold

PAUSES_SECONDS = (1, 2, 4, 8, 15, 30)


class BriskCalls(TypedCalls):
    """Calls that fail at once: the screen says so, and tries again."""

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> ApiResponse:
        """Make a call, without a second try.

        Raises:
            ApiError: it was refused, or the server does not answer.
        """
        return await super().call(method, path, body, **{"patience": 0, **options})


@dataclass(frozen=True, slots=True)
class Lost:
    """Why nothing is heard, and when it is tried again by the loop's clock; None: not by itself."""

    why: str
    retry_at: float | None


async def follow(client: Client, told: Callable[[ChangesTold], None], connected: Callable[[Lost | None], None]) -> None:
    """Follow the changes until the key is refused; a connection that breaks is resumed after the last message.

    Args:
        told: is called with each message.
        connected: is called with None when the stream is open, and with why when it is not.
    """
    cursor: str | None = None
    failures = 0
    while True:
        why = "the server ended the stream"
        try:
            async with client.calls.stream("/changes", cursor) as streamed:
                connected(None)
                failures, reader = 0, SseReader()
                async for chunk in streamed.chunks:
                    for framed in reader.feed(chunk):
                        change = ChangesTold.model_validate_json(framed.data)
                        cursor = change.cursor
                        told(change)
        except (Unauthenticated, Forbidden) as error:
            connected(Lost(error.detail, None))
            return
        except ApiError as error:
            why = error.detail
            if error.status == 400:
                cursor = None  # another store is behind the address
        pause = PAUSES_SECONDS[min(failures, len(PAUSES_SECONDS) - 1)]
        failures += 1
        connected(Lost(why, asyncio.get_running_loop().time() + pause))
        await asyncio.sleep(pause)
