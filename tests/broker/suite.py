"""What every broker must do. `BrokerSuite` is for all, `RemoteBrokerSuite` for those that connect several servers."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from swarmkeeper.broker.local import HINTS_MAX, LocalBroker
from swarmkeeper.broker.remote import HINT_BYTES_MAX, RemoteBroker

BODIES = (b"", b"1,2,3", b"a b  c ", b"\x00\r\n\xff", "schön".encode(), b"%41", bytes(range(256)))


class Place(ABC):
    """Where brokers meet: it can go away and come back."""

    def __init__(self) -> None:
        self.logged: list[tuple[str, dict[str, Any]]] = []

    def log(self, event: str, **fields: Any) -> None:
        self.logged.append((event, fields))

    @abstractmethod
    def broker(self, name: str = "store") -> RemoteBroker:
        """Return the broker of one more server of the store `name`."""

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def start(self) -> None: ...


@asynccontextmanager
async def running(*brokers: RemoteBroker, connected: bool = True) -> AsyncIterator[None]:
    """Run brokers in the background; with `connected`, wait until they exchange hints."""
    tasks = [asyncio.create_task(broker.run()) for broker in brokers]
    try:
        if connected:
            for broker in brokers:
                await until_connected(broker)
        yield
        assert not any(task.done() for task in tasks), "a broker runs for ever"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=10)
        assert all(task.done() for task in tasks), "a broker stops when it is told to"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while True:
            if true():
                return
            await asyncio.sleep(0.01)


async def until_connected(broker: RemoteBroker) -> None:
    await until(lambda: broker.is_connected)


async def nothing_more(hints: AsyncIterator[bytes], seconds: float = 0.1) -> None:
    with pytest.raises(TimeoutError):
        print("unexpected hint:", await asyncio.wait_for(anext(hints), seconds))


async def heard(hints: AsyncIterator[bytes]) -> bytes:
    return await asyncio.wait_for(anext(hints), 10)


class BrokerSuite:
    """Within one process. A subclass has the fixture `broker`, which need not run."""

    async def test_every_subscriber_of_a_topic_gets_a_hint(self, broker: LocalBroker | RemoteBroker) -> None:
        async with broker.subscribe("a") as one, broker.subscribe("a") as two, broker.subscribe("b") as other:
            await broker.publish("a", b"look")

            assert [await anext(one), await anext(two)] == [b"look", b"look"]
            await nothing_more(other, 0.01)

    async def test_a_hint_without_subscribers_is_lost(self, broker: LocalBroker | RemoteBroker) -> None:
        await broker.publish("a", b"lost")
        async with broker.subscribe("a") as hints:
            await broker.publish("a", b"heard")

            assert await anext(hints) == b"heard"

    async def test_equal_hints_are_merged_and_others_keep_their_order(self, broker: LocalBroker | RemoteBroker) -> None:
        async with broker.subscribe("a") as hints:
            for body in (b"x", b"y", b"x", b"x", b"z"):
                await broker.publish("a", body)

            assert [await anext(hints) for _ in range(3)] == [b"x", b"y", b"z"]

    async def test_waiting_for_a_hint_can_be_given_up_without_losing_one(
        self, broker: LocalBroker | RemoteBroker
    ) -> None:
        async with broker.subscribe("a") as hints:
            await nothing_more(hints, 0.01)
            await broker.publish("a", b"later")

            assert await anext(hints) == b"later"

    async def test_a_slow_subscriber_holds_up_nobody(self, broker: LocalBroker | RemoteBroker) -> None:
        async with broker.subscribe("a") as hints:
            for number in range(HINTS_MAX + 5):
                await broker.publish("a", b"%d" % number)

            taken = [await anext(hints) for _ in range(HINTS_MAX)]
            assert taken[-1] == b"%d" % (HINTS_MAX - 1)
            await nothing_more(hints, 0.01)


class RemoteBrokerSuite(BrokerSuite):
    """Between servers. A subclass has the fixture `place`."""

    @pytest.fixture
    def broker(self, place: Place) -> RemoteBroker:
        return place.broker()

    @pytest.mark.parametrize("body", BODIES)
    async def test_a_hint_reaches_the_other_servers_as_it_is_and_its_own_once(self, place: Place, body: bytes) -> None:
        a, b, c = (place.broker() for _ in range(3))
        async with running(a, b, c), a.subscribe("look") as at_a, b.subscribe("look") as at_b:
            async with c.subscribe("look") as at_c, b.subscribe("events") as other:
                await a.publish("look", body)

                assert [await heard(at_a), await heard(at_b), await heard(at_c)] == [body] * 3
                for hints in (at_a, at_b, at_c, other):
                    await nothing_more(hints)

    async def test_hints_go_both_ways(self, place: Place) -> None:
        a, b = place.broker(), place.broker()
        async with running(a, b), a.subscribe("look") as at_a, b.subscribe("look") as at_b:
            await b.publish("look", b"from b")
            await a.publish("look", b"from a")

            assert [await heard(at_a), await heard(at_a)] == [b"from a", b"from b"]
            assert [await heard(at_b), await heard(at_b)] == [b"from b", b"from a"]

    async def test_many_hints_leave_as_few(self, place: Place) -> None:
        a, b = place.broker(), place.broker()
        async with running(a, b), b.subscribe("events") as hints:
            for number in range(30_000):
                await a.publish("events", b"%d" % (number % 3))
            await a.publish("events", b"end")
            taken = [await heard(hints) for _ in range(4)]

            assert taken == [b"0", b"1", b"2", b"end"]
            await nothing_more(hints)

    async def test_a_slow_subscriber_of_another_server_holds_up_nobody(self, place: Place) -> None:
        a, b = place.broker(), place.broker()
        async with running(a, b), b.subscribe("look") as slow, b.subscribe("events") as quick:
            for number in range(3 * HINTS_MAX):
                await a.publish("look", b"%d" % number)
                if number % 500 == 0 and number < 2 * HINTS_MAX:
                    await asyncio.sleep(0.02)
            await a.publish("events")  # the other topic is full by now

            assert await heard(quick) == b""
            assert await heard(slow) == b"0"

    async def test_a_hint_that_is_too_long_is_left_out(self, place: Place) -> None:
        a, b = place.broker(), place.broker()
        async with running(a, b), b.subscribe("look") as hints:
            await a.publish("look", b"x" * (HINT_BYTES_MAX + 1))
            await a.publish("look", b"short")

            assert await heard(hints) == b"short"
        assert place.logged == []

    async def test_publishing_without_a_connection_neither_waits_nor_fails(self, place: Place) -> None:
        place.stop()
        broker = place.broker()
        try:
            async with running(broker, connected=False), broker.subscribe("look") as hints:
                await asyncio.sleep(0.1)
                async with asyncio.timeout(1):
                    for number in range(2 * HINTS_MAX):
                        await broker.publish("look", b"%d" % number)

                assert len(broker._waiting["look"]) <= HINTS_MAX, "what waits is bounded"
                assert await anext(hints) == b"0", "subscribers in the same process are told all the same"
        finally:
            place.start()

    async def test_a_server_starts_while_its_broker_is_off_and_finds_it_later(self, place: Place) -> None:
        place.stop()
        a, b = place.broker(), place.broker()
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(running(a, b, connected=False))
                await until(lambda: len(place.logged) == 2)
            finally:
                place.start()
            await until_connected(a)
            await until_connected(b)
            async with b.subscribe("look") as hints:
                await a.publish("look", b"now")

                assert await heard(hints) == b"now"
        assert [event for event, _ in place.logged] == [*["broker_lost"] * 2, *["broker_back"] * 2]

    async def test_a_connection_that_is_lost_is_opened_again(self, place: Place) -> None:
        a, b = place.broker(), place.broker()
        async with running(a, b), b.subscribe("look") as hints:
            for number in range(2):
                place.stop()
                await a.publish("look", b"it may be lost")
                await until(lambda: not a.is_connected and not b.is_connected)
                place.start()
                await until_connected(a)
                await until_connected(b)
                await a.publish("look", b"back %d" % number)

                while await heard(hints) != b"back %d" % number:
                    pass
        told = [(event, sorted(fields)) for event, fields in place.logged]
        assert told.count(("broker_lost", ["broker", "reason"])) == told.count(("broker_back", ["broker"])) == 4

    async def test_it_ends_without_a_trace(self, place: Place, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        before = asyncio.all_tasks()
        async with running(place.broker()):
            pass
        await asyncio.sleep(0.05)

        assert asyncio.all_tasks() == before
        assert caplog.records == []

    async def test_a_server_that_has_nobody_to_tell_sends_no_hints(self, place: Place) -> None:
        a, b = place.broker(), place.broker()
        others = False
        a.send_if(lambda: others)
        async with running(a, b), b.subscribe("look") as hints, a.subscribe("look") as own:
            await a.publish("look", b"while alone")
            others = True
            await a.publish("look", b"with others")

            assert await heard(own) == b"while alone"
            assert await heard(hints) == b"with others"
            await nothing_more(hints)


class SharedBrokerSuite(RemoteBrokerSuite):
    """Brokers on a server that other deployments use, too."""

    async def test_hints_of_another_store_are_not_heard(self, place: Place) -> None:
        a, other, b = place.broker("one"), place.broker("other"), place.broker("one")
        async with running(a, other, b), b.subscribe("look") as hints:
            await other.publish("look", b"of the other store")
            await a.publish("look", b"of this store")

            assert await heard(hints) == b"of this store"
            await nothing_more(hints)
