"""The SDK with a real orchestrator in the same process, in real time."""

import asyncio
from datetime import date
from typing import Any

import pytest

from swarmkeeper import (
    Accept,
    Candidate,
    Client,
    Context,
    Done,
    Failed,
    Later,
    Plan,
    Rework,
    SubTask,
    TaskDefinition,
    evaluator,
    executor,
    planner,
)
from swarmkeeper.app import Orchestrator
from swarmkeeper.sdk.errors import NotFound, Refused, Unauthenticated
from swarmkeeper.sdk.runner import serve
from tests.sdk.bot_thread import Serving


@executor(skills={"count"}, name="counter", capacity=4)
async def counter(subtask: SubTask, context: Context) -> Done:
    context.use(tokens=3)
    if context.upstream:
        return Done({"words": sum(output["words"] for output in context.upstream.values())})
    return Done({"words": len(subtask.input["text"].split())})


def counting(text: str = "to be or not", **fields: Any) -> dict[str, Any]:
    return {"description": "count", "required_skills": ["count"], "input": {"text": text}, **fields}


async def ended(client: Client, **fields: Any) -> Any:
    task = await client.submit("Count", evaluation=fields.pop("evaluation", "none"), **fields)
    return await client.wait(task.id, timeout=30)


async def test_a_task_is_completed_by_one_bot_of_each_kind(client: Client, serving: Serving) -> None:
    @planner(skills={"plan"})
    async def plan(task: TaskDefinition) -> Plan:
        texts = task.input["texts"]
        counts = [SubTask.model_validate(counting(text, key=f"c{n}")) for n, text in enumerate(texts)]
        total = SubTask.model_validate(counting("", key="total", depends_on=[f"c{n}" for n in range(len(texts))]))
        return Plan([*counts, total])

    @evaluator(skills={"judge"})
    def judge(candidate: Candidate) -> Accept | Rework:
        assert candidate.of == "task"
        return Accept(1.0, ["counted"]) if candidate.results["total"]["words"] == 6 else Rework({"total": "no"})

    async with serving(plan, counter, judge):
        task = await ended(client, evaluation="final", input={"texts": ["to be", "or not to be"]})

        assert (task.status, task.outcome, task.failure) == ("ARCHIVED", "accepted", None)
        assert task.result == {"total": {"words": 6}}
        assert task.usage.tokens == 9
        assert (task.verdict.score, task.verdict.reasons) == (1.0, ["counted"])
        graph = await client.graph(task.id)
        assert [node.status for node in graph.nodes] == ["SUCCEEDED"] * 3
        assert [event.sequence async for event in client.events(task.id, follow=True)] == list(
            range(1, 1 + len([event async for event in client.events(task.id)]))
        )


async def test_rework_comes_with_its_feedback(client: Client, serving: Serving) -> None:
    seen: list[list[str]] = []

    @executor(skills={"count"})
    async def improving(subtask: SubTask, context: Context) -> Done:
        seen.append([each.text for each in context.feedback])
        return Done({"good": bool(context.feedback)})

    @evaluator(skills={"judge"})
    async def judge(candidate: Candidate) -> Accept | Rework:
        if candidate.results["a"]["good"]:
            return Accept(reasons=[f"round {candidate.round}"])
        return Rework({"a": "do it well"}, ["badly done"])

    async with serving(improving, judge):
        task = await ended(client, evaluation="final", subtasks=[counting(key="a")])

    assert (task.outcome, task.round) == ("accepted", 2)
    assert seen == [[], ["do it well"]]


async def test_a_failure_is_tried_again_and_its_checkpoint_goes_on(client: Client, serving: Serving) -> None:
    @executor(skills={"count"})
    async def fragile(subtask: SubTask, context: Context) -> Done | Failed:
        if context.resumed_from is None:
            context.checkpoint({"page": 3})
            return Failed("not yet")
        assert context.previous is not None
        return Done({"page": context.resumed_from["page"], "before": context.previous.ending})

    async with serving(fragile):
        task = await ended(client, subtasks=[counting(key="a")])

    assert task.result == {"a": {"page": 3, "before": "failed"}}


async def test_later_costs_no_try(client: Client, serving: Serving) -> None:
    @executor(skills={"count"})
    async def hesitant(subtask: SubTask, context: Context) -> Done | Later:
        return Done({}) if context.attempt > 2 else Later()

    async with serving(hesitant):
        task = await ended(client, subtasks=[counting(key="a")])

        assert task.outcome == "accepted"
        attempts = (await client.subtask(task.id, "a")).attempts
        assert [attempt.ending for attempt in attempts] == ["released"] * 2 + ["succeeded"]


