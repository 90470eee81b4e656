"""How much work came and was leased in the last minute, counted from what was committed."""

import json
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.reads.insight.flow import Flow
from tests.http.conftest import Caller, Fleet, client, fleet, store_url, swarm
from tests.http.test_insight import planned

__all__ = ["client", "fleet", "store_url", "swarm"]
SECOND = 1_000_000


def counts(flow: Flow) -> list[tuple[int, int]]:
    return sorted(flow.of("default").values())


async def test_what_comes_and_what_is_leased_is_counted_once(swarm: Orchestrator, client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", capacity=3)
    task = await planned(client, "a", "b", "c")
    assert counts(swarm.flow) == [(3, 0)]
    leases = (await bot.lease(max=2)).json["leases"]
    assert counts(swarm.flow) == [(3, 2)]

    await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": [{"lease_id": each["lease_id"]} for each in leases]})
    await client.call("PATCH", f"/tasks/{task}", {"priority": 9})  # gives the waiting item another place in its queue
    assert counts(swarm.flow) == [(3, 2)]

    await bot.call.post(f"/leases/{leases[0]['lease_id']}:release", {"reason": "later", "delay_seconds": 0})
    (came, leased) = counts(swarm.flow)[0]
    assert (came, leased) in ((3, 2), (4, 2))  # it comes back at once, or after a moment


async def test_an_item_that_is_leased_in_the_commit_that_makes_it_ready_counts_as_both(
    swarm: Orchestrator, client: Caller, fleet: Fleet
) -> None:
    bot = await fleet.bot("Executor")
    subtasks = [{"key": "a", "description": ""}, {"key": "b", "description": "", "depends_on": ["a"]}]
    await client.post("/tasks", {"title": "t", "subtasks": subtasks, "evaluation": "none"})
    first = await bot.one()
    assert counts(swarm.flow) == [(1, 1)]

    await bot.report(first, output=1, claim={"max": 1})

    assert counts(swarm.flow) == [(2, 2)]


class Clock:
    now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


async def test_a_minute_later_it_is_forgotten(
    swarm: Orchestrator, client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    swarm.flow._monotonic = clock
    await planned(client, "a")
    clock.now += 30 * SECOND
    await planned(client, "b")

    assert counts(swarm.flow) == [(2, 0)]
    clock.now += 35 * SECOND
    assert counts(swarm.flow) == [(1, 0)]
    clock.now += 60 * SECOND
    assert counts(swarm.flow) == []
    assert swarm.flow.told() == ""


def test_what_other_servers_told_is_added_for_the_tenant_alone() -> None:
    flow = Flow(Clock())
    told: list[Any] = [["acme", 7, 3, 2], ["other", 7, 100, 100]]
    flow.others = lambda: [json.dumps(told), json.dumps([["acme", 7, 1, 1], ["acme", 8, 5, 0]])]

    assert dict(flow.of("acme")) == {7: (4, 3), 8: (5, 0)}
