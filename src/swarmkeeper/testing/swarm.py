"""Runs bots against a whole orchestrator inside a test: no server, no key, no port, nothing left behind.

The orchestrator, its HTTP application and the bots' runner are the real ones; only the network is left out, and, if
asked for, the waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from swarmkeeper.app import Orchestrator
from swarmkeeper.in_process import InProcess
from swarmkeeper.sdk.bots import BaseBot
from swarmkeeper.sdk.client import Client
from swarmkeeper.sdk.runner import serve
from swarmkeeper.settings import Settings
from swarmkeeper.sim.kernel.chance import Chance
from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.loop import VirtualLoop, virtual_loop
from swarmkeeper.wire.answers import Task
from swarmkeeper.wire.requests import TaskDefinition

if TYPE_CHECKING:
    from swarmkeeper.core.model import Json

Bots = Sequence[BaseBot | type[BaseBot]]
Tasks = Sequence["TaskDefinition | Mapping[str, Json]"]
_Answer = TypeVar("_Answer")

SECONDS = 30.0
# Virtual seconds cost next to nothing, and a rehearsal may be of a long day.
VIRTUAL_SECONDS = 7 * 86_400.0
DRAIN_SECONDS = 5.0


class SwarmStuck(AssertionError):
    """Tasks did not end in time. The message says of each what it waits for."""


def run_swarm(
    bots: Bots,
    tasks: Tasks,
    *,
    timeout_seconds: float | None = None,
    virtual_time: bool = False,
    seed: int | None = None,
    settings: Settings | None = None,
) -> list[Task]:
    """Let these bots do these tasks, and return the tasks once each has its outcome, in the order given.

    Args:
        bots: instances, or classes that can be made without arguments. Each gets all the powers it needs.
        tasks: what `POST /tasks` takes. Where no bot is an evaluator, `evaluation` is `none` unless a task says
            otherwise; where none is a planner, a task needs its `subtasks`.
        timeout_seconds: for all of them together; 30, or a week of virtual time.
        virtual_time: hours pass in moments: sleeping costs nothing, and one seed gives one run. The bots must then be
            coroutines that wait for nothing outside this process.
        seed: of ids and jitter, under virtual time alone; 1.
        settings: other than a store in memory and the defaults.

    Raises:
        SwarmStuck: not all of them ended in time.
        ApiError: a bot or a task was refused.
    """
    if seed is not None and not virtual_time:
        raise ValueError("a seed decides nothing under real time: pass virtual_time=True, too")
    if timeout_seconds is None:
        timeout_seconds = VIRTUAL_SECONDS if virtual_time else SECONDS
    drawn = 1 if seed is None else seed
    if not virtual_time:
        return asyncio.run(_run(bots, tasks, timeout_seconds, Orchestrator(_quiet(settings)), None))
    loop = virtual_loop()
    swarm = Orchestrator(_quiet(settings), clock=VirtualClock(loop), entropy=Chance(drawn, "orchestrator"), inline=True)
    return _on(loop, _run(bots, tasks, timeout_seconds, swarm, Chance(drawn, "bots")))


@asynccontextmanager
async def running_swarm(bots: Bots, *, settings: Settings | None = None) -> AsyncIterator[Client]:
    """The same for a test that is a coroutine itself: a client of an orchestrator on which these bots work."""
    async with Orchestrator(_quiet(settings)) as swarm, _working(bots, swarm.client()) as client:
        yield client


def _quiet(settings: Settings | None) -> Settings:
    return settings or Settings(store="sqlite://:memory:", log_level="error")


def _on(loop: VirtualLoop, work: Coroutine[Any, Any, _Answer]) -> _Answer:
    try:
        answer: _Answer = loop.run_until_complete(work)
    finally:
        loop.close()
    if loop.troubles:
        raise AssertionError(f"something failed that nobody waited for: {loop.troubles[0]}")
    return answer


async def _run(
    bots: Bots, tasks: Tasks, timeout: float, orchestrator: Orchestrator, chance: Chance | None
) -> list[Task]:
    async with orchestrator as swarm:
        key = await swarm.make_key("admin")
        client = Client("http://swarmkeeper", key, transport=InProcess(swarm.app), chance=chance)
        async with _working(bots, client):
            evaluated = any(bot.type == "Evaluator" for bot in bots)
            submitted = [await client.submit(_definition(task, evaluated=evaluated)) for task in tasks]
            waiting = [asyncio.create_task(client.wait(task.id)) for task in submitted]
            if waiting:
                await asyncio.wait(waiting, timeout=timeout)
            stuck = [task.id for task, wait in zip(submitted, waiting, strict=True) if not wait.done()]
            if stuck:
                for wait in waiting:
                    wait.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
                raise SwarmStuck("; ".join([await _why(client, task_id) for task_id in stuck]))
            return [wait.result() for wait in waiting]


def _definition(task: TaskDefinition | Mapping[str, Json], *, evaluated: bool) -> dict[str, Json]:
    told = task.model_dump(mode="json", exclude_unset=True) if isinstance(task, TaskDefinition) else dict(task)
    return told if evaluated else {"evaluation": "none", **told}


async def _why(client: Client, task_id: str) -> str:
    explained = await client.explain(task_id)
    return f"{task_id} ({explained.status}): {explained.summary}"


@asynccontextmanager
async def _working(bots: Bots, client: Client) -> AsyncIterator[Client]:
    """Bots at work, as long as the block lasts; if one of them ends by an error, so does the block."""
    stop = asyncio.Event()
    made = [bot() if isinstance(bot, type) else bot for bot in bots]
    block = asyncio.current_task()
    assert block is not None, "a block runs in a task"
    serving = asyncio.create_task(serve(made, client, stop=stop, drain_seconds=DRAIN_SECONDS))

    def ended(done: asyncio.Task[None]) -> None:
        # A block that is over already, by an error of its own, must not be told to end while it waits for the bots.
        if not stop.is_set() and not done.cancelled() and done.exception() is not None:
            block.cancel()

    serving.add_done_callback(ended)
    try:
        yield client
    except asyncio.CancelledError:
        if serving.done() and not serving.cancelled() and (error := serving.exception()) is not None:
            block.uncancel()
            raise error from None
        raise
    finally:
        stop.set()
        with contextlib.suppress(Exception):  # told above, where it came first
            await serving
        await client.aclose()
