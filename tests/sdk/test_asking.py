"""Bots that ask a person, and clients that answer; with the real orchestrator."""

import asyncio
from typing import Any

import pytest

from swarmkeeper import (
    Accept,
    Ask,
    Candidate,
    Client,
    Context,
    Done,
    Plan,
    SubTask,
    TaskDefinition,
    evaluator,
    executor,
    planner,
    sync,
)
from swarmkeeper.sdk.answers import InvalidAnswer
from swarmkeeper.sdk.errors import Conflict, Refused
from swarmkeeper.wire.people import Approval
from tests.sdk.bot_thread import Serving
from tests.sdk.script import TIME, Answer, Script

COLOUR = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}


@executor(name="painter")
async def painter(subtask: SubTask, context: Context) -> Done | Ask:
    if not context.answers:
        return Ask("which colour?", schema=COLOUR, expires_in_seconds=3600)
    return Done({"painted": context.answers[0].answer["colour"], "attempt": context.attempt})


@planner(name="architect")
async def architect(task: TaskDefinition, context: Context) -> Plan | Ask:
    if not context.answers:
        return Ask("how many?", choices=["one", "two"])
    return Plan([{"description": "x"}] * (1 if context.answers[0].answer == "one" else 2))


@executor(name="worker")
async def worker(subtask: SubTask) -> Done:
    return Done({})


@evaluator(name="judge")
async def judge(candidate: Candidate, context: Context) -> Accept | Ask:
    return Accept(reasons=[str(context.answers[0].answer)]) if context.answers else Ask("good?")


async def asked(client: Client, task_id: str) -> Approval:
    """Wait until the task asks a person something, and return it."""
    async with asyncio.timeout(20):
        while True:
            async for approval in client.approvals(state="open", task_id=task_id):
                return approval
            await asyncio.sleep(0.02)


async def test_an_executors_question_is_answered_in_its_next_attempt(client: Client, serving: Serving) -> None:
    async with serving(painter):
        task = await client.submit("Paint", evaluation="none", subtasks=[{"key": "a", "description": "paint"}])
        question = await asked(client, task.id)
        with pytest.raises(Refused) as refused:
            await client.answer(question.id, {"colour": "green"})
        decided = await client.answer(question.id, {"colour": "blue"})
        ended = await client.wait(task.id, timeout=20)

    assert (question.question, question.schema_, question.asked_by) == ("which colour?", COLOUR, "painter")
    assert 3599 <= (question.expires_at - question.opened_at).total_seconds() <= 3601
    assert refused.value.problems[0].pointer == "/answer/colour"
    assert decided.decision is not None
    assert (decided.state, decided.decision.answer) == ("decided", {"colour": "blue"})
    assert ended.result == {"a": {"painted": "blue", "attempt": 2}}


async def test_planners_and_evaluators_may_ask_too(client: Client, serving: Serving) -> None:
    async with serving(architect, worker, judge):
        task = await client.submit("Build")
        how_many = await asked(client, task.id)
        await client.answer(how_many.id, "two")
        good = None
        while good is None or good.id == how_many.id:
            good = await asked(client, task.id)
        await client.answer(good.id, "very")
        ended = await client.wait(task.id, timeout=20)

    assert how_many.choices == ["one", "two"]
    assert (str(ended.outcome), ended.subtasks_total) == ("accepted", 2)
    assert ended.verdict is not None
    assert ended.verdict.reasons == ["very"]


async def test_a_rejected_question_fails_the_work(client: Client, serving: Serving) -> None:
    async with serving(painter):
        task = await client.submit("Paint", evaluation="none", subtasks=[{"description": "paint"}])
        await client.reject((await asked(client, task.id)).id, "no time")
        ended = await client.wait(task.id, timeout=20)

    assert ended.failure is not None
    assert (str(ended.outcome), str(ended.failure.code)) == ("rejected", "approval_denied")


async def test_an_invalid_question_fails_the_attempt_with_the_reason(client: Client, serving: Serving) -> None:
    @executor(name="confused")
    async def confused(subtask: SubTask) -> Ask:
        return Ask("what?", schema={"type": "text"})

    async with serving(confused):
        one = {"key": "a", "description": "x", "max_attempts": 1}
        task = await client.submit("Ask", evaluation="none", subtasks=[one])
        await client.wait(task.id, timeout=20)
        (attempt,) = (await client.subtask(task.id, "a")).attempts

    assert attempt.error is not None
    assert "/schema/type" in attempt.error["message"]


def test_choices_are_a_list_of_texts() -> None:
    with pytest.raises(InvalidAnswer):
        Ask("which?", choices="red")


async def test_an_approval_names_the_version_that_the_person_has_read(client: Client, serving: Serving) -> None:
    async with serving(worker):
        task = await client.submit("Plan", evaluation="none", approval="plan", subtasks=[{"description": "x"}])
        plan = await asked(client, task.id)
        with pytest.raises(Conflict) as stale:
            await client.approve(plan.id, "0" * 64)
        decided = await client.approve(plan.id, plan.subject_hash, "go")
        ended = await client.wait(task.id, timeout=20)

    assert stale.value.code == "stale_approval"
    assert decided.decision is not None
    assert (decided.decision.verb, decided.decision.comment) == ("approve", "go")
    assert (await client.approval(plan.id)) == decided
    assert str(ended.outcome) == "accepted"


def test_the_client_without_coroutines_decides_approvals_with_the_same_calls() -> None:
    shown: dict[str, Any] = {
        "id": "apr_1",
        "kind": "question",
        "state": "open",
        "task_id": "tsk_1",
        "subject_hash": "h",
        "opened_at": TIME,
        "expires_at": TIME,
    }
    script = Script()
    script.on("GET", "/approvals", {"items": [shown], "next_page_token": ""})
    script.on("GET", "/approvals/apr_1", shown)
    for verb in ("approve", "reject", "answer"):
        script.on("POST", f"/approvals/apr_1:{verb}", Answer({**shown, "state": "decided"}))

    with sync.Client("http://swarm.test", "k1", transport=script) as swarm:
        listed = [approval.id for approval in swarm.approvals(state="open", task_id="tsk_1")]
        read = swarm.approval("apr_1")
        states = [
            swarm.approve("apr_1", "h").state,
            swarm.reject("apr_1", "no").state,
            swarm.answer("apr_1", None).state,
        ]

    assert (listed, read.id, states) == (["apr_1"], "apr_1", ["decided"] * 3)
    sent = {call.path: call.body for call in script.calls if call.method == "POST"}
    assert sent == {
        "/approvals/apr_1:approve": {"subject_hash": "h"},
        "/approvals/apr_1:reject": {"reason": "no"},
        "/approvals/apr_1:answer": {"answer": None},
    }
    assert all("idempotency-key" in call.headers for call in script.calls if call.method == "POST")
    assert "state=open" in script.calls[0].query
