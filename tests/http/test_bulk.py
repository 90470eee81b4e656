"""One command on many tasks: durable, with an outcome for each, and by the caller's rights at that moment."""

import asyncio
from typing import Any

import pytest

from swarmkeeper.access.operations import running
from swarmkeeper.app import Orchestrator
from swarmkeeper.reads.insight import operations
from swarmkeeper.reads.tasks import lists
from swarmkeeper.testing.test_server import soon
from tests.http.conftest import Answered, Caller, Fleet, Json, key_of
from tests.http.test_insight import pages, planned, read


async def begun(caller: Caller, action: str, **more: Json) -> Answered:
    return await caller.post("/tasks:bulk", {"action": action, **more})


async def ended(caller: Caller, answer: Answered) -> Json:
    """Return the operation once it has ended, with all its tasks."""
    assert answer.status == 202, answer.json
    path = answer.headers["location"]

    async def is_over() -> bool:
        return bool((await read(caller, path))["state"] == "ended")

    assert await soon(is_over, 30)
    return {**await read(caller, path), "items": await pages(caller, path)}


async def outcomes(caller: Caller, answer: Answered) -> list[tuple[str | None, str | None]]:
    return [(each["outcome"], each["code"]) for each in (await ended(caller, answer))["items"]]


async def outcome_of(caller: Caller, *tasks: str) -> list[str | None]:
    return [(await read(caller, f"/tasks/{task}"))["outcome"] for task in tasks]


async def failed_tasks(client: Caller, fleet: Fleet, number: int) -> list[str]:
    bot = await fleet.bot("Executor")
    tasks = []
    for _ in range(number):
        tasks.append(await planned(client, "a"))
        await bot.report(await bot.one(), error={"class": "not_retryable", "message": "no"})
    return tasks


async def test_many_tasks_are_cancelled_one_by_one(client: Caller, admin: Caller) -> None:
    tasks = [await planned(client, "a") for _ in range(20)]

    answer = await begun(client, "cancel", ids=[*tasks, "tsk_none", tasks[0]], reason="not needed")
    operation = await ended(client, answer)

    assert answer.json["progress"]["total"] == 21  # a task is named once
    assert operation["progress"] == {"total": 21, "done": 20, "refused": 1, "left": 0}
    assert [each["task_id"] for each in operation["items"]] == [*tasks, "tsk_none"]
    assert operation["items"][-1]["code"] == "not_found"
    assert set(await outcome_of(client, *tasks)) == {"cancelled"}
    assert operation["ended_at"] >= operation["created_at"]
    first = await read(client, f"{answer.headers['location']}?page_size=1")
    second = await read(client, f"{answer.headers['location']}?page_size=1&page_token={first['next_page_token']}")
    assert [each["task_id"] for page in (first, second) for each in page["items"]] == tasks[:2]
    refused = await pages(client, f"{answer.headers['location']}?outcome=refused")
    assert [each["task_id"] for each in refused] == ["tsk_none"]
    for task in (tasks[0], tasks[-1]):  # as a single call makes it
        (record,) = (await read(admin, f"/tasks/{task}/audit?action=task.cancel"))["items"]
        assert record["payload"]["reason"] == "not needed"
    (started,) = (await read(admin, "/audit?action=tasks.bulk"))["items"]
    assert (started["resource"], started["payload"]["tasks"]) == (operation["id"], 21)
    assert started["payload"]["reason"] == "not needed"


async def test_each_action_does_what_its_single_call_does(client: Caller, fleet: Fleet) -> None:
    tasks = await failed_tasks(client, fleet, 2)
    running_ = await planned(client, "a")

    assert await outcomes(client, await begun(client, "pause", ids=[running_, tasks[0]])) == [
        ("done", None),
        ("refused", "illegal_transition"),
    ]
    assert (await read(client, f"/tasks/{running_}"))["holds"] == ["paused"]
    assert await outcomes(client, await begun(client, "resume", ids=[running_])) == [("done", None)]
    assert (await read(client, f"/tasks/{running_}"))["holds"] == []
    answer = await begun(client, "retry", ids=tasks[:1], deadline_seconds=500)
    assert await outcomes(client, answer) == [("done", None)]
    retried = await read(client, f"/tasks/{tasks[0]}")
    assert retried["status"] == "IN_PROGRESS"
    assert retried["deadline_at"] is not None
    assert await outcomes(client, await begun(client, "archive", ids=tasks[1:])) == [("done", None)]
    assert await outcome_of(client, tasks[1]) == ["failed"]


