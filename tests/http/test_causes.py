"""When something fails, every view shows the first error, its attempt and bot, the time, and what comes next."""

from __future__ import annotations

from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from tests.effects.conftest import submitted
from tests.http.conftest import Caller, Fleet

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
TWO = [
    {"key": "a", "description": "", "max_attempts": 1, "input": {"page": 7}},
    {"key": "b", "description": "", "depends_on": ["a"]},
]


async def of_two(client: Caller) -> str:
    """Submit a task in which `b` depends on `a`, which has one attempt."""
    made = await client.post("/tasks", {"title": "t", "evaluation": "none", "subtasks": TWO})
    return str(made.json["id"])


def failed(message: str, class_: str = "retryable") -> dict[str, Any]:
    return {"status": "failed", "error": {"class": class_, "message": message}}


async def test_a_failed_task_shows_the_first_error_and_the_command_that_resumes_it(
    client: Caller, fleet: Fleet
) -> None:
    task = await of_two(client)
    bot = await fleet.bot("Executor", name="reader")
    lease = await bot.one()
    await bot.report(lease, **failed("KeyError: 'total' (at bot.py:12 in execute)"))

    shown = (await client.get(f"/tasks/{task}")).json
    explained = (await client.get(f"/tasks/{task}:explain")).json

    assert shown["failure"]["detail"] == "subtask a failed and nothing handles it"
    assert shown["failure"]["fix"] == f"swarmkeeper task retry {task}"
    assert explained["failure"] == shown["failure"]
    cause = shown["failure"]["cause"]
    assert cause.pop("at").endswith("Z")
    assert cause == {
        "message": "KeyError: 'total' (at bot.py:12 in execute)",
        "class": "retryable",
        "errors": [],
        "work_id": lease["work_id"],
        "kind": "execute",
        "key": "a",
        "bot": "reader",
        "attempt": 1,
        "ending": "failed",
        "retry_at": None,
    }
    assert "KeyError: 'total' (at bot.py:12 in execute); attempt 1 of a by reader at " in explained["summary"]
    assert f"swarmkeeper task retry {task}" in explained["summary"]


async def test_cancelled_subtasks_do_not_count_as_failed_and_finished_ones_keep_bot_and_time(
    client: Caller, fleet: Fleet
) -> None:
    task = await of_two(client)
    bot = await fleet.bot("Executor", name="reader")
    await bot.report(await bot.one(), **failed("no"))

    shown = (await client.get(f"/tasks/{task}")).json

    assert shown["progress"] == {"total": 2, "done": 0, "failed": 2, "cancelled": 1}
    a, b = shown["subtasks"]
    assert (a["status"], a["bot"], a["cause"]["message"]) == ("FAILED", "reader", "no")
    assert a["started_at"] <= a["ended_at"] == a["cause"]["at"]
    assert (b["status"], b["bot"], b["started_at"], b["cause"]) == ("CANCELLED", None, None, None)


async def test_a_retried_subtask_shows_what_failed_and_when_it_continues(client: Caller, fleet: Fleet) -> None:
    task = await submitted(client, "a")
    bot = await fleet.bot("Executor", name="reader")
    await bot.report(await bot.one(), **failed("the page is not there"))

    shown = (await client.get(f"/tasks/{task}?explain=true")).json

    (a,) = shown["subtasks"]
    assert (a["status"], a["cause"]["message"], a["cause"]["attempt"]) == ("WAITING", "the page is not there", 1)
    assert a["cause"]["retry_at"] > a["cause"]["at"]
    (waits,) = shown["explanation"]["waiting"]
    assert waits["until"] == a["cause"]["retry_at"]
    assert waits["detail"].endswith("after an attempt that ended as failed by reader: the page is not there")


