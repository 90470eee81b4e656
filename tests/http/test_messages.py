"""Messages between bots, and from clients to bots: recipients, delivery, limits."""

import json
from pathlib import Path

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.core.model import Limits
from swarmkeeper.reads.message_queries import GIVEN_MAX
from swarmkeeper.settings import Settings
from tests.http.conftest import Answered, BotCaller, Caller, Fleet, Json, key_of
from tests.http.test_work import planned


async def beat(bot: BotCaller, *leases: Json, after: str | None = None) -> list[Json]:
    """Send a heartbeat; return the messages in the answer."""
    said = {} if after is None else {"messages_after": after}
    beats = [{"lease_id": lease["lease_id"], **said} for lease in leases]
    answer = await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": beats})
    assert answer.status == 200, answer.json
    messages: list[Json] = answer.json["messages"]
    return messages


async def tell(caller: Caller, task_id: str, payload: Json, to: str | None = None, **more: Json) -> Answered:
    return await caller.post(f"/tasks/{task_id}/messages", {"to_bot": to, "payload": payload, **more})


def said(messages: list[Json]) -> list[Json]:
    return [message["payload"]["say"] for message in messages]


async def test_a_message_to_a_bot_by_name_or_id_arrives_with_its_heartbeat(client: Caller, fleet: Fleet) -> None:
    first, second = await fleet.bot("Executor", "one"), await fleet.bot("Executor", "two")
    task_id = await planned(client, "a", "b")
    mine, theirs = await first.one(), await second.one()

    sent = await tell(first.call, task_id, {"say": "by name"}, "two")
    await tell(first.call, task_id, {"say": "by id"}, second.id)

    assert sent.status == 201
    messages = await beat(second, theirs)
    assert messages[0] == sent.json
    assert messages[0] | {"id": "", "timestamp": ""} == {
        "id": "",
        "from_bot": "one",
        "to_bot": "two",
        "task_id": task_id,
        "payload": {"say": "by name"},
        "timestamp": "",
    }
    assert said(messages) == ["by name", "by id"]
    assert await beat(first, mine) == []


async def test_a_message_without_recipient_goes_to_all_bots_of_the_task_except_the_sender(
    client: Caller, fleet: Fleet
) -> None:
    first, second, third = [await fleet.bot("Executor", name) for name in ("one", "two", "three")]
    task_id = await planned(client, "a", "b")
    mine, theirs = await first.one(), await second.one()
    await planned(client, "c")
    elsewhere = await third.one()

    await tell(first.call, task_id, {"say": "all"})
    await tell(client, task_id, {"say": "from the client"})

    assert said(await beat(second, theirs)) == ["all", "from the client"]
    assert said(await beat(first, mine)) == ["from the client"]
    assert await beat(third, elsewhere) == []


async def test_two_instances_of_one_bot_exchange_messages(swarm: Orchestrator, client: Caller) -> None:
    caller = Caller(swarm.app, await swarm.make_key("bot:executor", bot="worker"))
    bots = []
    for instance in ("x", "y"):
        answer = await caller.post("/bots/register", {"type": "Executor", "version": "1", "instance": instance})
        bots.append(BotCaller(caller, answer.json["id"]))
    task_id = await planned(client, "a", "b")
    leases = [await bot.one() for bot in bots]

    unclear = await tell(caller, task_id, {"say": "who am I"})
    sent = await tell(caller, task_id, {"say": "hello"}, lease_id=leases[0]["lease_id"])
    both = await tell(client, task_id, {"say": "to the name"}, "worker")

    assert (unclear.status, unclear.json["code"]) == (409, "lease_required")
    assert (sent.status, sent.json["from_bot"], both.status) == (201, "worker", 201)
    assert said(await beat(bots[1], leases[1])) == ["hello", "to the name"]
    assert said(await beat(bots[0], leases[0])) == ["to the name"]


