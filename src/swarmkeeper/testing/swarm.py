"""Runs bots against a complete orchestrator inside a test, without server, key or port, leaving nothing behind.

The orchestrator, its HTTP application and the bots' runner are the real ones. Only the network is left out and, with
virtual time, the waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from swarmkeeper.app import Orchestrator
from swarmkeeper.in_process import InProcess
from swarmkeeper.sdk.bots import BaseBot
from swarmkeeper.sdk.client import Client
from swarmkeeper.sdk.runner import serve
from swarmkeeper.settings import Settings
from swarmkeeper.sim.kernel.chance import SeededChance
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
# Virtual seconds cost almost nothing, and a test may span days.
VIRTUAL_SECONDS = 7 * 86_400.0
DRAIN_SECONDS = 5.0


class SwarmStuck(AssertionError):
    """Tasks did not end in time. The message says what each task waits for."""


def run_swarm(
    bots: Bots,
    tasks: Tasks,
    *,
    timeout_seconds: float | None = None,
    virtual_time: bool = False,
    seed: int | None = None,
    settings: Settings | None = None,
) -> list[Task]:
    """Run the tasks with these bots. Return the tasks in the order given, once all have an outcome.

    Args:
        bots: instances, or classes whose constructor takes no arguments. They get all permissions they need.
        tasks: bodies of `POST /tasks`. Without an evaluator, `evaluation` defaults to `none`. Without a planner, a task
            needs its `subtasks`.
        timeout_seconds: for all tasks together; default 30, or a week of virtual time.
        virtual_time: sleeping takes no real time, and one seed gives one run. The bots must then be coroutines that
            wait for nothing outside this process.
        seed: of ids and jitter, only with virtual time; default 1.
        settings: default: a store in memory and default settings. `four_eyes` is off: all bots have one key.

    Raises:
        SwarmStuck: not all of them ended in time.
        ApiError: a bot or a task was refused.
    """
    if seed is not None and not virtual_time:
        raise ValueError("seed has an effect only with virtual time: pass virtual_time=True, too")
    if timeout_seconds is None:
        timeout_seconds = VIRTUAL_SECONDS if virtual_time else SECONDS
    drawn = 1 if seed is None else seed
    if not virtual_time:
        return asyncio.run(_run(bots, tasks, timeout_seconds, Orchestrator(_quiet(settings)), None))
    loop = virtual_loop()
    swarm = Orchestrator(
        _quiet(settings), clock=VirtualClock(loop), entropy=SeededChance(drawn, "orchestrator"), inline=True
    )
    return _on(loop, _run(bots, tasks, timeout_seconds, swarm, SeededChance(drawn, "bots")))


@asynccontextmanager
async def running_swarm(bots: Bots, *, settings: Settings | None = None) -> AsyncIterator[Client]:
    """Run these bots for an async test, and yield a client of their orchestrator."""
    async with Orchestrator(_quiet(settings)) as swarm, _working(bots, swarm.client()) as client:
        yield client


def _quiet(settings: Settings | None) -> Settings:
    # All bots run with one key, which would count as one owner that may not review its own work.
    return replace(settings or Settings(store="sqlite://:memory:", log_level="error"), four_eyes=False)


def _on(loop: VirtualLoop, work: Coroutine[Any, Any, _Answer]) -> _Answer:
    try:
        answer: _Answer = loop.run_until_complete(work)
    finally:
        loop.close()
    if loop.troubles:
        raise AssertionError(f"a background task failed: {loop.troubles[0]}")
    return answer


async def _run(
    bots: Bots, tasks: Tasks, timeout: float, orchestrator: Orchestrator, chance: SeededChance | None
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
    given = task.model_dump(mode="json", exclude_unset=True) if isinstance(task, TaskDefinition) else dict(task)
    return given if evaluated else {"evaluation": "none", **given}


async def _why(client: Client, task_id: str) -> str:
    explained = await client.explain(task_id)
    return f"{task_id} ({explained.status}): {explained.summary}"


@asynccontextmanager
async def _working(bots: Bots, client: Client) -> AsyncIterator[Client]:
    """Run bots during the block. If a bot ends with an error, the block is cancelled and raises it."""
    stop = asyncio.Event()
    made = [bot() if isinstance(bot, type) else bot for bot in bots]
    block = asyncio.current_task()
    assert block is not None, "a block runs in a task"
    serving = asyncio.create_task(serve(made, client, stop=stop, drain_seconds=DRAIN_SECONDS))

    def ended(done: asyncio.Task[None]) -> None:
        # A block that has ended already, by its own error, must not be cancelled while it waits for the bots.
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
        with contextlib.suppress(Exception):  # raised above, if it came first
            await serving
        await client.aclose()
