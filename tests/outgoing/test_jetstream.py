"""What is appended to a JetStream is in order, also if others write to it or it has some of the events."""

import asyncio
from pathlib import Path

import nats
import pytest

from swarmkeeper.broker import nats as connections
from swarmkeeper.broker.jetstream import AT_ONCE_MAX, JetStreamStream
from swarmkeeper.core.ports import OutgoingEvent
from tests.outgoing.streams import published
from tests.support.brokers import NatsServer


def events(first: int, last: int) -> list[OutgoingEvent]:
    return [
        OutgoingEvent(number, f"evt_{number}", "default", "task.planned", b'{"id": "%d"}' % number)
        for number in range(first, last + 1)
    ]


async def append_all(stream: JetStreamStream, what: list[OutgoingEvent]) -> int:
    """Append until everything is there; return the number of calls."""
    calls = 0
    while what:
        stored = await stream.append(what)
        assert stored >= 1
        what = what[stored:]
        calls += 1
    return calls


async def test_many_are_appended_by_few_calls_and_repeats_are_dropped(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        stream = JetStreamStream(server.url, "swarmkeeper-events", 0)
        await stream.open()
        calls = await append_all(stream, events(1, 200))
        await append_all(stream, events(150, 260))
        await stream.close()
        numbers = [message.seq for message in await published(server)]

    assert calls < 10
    assert numbers == list(range(1, 261))


async def test_what_others_write_meanwhile_does_not_change_the_order(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        stream = JetStreamStream(server.url, "swarmkeeper-events", 0)
        await stream.open()
        await append_all(stream, events(1, 1))
        other = await nats.connect(server.url)

        async def disturb() -> None:
            while True:
                await other.jetstream().publish("swarmkeeper-events.others", b'{"id": "0"}')

        disturbing = asyncio.create_task(disturb())
        await append_all(stream, events(2, 150))
        disturbing.cancel()
        await other.close()
        await stream.close()
        numbers = [message.seq for message in await published(server)]

    assert numbers.count(0) > 5
    assert [number for number in numbers if number] == list(range(1, 151))


async def test_of_those_sent_at_once_none_is_stored_after_one_that_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publication of one event is lost on the way."""

    class Lossy(connections._StrictClient):
        async def publish(
            self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
        ) -> None:
            if payload != b'{"id": "20"}':
                await super().publish(subject, payload, reply, headers)

    with NatsServer(tmp_path) as server:
        monkeypatch.setattr("swarmkeeper.broker.jetstream.SECONDS_TO_CONFIRM", 0.5)
        monkeypatch.setattr(connections, "_StrictClient", Lossy)
        stream = JetStreamStream(server.url, "swarmkeeper-events", 0)
        await stream.open()
        stored = await stream.append(events(1, AT_ONCE_MAX))
        await stream.close()
        numbers = [message.seq for message in await published(server)]

    assert stored == 19
    assert numbers == list(range(1, 20))