async def test_an_acknowledged_message_is_not_delivered_again(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    task_id = await planned(client, "a")
    lease = await bot.one()
    for word in ("one", "two"):
        await tell(client, task_id, {"say": word})

    first = await beat(bot, lease)
    lost = await beat(bot, lease)
    after = await beat(bot, lease, after=first[0]["id"])

    assert said(first) == said(lost) == ["one", "two"]
    assert said(after) == ["two"]
    assert await beat(bot, lease, after=first[1]["id"]) == []
    assert said(await beat(bot, lease, after="msg_0")) == ["one", "two"]


async def test_with_two_leases_of_a_task_the_older_acknowledgement_counts(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", capacity=2)
    task_id = await planned(client, "a", "b")
    first, second = (await bot.lease(max=2)).json["leases"]
    await tell(client, task_id, {"say": "one"})
    (heard,) = await beat(bot, first)
    beats = [{"lease_id": first["lease_id"], "messages_after": heard["id"]}, {"lease_id": second["lease_id"]}]

    messages = (await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": beats})).json["messages"]

    assert said(messages) == ["one"]


async def test_a_bot_that_starts_later_receives_earlier_messages(client: Caller, fleet: Fleet) -> None:
    first, second = await fleet.bot("Executor", "one"), await fleet.bot("Executor", "two")
    task_id = await planned(client, "a")
    lease = await first.one()
    await tell(client, task_id, {"say": "the format has changed"})
    await tell(client, task_id, {"say": "you alone"}, "one")
    assert len(await beat(first, lease)) == 2
    await first.call.post(f"/leases/{lease['lease_id']}:release")

    assert said(await beat(second, await second.one())) == ["the format has changed"]


async def test_messages_survive_a_restart(tmp_path: Path) -> None:
    settings = Settings(store=f"sqlite:///{tmp_path / 'store.db'}")
    async with Orchestrator(settings) as swarm:
        client = Caller(swarm.app, await swarm.make_key("client"))
        bot = await Fleet(swarm).bot("Executor")
        task_id = await planned(client, "a")
        lease = await bot.one()
        await tell(client, task_id, {"say": "remember"})
    async with Orchestrator(settings) as swarm:
        again = BotCaller(Caller(swarm.app, bot.call.key), bot.id)

        assert said(await beat(again, lease)) == ["remember"]


async def test_heartbeats_without_new_messages_read_nothing(
    swarm: Orchestrator, client: Caller, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = await fleet.bot("Executor", capacity=2)
    task_id = await planned(client, "a")
    lease = await bot.one()
    silent = await planned(client, "b")
    other = await bot.one()
    message = (await tell(client, task_id, {"say": "news"})).json
    read: list[str] = []
    real = swarm.store.read

    async def counted(name: str, parameters: Json) -> Json:
        read.append(name)
        return await real(name, parameters)

    monkeypatch.setattr(swarm.store, "read", counted)

    assert await beat(bot, other) == []
    assert await beat(bot, lease, after=message["id"]) == []
    assert not any("message" in name for name in read)
    assert len(await beat(bot, lease)) == 1
    assert "messages_for_bot" in read
    assert silent != task_id


async def test_many_messages_are_delivered_over_several_heartbeats(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    task_id = await planned(client, "a")
    lease = await bot.one()
    for number in range(GIVEN_MAX + 1):
        await tell(client, task_id, {"say": number})
    big = "x" * 60_000
    for _ in range(20):
        await tell(client, task_id, {"say": big})

    first = await beat(bot, lease)
    second = await beat(bot, lease, after=first[-1]["id"])
    third = await beat(bot, lease, after=second[-1]["id"])

    assert said(first) == list(range(GIVEN_MAX))
    assert said(second) == [GIVEN_MAX, *[big] * 17]
    assert said(third) == [big] * 3


async def test_the_messages_in_one_heartbeat_are_limited_over_all_tasks(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", capacity=2)
    tasks = [await planned(client, "a"), await planned(client, "b")]
    leases = (await bot.lease(max=2)).json["leases"]
    for task_id in tasks:
        for _ in range(10):
            await tell(client, task_id, {"say": "x" * 60_000})

    assert [message["task_id"] for message in await beat(bot, *leases)] == [tasks[0]] * 10 + [tasks[1]] * 7


async def test_a_bot_sends_messages_only_about_tasks_it_works_on(client: Caller, fleet: Fleet) -> None:
    first, second = await fleet.bot("Executor", "one"), await fleet.bot("Executor", "two")
    task_id = await planned(client, "a")
    lease = await first.one()

    idle = await tell(second.call, task_id, {})
    borrowed = await tell(second.call, task_id, {}, lease_id=lease["lease_id"])
    other_task = await tell(first.call, await planned(client, "b"), {}, lease_id=lease["lease_id"])
    gone = await tell(first.call, task_id, {}, lease_id="lse_0")

    assert [(each.status, each.json["code"]) for each in (idle, borrowed, other_task, gone)] == [
        (403, "forbidden"),
        (403, "forbidden"),
        (409, "lease_lost"),
        (409, "lease_lost"),
    ]
    assert (await client.get(f"/tasks/{task_id}/messages")).json["items"] == []


async def test_an_unknown_recipient_is_refused(client: Caller, fleet: Fleet) -> None:
    await fleet.bot("Executor", "known")
    task_id = await planned(client, "a")

    refused = await tell(client, task_id, {}, "knwon")

    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/to_bot")
    assert refused.json["errors"][0]["code"] == "unknown_bot"
    assert "knwon" not in refused.body.decode()


async def test_messages_do_not_cross_tenants(swarm: Orchestrator, client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor", "known")
    task_id = await planned(client, "a")
    stranger = client.with_key(await key_of(swarm, "umbrella", "admin"))
    theirs = await planned(stranger, "a")

    assert (await tell(stranger, task_id, {})).status == 404
    assert (await stranger.get(f"/tasks/{task_id}/messages")).status == 404
    assert (await tell(stranger, theirs, {}, bot.id)).status == 422
    assert (await tell(stranger, theirs, {}, "known")).status == 422


async def test_a_payload_has_at_most_64_kib(client: Caller) -> None:
    task_id = await planned(client, "a")
    fits = {"text": "x" * (64 * 1024 - 11)}
    assert len(json.dumps(fits, separators=(",", ":"))) == 64 * 1024

    assert (await tell(client, task_id, fits)).status == 201
    refused = await tell(client, task_id, {"text": fits["text"] + "x"})

    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/payload")


async def test_the_number_of_messages_of_a_task_is_limited(swarm: Orchestrator, client: Caller) -> None:
    task_id, other = await planned(client, "a"), await planned(client, "b")
    swarm.engine.limits = Limits(messages_max=2)

    statuses = [(await tell(client, task_id, {})).status for _ in range(3)]

    assert statuses == [201, 201, 422]
    assert (await tell(client, other, {})).status == 201


async def test_a_closed_task_accepts_no_message_but_shows_its_messages(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    task_id = await planned(client, "a")
    lease = await bot.one()
    await tell(client, task_id, {"say": "early"})
    await client.post(f"/tasks/{task_id}:cancel")

    refused = await tell(client, task_id, {"say": "late"})

    assert (refused.status, refused.json["code"]) == (409, "task_closed")
    assert said((await client.get(f"/tasks/{task_id}/messages")).json["items"]) == ["early"]
    assert await beat(bot, lease) == []


async def test_messages_are_delivered_again_after_a_retry(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    task_id = await planned(client, "a")
    await tell(client, task_id, {"say": "still true"})
    await bot.report(await bot.one(), error={"class": "not_retryable", "message": "no"})
    assert (await client.post(f"/tasks/{task_id}:retry")).json["status"] == "IN_PROGRESS"

    assert said(await beat(bot, await bot.one())) == ["still true"]


async def test_a_message_repeated_with_its_key_is_stored_once(client: Caller) -> None:
    task_id = await planned(client, "a")
    body = {"payload": {"say": "once"}}

    first, again = [await client.post(f"/tasks/{task_id}/messages", body, Idempotency_Key="k1") for _ in range(2)]

    assert first.json == again.json
    assert again.headers["idempotency-replayed"] == "true"
    assert len((await client.get(f"/tasks/{task_id}/messages")).json["items"]) == 1


async def test_messages_are_listed_in_pages_and_after_a_given_one(client: Caller, fleet: Fleet) -> None:
    bot, idle = await fleet.bot("Executor"), await fleet.bot("Executor", "idle")
    task_id = await planned(client, "a")
    ids = [(await tell(client, task_id, {"say": number})).json["id"] for number in range(5)]
    path = f"/tasks/{task_id}/messages"

    first = (await client.get(f"{path}?page_size=2")).json
    second = (await client.get(f"{path}?page_size=2&page_token={first['next_page_token']}")).json
    last = (await client.get(f"{path}?after={ids[3]}")).json

    assert (said(first["items"]), said(second["items"]), said(last["items"])) == ([0, 1], [2, 3], [4])
    assert (first["items"][0]["from_bot"], last["next_page_token"]) == (first["items"][1]["from_bot"], "")
    unknown = await client.get(f"{path}?after=msg_0")
    assert (unknown.status, unknown.json["errors"][0]["pointer"]) == (422, "/query/after")
    assert (await idle.call.get(path)).status == 404
    await bot.one()
    assert len((await bot.call.get(path)).json["items"]) == 5


async def test_an_auditor_sees_that_a_message_was_sent_but_not_its_payload(
    swarm: Orchestrator, client: Caller, fleet: Fleet
) -> None:
    await fleet.bot("Executor", "worker")
    auditor = client.with_key(await swarm.make_key("auditor"))
    task_id = await planned(client, "a")
    sent = (await tell(client, task_id, {"say": "between us"}, "worker")).json

    assert (await auditor.get(f"/tasks/{task_id}/messages")).status == 403
    events = (await auditor.get(f"/tasks/{task_id}/events")).json["items"]
    (event,) = [each["data"] for each in events if "message" in each["type"]]
    summary = {name: event[name] for name in ("message", "from_bot", "to_bot", "bytes")}
    assert summary == {"message": sent["id"], "from_bot": sent["from_bot"], "to_bot": "worker", "bytes": 20}
    records = (await auditor.get(f"/tasks/{task_id}/audit?action=task.message")).json["items"]
    (record,) = records
    assert record["payload"] == summary
    assert "between us" not in json.dumps(records)
    assert "between us" not in json.dumps(events)


async def test_fields_of_a_message_that_only_the_server_sets_are_ignored(client: Caller) -> None:
    task_id = await planned(client, "a")
    founding = {"id": "msg_mine", "from_bot": "somebody", "task_id": "tsk_other", "timestamp": "2020-01-01T00:00:00Z"}

    body = {**founding, "to_bot": None, "payload": {"say": "x"}}
    sent = (await client.post(f"/tasks/{task_id}/messages", body)).json

    assert sent["task_id"] == task_id
    assert all(sent[name] != value for name, value in founding.items())
