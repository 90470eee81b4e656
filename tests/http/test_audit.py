"""Reading the audit log: permissions, content, pages and filters."""

from typing import Any

import apsw
import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.reads import audit_queries
from swarmkeeper.storage.sqlite import migrations
from swarmkeeper.storage.sqlite.reading import READS
from tests.http.conftest import Caller, Fleet, key_of

SENT = {"title": "Read a page", "subtasks": [{"key": "read", "description": "", "required_skills": ["web"]}]}


@pytest.fixture
async def auditor(swarm: Orchestrator) -> Caller:
    return Caller(swarm.app, await swarm.make_key("auditor"))


async def all_of(caller: Caller, path: str) -> list[dict[str, Any]]:
    """Return the records of all pages."""
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        answer = await caller.get(f"{path}{'&' if '?' in path else '?'}page_size=2&page_token={token}")
        assert answer.status == 200, answer.json
        found += answer.json["items"]
        token = answer.json["next_page_token"]
        if not token:
            return found


async def one_task(client: Caller, fleet: Fleet, name: str = "reader") -> tuple[str, str]:
    """Complete a task without a review; return its id and the id of its bot."""
    task = (await client.post("/tasks", {**SENT, "evaluation": "none"})).json["id"]
    bot = await fleet.bot("Executor", name, skills=["web"])
    await bot.report(await bot.one(), output={"words": 3})
    return task, bot.id


async def test_the_log_says_who_did_what_in_order(auditor: Caller, client: Caller, fleet: Fleet) -> None:
    task, bot = await one_task(client, fleet)

    records = await all_of(auditor, "/audit")

    assert [record["index"] for record in records] == list(range(len(records)))
    of_task = [record for record in records if record["task_id"] == task]
    assert [record["event"] for record in of_task] == ["task.submit", "work.lease", "work.report"]
    submitted, leased, reported = of_task
    assert submitted["action"] == "task.submit"
    assert submitted["resource"] == task
    assert submitted["payload"] == {"labels": {}, "title": "Read a page"}
    assert (submitted["outcome"], submitted["decision"]["effect"]) == ("accepted", "allow")
    assert (submitted["actor"]["type"], submitted["erased"]) == ("key", False)
    assert reported["actor"]["type"] == "bot"
    assert reported["actor"]["id"] == bot
    assert len(leased["events"]) == 2  # the lease, and that the task began
    assert "words" not in str(records)


async def test_events_and_records_name_each_other(auditor: Caller, client: Caller, fleet: Fleet) -> None:
    task, _ = await one_task(client, fleet)

    events = (await auditor.get(f"/tasks/{task}/events")).json["items"]
    records = await all_of(auditor, f"/tasks/{task}/audit")

    caused = {record["id"]: len(record["events"]) for record in records if record["events"]}
    named = [event["data"]["audit_id"] for event in events]
    assert caused == {audit: named.count(audit) for audit in named}


async def test_a_record_lists_where_it_was_redacted(auditor: Caller, client: Caller) -> None:
    secret = "AKIAIOSFODNN7" + "QWERTYU"
    task = (await client.post("/tasks", {"title": f"Look at {secret}"})).json["id"]

    (record,) = (await auditor.get(f"/tasks/{task}/audit")).json["items"]

    assert secret not in str(record)
    assert [field["pointer"] for field in record["redacted_fields"]] == ["/title"]


@pytest.mark.parametrize("filters", ["actor={bot}", "action=work.report", "actor={bot}&action=work.report", ""])
@pytest.mark.parametrize("path", ["/audit", "/tasks/{task}/audit", "/audit?task_id={task}"])
async def test_a_filter_returns_the_matching_records(
    auditor: Caller, client: Caller, fleet: Fleet, path: str, filters: str
) -> None:
    await one_task(client, fleet, "another")
    task, bot = await one_task(client, fleet)
    everything = await all_of(auditor, "/audit")
    assert len({record["task_id"] for record in everything}) > 2

    address = (path + ("&" if "?" in path else "?") + filters).format(task=task, bot=bot).rstrip("?&")
    found = await all_of(auditor, address)

    assert found == [
        record
        for record in everything
        if ("{task}" not in path or record["task_id"] == task)
        and ("actor" not in filters or record["actor"]["id"] == bot)
        and ("action" not in filters or record["event"] == "work.report")
    ]
    assert found


