"""The default limits of a key and a tenant, the refusals beyond them, and where they are shown."""

from collections.abc import AsyncIterator

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.core import commands
from swarmkeeper.core.model import Principal
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller, Fleet, Json

PACED = Settings(store="sqlite://:memory:", tasks_a_minute_key=60, tasks_a_minute_tenant=1_800)


class Standing(SystemClock):
    """A clock that stands still, so that a slow machine does not refill token buckets."""

    def __init__(self) -> None:
        super().__init__()
        self._stands_at = super().monotonic()

    def monotonic(self) -> int:
        return self._stands_at


@pytest.fixture
async def small() -> AsyncIterator[Orchestrator]:
    settings = Settings(store="sqlite://:memory:", open_tasks=3, open_subtasks=10_000, stored_bytes=1 << 20)
    async with Orchestrator(settings) as swarm:
        yield swarm


def plan(number: int) -> Json:
    return {"title": "t", "subtasks": [{"key": f"k{index}", "description": ""} for index in range(number)]}


async def test_a_client_that_submits_too_fast_gets_a_retry_after() -> None:
    async with Orchestrator(PACED, clock=Standing()) as swarm:
        client = Caller(swarm.app, await swarm.make_key("client"))
        neighbour = Caller(swarm.app, await swarm.make_key("client"))
        made = await client.post("/tasks", {"title": "x"})
        batch = await client.post("/tasks:batch", {"tasks": [{"title": "x"}] * 499})

        refused = await client.post("/tasks", {"title": "x"})

        assert (made.status, made.headers["ratelimit"]) == (201, '"key";r=499;t=1, "tenant";r=599;t=1')
        assert batch.status == 200
        assert batch.headers["ratelimit-policy"] == '"key";q=500;w=500, "tenant";q=600;w=20'
        assert (refused.status, refused.json["code"], refused.json["retryable"]) == (429, "rate_limited", True)
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["ratelimit"].startswith('"key";r=0;t=500')
        assert refused.json["errors"][0]["pointer"] == "/limits/tasks_a_minute/key"
        assert (await neighbour.post("/tasks", {"title": "x"})).status == 201
        whole = await neighbour.post("/tasks:batch", {"tasks": [{"title": "x"}] * 200})
        assert (whole.status, whole.json["errors"][0]["pointer"]) == (429, "/limits/tasks_a_minute/tenant")
        assert swarm.quotas.refused()["tasks_a_minute"] == 2


async def test_the_number_of_open_tasks_of_a_tenant_is_limited_by_default(small: Orchestrator) -> None:
    client = Caller(small.app, await small.make_key("client"))
    other = Caller(small.app, await small.make_key("client", tenant="other"))
    made = [await client.post("/tasks", {"title": "x"}) for _ in range(3)]

    refused = await client.post("/tasks", {"title": "x"})

    assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (429, "backlog_full", "5")
    assert refused.json["errors"][0]["pointer"] == "/limits/open_tasks/tenant"
    assert (await other.post("/tasks", {"title": "x"})).status == 201
    assert (await client.post(f"/tasks/{made[0].json['id']}:cancel")).status == 200
    assert (await client.post("/tasks", {"title": "x"})).status == 201


async def test_the_number_of_open_subtasks_of_a_tenant_is_limited(small: Orchestrator) -> None:
    client = Caller(small.app, await small.make_key("client"))
    assert (await client.post("/tasks", plan(10))).status == 201

    refused = await client.post("/tasks", plan(9_991))

    assert (refused.status, refused.json["code"]) == (429, "backlog_full")
    assert refused.json["errors"][0]["pointer"] == "/limits/open_subtasks/tenant"
    assert (await client.post("/tasks", plan(1))).status == 201


