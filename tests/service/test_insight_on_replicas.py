"""Two servers on one database: what a dashboard reads, and operations on many tasks, do not depend on which it asks."""

import asyncio

import pytest

from swarmkeeper.access.operations import running
from swarmkeeper.testing.test_server import soon
from tests.http.conftest import Caller, Fleet
from tests.http.test_bulk import begun
from tests.http.test_changes import first, heard
from tests.http.test_insight import planned, read
from tests.http.test_stream import stream
from tests.service.test_others import Pair, pair, store_url

__all__ = ["pair", "store_url"]


async def admins(pair: Pair) -> tuple[Caller, Caller]:
    key = await pair.a.make_key("admin")
    return Caller(pair.a.app, key), Caller(pair.b.app, key)


async def test_a_page_hears_of_what_another_server_does_and_resumes_there(pair: Pair) -> None:
    a, b = await admins(pair)
    async with stream(a, "/changes") as followed:
        await first(followed)
        task = await planned(b, "a")
        cursor = (await heard(followed, task))["cursor"]
    missed = await planned(a, "a")

    async with stream(b, "/changes", last_event_id=cursor) as followed:
        assert (await first(followed))["tasks"] == [missed]


async def test_what_comes_and_goes_at_all_servers_is_added(pair: Pair) -> None:
    a, b = await admins(pair)
    await planned(a, "a", "b")
    await planned(b, "c")
    bot = await Fleet(pair.a).bot("Executor")
    await bot.one()

    async def told() -> bool:
        queues = [(await read(each, "/queues"))["items"] for each in (a, b)]
        return all([(q["in_per_minute"], q["out_per_minute"]) for q in found] == [(3, 1)] for found in queues)

    assert await soon(told, 10)


async def test_an_operation_of_a_server_that_died_goes_on_at_the_other(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "HELD_FOR", 2_000_000)
    monkeypatch.setattr(running, "AT_ONCE", 2)
    a, b = await admins(pair)
    tasks = [await planned(a, "a") for _ in range(12)]
    right = running.Operations._slice

    async def dies(self: running.Operations, current: running._InProgress) -> None:
        if self is pair.a._operations and len(current.left) < 12:
            await asyncio.Event().wait()  # it does no more
        await right(self, current)

    monkeypatch.setattr(running.Operations, "_slice", dies)
    monkeypatch.setattr(pair.b._operations, "_look", lambda: asyncio.sleep(0))  # the first one takes it
    answer = await begun(a, "cancel", ids=tasks)

    async def has_begun() -> bool:
        return bool((await read(b, answer.headers["location"]))["progress"]["done"] == 2)

    assert await soon(has_begun, 10)
    monkeypatch.undo()

    async def is_over() -> bool:
        return bool((await read(b, answer.headers["location"]))["state"] == "ended")

    assert await soon(is_over, 30)
    assert (await read(b, answer.headers["location"]))["progress"]["done"] == 12
    for task in tasks:
        assert len((await read(b, f"/tasks/{task}/audit?action=task.cancel"))["items"]) == 1
