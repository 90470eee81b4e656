"""Servers are killed while they send: nothing is missing, and all of it is in order. Receivers tell repeats by id."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.cli.shell import Server
from tests.outgoing.test_crashes import TAKE_OVER_SOON, key_of, submit
from tests.sinks.conftest import WriteSinks, audits, until_there
from tests.sinks.receivers import FileReader, Receiver

pytestmark = pytest.mark.usefixtures("quick")


def served(store_url: str, file: Path, folder: Path) -> tuple[Server, str]:
    words = ("serve", "--store", store_url, "--port", "0", "--json", "--sinks", str(file))
    # A call of a sink may last for two thirds of the time for which the sink is owned.
    constants = {**TAKE_OVER_SOON, "swarmkeeper.sinks.reader.SEND_SECONDS_MAX": 4.0}
    server = Server(*words, folder=folder, environ={"SWARMKEEPER_LOG_FORMAT": "json"}, constants=constants)
    return server, server.first_line()["url"]


def log_of(url: str, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with httpx2.Client(headers={"X-API-KEY": key}, timeout=30, verify=False) as client:
        while True:
            after = f"&after={found[-1]['index']}" if found else ""
            page = client.get(f"{url}/audit?page_size=200{after}").json()["items"]
            if not page:
                return found
            found += page


async def in_thread(work: Any, *arguments: Any) -> Any:
    """Run what blocks in a thread, so that the receiver in this loop goes on."""
    return await asyncio.to_thread(work, *arguments)


async def killed_thrice(store_url: str, receiver: Receiver, file: Path, folder: Path) -> None:
    server, url = await in_thread(served, store_url, file, folder)
    key = await in_thread(key_of, store_url, folder)
    for _ in range(3):
        await in_thread(submit, url, key, 40)
        server.process.kill()
        await in_thread(server.end)
        server, url = await in_thread(served, store_url, file, folder)
    await in_thread(submit, url, key, 5)
    shown = await in_thread(log_of, url, key)
    events = await until_there(receiver, shown[-1]["index"])
    await in_thread(server.stop)

    assert audits(events)[: len(shown)] == shown
    assert {event["type"] for event in events if "gap" in event["type"]} == set()


async def test_a_server_that_is_killed_while_it_sends_leaves_nothing_out(
    receiver: Receiver, sinks_file: WriteSinks, tmp_path: Path
) -> None:
    file = sinks_file(receiver, record_bytes=1_000_000)
    await killed_thrice(f"sqlite:///{tmp_path}/swarm.db", receiver, file, tmp_path)


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
async def test_the_same_with_postgresql(
    store_url: str, sinks_file: WriteSinks, tmp_path: Path, certificates: Any
) -> None:
    receiver = FileReader(tmp_path, certificates)
    await killed_thrice(store_url, receiver, sinks_file(receiver), tmp_path)


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
async def test_of_two_servers_one_sends_and_the_other_one_takes_over(
    store_url: str, sinks_file: WriteSinks, tmp_path: Path, certificates: Any
) -> None:
    receiver = FileReader(tmp_path, certificates)
    file = sinks_file(receiver)
    a, url_a = await in_thread(served, store_url, file, tmp_path)
    key = await in_thread(key_of, store_url, tmp_path)
    await in_thread(submit, url_a, key, 5)
    await until_there(receiver, 5)
    b, url_b = await in_thread(served, store_url, file, tmp_path)  # `a` sends by now
    await in_thread(submit, url_a, key, 20)
    await in_thread(submit, url_b, key, 20)
    steady = await until_there(receiver, (await in_thread(log_of, url_b, key))[-1]["index"])
    a.process.kill()
    await in_thread(a.end)
    await in_thread(submit, url_b, key, 20)
    shown = await in_thread(log_of, url_b, key)
    events = await until_there(receiver, shown[-1]["index"])
    await in_thread(b.stop)

    assert [event["data"]["index"] for event in steady] == list(range(len(steady))), "none was sent twice"
    assert audits(events)[: len(shown)] == shown
    assert json.dumps(events).count("gap") == 0