async def test_an_exception_ends_in_a_failure_that_says_what_happened(client: Client, serving: Serving) -> None:
    @executor(skills={"count"})
    def broken(subtask: SubTask) -> Done:
        raise RuntimeError("the kettle is cold")

    async with serving(broken):
        task = await ended(client, subtasks=[counting(key="a", max_attempts=1)])

        assert (task.outcome, task.failure.code) == ("failed", "subtask_failed")
        [attempt] = (await client.subtask(task.id, "a")).attempts
        assert "RuntimeError: the kettle is cold" in (attempt.error or {})["message"]


async def test_a_message_to_an_unknown_bot_fails_the_work(client: Client, serving: Serving) -> None:
    @executor(skills={"count"})
    async def talker(subtask: SubTask, context: Context) -> Done:
        context.tell("other", {"hello": 1})
        return Done()

    async with serving(talker):
        task = await ended(client, subtasks=[counting(key="a")])

        assert task.outcome == "failed"


async def test_cancelling_a_task_stops_the_code_that_works_on_it(client: Client, serving: Serving) -> None:
    began, stopped = asyncio.Event(), asyncio.Event()

    @executor(skills={"count"}, lease_seconds=3)
    async def slow(subtask: SubTask, context: Context) -> Done:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            if context.cancelled:
                stopped.set()
        return Done()

    async with serving(slow):
        task = await client.submit("Count", subtasks=[counting()], evaluation="none")
        await asyncio.wait_for(began.wait(), 10)

        cancelled = await client.cancel(task.id, "no longer needed")

        assert cancelled.outcome == "cancelled"
        await asyncio.wait_for(stopped.wait(), 10)


async def test_a_large_output_reaches_the_subtask_that_depends_on_it(client: Client, serving: Serving) -> None:
    large = "x" * 400_000

    @executor(skills={"count"})
    async def passing(subtask: SubTask, context: Context) -> Done:
        if context.upstream:
            return Done({"length": len(context.upstream["a"]["large"])})
        return Done({"large": large})

    async with serving(passing):
        task = await ended(client, subtasks=[counting(key="a"), counting(key="b", depends_on=["a"])])

        assert task.result == {"b": {"length": 400_000}}
        assert await client.output(task.id, "a") == {"large": large}


async def test_many_results_at_once_are_all_taken(client: Client, serving: Serving) -> None:
    async with serving(counter):
        task = await ended(client, subtasks=[counting("a " * n, key=f"k{n}") for n in range(60)])

    assert task.result == {f"k{n}": {"words": n} for n in range(60)}


async def test_unfinished_work_of_a_draining_bot_is_given_back(client: Client) -> None:
    began = asyncio.Event()

    @executor(skills={"count"}, name="endless")
    async def endless(subtask: SubTask, context: Context) -> Done:
        context.checkpoint({"page": 9})
        began.set()
        await asyncio.sleep(60)
        return Done()

    stop = asyncio.Event()
    served = asyncio.create_task(serve([endless], client, stop=stop, drain_seconds=0.1))
    task = await client.submit("Count", subtasks=[counting(key="a")], evaluation="none")
    await asyncio.wait_for(began.wait(), 10)

    stop.set()
    await served

    given_back = await client.subtask(task.id, "a")
    assert given_back.status == "READY"
    assert [attempt.ending for attempt in given_back.attempts] == ["released"]


async def test_the_client_controls_and_lists_tasks(client: Client) -> None:
    one = await client.submit("One", subtasks=[counting()], labels={"team": "a"})
    two = await client.submit("Two", subtasks=[counting()], priority=9)

    assert (await client.pause(one.id)).holds == ["paused"]
    assert (await client.resume(one.id)).holds == []
    assert (await client.patch(one.id, priority=7, labels={"team": "b"})).priority == 7
    assert [task.id async for task in client.tasks(label="team:b")] == [one.id]
    assert {task.id async for task in client.tasks(status="PLANNED")} == {one.id, two.id}
    await client.cancel(one.id)
    assert (await client.retry(one.id)).outcome is None
    await client.cancel(one.id)
    assert (await client.archive(one.id)).status == "ARCHIVED"
    assert [subtask.key async for subtask in client.subtasks(two.id)] == ["s1"]
    items = await client.submit_many(["Three", {"title": ""}])
    assert [item.status for item in items] == [201, 422]
    assert (await client.health()).status == "ok"
    with pytest.raises(NotFound):
        await client.get("tsk_0")
    with pytest.raises(Refused, match="/nonsense"):
        await client.submit("Four", nonsense=1)


