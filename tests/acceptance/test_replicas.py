"""Three orchestrators share one database, and everything that can break does: servers die, stand still, lose their
connections; the database is restarted. Nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.acceptance.replicas import Cluster, InsistentBot, InsistentCaller, Replica, while_it_lasts
from tests.support.postgres import PostgresServer

REPLICAS = 3
PLAN = [
    *({"key": key, "description": "one of many"} for key in "abcdef"),
    {"key": "join", "description": "all", "depends_on": list("abcdef")},
    {"key": "last", "description": "the end", "depends_on": ["join"]},
]
# What callers may be answered: what they asked for, or that they should ask again.
ANSWERS = ("200", "201", "503", "none")


def plan(lease: Any) -> dict[str, Any]:
    return {"plan": {"subtasks": PLAN}}


def execute(lease: Any) -> dict[str, Any]:
    return {"output": {"key": lease["subtask"]["key"], "saw": sorted(lease["upstream"])}}


def review(lease: Any) -> dict[str, Any]:
    return {"verdict": {"decision": "accept", "score": 1}}


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer(durable=True)
    yield server
    server.stop()


@dataclass
class Swarm:
    """Bots and a client of a cluster."""

    cluster: Cluster
    answers: dict[str, int] = field(default_factory=dict)
    tasks: list[str] = field(default_factory=list)
    bots: list[InsistentBot] = field(default_factory=list)

    def caller(self) -> InsistentCaller:
        return InsistentCaller(lambda: self.cluster.url, self.cluster.key, self.answers)

    def workers(self, *, planners: int, executors: int, evaluators: int) -> list[Any]:
        kinds = [("Planner", planners, plan), ("Executor", executors, execute), ("Evaluator", evaluators, review)]
        for kind, count, do in kinds:
            self.bots += [InsistentBot(self.caller(), kind, number, do) for number in range(count)]
        return [bot.run() for bot in self.bots]

    async def submit(self, count: int, *, batch: int = 10) -> None:
        call = self.caller()
        for begin in range(0, count, batch):
            asked = [
                {"title": f"task {number}", "defaults": {"max_attempts": 20}} for number in range(begin, begin + batch)
            ]
            made: list[Any] = []
            while len(made) < len(asked):
                status, answer = await call("POST", "/tasks:batch", {"tasks": asked}, Idempotency_Key=f"from-{begin}")
                assert status in (200, 201), answer
                refused = [result for result in answer["results"] if "task" not in result]
                assert all(result["status"] == 503 for result in refused), refused
                made = [result["task"]["id"] for result in answer["results"] if "task" in result]
            self.tasks += made

    async def all_end(self) -> None:
        call = self.caller()
        for task in self.tasks:
            final = None
            while final is None or final["outcome"] is None:
                status, final = await call("GET", f"/tasks/{task}?wait_seconds=5&until=final")
                assert status == 200, final
            assert (final["status"], final["outcome"]) == ("ARCHIVED", "accepted"), final


class Chaos:
    """Breaks servers and connections at random moments, and mends them."""

    def __init__(self, cluster: Cluster, postgres: PostgresServer, chance: random.Random) -> None:
        self._cluster, self._postgres, self._chance = cluster, postgres, chance
        self.done: list[str] = []

    async def run(self, count: int) -> None:
        kinds = [self.kill, self.freeze, self.lose_connections, self.restart_database]
        # Each once, then by chance.
        for number in range(count):
            await asyncio.sleep(self._chance.uniform(0.2, 1.2))
            chosen = kinds[number] if number < len(kinds) else self._chance.choice(kinds)
            await chosen()
            self.done.append(chosen.__name__)

    def _one(self) -> Replica:
        return self._chance.choice(self._cluster.replicas)

    async def kill(self) -> None:
        replica = self._one()
        await asyncio.to_thread(replica.kill)
        await asyncio.sleep(self._chance.uniform(0, 1))
        await asyncio.to_thread(replica.start)

    async def freeze(self) -> None:
        replica = self._one()
        replica.freeze()
        await asyncio.sleep(self._chance.choice((0.5, 2, 5)))
        replica.go_on()

    async def lose_connections(self) -> None:
        connection = await asyncpg.connect(self._postgres.url())
        found = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'swarmkeeper' ORDER BY pid"
        )
        for row in self._chance.sample(found, len(found) // 3):
            await connection.execute("SELECT pg_terminate_backend($1)", row["pid"])
        await connection.close()

    async def restart_database(self) -> None:
        immediate = self._chance.random() < 0.5
        await asyncio.to_thread(self._postgres.halt, immediate=immediate)
        await asyncio.sleep(self._chance.uniform(0, 1))
        await asyncio.to_thread(self._postgres.resume)


async def _rows(url: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        found: list[Any] = await connection.fetch(query)
        return found
    finally:
        await connection.close()


def rows(url: str, query: str) -> list[Any]:
    return asyncio.run(_rows(url, query))


def check_history(url: str) -> dict[str, int]:
    """Check what the store says of the whole run; return how much there was."""
    twice = rows(
        url, "SELECT work, round FROM attempt WHERE ending = 'succeeded' GROUP BY work, round HAVING count(*) > 1"
    )
    assert not twice, f"these have two accepted results: {twice[:5]}"
    events = rows(url, "SELECT seq, task, sequence, work, kind FROM event ORDER BY seq")
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1)), "the feed has gaps"
    last: dict[str, int] = {}
    for event in events:
        if event["task"] is not None:
            assert event["sequence"] == last.get(event["task"], 0) + 1, f"{dict(event)} is not in order"
            last[event["task"]] = event["sequence"]
    (attempts,) = rows(url, "SELECT count(*) AS n FROM attempt")
    return {"events": len(events), "attempts": attempts["n"], "tasks": len(last)}


def play(folder: Path, postgres: PostgresServer, *, seed: int, tasks: int, bots: int, faults: int) -> str:
    """Play the whole story, check it, and return a line about it."""
    database = postgres.new_database(keep=True)
    began = time.monotonic()
    with Cluster(folder, database, REPLICAS) as cluster:
        swarm = Swarm(cluster)
        chaos = Chaos(cluster, postgres, random.Random(seed))

        async def story() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(swarm.submit(tasks))
                group.create_task(chaos.run(faults))
            await swarm.all_end()

        others = max(1, bots // 8)
        workers = swarm.workers(planners=others, executors=bots - 2 * others, evaluators=others)
        asyncio.run(while_it_lasts(workers, story()))
        seconds = time.monotonic() - began
        logs = "\n".join(replica.log for replica in cluster.replicas)
        cluster.replicas[0].cli("doctor", "--deep", "--store", database)
        cluster.replicas[0].cli("audit", "verify", database)
    found = check_history(database)
    unexpected = {answer: count for answer, count in swarm.answers.items() if not answer.startswith(ANSWERS)}
    assert not unexpected, (unexpected, swarm.answers)
    faults_told = [line for line in logs.splitlines() if "fault" in line]
    assert not faults_told, faults_told[:3]
    accepted = {lease for bot in swarm.bots for lease in bot.accepted}
    stored = {row["lease_id"] for row in rows(database, "SELECT lease_id FROM attempt WHERE ending = 'succeeded'")}
    assert not accepted - stored, "an acknowledged result is not stored"
    return f"{seconds:.1f} s, {found}, {dict(swarm.answers)}, {chaos.done}"


@pytest.mark.timeout(300)
def test_three_servers_lose_and_double_nothing_while_everything_breaks(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    print(play(tmp_path, postgres, seed=1, tasks=200, bots=40, faults=6))
