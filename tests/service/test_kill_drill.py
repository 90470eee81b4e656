"""A drill under load: what is killed gets nothing a second after the answer, on every server, and holds nothing."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.settings import Settings
from tests.http.conftest import BotCaller, Caller
from tests.support.postgres import server

SECOND = 1.0
BOTS = 6  # of each owner
SUBTASKS = 300
TASKS = 6
KEPT = 20  # leases that a bot holds at most, so that it always has room for more


@dataclass
class Watched:
    """A bot that takes work as fast as it can, and keeps half of it, up to `KEPT`."""

    bot: BotCaller
    owner: str
    granted: list[float] = field(default_factory=list)  # when a lease reached it
    kept: int = 0

    async def work(self) -> None:
        while True:
            answer = await self.bot.lease(max=4, wait_seconds=1)
            assert answer.status == 200, answer.json
            leases = answer.json["leases"]
            self.granted += [time.monotonic()] * len(leases)
            for n, lease in enumerate(leases):
                if n % 2 and self.kept < KEPT:
                    self.kept += 1
                else:
                    await self.bot.report(lease, output={})
            if not leases:
                await asyncio.sleep(0.01)


async def drill(servers: list[Orchestrator], kind: str, name: str) -> tuple[list[Watched], float, int]:
    """Kill the owner `bad` under load; return the bots, when the answer came, and how many leases were held before."""
    first = servers[0]
    admin = Caller(first.app, await first.make_key("admin"))
    subtasks = [{"key": f"k{n}", "description": "d", "required_skills": ["count"]} for n in range(SUBTASKS)]
    task = {"title": "t", "subtasks": subtasks, "evaluation": "none"}
    for _ in range(TASKS):
        assert (await admin.post("/tasks", task)).status == 201
    watched = []
    for n in range(2 * BOTS):
        owner = "bad" if n % 2 else "good"
        key = await first.make_key("bot:executor", bot=f"b{n}", owner=owner)
        there = servers[n // 2 % len(servers)]
        made = await Caller(first.app, key).post(
            "/bots/register", {"type": "Executor", "version": "1", "skills": ["count"], "capacity": 60}
        )
        assert made.status == 201, made.json
        watched.append(Watched(BotCaller(Caller(there.app, key), made.json["id"]), owner))
    async with asyncio.TaskGroup() as group:
        jobs = [group.create_task(each.work()) for each in watched]
        await asyncio.sleep(1.5)
        held = sum(row["held"] for row in await held_by(first, watched, "bad"))
        placed = await admin.call("PUT", "/kills", {"kind": kind, "name": name, "reason": "a drill"})
        answered = time.monotonic()
        assert placed.status == 200, placed.json
        await asyncio.sleep(SECOND)
        left = await held_by(first, watched, "bad")
        assert left == [], f"{left} still hold leases"
        await admin.post("/tasks", task)  # on a fast machine nothing else is left to do
        await asyncio.sleep(SECOND)
        assert await held_by(first, watched, "bad") == []
        for job in jobs:
            job.cancel()
    return watched, answered, held


async def held_by(swarm: Orchestrator, watched: list[Watched], owner: str) -> list[Any]:
    bots = await swarm.store.read("bots_of_tenant", {"tenant": "default"})
    of_owner = {each.bot.id for each in watched if each.owner == owner}
    return [row for row in bots if row["id"] in of_owner and row["held"]]


def check(watched: list[Watched], answered: float, held: int, *, all_stop: bool = False) -> None:
    bad = [moment for each in watched if each.owner == "bad" for moment in each.granted]
    good = [moment for each in watched if each.owner == "good" for moment in each.granted]
    assert held > 0, "nothing was held before: this was no drill"
    assert min(bad) < answered
    late = max(bad) - answered
    print(f"{held} leases before; last lease to the killed {late * 1000:+.0f} ms after the answer")
    assert late < SECOND
    if not all_stop:
        assert max(good) > answered + SECOND, "the others went on"


@pytest.mark.parametrize(("kind", "name"), [("owner", "bad"), ("tenant", "default")])
async def test_within_a_second_the_killed_hold_nothing_on_one_server(kind: str, name: str, tmp_path: Any) -> None:
    async with Orchestrator(Settings(store=f"sqlite:///{tmp_path}/store.db")) as swarm:
        check(*await drill([swarm], kind, name), all_stop=kind == "tenant")


@pytest.fixture
def store_url() -> str:
    return server().new_store()


async def test_within_a_second_the_killed_hold_nothing_on_two_servers_and_one_database(store_url: str) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Orchestrator(Settings(store=store_url))) for _ in range(2)]
        check(*await drill(servers, "owner", "bad"))
