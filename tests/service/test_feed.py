"""The feed of events: none missed or repeated, and a slow subscriber does not delay others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from swarmkeeper.broker.local import LocalBroker
from swarmkeeper.core.model import Event
from swarmkeeper.core.ports import Changes, StoreUnavailable
from swarmkeeper.core.states import TaskStatus
from swarmkeeper.govern.cursors import LENGTH, Cursors
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.reads import feed as feeds
from swarmkeeper.reads.feed import LAG_MAX, Feed, Subscription
from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.testing import records

REDACTOR = Redactor.default()


class Running:
    """A store, a broker and a running feed."""

    def __init__(self) -> None:
        self.store = SqliteStore(":memory:")
        self.broker = LocalBroker()
        self.logged: list[str] = []
        self.feed = Feed(self.store, self.broker, Cursors(bytes(32)), self.log)
        self.sequences: dict[str, int] = {}

    def log(self, event: str, **fields: Any) -> None:
        self.logged.append(event)

    async def tell(
        self, *kinds: str, task: str = "tsk_1", tenant: str = "acme", hint: bool = True, to: str | None = None
    ) -> None:
        events: list[Event] = []
        for kind in kinds:
            number = self.sequences[task] = self.sequences.get(task, 0) + 1
            body = REDACTOR.redact({"n": number} if to is None else {"n": number, "from": "IN_PROGRESS", "to": to})
            events.append(
                records.event(number, id=f"evt_{task}_{number}", task=task, tenant=tenant, kind=kind, body=body)
            )
        async with self.store.begin() as transaction:
            await transaction.save(Changes(events=events))
        if hint:
            await self.broker.publish("events")


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(feeds, "LOOK_SECONDS", 0.02)
    running = Running()
    await running.store.open()
    async with running.store.begin() as transaction:
        tasks = {"tsk_1": records.task(), "tsk_2": records.task(id="tsk_2")}
        await transaction.save(Changes(tasks=tasks))
    reader = asyncio.create_task(running.feed.run())
    yield running
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    await running.store.close()


async def take(subscription: Subscription, number: int) -> list[int]:
    async with asyncio.timeout(5):
        return [(await anext(subscription))["data"]["n"] for _ in range(number)]


async def rest(subscription: Subscription) -> list[int]:
    async with asyncio.timeout(5):
        return [event["data"]["n"] async for event in subscription]


async def test_what_happened_before_and_what_happens_after_come_in_one_row(running: Running) -> None:
    await running.tell("a", "b")
    async with running.feed.subscribe("acme") as subscription:
        assert await take(subscription, 2) == [1, 2]
        await running.tell("c", "d")
        assert await take(subscription, 2) == [3, 4]


async def test_a_follower_resumes_after_its_cursor(running: Running) -> None:
    await running.tell("a", "b", "c")
    async with running.feed.subscribe("acme") as subscription:
        await take(subscription, 2)
        cursor = subscription.cursor
    async with running.feed.subscribe("acme", after=cursor) as subscription:
        assert await take(subscription, 1) == [3]


async def test_a_follower_hears_its_own_tenant_and_task_alone(running: Running) -> None:
    async with running.feed.subscribe("acme", "tsk_1") as one, running.feed.subscribe("other") as other:
        await running.tell("a", task="tsk_2")
        await running.tell("b", task="tsk_1")
        await running.tell("c", task="tsk_3", tenant="other")

        assert (await asyncio.wait_for(anext(one), 5))["subject"] == "tasks/tsk_1"
        assert (await asyncio.wait_for(anext(other), 5))["subject"] == "tasks/tsk_3"


async def test_a_lost_hint_costs_a_moment_and_never_an_event(running: Running) -> None:
    async with running.feed.subscribe("acme") as subscription:
        await take_none(subscription)
        await running.tell("a", hint=False)

        assert await take(subscription, 1) == [1]


async def take_none(subscription: Subscription) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(subscription), 0.01)


async def test_nobody_reads_the_store_while_nobody_follows(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running.feed.subscribe("acme") as subscription:
        await take_none(subscription)
    names: list[str] = []
    read = running.store.read

    async def counted(name: str, parameters: Any) -> list[dict[str, Any]]:
        names.append(name)
        return await read(name, parameters)

    monkeypatch.setattr(running.store, "read", counted)
    await asyncio.sleep(0.05)
    names.clear()  # the last read for the earlier subscriber
    await asyncio.sleep(0.1)

    assert names == []


async def test_a_tasks_stream_ends_after_its_final_event(running: Running) -> None:
    async with running.feed.subscribe("acme", "tsk_1") as subscription:
        await running.tell("task.started", to="IN_PROGRESS")
        assert await take(subscription, 1) == [1]
        await running.tell("work.leased", "task.failed", to="FAILED")

        assert await rest(subscription) == [2, 3]
        assert not subscription.lagging


async def test_the_stream_of_a_task_that_was_retried_goes_on(running: Running) -> None:
    await running.tell("task.failed", to="FAILED")
    await running.tell("task.retried_to_work", to="IN_PROGRESS")
    async with running.feed.subscribe("acme", "tsk_1") as subscription:
        assert await take(subscription, 2) == [1, 2]
        await running.tell("work.leased")
        assert await take(subscription, 1) == [3]


async def test_the_stream_of_a_task_long_over_ends_when_all_is_told(running: Running) -> None:
    await running.tell("task.failed", to="FAILED")
    await running.tell("work.cancelled")
    over = records.task(status=TaskStatus.FAILED, version=2)
    async with running.store.begin() as transaction:
        await transaction.save(Changes(tasks={"tsk_1": over}))

    for after, expected in ((0, [1, 2]), (1, [2]), (2, [])):
        async with running.feed.subscribe("acme", "tsk_1", after=after) as subscription:
            assert await rest(subscription) == expected


async def test_who_lags_too_far_is_closed_with_its_cursor_and_can_go_on(running: Running) -> None:
    async with running.feed.subscribe("acme") as slow, running.feed.subscribe("acme") as quick:
        await take_none(slow)
        await take_none(quick)
        for _ in range(3):
            await running.tell(*["a"] * 500)
            assert len(await take(quick, 500)) == 500

        assert await rest(slow) == list(range(1, LAG_MAX + 1))
        assert slow.lagging
        assert not quick.lagging
    async with running.feed.subscribe("acme", after=slow.cursor) as subscription:
        assert await take(subscription, 500) == list(range(LAG_MAX + 1, 1501))


async def test_a_long_past_is_read_in_pages_while_more_happens(running: Running) -> None:
    await running.tell(*["a"] * 1200)
    async with running.feed.subscribe("acme") as subscription:
        seen = await take(subscription, 600)
        await running.tell(*["b"] * 100)
        seen += await take(subscription, 700)

    assert seen == list(range(1, 1301))


async def test_what_happens_between_the_last_look_back_and_going_live_is_not_missed(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = running.store.read
    changed = False

    async def slow(name: str, parameters: Any) -> list[dict[str, Any]]:
        nonlocal changed
        found = await read(name, parameters)
        if name == "events_of_tenant" and not changed:
            changed = True
            await running.tell("a")
            await running.feed._look()  # the reader arrives before the answer
        return found

    monkeypatch.setattr(running.store, "read", slow)
    async with running.feed.subscribe("acme") as subscription:
        assert await take(subscription, 1) == [1]


async def test_the_reader_sleeps_while_nobody_follows(running: Running) -> None:
    async with running.feed.subscribe("acme") as subscription:
        await take_none(subscription)
    await asyncio.sleep(0.05)
    (hints,) = running.broker._subscribers["events"].values()
    await running.broker.publish("events")
    await asyncio.sleep(0.05)

    assert hints._waiting


async def test_many_who_come_and_go_miss_nothing(running: Running) -> None:
    async def follow() -> list[int]:
        seen: list[int] = []
        cursor = 0
        while len(seen) < 200:
            async with running.feed.subscribe("acme", "tsk_1", after=cursor) as subscription:
                seen += await take(subscription, 10)
                cursor = subscription.cursor
        return seen

    followers = [asyncio.create_task(follow()) for _ in range(5)]
    for number in range(200):
        await running.tell("a", hint=number % 3 == 0)
        await asyncio.sleep(0)

    assert await asyncio.gather(*followers) == [list(range(1, 201))] * 5


async def test_a_store_that_is_away_for_a_moment_is_read_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running.feed.subscribe("acme") as subscription:
        await take_none(subscription)
        read = running.store.read

        async def away(name: str, parameters: Any) -> list[dict[str, Any]]:
            raise StoreUnavailable("away")

        monkeypatch.setattr(running.store, "read", away)
        await asyncio.sleep(0.05)
        monkeypatch.setattr(running.store, "read", read)
        await running.tell("a", hint=False)

        assert await take(subscription, 1) == [1]
        assert "feed_waits" in running.logged


async def test_when_the_feed_stops_everybody_is_told_so() -> None:
    running = Running()
    await running.store.open()
    reader = asyncio.create_task(running.feed.run())
    async with running.feed.subscribe("acme") as subscription:
        await take_none(subscription)
        assert running.feed.followers == 1
        reader.cancel()

        assert await rest(subscription) == []
    assert running.feed.followers == 0
    await asyncio.gather(reader, return_exceptions=True)
    await running.store.close()


async def test_who_comes_back_to_a_feed_that_has_stopped_is_told_so_again() -> None:
    running = Running()
    await running.store.open()
    reader = asyncio.create_task(running.feed.run())
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)

    async with running.feed.subscribe("acme") as subscription:
        assert await rest(subscription) == []
    await running.store.close()


async def test_an_event_is_written_once_for_all_who_follow(running: Running) -> None:
    written: list[str] = []

    def write(view: Any) -> bytes:
        written.append(view["id"])
        return str(view["id"]).encode()

    async def follow(subscription: Subscription, number: int) -> bytes:
        heard = b""
        while len(heard) < number * LENGTH:
            heard += b"".join(each.form(write) for each in await subscription.some() or ())
        return heard

    async with AsyncExitStack() as stack:
        followers = [await stack.enter_async_context(running.feed.subscribe("acme")) for _ in range(300)]
        for subscription in followers:
            await take_none(subscription)
        heard = [asyncio.create_task(follow(subscription, 3)) for subscription in followers]
        await running.tell("a", "b", "c")

        ids = [running.feed.cursors.encode("acme", number) for number in (1, 2, 3)]
        assert set(await asyncio.gather(*heard)) == {"".join(ids).encode()}
        assert written == ids


async def test_many_followers_do_not_keep_others_from_their_turn(running: Running) -> None:
    turns = 0
    stop = False

    async def other() -> None:
        nonlocal turns
        while not stop:
            turns += 1
            await asyncio.sleep(0)

    async with AsyncExitStack() as stack:
        for _ in range(10 * feeds.WOKEN_AT_ONCE):
            subscription = await stack.enter_async_context(running.feed.subscribe("acme"))
            await subscription._catch_up()
        neighbour = asyncio.create_task(other())
        await running.tell("a", hint=False)
        turns = 0
        await running.feed._look()
        stop = True
        await neighbour

        assert turns >= 10


async def test_a_nudge_wakes_a_follower_and_loses_nothing(running: Running) -> None:
    async with running.feed.subscribe("acme") as subscription:
        await take_none(subscription)
        waiting = asyncio.create_task(subscription.some())
        await asyncio.sleep(0)
        subscription.nudge()

        assert await waiting == []
        await running.tell("a")
        assert await take(subscription, 1) == [1]
