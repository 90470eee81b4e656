"""Measures the cost of the heartbeats of many bots. Each sends one for all its leases, three times in the time of a
lease, as the SDK does.

The first heartbeat of a lease is always written, because it shows that the bot has the lease. After it, a heartbeat is
written only once less than half of the lease's time is left: every second one at this pace. So both are measured, one
after the other: an interval in which each bot sends its first, and the intervals after it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from swarmkeeper.bench.load import HttpConnection, size_of
from swarmkeeper.bench.report import BenchReport, CannotMeasure, Figure, ScenarioOptions, percentile
from swarmkeeper.bench.server import BenchServer
from swarmkeeper.bench.swarm import SKILL, register
from swarmkeeper.clock import SystemClock
from swarmkeeper.core.model import Limits

# The next heartbeat of a lease is due after a third of its duration.
EVERY_SECONDS = Limits().lease_ttl / 3 / 1_000_000
STEADY_INTERVALS = 12  # two minutes; an even number, because written and unwritten heartbeats alternate
CONNECTIONS = 100
A_CALL = 64  # leases claimed per call

MEANING = {
    "first_core_share": "share of one core for the first heartbeats of all leases, which are all written",
    "steady_core_share": "the same for those after the first; idle time is subtracted from both",
    "steady_written": "share of the later heartbeats that extended a lease, so that they were written",
    "steady_p99_ms": "from sending a heartbeat to reading its answer",
}


@dataclass(slots=True)
class _Beater:
    id: str
    leases: dict[str, str] = field(default_factory=dict)  # ids, and when each expires


@dataclass(slots=True)
class _Window:
    """What happened in some intervals."""

    took: list[float] = field(default_factory=list)  # milliseconds of each heartbeat
    written: int = 0
    core_share: float | None = None
    commits: float = 0


async def heartbeats(
    options: ScenarioOptions, *, every: float = EVERY_SECONDS, intervals: int = STEADY_INTERVALS
) -> BenchReport:
    """Measure an interval of first heartbeats, then `intervals` of later ones. An interval is `every` seconds, in which
    each bot sends one; a lease lasts three."""
    chosen = options.chosen(subtasks=10, bots=1000)
    async with BenchServer(chosen.store) as server:
        machine, durability = await server.describe()
        key = await server.key("bot:executor", bot="bench-executor")
        connections = [await server.connect(key) for _ in range(CONNECTIONS)]
        bots = await _register(connections, chosen.bots, chosen.subtasks)
        await _submit(server, chosen.bots, chosen.subtasks)
        idle = await _cpu(server, every)
        swarm = _Beating(server, connections, bots, chosen.subtasks, every, None if idle is None else idle / every)
        first, steady = await swarm.run(intervals)
    figures: dict[str, Figure] = {
        "leases": sum(len(bot.leases) for bot in bots),
        "beats_per_second": len(steady.took) / (intervals * every),
    }
    for name, window in (("first", first), ("steady", steady)):
        figures |= {
            f"{name}_beats": len(window.took),
            f"{name}_core_share": window.core_share,
            f"{name}_written": window.written / len(window.took),
            f"{name}_p50_ms": percentile(window.took, 0.5),
            f"{name}_p99_ms": percentile(window.took, 0.99),
            f"{name}_commits": window.commits,
        }
    return BenchReport(
        scenario="heartbeats",
        options=chosen,
        machine=machine,
        durability=durability,
        payload={"beat": size_of(_beat_of(bots[0]))},
        figures=figures,
        meaning=MEANING,
    )


async def _register(connections: list[HttpConnection], bots: int, capacity: int) -> list[_Beater]:
    registered: list[_Beater] = []

    async def some(connection: HttpConnection, numbers: range) -> None:
        options: dict[str, Any] = {"skills": [SKILL], "capacity": capacity}
        registered.extend(
            [_Beater(await register(connection, "Executor", str(number), **options)) for number in numbers]
        )

    async with asyncio.TaskGroup() as group:
        for index, connection in enumerate(connections):
            group.create_task(some(connection, range(index, bots, len(connections))))
    return registered


async def _submit(server: BenchServer, tasks: int, each: int) -> None:
    client = await server.connect(await server.key("client"))
    subtasks = [{"key": f"s{number}", "description": "", "required_skills": [SKILL]} for number in range(each)]
    task = {"title": "Hold", "evaluation": "none", "subtasks": subtasks}
    for begin in range(0, tasks, A_CALL):
        await client.post("/tasks:batch", {"tasks": [task] * min(A_CALL, tasks - begin)})


async def _cpu(server: BenchServer, seconds: float) -> float | None:
    """Return the processor time that the idle server uses in `seconds`, or None if not available."""
    before = await server.figures()
    await SystemClock().sleep(round(seconds * 1_000_000))
    after = await server.figures()
    if "process_cpu_seconds_total" not in after:
        return None
    return after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]


def _beat_of(bot: _Beater) -> dict[str, list[dict[str, str]]]:
    return {"leases": [{"lease_id": lease} for lease in bot.leases]}


class _Beating:
    """Bots that claim leases, spread over the first interval, and then send a heartbeat in each interval."""

    def __init__(
        self,
        server: BenchServer,
        connections: list[HttpConnection],
        bots: list[_Beater],
        each: int,
        every: float,
        idle_share: float | None,
    ) -> None:
        self._server, self._connections, self._bots = server, connections, bots
        self._each, self._every, self._idle_share = each, every, idle_share
        self._clock = SystemClock()
        self._began = 0
        self._claimed = 0  # bots that have their leases
        self._window = _Window()  # the present one

    async def run(self, intervals: int) -> tuple[_Window, _Window]:
        """Return what happened in the second interval, and in the `intervals` after it."""
        self._began = self._clock.monotonic()
        count = len(self._connections)
        async with asyncio.TaskGroup() as group:
            beating = [group.create_task(self._some(index, self._connections[index])) for index in range(count)]
            await self._until(1)
            if self._claimed < len(self._bots):
                raise CannotMeasure("the server is too slow: the bots have not claimed their leases in time")
            first = await self._watch(2)
            steady = await self._watch(2 + intervals)
            for task in beating:
                task.cancel()
        return first, steady

    async def _until(self, interval: int) -> None:
        await self._clock.sleep(max(0, self._due(interval * len(self._bots)) - self._clock.monotonic()))

    def _due(self, number: int) -> int:
        """Return when the call with this number of the whole swarm is due."""
        return self._began + round(number * self._every / len(self._bots) * 1_000_000)

    async def _watch(self, interval: int) -> _Window:
        """Return what happens until the beginning of this interval."""
        self._window = window = _Window()
        before, began = await self._server.figures(), self._clock.monotonic()
        await self._until(interval)
        after, seconds = await self._server.figures(), (self._clock.monotonic() - began) / 1_000_000
        window.commits = after["batches_total"] - before["batches_total"]
        if self._idle_share is not None:
            used = after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]
            window.core_share = max(0.0, used / seconds - self._idle_share)
        return window

    async def _some(self, index: int, connection: HttpConnection) -> None:
        """Serve the bots of one connection."""
        calls = deque(range(index, len(self._bots), len(self._connections)))  # in the order in which they are due
        while calls:
            number = calls.popleft()
            bot = self._bots[number % len(self._bots)]
            await self._clock.sleep(max(0, self._due(number) - self._clock.monotonic()))
            await (self._beat(connection, bot) if bot.leases else self._claim(connection, bot))
            calls.append(number + len(self._bots))

    async def _claim(self, connection: HttpConnection, bot: _Beater) -> None:
        while len(bot.leases) < self._each:
            most = min(A_CALL, self._each - len(bot.leases))
            asked = {"bot_id": bot.id, "max": most, "lease_seconds": 3 * self._every, "wait_seconds": 0}
            leases = (await connection.post("/leases", asked))["leases"]
            if not leases:
                raise CannotMeasure("a bot found nothing to lease")
            bot.leases |= {lease["lease_id"]: "" for lease in leases}
        self._claimed += 1

    async def _beat(self, connection: HttpConnection, bot: _Beater) -> None:
        window, sent = self._window, self._clock.monotonic()
        answer = await connection.post(f"/bots/{bot.id}:heartbeat", _beat_of(bot))
        window.took.append((connection.answered_at - sent) / 1000)
        if any(lease["directive"] != "continue" for lease in answer["leases"]):
            raise CannotMeasure("a lease was lost although its bot sent heartbeats")
        expires = {lease["lease_id"]: lease["expires_at"] for lease in answer["leases"]}
        window.written += expires != bot.leases
        bot.leases = expires
