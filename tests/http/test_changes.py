"""One stream for a whole page: what has changed, at most twice a second."""

import asyncio
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.core.states import TaskStatus
from swarmkeeper.reads.insight import changes
from tests.http.conftest import Caller, Fleet, Json, key_of
from tests.http.test_insight import planned, read
from tests.http.test_stream import Stream, stream


async def first(followed: Stream) -> Json:
    return await followed.next()


async def heard(followed: Stream, task: str) -> Json:
    """Return the message that names the task."""
    async with asyncio.timeout(5):
        while True:
            told = await followed.next()
            if told["tasks"] == "many" or task in told["tasks"]:
                return told


async def test_a_page_is_told_how_things_are_and_then_what_changes(client: Caller, admin: Caller, fleet: Fleet) -> None:
    before = await planned(client, "a")

    async with stream(admin, "/changes") as followed:
        now = await first(followed)
        assert (now["counts"]["open_tasks"], now["approvals_open"], now["tasks"], now["also"]) == (1, 0, [], [])
        task = await planned(client, "b")
        told = await heard(followed, task)
        assert told["tasks"] == [task]
        assert told["counts"]["open_tasks"] == sum(told["counts"][status] for status in TaskStatus) == 2
        await admin.post(f"/tasks/{before}:cancel", {})
        assert (await heard(followed, before))["counts"]["open_tasks"] == 1
        await fleet.bot("Executor")
        while "bot" not in (told := await followed.next())["also"]:
            pass
        assert told["tasks"] == []


async def test_open_approvals_are_counted_for_who_may_read_them(swarm: Orchestrator, client: Caller) -> None:
    viewer = client.with_key(await swarm.make_key("viewer"))
    everywhere = client.with_key(await swarm.make_key("client", scope="tenant"))
    async with stream(viewer, "/changes") as followed, stream(everywhere, "/changes") as narrow:
        await first(followed), await first(narrow)
        task = await planned(client, "a", approval="plan")

        assert (await heard(followed, task))["approvals_open"] == 1
        told = await heard(narrow, task)

    assert (told["approvals_open"], told["also"]) == (None, [])


async def test_much_at_once_is_few_messages_and_no_list(
    client: Caller, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "TASKS_MAX", 10)
    async with stream(admin, "/changes") as followed:
        await first(followed)
        loop = asyncio.get_running_loop()
        began, messages = loop.time(), 0
        made = 0
        while loop.time() < began + 1.6:
            await client.post("/tasks:batch", {"tasks": [{"title": "t"}] * 20})
            made += 20
            await asyncio.sleep(0.05)  # a fast machine would fill the tenant's backlog
        counts: Json = {}
        kinds = set[str]()
        while counts.get("open_tasks") != made:
            told = await followed.next()
            counts, messages = told["counts"], messages + 1
            kinds.add(str(told["tasks"]))
        assert messages <= 2 * (loop.time() - began) + 2
    assert kinds == {"many"}


