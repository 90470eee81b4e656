"""The assembled server: embedded, without a socket, and on another ASGI server."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from swarmkeeper.app import OWN, Orchestrator, create_app, make_log
from swarmkeeper.clock import SystemClock
from swarmkeeper.core.commands import CreateKey
from swarmkeeper.core.errors import Overloaded
from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.in_process import InProcess
from swarmkeeper.sdk.client import Client
from swarmkeeper.sdk.errors import Unauthenticated
from swarmkeeper.server import CannotServe, serving
from swarmkeeper.settings import Settings

MEMORY = Settings(store="sqlite://:memory:", port=0, log_level="error")


async def test_a_task_is_submitted_and_read_without_a_socket() -> None:
    async with Orchestrator(MEMORY) as swarm:
        client = swarm.client()

        task = await client.submit("Count the words", subtasks=[{"key": "a", "description": "count"}])

        assert [subtask.key for subtask in (await client.get(task.id)).subtasks] == ["a"]
        events = [event.type.split(".")[-2] async for event in client.events(task.id)]
        assert events == ["submitted", "planned", "unblocked"]


async def test_a_client_with_a_key_may_do_what_the_key_may() -> None:
    async with Orchestrator(MEMORY) as swarm:
        key = await swarm.make_key("client")

        assert (await swarm.client(key).submit("one")).title == "one"
        with pytest.raises(Unauthenticated):
            await swarm.client("swk_nobody").submit("two")


async def test_a_watcher_without_a_socket_gets_each_change_and_may_leave() -> None:
    async with Orchestrator(MEMORY) as swarm:
        client = swarm.client()
        task = await client.submit("one")
        feed = client.events(task.id, follow=True)

        first = await anext(feed)
        waiting = asyncio.ensure_future(anext(feed))
        await client.cancel(task.id)

        assert first.type == "io.swarmkeeper.task.submitted.v1"
        assert (await asyncio.wait_for(waiting, 5)).type == "io.swarmkeeper.task.failed.v1"
        assert isinstance(feed, AsyncGenerator)
        await feed.aclose()


async def test_it_can_be_mounted_in_another_application() -> None:
    host = FastAPI()
    async with Orchestrator(MEMORY) as swarm:
        host.mount("/swarm", swarm.app)
        key = await swarm.make_key("client")
        client = Client("http://host", key, transport=InProcess(host))

        answer = await client.call("GET", "/swarm/health")

        assert answer.body["status"] == "ok"
        made = await client.call("POST", "/swarm/tasks", {"title": "one"})
        assert made.status == 201


async def test_it_lives_as_long_as_the_lifespan_of_its_server(tmp_path: Path) -> None:
    app = create_app(Settings(store=f"sqlite:///{tmp_path / 'a.db'}", log_level="error"))
    heard: asyncio.Queue[str] = asyncio.Queue()
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receive() -> dict[str, Any]:
        return {"type": await heard.get()}

    live = asyncio.ensure_future(app({"type": "lifespan"}, receive, sent.put))  # type: ignore[arg-type]  # plain dicts
    await heard.put("lifespan.startup")
    assert (await sent.get())["type"] == "lifespan.startup.complete"
    client = Client("http://host", "", transport=InProcess(app))
    assert (await client.health()).status == "ok"

    await heard.put("lifespan.shutdown")
    assert (await sent.get())["type"] == "lifespan.shutdown.complete"
    await live
    with pytest.raises(RuntimeError, match="lifespan"):
        await app({"type": "http"}, receive, sent.put)  # type: ignore[arg-type]  # plain dicts


async def test_an_engine_that_ends_by_itself_is_noticed_readiness_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(MEMORY) as served:
        assert served.swarm.readiness()["ready"]

        async def broken() -> None:
            raise RuntimeError("a fault in the loop")

        monkeypatch.setattr(served.swarm.engine, "_wait", broken)
        served.swarm.engine._woken.set()

        await asyncio.wait_for(served.stop.wait(), 10)
        assert served.swarm.ended.is_set()
        assert not served.swarm.readiness()["ready"]


async def test_a_store_that_refuses_writes_makes_it_unready_until_it_takes_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(store=f"sqlite:///{tmp_path / 'a.db'}", log_level="error")
    async with Orchestrator(settings) as swarm:

        async def full(connection: object) -> None:
            raise StoreUnavailable("the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(swarm.store, "_commit", full)
            with pytest.raises(Overloaded):
                await swarm.make_key("client")
            await swarm._metrics.refresh()  # reading continues, without a log line
            assert swarm.readiness(True)["store"] == "does not answer"
            assert not swarm.readiness()["ready"]

        await swarm.make_key("client")
        assert swarm.readiness()["ready"]


async def test_another_process_making_a_key_is_noticed_within_a_second(tmp_path: Path) -> None:
    settings = Settings(store=f"sqlite:///{tmp_path / 'a.db'}", log_level="error")
    async with Orchestrator(settings) as swarm:
        key = await swarm.make_key("client")
        assert await swarm.knows(key)
        await beside(settings, "UPDATE api_key SET revoked_at = 1 WHERE role = 'client'")

        async with asyncio.timeout(5):
            known = True
            while known:
                await asyncio.sleep(0.05)
                known = await swarm.knows(key)


async def beside(settings: Settings, statement: str) -> None:
    import apsw

    connection = apsw.Connection(settings.store.removeprefix("sqlite:///"))
    connection.execute(statement)
    connection.close()


async def test_others_are_not_let_near_a_server_without_keys_or_with_an_open_store(tmp_path: Path) -> None:
    plain = Settings(store=f"sqlite:///{tmp_path / 'a.db'}", host="0.0.0.0", port=0, log_level="error")
    settings = replace(plain, insecure=True)
    with pytest.raises(CannotServe) as refused:
        async with serving(settings):
            pass
    assert "swarmkeeper key create --store" in refused.value.fix

    async with Orchestrator(settings) as swarm:
        await swarm.make_key("admin")
    (tmp_path / "a.db").chmod(0o644)
    with pytest.raises(CannotServe, match="everyone on this machine may read the store"):
        async with serving(settings):
            pass

    (tmp_path / "a.db").chmod(0o600)
    with pytest.raises(CannotServe, match="without TLS"):
        async with serving(plain):
            pass
    for allowed in (settings, replace(plain, trusted_proxy=("10.0.0.0/8",))):
        async with serving(allowed) as served:
            assert served.url.startswith("http://0.0.0.0:")


async def test_a_port_that_is_taken_is_refused_with_what_to_do() -> None:
    async with serving(MEMORY) as served:
        port = int(served.url.rpartition(":")[2])
        with pytest.raises(CannotServe, match="cannot listen"):
            async with serving(Settings(store="sqlite://:memory:", port=port, log_level="error")):
                pass


async def test_metrics_count_what_was_done_and_what_waits() -> None:
    async with serving(MEMORY) as served:
        client = served.swarm.client()
        await client.submit("one", planner_skills=["plan"])
        key = await served.swarm.make_key("operator")
        network = Client(served.url, key)
        text = await figures(network)
        assert 'swarmkeeper_build_info{version="0.4.0"} 1.0' in text
        assert "swarmkeeper_up 1.0" in text
        assert 'swarmkeeper_http_requests_total{method="POST",route="/tasks",status="201"} 1.0' in text

        async with asyncio.timeout(10):
            while 'swarmkeeper_ready_items{kind="plan",skills="plan"} 1' not in text:
                await asyncio.sleep(0.1)
                text = await figures(network)
        await network.aclose()

    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert [name for name in names if not name.startswith("swarmkeeper_")] == []


async def figures(client: Client) -> str:
    headers = {"x-api-key": client.calls.credential.value or ""}
    answer = await client.calls.transport.request("GET", "/metrics", headers, None, 5)
    assert answer.status == 200
    return answer.body.decode()


def test_settings_reach_the_rooms_that_they_are_for() -> None:
    limits = Settings(
        public_url="https://swarm.example.org/",
        root_path="/swarm",
        trusted_proxy=("10.0.0.0/8",),
        metrics_open=True,
        operator_tenant="acme",
        wait_seconds_max=5,
    ).http_limits()

    assert limits.public_url == "https://swarm.example.org"
    assert limits.root_path == "/swarm"
    assert limits.trusted_proxies == ("10.0.0.0/8",)
    assert limits.metrics_open
    assert limits.operator_tenant == "acme"
    assert limits.wait_max == 5


def test_the_log_is_as_loud_and_in_the_form_that_was_set(capsys: pytest.CaptureFixture[str]) -> None:
    rules = Rulebook(Redactor.default())

    make_log(Settings(log_format="json", log_level="debug"), rules, SystemClock())("request")
    make_log(Settings(log_format="text", log_level="warning"), rules, SystemClock())("stalled")
    make_log(Settings(log_format="text", log_level="error"), rules, SystemClock())("stalled")

    first, second = capsys.readouterr().err.splitlines()
    assert json.loads(first)["event"] == "request"
    assert second.split()[1:] == ["WARNING", "stalled"]


async def test_more_commands_than_the_queue_holds_are_refused_for_now() -> None:
    async with Orchestrator(Settings(store="sqlite://:memory:", queue_commands=1, log_level="error")) as swarm:
        answers = await swarm.engine.do_all([CreateKey(by=OWN, role="client", public_id=n, digest=b"") for n in "abc"])

    assert sorted(type(answer).__name__ for answer in answers) == ["Overloaded", "Overloaded", "str"]


async def test_a_caller_who_never_ends_is_cut_off_when_the_time_to_stop_is_over() -> None:
    began = time.monotonic()
    async with serving(Settings(store="sqlite://:memory:", port=0, stop_seconds=1, log_level="error")) as served:
        key = await served.swarm.make_key("client")
        _, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
        head = f"POST /tasks HTTP/1.1\r\nHost: x\r\nX-API-KEY: {key}\r\nContent-Length: 100\r\n\r\n"
        writer.write(head.encode() + b"{")
        await writer.drain()
        await asyncio.sleep(0.1)
    writer.close()

    assert time.monotonic() - began < 8  # without the limit it would be 10, the default
