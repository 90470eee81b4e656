"""What waits with a secret ends within a second when the secret does: by a rotation, or when its overlap is over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.settings import Settings
from tests.http.conftest import Answered, BotCaller, Caller, Json
from tests.http.test_stream import stream

SECOND = 1_000_000


class Forward(SystemClock):
    """A clock whose time of day can be set forward."""

    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead


@pytest.fixture
def clock() -> Forward:
    return Forward()


@pytest.fixture
async def swarm(clock: Forward) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(Settings(store="sqlite://:memory:", key_days=0), clock=clock) as swarm:
        yield swarm


@pytest.fixture
async def admin(swarm: Orchestrator) -> Caller:
    return Caller(swarm.app, await swarm.make_key("admin"))


async def key(admin: Caller, **more: Json) -> tuple[str, Caller]:
    made = (await admin.post("/keys", more)).json
    return made["id"], admin.with_key(made["key"])


async def rotated(admin: Caller, key_id: str, **more: Json) -> Caller:
    answer = await admin.post(f"/keys/{key_id}:rotate", more or None)
    assert answer.status == 200, answer.json
    return admin.with_key(answer.json["key"])


async def within_a_second(answer: Awaitable[Answered]) -> Answered:
    async with asyncio.timeout(1.5):
        return await answer


async def parked(swarm: Orchestrator, bot: BotCaller) -> asyncio.Task[Answered]:
    before = len(swarm.engine.scheduler.parked)
    waiting = asyncio.create_task(bot.lease(wait_seconds=30))
    async with asyncio.timeout(5):
        while True:
            if len(swarm.engine.scheduler.parked) > before:
                return waiting
            await asyncio.sleep(0.005)


async def registered(caller: Caller) -> BotCaller:
    answer = await caller.post("/bots/register", {"type": "Executor", "version": "1"})
    return BotCaller(caller, answer.json["id"])


async def test_a_stream_of_the_old_secret_ends_and_one_of_the_new_goes_on(admin: Caller) -> None:
    key_id, old = await key(admin, role="operator")
    async with stream(old, "/events") as before:
        new = await rotated(admin, key_id)
        async with stream(new, "/events") as after:
            async with asyncio.timeout(1.5):
                await before.rest()
            assert before.ended
            await asyncio.sleep(1.2)
            made = await admin.post("/tasks", {"title": "t"})
            async with asyncio.timeout(2):
                while True:
                    event = await after.next()
                    assert event is not None, "the stream of the new secret has ended, too"
                    if event.get("subject") == made.json["id"] or made.json["id"] in str(event):
                        break


async def test_a_poll_of_the_old_secret_ends_and_one_of_the_new_goes_on(swarm: Orchestrator, admin: Caller) -> None:
    key_id, old = await key(admin, role="bot:executor", bot="reader")
    bot = await registered(old)
    before = await parked(swarm, bot)
    new = await rotated(admin, key_id)
    after = await parked(swarm, BotCaller(new, bot.id))

    assert (await within_a_second(before)).status == 401
    await asyncio.sleep(1.2)
    assert not after.done()
    await admin.post("/tasks", {"title": "t", "subtasks": [{"key": "a", "description": "d"}]})
    assert [lease["subtask"]["key"] for lease in (await within_a_second(after)).json["leases"]] == ["a"]


async def test_a_wait_for_a_task_of_the_old_secret_ends(admin: Caller) -> None:
    key_id, old = await key(admin, role="client")
    task = (await old.post("/tasks", {"title": "t"})).json["id"]
    waiting = asyncio.create_task(old.get(f"/tasks/{task}?wait_seconds=30&until=final"))
    await asyncio.sleep(0.1)
    await rotated(admin, key_id)

    assert (await within_a_second(waiting)).status == 401


async def test_with_an_overlap_a_stream_of_the_old_secret_goes_on_until_that_is_over(
    admin: Caller, clock: Forward
) -> None:
    key_id, old = await key(admin, role="operator")
    async with stream(old, "/events") as before:
        await rotated(admin, key_id, overlap_seconds=60)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await before.rest()
        clock.ahead = 61 * SECOND
        async with asyncio.timeout(1.5):
            await before.rest()
        assert before.ended


async def test_a_revoked_key_ends_its_streams(admin: Caller) -> None:
    key_id, old = await key(admin, role="operator")
    async with stream(old, "/events") as before:
        assert (await admin.post(f"/keys/{key_id}:revoke")).status == 200
        async with asyncio.timeout(1.5):
            await before.rest()
        assert before.ended
