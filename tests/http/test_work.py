"""Calls of bots: leases, reports, heartbeats, and their refusals."""

from datetime import datetime, timedelta

import pytest

from swarmkeeper.app import Orchestrator
from tests.http.conftest import BotCaller, Caller, Fleet, Json, key_of


async def planned(client: Caller, *keys: str, **more: Json) -> str:
    subtasks = [{"key": key, "description": "do it"} for key in keys]
    answer = await client.post("/tasks", {"title": "t", "subtasks": subtasks, "evaluation": "none", **more})
    assert answer.status == 201, answer.json
    return str(answer.json["id"])


async def test_the_answer_to_a_report_has_the_next_work(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", capacity=1)
    await planned(client, "a", "b")
    first = await bot.one()

    answer = (await bot.report(first, output=1, claim={"max": 5})).json
    again = (await bot.report(first, output=1, claim={"max": 5})).json

    assert [lease["subtask"]["key"] for lease in answer["leases"]] == ["b"]
    assert (answer["replayed"], again["replayed"]) == (False, True)
    assert again["leases"][0]["lease_id"] == answer["leases"][0]["lease_id"]


async def test_a_refused_report_claims_nothing(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", capacity=2)
    await planned(client, "a", "b")
    lease = await bot.one()

    refused = await bot.report({**lease, "lease_id": "lse_0"}, output=1, claim={"max": 1})

    assert (refused.status, refused.json["code"]) == (409, "lease_lost")
    assert (await bot.one())["subtask"]["key"] == "b"


async def test_a_repeated_result_gets_the_same_answer_and_a_different_one_is_refused(
    client: Caller, fleet: Fleet
) -> None:
    bot = await fleet.bot("Executor")
    await planned(client, "a")
    lease = await bot.one()

    first = await bot.report(lease, output={"a": 1, "b": 2}, usage={"tokens": 1})
    same = await bot.report(lease, output={"b": 2, "a": 1}, usage={"tokens": 9})
    other = await bot.report(lease, output={"a": 2})

    assert [first.json["replayed"], same.json["replayed"]] == [False, True]
    assert (other.status, other.json["code"]) == (409, "already_reported")


async def test_a_lost_lease_changes_nothing_and_is_kept_as_a_late_result(
    swarm: Orchestrator, client: Caller, admin: Caller, fleet: Fleet
) -> None:
    slow, quick = await fleet.bot("Executor", "slow"), await fleet.bot("Executor", "quick")
    task_id = await planned(client, "a", "b")
    lost = await slow.one()
    assert (await slow.call.post(f"/leases/{lost['lease_id']}:release", {"reason": "tired"})).json["released"]
    taken = await quick.one()
    assert taken["work_id"] == lost["work_id"]

    late = await slow.report(lost, output="mine")
    answer = (await slow.call.post(f"/bots/{slow.id}:heartbeat", {"leases": [{"lease_id": lost["lease_id"]}]})).json
    assert (await quick.report(taken, output="right")).status == 200

    subtask = (await admin.get(f"/tasks/{task_id}/subtasks/a")).json
    assert (late.status, late.json["code"]) == (409, "lease_lost")
    assert answer["leases"][0]["directive"] == "lost"
    assert subtask["output"] == "right"
    assert [each["content"]["output"] for each in subtask["late_results"]] == ["mine"]
    assert "late_results" not in (await client.get(f"/tasks/{task_id}/subtasks/a")).json


async def test_a_report_for_a_closed_task_is_refused(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    task_id = await planned(client, "a")
    lease = await bot.one()
    await client.post(f"/tasks/{task_id}:cancel", {"reason": "enough"})

    beat = (await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": [{"lease_id": lease["lease_id"]}]})).json
    late = await bot.report(lease, output=1)

    assert beat["leases"][0]["directive"] == "cancel"
    assert (late.status, late.json["code"]) == (409, "task_closed")


async def test_a_batch_accepts_or_refuses_each_result_separately(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", capacity=3)
    task_id = await planned(client, "a", "b", "c", "d")
    first, second, third = (await bot.lease(max=3)).json["leases"]

    answer = await bot.call.post(
        "/results",
        {
            "bot_id": bot.id,
            "results": [
                {"task_id": task_id, "lease_id": first["lease_id"], "status": "succeeded", "output": 1},
                {"lease_id": second["lease_id"], "status": "succeeded", "output": 2},
                {"lease_id": "lse_0", "status": "succeeded", "output": 3},
                {"lease_id": third["lease_id"], "status": "succeeded"},
                {"lease_id": third["lease_id"], "status": "failed", "error": {"class": "not_retryable"}},
            ],
            "claim": {"max": 8},
        },
    )

    results = answer.json["results"]
    assert answer.status == 200
    assert [each["accepted"] for each in results] == [True, True, False, False, True]
    assert [results[2]["code"], results[3]["code"]] == ["lease_lost", "invalid"]
    assert [(each["status"], each["retryable"]) for each in results[2:4]] == [(409, False), (422, False)]
    assert results[4]["task_status"] == "FAILED"


async def test_reporting_with_the_lease_of_another_tenant_reveals_nothing(
    swarm: Orchestrator, client: Caller, fleet: Fleet
) -> None:
    bot = await fleet.bot("Executor")
    task_id = await planned(client, "a")
    lease = await bot.one()
    await client.post(f"/tasks/{task_id}:cancel")
    stranger = client.with_key(await key_of(swarm, "other", "admin"))
    other = (await stranger.post("/bots/register", {"type": "Executor", "version": "1"})).json["id"]
    result = {"lease_id": lease["lease_id"], "status": "succeeded", "output": 1}

    foreign = await stranger.post("/results", {"bot_id": other, "results": [result]})
    own = await bot.call.post("/results", {"bot_id": bot.id, "results": [result]})

    assert foreign.json["results"][0]["code"] == "lease_lost"
    assert own.json["results"][0]["code"] == "task_closed"


async def test_an_invalid_plan_gets_all_its_errors_and_may_be_corrected(client: Caller, fleet: Fleet) -> None:
    planner = await fleet.bot("Planner")
    await client.post("/tasks", {"title": "t"})
    lease = await planner.one()

    bad = await planner.report(
        lease, plan={"subtasks": [{"key": "a", "description": 5}, {"description": "x", "depends_on": ["zz"]}]}
    )
    good = await planner.report(lease, plan={"subtasks": [{"key": "a", "description": "x"}]})

    assert (bad.status, bad.json["code"]) == (422, "invalid_plan")
    assert {(each["pointer"], each["code"]) for each in bad.json["errors"]} == {
        ("/plan/subtasks/0/description", "type"),
        ("/plan/subtasks/1/depends_on/0", "unknown_key"),
    }
    assert good.json["task_status"] == "PLANNED"


async def test_the_fourth_invalid_plan_counts_as_a_failed_try(client: Caller, fleet: Fleet) -> None:
    planner = await fleet.bot("Planner")
    await client.post("/tasks", {"title": "t"})
    lease = await planner.one()

    for n in range(4):
        bad = await planner.report(lease, plan={"subtasks": [{"key": f"a{n}", "description": n}]})
        assert (bad.status, bad.json["code"]) == (422, "invalid_plan")

    assert (await planner.report(lease, plan={"subtasks": [{"description": ""}]})).json["code"] == "lease_lost"


async def test_an_invalid_verdict_gets_the_position_of_its_error(client: Caller, fleet: Fleet) -> None:
    executor, evaluator = await fleet.bot("Executor"), await fleet.bot("Evaluator")
    await planned(client, "a", evaluation="final")
    await executor.report(await executor.one(), output=1)
    review = await evaluator.one()

    bad = await evaluator.report(review, verdict={"decision": "accept", "score": 7})

    assert (bad.status, bad.json["code"]) == (422, "invalid")
    assert bad.json["errors"][0]["pointer"] == "/verdict/score"
    assert (await evaluator.report(review, verdict={"decision": "accept"})).json["task_status"] == "ARCHIVED"


async def test_rework_repeats_the_named_subtask_with_feedback(client: Caller, fleet: Fleet) -> None:
    executor, evaluator = await fleet.bot("Executor", capacity=5), await fleet.bot("Evaluator")
    task_id = await planned(client, "a", "b", evaluation="final", max_rounds=1)
    for lease in (await executor.lease(max=2)).json["leases"]:
        await executor.report(lease, output="poor")

    targets = [{"subtask": "a", "feedback": "longer"}]
    verdict = {"decision": "rework", "score": 0.2, "targets": targets}
    assert (await evaluator.report(await evaluator.one(), verdict=verdict)).json["task_status"] == "IN_PROGRESS"
    again = await executor.one()
    assert (again["subtask"]["key"], again["feedback"]) == ("a", [{"round": 1, "text": "longer"}])
    assert again["previous"]["output"] == "poor"
    assert (await executor.report(again, output="rich")).json["task_status"] == "COMPLETED"
    second = await evaluator.one()
    assert second["review"]["results"] == {"a": "rich", "b": "poor"}

    assert (await evaluator.report(second, verdict={"decision": "rework"})).json["task_status"] == "FAILED"
    task = (await client.get(f"/tasks/{task_id}")).json
    assert (task["round"], task["failure"]["code"]) == (2, "rounds_exhausted")


async def test_with_evaluation_each_every_subtask_is_reviewed_and_then_the_task(client: Caller, fleet: Fleet) -> None:
    executor, evaluator = await fleet.bot("Executor"), await fleet.bot("Evaluator")
    task_id = await planned(client, "a", evaluation="each")

    assert (await executor.report(await executor.one(), output="draft")).json["task_status"] == "IN_PROGRESS"
    first = await evaluator.one()
    assert (first["review"]["of"], first["review"]["results"]) == ("subtask", {"a": "draft"})
    assert first["subtask"]["key"] == "a"
    await evaluator.report(first, verdict={"decision": "rework", "reasons": ["thin"]})
    await executor.report(await executor.one(), output="better")
    assert (await evaluator.report(await evaluator.one(), verdict={"decision": "accept"})).json["task_status"] == (
        "COMPLETED"
    )
    whole = await evaluator.one()

    assert whole["review"] == {"of": "task", "results": {"a": "better"}}
    assert (await evaluator.report(whole, verdict={"decision": "accept"})).json["task_status"] == "ARCHIVED"
    assert (await client.get(f"/tasks/{task_id}")).json["outcome"] == "accepted"


async def test_a_quorum_needs_evaluators_of_different_owners(client: Caller, fleet: Fleet) -> None:
    executor = await fleet.bot("Executor")
    judges = [await fleet.bot("Evaluator", f"judge-{n}", capacity=5) for n in range(3)]
    task_id = await planned(client, "a", evaluation="final", quorum={"accept": 2, "of": 3})
    await executor.report(await executor.one(), output=1)

    leases = []
    for judge in judges:
        (lease,) = (await judge.lease(max=5)).json["leases"]
        leases.append(lease)
    await judges[0].report(leases[0], verdict={"decision": "accept", "score": 1})
    await judges[1].report(leases[1], verdict={"decision": "reject", "score": 0})
    last = await judges[2].report(leases[2], verdict={"decision": "accept", "score": 0.5})

    assert last.json["task_status"] == "ARCHIVED"
    assert (await client.get(f"/tasks/{task_id}")).json["verdict"]["score"] == 0.5


async def test_a_failure_is_tried_again_and_its_checkpoint_goes_on(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    task_id = await planned(client, "a")
    lease = await bot.one()
    beat = {
        "lease_id": lease["lease_id"],
        "progress": {"fraction": 0.5, "message": "half", "log": ["one"]},
        "usage": {"tokens": 3},
        "checkpoint": {"page": 7},
    }

    answer = (await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": [beat]})).json
    assert (answer["leases"][0]["directive"], answer["drain"], answer["messages"]) == ("continue", False, [])
    error = {"class": "rate_limited", "message": "slow down", "retry_after_seconds": 0.001}
    assert (await bot.report(lease, error=error)).json["accepted"]
    again = await bot.one()

    assert (again["attempt"], again["checkpoint"]) == (2, {"page": 7})
    assert again["previous"]["error"]["message"] == "slow down"
    attempts = (await client.get(f"/tasks/{task_id}/subtasks/a")).json["attempts"]
    assert [each["ending"] for each in attempts] == ["deferred"]


async def test_claims_with_the_same_id_get_the_same_leases(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", capacity=4)
    await planned(client, "a", "b")

    first = (await bot.lease(claim_id="c1")).json["leases"]
    again = (await bot.lease(claim_id="c1")).json["leases"]
    other = (await bot.lease(claim_id="c2")).json["leases"]

    assert first[0]["lease_id"] == again[0]["lease_id"] != other[0]["lease_id"]


@pytest.mark.parametrize("process", ["", "p" * 256])
async def test_a_bot_process_that_is_empty_or_too_long_is_refused(fleet: Fleet, process: str) -> None:
    bot = await fleet.bot("Executor")

    answer = await bot.call.post("/leases", {"bot_id": bot.id}, **{"bot-process": process})

    assert answer.status == 422
    assert answer.json["errors"][0]["pointer"] == "/headers/bot-process"


async def test_two_processes_that_poll_as_one_bot_are_warned_and_a_restarted_one_is_not(fleet: Fleet) -> None:
    bot, other = await fleet.bot("Executor"), await fleet.bot("Executor", "other")

    async def warned(caller: BotCaller, process: str) -> bool:
        body = {"bot_id": caller.id, "max": 1, "wait_seconds": 0}
        answer = await caller.call.post("/leases", body, **{"bot-process": process})
        return bool(answer.json.get("another_process"))

    # A process that is restarted twice, with another bot in between.
    assert [await warned(bot, word) for word in ("p1", "p1", "p2", "p2", "p3")] == [False] * 5
    assert not await warned(other, "p1")
    # Two live processes: both are warned from the second poll of the first one on.
    assert [await warned(bot, word) for word in ("p4", "p3", "p4", "p3")] == [False, True, True, True]
    # One process has ended: the other is no longer warned, from its second poll on.
    assert [await warned(bot, word) for word in ("p3", "p3")] == [False, False]


async def test_processes_of_one_bot_have_one_vote(client: Caller, fleet: Fleet) -> None:
    """Each instance is a separate bot, but they have one vote if the key names no owner."""
    executor = await fleet.bot("Executor")
    first = await fleet.bot("Evaluator", "judge", instance="one", capacity=5)
    registered = await first.call.post(
        "/bots/register", {"type": "Evaluator", "version": "1.0", "instance": "two", "capacity": 5}
    )
    second = BotCaller(first.call, registered.json["id"])
    await planned(client, "a", evaluation="final", quorum={"accept": 2, "of": 2})
    await executor.report(await executor.one(), output=1)

    assert second.id != first.id
    assert len((await first.lease(max=5)).json["leases"]) == 1
    assert (await second.lease(max=5)).json["leases"] == []


async def test_a_bot_without_work_gets_the_reason(client: Caller, admin: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", capacity=1)
    await planned(client, "a", "b")
    await bot.one()
    full = (await bot.lease()).json
    await admin.post(f"/bots/{bot.id}:drain")
    draining = (await bot.lease()).json
    idle = await fleet.bot("Planner")

    assert (full["leases"], full["reason"]) == ([], "at_capacity")
    assert draining["reason"] == "draining"
    assert (await idle.lease()).json["reason"] in ("nothing_ready", "no_match")


async def test_a_large_output_is_sent_as_a_reference(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    task_id = await planned(client, "a")
    large = {"text": "x" * 300_000}
    await bot.report(await bot.one(), output=large)

    shown = (await client.get(f"/tasks/{task_id}")).json["result"]["a"]

    assert shown["bytes"] > 300_000
    assert (await client.get(shown["$ref"])).json == large


async def test_a_released_item_is_offered_again_after_the_requested_delay(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    task = await planned(client, "a")
    lease = await bot.one()
    path = f"/leases/{lease['lease_id']}:release"

    once = await bot.call.post(path, {"reason": "later", "delay_seconds": 1})
    twice = await bot.call.post(path, {})
    assert [once.json, twice.json] == [{"released": True}] * 2
    assert (await bot.one())["attempt"] == 2

    # Compare the server's times: on a busy machine 20 ms pass before the test can look.
    events = (await client.get(f"/tasks/{task}/events")).json["items"]
    at = {event["type"]: datetime.fromisoformat(event["time"]) for event in events}  # the last of each
    waited = at["io.swarmkeeper.work.leased.v1"] - at["io.swarmkeeper.work.deferred.v1"]
    assert waited >= timedelta(seconds=0.02)
