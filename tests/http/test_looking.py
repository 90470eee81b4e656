"""Finding tasks by label and time, and reading a long plan while it is being written."""

from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.wire.parsing.instead import INSTEAD
from tests.http.conftest import Caller, Fleet

LONG = 4_000


def long_plan(size: int = LONG) -> dict[str, Any]:
    subtasks = [{"key": f"s{number}", "description": "x"} for number in range(size - 1)]
    last = {"key": "last", "description": "y", "depends_on": ["s0", f"s{size - 2}"]}
    return {"title": "long", "subtasks": [*subtasks, last]}


async def test_every_subtask_of_a_long_plan_can_be_read_as_soon_as_its_task_is_accepted(client: Caller) -> None:
    task = (await client.post("/tasks", long_plan())).json["id"]

    graph = (await client.get(f"/tasks/{task}/graph")).json
    page = (await client.get(f"/tasks/{task}/subtasks?page_size=500")).json
    last = await client.get(f"/tasks/{task}/subtasks/last")

    assert graph["loading"]  # otherwise the rest of this test proves nothing
    assert len(graph["nodes"]) < graph["subtasks_total"] == LONG
    assert page["subtasks_total"] == LONG
    assert last.status == 200, last.json
    assert [edge["key"] for edge in last.json["depends_on"]] == ["s0", f"s{LONG - 2}"]
    assert (await client.get(f"/tasks/{task}/subtasks/absent")).status == 404
    whole = (await client.get(f"/tasks/{task}/graph")).json
    assert (whole["loading"], len(whole["nodes"]), len(whole["edges"])) == (False, LONG, 2)


async def test_a_list_of_subtasks_reaches_the_end_of_a_plan_that_is_still_being_written(client: Caller) -> None:
    task = (await client.post("/tasks", long_plan())).json["id"]

    found: list[str] = []
    token = ""
    while True:
        page = (await client.get(f"/tasks/{task}/subtasks?page_size=500&page_token={token}")).json
        found += [subtask["key"] for subtask in page["items"]]
        token = page["next_page_token"]
        if not token:
            break

    assert found == [*(f"s{number}" for number in range(LONG - 1)), "last"]


async def test_the_same_idempotency_key_of_two_api_keys_means_two_requests(swarm: Orchestrator, client: Caller) -> None:
    other = client.with_key(await swarm.make_key("client"))

    first = await client.post("/tasks", {"title": "one"}, idempotency_key="k")
    second = await other.post("/tasks", {"title": "two"}, idempotency_key="k")
    third = await other.post("/tasks", {"title": "one"}, idempotency_key="k")
    again = await client.post("/tasks", {"title": "one"}, idempotency_key="k")

    assert (first.status, second.status) == (201, 201)
    assert first.json["id"] != second.json["id"]
    assert third.json["code"] == "idempotency_key_reused"
    assert again.json["id"] == first.json["id"]
    assert again.headers["idempotency-replayed"] == "true"


async def test_an_idempotency_key_stored_by_an_older_version_is_still_known(
    swarm: Orchestrator, client: Caller
) -> None:
    first = await client.post("/tasks", {"title": "one"}, idempotency_key="k")
    assert isinstance(swarm.store, SqliteStore)
    swarm.store.connection.execute("UPDATE idempotency SET key = 'k'")  # as stored before 0.4.0
    other = client.with_key(await swarm.make_key("client"))

    again = await client.post("/tasks", {"title": "one"}, idempotency_key="k")
    theirs = await other.post("/tasks", {"title": "one"}, idempotency_key="k")

    assert again.json["id"] == first.json["id"]
    assert theirs.json["id"] != first.json["id"]


async def test_a_label_with_a_colon_in_its_name_is_found(client: Caller) -> None:
    for title, labels in (("a", {"k8s:app": "web"}), ("b", {"k8s": "app:web"}), ("c", {"k8s": "app"})):
        await client.post("/tasks", {"title": title, "labels": labels})

    found = (await client.get("/tasks?label=k8s:app:web&order_by=created_at")).json["items"]

    assert [task["title"] for task in found] == ["a", "b"]


async def test_two_adjacent_time_ranges_return_each_task_once(client: Caller) -> None:
    for title in ("a", "b", "c"):
        await client.post("/tasks", {"title": title})
    tasks = (await client.get("/tasks?order_by=created_at")).json["items"]
    moment = tasks[1]["created_at"]

    before = (await client.get(f"/tasks?created_before={moment}")).json["items"]
    after = (await client.get(f"/tasks?created_after={moment}&order_by=created_at")).json["items"]

    assert [task["title"] for task in before] == ["a"]
    assert [task["title"] for task in after] == ["b", "c"]


async def test_a_plan_cannot_contain_subtasks_of_another_task(client: Caller, fleet: Fleet) -> None:
    task = (await client.post("/tasks", {"title": "t", "evaluation": "none"})).json["id"]
    bot = await fleet.bot("Planner")
    lease = await bot.one()

    def plan(parent: object) -> dict[str, Any]:
        return {"subtasks": [{"key": "a", "description": "x", "parent_task_id": parent}]}

    refused = await bot.report(lease, plan=plan("tsk_another"))
    taken = await bot.report(lease, plan=plan(task))

    assert (refused.status, refused.json["code"]) == (422, "invalid_plan")
    assert refused.json["errors"][0]["pointer"] == "/plan/subtasks/0/parent_task_id"
    assert taken.status == 200


@pytest.mark.parametrize("name", sorted(INSTEAD))
async def test_a_field_of_another_system_is_refused_with_the_field_to_use_instead(client: Caller, name: str) -> None:
    subtask = {"key": "a", "description": "x", name: "0 0 * * *"}
    for body, at in (({"title": "t", name: 1}, ""), ({"title": "t", "subtasks": [subtask]}, "/subtasks/0")):
        answer = await client.post("/tasks", body)

        assert (answer.status, answer.json["code"]) == (422, "not_supported")
        (error,) = answer.json["errors"]
        assert error == {
            "pointer": f"{at}/{name}",
            "code": "not_supported",
            "detail": f"is not a field here; instead: {INSTEAD[name]}",
        }


async def test_such_a_field_is_reported_along_with_other_errors(client: Caller) -> None:
    answer = await client.post("/tasks", {"title": "", "cron": "0 0 * * *"})

    assert answer.json["code"] == "invalid"
    assert {error["code"] for error in answer.json["errors"]} == {"too_short", "not_supported"}
