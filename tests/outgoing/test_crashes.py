"""Servers are killed while they publish: nothing is missing, and all of it is in order."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.cli.shell import Server
from tests.outgoing.streams import published
from tests.support.brokers import BrokerServer


def served(store_url: str, outside: BrokerServer, folder: Path) -> tuple[Server, str]:
    environ = {"SWARMKEEPER_STREAM": outside.url, "SWARMKEEPER_LOG_FORMAT": "json"}
    server = Server("serve", "--store", store_url, "--port", "0", "--json", folder=folder, environ=environ)
    return server, server.first_line()["url"]


def key_of(store_url: str, folder: Path) -> str:
    made = Server("key", "create", "--store", store_url, "--role", "admin", "--json", folder=folder)
    key: str = made.first_line()["key"]
    assert made.end() == 0
    return key


def submit(url: str, key: str, count: int) -> None:
    task = {"title": "t", "evaluation": "none", "subtasks": [{"key": "a", "description": "d"}]}
    with httpx2.Client(headers={"X-API-KEY": key}, timeout=30, verify=False) as client:
        for _ in range(count):
            assert client.post(f"{url}/tasks", json=task).status_code == 201


def feed(url: str, key: str) -> list[int]:
    numbers: list[int] = []
    with httpx2.Client(headers={"X-API-KEY": key}, timeout=30, verify=False) as client:
        while True:
            after = numbers[-1] if numbers else 0
            page: Any = client.get(f"{url}/events?page_size=200&after={after}").json()["items"]
            if not page:
                return numbers
            numbers += [int(event["id"]) for event in page]


def until_there(outside: BrokerServer, last: int) -> list[int]:
    """Wait for this event; return the numbers of all published events, in order."""
    end = time.monotonic() + 60
    while True:
        numbers = [message.seq for message in asyncio.run(published(outside))]
        if numbers and max(numbers) >= last:
            return numbers
        assert time.monotonic() < end, numbers[-3:]
        time.sleep(0.1)


def test_a_server_that_is_killed_while_it_publishes_leaves_nothing_out(
    store_url: str, outside: BrokerServer, tmp_path: Path
) -> None:
    server, url = served(store_url, outside, tmp_path)
    key = key_of(store_url, tmp_path)
    for _ in range(3):
        submit(url, key, 40)
        server.process.kill()
        server.end()
        server, url = served(store_url, outside, tmp_path)
    submit(url, key, 5)
    there = feed(url, key)
    numbers = until_there(outside, there[-1])
    server.stop()

    assert first_times_of(numbers)[: len(there)] == there
    assert there == list(range(1, len(there) + 1))


def first_times_of(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
def test_of_two_servers_one_publishes_and_the_other_one_takes_over(
    store_url: str, outside: BrokerServer, tmp_path: Path
) -> None:
    a, url_a = served(store_url, outside, tmp_path)
    key = key_of(store_url, tmp_path)
    submit(url_a, key, 5)
    until_there(outside, 10)
    b, url_b = served(store_url, outside, tmp_path)  # `a` publishes by now
    submit(url_a, key, 20)
    submit(url_b, key, 20)
    steady = until_there(outside, feed(url_b, key)[-1])
    a.process.kill()
    a.end()
    submit(url_b, key, 20)
    there = feed(url_b, key)
    numbers = until_there(outside, there[-1])
    b.stop()

    assert steady == list(range(1, len(steady) + 1)), "no event was published twice"
    assert first_times_of(numbers)[: len(there)] == there
