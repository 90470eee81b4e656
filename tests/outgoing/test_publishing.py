"""Every event of the feed reaches the stream: in order, in the feed's form, whatever stops and starts again."""

import asyncio
import json
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js.api import StreamConfig

from swarmkeeper.app import Orchestrator
from swarmkeeper.outgoing import owned, publisher
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller, Fleet
from tests.http.test_work import planned
from tests.outgoing.streams import NAME, Message, first_times, published
from tests.support.brokers import BrokerServer, NatsServer
from tests.support.cursors import cursors_of

SECONDS = 40


def settings(store_url: str, outside: BrokerServer, **more: Any) -> Settings:
    return Settings(store=store_url, stream=outside.url, log_format="json", **more)


async def feed(swarm: Orchestrator) -> list[dict[str, Any]]:
    """Return the whole feed of the default tenant, as the API gives it."""
    admin = Caller(swarm.app, await swarm.make_key("admin"))
    found: list[dict[str, Any]] = []
    while page := (await admin.get(f"/events?page_size=200&after={found[-1]['id'] if found else 0}")).json["items"]:
        found += page
    return found


async def newest(swarm: Orchestrator) -> int:
    """Return the number of the newest event that the API gives to the default tenant."""
    return (await cursors_of(swarm.store)).decode("default", (await feed(swarm))[-1]["id"])


async def until_there(outside: BrokerServer, last: int, name: str = NAME) -> list[Message]:
    """Wait for the event with this number, and return everything in the stream."""
    async with asyncio.timeout(SECONDS):
        while True:
            found = await published(outside, name)
            if found and max(message.seq for message in found) >= last:
                return found
            await asyncio.sleep(0.1)


async def said(capfd: pytest.CaptureFixture[str], event: str, so_far: list[str]) -> str:
    """Wait for a line of the log, and return it."""
    async with asyncio.timeout(SECONDS):
        while True:
            so_far += capfd.readouterr().err.splitlines()
            for line in so_far:
                if f'"event": "{event}"' in line:
                    return line
            await asyncio.sleep(0.05)


