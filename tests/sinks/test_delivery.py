"""Every audit record reaches every kind of sink: in order, as the API shows it, whatever the other side does."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller, Fleet
from tests.sinks.conftest import MEMORY, WriteSinks, audits, indices, log_of, said, settings, until_there, work
from tests.sinks.receivers import OVER_HTTP, WITH_ANOTHER_SIDE, NatsReceiver, Receiver, SyslogReceiver, WebReceiver

pytestmark = pytest.mark.usefixtures("quick")


async def test_a_sink_gets_each_record_in_order_as_the_api_shows_it(
    store_url: str, receiver: Receiver, sinks_file: WriteSinks
) -> None:
    async with Orchestrator(settings(store_url, sinks_file(receiver, record_bytes=1_000_000))) as swarm:
        await work(swarm, 3)
        bot = await Fleet(swarm).bot("Executor")
        await bot.report(await bot.one(), output={"n": 1})
        shown = await log_of(swarm)
        events = await until_there(receiver, shown[-1]["index"])

    assert audits(events)[: len(shown)] == shown
    first = events[0]
    assert (first["specversion"], first["source"], first["datacontenttype"]) == ("1.0", "/audit", "application/json")
    assert first["type"] == f"io.swarmkeeper.audit.{shown[0]['event']}.v1"
    assert (first["subject"], first["time"]) == ("default/0", shown[0]["timestamp"])
    assert len(events) == len(audits(events)), "without a crash nothing comes twice"


async def test_a_secret_never_leaves(receiver: Receiver, sinks_file: WriteSinks) -> None:
    core = "Zx8Kq2Lm5Np7Rs1Tv4Wy" * 2
    async with Orchestrator(settings(MEMORY, sinks_file(receiver, events=True))) as swarm:
        await work(swarm, 1, title=f"with ghp_{core[:36]}")
        client = Caller(swarm.app, await swarm.make_key("client"))
        task = (await client.post("/tasks", {"title": "t", "labels": {"password": core}})).json["id"]
        await client.post(f"/tasks/{task}:cancel", {"reason": f"token ghp_{core[:36]}"})
        await until_there(receiver, (await log_of(swarm))[-1]["index"])

    raw = await receiver.everything()
    assert b"[redacted:" in raw
    assert core[:12].encode() not in raw
    assert core[-12:].encode() not in raw


async def test_tenants_have_logs_of_their_own(receiver: Receiver, sinks_file: WriteSinks) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(receiver))) as swarm:
        for tenant in ("default", "acme", "default", "acme"):
            await work(swarm, 2, tenant=tenant)
        await until_there(receiver, 5, "acme")
        events = await until_there(receiver, 5)

    for tenant in ("default", "acme"):
        found = indices(events, tenant)
        assert len(found) >= 6
        assert found == list(range(len(found)))


async def test_events_come_too_if_the_sink_wants_them(receiver: Receiver, sinks_file: WriteSinks) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(receiver, events=True, record_bytes=1_000_000))) as swarm:
        await work(swarm, 3)
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        feed = (await admin.get("/events?page_size=200")).json["items"]
        async with asyncio.timeout(20):
            while True:
                events = [e for e in await receiver.received() if e["source"] == "/swarmkeeper"]
                if len(events) >= len(feed):
                    break
                await asyncio.sleep(0.05)

    # A sink is the operator's: its ids are the numbers of the events.
    shown = [{k: v for k, v in e.items() if k not in ("id", "tenant", "datacontenttype")} for e in events]
    assert shown[: len(feed)] == [{k: v for k, v in event.items() if k != "id"} for event in feed]
    assert [e["id"] for e in events] == [str(number) for number in range(1, len(events) + 1)]


@pytest.mark.parametrize("receiver", WITH_ANOTHER_SIDE, indirect=True)
async def test_while_the_receiver_is_down_nothing_is_lost_and_the_log_says_so(
    receiver: Receiver, sinks_file: WriteSinks, capfd: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    await receiver.kill()
    async with Orchestrator(settings(MEMORY, sinks_file(receiver))) as swarm:
        await work(swarm, 2)
        waits = await said(capfd, "sink_waits", lines)
        metrics = swarm._metrics.text()[0].decode()
        warnings = swarm.readiness(verbose=True)["warnings"]
        await receiver.start()
        await said(capfd, "sink_goes_on", lines)
        await until_there(receiver, 2)
        for _ in range(3):
            await receiver.kill()
            await work(swarm, 5)
            await receiver.start()
            await work(swarm, 5)
        shown = await log_of(swarm)
        events = await until_there(receiver, shown[-1]["index"])

    assert (waits["level"], waits["sink"]) == ("warning", receiver.kind)
    assert "t0p" not in str(waits), "a token in an address is not shown"
    assert f'swarmkeeper_sink_behind_records{{sink="{receiver.kind}"}} 0.0' not in metrics
    assert f'swarmkeeper_sink_failures_total{{sink="{receiver.kind}"}} 0.0' not in metrics
    assert any(receiver.kind in str(warning) for warning in warnings), warnings
    assert indices(events)[: len(shown)] == list(range(len(shown)))


# A receiver of syslog that fails is in test_forms.py: it must not have read what it loses.
@pytest.mark.parametrize(
    ("receiver", "mode"),
    [(SyslogReceiver, "slow"), *((each, mode) for each in OVER_HTTP for mode in ("slow", "failing"))],
    indirect=["receiver"],
)
async def test_a_receiver_that_is_slow_or_fails_loses_nothing(
    mode: str, receiver: Receiver, sinks_file: WriteSinks
) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(receiver))) as swarm:
        await work(swarm, 2)
        await until_there(receiver, 2)
        for _ in range(2):
            receiver.mode = mode
            async with asyncio.timeout(10):
                await work(swarm, 10)
            await asyncio.sleep(0.5)
            receiver.mode = "ok"
        shown = await log_of(swarm)
        events = await until_there(receiver, shown[-1]["index"])

    assert indices(events)[: len(shown)] == list(range(len(shown)))


@pytest.mark.parametrize("receiver", [NatsReceiver], indirect=True)
async def test_a_nats_server_that_answers_nothing_holds_up_nobody(
    receiver: NatsReceiver, sinks_file: WriteSinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmkeeper.sinks.reader.SEND_SECONDS_MAX", 1.0)
    async with Orchestrator(settings(MEMORY, sinks_file(receiver))) as swarm:
        await work(swarm, 2)
        await until_there(receiver, 2)
        receiver.server.freeze()
        async with asyncio.timeout(5):
            await work(swarm, 10)
        await asyncio.sleep(1.5)
        receiver.server.thaw()
        shown = await log_of(swarm)
        events = await until_there(receiver, shown[-1]["index"])

    assert indices(events)[: len(shown)] == list(range(len(shown)))


@pytest.mark.parametrize("receiver", OVER_HTTP, indirect=True)
@pytest.mark.parametrize("status", [400, 401, 404, 413, 302])
async def test_what_is_refused_is_not_skipped_the_sink_stops_and_says_so(
    status: int, receiver: WebReceiver, sinks_file: WriteSinks, capfd: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    async with Orchestrator(settings(MEMORY, sinks_file(receiver))) as swarm:
        await work(swarm, 1)
        await until_there(receiver, 1)
        receiver.mode, receiver.status = "refusing", status
        await work(swarm, 3)
        stopped = await said(capfd, "sink_stopped", lines)
        tries = len(receiver.requests)
        metrics = swarm._metrics.text()[0].decode()
        warnings = swarm.readiness(verbose=True)["warnings"]
        ready = swarm.readiness()["ready"]
        receiver.mode = "ok"
        shown = await log_of(swarm)
        events = await until_there(receiver, shown[-1]["index"])

    assert stopped["level"] == "error"
    assert f"it answered with {status}: not like this" in stopped["reason"]
    assert tries <= 3, "it does not try again at once"
    assert f'swarmkeeper_sink_stopped{{sink="{receiver.kind}"}} 1.0' in metrics
    assert any("has stopped" in str(warning) and str(status) in str(warning) for warning in warnings), warnings
    assert ready is True
    assert indices(events)[: len(shown)] == list(range(len(shown)))
    assert "/elsewhere" not in receiver.paths, "redirects are not followed"


async def test_after_a_stop_it_goes_on_where_it_was(store_url: str, receiver: Receiver, sinks_file: WriteSinks) -> None:
    file = sinks_file(receiver)
    events: list[dict[str, Any]] = []
    for _ in range(3):
        async with Orchestrator(settings(store_url, file)) as swarm:
            await work(swarm, 2)
            last = (await log_of(swarm))[-1]["index"]
            events = await until_there(receiver, last)

    found = indices(events)
    assert found == list(range(len(found)))
    assert len(events) < 2 * len(found), "it does not begin again"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has recorded much, and had no sink."""
    file = tmp_path_factory.mktemp("recorded") / "old.db"

    async def fill() -> None:
        async with Orchestrator(Settings(store=f"sqlite:///{file}")) as swarm:
            await work(swarm, 250)

    asyncio.run(fill())
    return file