async def test_an_invalid_plan_shows_its_errors_and_its_work_item_can_be_read(client: Caller, fleet: Fleet) -> None:
    task = (await client.post("/tasks", {"title": "t"})).json["id"]
    bot = await fleet.bot("Planner", name="planner")
    lease = await bot.one()
    for number in range(4):  # the fourth in a row counts as a failed try
        subtasks = [{"key": "a", "description": str(number), "depends_on": ["nobody"]}]
        await bot.report(lease, status="succeeded", plan={"subtasks": subtasks})

    item = (await client.get(f"/tasks/{task}/subtasks/{lease['work_id']}")).json

    assert (item["id"], item["kind"], item["key"], item["status"]) == (lease["work_id"], "plan", "plan", "WAITING")
    (problem,) = item["cause"]["errors"]
    assert problem["pointer"] == "/plan/subtasks/0/depends_on/0"
    assert problem["detail"] == "no subtask has this key"
    assert item["attempts"][0]["error"]["errors"] == item["cause"]["errors"]
    assert (await client.get(f"/tasks/{task}/subtasks/plan")).status == 404, "a key is a subtask's"
    assert (await client.get(f"/tasks/{await of_two(client)}/subtasks/{lease['work_id']}")).status == 404


async def test_a_task_without_a_plan_shows_the_error_of_its_planner(client: Caller, fleet: Fleet) -> None:
    task = (await client.post("/tasks", {"title": "t"})).json["id"]
    bot = await fleet.bot("Planner", name="planner")
    lease = await bot.one()
    await bot.report(lease, **failed("the model gave no JSON", "not_retryable"))

    failure = (await client.get(f"/tasks/{task}")).json["failure"]

    assert (failure["code"], failure["work_id"]) == ("planning_failed", lease["work_id"])
    assert (failure["cause"]["message"], failure["cause"]["kind"]) == ("the model gave no JSON", "plan")


@pytest.mark.parametrize("how", ["release", "rate_limited"])
async def test_a_subtask_shows_why_its_work_was_released(client: Caller, fleet: Fleet, how: str) -> None:
    task = await submitted(client, "a")
    bot = await fleet.bot("Executor", name="reader")
    lease = await bot.one()
    if how == "release":
        body = {"reason": "the source is not there yet", "delay_seconds": 60}
        await bot.call.post(f"/leases/{lease['lease_id']}:release", body)
    else:
        error = {"class": "rate_limited", "message": "the source is not there yet", "retry_after_seconds": 60}
        await bot.report(lease, status="failed", error=error)

    (a,) = (await client.get(f"/tasks/{task}")).json["subtasks"]
    (waits,) = (await client.get(f"/tasks/{task}:explain")).json["waiting"]

    assert (a["cause"]["message"], a["cause"]["ending"]) == ("the source is not there yet", "deferred")
    assert a["cause"]["retry_at"] is not None
    assert waits["detail"].endswith("by reader: the source is not there yet")


@pytest.mark.parametrize("how", ["report", "results", "release", "ask"])
async def test_the_last_progress_of_an_attempt_is_stored_with_it(
    client: Caller, swarm: Orchestrator, fleet: Fleet, how: str
) -> None:
    """Log lines of heartbeats, and later ones, which come with the call that ends the attempt."""
    task = await submitted(client, "a")
    bot = await fleet.bot("Executor")
    lease = await bot.one()
    beat = {"leases": [{"lease_id": lease["lease_id"], "progress": {"fraction": 0.2, "log": ["began", TOKEN]}}]}
    await bot.call.post(f"/bots/{bot.id}:heartbeat", beat)
    last = {"progress": {"fraction": 0.4, "message": "page 12", "log": ["page 12 is empty"]}}
    done: dict[str, Any] = {"lease_id": lease["lease_id"], **failed("no text"), **last}
    match how:
        case "report":
            answer = await bot.call.post(f"/tasks/{task}/results", {"bot_id": bot.id, **done})
        case "results":
            answer = await bot.call.post("/results", {"bot_id": bot.id, "results": [{"task_id": task, **done}]})
        case "release":
            body = {"reason": f"later {TOKEN}", **last}
            answer = await bot.call.post(f"/leases/{lease['lease_id']}:release", body)
        case _:
            answer = await bot.call.post(f"/leases/{lease['lease_id']}:ask", {"question": "Go on?", **last})
    assert answer.status in (200, 201)

    path = f"/tasks/{task}/subtasks/a"
    shown = await client.get(path)
    (attempt,) = shown.json["attempts"]

    assert attempt["progress"]["fraction"] == 0.4
    assert attempt["progress"]["message"] == "page 12"
    assert (attempt["progress"]["log"][0], attempt["progress"]["log"][2]) == ("began", "page 12 is empty")
    assert TOKEN not in shown.body.decode()
    auditor = Caller(swarm.app, await swarm.make_key("auditor"))
    assert (await auditor.get(path)).json["attempts"][0]["progress"] is None, "it is as near to outputs as progress"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"fraction": 0.5}, {"fraction": 0.5, "message": None, "log": []}),
        ({"message": "page 1"}, {"fraction": None, "message": "page 1", "log": []}),
        ({"fraction": 0.5, "log": ["began"]}, {"fraction": 0.5, "message": None, "log": ["began"]}),
    ],
)
async def test_progress_has_every_field_of_its_schema_wherever_it_is_shown(
    client: Caller, fleet: Fleet, sent: dict[str, Any], shown: dict[str, Any]
) -> None:
    task = await submitted(client, "a")
    bot = await fleet.bot("Executor")
    lease = await bot.one()
    await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": [{"lease_id": lease["lease_id"], "progress": sent}]})

    listed = {**shown, "log": []}
    assert (await client.get(f"/tasks/{task}/subtasks/a")).json["progress"] == shown
    assert (await client.get(f"/tasks/{task}/subtasks")).json["items"][0]["progress"] == listed
    assert (await client.get(f"/tasks/{task}")).json["subtasks"][0]["progress"] == listed
    assert (await bot.report(lease, output=1)).status == 200
    (attempt,) = (await client.get(f"/tasks/{task}/subtasks/a")).json["attempts"]
    assert attempt["progress"] == shown