async def test_what_is_more_than_one_read_returns_is_told_whole(
    client: Caller, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_EVENTS_AT_ONCE", 2)
    async with stream(admin, "/changes") as followed:
        await first(followed)
        tasks = {await planned(client, name) for name in "abcde"}
        told = set[str]()
        async with asyncio.timeout(5):
            while not tasks <= told:
                told.update((await followed.next())["tasks"])

    assert told == tasks


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_stream_resumes_with_what_happened_meanwhile(client: Caller, admin: Caller, how: str) -> None:
    async with stream(admin, "/changes") as followed:
        cursor = (await first(followed))["cursor"]
    missed = [await planned(client, "a"), await planned(client, "b")]

    path, headers = ("/changes", {"last_event_id": cursor}) if how == "header" else (f"/changes?after={cursor}", {})
    async with stream(admin, path, **headers) as followed:
        told = await first(followed)
        assert told["tasks"] == sorted(missed)
        later = await planned(client, "c")
        assert (await heard(followed, later))["tasks"] == [later]
    assert (await read(admin, f"/changes?after={cursor}"))["tasks"] == sorted([*missed, later])
    assert (await read(admin, f"/changes?after={told['cursor']}"))["tasks"] == [later]


async def test_who_missed_too_much_is_told_so(client: Caller, admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = (await read(admin, "/changes"))["cursor"]
    for _ in range(3):
        await planned(client, "a")
    monkeypatch.setattr(changes, "MISSED_MAX", 3)

    told = await read(admin, f"/changes?after={cursor}")

    assert told["tasks"] == "many"
    assert (await read(admin, f"/changes?after={told['cursor']}"))["tasks"] == []


async def test_a_cursor_of_another_store_means_that_all_is_to_be_read_again(admin: Caller) -> None:
    assert (await read(admin, "/changes?after=123456789"))["tasks"] == "many"


@pytest.mark.parametrize("cursor", ["x", "AAAAAAAAAAAAAAAAAAAAAAA%00", "-1", "A" * 24])
async def test_what_is_no_cursor_is_refused_or_of_another_store(admin: Caller, cursor: str) -> None:
    answer = await admin.get(f"/changes?after={cursor}")

    assert answer.status == 422 or answer.json["tasks"] == "many"


async def test_a_client_hears_of_its_own_tasks_alone(swarm: Orchestrator, client: Caller) -> None:
    other = client.with_key(await swarm.make_key("client"))
    async with stream(client, "/changes") as followed:
        now = await first(followed)
        assert (now["counts"], now["approvals_open"], now["also"]) == (None, None, [])
        theirs = await planned(other, "a")
        await asyncio.sleep(1.2)
        assert followed.messages.empty()  # not even that something happened
        mine = await planned(client, "a")
        assert (await followed.next())["tasks"] == [mine]
    assert theirs not in (await read(client, f"/changes?after={now['cursor']}"))["tasks"]


async def test_tenants_hear_nothing_of_each_other(swarm: Orchestrator, client: Caller, admin: Caller) -> None:
    stranger = client.with_key(await key_of(swarm, "acme", "admin"))
    async with stream(stranger, "/changes") as followed:
        await first(followed)
        await planned(client, "a")
        await asyncio.sleep(1.2)
        assert followed.messages.empty()


async def test_bots_may_not_follow_changes(fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")

    assert (await bot.call.get("/changes")).status == 403
    assert (await bot.call.get("/changes", accept="text/event-stream")).status == 403


async def test_a_stream_ends_with_its_key(admin: Caller) -> None:
    key = (await admin.post("/keys", {"role": "viewer"})).json
    async with stream(admin.with_key(key["key"]), "/changes") as followed:
        await first(followed)
        await admin.post(f"/keys/{key['id']}:revoke", {})
        assert [told["tasks"] for told in await followed.rest()] in ([], [[]])


async def test_ten_streams_of_a_tenant_share_one_reader(swarm: Orchestrator, admin: Caller, client: Caller) -> None:
    async def one(number: int) -> Any:
        async with stream(admin, "/changes") as followed:
            await first(followed)
            opened.release()
            return await heard(followed, await made)

    opened = asyncio.Semaphore(0)
    made: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = [asyncio.create_task(one(number)) for number in range(10)]
    for _ in running:
        await opened.acquire()
    assert (swarm.changes.listeners, swarm.changes.reads, swarm._feed.followers) == (10, True, 0)
    made.set_result(await planned(client, "a"))
    told = await asyncio.gather(*running)

    assert {each["cursor"] for each in told} == {told[0]["cursor"]}
    assert (swarm.changes.listeners, swarm.changes.reads) == (0, False)


async def test_more_streams_than_a_key_may_have_are_refused(swarm: Orchestrator, admin: Caller) -> None:
    swarm.quotas.followers.bound = type(swarm.quotas.followers.bound)(1, 1)
    async with stream(admin, "/changes") as followed:
        await first(followed)
        assert (await admin.get("/changes", accept="text/event-stream")).status == 429


async def test_streams_end_when_the_server_stops(swarm: Orchestrator, admin: Caller) -> None:
    async with stream(admin, "/changes") as followed:
        await first(followed)
        swarm.drain()
        await followed.rest()
        assert followed.ended


async def test_the_client_follows_changes(swarm: Orchestrator, client: Caller) -> None:
    async with swarm.client() as own:
        followed = own.changes()
        assert (await anext(followed)).tasks == []
        task = await planned(client, "a")
        assert (await anext(followed)).tasks == [task]
        await followed.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_a_page_is_not_told_of_each_commit_and_costs_none_a_statement(
    swarm: Orchestrator, client: Caller, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0
    new_events = changes.ChangeFeed._new_events

    async def counted(feed: changes.ChangeFeed, after: int) -> Any:
        nonlocal looked
        looked += 1
        return await new_events(feed, after)

    monkeypatch.setattr(changes.ChangeFeed, "_new_events", counted)
    async with stream(admin, "/changes") as followed:
        await first(followed)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(60):
            task = await planned(client, "a")
        await heard(followed, task)
        assert looked <= 2 * (loop.time() - began) + 3
    assert swarm._feed.followers == 0


async def test_a_message_is_written_once_for_all_who_hear_it(
    client: Caller, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    view = changes.view

    def counted(*args: Any) -> Json:
        nonlocal written
        written += 1
        return view(*args)

    monkeypatch.setattr("swarmkeeper.http.insight.change_stream.view", counted)
    async with stream(admin, "/changes") as one, stream(admin, "/changes") as other:
        await first(one), await first(other)
        assert written == 2  # how things are: for each
        task = await planned(client, "a")
        told = [await heard(one, task), await heard(other, task)]
        assert told[0] == told[1]
        assert written <= 4  # what one commit causes may come in two messages