async def test_a_retry_may_raise_the_budget(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    task = await planned(client, "a", budget={"tokens": 10})
    await bot.report(await bot.one(), error={"class": "not_retryable", "message": "no"})

    assert await outcomes(client, await begun(client, "retry", ids=[task], budget={"tokens": 20})) == [("done", None)]

    assert (await read(client, f"/tasks/{task}"))["budget"]["limit"]["tokens"] == 20


async def test_a_filter_selects_what_fits_now(client: Caller, fleet: Fleet) -> None:
    kept = await planned(client, "a", labels={"team": "b"})
    tasks = [await planned(client, "a", labels={"team": "a"}) for _ in range(3)]

    answer = await begun(client, "cancel", filter={"label": ["team:a"], "status": ["PLANNED", "IN_PROGRESS"]})

    assert [each["task_id"] for each in (await ended(client, answer))["items"]] == tasks[::-1]
    assert await outcome_of(client, kept) == [None]
    created = (await read(client, f"/tasks/{kept}"))["created_at"]
    for nothing in ({"label": ["team:c"]}, {"outcome": ["expired"]}, {"created_before": created}):
        answer = await begun(client, "cancel", filter=nothing)
        assert (await ended(client, answer))["progress"]["total"] == 0
    answer = await begun(client, "cancel", filter={"created_after": created, "outcome": ["cancelled"]}, dry_run=True)
    assert (await ended(client, answer))["progress"]["total"] == 3


async def test_a_filter_is_looked_through_in_pieces_and_bounded(
    client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "IDS_AT_ONCE", 2)
    tasks = [await planned(client, "a") for _ in range(5)]
    answer = await begun(client, "pause", filter={"status": ["IN_PROGRESS", "PLANNED"]})
    assert [each["task_id"] for each in (await ended(client, answer))["items"]] == tasks[::-1]

    monkeypatch.setattr(operations, "ITEMS_MAX", 4)
    refused = await begun(client, "pause", filter={"status": ["IN_PROGRESS", "PLANNED"]})

    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/filter")


@pytest.mark.parametrize(
    "body",
    [
        {"action": "erase", "ids": ["tsk_1"]},
        {"action": "cancel"},
        {"action": "cancel", "ids": []},
        {"action": "cancel", "filter": {}},
        {"action": "cancel", "filter": {"status": []}},
        {"action": "cancel", "filter": {"label": ["team"]}},
        {"action": "cancel", "filter": {"title": "a"}},
        {"action": "cancel", "ids": ["tsk_1"], "filter": {"status": ["FAILED"]}},
        {"action": "cancel", "ids": ["tsk_1"], "deadline_seconds": 5},
        {"action": "cancel", "ids": ["x"] * 10_001},
    ],
)
async def test_what_selects_nothing_or_too_much_is_refused(client: Caller, body: Json) -> None:
    answer = await client.post("/tasks:bulk", body)

    assert answer.status == 422, answer.json
    assert answer.json["errors"]


async def test_a_body_that_is_too_long_is_refused(client: Caller) -> None:
    answer = await client.post("/tasks:bulk", {"action": "cancel", "ids": ["x" * 1_000] * 15_000})

    assert answer.status == 413


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(
    client: Caller, admin: Caller, fleet: Fleet
) -> None:
    (closed,) = await failed_tasks(client, fleet, 1)
    await client.post(f"/tasks/{closed}:archive", {})
    task = await planned(client, "a")
    before = await read(client, f"/tasks/{task}")

    answer = await begun(client, "cancel", ids=[task, closed, "tsk_none"], dry_run=True)

    assert await outcomes(client, answer) == [
        ("done", None),
        ("refused", "illegal_transition"),
        ("refused", "not_found"),
    ]
    assert await read(client, f"/tasks/{task}") == before
    assert (await read(admin, f"/tasks/{task}/audit?action=task.cancel"))["items"] == []
    assert [each["payload"]["dry_run"] for each in (await read(admin, "/audit?action=tasks.bulk"))["items"]] == [True]


async def test_a_repeated_call_begins_no_second_operation(client: Caller) -> None:
    task = await planned(client, "a")
    body = {"action": "cancel", "ids": [task]}

    first = await client.post("/tasks:bulk", body, idempotency_key="k")
    again = await client.post("/tasks:bulk", body, idempotency_key="k")
    other = await client.post("/tasks:bulk", {**body, "action": "pause"}, idempotency_key="k")

    assert again.json["id"] == first.json["id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert other.json["code"] == "idempotency_key_reused"
    assert await outcomes(client, first) == [("done", None)]


async def test_a_client_steers_and_sees_its_own_tasks_alone(swarm: Orchestrator, client: Caller) -> None:
    other = client.with_key(await swarm.make_key("client"))
    mine, theirs = await planned(client, "a"), await planned(other, "a")

    answer = await begun(client, "cancel", ids=[mine, theirs])

    assert await outcomes(client, answer) == [("done", None), ("refused", "not_found")]
    assert await outcome_of(other, theirs) == [None]
    assert (await other.get(answer.headers["location"])).status == 404
    chosen = await begun(client, "cancel", filter={"status": ["IN_PROGRESS", "PLANNED"]}, dry_run=True)
    assert (await ended(client, chosen))["progress"]["total"] == 0
    everywhere = client.with_key(await swarm.make_key("viewer"))
    assert (await everywhere.get(answer.headers["location"])).status == 200


async def test_tasks_and_operations_of_another_tenant_are_absent(swarm: Orchestrator, client: Caller) -> None:
    stranger = client.with_key(await key_of(swarm, "acme", "admin"))
    task = await planned(client, "a")

    assert await outcomes(stranger, await begun(stranger, "cancel", ids=[task])) == [("refused", "not_found")]
    answer = await begun(client, "pause", ids=[task])
    assert (await stranger.get(answer.headers["location"])).status == 404
    assert await outcome_of(client, task) == [None]


@pytest.mark.parametrize("role", ["viewer", "auditor", "approver", "bot:executor"])
async def test_who_may_not_steer_tasks_may_not_steer_many(swarm: Orchestrator, client: Caller, role: str) -> None:
    caller = client.with_key(await swarm.make_key(role))

    assert (await begun(caller, "cancel", ids=["tsk_1"])).status == 403


async def test_a_revoked_key_does_no_more_and_the_rest_is_refused(
    client: Caller, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (await admin.post("/keys", {"role": "client", "scope": "tenant"})).json
    caller = client.with_key(made["key"])
    tasks = [await planned(caller, "a") for _ in range(6)]
    monkeypatch.setattr(running, "AT_ONCE", 2)
    monkeypatch.setattr(running, "PAUSE", 300_000)

    answer = await begun(caller, "cancel", ids=tasks)

    async def has_begun() -> bool:
        return bool((await read(admin, answer.headers["location"]))["progress"]["done"] >= 2)

    assert await soon(has_begun, 10)
    assert (await admin.post(f"/keys/{made['id']}:revoke", {})).status == 200
    operation = await ended(admin, answer)

    done = [each["outcome"] for each in operation["items"]].count("done")
    assert 2 <= done < 6
    rest = operation["items"][done:]
    assert {(each["outcome"], each["code"], each["detail"]) for each in rest} == {
        ("refused", "unauthenticated", "the key was revoked")
    }
    assert await outcome_of(admin, *tasks) == ["cancelled"] * done + [None] * (6 - done)


async def test_a_person_that_is_disabled_in_between_does_no_more(
    client: Caller, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = (await admin.post("/persons", {"name": "ann"})).json["id"]
    made = (await admin.post("/keys", {"role": "client", "person": person})).json
    caller = client.with_key(made["key"])
    tasks = [await planned(caller, "a") for _ in range(3)]
    monkeypatch.setattr(running, "AT_ONCE", 1)
    right = running.Operations._slice

    async def disabled(self: running.Operations, current: running._InProgress) -> None:
        if len(current.left) == 2:
            assert (await admin.post(f"/persons/{person}:disable", {})).status == 200
        await right(self, current)

    monkeypatch.setattr(running.Operations, "_slice", disabled)
    operation = await ended(admin, await begun(caller, "cancel", ids=tasks))

    assert [each["detail"] for each in operation["items"]] == [None, *["the person was disabled"] * 2]
    assert await outcome_of(admin, *tasks) == ["cancelled", None, None]


async def test_a_tenant_that_is_killed_in_between_gets_no_work_of_what_the_operation_brings_back(
    client: Caller, admin: Caller, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = await failed_tasks(client, fleet, 4)
    bot = await fleet.bot("Executor", "other")
    monkeypatch.setattr(running, "AT_ONCE", 1)
    right = running.Operations._slice
    leased: list[int] = []

    async def killed(self: running.Operations, current: running._InProgress) -> None:
        if len(current.left) == 2:
            body = {"kind": "tenant", "name": "default", "reason": "stop"}
            assert (await admin.call("PUT", "/kills", body)).status in (200, 201)
        await right(self, current)
        leased.append(len((await bot.lease(max=1)).json["leases"]))

    monkeypatch.setattr(running.Operations, "_slice", killed)
    operation = await ended(admin, await begun(client, "retry", ids=tasks))

    assert [each["outcome"] for each in operation["items"]] == ["done"] * 4

    async def has_asked_after_each() -> bool:  # the last time after the operation has ended
        return len(leased) == 4

    assert await soon(has_asked_after_each, 30)
    assert leased == [1, 1, 0, 0]
    (kill,) = (await read(admin, "/kills"))["items"]
    assert (await admin.call("DELETE", f"/kills/{kill['id']}")).status == 204
    assert len((await bot.lease(max=1)).json["leases"]) == 1


async def test_two_operations_on_the_same_tasks_do_each_once(client: Caller, admin: Caller) -> None:
    tasks = [await planned(client, "a") for _ in range(12)]

    one, two = await asyncio.gather(begun(client, "cancel", ids=tasks), begun(client, "cancel", ids=tasks[::-1]))
    first, second = await ended(client, one), await ended(client, two)

    for task in tasks:
        assert len((await read(admin, f"/tasks/{task}/audit?action=task.cancel"))["items"]) == 1
    assert first["progress"]["done"] + second["progress"]["done"] >= 12
    assert first["progress"]["left"] == second["progress"]["left"] == 0


async def test_a_tenant_has_a_bounded_number_of_operations(
    swarm: Orchestrator, client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmkeeper.http.insight.bulk.OPEN_MAX", 1)
    monkeypatch.setattr(running, "PAUSE", 1_000_000)
    tasks = [await planned(client, "a") for _ in range(40)]
    answer = await begun(client, "pause", ids=tasks)

    refused = await begun(client, "pause", ids=tasks)

    assert (refused.status, refused.headers["retry-after"]) == (429, "5")
    assert answer.status == 202


async def test_an_operation_does_not_hold_up_other_commands(client: Caller) -> None:
    tasks = [await planned(client, "a") for _ in range(60)]
    answer = await begun(client, "pause", ids=tasks)
    seen = 0
    while (await read(client, answer.headers["location"]))["state"] == "running":
        await planned(client, "a")
        seen += 1

    assert seen >= 3


async def test_operations_are_listed_the_newest_first(swarm: Orchestrator, client: Caller, admin: Caller) -> None:
    other = client.with_key(await swarm.make_key("client"))
    stranger = client.with_key(await key_of(swarm, "acme", "admin"))
    mine = [await begun(client, "cancel", ids=["tsk_none"]) for _ in range(3)]
    theirs = await begun(other, "pause", ids=[await planned(other, "a"), "tsk_none"])
    for answer in (*mine, theirs):
        await ended(admin, answer)

    listed = await pages(client, "/operations")
    everything = await pages(admin, "/operations")

    assert [each["id"] for each in listed] == [answer.json["id"] for answer in mine[::-1]]
    assert [each["id"] for each in everything] == [theirs.json["id"], *(each["id"] for each in listed)]
    assert everything[0]["progress"] == {"total": 2, "done": 1, "refused": 1, "left": 0}
    assert (everything[0]["action"], everything[0]["state"]) == ("pause", "ended")
    assert {**everything[0], "items": None} == {
        **{name: value for name, value in (await ended(admin, theirs)).items() if name != "next_page_token"},
        "items": None,
    }
    assert await pages(stranger, "/operations") == []
    assert (await client.get("/operations?page_token=x")).status == 422
    async with swarm.client(client.key) as own:
        assert [each.id async for each in own.operations()] == [each["id"] for each in listed]


async def test_what_ended_long_ago_is_forgotten(
    swarm: Orchestrator, client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await begun(client, "cancel", ids=["tsk_none"])
    await ended(client, answer)
    monkeypatch.setattr(running, "KEPT", 0)
    swarm._operations._forget_at = 0  # an hour has passed
    swarm._operations.wake()

    async def is_gone() -> bool:
        return (await client.get(answer.headers["location"])).status == 404

    assert await soon(is_gone, 10)


async def test_an_operation_goes_on_with_whoever_comes_next(
    swarm: Orchestrator, client: Caller, admin: Caller, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash between a slice and its note: what was done is not done again, even if it could be."""
    tasks = await failed_tasks(client, fleet, 4)
    bot = await fleet.bot("Executor", "another")
    notes: list[Any] = []
    right = running.Operations._slice

    async def dies(self: running.Operations, current: Any) -> None:
        items = current.left[:2]
        notes.append(await self._carried_out(current, items))  # and then the process ends
        for _ in items:  # what was retried fails again
            await bot.report(await bot.one(), error={"class": "not_retryable", "message": "no"})
        monkeypatch.setattr(running.Operations, "_slice", right)
        self._running.clear()
        self.wake()

    monkeypatch.setattr(running.Operations, "_slice", dies)
    answer = await begun(client, "retry", ids=tasks)
    operation = await ended(client, answer)

    assert notes
    statuses = [(await read(client, f"/tasks/{task}"))["status"] for task in tasks]
    assert statuses == ["FAILED", "FAILED", "IN_PROGRESS", "IN_PROGRESS"]
    for task in tasks:
        assert len((await read(admin, f"/tasks/{task}/audit?action=task.retry"))["items"]) == 1
    assert operation["progress"] == {"total": 4, "done": 4, "refused": 0, "left": 0}


async def test_the_client_begins_and_follows_an_operation(swarm: Orchestrator, client: Caller) -> None:
    task = await planned(client, "a")
    async with swarm.client(client.key) as own:
        begun_ = await own.bulk("cancel", ids=[task], dry_run=True)

        async def is_over() -> bool:
            return (await own.operation(begun_.id)).state == "ended"

        assert await soon(is_over, 10)
        assert [(item.task_id, item.outcome) async for item in own.operation_items(begun_.id)] == [(task, "done")]


async def test_a_filter_selects_by_words_skills_and_errors_too(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", skills=["ocr"])
    item = {"key": "a", "description": "", "required_skills": ["ocr"]}
    broken = (await client.post("/tasks", {"title": "Weigh the wombat", "subtasks": [item]})).json["id"]
    await bot.report(await bot.one(), error={"class": "not_retryable", "message": "the scale answered 502"})
    waiting = (await client.post("/tasks", {"title": "Weigh the walrus", "subtasks": [item]})).json["id"]
    other = await planned(client, "a")

    for chosen, expected in (
        ({"q": "weigh wom"}, [broken]),
        ({"skill": ["ocr"]}, [waiting, broken]),
        ({"skill": ["ocr"], "status": ["PLANNED"]}, [waiting]),
        ({"error": "scale 502"}, [broken]),
        ({"error": "subtask_failed"}, [broken]),
        ({"q": "weigh", "error": "nothing"}, []),
    ):
        operation = await ended(client, await begun(client, "pause", filter=chosen, dry_run=True))
        assert [each["task_id"] for each in operation["items"]] == expected, chosen
        query = "&".join(f"{name}={each}" for name, many in chosen.items() for each in _many(many))
        assert [each["id"] for each in await pages(client, f"/tasks?{query}")] == expected, query
        assert (await read(client, f"/tasks:count?{query}"))["number"] == len(expected), query
    assert other not in [each["id"] for each in await pages(client, "/tasks?skill=ocr&view=row")]


def _many(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
