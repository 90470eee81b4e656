"""The kill switch through the API."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from tests.http.conftest import Caller, Fleet
from tests.http.test_work import planned

WHY = {"reason": "it deletes files"}


async def put(caller: Caller, kind: str, name: str, **more: Any) -> Any:
    return await caller.call("PUT", "/kills", {"kind": kind, "name": name, **WHY, **more})


async def test_a_kill_is_placed_listed_and_lifted(swarm: Orchestrator, admin: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", "bad", skills=[])
    task = await planned(admin, "x")
    lease = await bot.one()
    until = datetime.now(UTC) + timedelta(hours=1)

    placed = await put(admin, "bot", "bad", until=until.isoformat())

    assert placed.status == 200
    assert (placed.json["kind"], placed.json["name"], placed.json["reason"]) == ("bot", "bad", WHY["reason"])
    assert datetime.fromisoformat(placed.json["until"]) == until
    assert (await admin.get("/kills")).json["items"] == [placed.json]
    assert (await admin.get(f"/kills/{placed.json['id']}")).json == placed.json
    assert (await bot.lease()).json["reason"] == "killed"
    beat = await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": [{"lease_id": lease["lease_id"]}]})
    assert [answer["directive"] for answer in beat.json["leases"]] == ["lost"]
    assert (await bot.report(lease, output={})).json["code"] == "lease_lost"
    told = (await admin.get(f"/tasks/{task}?explain=true")).json["explanation"]["waiting"][0]
    assert (told["reason"], told["fix"]) == ("killed", f"swarmkeeper kill lift {placed.json['id']}")
    assert WHY["reason"] in told["detail"]

    assert (await admin.call("DELETE", f"/kills/{placed.json['id']}")).status == 204

    assert (await bot.lease()).json["leases"]
    assert (await admin.get(f"/kills/{placed.json['id']}")).status == 404
    assert (await admin.call("DELETE", f"/kills/{placed.json['id']}")).status == 404


@pytest.mark.parametrize(("kind", "name"), [("skill", "count"), ("tenant", "default")])
async def test_explain_says_which_skill_or_tenant_is_killed(admin: Caller, fleet: Fleet, kind: str, name: str) -> None:
    await fleet.bot("Executor", "good", skills=["count"])
    body = {"title": "t", "subtasks": [{"key": "a", "description": "d", "required_skills": ["count"]}]}
    task = (await admin.post("/tasks", body)).json["id"]

    await put(admin, kind, name)

    told = (await admin.get(f"/tasks/{task}?explain=true")).json["explanation"]["waiting"][0]
    assert told["reason"] == "killed"
    assert told["detail"].startswith(f"{kind} {name} is killed by kil_")


async def test_a_killed_tenant_takes_no_submissions_and_still_answers_reads(admin: Caller, client: Caller) -> None:
    task = await planned(client, "x")
    placed = (await put(admin, "tenant", "default")).json["id"]

    refused = await client.post("/tasks", {"title": "t"})

    assert (refused.status, refused.json["code"], refused.json["retryable"]) == (403, "killed", False)
    assert WHY["reason"] in refused.json["detail"]
    assert (await client.get(f"/tasks/{task}")).status == 200
    await admin.call("DELETE", f"/kills/{placed}")
    assert (await client.post("/tasks", {"title": "t"})).status == 201


async def test_a_kill_placed_again_with_its_idempotency_key_is_replayed(admin: Caller) -> None:
    body = {"kind": "bot", "name": "bad", **WHY}
    first, again = [
        await admin.call("PUT", "/kills", body, headers={"idempotency_key": "once-only-please"}) for _ in range(2)
    ]

    assert (first.status, again.status, again.headers.get("idempotency-replayed")) == (200, 200, "true")
    assert first.json == again.json
    assert len((await admin.get("/events?page_size=200")).json["items"]) == len(
        {event["id"] for event in (await admin.get("/events?page_size=200")).json["items"]}
    )
    records = (await admin.get("/audit?action=kill.place")).json["items"]
    assert len(records) == 1


async def test_kills_come_in_pages(admin: Caller) -> None:
    made = sorted([(await put(admin, "bot", f"b{n}")).json["id"] for n in range(3)])

    first = (await admin.get("/kills?page_size=2")).json
    rest = (await admin.get(f"/kills?page_size=2&page_token={first['next_page_token']}")).json

    assert [kill["id"] for kill in first["items"] + rest["items"]] == made
    assert rest["next_page_token"] == ""


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"kind": "planet"}, "/kind"),
        ({"name": ""}, "/name"),
        ({"reason": ""}, "/reason"),
        ({"until": "tomorrow"}, "/until"),
        ({"until": 1_900_000_000}, "/until"),
        ({"until": "2099-01-01T00:00:00"}, "/until"),
        ({"until": "2001-01-01T00:00:00Z"}, "/until"),
    ],
)
async def test_what_is_no_kill_is_refused_with_its_place(admin: Caller, change: dict[str, Any], where: str) -> None:
    refused = await admin.call("PUT", "/kills", {"kind": "bot", "name": "b", **WHY, **change})

    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, where)


async def test_only_operators_and_admins_kill_and_only_admins_the_tenant(swarm: Orchestrator, admin: Caller) -> None:
    roles = {role: Caller(swarm.app, await swarm.make_key(role)) for role in ("client", "operator", "auditor")}

    assert (await put(roles["client"], "bot", "b")).status == 403
    assert (await roles["client"].get("/kills")).status == 403
    assert (await put(roles["auditor"], "bot", "b")).status == 403
    assert (await put(roles["operator"], "bot", "b")).status == 200
    assert len((await roles["auditor"].get("/kills")).json["items"]) == 1
    assert (await put(roles["operator"], "tenant", "default")).status == 403
    assert (await put(admin, "tenant", "another")).status == 404


async def test_a_kill_ends_the_parked_poll_of_its_bot(admin: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", "bad")
    poll = asyncio.create_task(bot.lease(wait_seconds=30))
    await asyncio.sleep(0.1)

    await put(admin, "bot", "bad")

    async with asyncio.timeout(5):
        assert (await poll).json["reason"] == "killed"
