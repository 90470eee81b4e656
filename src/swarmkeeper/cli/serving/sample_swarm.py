"""Runs the sample bots over the network, each with its own key."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmkeeper.sdk.bots import BaseBot


def name_of(bot: BaseBot) -> str:
    """`InspectPython` → `inspect-python`."""
    return bot.name or re.sub(r"(?<!^)(?=[A-Z])", "-", type(bot).__name__).lower()


def role_of(bot: BaseBot) -> str:
    return f"bot:{bot.type.lower()}"


@asynccontextmanager
async def at_work(url: str, bots: Sequence[BaseBot], keys: Mapping[str, str]) -> AsyncIterator[asyncio.Future[None]]:
    """Run bots over the network, each with its own key, while the block lasts.

    Yields a future that ends with an error if one of the bots does.
    """
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.sdk.runner import serve

    stop = asyncio.Event()
    clients = [Client(url, keys[name_of(bot)]) for bot in bots]
    working: asyncio.Future[None] = asyncio.ensure_future(
        _all([serve([bot], client, stop=stop, drain_seconds=1) for bot, client in zip(bots, clients, strict=True)])
    )
    try:
        yield working
    finally:
        stop.set()
        await asyncio.gather(working, return_exceptions=True)
        for client in clients:
            await client.aclose()


async def _all(work: Sequence[Any]) -> None:
    async with asyncio.TaskGroup() as group:
        for coroutine in work:
            group.create_task(coroutine)
