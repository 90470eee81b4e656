"""What a client says of a task has its effect: on who gets it, when, how often, and how it ends."""

import pytest

from swarmkeeper.app import Orchestrator
from tests.effects.conftest import attempt_seconds, audited, ended, submitted
from tests.http.conftest import Caller, Fleet, Json

HOUR = 3600


async def test_what_a_task_says_reaches_whoever_plans_it(client: Caller, fleet: Fleet) -> None:
    said = {
        "title": "Count",
        "description": "three pages",
        "input": {"pages": 3},
        "labels": {"team": "search"},
        "metadata": {"ticket": 7},
        "acceptance_criteria": ["all are counted"],
        "priority": 7,
    }
    made = (await client.post("/tasks", said)).json

    handed = (await (await fleet.bot("Planner")).one())["task"]

    assert {name: made[name] for name in said} == said
    assert {name: handed[name] for name in said} == said


async def test_what_only_the_server_sets_is_ignored_in_a_task(client: Caller) -> None:
    founding = {"id": "t-1", "created_at": "1999-01-01T00:00:00Z", "status": "ARCHIVED"}
    subtask = {"id": "st-1", "parent_task_id": "t-0", "status": "SUCCEEDED", "description": "count"}

    answer = await client.post("/tasks", {"title": "t", **founding, "subtasks": [subtask]})

    task = answer.json
    (made,) = task["subtasks"]
    assert (answer.status, task["status"], task["id"][:4]) == (201, "PLANNED", "tsk_")
    assert not task["created_at"].startswith("1999")
    assert (made["id"][:4], made["parent_task_id"], made["status"]) == ("sub_", task["id"], "READY")


