"""The feed as a page and as a stream (Server-Sent Events)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Message

from swarmkeeper.app import Orchestrator
from swarmkeeper.wire.events import SseEvent, SseReader
from tests.http.conftest import Caller, Fleet, Json

STREAM = "text/event-stream"


class Stream:
    def __init__(self, messages: "asyncio.Queue[Message]", running: "asyncio.Task[None]") -> None:
        self.messages, self.running = messages, running
        self.reader = SseReader()
        self.raw = b""
        self.waiting: list[SseEvent] = []
        self.ended = False

    async def next(self) -> Json:
        """Return the next event, or None at the end."""
        async with asyncio.timeout(5):
            while not self.waiting:
                if self.ended:
                    return None
                message = await self.messages.get()
                self.raw += message["body"]
                self.waiting += self.reader.feed(message["body"])
                self.ended = not message["more_body"]
        return json.loads(self.waiting.pop(0).data)

    async def rest(self) -> list[Json]:
        found = []
        while (event := await self.next()) is not None:
            found.append(event)
        return found


@asynccontextmanager
async def stream(caller: Caller, path: str, **headers: str) -> AsyncIterator[Stream]:
    messages: asyncio.Queue[Message] = asyncio.Queue()
    gone = asyncio.Event()
    running = asyncio.create_task(
        caller.stream("GET", path, None, messages, headers={"accept": STREAM, **headers}, gone=gone)
    )
    start = await messages.get()
    assert start["status"] == 200
    names = {name.decode(): value.decode() for name, value in start["headers"]}
    assert names["content-type"].startswith(STREAM)
    assert (names["cache-control"], names["x-accel-buffering"]) == ("no-store", "no")
    yield Stream(messages, running)
    gone.set()
    async with asyncio.timeout(5):
        await running


def kinds(events: list[Json]) -> list[str]:
    return [event["type"].removeprefix("io.swarmkeeper.").removesuffix(".v1") for event in events]


async def finished(client: Caller, fleet: Fleet) -> str:
    body = {"title": "t", "evaluation": "none", "subtasks": [{"key": "a", "description": ""}]}
    made = await client.post("/tasks", body)
    bot = await fleet.bot("Executor")
    await bot.report(await bot.one(), output=1)
    return str(made.json["id"])


async def test_a_page_of_a_tasks_events_has_no_gap(client: Caller, fleet: Fleet) -> None:
    task_id = await finished(client, fleet)

    events = (await client.get(f"/tasks/{task_id}/events")).json["items"]

    assert kinds(events)[0] == "task.submitted"
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["subject"] == f"tasks/{task_id}"
    after = (await client.get(f"/tasks/{task_id}/events?after={events[2]['id']}&page_size=1")).json
    assert after["items"] == [events[3]]
    assert after["next_page_token"] == events[3]["id"]
    assert (await client.get(f"/tasks/{task_id}/events?page_token={events[3]['id']}")).json["items"] == events[4:]


async def test_a_tasks_stream_sends_events_as_they_happen_and_ends_with_the_task(client: Caller, fleet: Fleet) -> None:
    body = {"title": "t", "evaluation": "none", "subtasks": [{"key": "a", "description": ""}]}
    made = await client.post("/tasks", body)
    bot = await fleet.bot("Executor")

    async with stream(client, f"/tasks/{made.json['id']}/events") as events:
        assert kinds([await events.next()]) == ["task.submitted"]
        await bot.report(await bot.one(), output=1)
        rest = await events.rest()

    assert kinds(rest)[-2:] == ["task.finished", "task.accepted"]
    assert [event["sequence"] for event in rest] == list(range(2, len(rest) + 2))


async def test_a_stream_resumes_where_it_broke(client: Caller, fleet: Fleet) -> None:
    path = f"/tasks/{await finished(client, fleet)}/events"
    everything = (await client.get(path)).json["items"]

    async with stream(client, path, last_event_id=everything[1]["id"]) as events:
        assert await events.rest() == everything[2:]
    async with stream(client, f"{path}?after={everything[-1]['id']}") as events:
        assert await events.rest() == []


async def test_the_tenants_stream_has_the_events_of_all_tasks(admin: Caller, client: Caller) -> None:
    async with stream(admin, "/events") as events:
        assert kinds([await events.next()]) == ["key.created"]
        await client.post("/tasks", {"title": "x"})
        seen: list[str] = []
        while "task.submitted" not in seen:
            seen += kinds([await events.next()])


async def test_an_idle_stream_sends_keep_alive_comments(swarm: Orchestrator, client: Caller) -> None:
    object.__setattr__(swarm.app.state.services.limits, "key_check_every", 0.01)
    object.__setattr__(swarm.app.state.services.limits, "alive_every", 0.02)
    made = await client.post("/tasks", {"title": "x"})

    async with stream(client, f"/tasks/{made.json['id']}/events") as events:
        await events.next()
        async with asyncio.timeout(5):
            while events.raw.count(b": alive") < 3:
                events.raw += (await events.messages.get())["body"]


async def test_a_stream_ends_when_its_key_is_revoked(swarm: Orchestrator, admin: Caller, client: Caller) -> None:
    object.__setattr__(swarm.app.state.services.limits, "key_check_every", 0.01)
    made = await client.post("/tasks", {"title": "x"})
    (key,) = [each for each in (await admin.get("/keys")).json["items"] if each["role"] == "client"]

    async with stream(client, f"/tasks/{made.json['id']}/events") as events:
        await events.next()
        await admin.post(f"/keys/{key['id']}:revoke")
        await events.rest()


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 30])
async def test_an_invalid_cursor_is_refused(client: Caller, admin: Caller, cursor: str) -> None:
    assert (await admin.get("/events", last_event_id=cursor)).status == 422
    assert (await admin.get("/events", last_event_id=cursor, accept=STREAM)).status == 422
