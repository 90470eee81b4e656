"""Runs the standard swarm's bots in another process: starts it, asks for its usage, and ends it. bots.py is that
process.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import msgspec

from swarmkeeper.bench import swarm
from swarmkeeper.bench.report import CannotMeasure
from swarmkeeper.bench.server import BenchServer
from swarmkeeper.sim.process.server import end

KINDS = ("Planner", "Executor", "Evaluator")


class Wish(msgspec.Struct):
    """The first line to the program of the bots."""

    url: str
    keys: dict[str, str]  # kind -> API key, of a bot named bench-KIND
    subtasks: int
    executors: int
    others: int  # planners, and as many evaluators
    batch: int  # leases of a lean bot in one call; 0: SDK bots


class BotUsage(msgspec.Struct):
    """An answer of that program: the usage since its start. The first one means that all bots have registered."""

    cpu_seconds: float
    calls: int


class LoadBots:
    """Runs bots during the block; `batch` 0 means SDK bots."""

    def __init__(self, server: BenchServer, *, subtasks: int, bots: int, batch: int) -> None:
        self._server, self._subtasks, self._bots, self._batch = server, subtasks, bots, batch
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        keys = {kind: await self._server.key(f"bot:{kind.lower()}", bot=swarm.name_of(kind)) for kind in KINDS}
        others = swarm.others_for(self._bots, self._subtasks)
        wish = Wish(self._server.url, keys, self._subtasks, self._bots, others, self._batch)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "swarmkeeper.bench.bots"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await self._asked(msgspec.json.encode(wish))
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await end(self._process)

    async def used(self) -> BotUsage:
        """Return the bots' usage so far.

        Raises:
            CannotMeasure: the bots have ended.
        """
        return await self._asked(b"used")

    async def _asked(self, line: bytes) -> BotUsage:
        process = self._process
        assert process is not None, "the bots were started"
        assert process.stdin is not None, "the process has an input pipe"
        assert process.stdout is not None, "the process has an output pipe"
        process.stdin.write(line + b"\n")
        answer = await process.stdout.readline()
        if not answer:
            raise CannotMeasure("the bots failed")
        return msgspec.json.decode(answer, type=BotUsage)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Fail the block if the bots fail; otherwise it would wait for them forever."""
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._failed())
            try:
                yield
            finally:
                watching.cancel()

    async def _failed(self) -> None:
        assert self._process is not None, "the bots were started"
        await self._process.wait()
        raise CannotMeasure("the bots failed")
