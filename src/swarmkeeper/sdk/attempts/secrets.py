"""Asks the orchestrator for secrets under a lease, and hides their values in what the bot says.

The call runs on the orchestrator's side of the bot; the code that asks may be on another loop or in a thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any

from swarmkeeper.sdk.connection.calls import Calls

SCHEME = "secret://"
HIDDEN = "[hidden: a secret]"

AskForSecrets = Callable[[Sequence[str]], "Future[list[str]]"]


def asking(calls: Callable[[], Calls], lease_id: str, loop: asyncio.AbstractEventLoop) -> AskForSecrets:
    """Return what asks for values under a lease, from any thread. `loop` is the one that makes calls."""

    async def resolve(names: Sequence[str]) -> list[str]:
        answer = await calls().call("POST", f"/leases/{lease_id}/secrets:resolve", {"names": list(names)})
        return [secret["value"] for secret in answer.body["secrets"]]

    def ask(names: Sequence[str]) -> Future[list[str]]:
        made: Coroutine[Any, Any, list[str]] = resolve(names)
        return asyncio.run_coroutine_threadsafe(made, loop)

    return ask


def cannot_ask(names: Sequence[str]) -> Future[list[str]]:
    """Refuse to ask: this context has no connection."""
    del names
    raise RuntimeError(
        "secrets cannot be asked for here: this context is not of a bot that holds a lease,"
        " or the code runs in a process of its own (`isolated`)"
    )


class Masking:
    """Replaces the values that an attempt has got in its own words. The orchestrator does the same, later."""

    def __init__(self) -> None:
        self._values: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def add(self, values: Sequence[str]) -> None:
        with self._lock:
            # The longest first: one secret may contain another.
            self._values = tuple(sorted({*self._values, *values}, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, HIDDEN)
        return text
