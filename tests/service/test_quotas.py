"""Quotas counted in memory: per key, per tenant and in total."""

import asyncio
import json
import sys
from typing import Any

import pytest

from swarmkeeper.access.quotas import (
    DECODED_BYTES,
    MIB,
    Bound,
    ConcurrencyLimiter,
    QuotaBounds,
    Quotas,
    RateLimiter,
    decoded_bytes,
)
from swarmkeeper.core.errors import Overloaded, RateLimited
from swarmkeeper.core.model import Principal

MINUTE = 60_000_000


def key(name: str, tenant: str = "acme") -> Principal:
    return Principal(tenant, name, "client")


class Clock:
    def __init__(self) -> None:
        self.at = 0

    def now(self) -> int:
        return self.at


def test_a_key_holds_no_more_than_it_may_and_leaves_room_for_its_neighbours() -> None:
    held = ConcurrencyLimiter("waits", "waits", Bound(key=2, tenant=3))
    held.take(key("one"))
    held.take(key("one"))

    with pytest.raises(RateLimited, match="this key may have 2 waits"):
        held.take(key("one"))
    held.take(key("two"))
    with pytest.raises(RateLimited, match="this tenant may have 3 waits"):
        held.take(key("two"))
    held.take(key("one", "other"))
    held.give_back(key("one"))
    held.take(key("two"))

    assert (held.total, held.of_tenant("acme"), held.refused) == (4, 3, 2)


def test_what_was_given_back_is_forgotten() -> None:
    held = ConcurrencyLimiter("waits", "waits", Bound(key=2, tenant=3))

    with held.held(key("one")):
        assert [(usage.scope, usage.used, usage.most) for usage in held.usage(key("one"))] == [
            ("key", 1, 2),
            ("tenant", 1, 3),
        ]

    assert (held.total, held.tenants, held._of) == (0, 0, {})


def test_no_bound_is_no_bound() -> None:
    held = ConcurrencyLimiter("waits", "waits", Bound(key=0, tenant=0))

    for _ in range(1000):
        held.take(key("one"))

    assert [usage.most for usage in held.usage(key("one"))] == [None, None]


def test_a_pace_lets_bursts_pass_and_refuses_floods_until_they_are_over() -> None:
    clock = Clock()
    pace = RateLimiter("tasks_a_minute", "submit", Bound(key=3_000, tenant=6_000), clock.now)
    for _ in range(1_000):
        pace.take(key("one"))

    with pytest.raises(RateLimited, match="3000 tasks a minute") as refused:
        pace.take(key("one"))
    assert refused.value.retry_after == pytest.approx(0.02)
    pace.take(key("two"))

    clock.at = MINUTE // 3_000
    pace.take(key("one"))
    with pytest.raises(RateLimited):
        pace.take(key("one"))
    clock.at += MINUTE
    pace.take(key("one"), 500)


def test_over_any_time_a_key_gets_no_more_than_its_pace_and_one_burst() -> None:
    clock = Clock()
    pace = RateLimiter("tasks_a_minute", "submit", Bound(key=600, tenant=0), clock.now)
    taken = 0
    for _ in range(6_000):
        clock.at += MINUTE // 6_000
        try:
            pace.take(key("one"))
            taken += 1
        except RateLimited:
            pass

    assert taken == pytest.approx(500 + 600, abs=2)


def test_a_refused_batch_uses_nothing_up() -> None:
    pace = RateLimiter("tasks_a_minute", "submit", Bound(key=600, tenant=600), Clock().now)
    pace.take(key("one"), 100)

    with pytest.raises(RateLimited):
        pace.take(key("one"), 401)
    pace.take(key("one"), 400)


def test_an_answer_tells_how_much_is_left() -> None:
    pace = RateLimiter("tasks_a_minute", "submit", Bound(key=3_000, tenant=6_000), Clock().now)
    pace.take(key("one"), 100)

    assert pace.headers(key("one")) == (
        ("ratelimit-policy", '"key";q=1000;w=20, "tenant";q=2000;w=20'),
        ("ratelimit", '"key";r=900;t=2, "tenant";r=1900;t=1'),
    )


def quotas(**bounds: Any) -> Quotas:
    return Quotas(QuotaBounds(**bounds), Clock().now)


def test_who_holds_less_than_its_share_is_let_in_where_others_fill_the_room() -> None:
    intake = quotas(body_bytes=Bound(0, 0), body_bytes_in_all=10).intake
    intake.take(key("a", "greedy"), 10)

    with pytest.raises(Overloaded):
        intake.take(key("a", "greedy"), 1)
    intake.take(key("b", "small"), 5)
    with pytest.raises(Overloaded):
        intake.take(key("b", "small"), 1)
    intake.give_back(key("a", "greedy"), 10)
    intake.take(key("b", "small"), 5)


def test_all_together_never_hold_more_than_twice_the_room() -> None:
    intake = quotas(body_bytes=Bound(0, 0), body_bytes_in_all=10).intake

    for number in range(100):
        try:
            intake.take(key("k", f"tenant-{number}"), 1 + number % 5)
        except Overloaded:
            pass

    assert intake.bodies.total <= 20


async def test_tenants_take_turns_where_large_bodies_wait() -> None:
    intake = quotas().intake
    order: list[str] = []

    async def work(name: str, tenant: str, decoded: int) -> None:
        working = await intake.begin(tenant, decoded)
        order.append(name)
        await asyncio.sleep(0)
        intake.end(working)

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(work(f"large-{number}", "greedy", DECODED_BYTES))
        await asyncio.sleep(0)
        group.create_task(work("small", "neighbour", 1000))

    assert order.index("small") <= 2
    assert len(order) == 6


async def test_what_is_worked_on_at_a_time_is_bounded_also_where_callers_give_up() -> None:
    intake = quotas().intake
    now = most = 0

    async def work(decoded: int) -> None:
        nonlocal now, most
        working = await intake.begin("acme", decoded)
        now += working
        most = max(most, now)
        try:
            await asyncio.sleep(0)
        finally:
            now -= working
            intake.end(working)

    calls = [asyncio.create_task(work(DECODED_BYTES // (1 + number % 4))) for number in range(40)]
    for number in range(40):
        await asyncio.sleep(0)
        if number % 3 == 0:
            calls[number].cancel()
    await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)

    assert 0 < most <= DECODED_BYTES
    assert await intake.begin("acme", DECODED_BYTES) == DECODED_BYTES  # all was released


def deep(value: Any) -> int:
    if isinstance(value, dict):
        return sys.getsizeof(value) + sum(deep(each) for each in value.values())
    if isinstance(value, list):
        return sys.getsizeof(value) + sum(map(deep, value))
    return sys.getsizeof(value)


@pytest.mark.parametrize(
    "value",
    [
        [[] for _ in range(9_999)],
        [{} for _ in range(9_999)],
        [{"a": number} for number in range(9_999)],
        [number * 1000 for number in range(9_999)],
        [number / 7 for number in range(9_999)],
        ["a" * 3 + str(number) for number in range(9_999)],
        [{"key": f"k{number}", "depends_on": [f"k{number - 1}"]} for number in range(1, 9_999)],
        "a" * MIB,
    ],
    ids=["lists", "empty objects", "objects", "integers", "floats", "texts", "a plan", "one text"],
)
def test_a_decoded_body_takes_no_more_memory_than_was_estimated(value: Any) -> None:
    body = json.dumps(value, separators=(",", ":")).encode()

    assert deep(json.loads(body)) <= decoded_bytes(body)