async def tasks(swarm: Orchestrator, count: int, **more: Any) -> None:
    client = Caller(swarm.app, await swarm.make_key("client"))
    for _ in range(count):
        await planned(client, "a", "b", **more)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it wait only briefly where it waits."""
    monkeypatch.setattr(owned, "WAIT_SECONDS_MAX", 0.5)
    monkeypatch.setattr(owned, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(owned, "TAKE_OVER_SECONDS", 0.2)


async def test_each_event_is_published_in_order_as_the_feed_shows_it(store_url: str, outside: BrokerServer) -> None:
    async with Orchestrator(settings(store_url, outside)) as swarm:
        secret = "ghp_" + "Zx8Kq2Lm5Np7Rs1Tv4Wy" * 2
        await tasks(swarm, 3, title=f"with {secret[:40]}")
        bot = await Fleet(swarm).bot("Executor")
        await bot.report(await bot.one(), output={"n": 1})
        shown = await feed(swarm)
        messages = await until_there(outside, await newest(swarm))

    more = ("tenant", "datacontenttype", "cursor")
    bodies = [{k: v for k, v in m.body.items() if k not in more} | {"id": m.body["cursor"]} for m in messages]
    assert bodies[: len(shown)] == shown
    assert [m.body["id"] for m in messages] == [str(number) for number in range(1, len(messages) + 1)]
    assert {(m.body["tenant"], m.body["datacontenttype"]) for m in messages} == {("default", "application/json")}
    assert "ghp_" not in str(messages)
    assert any("redacted_fields" in m.body["data"] for m in messages)
    if isinstance(outside, NatsServer):
        (first, *_) = messages
        assert first.about["subject"] == f"{NAME}.default.{shown[0]['type'][len('io.swarmkeeper.') : -len('.v1')]}"
        ids = [m.about["Nats-Msg-Id"] for m in messages]
        assert len(set(ids)) == len(ids)
    else:
        assert messages[0].about == {"tenant": "default", "type": shown[0]["type"][len("io.swarmkeeper.") : -3]}


async def test_events_of_other_tenants_say_whose_they_are(outside: BrokerServer) -> None:
    async with Orchestrator(settings("sqlite://:memory:", outside)) as swarm:
        for tenant in ("default", "acme"):
            client = Caller(swarm.app, await swarm.make_key("client", tenant=tenant))
            await planned(client, "a")
        messages = await until_there(outside, (await swarm.store.read("newest_event", {}))[0]["seq"])

    tenants = {m.body["tenant"] for m in messages}
    assert tenants == {"default", "acme"}
    for message in messages:
        told = message.about["subject"].split(".")[1] if "subject" in message.about else message.about["tenant"]
        assert told == message.body["tenant"]


async def test_after_a_stop_it_goes_on_where_it_was(store_url: str, outside: BrokerServer) -> None:
    last = 0
    for _ in range(3):
        async with Orchestrator(settings(store_url, outside)) as swarm:
            await tasks(swarm, 2)
            last = await newest(swarm)
            messages = await until_there(outside, last)

    numbers = [message.seq for message in messages]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_what_happened_before_the_stream_was_set_up_is_published_too(
    outside: BrokerServer, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path}/swarm.db"
    async with Orchestrator(Settings(store=store)) as swarm:
        await tasks(swarm, 80)
    async with Orchestrator(settings(store, outside)) as swarm:
        last = await newest(swarm)
        messages = await until_there(outside, last)

    assert last > 2 * publisher.PAGE
    assert [message.seq for message in messages][:last] == list(range(1, last + 1))


@pytest.mark.usefixtures("quick")
async def test_while_the_other_side_is_down_it_waits_and_says_so(
    store_url: str, outside: BrokerServer, capfd: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    outside.kill()
    async with Orchestrator(settings(store_url, outside)) as swarm:
        await tasks(swarm, 1)
        waits = await said(capfd, "outgoing_waits", lines)
        outside.start()
        await said(capfd, "outgoing_goes_on", lines)
        await until_there(outside, await newest(swarm))

        lines.clear()
        outside.kill()
        await tasks(swarm, 3)
        await said(capfd, "outgoing_waits", lines)
        async with asyncio.timeout(SECONDS):
            while True:
                text = swarm._metrics.text()[0].decode()
                if "swarmkeeper_outgoing_behind 0.0" not in text:
                    break
                await asyncio.sleep(0.1)
        outside.start()
        await tasks(swarm, 3)
        messages = await until_there(outside, await newest(swarm))

    assert '"level": "warning"' in waits
    assert f'"stream": "{outside.scheme}://127.0.0.1:{outside.port}/{NAME}"' in waits
    numbers = first_times(messages)
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.usefixtures("quick")
async def test_a_server_outside_that_answers_nothing_holds_up_nobody(
    store_url: str, outside: BrokerServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(owned, "APPEND_SECONDS_MAX", 1.0)
    async with Orchestrator(settings(store_url, outside)) as swarm:
        await tasks(swarm, 2)
        await until_there(outside, await newest(swarm))
        outside.freeze()
        async with asyncio.timeout(5):
            await tasks(swarm, 5)
        await said(capfd, "outgoing_waits", [])
        outside.thaw()
        messages = await until_there(outside, await newest(swarm))

    numbers = first_times(messages)
    assert numbers == list(range(1, len(numbers) + 1))


async def test_events_that_left_the_store_are_missed_aloud_and_the_others_follow(
    store_url: str, outside: BrokerServer, capfd: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    async with Orchestrator(Settings(store=store_url, retention_tasks_seconds=1)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        for _ in range(3):
            task = (await admin.post("/tasks", {"title": "t"})).json["id"]
            await admin.post(f"/tasks/{task}:cancel")
        async with asyncio.timeout(SECONDS):
            while True:
                if not (await admin.get("/tasks")).json["items"]:
                    break
                await asyncio.sleep(0.1)
        last = (await swarm.store.read("newest_event", {}))[0]["seq"]
        there = [row["seq"] for row in await swarm.store.read("events_after", {"after": 0, "limit": 1000})]
    assert len(there) < last
    async with Orchestrator(settings(store_url, outside)) as swarm:
        await tasks(swarm, 1)
        messages = await until_there(outside, await newest(swarm))
        line = await said(capfd, "outgoing_skipped", lines)
        text = swarm._metrics.text()[0].decode()

    numbers = [message.seq for message in messages]
    assert numbers == [*there, *range(last + 1, numbers[-1] + 1)]
    assert f'"count": {last - len(there)}' in line
    assert f"swarmkeeper_outgoing_skipped_total {float(last - len(there))}" in text
    assert f"swarmkeeper_outgoing_published_total {float(len(numbers))}" in text


async def test_the_stream_has_the_name_that_is_set(outside: BrokerServer) -> None:
    async with Orchestrator(settings("sqlite://:memory:", outside, stream_name="mine")) as swarm:
        await tasks(swarm, 1)
        assert await until_there(outside, 1, "mine")

    assert await published(outside) == []


async def test_the_stream_keeps_about_as_many_events_as_are_set(outside: BrokerServer) -> None:
    async with Orchestrator(settings("sqlite://:memory:", outside, stream_length=10)) as swarm:
        await tasks(swarm, 110)
        messages = await until_there(outside, await newest(swarm))

    assert messages[-1].seq > 300
    assert len(messages) == 10 if isinstance(outside, NatsServer) else 10 <= len(messages) < 250


async def test_a_stream_of_jetstream_that_exists_is_used_as_it_is(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as outside:
        client = await nats.connect(outside.url)
        made = StreamConfig(name="of-the-operator", subjects=[f"{NAME}.>"], max_msgs=3)
        await client.jetstream().add_stream(made)
        async with Orchestrator(settings("sqlite://:memory:", outside, stream_name=NAME)) as swarm:
            await tasks(swarm, 5)
            messages = await until_there(outside, 2, "of-the-operator")
            info = await client.jetstream().stream_info("of-the-operator")
        await client.close()

    assert info.config.max_msgs == 3
    assert all(message.about["subject"].startswith(f"{NAME}.default.") for message in messages)


@pytest.mark.parametrize("bound", ["server", "stream"])
async def test_an_event_that_is_too_large_is_left_out_aloud(
    bound: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outside = NatsServer(tmp_path)
    outside.payload_max = 3_000 if bound == "server" else 0
    with outside:
        maker = await nats.connect(outside.url)
        made = StreamConfig(name=NAME, subjects=[f"{NAME}.>"], max_msg_size=3_000 if bound == "stream" else -1)
        await maker.jetstream().add_stream(made)
        await maker.close()
        async with Orchestrator(settings("sqlite://:memory:", outside)) as swarm:
            client = Caller(swarm.app, await swarm.make_key("client"))
            await planned(client, *(f"key-{number:03}-{'x' * 20}" for number in range(200)))
            await planned(client, "small")
            last = await newest(swarm)
            messages = await until_there(outside, last)
            lines: list[str] = []
            await said(capfd, "outgoing_too_large", lines)

    numbers = [message.seq for message in messages]
    left_out = sorted(set(range(1, last + 1)) - set(numbers))
    assert left_out
    assert [json.loads(line)["first"] for line in lines if "outgoing_too_large" in line] == left_out
    assert numbers == sorted(numbers)
