"""Budgets over HTTP: what is accepted and refused, what bots and clients see of them, and who raises them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.core.commands import SetTenant
from swarmkeeper.settings import Settings
from tests.effects.conftest import submitted
from tests.http.conftest import BotCaller, Caller, Fleet, Json

COST = "cost_micro_usd"
ALLOWED = {COST: 100, "tokens": 1_000}


@pytest.fixture
async def swarm() -> AsyncIterator[Orchestrator]:
    settings = Settings(
        store="sqlite://:memory:", budget_reserve_cost_micro_usd=100, budget_reserve_tokens=1_000, log_level="error"
    )
    async with Orchestrator(settings) as orchestrator:
        yield orchestrator


@pytest.fixture
async def client(swarm: Orchestrator) -> Caller:
    return Caller(swarm.app, await swarm.make_key("admin"))


@pytest.fixture
def fleet(swarm: Orchestrator) -> Fleet:
    return Fleet(swarm)


def subtask(key: str, **more: Json) -> Json:
    return {"key": key, "description": "do it", **more}


async def leases(worker: BotCaller) -> list[Json]:
    return list((await worker.lease()).json["leases"])


async def budget_of(client: Caller, task: str) -> Json:
    return (await client.get(f"/tasks/{task}")).json["budget"]


@pytest.mark.parametrize(
    ("budget", "pointer"),
    [
        ({}, "/budget"),
        ({"at_limit": "stop"}, "/budget"),
        ({"tokens": 0}, "/budget/tokens"),
        ({"tokens": 1.5}, "/budget/tokens"),
        ({COST: "5"}, "/budget/cost_micro_usd"),
        ({"tokens": 1, "at_limit": "wait"}, "/budget/at_limit"),
        ({"rounds": 1}, "/budget/rounds"),
    ],
)
async def test_a_budget_without_effect_is_refused(client: Caller, budget: Json, pointer: str) -> None:
    refused = await client.post("/tasks", {"title": "t", "budget": budget})

    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, pointer)


async def test_a_subtask_has_no_limit_of_subtasks(client: Caller) -> None:
    refused = await client.post("/tasks", {"title": "t", "subtasks": [subtask("a", budget={"subtasks": 2})]})

    assert refused.status == 422


async def test_a_task_shows_what_its_budget_has_reserved_and_spent(client: Caller, fleet: Fleet) -> None:
    task = await submitted(client, "a", "b", budget={COST: 1_000, "tokens": 9_000, "subtasks": 5})
    worker = await fleet.bot("Executor")
    lease = await worker.one()

    assert lease["allowance"] == ALLOWED
    assert (await budget_of(client, task))["reserved"] == ALLOWED
    await worker.report(lease, output={}, usage={COST: 30, "tokens": 200, "unpriced_tokens": 50})

    assert await budget_of(client, task) == {
        "limit": {COST: 1_000, "tokens": 9_000, "subtasks": 5},
        "at_limit": "ask",
        "reserved": {},
        "spent": {COST: 30, "tokens": 200, "attempts": 1, "subtasks": 2},
        "overshoot": {},
        "unpriced_tokens": 50,
    }


async def test_work_without_a_budget_has_no_allowance(client: Caller, fleet: Fleet) -> None:
    task = await submitted(client, "a")

    worker = await fleet.bot("Executor")
    assert (await worker.one())["allowance"] is None
    assert await budget_of(client, task) is None


async def test_at_the_limit_explain_says_so_and_a_person_raises_it(
    client: Caller, fleet: Fleet, swarm: Orchestrator
) -> None:
    task = await submitted(client, "a", "b", budget={COST: 100, "at_limit": "ask"})
    worker = await fleet.bot("Executor")
    await worker.report(await worker.one(), output={}, usage={COST: 100})
    assert await leases(worker) == []

    explained = (await client.get(f"/tasks/{task}:explain")).json
    (approval,) = (await client.get("/approvals?state=open")).json["items"]
    assert list(explained["reasons"]) == ["budget"]
    assert explained["waiting"][0]["fix"] == f"swarmkeeper approval show {approval['id']}"
    assert approval["kind"] == "budget"
    assert approval["subject"]["raise_by"] == {COST: 100}
    approver = Caller(swarm.app, await swarm.make_key("approver"))
    await approver.post(f"/approvals/{approval['id']}:approve", {"subject_hash": approval["subject_hash"]})

    assert (await budget_of(client, task))["limit"] == {COST: 200}
    assert len(await leases(worker)) == 1


async def test_a_task_waits_while_the_rest_is_reserved(client: Caller, fleet: Fleet) -> None:
    task = await submitted(client, "a", "b", budget={COST: 150})
    worker = await fleet.bot("Executor")
    await worker.one()
    assert await leases(worker) == []

    (waiting,) = [each for each in (await client.get(f"/tasks/{task}:explain")).json["waiting"] if each["key"] == "b"]

    assert waiting["reason"] == "budget"
    assert waiting["detail"] == "the rest of its budget is reserved for the attempts in progress"


async def test_a_heartbeat_over_the_budget_is_told_so(client: Caller, fleet: Fleet) -> None:
    task = await submitted(client, "a", budget={COST: 100, "at_limit": "stop"})
    worker = await fleet.bot("Executor")
    lease = await worker.one()

    beat = {"leases": [{"lease_id": lease["lease_id"], "usage": {COST: 101}}]}
    answer = await worker.call.post(f"/bots/{worker.id}:heartbeat", beat)

    assert answer.json["leases"] == [
        {"lease_id": lease["lease_id"], "directive": "cancel", "expires_at": None, "over_budget": True}
    ]
    shown = (await client.get(f"/tasks/{task}")).json
    assert shown["failure"]["code"] == "budget"
    assert shown["budget"]["overshoot"] == {COST: 1}


async def test_a_subtask_shows_its_own_budget(client: Caller, fleet: Fleet) -> None:
    body = {"title": "t", "subtasks": [subtask("a", budget={"attempts": 2, "at_limit": "stop"}), subtask("b")]}
    task = (await client.post("/tasks", body)).json
    worker = await fleet.bot("Executor")
    await worker.report(await worker.one(), output={})

    first, second = (await client.get(f"/tasks/{task['id']}")).json["subtasks"]

    assert (first["budget"]["limit"], first["budget"]["at_limit"]) == ({"attempts": 2}, "stop")
    assert first["budget"]["spent"] == {"attempts": 1}
    assert second.get("budget") is None


async def test_a_budget_is_changed_while_the_task_runs_or_when_it_is_retried(client: Caller, fleet: Fleet) -> None:
    task = await submitted(client, "a", "b", budget={COST: 100, "tokens": 5_000, "at_limit": "stop"})
    changed = await client.call("PATCH", f"/tasks/{task}", {"budget": {COST: 120}})
    assert (changed.status, changed.json["budget"]["limit"]) == (200, {COST: 120, "tokens": 5_000})
    assert changed.json["budget"]["at_limit"] == "stop"
    worker = await fleet.bot("Executor")
    await worker.report(await worker.one(), output={}, usage={COST: 120})
    await leases(worker)

    low = await client.post(f"/tasks/{task}:retry", {"budget": {COST: 50}})
    retried = await client.post(f"/tasks/{task}:retry", {"budget": {COST: 500}})

    assert (low.status, low.json["errors"][0]["pointer"]) == (422, "/budget/cost_micro_usd")
    assert retried.json["budget"]["limit"][COST] == 500
    assert len(await leases(worker)) == 1


async def test_a_task_without_a_budget_gets_none_later(client: Caller) -> None:
    task = await submitted(client, "a")

    refused = await client.call("PATCH", f"/tasks/{task}", {"budget": {COST: 120}})

    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/budget")


async def test_a_tenant_at_its_limit_is_explained(swarm: Orchestrator, client: Caller, fleet: Fleet) -> None:
    task = await submitted(client, "a", "b")
    await swarm.engine.do(SetTenant(by=OWN, budget={"attempts": 1}))
    worker = await fleet.bot("Executor")
    await worker.report(await worker.one(), output={})
    assert await leases(worker) == []

    (waiting,) = (await client.get(f"/tasks/{task}:explain")).json["waiting"]

    assert (waiting["reason"], waiting["fix"]) == ("budget", "swarmkeeper tenant get default")
    assert waiting["detail"] == "the tenant's budget is used up: 1 of 1 attempts; an operator can raise it"
