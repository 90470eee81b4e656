"""Compares the cost of a claim with a small and with a large backlog. SQLite counts steps of its virtual machine, so
the result does not depend on a clock; so are calls of functions, by other claims, because counting takes time.
Processor time is reported as well.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw

from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.bench import machine
from swarmkeeper.bench.report import BenchReport, CannotMeasure, Figure, ScenarioOptions, percentile, ratio
from swarmkeeper.bench.server import Place
from swarmkeeper.clock import SystemClock
from swarmkeeper.core.answers import not_replayed
from swarmkeeper.core.commands import ClaimWork, Register, Submit
from swarmkeeper.core.model import SubtaskSpec
from swarmkeeper.settings import Settings
from swarmkeeper.storage.sqlite.store import SqliteStore

CLAIMS = 100
COUNTED_CLAIMS = 20  # of which the calls are counted
TIMES = 100  # ratio of the large to the small backlog
A_TASK = 500  # subtasks per task: as many as a submission writes in its own commit
SKILLS = tuple(f"skill{number}" for number in range(10))

MEANING = {
    "steps": "ratio of SQLite's steps per claim, large backlog to small",
    "calls": "ratio of calls of functions (Python and C) per claim, large backlog to small",
    "cpu": "ratio of processor time per claim, large backlog to small",
    "steps_small": "steps of SQLite's virtual machine per claim, including its commit",
}


async def backlog(options: ScenarioOptions, *, times: int = TIMES) -> BenchReport:
    chosen = options.chosen(tasks=100_000)
    large = chosen.tasks
    small = large // times
    if small < CLAIMS + COUNTED_CLAIMS:
        least = (CLAIMS + COUNTED_CLAIMS) * times
        raise CannotMeasure(f"--tasks is the number of waiting subtasks; use at least {least}")
    place = Place(chosen.store)
    try:
        described = machine.describe(place.file().parent)
        settings = Settings(store=place.url, log_level="error", open_tasks=0, open_subtasks=0)
        async with Orchestrator(settings) as swarm:
            # A bot each: what a bot holds costs its claims something, too.
            first, second = await _bot(swarm, "first"), await _bot(swarm, "second")
            await _fill(swarm, small)
            of_small = await _claims(swarm, first)
            await _fill(swarm, large - small)
            of_large = await _claims(swarm, second)
        durability = await machine.durability(place.url)
    finally:
        place.close()
    figures: dict[str, Figure] = {
        "steps": ratio(of_large["steps"], of_small["steps"]),
        "calls": ratio(of_large["calls"], of_small["calls"]),
        "cpu": ratio(of_large["cpu_ms"], of_small["cpu_ms"]),
    }
    figures |= {f"{name}_small": value for name, value in of_small.items()}
    figures |= {f"{name}_large": value for name, value in of_large.items()}
    return BenchReport(
        scenario="backlog",
        options=chosen,
        machine=described,
        durability=durability,
        payload={"input": 2},
        figures={"waiting_small": small, "waiting_large": large, **figures},
        meaning=MEANING,
    )


async def _bot(swarm: Orchestrator, name: str) -> str:
    capacity = CLAIMS + COUNTED_CLAIMS
    register = Register(by=OWN, type="Executor", version="1", name=name, skills=SKILLS, capacity=capacity)
    return not_replayed(await swarm.engine.do(register))[0]


async def _fill(swarm: Orchestrator, items: int) -> None:
    """Add `items` ready subtasks, spread over ten queues."""
    while items > 0:
        count = min(items, A_TASK)
        items -= count
        subtasks = tuple(
            SubtaskSpec(f"s{number}", "", required_skills=(SKILLS[number % len(SKILLS)],)) for number in range(count)
        )
        submit = Submit(by=OWN, title="Wait", spec=b'{"title":"Wait"}', evaluation="none", subtasks=subtasks)
        await swarm.engine.do(submit)


async def _claims(swarm: Orchestrator, bot: str) -> dict[str, float]:
    """Return what a claim costs, each in its own batch: the least calls, and the medians of all else.

    The loop may do other work while a claim waits for the store. That only adds calls, and on a busy machine to most
    claims.
    """
    clock = SystemClock()
    steps: list[float] = []
    cpu: list[float] = []
    wall: list[float] = []
    calls = [await _calls_of_a_claim(swarm, bot) for _ in range(COUNTED_CLAIMS)]
    assert isinstance(swarm.store, SqliteStore), "the scenario makes its store in a file"
    with counted(swarm.store) as count:
        for _ in range(CLAIMS):
            count.clear()
            began, used = clock.monotonic(), machine.own_cpu_seconds()
            await _claim(swarm, bot)
            wall.append((clock.monotonic() - began) / 1000)
            cpu.append((machine.own_cpu_seconds() - used) * 1000)
            steps.append(sum(count))
            await asyncio.sleep(0)
    figures = {"steps": steps, "cpu_ms": cpu, "wall_ms": wall}
    return {"calls": min(calls)} | {name: percentile(measured, 0.5) for name, measured in figures.items()}


async def _claim(swarm: Orchestrator, bot: str) -> None:
    claimed = await swarm.engine.claim(ClaimWork(by=OWN, bot=bot), parks=False).answer
    if len(claimed.leases) != 1:
        raise CannotMeasure(f"a claim got nothing: {claimed.reason}")


async def _calls_of_a_claim(swarm: Orchestrator, bot: str) -> float:
    """Return how many functions, of Python and of C, this thread calls until a claim is answered."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        await _claim(swarm, bot)
    finally:
        sys.setprofile(before)
    return calls


@contextmanager
def counted(store: SqliteStore) -> Iterator[list[int]]:
    """Collect the steps of each statement that the store's writing connection runs in the block."""
    steps: list[int] = []

    def ended(event: dict[str, Any]) -> None:
        steps.append(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])

    connection = store.connection
    connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, ended)
    try:
        yield steps
    finally:
        connection.trace_v2(0, None)
