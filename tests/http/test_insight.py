"""What a dashboard reads: a task over time, all verdicts, the newest events and records."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.http.insight.examples import EXAMPLES
from tests.http.conftest import Caller, Fleet, Json, key_of
from tests.http.described import differences
from tests.http.test_stream import kinds, stream


async def planned(client: Caller, *keys: str, **more: Json) -> str:
    subtasks = [{"key": key, "description": "do it"} for key in keys]
    answer = await client.post("/tasks", {"title": "t", "subtasks": subtasks, "evaluation": "none", **more})
    assert answer.status == 201, answer.json
    return str(answer.json["id"])


async def read(caller: Caller, path: str) -> Json:
    answer = await caller.get(path)
    assert answer.status == 200, answer.json
    return answer.json


async def pages(caller: Caller, path: str) -> list[Json]:
    """Return all items of a list, two at a time."""
    found: list[Json] = []
    token = ""
    while True:
        page = await read(caller, f"{path}{'&' if '?' in path else '?'}page_size=2&page_token={token}")
        assert len(page["items"]) <= 2
        found += page["items"]
        token = page["next_page_token"]
        if not token:
            return found


# ---- timeline --------------------------------------------------------------------------------------------------------


async def test_a_timeline_has_a_bar_for_each_attempt_and_the_waits_between(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", "crawler")
    task = await planned(client, "a", "b")
    first = await bot.one()
    await bot.report(first, error={"class": "retryable", "message": "KeyError: 'total'\n  at bot.py:12"})
    held = await bot.one()

    timeline = await read(client, f"/tasks/{task}/timeline")

    assert (timeline["task_id"], timeline["status"], timeline["next_page_token"]) == (task, "IN_PROGRESS", "")
    lanes = {lane["key"]: lane for lane in timeline["items"]}
    assert list(lanes) == ["a", "b"]
    failed = lanes[first["subtask"]["key"]]
    (bar,) = [bar for bar in failed["bars"] if bar["end"] is not None]
    assert (bar["attempt"], bar["bot"], bar["ending"]) == (1, "crawler", "failed")
    assert bar["error"] == {"class": "retryable", "message": "KeyError: 'total'"}
    running = [bar for lane in lanes.values() for bar in lane["bars"] if bar["end"] is None]
    assert [(bar["lease_id"], bar["ending"]) for bar in running] == [(held["lease_id"], None)]
    assert running[0]["expires_at"] > running[0]["start"]
    for lane in lanes.values():
        assert [wait["after"] for wait in lane["waits"]][:1] == [None]  # planned, and not yet leased
        spans = sorted((span["start"], span["end"] or "z") for span in [*lane["bars"], *lane["waits"]])
        assert all(end == start for (_, end), (start, _) in pairwise(spans))  # no gap, no overlap


async def test_the_wait_between_two_attempts_says_how_the_first_one_ended(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    task = await planned(client, "a")
    lease = await bot.one()
    await bot.call.post(f"/leases/{lease['lease_id']}:release", {"reason": "later", "delay_seconds": 0})
    await bot.one()

    (lane,) = (await read(client, f"/tasks/{task}/timeline"))["items"]

    first, second = lane["bars"]
    assert (first["ending"], first["error"]["message"], second["ending"]) == ("released", "later", None)
    assert {"start": first["end"], "end": second["start"], "after": "released"} in lane["waits"]


async def test_a_timeline_shows_plans_and_the_rounds_of_reviews(client: Caller, fleet: Fleet) -> None:
    executor, evaluator = await fleet.bot("Executor"), await fleet.bot("Evaluator")
    task = await planned(client, "a", evaluation="each")
    await executor.report(await executor.one(), output="draft")
    await evaluator.report(await evaluator.one(), verdict={"decision": "rework", "reasons": ["thin"]})
    await executor.report(await executor.one(), output="better")
    await evaluator.report(await evaluator.one(), verdict={"decision": "accept"})

    lanes = await pages(client, f"/tasks/{task}/timeline")

    shown = [(lane["kind"], lane["subject"], lane["round"], [bar["ending"] for bar in lane["bars"]]) for lane in lanes]
    assert shown == [
        ("execute", None, 2, ["succeeded", "succeeded"]),
        ("review", "a", 1, ["succeeded"]),
        ("review", "a", 2, ["succeeded"]),
        ("review", None, 1, []),
    ]
    assert [bar["round"] for bar in lanes[0]["bars"]] == [1, 2]


async def test_a_lane_has_its_newest_bars_and_says_how_many_there_were(
    client: Caller, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmkeeper.reads.insight.timeline.BARS_MAX", 1)
    bot = await fleet.bot("Executor")
    task = await planned(client, "a")
    for _ in range(2):
        lease = await bot.one()
        await bot.call.post(f"/leases/{lease['lease_id']}:release", {"reason": "later", "delay_seconds": 0})

    (lane,) = (await read(client, f"/tasks/{task}/timeline"))["items"]

    assert [bar["attempt"] for bar in lane["bars"]] == [2]
    assert lane["bars_left_out"] == 1
    assert [wait["after"] for wait in lane["waits"]] == ["released"]


# ---- verdicts --------------------------------------------------------------------------------------------------------


async def test_verdicts_of_earlier_rounds_can_be_read(client: Caller, fleet: Fleet) -> None:
    executor, evaluator = await fleet.bot("Executor"), await fleet.bot("Evaluator", "critic")
    task = await planned(client, "a", "b", evaluation="final", max_rounds=1)
    for _ in range(2):
        await executor.report(await executor.one(), output="poor")
    targets = [{"subtask": "a", "feedback": "longer, and mail me at jane.doe@example.org"}, {"subtask": "b"}]
    finding = {"severity": "major", "text": "no sources"}
    verdict = {"decision": "rework", "score": 0.2, "reasons": ["thin"], "targets": targets, "findings": [finding]}
    await evaluator.report(await evaluator.one(), verdict=verdict)
    for _ in range(2):
        await executor.report(await executor.one(), output="rich")
    await evaluator.report(await evaluator.one(), verdict={"decision": "accept", "score": 0.9})

    first, second = await pages(client, f"/tasks/{task}/verdicts")

    assert (first["round"], first["decision"], first["score"], first["reasons"]) == (1, "rework", 0.2, ["thin"])
    assert (first["subject"], first["evaluator"], first["attempt"]) == (None, "critic", 1)
    assert [found["text"] for found in first["findings"]] == ["no sources"]
    assert first["targets"] == ["a", "b"]
    (feedback,) = first["feedback"]
    assert feedback["subtask"] == "a"
    assert feedback["text"].startswith("longer, and mail me at ")
    assert "jane.doe" not in feedback["text"]  # it went to the bot as it was written
    assert (second["round"], second["decision"], second["feedback"]) == (2, "accept", [])
    assert first["at"] < second["at"]


async def test_verdicts_on_one_subtask_are_read_by_its_key(client: Caller, fleet: Fleet) -> None:
    executor, evaluator = await fleet.bot("Executor"), await fleet.bot("Evaluator")
    task = await planned(client, "a", "b", evaluation="each")
    for _ in range(2):
        await executor.report(await executor.one(), output="draft")
        await evaluator.report(await evaluator.one(), verdict={"decision": "accept"})

    assert [each["subject"] for each in await pages(client, f"/tasks/{task}/verdicts")] == ["a", "b"]
    assert [each["subject"] for each in await pages(client, f"/tasks/{task}/verdicts?subtask=b")] == ["b"]
    assert await pages(client, f"/tasks/{task}/verdicts?subtask=none") == []


# ---- queues, leases, approvals ---------------------------------------------------------------------------------------


async def test_queues_show_depth_age_leases_and_able_bots(client: Caller, admin: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", "reader", skills=["ocr"], capacity=1)
    await fleet.bot("Executor", "idle", skills=["ocr", "pdf"])
    subtasks = [{"key": key, "description": "", "required_skills": ["ocr"]} for key in ("a", "b", "c")]
    subtasks.append({"key": "d", "description": "", "required_skills": ["dance"]})
    await client.post("/tasks", {"title": "t", "subtasks": subtasks, "evaluation": "none"})
    await client.post("/tasks", {"title": "to be planned"})
    await bot.one()

    found = {(each["kind"], *each["skills"]): each for each in await pages(admin, "/queues")}

    assert set(found) == {("execute", "ocr"), ("execute", "dance"), ("plan",)}
    ocr = found["execute", "ocr"]
    assert (ocr["waiting"], ocr["waiting_at_least"], ocr["leased"], ocr["bots"], ocr["bots_asking"]) == (
        2,
        False,
        1,
        2,
        2,
    )
    assert (ocr["in_per_minute"], ocr["out_per_minute"]) == (3, 1)
    assert ocr["oldest_at"] is not None
    assert ocr["oldest_seconds"] >= 0
    dance = found["execute", "dance"]
    assert (dance["waiting"], dance["leased"], dance["in_per_minute"], dance["bots"]) == (1, 0, 1, 0)
    assert found["plan",]["bots"] == 0


async def test_a_queue_says_why_no_bot_has_taken_what_waits_in_it(client: Caller, admin: Caller, fleet: Fleet) -> None:
    await fleet.bot("Executor", "reader", skills=["pdf", "ink"], capacity=1)
    task = await planned(
        client, subtasks=[{"description": "", "key": each, "required_skills": [each]} for each in ("ocr", "pdf", "ink")]
    )
    await admin.call("PUT", "/kills", {"kind": "skill", "name": "ink", "reason": "it blots"})

    found = {each["skills"][0]: each["why"] for each in await pages(admin, "/queues")}

    assert (found["ocr"]["reason"], found["ocr"]["fix"]) == (
        "no_capable_bot",
        "swarmkeeper bot run FILE --skill ocr",
    )
    assert "it blots" in found["ink"]["detail"]
    assert found["ink"]["fix"].startswith("swarmkeeper kill lift kil_")
    assert found["pdf"]["until"] is None
    explained = {each["key"]: each for each in (await read(admin, f"/tasks/{task}:explain"))["waiting"]}
    for skill, why in found.items():
        for name in ("reason", "detail", "fix"):
            assert why[name] == explained[skill][name], skill


async def test_a_queue_in_which_nothing_waits_says_no_cause(client: Caller, admin: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    await planned(client, "a")
    await bot.one()

    (queue,) = await pages(admin, "/queues")

    assert (queue["leased"], queue["waiting"], queue["why"]) == (1, 0, None)


async def test_queues_of_other_tenants_are_not_shown(swarm: Orchestrator, client: Caller) -> None:
    await client.post(
        "/tasks", {"title": "t", "subtasks": [{"key": "a", "description": "", "required_skills": ["ocr"]}]}
    )
    stranger = client.with_key(await key_of(swarm, "acme", "admin"))

    assert (await read(stranger, "/queues"))["items"] == []


async def test_a_deep_queue_is_counted_up_to_a_bound(
    client: Caller, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmkeeper.reads.insight.queues.DEPTHS_MAX", 0)  # then a hundred are counted
    subtasks = [{"key": f"k{number}", "description": ""} for number in range(101)]
    await client.post("/tasks", {"title": "t", "subtasks": subtasks, "evaluation": "none"})

    (queue,) = (await read(admin, "/queues"))["items"]

    assert (queue["waiting"], queue["waiting_at_least"]) == (100, True)


async def test_the_leases_of_a_bot_are_listed(client: Caller, admin: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", capacity=5)
    await planned(client, "a", "b", "c", title="many")
    leases = (await bot.lease(max=3)).json["leases"]

    found = await pages(admin, f"/bots/{bot.id}/leases")

    assert sorted(each["lease_id"] for each in found) == sorted(each["lease_id"] for each in leases)
    assert {(each["task_title"], each["attempt"], each["cancelled"]) for each in found} == {("many", 1, False)}
    assert await pages(bot.call, f"/bots/{bot.id}/leases") == found
    other = await fleet.bot("Executor", "other")
    assert (await other.call.get(f"/bots/{bot.id}/leases")).status == (await other.call.get(f"/bots/{bot.id}")).status


async def test_open_approvals_come_by_expiry_with_names_and_counted(
    client: Caller, admin: Caller, fleet: Fleet
) -> None:
    bot = await fleet.bot("Executor", "asker", capacity=5)
    await planned(client, "a", "b", "c", title="asks")
    for seconds, lease in zip((300, 100, 200), (await bot.lease(max=3)).json["leases"], strict=True):
        asked = {"question": f"in {seconds}?", "expires_in_seconds": seconds}
        assert (await bot.call.post(f"/leases/{lease['lease_id']}:ask", asked)).status == 200
    by_expiry = await pages(admin, "/approvals?order=expires")
    assert [each["question"] for each in by_expiry] == ["in 100?", "in 200?", "in 300?"]
    assert {(each["task_title"], each["asker"]) for each in by_expiry} == {("asks", "asker")}
    assert (await read(admin, f"/approvals/{by_expiry[0]['id']}"))["task_title"] == "asks"

    assert (await admin.post(f"/approvals/{by_expiry[0]['id']}:answer", {"answer": 1})).status == 200

    page = await read(admin, "/approvals?order=expires")
    assert ([each["question"] for each in page["items"]], page["open"]) == (["in 200?", "in 300?"], 2)
    assert (await read(client, f"/approvals?task_id={by_expiry[0]['task_id']}"))["open"] is None
    for query in ("state=decided", "task_id=tsk_1"):
        assert (await admin.get(f"/approvals?order=expires&{query}")).status == 422


async def test_who_asked_is_named_by_its_owner(swarm: Orchestrator, admin: Caller) -> None:
    submitter = admin.with_key(await swarm.make_key("client", owner="team-a"))
    task = await planned(submitter, "a", approval="plan")

    (approval,) = (await read(admin, f"/approvals?task_id={task}"))["items"]

    assert (approval["asker"], approval["asked_by"][:4]) == ("team-a", "key_")


# ---- events and audit, the newest first ------------------------------------------------------------------------------


async def some_events(client: Caller, fleet: Fleet, number: int = 3) -> list[str]:
    bot = await fleet.bot("Executor")
    tasks = []
    for _ in range(number):
        tasks.append(await planned(client, "a"))
        await bot.report(await bot.one(), output=1)
    return tasks


async def test_events_come_newest_first_without_a_gap(client: Caller, admin: Caller, fleet: Fleet) -> None:
    (task, *_) = await some_events(client, fleet)

    for path in ("/events", f"/tasks/{task}/events"):
        forward = [each["id"] for each in await pages(admin, path)]
        assert [each["id"] for each in await pages(admin, f"{path}?order=desc")] == forward[::-1]
        middle = forward[len(forward) // 2]
        after = [each["id"] for each in await pages(admin, f"{path}?order=desc&after={middle}")]
        assert after == forward[len(forward) // 2 + 1 :][::-1]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_events_of_some_types_are_all_that_a_page_has(
    client: Caller, admin: Caller, fleet: Fleet, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (task, *_) = await some_events(client, fleet)
    monkeypatch.setattr("swarmkeeper.reads.insight.events.LOOKED_AT_MAX", 3)  # so that pages end early

    for path in ("/events", f"/tasks/{task}/events"):
        every = await pages(admin, f"{path}?order={order}")
        wanted = ("work.leased", "task.accepted")
        found = await pages(admin, f"{path}?order={order}&type=work.leased&type=io.swarmkeeper.task.accepted.v1")
        assert [each["id"] for each in found] == [
            each["id"] for each, kind in zip(every, kinds(every), strict=True) if kind in wanted
        ]
        assert found


async def test_a_page_after_the_latest_event_is_empty(client: Caller, admin: Caller, fleet: Fleet) -> None:
    await some_events(client, fleet, 1)

    assert (await read(admin, "/events?after=latest"))["items"] == []


async def test_a_stream_after_the_latest_event_has_only_new_ones_and_can_be_resumed(
    client: Caller, admin: Caller, fleet: Fleet
) -> None:
    await some_events(client, fleet, 1)

    async with stream(admin, "/events?after=latest&type=task.submitted") as followed:
        async with asyncio.timeout(5):
            while b"id: " not in followed.raw:
                followed.raw += (await followed.messages.get())["body"]
        begin = followed.raw.partition(b"id: ")[2].split()[0].decode()
        task = await planned(client, "a")
        event = await followed.next()

    assert event["data"]["task_id"] == task
    (again,) = await pages(admin, f"/events?after={begin}&type=task.submitted")
    assert again["id"] == event["id"]


async def test_a_stream_is_in_order(admin: Caller) -> None:
    refused = await admin.get("/events?order=desc", accept="text/event-stream")

    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/query/order")


@pytest.mark.parametrize("query", ["after=newest", "order=down", "type=a%20b", "type=", "type=task.accepted.v2.x.y.z"])
async def test_what_is_no_cursor_order_or_type_is_refused(admin: Caller, query: str) -> None:
    assert (await admin.get(f"/events?{query}")).status == 422


async def test_audit_records_come_newest_first(client: Caller, admin: Caller, fleet: Fleet) -> None:
    (task, *_) = await some_events(client, fleet)
    actor = (await read(admin, f"/tasks/{task}/audit"))["items"][0]["actor"]["id"]

    for path in ("/audit", f"/tasks/{task}/audit", "/audit?action=task.submit", f"/audit?actor={actor}"):
        asked = f"{path}{'&' if '?' in path else '?'}order="
        forward = [each["index"] for each in await pages(admin, f"{asked}asc")]
        assert [each["index"] for each in await pages(admin, f"{asked}desc")] == forward[::-1]
        assert len(forward) > 2
    both = f"/audit?order=desc&action=task.submit&actor={actor}"
    assert [each["task_id"] for each in await pages(admin, both)][-1] == task


# ---- the description -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", sorted(EXAMPLES))
def test_an_example_fits_the_schema_of_its_answer(label: str) -> None:
    method, path = label.split(" ")
    shown = EXAMPLES[label]

    assert differences(method, path, shown.status, shown.answer) == []


def test_an_example_that_does_not_fit_is_found() -> None:
    label = "GET /tasks/{task_id}/timeline"
    wrong: Any = {**EXAMPLES[label].answer, "now": 5}

    assert differences("GET", label.removeprefix("GET "), 200, wrong)