async def test_storage_of_a_tenant_is_limited_and_results_are_still_accepted(small: Orchestrator) -> None:
    client = Caller(small.app, await small.make_key("client"))
    executor = await Fleet(small).bot("Executor")
    task = (await client.post("/tasks", {**plan(1), "input": {"a": "x" * 900_000}, "evaluation": "none"})).json
    lease = await executor.one()
    assert (await executor.report(lease, output={"a": "y" * 500_000})).status == 200

    refused = await client.post("/tasks", {"title": "x"})

    assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (429, "backlog_full", "60")
    assert refused.json["errors"][0]["pointer"] == "/limits/stored_bytes/tenant"
    (row,) = await small.store.read("tenant_row", {"tenant": "default"})
    assert 1_400_000 < row["stored_bytes"] < 1_402_000
    assert (await client.get(f"/tasks/{task['id']}")).json["outcome"] == "accepted"


async def test_explain_shows_limits_that_are_nearly_reached(small: Orchestrator) -> None:
    client = Caller(small.app, await small.make_key("client"))
    first = (await client.post("/tasks", {"title": "x"})).json["id"]
    assert (await client.get(f"/tasks/{first}:explain")).json["near_limits"] == []
    await client.post("/tasks", {"title": "x"})
    await client.post("/tasks", {"title": "x"})

    near = (await client.get(f"/tasks/{first}:explain")).json["near_limits"]

    assert near == [{"limit": "open_tasks", "scope": "tenant", "used": 3, "most": 3}]


async def test_open_subtasks_are_counted(small: Orchestrator) -> None:
    client = Caller(small.app, await small.make_key("client"))
    executor = await Fleet(small).bot("Executor", capacity=10)
    task = (await client.post("/tasks", {**plan(4), "evaluation": "none"})).json["id"]

    async def open_subtasks() -> int:
        (row,) = await small.store.read("tenant_row", {"tenant": "default"})
        return int(row["open_subtasks"])

    assert await open_subtasks() == 4
    await executor.report(await executor.one(), output={})
    assert await open_subtasks() == 3
    await executor.report(await executor.one(), error={"class": "not_retryable", "message": "no"})
    assert await open_subtasks() == 0
    assert (await client.post(f"/tasks/{task}:retry")).status == 200
    assert await open_subtasks() == 3


def test_ordinary_use_is_far_below_every_default() -> None:
    """The demo, the benchmarks over HTTP and the tests of ordinary use need less than this."""
    settings = Settings()

    assert settings.tasks_a_minute_key >= 3_000
    assert settings.open_tasks >= 10_000
    assert settings.open_subtasks >= 20 * 10_000
    assert settings.polls_key >= 1_000
    assert settings.body_bytes_key > 16 << 20


async def test_the_limits_of_the_tenant_are_listed_with_their_use_its_rates_and_its_budget(small: Orchestrator) -> None:
    client = Caller(small.app, await small.make_key("client"))
    viewer = Caller(small.app, await small.make_key("viewer"))
    other = Caller(small.app, await small.make_key("viewer", tenant="other"))
    await client.post("/tasks", plan(2))
    by = Principal("default", "key_1", "admin")
    await small.engine.do(commands.SetRate(by=by, key="skill:ocr", most=2, per_minute=60))
    await small.engine.do(commands.SetTenant(by=by, budget={"tokens": 900}))

    found = (await viewer.get("/limits")).json

    used = {(each["limit"], each["scope"]): (each["used"], each["most"]) for each in found["items"]}
    assert used["open_tasks", "tenant"] == (1, 3)
    assert used["open_subtasks", "tenant"] == (2, 10_000)
    assert used["tasks_a_minute", "key"][0] == 0  # of the viewer's own key
    assert found["rates"] == [{"key": "skill:ocr", "max": 2, "per_minute": 60, "tokens_per_minute": None}]
    assert found["budget"] == {"limit": {"tokens": 900}, "spent": {}, "reserved": {}}
    theirs = (await other.get("/limits")).json
    assert (theirs["rates"], theirs["budget"]) == ([], None)
    assert {each["used"] for each in theirs["items"]} == {0}
