"""Cursors in both stores; what retention keeps for sinks; what a sink is told of records that are gone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.app import Orchestrator
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import Changes
from swarmkeeper.settings import Settings
from swarmkeeper.sinks import reader
from swarmkeeper.sinks.file import JsonlTable
from swarmkeeper.sinks.reader import cursor_prefix, lag_of
from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.sink_reads import SINK_HEADS, SINK_RECORDS
from swarmkeeper.storage.opening import OpenedStore, store_at
from swarmkeeper.testing import records
from swarmkeeper.testing.saving import save
from tests.http.conftest import Caller
from tests.sinks.conftest import SECONDS, WriteSinks, audits, log_of, said, settings, until, until_there, work
from tests.sinks.receivers import Certificates, FileReader, WebhookReceiver

pytestmark = pytest.mark.usefixtures("quick")

TABLE = JsonlTable(kind="jsonl", path="a.jsonl")


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[OpenedStore]:
    opened = store_at(store_url)
    await opened.open()
    yield opened
    await opened.close()


async def test_cursors_move_together_and_never_back(store: OpenedStore) -> None:
    await save(store, Changes(leaves=[records.leaf(number) for number in range(5)]))
    prefix = cursor_prefix("a")

    async def are_placed() -> bool:
        found = await fetch(store, SINK_HEADS, prefix=prefix)
        return bool(found) and found[0].size == 5

    await until(are_placed)
    before = await fetch(store, SINK_HEADS, prefix=prefix)
    await save(store, Changes(sink_cursors={f"{prefix}acme": 3, f"{prefix}other": 9}))
    await save(store, Changes(sink_cursors={f"{prefix}acme": 2}))
    between = await fetch(store, SINK_HEADS, prefix=prefix)
    rest = await fetch(store, SINK_RECORDS, tenant="acme", begin=3, limit=9)
    of_another = await fetch(store, SINK_HEADS, prefix=cursor_prefix("b"))
    lag = await lag_of(store, "a", TABLE)
    await save(store, Changes(sink_cursors={f"{prefix}acme": 5}))

    assert [(head.tenant, head.size, head.cursor, head.begin) for head in before] == [("acme", 5, 0, 0)]
    assert [(head.size, head.cursor) for head in between] == [(5, 3)]
    assert [row.place for row in rest] == [3, 4]
    assert [head.cursor for head in of_another] == [0]
    assert (lag.records, lag.oldest) == (2, between[0].oldest)
    assert await fetch(store, SINK_HEADS, prefix=prefix) == []
    assert (await lag_of(store, "a", TABLE)).oldest is None


@given(st.lists(st.integers(1, reader.BATCH_BYTES + 10), min_size=1, max_size=20))
def test_a_batch_is_the_longest_beginning_that_fits_and_never_empty(sizes: list[int]) -> None:
    found = [SinkRecord(n, str(n), "t", "k", b"x" * size) for n, size in enumerate(sizes)]

    batch = reader._of_a_size(found)

    assert batch == found[: len(batch)]
    assert batch
    assert len(batch) == 1 or sum(sizes[: len(batch)]) <= reader.BATCH_BYTES
    assert len(batch) == len(found) or sum(sizes[: len(batch) + 1]) > reader.BATCH_BYTES


async def until_erased(caller: Caller, task: str) -> None:
    async def is_gone() -> bool:
        return (await caller.get(f"/tasks/{task}")).status == 404

    await until(is_gone)


async def test_retention_erases_nothing_that_a_sink_has_not_got(
    store_url: str,
    tmp_path: Path,
    certificates: Certificates,
    sinks_file: WriteSinks,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("swarmkeeper.sinks.running.KEPT_BACK", 1_000_000)
    receiver = WebhookReceiver(tmp_path, certificates)
    file = sinks_file(receiver, record_bytes=1_000_000)
    async with Orchestrator(settings(store_url, file, retention_tasks_seconds=1)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        task = (await admin.post("/tasks", {"title": "to be erased"})).json["id"]
        await admin.post(f"/tasks/{task}:cancel")
        await said(capfd, "retention_waits", [])
        await asyncio.sleep(2.5)
        kept = await admin.get(f"/tasks/{task}")
        await receiver.start()
        await until_erased(admin, task)
    await receiver.kill()

    assert kept.status == 200
    (submitted,) = [record for record in audits(receiver.events) if record["event"] == "task.submit"]
    assert submitted["payload"]["title"] == "to be erased"
    assert not submitted["erased"]


async def test_a_gap_is_told_in_the_sink(
    tmp_path: Path, certificates: Certificates, sinks_file: WriteSinks, capfd: pytest.CaptureFixture[str]
) -> None:
    """A sink that is set up after retention has removed the first records, or was away meanwhile."""
    store = f"sqlite:///{tmp_path}/swarm.db"
    receiver = FileReader(tmp_path, certificates)
    async with Orchestrator(Settings(store=store, retention_audit_seconds=1)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        for number in range(120):
            assert (await admin.post("/keys", {"role": "client"})).status == 201, number
        async with asyncio.timeout(SECONDS):
            while True:
                first = (await admin.get("/audit?page_size=1")).json["items"][0]["index"]
                if first > 0:
                    break
                await asyncio.sleep(0.2)
    async with Orchestrator(settings(store, sinks_file(receiver))) as swarm:
        await work(swarm, 1)
        shown = await log_of(swarm)
        events = await until_there(receiver, shown[-1]["index"])
        gap_line = await said(capfd, "sink_gap", [])

    gap, *rest = events
    assert gap["type"] == "io.swarmkeeper.audit.gap.v1"
    assert gap["data"] == {
        "first": 0,
        "last": shown[0]["index"] - 1,
        "count": shown[0]["index"],
        "reason": "they left the store before they were sent",
    }
    assert (gap_line["first"], gap_line["last"]) == (0, shown[0]["index"] - 1)
    assert [event["data"]["index"] for event in rest][: len(shown)] == [record["index"] for record in shown]


async def test_events_that_are_gone_are_told_as_a_gap_too(
    tmp_path: Path, certificates: Certificates, sinks_file: WriteSinks
) -> None:
    store = f"sqlite:///{tmp_path}/swarm.db"
    receiver = FileReader(tmp_path, certificates)
    async with Orchestrator(Settings(store=store, retention_tasks_seconds=1)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        task = (await admin.post("/tasks", {"title": "t"})).json["id"]
        await admin.post(f"/tasks/{task}:cancel")
        await until_erased(admin, task)
        newest = (await swarm.store.read("newest_event", {}))[0]["seq"]
        there = [row["seq"] for row in await swarm.store.read("events_after", {"after": 0, "limit": 1000})]
    found: list[dict[str, Any]] = []
    async with Orchestrator(settings(store, sinks_file(receiver, events=True))) as swarm:
        await work(swarm, 1)
        async with asyncio.timeout(SECONDS):
            while not any(event["id"] == str(newest + 1) for event in found):
                found = [event for event in await receiver.received() if ".audit." not in event["type"]]
                await asyncio.sleep(0.1)

    gaps = [event for event in found if event["type"] == "io.swarmkeeper.events.gap.v1"]
    assert sum(gap["data"]["count"] for gap in gaps) == newest - len(there)
    numbers = [int(event["id"]) for event in found if event["source"] == "/swarmkeeper"]
    assert numbers == sorted(set(numbers))
