"""Hints within one process reach every subscriber, and no subscriber waits for another."""

import asyncio

import pytest

from swarmkeeper.broker.local import HINTS_MAX, LocalBroker


async def test_every_subscriber_of_a_topic_gets_a_hint() -> None:
    broker = LocalBroker()
    async with broker.subscribe("a") as one, broker.subscribe("a") as two, broker.subscribe("b") as other:
        await broker.publish("a", b"look")

        assert [await anext(one), await anext(two)] == [b"look", b"look"]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(other), 0.01)


async def test_a_hint_without_subscribers_is_lost() -> None:
    broker = LocalBroker()
    await broker.publish("a", b"lost")
    async with broker.subscribe("a") as hints:
        await broker.publish("a", b"heard")

        assert await anext(hints) == b"heard"


async def test_equal_hints_are_merged_and_others_keep_their_order() -> None:
    broker = LocalBroker()
    async with broker.subscribe("a") as hints:
        for body in (b"x", b"y", b"x", b"x", b"z"):
            await broker.publish("a", body)

        assert [await anext(hints) for _ in range(3)] == [b"x", b"y", b"z"]


async def test_waiting_for_a_hint_can_be_given_up_without_losing_one() -> None:
    broker = LocalBroker()
    async with broker.subscribe("a") as hints:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(hints), 0.01)
        await broker.publish("a", b"later")

        assert await anext(hints) == b"later"


async def test_a_slow_subscriber_holds_up_nobody() -> None:
    broker = LocalBroker()
    async with broker.subscribe("a") as hints:
        for number in range(HINTS_MAX + 5):
            await broker.publish("a", b"%d" % number)

        taken = [await anext(hints) for _ in range(HINTS_MAX)]
        assert taken[-1] == b"%d" % (HINTS_MAX - 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(hints), 0.01)


async def test_an_ended_subscription_leaves_nothing_behind() -> None:
    broker = LocalBroker()
    async with broker.subscribe("a"), broker.subscribe("a"):
        pass

    assert broker._subscribers == {}
