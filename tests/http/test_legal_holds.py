"""Retention and legal holds through the application, on a clock that the test moves forward."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from swarmkeeper.access.retention import TRIM_MIN
from swarmkeeper.app import Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.sdk.errors import CursorExpired
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller
from tests.support.cursors import cursors_of

SECOND = 1_000_000
HOUR = 3600 * SECOND


class Forward(SystemClock):
    """A clock that can be moved forward."""

    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead

    def monotonic(self) -> int:
        return super().monotonic() + self.ahead


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[tuple[Orchestrator, Caller, Forward]]:
    clock = Forward()
    async with Orchestrator(Settings(store="sqlite://:memory:", **settings), clock=clock) as swarm:
        yield swarm, Caller(swarm.app, await swarm.make_key("admin")), clock


async def a_cancelled_task(admin: Caller) -> str:
    task: str = (await admin.post("/tasks", {"title": "t"})).json["id"]
    await admin.post(f"/tasks/{task}:cancel")
    return task


async def test_a_finished_task_leaves_after_retention_tasks_seconds() -> None:
    async with running(retention_tasks_seconds=7200) as (swarm, admin, clock):
        task = await a_cancelled_task(admin)
        clock.ahead += HOUR
        await swarm.retention.look()
        assert (await admin.get(f"/tasks/{task}")).status == 200

        clock.ahead += HOUR
        await swarm.retention.look()

        assert (await admin.get(f"/tasks/{task}")).status == 404
        assert (await admin.get("/tasks")).json["items"] == []
        told = (await admin.get("/audit?action=task.erase")).json["items"]
        assert [(record["actor"]["type"], record["task_id"]) for record in told] == [("engine", task)]
        records = (await admin.get(f"/audit?task_id={task}")).json["items"]
        assert [record["erased"] for record in records] == [True, True, False]


async def test_by_default_everything_is_kept() -> None:
    async with running(key_days=0) as (swarm, admin, clock):
        task = await a_cancelled_task(admin)
        clock.ahead += 10_000 * HOUR

        await swarm.retention.look()
        await swarm.retention.look_for_erasures()  # no tenant was erased

        assert (await admin.get(f"/tasks/{task}")).status == 200


async def test_old_records_leave_after_retention_audit_seconds() -> None:
    async with running(retention_tasks_seconds=60, retention_audit_seconds=7200) as (swarm, admin, clock):
        for _ in range(TRIM_MIN // 2):
            await a_cancelled_task(admin)
        clock.ahead += HOUR
        await swarm.retention.look()
        first = (await admin.get("/audit?page_size=1")).json["items"][0]["index"]
        clock.ahead += HOUR
        await swarm.retention.look()

        assert first == 0
        assert (await admin.get("/audit?page_size=1")).json["items"][0]["index"] >= TRIM_MIN


async def test_a_cursor_that_is_too_old_gets_410_with_the_oldest_one() -> None:
    async with running(retention_tasks_seconds=60) as (swarm, admin, clock):
        task = await a_cancelled_task(admin)
        events = (await admin.get("/events")).json["items"]
        kept = (await admin.post("/tasks", {"title": "kept"})).json["id"]
        old = next(event["id"] for event in events if event["data"].get("task_id") == task)
        clock.ahead += HOUR
        await swarm.retention.look()

        refused = await admin.get(f"/events?after={old}")
        stream = await admin.get("/events", accept="text/event-stream", last_event_id=old)
        oldest, cursors = refused.json["oldest_cursor"], await cursors_of(swarm.store)
        one_before = cursors.encode("default", cursors.decode("default", oldest) - 1)
        going_on = await admin.get(f"/events?after={oldest}")

        assert (refused.status, refused.json["code"]) == (410, "cursor_too_old")
        assert refused.headers["link"] == f'<?after={oldest}>; rel="first"'
        assert (stream.status, stream.json["oldest_cursor"]) == (410, oldest)
        assert (await admin.get(f"/events?after={one_before}")).status == 410
        assert going_on.status == 200
        assert any("task.erased" in event["type"] for event in going_on.json["items"])
        assert (await admin.get("/events?after=0")).status == 200
        assert (await admin.get(f"/tasks/{kept}/events?after={old}")).status == 200
        client = swarm.client()
        with pytest.raises(CursorExpired) as expired:
            await anext(client.events(after=old, follow=True))
        assert expired.value.oldest == oldest
        followed = client.events(after=oldest, follow=True)
        assert (await anext(followed)).id == going_on.json["items"][0]["id"]
        await followed.aclose()  # type: ignore[attr-defined]  # it is an asynchronous generator
        await client.aclose()


async def test_holds_are_placed_listed_and_released() -> None:
    async with running(retention_tasks_seconds=60) as (swarm, admin, clock):
        tasks = [await a_cancelled_task(admin) for _ in range(3)]
        for task in tasks[:2]:
            placed = await admin.post("/legal-holds", {"task_id": task, "reason": "case 12"})
            assert (placed.status, placed.json["task_id"], placed.json["reason"]) == (201, task, "case 12")
        clock.ahead += HOUR
        await swarm.retention.look()

        page = (await admin.get("/legal-holds?page_size=1")).json
        rest = (await admin.get(f"/legal-holds?page_size=1&page_token={page['next_page_token']}")).json
        assert [hold["task_id"] for hold in page["items"] + rest["items"]] == sorted(tasks[:2])
        assert [(await admin.get(f"/tasks/{task}")).status for task in tasks] == [200, 200, 404]

        released = await admin.post("/legal-holds:release", {"task_id": tasks[0], "reason": "closed"})
        whole = await admin.post("/legal-holds", {"reason": "all of it"})
        await swarm.retention.look()
        assert released.json == {"task_id": tasks[0], "held": False}
        assert whole.json["task_id"] is None
        assert (await admin.get(f"/tasks/{tasks[0]}")).status == 200, "the whole tenant is held now"

        await admin.post("/legal-holds:release", {"reason": "closed"})
        await swarm.retention.look()
        assert (await admin.get(f"/tasks/{tasks[0]}")).status == 404
        assert (await admin.post("/legal-holds", {"task_id": "tsk_none", "reason": "x"})).status == 404
        assert (await admin.post("/legal-holds", {"task_id": tasks[1]})).status == 422
        kinds = [event["type"] for event in (await admin.get("/events?page_size=200")).json["items"]]
        # Those of the erased task have left with it: nothing proves them any more.
        assert sum("legal_hold.placed" in kind for kind in kinds) == 2
        assert sum("legal_hold.released" in kind for kind in kinds) == 1


async def test_a_hold_placed_again_with_its_idempotency_key_is_replayed() -> None:
    async with running() as (_, admin, _clock):
        for path, again in (("/legal-holds", 201), ("/legal-holds:release", 200)):
            answers = [
                await admin.post(path, {"reason": "case 12"}, idempotency_key=path.replace("/", "")) for _ in range(2)
            ]
            assert [answer.status for answer in answers] == [again, again]
            assert ["idempotency-replayed" in answer.headers for answer in answers] == [False, True]
