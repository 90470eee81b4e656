"""What a bot says has its effect: on what it is handed, and on what becomes of its work."""

import asyncio

import pytest

from swarmkeeper.app import Orchestrator
from tests.effects.conftest import audited, seconds_between, submitted
from tests.http.conftest import BotCaller, Caller, Fleet, Json


async def beat(bot: BotCaller, lease: Json, **said: Json) -> Json:
    answer = await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": [{"lease_id": lease["lease_id"], **said}]})
    assert answer.status == 200, answer.json
    return answer.json


# ---- leases --------------------------------------------------------------------------------------------------------


async def test_a_bot_gets_as_many_leases_as_it_asks_for_and_as_long_ones(client: Caller, fleet: Fleet) -> None:
    await submitted(client, "a", "b", "c")
    bot = await fleet.bot("Executor")

    leases = (await bot.lease(max=2, lease_seconds=300)).json["leases"]

    assert len(leases) == 2
    assert {lease["heartbeat_after_seconds"] for lease in leases} == {100}


async def test_a_bot_may_ask_for_work_of_some_of_its_skills(client: Caller, fleet: Fleet) -> None:
    subtasks = [{"key": key, "description": "", "required_skills": [key]} for key in ("count", "draw")]
    await submitted(client, subtasks=subtasks)
    bot = await fleet.bot("Executor", skills=["count", "draw"])

    leases = (await bot.lease(max=9, skills=["draw"])).json["leases"]

    assert [lease["subtask"]["key"] for lease in leases] == ["draw"]


async def test_whoever_asks_for_work_names_the_bot_that_it_is_for(client: Caller, fleet: Fleet) -> None:
    await submitted(client, "a")
    one, other = await fleet.bot("Executor", "one"), await fleet.bot("Executor", "other")

    assert (await one.lease(bot_id=other.id)).status == 403
    assert (await one.lease(bot_id=one.id)).json["leases"] != []


