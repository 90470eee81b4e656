"""Callers that ask for the same at the same time get one answer, and none that is older than their request."""

import asyncio
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.reads.insight import shared_reads
from swarmkeeper.reads.tasks.costs import CostQueries
from swarmkeeper.reads.tasks.lists import TaskLists
from tests.http.conftest import Caller
from tests.http.test_insight import planned

LIST = "/tasks?view=row&page_size=50"


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the callers in whose names pages are read from here on."""
    read: list[str] = []
    page = TaskLists.page

    async def noted(lists: TaskLists, principal: Any, *args: Any, **more: Any) -> Any:
        read.append(principal.key_id)
        return await page(lists, principal, *args, **more)

    monkeypatch.setattr(TaskLists, "page", noted)
    return read


async def test_ten_pages_that_show_one_list_read_it_once_or_twice(
    client: Caller, admin: Caller, pages: list[str]
) -> None:
    task = await planned(client, "a")
    for most in (2, 1):  # from the second time on it is known that others join
        pages.clear()
        answers = await asyncio.gather(*(admin.get(LIST) for _ in range(10)))
        assert [answer.json["items"][0]["id"] for answer in answers] == [task] * 10
        assert 1 <= len(pages) <= most


async def test_a_list_has_all_that_was_acknowledged_before_it_was_asked_for(client: Caller, admin: Caller) -> None:
    async def submit_and_look() -> None:
        for _ in range(10):
            task = await planned(client, "a")
            shown = (await admin.get(LIST)).json["items"]
            assert task in [row["id"] for row in shown]

    await asyncio.gather(*(submit_and_look() for _ in range(4)))


async def test_other_questions_and_other_views_are_not_mixed_up(
    swarm: Orchestrator, client: Caller, admin: Caller, pages: list[str]
) -> None:
    other = client.with_key(await swarm.make_key("client"))
    mine, theirs = await planned(client, "a"), await planned(other, "b")
    pages.clear()

    asked = [(client, LIST), (other, LIST), (admin, LIST), (admin, f"{LIST}&status=FAILED")] * 3
    answers = await asyncio.gather(*(caller.get(path) for caller, path in asked))

    shown = [sorted(row["id"] for row in answer.json["items"]) for answer in answers]
    assert shown == [[mine], [theirs], sorted([mine, theirs]), []] * 3
    assert len(pages) <= 2 * 4


async def test_who_may_not_read_gets_no_answer_of_others(swarm: Orchestrator, admin: Caller) -> None:
    bot = admin.with_key(await swarm.make_key("bot:executor", bot="b"))

    allowed, refused = await asyncio.gather(admin.get(LIST), bot.get(LIST))

    assert (allowed.status, refused.status) == (200, 403)


async def test_a_caller_that_hangs_up_takes_the_answer_from_nobody(swarm: Orchestrator) -> None:
    shared, thread, begin = shared_reads.SharedReads(), Thread(), asyncio.Event()

    async def work(_: Any) -> bytes:
        return b"answer"

    thread.waits = begin
    first = asyncio.create_task(shared.look(thread, None, "key", work))  # type: ignore[arg-type]  # because it is a double
    second = asyncio.create_task(shared.look(thread, None, "key", work))  # type: ignore[arg-type]  # because it is a double
    await asyncio.sleep(0)
    first.cancel()
    begin.set()

    assert await second == b"answer"
    assert thread.times == 1


class Thread:
    """Runs work here as soon as the event is set."""

    def __init__(self) -> None:
        self.times, self.waits = 0, asyncio.Event()

    async def look(self, _: Any, work: Any) -> Any:
        await self.waits.wait()
        self.times += 1
        return await work(None)


async def test_a_sum_that_took_long_is_given_again_for_a_while(
    client: Caller, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = 0
    costs = CostQueries.costs

    async def counted(queries: CostQueries, *args: Any, **more: Any) -> Any:
        nonlocal sums
        sums += 1
        return await costs(queries, *args, **more)

    monkeypatch.setattr(CostQueries, "costs", counted)
    await admin.get("/costs?by=label"), await admin.get("/costs?by=label")
    assert sums == 2  # it was quick: each answer is new
    monkeypatch.setattr(shared_reads, "LONG_SECONDS", 0.0)
    monkeypatch.setattr(shared_reads, "TIMES", 1e9)
    for _ in range(3):
        await admin.get("/costs?by=label")
    assert sums == 3
    await admin.get("/costs?by=bot")
    assert sums == 4