async def test_what_was_recorded_before_the_sink_was_set_up_is_sent_too(
    receiver: Receiver, sinks_file: WriteSinks, tmp_path: Path, recorded: Path
) -> None:
    store = f"sqlite:///{tmp_path}/old.db"
    shutil.copytree(recorded.parent, tmp_path, dirs_exist_ok=True)
    async with Orchestrator(settings(store, sinks_file(receiver))):
        events = await until_there(receiver, 250)

    assert indices(events)[:251] == list(range(251))


async def test_a_record_that_is_too_large_is_sent_without_its_payload(
    receiver: Receiver, sinks_file: WriteSinks
) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(receiver, record_bytes=2048))) as swarm:
        await work(swarm, 1, title="x" * 200)
        client = Caller(swarm.app, await swarm.make_key("client"))
        labels = {f"label-{number}": "y" * 120 for number in range(20)}
        assert (await client.post("/tasks", {"title": "large", "labels": labels})).status == 201
        shown = await log_of(swarm)
        events = await until_there(receiver, shown[-1]["index"])

    records = audits(events)
    assert [record["hash"] for record in records[: len(shown)]] == [record["hash"] for record in shown]
    cut = [record for record in records if "omitted" in record]
    assert cut
    assert "payload" not in cut[0]
    assert all(len(str(record)) < 3_000 for record in records)
