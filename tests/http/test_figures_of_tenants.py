"""Of the server's figures, a tenant's operators see those of their tenant; others tell nothing of other tenants."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.settings import Settings
from tests.http.conftest import BotCaller, Caller

MEMORY = "sqlite://:memory:"


async def submit(swarm: Orchestrator, tenant: str, skill: str, count: int = 1) -> None:
    client = Caller(swarm.app, await swarm.make_key("client", tenant=tenant))
    for _ in range(count):
        subtask = {"key": "a", "description": "d", "required_skills": [skill]}
        assert (await client.post("/tasks", {"title": "t", "subtasks": [subtask]})).status == 201


async def bot_of(swarm: Orchestrator, tenant: str, **more: Any) -> BotCaller:
    caller = Caller(swarm.app, await swarm.make_key("bot:executor", bot="executor", tenant=tenant))
    answer = await caller.post("/bots/register", {"type": "Executor", "version": "1.0", **more})
    return BotCaller(caller, answer.json["id"])


async def scrape(swarm: Orchestrator, tenant: str, role: str = "operator") -> str:
    caller = Caller(swarm.app, await swarm.make_key(role, tenant=tenant))
    await swarm._metrics.refresh()
    answer = await caller.get("/metrics")
    assert answer.status == 200
    return answer.body.decode()


@pytest.mark.parametrize("role", ["operator", "admin"])
async def test_a_tenants_key_sees_the_series_of_its_tenant_alone(role: str) -> None:
    async with Orchestrator(Settings(store=MEMORY)) as swarm:
        for tenant, skill, count in (("acme", "anvil", 2), ("globex", "laser", 3), ("default", "paper", 1)):
            await submit(swarm, tenant, skill, count)
        acme, whole = await scrape(swarm, "acme", role), await scrape(swarm, "default", role)

    assert 'swarmkeeper_ready_items{kind="execute",skills="anvil"} 2.0' in acme
    assert "laser" not in acme
    assert "paper" not in acme
    names = {line.partition("{")[0].partition(" ")[0] for line in acme.splitlines() if not line.startswith("#")}
    assert names == {
        *("swarmkeeper_up", "swarmkeeper_build_info", "swarmkeeper_leases"),
        *("swarmkeeper_ready_items", "swarmkeeper_ready_oldest_seconds"),
    }
    for skill in ("anvil", "laser", "paper"):
        assert f'skills="{skill}"' in whole
    assert "swarmkeeper_commands_total" in whole


async def test_two_tenants_with_the_same_skill_have_figures_of_their_own() -> None:
    async with Orchestrator(Settings(store=MEMORY)) as swarm:
        await submit(swarm, "acme", "python", 2)
        await submit(swarm, "globex", "python", 3)
        bot = await bot_of(swarm, "acme", skills=["python"])
        await bot.one()
        shown = {tenant: await scrape(swarm, tenant) for tenant in ("acme", "globex", "default")}

    items = 'swarmkeeper_ready_items{kind="execute",skills="python"}'
    assert f"{items} 1.0" in shown["acme"]
    assert f"{items} 3.0" in shown["globex"]
    assert f"{items} 4.0" in shown["default"]
    held = {
        tenant: [line for line in text.splitlines() if line.startswith("swarmkeeper_leases")]
        for tenant, text in shown.items()
    }
    assert held["acme"] == held["default"] == ["swarmkeeper_leases 1.0"]
    assert held["globex"] == ["swarmkeeper_leases 0.0"]


async def test_a_tenant_is_not_told_how_busy_others_are_by_verbose_readiness() -> None:
    async with Orchestrator(Settings(store=MEMORY)) as swarm:
        parked = [
            asyncio.create_task(bot.lease(wait_seconds=20))
            for bot in [await bot_of(swarm, each) for each in ("globex", "acme")]
        ]
        await until(lambda: len(swarm.engine.scheduler.parked) == 2)
        acme: dict[str, Any] = await verbose(swarm, "acme")
        whole = await verbose(swarm, "default")
        for each in parked:
            each.cancel()

    assert set(acme) == {
        *("status", "version", "engine", "store", "draining", "clock_ahead_seconds", "parked_polls", "warnings"),
    }
    assert (acme["parked_polls"], acme["warnings"]) == (1, [])
    assert whole["parked_polls"] == 2
    assert "waiting_commands" in whole


async def test_warnings_about_sinks_and_issuers_are_for_the_operators_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    class Issuers:
        def warnings(self) -> list[str]:
            return ["the sink siem waits"]

    async with Orchestrator(Settings(store=MEMORY)) as swarm:
        monkeypatch.setattr(swarm, "_tokens", Issuers())
        acme, whole = await verbose(swarm, "acme"), await verbose(swarm, "default")
        monkeypatch.undo()

    assert acme["warnings"] == []
    assert whole["warnings"] == ["the sink siem waits"]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def verbose(swarm: Orchestrator, tenant: str) -> dict[str, Any]:
    operator = Caller(swarm.app, await swarm.make_key("operator", tenant=tenant))
    answer = await operator.get("/readyz?verbose=true")
    assert answer.status == 200
    found: dict[str, Any] = answer.json
    return found