async def test_a_reader_continues_after_the_last_record_it_saw(auditor: Caller, client: Caller) -> None:
    for _ in range(3):
        await client.post("/tasks", {"title": "t"})
    first = (await auditor.get("/audit?page_size=2")).json["items"]

    rest = await all_of(auditor, f"/audit?after={first[-1]['index']}")

    assert first + rest == await all_of(auditor, "/audit")


async def test_records_of_a_time_come_in_either_order(auditor: Caller, client: Caller) -> None:
    for _ in range(5):
        await client.post("/tasks", {"title": "t"})
    everything = await all_of(auditor, "/audit?action=task.submit")
    since, until = everything[1]["timestamp"], everything[3]["timestamp"]
    wanted = [each for each in everything if since <= each["timestamp"] < until]

    between = f"/audit?action=task.submit&since={since}&until={until}"

    assert wanted
    assert await all_of(auditor, between) == wanted
    assert await all_of(auditor, f"{between}&order=desc") == wanted[::-1]
    assert await all_of(auditor, f"/audit?since={until}&until={since}") == []


async def test_a_tasks_records_come_in_pages(auditor: Caller, client: Caller) -> None:
    task = (await client.post("/tasks", {"title": "t"})).json["id"]
    for verb in ("pause", "resume"):
        await client.post("/tasks", {"title": "another"})
        await client.post(f"/tasks/{task}:{verb}", {})
    path = f"/tasks/{task}/audit"
    submitted, paused, resumed = await all_of(auditor, path)

    first = (await auditor.get(f"{path}?page_size=1")).json
    second = (await auditor.get(f"{path}?page_size=1&page_token={first['next_page_token']}")).json

    assert (first["items"], second["items"]) == ([submitted], [paused])
    assert (await auditor.get(f"{path}?after={paused['index']}")).json["items"] == [resumed]


