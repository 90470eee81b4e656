"""Servers are killed while they publish: nothing is missing, and all of it is in order."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.cli.shell import Server
from tests.outgoing.streams import Message, first_times, published
from tests.support.brokers import BrokerServer

# Another server takes over from a dead one sooner than in production. The proportions are the same.
OWNED = "swarmkeeper.outgoing.owned"
TAKE_OVER_SOON = {
    f"{OWNED}.OWNED_SECONDS": 6.0,
    f"{OWNED}.OWN_AGAIN_SECONDS": 2.0,
    f"{OWNED}.APPEND_SECONDS_MAX": 2.0,
    f"{OWNED}.TAKE_OVER_SECONDS": 0.5,
}


def served(store_url: str, outside: BrokerServer, folder: Path) -> tuple[Server, str]:
    environ = {"SWARMKEEPER_STREAM": outside.url, "SWARMKEEPER_LOG_FORMAT": "json"}
    words = ("serve", "--store", store_url, "--port", "0", "--json")
    server = Server(*words, folder=folder, environ=environ, constants=TAKE_OVER_SOON)
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


def feed(url: str, key: str) -> list[str]:
    """Return the cursors of all events."""
    found: list[str] = []
    with httpx2.Client(headers={"X-API-KEY": key}, timeout=30, verify=False) as client:
        while True:
            after = found[-1] if found else 0
            page: Any = client.get(f"{url}/events?page_size=200&after={after}").json()["items"]
            if not page:
                return found
            found += [event["id"] for event in page]


def until_there(outside: BrokerServer, is_last: Callable[[Message], bool]) -> list[Message]:
    """Wait for this event; return all published events, in order."""
    end = time.monotonic() + 60
    found: list[Message] = []
    while True:
        more = asyncio.run(published(outside, after=len(found)))
        found += more
        if any(map(is_last, more)):
            return found
        assert time.monotonic() < end, found[-3:]
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
    messages = until_there(outside, has_cursor(there[-1]))
    server.stop()

    assert first_cursors(messages)[: len(there)] == there
    numbers = first_times(messages)
    assert numbers == list(range(1, len(numbers) + 1))


def has_cursor(cursor: str) -> Callable[[Message], bool]:
    return lambda message: bool(message.body["cursor"] == cursor)


def first_cursors(messages: list[Message]) -> list[str]:
    return list(dict.fromkeys(message.body["cursor"] for message in messages))


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
def test_of_two_servers_one_publishes_and_the_other_one_takes_over(
    store_url: str, outside: BrokerServer, tmp_path: Path
) -> None:
    a, url_a = served(store_url, outside, tmp_path)
    key = key_of(store_url, tmp_path)
    submit(url_a, key, 5)
    until_there(outside, lambda message: message.seq >= 10)
    b, url_b = served(store_url, outside, tmp_path)  # `a` publishes by now
    submit(url_a, key, 20)
    submit(url_b, key, 20)
    steady = [message.seq for message in until_there(outside, has_cursor(feed(url_b, key)[-1]))]
    a.process.kill()
    a.end()
    submit(url_b, key, 20)
    there = feed(url_b, key)
    messages = until_there(outside, has_cursor(there[-1]))
    b.stop()

    assert steady == list(range(1, len(steady) + 1)), "no event was published twice"
    assert first_cursors(messages)[: len(there)] == there