async def test_the_client_counts_tasks_and_lists_them_as_rows(client: Client, serving: Serving) -> None:
    async with serving(counter):
        done = await client.submit("Count one", subtasks=[counting()], labels={"team": "a"}, evaluation="none")
        await client.wait(done.id, timeout=30)
    waiting = await client.submit("Count two", subtasks=[counting()], labels={"team": "b"})

    assert [task.id async for task in client.tasks(q="count tw")] == [waiting.id]
    rows = {row.id: row async for row in client.task_rows(q="count")}
    assert rows[done.id].last_bot is not None
    assert rows[done.id].started_at is not None
    assert rows[waiting.id].ended_at is None
    counted = await client.count_tasks()
    assert (counted.number, counted.at_least, counted.outcomes) == (2, False, {"accepted": 1})
    assert (await client.count_tasks(label="team:b")).number == 1
    labels = [(label.key, label.value, label.tasks) async for label in client.task_labels()]
    assert labels == [("team", "a", 1), ("team", "b", 1)]
    assert [label.value async for label in client.task_labels(key="team")] == ["a", "b"]
    report = await client.costs("bot", last="2026-01-01", first=date(2026, 1, 1))
    assert (report.items, report.total.attempts, report.first_day) == ([], 0, "2026-01-01")


async def test_the_client_administers_keys_and_bots(swarm: Orchestrator, client: Client, serving: Serving) -> None:
    made = await client.create_key("client", expires_days=1)
    assert made.key is not None
    stranger = swarm.client(made.key)
    assert [task.id async for task in stranger.tasks()] == []

    async with serving(counter):
        await ended(client, subtasks=[counting()])
        [bot] = [bot async for bot in client.bots() if bot.name == "counter"]
        assert (await client.drain_bot(bot.id)).status == "draining"
        assert (await client.enable_bot(bot.id)).status == "active"
        assert "count" in [skill.skill async for skill in client.skills()]

    rotated = await client.rotate_key(made.id)
    assert rotated.key != made.key
    await client.revoke_key(made.id)
    with pytest.raises(Unauthenticated):
        await stranger.calls.call("GET", "/tasks", patience=0)
    listed = client.keys()
    assert made.id in [key.id async for key in listed]
    await client.delete_bot(bot.id)


async def test_a_providers_rate_limit_costs_no_try(client: Client, serving: Serving) -> None:
    class RateLimitError(Exception):
        status_code = 429

    @executor(skills={"count"})
    async def limited(subtask: SubTask, context: Context) -> Done:
        if context.attempt == 1:
            try:
                raise RateLimitError("slow down")
            except RateLimitError as error:
                raise RuntimeError("the model could not be asked") from error
        return Done()

    async with serving(limited):
        task = await ended(client, subtasks=[counting(key="a", max_attempts=1)])

        assert task.outcome == "accepted"
        attempts = (await client.subtask(task.id, "a")).attempts
        assert [attempt.ending for attempt in attempts] == ["deferred", "succeeded"]
        assert "the model could not be asked" in (attempts[0].error or {})["message"]


async def test_an_invalid_plan_or_verdict_is_corrected_in_the_same_attempt(client: Client, serving: Serving) -> None:
    heard: list[str] = []

    @planner(skills={"plan"})
    async def plan(task: TaskDefinition, context: Context) -> Plan:
        heard.extend(each.text for each in context.feedback)
        return Plan([counting(depends_on=[] if context.feedback else ["nobody"])])

    @evaluator(skills={"judge"})
    async def judge(candidate: Candidate, context: Context) -> Accept | Rework:
        heard.extend(each.text for each in context.feedback)
        return (
            Accept() if context.feedback else Rework({"nobody": "again"})
        )  # only the orchestrator knows that the key is wrong

    async with serving(plan, counter, judge):
        task = await ended(client, evaluation="final")

        assert (task.outcome, task.round) == ("accepted", 1)
        assert ["/subtasks/0/depends_on/0" in text or "/verdict/targets/0/subtask" in text for text in heard] == [
            True
        ] * 2
        kinds = [event.type async for event in client.events(task.id)]
        assert not any("attempt_failed" in kind for kind in kinds)
        assert sum("work.leased" in kind for kind in kinds) == 3