async def test_two_filters_search_a_bounded_part_per_page(
    auditor: Caller, client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        task = (await client.post("/tasks", {"title": "t"})).json["id"]
    await client.post(f"/tasks/{task}:pause", {"reason": "lunch"})
    monkeypatch.setattr(audit_queries, "LOOKED_AT_MAX", 3)
    actor = (await auditor.get("/audit?action=task.pause")).json["items"][0]["actor"]["id"]

    page = (await auditor.get(f"/audit?actor={actor}&action=task.pause")).json

    assert page["items"] == []
    assert page["next_page_token"] != ""
    assert [record["task_id"] for record in await all_of(auditor, f"/audit?actor={actor}&action=task.pause")] == [task]


@pytest.mark.parametrize(
    ("role", "status"),
    [("auditor", 200), ("admin", 200), ("operator", 403), ("client", 403), ("approver", 403), ("bot:executor", 403)],
)
async def test_the_log_is_for_auditors_and_administrators(
    swarm: Orchestrator, client: Caller, role: str, status: int
) -> None:
    task = (await client.post("/tasks", {"title": "t"})).json["id"]
    caller = Caller(swarm.app, await swarm.make_key(role))

    assert (await caller.get("/audit")).status == status
    assert (await caller.get(f"/tasks/{task}/audit")).status == status


async def test_records_of_another_tenant_are_not_shown(swarm: Orchestrator, client: Caller) -> None:
    task = (await client.post("/tasks", {"title": "t"})).json["id"]
    stranger = Caller(swarm.app, await key_of(swarm, "acme", "auditor"))

    own = (await stranger.get("/audit")).json["items"]

    assert [(record["event"], record["index"]) for record in own] == [("key.create", 0)]
    assert (await stranger.get(f"/audit?task_id={task}")).json["items"] == []
    assert (await stranger.get(f"/tasks/{task}/audit")).status == 404
    assert (await stranger.get("/tasks/tsk_none/audit")).status == 404


@pytest.mark.parametrize("query", ["after=-1", "after=x", "actor=", "page_token=x", "event=task.submit", "page_size=0"])
async def test_an_invalid_query_is_refused_with_its_pointer(auditor: Caller, query: str) -> None:
    answer = await auditor.get(f"/audit?{query}")

    assert answer.status == 422
    assert answer.json["errors"][0]["pointer"] == f"/query/{query.partition('=')[0]}"


@pytest.mark.parametrize("name", [name for name in READS if name.startswith("audit_positions")])
def test_a_page_costs_the_same_in_a_long_log(name: str) -> None:
    connection = apsw.Connection(":memory:")
    migrations.apply(connection, migrations.known(), None)

    asked = dict.fromkeys(("tenant", "task", "actor", "action", "after", "before", "limit"))
    plan = [detail for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {READS[name]}", asked)]

    assert len(plan) == 1, plan  # no sorting
    assert plan[0].startswith("SEARCH audit_leaf USING "), plan
    assert "place>?" in plan[0]


async def test_only_operators_see_late_results(swarm: Orchestrator, client: Caller, fleet: Fleet) -> None:
    task = (await client.post("/tasks", {**SENT, "evaluation": "none"})).json["id"]
    bot = await fleet.bot("Executor", skills=["web"])
    lease = await bot.one()
    assert (await client.post(f"/tasks/{task}:cancel", {})).status == 200
    await bot.call.post(f"/leases/{lease['lease_id']}:release", {"reason": "cancelled"})
    await client.post(f"/tasks/{task}:retry", {})
    late = await bot.report(lease, output={"words": 3})
    assert late.status == 409, late.json

    shown = {}
    for role in ("operator", "admin", "client", "auditor", "approver", "bot:executor"):
        caller = Caller(swarm.app, await swarm.make_key(role)) if role != "bot:executor" else bot.call
        shown[role] = (await caller.get(f"/tasks/{task}/subtasks/read")).json.get("late_results")

    assert shown["operator"] == shown["admin"]
    (kept,) = shown["operator"]
    assert kept["lease_id"] == lease["lease_id"]
    assert kept["content"] == {"status": "succeeded", "output": {"words": 3}}
    assert {role for role, results in shown.items() if results} == {"operator", "admin"}


async def test_records_of_one_item_are_found_by_what_they_are_about(
    auditor: Caller, client: Caller, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = (await client.post("/tasks", {**SENT, "evaluation": "none"})).json["id"]
    reader = await fleet.bot("Executor", "reader", skills=["web"])
    bot = reader.id
    lease = await reader.one()
    released = await reader.call.post(f"/leases/{lease['lease_id']}:release", {"reason": "busy"})
    assert released.status == 200, released.json
    await reader.report(await reader.one(), output={"words": 3})
    await one_task(client, fleet, "another")
    (lane,) = (await client.get(f"/tasks/{task}/timeline")).json["items"]
    item = lane["work_id"]

    expected = ["work.release", "work.report"]
    assert [record["event"] for record in await all_of(auditor, f"/audit?resource={item}")] == expected
    assert [record["event"] for record in await all_of(auditor, f"/tasks/{task}/audit?resource={item}")] == expected
    newest = await all_of(auditor, f"/audit?resource={item}&order=desc")
    assert [record["event"] for record in newest] == expected[::-1]
    (reported,) = await all_of(auditor, f"/audit?resource={item}&action=work.report")
    assert (reported["resource"], reported["task_id"]) == (item, task)
    assert [record["event"] for record in await all_of(auditor, f"/audit?resource={task}")] == ["task.submit"]
    of_bot = await all_of(auditor, f"/audit?resource={bot}")
    assert [record["event"] for record in of_bot] == ["bot.register", "work.lease", "work.lease"]
    for nothing in ("sub_none", '"', f"{item}x", item[:-1]):
        assert await all_of(auditor, f"/audit?resource={nothing}") == []

    monkeypatch.setattr(audit_queries, "LOOKED_AT_MAX", 2)
    assert [record["event"] for record in await all_of(auditor, f"/audit?resource={item}")] == expected
    assert await all_of(auditor, f"/audit?resource={bot}") == of_bot
