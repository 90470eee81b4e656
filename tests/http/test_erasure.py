"""A task is erased because somebody asks for it: whole, with a record of who asked, and not before it may be."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller, Fleet
from tests.sinks.conftest import settings as with_sinks
from tests.support.kept_sessions import _function_scoped_runner  # noqa: F401
from tests.support.postgres import server as postgres

WHY = {"reason": "request 17"}


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    return "sqlite://:memory:" if request.param == "sqlite" else postgres().new_store()


@pytest.fixture
async def admin(store_url: str) -> AsyncIterator[Caller]:
    async with Orchestrator(Settings(store=store_url)) as swarm:
        yield Caller(swarm.app, await swarm.make_key("admin"))


async def submitted(admin: Caller, **more: Any) -> str:
    answer = await admin.post("/tasks", {"title": "of Jane Roe", "input": {"name": "Jane Roe"}, **more})
    assert answer.status == 201, answer.json
    return str(answer.json["id"])


async def a_cancelled_task(admin: Caller) -> str:
    task = await submitted(admin)
    assert (await admin.post(f"/tasks/{task}:cancel")).status == 200
    return task


async def erase(admin: Caller, task: str, **more: Any) -> Any:
    """Ask until the answer is not that the task is still stopping."""
    async with asyncio.timeout(20):
        while True:
            answer = await admin.post(f"/tasks/{task}:erase", {**WHY, **more})
            if answer.status != 409 or answer.json["code"] != "still_stopping":
                return answer
            await asyncio.sleep(0.1)


async def gone(admin: Caller, task: str) -> None:
    async with asyncio.timeout(20):
        while True:
            if (await admin.get(f"/tasks/{task}")).status == 404:
                return
            await asyncio.sleep(0.05)


async def test_what_is_erased_is_gone_and_a_record_says_who_asked_and_why(admin: Caller) -> None:
    task, other = await a_cancelled_task(admin), await a_cancelled_task(admin)

    answer = await erase(admin, task)
    await gone(admin, task)

    assert (answer.status, answer.json) == (202, {"task_id": task})
    assert [each["id"] for each in (await admin.get("/tasks")).json["items"]] == [other]
    feed = (await admin.get("/events?page_size=200")).json["items"]
    assert {event["data"]["task_id"] for event in feed if event["data"].get("task_id")} == {other}
    (told,) = (await admin.get("/audit?action=task.erase")).json["items"]
    assert (told["actor"]["type"], told["task_id"], told["payload"]["reason"]) == ("key", task, "request 17")
    records = (await admin.get(f"/audit?task_id={task}")).json["items"]
    assert [record["erased"] for record in records] == [True, True, False]
    assert "Jane" not in str(records)


async def test_asking_twice_is_asking_once(admin: Caller) -> None:
    task = await a_cancelled_task(admin)

    await asyncio.sleep(1)
    answers = await asyncio.gather(*(admin.post(f"/tasks/{task}:erase", WHY) for _ in range(3)))
    await gone(admin, task)

    assert 202 in {answer.status for answer in answers}
    assert {answer.status for answer in answers} <= {202, 404}, "it is being erased, or gone already"
    assert (await admin.post(f"/tasks/{task}:erase", WHY)).status == 404
    assert len((await admin.get("/audit?action=task.erase")).json["items"]) == 1


async def test_under_an_idempotency_key_the_answer_is_the_same_when_the_task_is_gone(admin: Caller) -> None:
    task = await a_cancelled_task(admin)
    await asyncio.sleep(1)

    first, again = [await admin.post(f"/tasks/{task}:erase", WHY, idempotency_key="e1") for _ in range(2)]
    await gone(admin, task)

    assert (first.status, again.status) == (202, 202)
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_task_that_has_not_ended_is_not_erased(admin: Caller) -> None:
    task = await submitted(admin)

    answer = await erase(admin, task)

    assert (answer.status, answer.json["code"]) == (409, "illegal_transition")
    assert answer.json["detail"] == "a task that has not ended is not erased: cancel it first"
    assert (await admin.get(f"/tasks/{task}")).status == 200


@pytest.mark.parametrize("whole", [False, True])
async def test_a_legal_hold_keeps_what_somebody_wants_erased(admin: Caller, whole: bool) -> None:
    task = await a_cancelled_task(admin)
    hold = {"reason": "case 12"} | ({} if whole else {"task_id": task})
    await admin.post("/legal-holds", hold)

    kept = await erase(admin, task)
    await admin.post("/legal-holds:release", hold)
    let_go = await erase(admin, task)
    await gone(admin, task)

    assert (kept.status, kept.json["detail"]) == (409, "a legal hold keeps this task: release the hold first")
    assert let_go.status == 202


async def test_a_bot_that_still_holds_a_cancelled_lease_is_waited_for(store_url: str) -> None:
    async with Orchestrator(Settings(store=store_url)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        bot = await Fleet(swarm).bot("Executor")
        task = await submitted(admin, subtasks=[{"key": "a", "description": "d"}])
        lease = await bot.one()
        await admin.post(f"/tasks/{task}:cancel")

        await asyncio.sleep(1)
        early = await admin.post(f"/tasks/{task}:erase", WHY)
        assert (await bot.report(lease, output=1)).json["code"] == "task_closed"
        then = await erase(admin, task)
        await gone(admin, task)

    assert (early.status, early.json["detail"]) == (409, "the task is still stopping")
    assert then.status == 202


@pytest.mark.parametrize("role", ["client", "operator", "approver", "auditor", "viewer"])
async def test_only_an_administrator_may_erase(role: str) -> None:
    async with Orchestrator(Settings(store="sqlite://:memory:")) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        task = await a_cancelled_task(admin)
        caller = Caller(swarm.app, await swarm.make_key(role))

        assert (await caller.post(f"/tasks/{task}:erase", WHY)).status == 403
        assert (await admin.get(f"/tasks/{task}")).status == 200


async def test_a_task_of_another_tenant_is_like_none(store_url: str) -> None:
    async with Orchestrator(Settings(store=store_url)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        other = Caller(swarm.app, await swarm.make_key("admin", tenant="acme"))
        task = await a_cancelled_task(admin)
        absent = f"{task[:-1]}{'0' if task[-1] != '0' else '1'}"

        foreign, none = [await other.post(f"/tasks/{each}:erase", WHY) for each in (task, absent)]

        assert foreign.status == none.status == 404
        assert foreign.json["code"] == none.json["code"]
        assert (await admin.get(f"/tasks/{task}")).status == 200


async def test_a_reason_is_required_and_redacted(admin: Caller) -> None:
    task = await a_cancelled_task(admin)

    assert (await admin.post(f"/tasks/{task}:erase", {})).status == 422
    assert (await admin.post(f"/tasks/{task}:erase", {"reason": ""})).status == 422
    await erase(admin, task, reason="ghp_Zx8Kq2Lm5Np7Rs1Tv4WyZx8Kq2Lm5Np7Rs1T")
    await gone(admin, task)

    (told,) = (await admin.get("/audit?action=task.erase")).json["items"]
    assert told["payload"]["reason"].startswith("[redacted:")


async def test_what_a_sink_lacks_is_not_erased_before_it_has_it(tmp_path: Path) -> None:
    sinks = tmp_path / "sinks.toml"
    sinks.write_text(
        '[sink.off]\nkind = "http"\nurl = "http://127.0.0.1:9/"\ninsecure = true\nallow_private = true\n'
        'secrets = ["env:WHSEC"]\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHSEC", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        async with Orchestrator(with_sinks("sqlite://:memory:", sinks)) as swarm:
            admin = Caller(swarm.app, await swarm.make_key("admin"))
            task = await a_cancelled_task(admin)
            await asyncio.sleep(1)
            answer = await admin.post(f"/tasks/{task}:erase", WHY)

    assert (answer.status, answer.json["code"]) == (409, "still_stopping")
    assert answer.json["detail"] == "the feed, or a sink of the audit log, lacks events of this task"
