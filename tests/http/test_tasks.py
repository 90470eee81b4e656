"""Calls of clients: idempotency, ETags, commands on tasks, batches."""

import asyncio
import json

from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.core.commands import SetTenant
from tests.http.conftest import Caller, Fleet, key_of


async def test_a_submission_repeated_with_its_key_creates_one_task(client: Caller) -> None:
    first = await client.post("/tasks", {"title": "x", "priority": 5}, idempotency_key="k1")
    same = await client.post("/tasks", {"priority": 5, "title": "x"}, idempotency_key="k1")
    other = await client.post("/tasks", {"title": "y"}, idempotency_key="k1")

    assert (first.status, same.status, same.json["id"]) == (201, 201, first.json["id"])
    assert "idempotency-replayed" not in first.headers
    assert same.headers["idempotency-replayed"] == "true"
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")
    assert len((await client.get("/tasks")).json["items"]) == 1


async def test_concurrent_submissions_with_one_key_create_one_task(client: Caller) -> None:
    answers = await asyncio.gather(*(client.post("/tasks", {"title": "x"}, idempotency_key="k1") for _ in range(20)))

    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 19


async def test_a_submitted_task_is_stored_once(swarm: Orchestrator, client: Caller) -> None:
    sent = {"title": "count", "description": "all", "input": {"n": 1}, "metadata": {"m": 2}}

    task = (await client.post("/tasks", {**sent, "acceptance_criteria": ["exact"]})).json

    (payload,) = await swarm.store.read("payloads", {"ids": json.dumps([f"{task['id']}/spec"])})
    assert json.loads(payload["body"]) == {
        "description": "all",
        "input": {"n": 1},
        "metadata": {"m": 2},
        "acceptance_criteria": ["exact"],
    }
    assert (task["title"], task["description"], task["input"], task["metadata"]) == ("count", "all", {"n": 1}, {"m": 2})


async def test_a_refusal_does_not_use_up_its_key(client: Caller) -> None:
    assert (await client.post("/tasks", {}, idempotency_key="k1")).status == 422
    assert (await client.post("/tasks", {"title": "x"}, idempotency_key="k1")).status == 201
    assert (await client.post("/tasks", {"title": "x"}, idempotency_key="a b")).status == 422


async def test_a_batch_accepts_each_task_separately_and_is_replayed_as_a_whole(client: Caller) -> None:
    body = {"tasks": [{"title": "a"}, {"titel": "b"}, {"title": "c", "approval": "always"}, {"title": "d"}]}

    first = await client.post("/tasks:batch", body, idempotency_key="k1")
    again = await client.post("/tasks:batch", body, idempotency_key="k1")

    results = first.json["results"]
    assert [each["status"] for each in results] == [201, 422, 422, 201]
    assert [each["error"]["code"] for each in results[1:3]] == ["invalid", "invalid"]
    assert [each.get("task", {}).get("id") for each in again.json["results"]] == [
        each.get("task", {}).get("id") for each in results
    ]
    assert again.headers["idempotency-replayed"] == "true"
    assert len((await client.get("/tasks")).json["items"]) == 2


async def test_submissions_beyond_the_limit_of_a_tenant_are_refused_for_now(
    swarm: Orchestrator, client: Caller
) -> None:
    await swarm.engine.do(SetTenant(by=OWN, max_backlog=10))

    answers = await asyncio.gather(*(client.post("/tasks", {"title": "x"}) for _ in range(48)))
    batch = (await client.post("/tasks:batch", {"tasks": [{"title": "y"}, {"titel": "z"}]})).json["results"]

    assert sorted(answer.status for answer in answers) == [201] * 10 + [429] * 38
    refused = next(answer for answer in answers if answer.status == 429)
    assert (refused.json["code"], refused.json["retryable"]) == ("backlog_full", True)
    assert int(refused.headers["retry-after"]) > 0
    assert [each["status"] for each in batch] == [429, 422]
    assert batch[0]["error"]["code"] == "backlog_full"
    await client.post(f"/tasks/{next(answer for answer in answers if answer.status == 201).json['id']}:cancel")
    assert (await client.post("/tasks", {"title": "x"})).status == 201


async def test_a_task_is_sent_again_only_if_it_has_changed(client: Caller) -> None:
    made = await client.post("/tasks", {"title": "x"})
    path, tag = f"/tasks/{made.json['id']}", made.headers["etag"]

    same = await client.get(path, if_none_match=tag)
    changed = await client.call("PATCH", path, {"priority": 9, "labels": {"a": "b"}}, headers={"if-match": tag})
    stale = await client.call("PATCH", path, {"priority": 1}, headers={"if-match": tag})
    foreign = await client.call("PATCH", path, {"priority": 1}, headers={"if-match": '"abc"'})

    assert (same.status, same.body) == (304, b"")
    assert (changed.status, changed.json["priority"], changed.json["labels"]) == (200, 9, {"a": "b"})
    assert changed.headers["etag"] != tag
    assert [stale.json["code"], foreign.json["code"]] == ["precondition_failed"] * 2
    assert (await client.get(path, if_none_match=tag)).status == 200
    assert (await client.get(path, if_none_match=changed.headers["etag"])).status == 304