async def test_a_bot_that_does_not_wait_is_answered_at_once(fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")

    async with asyncio.timeout(3):
        assert (await bot.lease(wait_seconds=0)).json["leases"] == []


async def test_the_reason_for_giving_work_back_is_written_down(
    swarm: Orchestrator, client: Caller, fleet: Fleet
) -> None:
    await submitted(client, "a")
    bot = await fleet.bot("Executor")

    await bot.call.post(f"/leases/{(await bot.one())['lease_id']}:release", {"reason": "out of paper"})

    assert (await audited(swarm, "work.release"))["reason"] == "out of paper"


# ---- reports -------------------------------------------------------------------------------------------------------


async def test_a_report_brings_as_many_leases_as_it_asks_for_under_their_own_claim_id(
    client: Caller, fleet: Fleet
) -> None:
    await submitted(client, "a", "b", "c", "d")
    bot = await fleet.bot("Executor", capacity=9)

    brought = (await bot.report(await bot.one(), output=1, claim={"max": 2, "claim_id": "c1"})).json["leases"]
    again = (await bot.lease(max=2, claim_id="c1")).json["leases"]

    assert [lease["subtask"]["key"] for lease in brought] == ["b", "c"]
    assert {lease["lease_id"] for lease in again} == {lease["lease_id"] for lease in brought}


async def test_a_batch_of_reports_brings_the_next_work_along(client: Caller, fleet: Fleet) -> None:
    await submitted(client, "a", "b")
    bot = await fleet.bot("Executor", capacity=9)
    result = {"lease_id": (await bot.one())["lease_id"], "status": "succeeded", "output": 1}

    answer = await bot.call.post("/results", {"bot_id": bot.id, "results": [result], "claim": {"max": 1}})

    assert [lease["subtask"]["key"] for lease in answer.json["leases"]] == ["b"]


async def test_a_batch_takes_plans_outputs_verdicts_and_failures(client: Caller, fleet: Fleet) -> None:
    async def tell(bot: BotCaller, **result: Json) -> Json:
        answer = await bot.call.post("/results", {"bot_id": bot.id, "results": [result]})
        return answer.json["results"][0]

    task_id = await submitted(client, evaluation="final", defaults={"max_attempts": 9})
    planner, executor, evaluator = [await fleet.bot(kind) for kind in ("Planner", "Executor", "Evaluator")]

    await planner.one()
    planned = await tell(planner, task_id=task_id, status="succeeded", plan={"subtasks": [{"description": ""}]})
    first = await executor.one()
    error = {"class": "rate_limited", "message": "slow down", "retry_after_seconds": 0.001}
    failed = await tell(executor, lease_id=first["lease_id"], status="failed", error=error)
    second = await executor.one()
    told = {"status": "succeeded", "output": "done", "usage": {"tokens": 3}}
    done = await tell(executor, lease_id=second["lease_id"], **told)
    await evaluator.one()
    judged = await tell(evaluator, task_id=task_id, status="succeeded", verdict={"decision": "reject"})

    assert [planned["task_status"], failed["task_status"]] == ["PLANNED", "IN_PROGRESS"]
    assert second["previous"]["error"]["message"] == "slow down"
    assert [done["task_status"], judged["task_status"]] == ["COMPLETED", "FAILED"]
    task = (await client.get(f"/tasks/{task_id}")).json
    assert (task["result"], task["usage"]["tokens"]) == ({"s1": "done"}, 3)
    assert (await tell(executor, lease_id=first["lease_id"], status="succeeded", output="late"))["accepted"] is False


async def test_what_attempts_have_used_is_added_up(client: Caller, fleet: Fleet) -> None:
    task_id = await submitted(client, "a")
    bot = await fleet.bot("Executor")

    await bot.report(await bot.one(), output=1, usage={"tokens": 12, "cost_micro_usd": 40})

    usage = (await client.get(f"/tasks/{task_id}")).json["usage"]
    assert (usage["tokens"], usage["cost_micro_usd"]) == (12, 40)


async def test_a_failure_says_whether_why_and_when_to_try_again(client: Caller, fleet: Fleet) -> None:
    task_id = await submitted(client, "a", defaults={"max_attempts": 1})
    bot = await fleet.bot("Executor")

    error = {"class": "rate_limited", "message": "slow down", "retry_after_seconds": 60}
    assert (await bot.report(await bot.one(), error=error)).json["task_status"] == "IN_PROGRESS"

    (attempt,) = (await client.get(f"/tasks/{task_id}/subtasks/a")).json["attempts"]
    assert attempt["error"]["message"] == "slow down"
    # By the usual rule it would come back after a second and a quarter at most.
    assert (await bot.lease(wait_seconds=1.5)).json["leases"] == []


async def test_a_rate_limit_with_a_scope_holds_back_all_bots_of_the_scope(client: Caller, fleet: Fleet) -> None:
    task_id = await submitted(client, "a", "b")
    named, labelled = await fleet.bot("Executor", "one"), await fleet.bot("Executor", "two", labels={"model": "a:b"})

    error = {"class": "rate_limited", "message": "slow down", "retry_after_seconds": 60, "scope": "a:b"}
    assert (await named.report(await named.one(), error=error)).status == 200

    for bot in (named, labelled):
        answer = (await bot.lease(wait_seconds=0)).json
        assert (answer["leases"], answer["reason"]) == ([], "rate_limited")
    waiting = {each["key"]: each for each in (await client.get(f"/tasks/{task_id}:explain")).json["waiting"]}
    assert waiting["b"]["reason"] == "rate_limited"
    assert "a:b is rate limited until " in waiting["b"]["detail"]
    assert 50 < seconds_between(waiting["b"]["since"], waiting["b"]["until"]) < 70
    (deferred,) = (
        event["data"]
        for event in (await client.get(f"/tasks/{task_id}/events")).json["items"]
        if event["type"].endswith("work.deferred.v1")
    )
    assert (deferred["scope"], deferred["in_seconds"]) == ("a:b", 60)


@pytest.mark.parametrize("name", ["scope", "retry_after_seconds"])
async def test_only_a_rate_limit_has_a_scope_and_a_time(client: Caller, fleet: Fleet, name: str) -> None:
    await submitted(client, "a")
    bot = await fleet.bot("Executor")
    lease = await bot.one()

    answer = await bot.report(lease, error={"class": "retryable", name: "a" if name == "scope" else 1})

    assert (answer.status, answer.json["code"]) == (422, "invalid")
    assert name in answer.json["errors"][0]["detail"]


async def test_a_verdict_is_shown_with_all_that_was_seen(client: Caller, fleet: Fleet) -> None:
    task_id = await submitted(client, "a", evaluation="final", acceptance_criteria=["short"])
    executor, evaluator = await fleet.bot("Executor"), await fleet.bot("Evaluator")
    await executor.report(await executor.one(), output=1)
    verdict = {
        "decision": "accept",
        "score": 0.75,
        "reasons": ["it is short"],
        "findings": [
            {"category": "safety", "severity": "major", "criterion": 0, "subtask": "a", "text": "a sharp edge"}
        ],
    }

    await evaluator.report(await evaluator.one(), verdict=verdict)

    assert (await client.get(f"/tasks/{task_id}")).json["verdict"] == verdict


async def test_rework_does_again_what_it_names_and_adds_what_is_missing(client: Caller, fleet: Fleet) -> None:
    await submitted(client, "a", "b", evaluation="final")
    executor, evaluator = await fleet.bot("Executor"), await fleet.bot("Evaluator")
    for lease in (await executor.lease(max=2)).json["leases"]:
        await executor.report(lease, output=1)
    verdict = {
        "decision": "rework",
        "targets": [{"subtask": "b", "feedback": "longer"}],
        "subtasks": [{"key": "c", "description": "was forgotten"}],
    }

    await evaluator.report(await evaluator.one(), verdict=verdict)
    leases = (await executor.lease(max=9)).json["leases"]

    again = {lease["subtask"]["key"]: [one["text"] for one in lease["feedback"]] for lease in leases}
    assert again == {"b": ["longer"], "c": []}


# ---- beats ---------------------------------------------------------------------------------------------------------


async def test_what_a_bot_says_on_its_way_is_shown_with_its_subtask(
    client: Caller, admin: Caller, swarm: Orchestrator, fleet: Fleet
) -> None:
    path = f"/tasks/{await submitted(client, 'a')}/subtasks/a"
    auditor = Caller(swarm.app, await swarm.make_key("auditor"))
    bot = await fleet.bot("Executor")
    lease = await bot.one()
    said = {"fraction": 0.4, "message": "page 12 of 30", "log": ["began", "half way"]}

    before = (await client.get(path)).json["progress"]
    await beat(bot, lease, progress=said)

    assert before is None
    assert (await client.get(path)).json["progress"] == said
    assert (await auditor.get(path)).json["progress"] is None
    await bot.report(lease, output=1)
    assert (await client.get(path)).json["progress"] is None


async def test_what_was_used_until_the_last_beat_counts_though_nothing_is_reported(
    client: Caller, fleet: Fleet
) -> None:
    path = f"/tasks/{await submitted(client, 'a')}"
    bot = await fleet.bot("Executor")
    lease = await bot.one()

    await beat(bot, lease, usage={"tokens": 5})
    await beat(bot, lease, usage={"tokens": 9, "cost_micro_usd": 2})
    await bot.call.post(f"/leases/{lease['lease_id']}:release", {})

    (attempt,) = (await client.get(f"{path}/subtasks/a")).json["attempts"]
    assert attempt["usage"] == {"tokens": 9, "cost_micro_usd": 2}


# ---- bots and keys -------------------------------------------------------------------------------------------------


async def test_a_bot_is_what_it_says_it_is(admin: Caller) -> None:
    said = {
        "type": "Evaluator",
        "version": "2.1",
        "name": "judge",
        "instance": "pod-7",
        "endpoint": "http://bots.example/7",
        "skills": ["law"],
        "capacity": 7,
        "dedicated": True,
        "labels": {"zone": "b"},
    }

    made = await admin.post("/bots/register", said)
    other = await admin.post("/bots/register", {**said, "instance": "pod-8"})
    again = await admin.post("/bots/register", {**said, "version": "2.2"})

    assert {name: made.json[name] for name in said} == said
    assert (other.status, other.json["id"] != made.json["id"]) == (201, True)
    assert (again.status, again.json["id"], again.json["version"]) == (200, made.json["id"], "2.2")


async def test_a_bot_without_a_name_has_its_keys_else_its_default_else_its_id(
    admin: Caller, swarm: Orchestrator
) -> None:
    said = {"type": "Executor", "version": "1", "default_name": "count"}
    bound = admin.with_key(await swarm.make_key("bot:executor", bot="words"))

    assert (await admin.post("/bots/register", said)).json["name"] == "count"
    assert (await admin.post("/bots/register", {**said, "name": "mine"})).json["name"] == "mine"
    assert (await bound.post("/bots/register", said)).json["name"] == "words"
    nameless = (await admin.post("/bots/register", {"type": "Executor", "version": "1"})).json
    assert nameless["name"] == nameless["id"]
    assert (await admin.post("/bots/register", said)).status == 200


async def test_what_only_the_server_sets_is_ignored_of_a_bot(admin: Caller) -> None:
    made = await admin.post("/bots/register", {"type": "Executor", "version": "1", "id": "b-1", "status": "draining"})

    assert (made.status, made.json["status"]) == (201, "active")
    assert made.json["id"].startswith("bot_")


async def test_a_bot_is_handed_no_more_and_nothing_else_than_it_said(client: Caller, fleet: Fleet) -> None:
    subtasks = [{"key": key, "description": "", "required_skills": ["count"]} for key in "abc"]
    await submitted(client, subtasks=[{"key": "any", "description": ""}, *subtasks])
    bot = await fleet.bot("Executor", skills=["count"], capacity=2, dedicated=True)

    leases = (await bot.lease(max=9)).json["leases"]

    assert [lease["subtask"]["key"] for lease in leases] == ["a", "b"]


async def test_a_key_is_good_for_what_it_was_made_for(admin: Caller) -> None:
    asked = {"role": "bot:executor", "bot": "counter", "owner": "ann", "skills": ["count"], "expires_days": 2}
    made = (await admin.post("/keys", asked)).json
    holder = admin.with_key(made["key"])
    bot = {"type": "Executor", "version": "1"}

    other_type = await holder.post("/bots/register", {**bot, "type": "Planner"})
    other_name = await holder.post("/bots/register", {**bot, "name": "drawer"})
    other_skill = await holder.post("/bots/register", {**bot, "skills": ["draw"]})
    registered = await holder.post("/bots/register", bot)

    assert [each.status for each in (other_type, other_name, other_skill)] == [403] * 3
    assert {name: registered.json[name] for name in ("name", "owner", "skills")} == {
        "name": asked["bot"],
        "owner": "ann",
        "skills": ["count"],
    }
    # It is made in the time of the engine, and expires by the wall clock.
    assert seconds_between(made["created_at"], made["expires_at"]) == pytest.approx(2 * 86_400, abs=1)


async def test_code_that_does_not_end_is_shown_where_it_stands_and_takes_its_place(
    admin: Caller, client: Caller, fleet: Fleet
) -> None:
    task = await submitted(client, "a")
    bot = await fleet.bot("Executor", "worker", capacity=1)
    secret = "ghp_" + "a1B2" * 9
    stuck = {"work_id": "sub_1", "seconds": 60, "where": f"bot.py:12 in {secret}"}

    async def beats(**said: Json) -> None:
        assert (await bot.call.post(f"/bots/{bot.id}:heartbeat", said)).status == 200

    async def waits_for() -> str:
        [waiting] = (await client.get(f"/tasks/{task}:explain")).json["waiting"]
        return f"{waiting['reason']}: {waiting['detail']}"

    await beats(stuck=[stuck])

    [shown] = (await admin.get(f"/bots/{bot.id}")).json["stuck"]
    assert shown["work_id"] == "sub_1"
    assert shown["where"].startswith("bot.py:12 in ")
    assert secret not in shown["where"]
    assert (await admin.get("/bots")).json["items"][0]["stuck"] == [shown]
    assert 59 < seconds_between(shown["since"], (await admin.get(f"/bots/{bot.id}")).json["last_seen"]) < 90
    assert "worker is stuck in bot.py:12 in" in await waits_for()
    assert (await waits_for()).startswith("bots_at_capacity: ")

    await beats()

    assert (await admin.get(f"/bots/{bot.id}")).json["stuck"] == []
    assert (await waits_for()).startswith("queued: ")
    await beats(stuck=[stuck])
    await bot.call.post("/bots/register", {"type": "Executor", "version": "1", "name": "worker"})
    assert (await admin.get(f"/bots/{bot.id}")).json["stuck"] == []  # its process has just begun