async def test_what_is_more_urgent_goes_first(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", capacity=9)
    late = await submitted(client, "later")
    await submitted(client, "plain")
    subtasks = [{"key": "urgent", "description": ""}, {"key": "own", "description": "", "priority": 8}]
    await submitted(client, priority=7, subtasks=subtasks)
    await client.call("PATCH", f"/tasks/{late}", {"priority": 9})

    order = [lease["subtask"]["key"] for lease in (await bot.lease(max=9)).json["leases"]]

    assert order == ["later", "own", "urgent", "plain"]


async def test_planning_and_judging_go_to_bots_with_the_skills_that_were_asked_for(
    client: Caller, fleet: Fleet
) -> None:
    await submitted(client, planner_skills=["graphs"], evaluator_skills=["law"], evaluation="final")
    executor = await fleet.bot("Executor")
    for kind, skill, content in (
        ("Planner", "graphs", {"plan": {"subtasks": [{"description": ""}]}}),
        ("Evaluator", "law", {"verdict": {"decision": "accept"}}),
    ):
        simple, able = await fleet.bot(kind, f"simple-{kind}"), await fleet.bot(kind, f"able-{kind}", skills=[skill])
        assert (await simple.lease()).json["leases"] == []
        assert (await able.report(await able.one(), **content)).status == 200
        if kind == "Planner":
            await executor.report(await executor.one(), output=1)


async def test_a_task_whose_deadline_has_passed_is_over(client: Caller) -> None:
    task = await ended(client, await submitted(client, "a", deadline_seconds=0.01))

    assert (task["outcome"], task["failure"]["code"]) == ("expired", "deadline")


async def test_planning_and_judging_may_take_as_long_as_the_task_says(client: Caller, fleet: Fleet) -> None:
    await submitted(client, plan_timeout_seconds=2 * HOUR, review_timeout_seconds=3 * HOUR, evaluation="final")
    planner, executor, evaluator = [await fleet.bot(kind) for kind in ("Planner", "Executor", "Evaluator")]

    plan = await planner.one(lease_seconds=10)
    await planner.report(plan, plan={"subtasks": [{"description": ""}]})
    await executor.report(await executor.one(), output=1)
    review = await evaluator.one(lease_seconds=10)

    assert [attempt_seconds(lease, 10) for lease in (plan, review)] == [2 * HOUR, 3 * HOUR]


async def test_a_subtask_may_take_as_long_as_it_says_or_else_its_task(client: Caller, fleet: Fleet) -> None:
    own = {"key": "own", "description": "", "timeout_seconds": 60}
    await submitted(client, defaults={"timeout_seconds": 120}, subtasks=[own, {"key": "other", "description": ""}])
    bot = await fleet.bot("Executor")

    leases = (await bot.lease(max=2, lease_seconds=10)).json["leases"]

    assert [attempt_seconds(lease, 10) for lease in leases] == [60, 120]


def a_subtask(said: dict[str, Json], *, of_all: bool) -> dict[str, Json]:
    """A plan of one, of which something is said: by itself, or by its task for all there are."""
    return (
        {"defaults": said, "subtasks": [{"description": ""}]} if of_all else {"subtasks": [{"description": "", **said}]}
    )


@pytest.mark.parametrize("of_all", [True, False], ids=["said for all", "said by itself"])
async def test_a_subtask_is_tried_as_often_as_was_said(client: Caller, fleet: Fleet, of_all: bool) -> None:
    more = a_subtask({"max_attempts": 1}, of_all=of_all)
    await submitted(client, **more)
    bot = await fleet.bot("Executor")

    answer = await bot.report(await bot.one(), error={"message": "no"})

    assert answer.json["task_status"] == "FAILED"


@pytest.mark.parametrize("of_all", [True, False], ids=["said for all", "said by itself"])
async def test_a_subtask_is_put_off_for_as_long_as_was_said(client: Caller, fleet: Fleet, of_all: bool) -> None:
    more = a_subtask({"give_up_after_seconds": 0.3}, of_all=of_all)
    await submitted(client, **more)
    bot = await fleet.bot("Executor")
    slow = {"class": "rate_limited", "message": "slow down"}

    first = await bot.report(await bot.one(), error=slow)
    second = await bot.report(await bot.one(), error=slow)

    assert [first.json["task_status"], second.json["task_status"]] == ["IN_PROGRESS", "FAILED"]


@pytest.mark.parametrize("of_all", [True, False], ids=["said for all", "said by itself"])
async def test_a_subtask_that_nobody_takes_in_time_fails(client: Caller, of_all: bool) -> None:
    more = a_subtask({"schedule_to_start_seconds": 0.01}, of_all=of_all)

    task = await ended(client, await submitted(client, **more))

    assert (task["outcome"], task["failure"]["code"]) == ("expired", "no_taker")


@pytest.mark.parametrize("of_all", [True, False], ids=["said for all", "said by itself"])
async def test_a_task_goes_on_without_what_may_fail(client: Caller, fleet: Fleet, of_all: bool) -> None:
    more = a_subtask({"on_failure": "continue"}, of_all=of_all)
    await submitted(client, **more)
    bot = await fleet.bot("Executor")

    answer = await bot.report(await bot.one(), error={"class": "not_retryable"})

    assert answer.json["task_status"] == "ARCHIVED"


async def test_a_subtask_goes_to_a_bot_that_can_do_it_and_says_what_it_is(client: Caller, fleet: Fleet) -> None:
    said = {"key": "count", "description": "the words", "required_skills": ["text"], "input": {"pages": 3}}
    task_id = await submitted(client, subtasks=[said])
    simple, able = await fleet.bot("Executor", "simple"), await fleet.bot("Executor", "able", skills=["text"])

    assert (await simple.lease()).json["leases"] == []
    handed = (await able.one())["subtask"]

    assert {name: handed[name] for name in said} == said
    shown = (await client.get(f"/tasks/{task_id}/subtasks/count")).json
    assert {name: shown[name] for name in said} == said


async def test_a_subtask_goes_to_the_bot_that_it_is_for(client: Caller, fleet: Fleet) -> None:
    await submitted(client, subtasks=[{"description": "", "assign_to": "ann"}])
    bob, ann = await fleet.bot("Executor", "bob"), await fleet.bot("Executor", "ann")

    assert (await bob.lease()).json["leases"] == []
    assert len((await ann.lease()).json["leases"]) == 1


async def test_a_subtask_waits_for_that_end_of_another_that_it_names(client: Caller, fleet: Fleet) -> None:
    subtasks: list[Json] = [
        {"key": "a", "description": ""},
        {"key": "b", "description": ""},
        {"key": "mend", "description": "", "depends_on": [{"key": "b", "when": "failure"}]},
    ]
    task_id = await submitted(client, subtasks=subtasks)
    bot = await fleet.bot("Executor")
    first, second = (await bot.lease(max=3)).json["leases"]

    await bot.report(first, output=1)
    assert (await bot.lease()).json["leases"] == []
    await bot.report(second, error={"class": "not_retryable"})

    assert (await bot.one())["subtask"]["key"] == "mend"
    graph = (await client.get(f"/tasks/{task_id}/graph")).json
    assert graph["edges"] == [{"from": "b", "to": "mend", "when": "failure", "state": "met"}]


# ---- steering ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "retry", "archive"])
async def test_the_reason_for_steering_a_task_is_written_down(swarm: Orchestrator, client: Caller, verb: str) -> None:
    path = f"/tasks/{await submitted(client, 'a')}"
    before = {"resume": "pause", "retry": "cancel", "archive": "cancel"}.get(verb)
    if before is not None:
        assert (await client.post(f"{path}:{before}")).status == 200
    if verb == "retry":
        await until_wound_up(client, path)

    assert (await client.post(f"{path}:{verb}", {"reason": "the moon is full"})).status == 200

    assert (await audited(swarm, f"task.{verb}"))["reason"] == "the moon is full"


async def until_wound_up(client: Caller, path: str) -> None:
    """A task that was cancelled ends its items in slices."""
    for _ in range(100):
        found = (await client.get(f"{path}/subtasks")).json["items"]
        events = (await client.get(f"{path}/events")).json["items"]
        if all(one["status"] == "CANCELLED" for one in found) and "work.cancelled" in str(events):
            return


async def test_a_task_is_retried_with_the_deadline_that_is_given_with_it(client: Caller) -> None:
    path = f"/tasks/{await submitted(client, 'a')}"
    await client.post(f"{path}:cancel")
    await until_wound_up(client, path)

    answer = await client.post(f"{path}:retry", {"deadline_seconds": HOUR})

    assert (answer.status, answer.json["deadline_at"] is not None) == (200, True)


# ---- looking -------------------------------------------------------------------------------------------------------


async def titles(client: Caller, query: str) -> list[str]:
    answer = await client.get(f"/tasks?{query}")
    assert answer.status == 200, answer.json
    return [task["title"] for task in answer.json["items"]]


async def test_a_list_of_tasks_holds_those_that_were_asked_for_in_the_order_asked_for(client: Caller) -> None:
    for title, team, priority in (("a", "x", 1), ("b", "y", 9), ("c", "x", 5)):
        await submitted(client, title=title, labels={"team": team}, priority=priority)
    everything = (await client.get("/tasks?order_by=created_at")).json["items"]
    middle = everything[1]["created_at"]
    await client.post(f"/tasks/{everything[0]['id']}:cancel")

    assert await titles(client, "order_by=created_at") == ["a", "b", "c"]
    assert await titles(client, "order_by=priority") == ["b", "c", "a"]
    assert await titles(client, "label=team:x") == ["c", "a"]
    assert await titles(client, "status=FAILED") == ["a"]
    assert await titles(client, "outcome=cancelled") == ["a"]
    assert "c" in await titles(client, f"created_after={middle}")
    assert "a" not in await titles(client, f"created_after={middle}")
    assert "a" in await titles(client, f"created_before={middle}")
    assert "c" not in await titles(client, f"created_before={middle}")


async def test_lists_come_in_pages_of_the_size_asked_for(client: Caller, admin: Caller, fleet: Fleet) -> None:
    task_id = await submitted(client, "a", "b", "c")
    for n in range(3):
        await fleet.bot("Executor", f"bot-{n}")

    for path in ("/bots", "/keys", f"/tasks/{task_id}/subtasks"):
        whole = (await admin.get(path)).json["items"]
        found, token = [], ""
        for _ in whole:
            page = (await admin.get(f"{path}?page_size=1&page_token={token}")).json
            assert len(page["items"]) == 1
            found += page["items"]
            token = page["next_page_token"]
        assert (len(found) >= 3, token) == (True, "")
        assert [one["id"] for one in found] == [one["id"] for one in whole]


async def test_the_output_of_an_earlier_attempt_can_still_be_had(client: Caller, fleet: Fleet) -> None:
    task_id = await submitted(client, "a", evaluation="final")
    executor, evaluator = await fleet.bot("Executor"), await fleet.bot("Evaluator")
    await executor.report(await executor.one(), output="draft")
    await evaluator.report(await evaluator.one(), verdict={"decision": "rework"})
    await executor.report(await executor.one(), output="better")

    path = f"/tasks/{task_id}/subtasks/a/output"
    assert (await client.get(path)).json == "better"
    assert (await client.get(f"{path}?attempt=1")).json == "draft"


async def test_the_tenants_events_are_read_from_where_and_in_pages_as_asked(admin: Caller) -> None:
    await submitted(admin, "a")
    everything = (await admin.get("/events")).json["items"]
    second = everything[1]["id"]

    page = (await admin.get(f"/events?after={second}&page_size=1")).json
    resumed = (await admin.get("/events", last_event_id=second)).json
    paged = (await admin.get(f"/events?page_token={second}")).json

    assert page["items"] == [everything[2]]
    assert resumed["items"] == paged["items"] == everything[2:]


# ---- once ----------------------------------------------------------------------------------------------------------


async def calls_to_repeat(client: Caller, admin: Caller, fleet: Fleet) -> dict[str, tuple[str, Json]]:
    """Of each call that takes an Idempotency-Key a path and a body."""
    paths = {}
    for verb in ("cancel", "pause", "resume", "retry", "archive"):
        path = f"/tasks/{await submitted(client, 'a')}"
        if verb in ("retry", "archive"):
            await client.post(f"{path}:cancel")
            await until_wound_up(client, path)
        paths[f"{verb}_task"] = f"{path}:{verb}"
    bot = await fleet.bot("Executor")
    keys = [(await admin.post("/keys", {"role": "client"})).json["id"] for _ in range(2)]
    return {call: (path, {}) for call, path in paths.items()} | {
        "submit_task": ("/tasks", {"title": "x"}),
        "submit_tasks": ("/tasks:batch", {"tasks": [{"title": "x"}]}),
        "register_bot": ("/bots/register", {"type": "Executor", "version": "1"}),
        "drain_bot": (f"/bots/{bot.id}:drain", {}),
        "enable_bot": (f"/bots/{bot.id}:enable", {}),
        "create_key": ("/keys", {"role": "client"}),
        "rotate_key": (f"/keys/{keys[0]}:rotate", {}),
        "revoke_key": (f"/keys/{keys[1]}:revoke", {}),
    }


async def test_a_call_repeated_under_its_idempotency_key_is_carried_out_once(
    client: Caller, admin: Caller, fleet: Fleet
) -> None:
    for number, (path, body) in enumerate((await calls_to_repeat(client, admin, fleet)).values()):
        first = await admin.post(path, body, idempotency_key=f"k{number}")
        again = await admin.post(path, body, idempotency_key=f"k{number}")

        assert (first.status // 100, "idempotency-replayed" in first.headers) == (2, False), (path, first.json)
        assert (again.status // 100, again.headers.get("idempotency-replayed")) == (2, "true"), path


async def test_subtasks_of_one_key_wait_for_each_other(client: Caller, fleet: Fleet) -> None:
    limited = {"description": "", "concurrency": [{"key": "repo:main", "max": 2}]}
    task_id = await submitted(client, subtasks=[{"key": key, **limited} for key in ("a", "b", "c")])
    bot = await fleet.bot("Executor")

    leases = (await bot.lease(max=9)).json["leases"]

    assert [lease["subtask"]["key"] for lease in leases] == ["a", "b"]
    assert leases[0]["subtask"]["concurrency"] == [{"key": "repo:main", "max": 2}]
    waiting = {each["key"]: each for each in (await client.get(f"/tasks/{task_id}:explain")).json["waiting"]}
    assert waiting["c"]["reason"] == "concurrency"
    assert waiting["c"]["detail"] == "it waits for its turn with key repo:main: 2 with it run, 1 wait"
    await bot.report(leases[0], output=1)
    assert [lease["subtask"]["key"] for lease in (await bot.lease(max=9)).json["leases"]] == ["c"]


async def test_a_key_is_named_once(client: Caller) -> None:
    twice = {"description": "", "concurrency": [{"key": "a"}, {"key": "a", "max": 2}]}

    answer = await client.post("/tasks", {"title": "t", "subtasks": [twice]})

    assert (answer.status, answer.json["code"]) == (422, "invalid")
    assert "named twice" in answer.json["errors"][0]["detail"]