async def test_a_patch_changes_something_or_is_refused(client: Caller) -> None:
    path = f"/tasks/{(await client.post('/tasks', {'title': 'x'})).json['id']}"

    assert (await client.call("PATCH", path, {})).status == 422
    assert (await client.call("PATCH", path, {"priority": None})).status == 422
    assert (await client.call("PATCH", path, {"title": "y"})).status == 422
    patched = await client.call("PATCH", path, {"deadline_seconds": 60})
    assert patched.json["deadline_at"] is not None


async def test_commands_answer_with_the_task_and_a_repetition_changes_nothing(client: Caller, fleet: Fleet) -> None:
    planner = await fleet.bot("Planner")
    path = f"/tasks/{(await client.post('/tasks', {'title': 'x'})).json['id']}"

    paused = await client.post(f"{path}:pause", {"reason": "wait"})
    assert paused.json["holds"] == ["paused"]
    assert (await planner.lease()).json["leases"] == []
    assert (await client.post(f"{path}:pause")).json["holds"] == ["paused"]
    assert (await client.post(f"{path}:resume")).json["holds"] == []
    assert (await planner.lease()).json["leases"] != []
    cancelled = [(await client.post(f"{path}:cancel", {"reason": "enough"})).json for _ in range(2)]
    assert [(each["status"], each["outcome"]) for each in cancelled] == [("FAILED", "cancelled")] * 2
    assert cancelled[0]["failure"]["code"] == "cancelled"
    for _ in range(50):
        retried = await client.post(f"{path}:retry", {"deadline_seconds": 60})
        if retried.status == 200:
            break
        assert retried.json["code"] == "still_stopping"
    assert (retried.json["status"], retried.json["outcome"], retried.json["round"]) == ("CREATED", None, 2)
    refused = await client.post(f"{path}:archive")
    assert (refused.status, refused.json["code"]) == (409, "illegal_transition")


async def test_a_command_repeated_with_its_key_is_not_carried_out_again(client: Caller) -> None:
    path = f"/tasks/{(await client.post('/tasks', {'title': 'x'})).json['id']}"

    await client.post(f"{path}:pause", idempotency_key="p1")
    await client.post(f"{path}:resume", idempotency_key="r1")
    again = await client.post(f"{path}:pause", idempotency_key="p1")

    assert (again.headers["idempotency-replayed"], again.json["holds"]) == ("true", [])
    # The same key for another task is another request.
    other = f"/tasks/{(await client.post('/tasks', {'title': 'y'})).json['id']}"
    assert (await client.post(f"{other}:pause", idempotency_key="p1")).status == 422


async def test_a_task_of_another_tenant_is_not_found(swarm: Orchestrator, client: Caller) -> None:
    stranger = client.with_key(await key_of(swarm, "other", "admin"))
    made = await client.post("/tasks", {"title": "x", "subtasks": [{"key": "a", "description": ""}]})
    path = f"/tasks/{made.json['id']}"
    bot = (await stranger.post("/bots/register", {"type": "Executor", "version": "1"})).json["id"]

    foreign = [
        await stranger.get(path),
        await stranger.get(f"{path}/subtasks"),
        await stranger.get(f"{path}/subtasks/a"),
        await stranger.get(f"{path}/graph"),
        await stranger.get(f"{path}/events"),
        await stranger.get(f"{path}/events", accept="text/event-stream"),
        await stranger.get(f"{path}?wait_seconds=1"),
        await stranger.post(f"{path}:cancel"),
        await stranger.call("PATCH", path, {"priority": 1}),
        await stranger.post(f"{path}/results", {"bot_id": bot, "status": "succeeded", "output": 1}),
    ]
    missing = await stranger.get("/tasks/tsk_0")

    assert {(each.status, each.json["code"]) for each in foreign} == {(404, "not_found")}
    assert foreign[0].json["detail"] == missing.json["detail"]
    assert (await stranger.get("/tasks")).json["items"] == []
    assert (await stranger.post("/leases", {"bot_id": bot, "wait_seconds": 0})).json["leases"] == []
    assert all("tsk_" not in str(event) for event in (await stranger.get("/events")).json["items"])
    assert (await client.post("/leases", {"bot_id": bot, "wait_seconds": 0})).status in (403, 404)