async def test_a_task_shows_the_input_of_its_subtasks(client: Caller) -> None:
    task = await of_two(client)
    large = [{"key": f"k{n}", "description": "", "input": {"text": "x" * 60_000}} for n in range(2)]
    other = (await client.post("/tasks", {"title": "t", "subtasks": large})).json["id"]

    first, second = (await client.get(f"/tasks/{task}")).json["subtasks"]
    fits, does_not = (await client.get(f"/tasks/{other}")).json["subtasks"]

    assert (first["input"], second["input"]) == ({"page": 7}, {})
    assert len(fits["input"]["text"]) == 60_000
    assert does_not["input"] is None, "shown only when the subtask is read alone"
    assert len((await client.get(f"/tasks/{other}/subtasks/k1")).json["input"]["text"]) == 60_000


async def test_task_and_explanation_come_in_one_answer(client: Caller) -> None:
    task = await of_two(client)

    shown = (await client.get(f"/tasks/{task}?explain=true")).json

    assert shown["explanation"] == (await client.get(f"/tasks/{task}:explain")).json
    assert "explanation" not in (await client.get(f"/tasks/{task}")).json
    etag = f'"{(await client.get(f"/tasks/{task}")).headers["etag"]}"'.strip('"')
    assert (await client.get(f"/tasks/{task}", if_none_match=f'"{etag}"')).status == 304
    with_reasons = await client.get(f"/tasks/{task}?explain=true", if_none_match=f'"{etag}"')
    assert with_reasons.status == 200, "reasons change without the task"


async def test_a_task_with_its_explanation_is_not_sent_again_until_one_of_them_changes(
    client: Caller, fleet: Fleet
) -> None:
    task = await of_two(client)
    explained = f"/tasks/{task}?explain=true"
    first = (await client.get(explained)).headers["etag"]
    tag = f'"{first}"'.replace('""', '"')

    unchanged = await client.get(explained, if_none_match=tag)
    assert (unchanged.status, unchanged.headers["etag"]) == (304, first)
    assert (await client.get(f"/tasks/{task}", if_none_match=tag)).status == 200, "without an explanation it is another"

    version = (await client.get(f"/tasks/{task}")).headers["etag"]
    await fleet.bot("Executor", skills=["other"])  # which changes why it waits, and not the task
    after = await client.get(explained, if_none_match=tag)
    assert after.status == 200
    assert after.headers["etag"] != first
    assert (await client.get(f"/tasks/{task}")).headers["etag"] == version

    tag = f'"{after.headers["etag"]}"'.replace('""', '"')
    assert (await client.call("PATCH", f"/tasks/{task}", {"priority": 9}, headers={"if-match": tag})).status == 200
    assert (await client.call("PATCH", f"/tasks/{task}", {"priority": 8}, headers={"if-match": tag})).status == 412
    assert (await client.get(explained, if_none_match=tag)).status == 200
