"""Waiting calls are answered at once, and end when the caller disconnects or the key is revoked."""

import asyncio
from collections.abc import Callable

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.http import hot
from swarmkeeper.settings import Settings
from tests.http.conftest import Answered, BotCaller, Caller, Fleet, Json


@pytest.fixture(params=[False, True], ids=["any server", "our server"], autouse=True)
def tells(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run each test under a server that tells when a caller is gone, and under one that does not."""
    monkeypatch.setattr(Caller, "tells", request.param)
    return bool(request.param)


async def until(holds: Callable[[], object]) -> None:
    for _ in range(5_000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to that")


async def park(swarm: Orchestrator, bot: BotCaller, gone: asyncio.Event | None = None) -> asyncio.Task[Answered]:
    before = len(swarm.engine.scheduler.parked)
    body = {"bot_id": bot.id, "wait_seconds": 30}
    waiting = asyncio.create_task(bot.call.call("POST", "/leases", body, gone=gone))
    await until(lambda: len(swarm.engine.scheduler.parked) > before or waiting.done())
    return waiting


def task(*keys: str) -> Json:
    return {"title": "t", "evaluation": "none", "subtasks": [{"key": key, "description": ""} for key in keys]}


async def test_a_waiting_bot_gets_work_at_once(swarm: Orchestrator, client: Caller, fleet: Fleet) -> None:
    waiting = await park(swarm, await fleet.bot("Executor"))

    await client.post("/tasks", task("a"))

    async with asyncio.timeout(1):
        assert [lease["subtask"]["key"] for lease in (await waiting).json["leases"]] == ["a"]


async def test_a_dependent_subtask_goes_to_the_bot_that_waits_for_it(
    swarm: Orchestrator, client: Caller, fleet: Fleet
) -> None:
    bot, other = await fleet.bot("Executor", "one"), await fleet.bot("Executor", "two")
    body = task("a", "b")
    body["subtasks"][1]["depends_on"] = ["a"]
    await client.post("/tasks", body)
    first = await bot.one()
    waiting = await park(swarm, other)

    await bot.report(first, output=41)

    async with asyncio.timeout(1):
        assert (await waiting).json["leases"][0]["upstream"] == {"a": 41}


async def test_a_poll_that_times_out_gets_no_leases(fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    loop = asyncio.get_running_loop()
    began = loop.time()

    answer = await bot.lease(wait_seconds=0.05)

    assert (answer.status, answer.json["leases"]) == (200, [])
    assert 0.04 < loop.time() - began < 2


async def test_a_disconnected_poll_gets_nothing_and_the_next_one_does(
    swarm: Orchestrator, client: Caller, fleet: Fleet
) -> None:
    gone = asyncio.Event()
    left = await park(swarm, await fleet.bot("Executor", "left"), gone)
    gone.set()
    assert (await left).status == 0
    stays = await park(swarm, await fleet.bot("Executor", "stays"))

    made = await client.post("/tasks", task("a"))

    assert len((await stays).json["leases"]) == 1
    subtask = (await client.get(f"/tasks/{made.json['id']}/subtasks/a")).json
    assert (subtask["attempt"], subtask["attempts"]) == (1, [])


async def test_work_leased_to_a_caller_that_disconnected_goes_back_and_counts_no_try(
    swarm: Orchestrator, client: Caller, admin: Caller, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = asyncio.Event()
    leaves = await fleet.bot("Executor", "leaves")
    waiting = await park(swarm, leaves, gone)
    identity = swarm.app.state.services.identity
    still_good = identity.still_good

    async def hangs_up_meanwhile(*args: Json) -> Json:
        gone.set()
        await asyncio.sleep(0)
        return await still_good(*args)

    monkeypatch.setattr(identity, "still_good", hangs_up_meanwhile)
    made = await client.post("/tasks", task("a"))
    assert (await waiting).status == 0
    monkeypatch.undo()

    lease = await (await fleet.bot("Executor", "next")).one()

    assert lease["attempt"] == 2
    subtask = (await admin.get(f"/tasks/{made.json['id']}/subtasks/a")).json
    assert [each["ending"] for each in subtask["attempts"]] == ["unseen"]


@pytest.mark.parametrize("watched_after", [0.0, 60.0])
async def test_a_poll_answered_after_its_caller_left_gives_its_work_back(
    swarm: Orchestrator,
    client: Caller,
    admin: Caller,
    fleet: Fleet,
    monkeypatch: pytest.MonkeyPatch,
    watched_after: float,
) -> None:
    monkeypatch.setattr(hot, "_WATCHED_AFTER_SECONDS", watched_after)
    monkeypatch.setattr(Caller, "tells", True)
    gone = asyncio.Event()
    waiting = await park(swarm, await fleet.bot("Executor", "leaves"), gone)
    gone.set()
    made = await client.post("/tasks", task("a"))
    assert (await waiting).status == 0

    lease = await (await fleet.bot("Executor", "next")).one()

    subtask = (await admin.get(f"/tasks/{made.json['id']}/subtasks/a")).json
    assert [each["ending"] for each in subtask["attempts"]] == ["unseen"] * (lease["attempt"] - 1)


async def test_a_poll_has_no_task_that_watches_it_at_first(
    swarm: Orchestrator, client: Caller, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tells: bool
) -> None:
    monkeypatch.setattr(hot, "_WATCHED_AFTER_SECONDS", 60.0)
    bot = await fleet.bot("Executor")
    before = len(asyncio.all_tasks())
    waiting = await park(swarm, bot)

    assert len(asyncio.all_tasks()) - before == (1 if tells else 2)  # the first is the call itself

    await client.post("/tasks", task("a"))
    assert len((await waiting).json["leases"]) == 1


async def test_a_short_poll_ends_in_time_without_being_watched(
    swarm: Orchestrator, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot, "_WATCHED_AFTER_SECONDS", 60.0)
    bot = await fleet.bot("Executor")

    async with asyncio.timeout(2):
        answer = await bot.call.post("/leases", {"bot_id": bot.id, "wait_seconds": 0.05})
        assert answer.json["leases"] == []
        assert (await bot.call.post("/leases", {"bot_id": bot.id, "wait_seconds": 0})).json["leases"] == []


async def test_a_revoked_key_ends_its_polls_at_once(
    swarm: Orchestrator, admin: Caller, client: Caller, fleet: Fleet
) -> None:
    bot = await fleet.bot("Executor")
    waiting = await park(swarm, bot)
    keys = (await admin.get("/keys")).json["items"]
    (key,) = [each for each in keys if each["bot"] == "executor"]

    revoked = await admin.post(f"/keys/{key['id']}:revoke")

    async with asyncio.timeout(0.5):
        assert (await waiting).status == 401
    assert revoked.json["revoked_at"] is not None
    assert (await bot.lease()).status == 401


async def test_deleting_a_bot_ends_its_polls_and_returns_its_work(
    swarm: Orchestrator, admin: Caller, client: Caller, fleet: Fleet
) -> None:
    bot = await fleet.bot("Executor", capacity=5)
    await client.post("/tasks", task("a"))
    await bot.one()
    waiting = await park(swarm, bot)

    assert (await admin.call("DELETE", f"/bots/{bot.id}")).status == 204

    async with asyncio.timeout(0.5):
        assert (await waiting).status == 404
    assert (await bot.lease()).status == 404
    assert (await (await fleet.bot("Executor", "next")).one())["attempt"] == 2


async def test_a_waiting_bot_counts_as_present(swarm: Orchestrator, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    parts = swarm.app.state.services
    object.__setattr__(parts.limits, "key_check_every", 0.01)
    gone = asyncio.Event()
    waiting = await park(swarm, bot, gone)
    registered = parts.identity.presence.last_seen(bot.id)

    await until(lambda: parts.identity.presence.last_seen(bot.id) > registered)

    gone.set()
    await waiting


async def test_an_engine_that_stops_answers_its_polls(swarm: Orchestrator, fleet: Fleet) -> None:
    waiting = await park(swarm, await fleet.bot("Executor"))

    swarm.engine.stop()

    async with asyncio.timeout(0.5):
        assert (await waiting).json["leases"] == []


async def test_two_hundred_parked_polls_read_nothing_from_the_store(
    swarm: Orchestrator, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    bots = [await fleet.bot("Executor", f"bot-{number}", capacity=50) for number in range(4)]
    parts = swarm.app.state.services
    object.__setattr__(parts.limits, "key_check_every", 0.01)
    gone = asyncio.Event()
    waiting = [await park(swarm, bot, gone) for _ in range(50) for bot in bots]
    await until(lambda: parts.key_watch.checks > 0)
    reads: list[str] = []
    read = swarm.store.read

    async def counted(name: str, parameters: Json) -> Json:
        reads.append(name)
        return await read(name, parameters)

    monkeypatch.setattr(swarm.store, "read", counted)
    checks = parts.key_watch.checks
    await until(lambda: parts.key_watch.checks >= checks + 40)

    assert reads == []
    gone.set()
    await asyncio.gather(*waiting)


async def test_polls_of_one_key_are_checked_with_one_read(
    swarm: Orchestrator, client: Caller, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot, "_WATCHED_AFTER_SECONDS", 0.0)
    bot = await fleet.bot("Executor", capacity=20)
    made = await client.post("/tasks", {"title": "nobody plans it"})
    key_watch = swarm.app.state.services.key_watch
    gone = asyncio.Event()
    polls = [await park(swarm, bot, gone) for _ in range(20)]
    waits = [
        asyncio.create_task(client.call("GET", f"/tasks/{made.json['id']}?wait_seconds=30&until=final", gone=gone))
        for _ in range(20)
    ]
    await until(lambda: swarm.quotas.waits.total == 20)
    before = key_watch.checks

    await key_watch.check()

    assert key_watch.checks - before == 2
    assert swarm.engine.scheduler.parked_bots() == [bot.id]
    gone.set()
    await asyncio.gather(*polls, *waits)
    assert key_watch._waiting == {}


async def test_a_bot_has_at_most_as_many_polls_as_capacity_and_a_new_one_ends_the_oldest(
    swarm: Orchestrator, fleet: Fleet
) -> None:
    bot = await fleet.bot("Executor", capacity=3)
    waiting = [await park(swarm, bot) for _ in range(3)]

    for number in range(20):
        waiting.append(asyncio.create_task(bot.lease(wait_seconds=30)))
        ended = await waiting[number]
        assert (ended.status, ended.json) == (200, {"leases": [], "reason": "no_match"})

    assert len(swarm.engine.scheduler.parked) == 3
    swarm.engine.end_polls(bot.id)
    assert [(await poll).status for poll in waiting[20:]] == [200] * 3


async def test_polls_of_one_key_are_limited_and_other_keys_are_not_affected() -> None:
    async with Orchestrator(Settings(store="sqlite://:memory:", polls_key=3, polls_tenant=4)) as swarm:
        fleet = Fleet(swarm)
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        ids = [
            (await admin.post("/bots/register", {"type": "Executor", "version": "1", "name": f"b{number}"})).json["id"]
            for number in range(4)
        ]
        gone = asyncio.Event()
        waiting = [await park(swarm, BotCaller(admin, bot_id), gone) for bot_id in ids[:3]]

        refused = await admin.post("/leases", {"bot_id": ids[3], "wait_seconds": 30})
        at_once = await admin.post("/leases", {"bot_id": ids[3], "wait_seconds": 0})
        neighbour = await fleet.bot("Executor", "neighbour")
        waiting.append(await park(swarm, neighbour, gone))
        full = await (await fleet.bot("Executor", "late")).lease(wait_seconds=30)

        assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (429, "rate_limited", "1")
        assert refused.json["errors"][0]["pointer"] == "/limits/polls/key"
        assert at_once.status == 200
        assert (full.status, full.json["errors"][0]["pointer"]) == (429, "/limits/polls/tenant")
        gone.set()
        await asyncio.gather(*waiting)
        assert swarm.quotas.polls.total == 0


STREAM = {"accept": "text/event-stream"}
BOUNDED = Settings(store="sqlite://:memory:", waits_key=2, waits_tenant=3, followers_key=2, followers_tenant=3)


async def test_waits_and_streams_of_a_key_and_of_a_tenant_are_limited() -> None:
    async with Orchestrator(BOUNDED) as swarm:
        client = Caller(swarm.app, await swarm.make_key("client"))
        path = f"/tasks/{(await client.post('/tasks', {'title': 'nobody plans it'})).json['id']}"
        gone = asyncio.Event()
        calls = [
            asyncio.create_task(client.call("GET", f"{path}{rest}", headers=headers, gone=gone))
            for rest, headers in (("?wait_seconds=30", {}), ("/events", STREAM))
            for _ in range(2)
        ]
        await until(lambda: (swarm.quotas.waits.total, swarm.quotas.followers.total) == (2, 2))

        wait = await client.get(f"{path}?wait_seconds=30")
        follow = await client.get(f"{path}/events", **STREAM)
        look = await client.get(path)

        assert (wait.status, wait.json["errors"][0]["pointer"]) == (429, "/limits/waits/key")
        assert (follow.status, follow.json["errors"][0]["pointer"]) == (429, "/limits/followers/key")
        assert look.status == 200
        second, third = [Caller(swarm.app, await swarm.make_key("client", scope="tenant")) for _ in range(2)]
        calls.append(asyncio.create_task(second.call("GET", f"{path}?wait_seconds=30", gone=gone)))
        calls.append(asyncio.create_task(second.call("GET", f"{path}/events", headers=STREAM, gone=gone)))
        await until(lambda: (swarm.quotas.waits.total, swarm.quotas.followers.total) == (3, 3))
        wait = await third.get(f"{path}?wait_seconds=30")
        follow = await third.get(f"{path}/events", **STREAM)
        assert (wait.status, wait.json["errors"][0]["pointer"]) == (429, "/limits/waits/tenant")
        assert (follow.status, follow.json["errors"][0]["pointer"]) == (429, "/limits/followers/tenant")
        gone.set()
        await asyncio.gather(*calls)
        assert (swarm.quotas.waits.total, swarm.quotas.followers.total) == (0, 0)


# ---- tasks ---------------------------------------------------------------------------------------------------------


async def test_a_wait_for_the_outcome_is_answered_when_it_is_known(client: Caller, fleet: Fleet) -> None:
    executor = await fleet.bot("Executor")
    made = await client.post("/tasks", task("a"))
    path = f"/tasks/{made.json['id']}"
    waiting = asyncio.create_task(client.get(f"{path}?wait_seconds=30&until=final"))
    lease = await executor.one()
    await asyncio.sleep(0.01)
    assert not waiting.done()

    await executor.report(lease, output=1)

    async with asyncio.timeout(3):
        answer = await waiting
    assert (answer.json["status"], answer.json["outcome"]) == ("ARCHIVED", "accepted")
    assert (await client.get(f"{path}?wait_seconds=30")).json["outcome"] == "accepted"


async def test_a_wait_for_a_change_gets_the_change_or_304(client: Caller) -> None:
    made = await client.post("/tasks", {"title": "x"})
    path, tag = f"/tasks/{made.json['id']}", made.headers["etag"]

    nothing = await client.get(f"{path}?wait_seconds=0.05&until=change", if_none_match=tag)
    waiting = asyncio.create_task(client.get(f"{path}?wait_seconds=30&until=change", if_none_match=tag))
    await asyncio.sleep(0.01)
    await client.post(f"{path}:pause")

    async with asyncio.timeout(3):
        answer = await waiting
    assert (nothing.status, nothing.headers["etag"]) == (304, tag)
    assert (answer.status, answer.json["holds"]) == (200, ["paused"])
    assert (await client.get(f"{path}?until=change")).status == 422


async def test_a_change_between_reading_and_waiting_is_not_missed(
    swarm: Orchestrator, client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await client.post("/tasks", {"title": "x"})
    path = f"/tasks/{made.json['id']}"
    queries = swarm.app.state.services.queries
    version = queries.version

    async def meanwhile(*args: Json) -> Json:
        found = await version(*args)
        await client.post(f"{path}:pause")
        return found

    monkeypatch.setattr(queries, "version", meanwhile)
    swarm.app.state.services.known_tasks.forget_all()  # so that the store is asked

    async with asyncio.timeout(3):
        answer = await client.get(f"{path}?wait_seconds=30&until=change", if_none_match=made.headers["etag"])
    assert answer.json["holds"] == ["paused"]


async def test_a_wait_that_times_out_gets_the_task_as_it_is(client: Caller) -> None:
    made = await client.post("/tasks", {"title": "x"})

    answer = await client.get(f"/tasks/{made.json['id']}?wait_seconds=0.05")

    assert (answer.status, answer.json["outcome"]) == (200, None)
