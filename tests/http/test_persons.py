"""Persons through the API: whose keys are accepted, and who is named where."""

import asyncio
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from tests.http.conftest import BotCaller, Caller
from tests.http.test_work import planned


async def created(admin: Caller, name: str) -> str:
    answer = await admin.post("/persons", {"name": name})
    assert answer.status == 201, answer.json
    made: str = answer.json["id"]
    return made


async def key_of(admin: Caller, person: str | None, role: str, **more: Any) -> Caller:
    answer = await admin.post("/keys", {"role": role, "person": person, **more})
    assert answer.status == 201, answer.json
    return Caller(admin.app, answer.json["key"])


async def change(admin: Caller, person: str, verb: str) -> Any:
    answer = await admin.post(f"/persons/{person}:{verb}")
    assert answer.status == 200, answer.json
    return answer.json


async def test_a_person_is_created_listed_renamed_and_disabled(admin: Caller) -> None:
    ann = await created(admin, "ann")

    renamed = await admin.post(f"/persons/{ann}:rename", {"name": "anna"})
    disabled = await change(admin, ann, "disable")

    assert (renamed.status, renamed.json["name"], renamed.json["disabled_at"]) == (200, "anna", None)
    assert disabled["disabled_at"] is not None
    assert (await admin.get("/persons")).json["items"] == [disabled]
    assert (await admin.get(f"/persons/{ann}")).json == disabled
    assert (await change(admin, ann, "enable"))["disabled_at"] is None
    assert (await admin.post("/persons", {"name": "anna"})).json["errors"][0]["pointer"] == "/name"
    assert (await admin.get("/persons/per_nobody")).status == 404


async def test_persons_come_in_pages(admin: Caller) -> None:
    made = {await created(admin, name) for name in ("a", "b", "c")}

    first = (await admin.get("/persons?page_size=2")).json
    second = (await admin.get(f"/persons?page_size=2&page_token={first['next_page_token']}")).json

    assert len(first["items"]) == 2
    assert {person["id"] for person in [*first["items"], *second["items"]]} == made


async def test_a_call_repeated_with_its_idempotency_key_is_carried_out_once(admin: Caller) -> None:
    first, second = [await admin.post("/persons", {"name": "ann"}, idempotency_key="k") for _ in range(2)]
    assert (first.json, second.headers["idempotency-replayed"]) == (second.json, "true")

    ann = first.json["id"]
    for verb, body in (("rename", {"name": "anna"}), ("disable", {}), ("enable", {})):
        answers = [await admin.post(f"/persons/{ann}:{verb}", body, idempotency_key=verb) for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 200]
        assert answers[1].headers["idempotency-replayed"] == "true"
    kinds = [event["type"] for event in (await admin.get("/events")).json["items"] if "person" in event["type"]]
    assert len(kinds) == 4


@pytest.mark.parametrize("warm", [True, False])
async def test_the_keys_and_tokens_of_a_disabled_person_do_nothing_until_the_person_is_enabled(
    swarm: Orchestrator, admin: Caller, *, warm: bool
) -> None:
    ann = await created(admin, "ann")
    client, other = await key_of(admin, ann, "client"), await key_of(admin, None, "client")
    if warm:
        assert (await client.get("/tasks")).status == 200

    await change(admin, ann, "disable")

    assert (await client.get("/tasks")).status == 401
    assert (await client.get("/tasks")).status == 401
    assert (await other.get("/tasks")).status == 200
    await change(admin, ann, "enable")
    assert (await client.get("/tasks")).status == 200


async def test_a_poll_of_a_disabled_person_ends_at_once(admin: Caller) -> None:
    ann = await created(admin, "ann")
    call = await key_of(admin, ann, "bot:executor", bot="maker")
    registered = await call.post("/bots/register", {"type": "Executor", "version": "1"})
    bot = BotCaller(call, registered.json["id"])
    poll = asyncio.create_task(bot.lease(wait_seconds=30))
    await asyncio.sleep(0.05)

    await change(admin, ann, "disable")

    async with asyncio.timeout(2):
        assert (await poll).status == 401


async def test_keys_and_decisions_name_the_person(admin: Caller) -> None:
    ann, bob = await created(admin, "ann"), await created(admin, "bob")
    client, approver = await key_of(admin, ann, "client"), await key_of(admin, bob, "approver")
    task = await client.post(
        "/tasks", {"title": "t", "approval": "plan", "subtasks": [{"key": "a", "description": ""}]}
    )
    (approval,) = (await approver.get(f"/approvals?task_id={task.json['id']}")).json["items"]
    mine = await key_of(admin, ann, "approver", owner="somebody else")
    body = {"subject_hash": approval["subject_hash"]}

    refused = await mine.post(f"/approvals/{approval['id']}:approve", body)
    decided = await approver.post(f"/approvals/{approval['id']}:approve", body)

    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert (decided.json["decision"]["person"], decided.json["decision"]["person_name"]) == (bob, "bob")
    keys = {(key["role"], key["person"], key["person_name"]) for key in (await admin.get("/keys")).json["items"]}
    assert {("client", ann, "ann"), ("approver", bob, "bob")} <= keys
    (record,) = (await admin.get("/audit?action=approval.decide")).json["items"]
    assert record["actor"]["person"] == bob
    await admin.post(f"/persons/{bob}:rename", {"name": "robert"})
    again = await admin.get(f"/approvals/{approval['id']}")
    assert again.json["decision"]["person_name"] == "robert"


async def test_a_key_of_an_unknown_person_is_not_created(admin: Caller) -> None:
    answer = await admin.post("/keys", {"role": "client", "person": "per_nobody"})

    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/person")


async def test_the_work_of_a_disabled_persons_bot_returns_without_a_crash(admin: Caller) -> None:
    ann = await created(admin, "ann")
    call = await key_of(admin, ann, "bot:executor", bot="maker")
    bot = BotCaller(call, (await call.post("/bots/register", {"type": "Executor", "version": "1"})).json["id"])
    task = await planned(admin, "x")
    await bot.one()

    await change(admin, ann, "disable")

    (subtask,) = (await admin.get(f"/tasks/{task}/subtasks")).json["items"]
    assert subtask["status"] == "READY"
