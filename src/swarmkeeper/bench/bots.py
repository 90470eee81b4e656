"""The bots of a measurement as a separate program: `python -m swarmkeeper.bench.bots`.

It runs either lean bots, which cost almost nothing compared with the server, or SDK bots. The first input line chooses.
Each further line is answered with the usage so far. The program ends with its input. load_clients.py is the other side.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from swarmkeeper.bench import swarm
from swarmkeeper.bench.load import HttpConnection
from swarmkeeper.bench.load_clients import KINDS, BotUsage, Wish
from swarmkeeper.bench.machine import own_cpu_seconds
from swarmkeeper.sdk.answers import Accept, Done
from swarmkeeper.sdk.answers import Plan as Planned
from swarmkeeper.sdk.bots import BaseBot, EvaluatorBot, ExecutorBot, PlannerBot
from swarmkeeper.sdk.context import Candidate, Context
from swarmkeeper.wire.requests import SubTask, TaskDefinition

if TYPE_CHECKING:
    from swarmkeeper.sdk.connection.transport import Response

# Capacity of an SDK bot; it batches results that are ready together.
CAPACITY = 64


async def main() -> None:
    wish = msgspec.json.decode(await _line(), type=Wish)
    used = await (_lean(wish) if wish.batch else _sdk(wish))
    while True:
        sys.stdout.buffer.write(msgspec.json.encode(BotUsage(own_cpu_seconds(), used())) + b"\n")
        sys.stdout.buffer.flush()
        if not await _line():
            return


async def _line() -> bytes:
    return await asyncio.to_thread(sys.stdin.buffer.readline)


def _count(wish: Wish, kind: str) -> int:
    return wish.executors if kind == "Executor" else wish.others


# ---- lean ----------------------------------------------------------------------------------------------------------


async def _lean(wish: Wish) -> Callable[[], int]:
    answers: Mapping[str, swarm.Answer] = {
        "Planner": swarm.plan(wish.subtasks),
        "Executor": swarm.execute,
        "Evaluator": swarm.review,
    }
    workers = []
    for kind in KINDS:
        for number in range(_count(wish, kind)):
            connection = await HttpConnection.open(wish.url, wish.keys[kind])
            skills = [swarm.SKILL] if kind == "Executor" else []
            workers.append(await swarm.enlist(connection, kind, number, wish.batch, answers[kind], skills))
    for worker in workers:
        _start(worker.run())
    return lambda: sum(worker.connection.calls for worker in workers)


_running: set[asyncio.Task[None]] = set()


def _start(work: Any) -> None:
    """Run a bot; if it fails, the program ends, because the measurement would be wrong."""
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_ended)


def _ended(task: asyncio.Task[None]) -> None:
    _running.discard(task)
    if not task.cancelled() and task.exception() is not None:
        asyncio.get_running_loop().call_exception_handler({"message": "a bot failed", "exception": task.exception()})
        asyncio.get_running_loop().stop()


# ---- SDK bots ------------------------------------------------------------------------------------------------------


class Planner(PlannerBot):
    def __init__(self, subtasks: int) -> None:
        self._subtasks = subtasks

    async def plan(self, task: TaskDefinition) -> Planned:
        return Planned([SubTask(**subtask) for subtask in swarm.subtasks_of(task.input["text"], self._subtasks)])


class Executor(ExecutorBot):
    async def execute(self, subtask: SubTask, context: Context) -> Done:
        return Done({"hash": swarm.hash_of(subtask.input, context.upstream)})


class Evaluator(EvaluatorBot):
    async def review(self, candidate: Candidate) -> Accept:
        return Accept(score=1)


async def _sdk(wish: Wish) -> Callable[[], int]:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.sdk.connection.transport import HttpTransport
    from swarmkeeper.sdk.runner import serve

    class Counting(HttpTransport):
        calls = 0

        async def request(
            self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
        ) -> Response:
            Counting.calls += 1
            return await super().request(method, path, headers, body, timeout)

    ready = asyncio.Event()
    missing = wish.executors + 2 * wish.others

    def count_registered(kind: str, fields: Mapping[str, Any]) -> None:
        nonlocal missing
        missing -= kind == "registered"
        if not missing:
            ready.set()

    for kind in KINDS:
        bots: list[BaseBot] = []
        for number in range(_count(wish, kind)):
            bot: BaseBot = (
                Planner(wish.subtasks) if kind == "Planner" else Executor() if kind == "Executor" else Evaluator()
            )
            bot.name, bot.instance, bot.capacity = swarm.name_of(kind), str(number), CAPACITY
            bot.skills = {swarm.SKILL} if kind == "Executor" else set()
            bot.on_event = count_registered  # type: ignore[method-assign]  # a hook for replacement
            bots.append(bot)
        _start(_serve(serve, bots, Client(wish.url, wish.keys[kind], transport=Counting(wish.url))))
    await ready.wait()
    return lambda: Counting.calls


async def _serve(serve: Callable[..., Any], bots: Sequence[BaseBot], client: Any) -> None:
    async with client:
        await serve(bots, client)


if __name__ == "__main__":
    asyncio.run(main())
