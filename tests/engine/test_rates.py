"""Rates: how many leases and tokens a minute may have for a skill, a scope or a tenant."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core import commands
from swarmkeeper.core.errors import Invalid
from swarmkeeper.core.model import WorkRate
from swarmkeeper.core.rules import work_rates
from swarmkeeper.sim.harness import ADMIN, Harness

SECOND = 1_000_000
MODEL = "anthropic:claude-sonnet"


def rate(swarm: Harness, key: str, **numbers: Any) -> None:
    if not swarm.rows("SELECT id FROM tenant"):  # the first key of a tenant creates it
        swarm.do(commands.CreateKey(by=ADMIN, role="client", public_id="abcdefghij", digest=b"0"))
    swarm.do(commands.SetRate(by=ADMIN, key=key, **numbers))


def leases_in(swarm: Harness, bots: list[str], seconds: float, *, every: float = 0.5, **report: Any) -> list[int]:
    """Take and report whatever the bots get, and return when each lease was granted."""
    moments, end = [], swarm.now + round(seconds * SECOND)
    while swarm.now < end:
        for bot in bots:
            for lease in swarm.leases(bot, 64):
                moments.append(swarm.now)
                swarm.report(lease, **report)
        swarm.advance(every)
    return moments


def most_in_a_minute(moments: list[int]) -> int:
    return max(
        (number + 1 - bisect_left(moments, at - 60 * SECOND + 1) for number, at in enumerate(moments)), default=0
    )


@given(
    per_minute=st.integers(1, 5_000),
    waits=st.lists(st.one_of(st.just(0), st.integers(0, 5 * SECOND)), min_size=1, max_size=300),
)
def test_no_sixty_seconds_have_more_leases_than_the_rate_says(per_minute: int, waits: list[int]) -> None:
    known, now, moments = WorkRate("r", "t", "tenant", per_minute=per_minute), 1_000 * SECOND, []
    for wait in waits:
        now += wait
        allowed = work_rates.allowed(known, now)
        assert (allowed > 0) == (work_rates.opens_at(known) <= now)
        for _ in range(min(allowed, 20)):
            known = work_rates.leased(known, now)
            moments.append(now)
        if allowed <= 20:
            assert work_rates.allowed(known, now) == 0

    assert most_in_a_minute(moments) <= per_minute


@given(per_minute=st.integers(1, 3_000))
def test_a_rate_that_is_used_whenever_it_allows_is_used_up(per_minute: int) -> None:
    known, now, end, granted = WorkRate("r", "t", "tenant", per_minute=per_minute), 0, 600 * SECOND, 0
    while now < end:
        granted += work_rates.allowed(known, now) > 0
        known = work_rates.leased(known, now)
        now = max(now, work_rates.opens_at(known))

    assert granted >= 10 * per_minute * 0.89


@pytest.mark.parametrize("key", ["tenant", "skill:write", f"scope:{MODEL}"])
def test_leases_keep_to_the_rate_of_their_tenant_skill_or_scope(swarm: Harness, key: str) -> None:
    rate(swarm, key, per_minute=20)
    swarm.submit([{"key": f"k{n}", "required_skills": ["write"]} for n in range(150)])
    bots = [swarm.bot(f"b{n}", skills=("write",), capacity=50, labels={"model": MODEL}) for n in range(3)]

    moments = leases_in(swarm, bots, 240)

    assert most_in_a_minute(moments) <= 20
    assert len(moments) >= 4 * 20 * 0.85


def test_a_parked_poll_gets_work_as_soon_as_the_rate_allows_it(swarm: Harness) -> None:
    rate(swarm, "tenant", per_minute=6)
    swarm.submit(["a", "b"])
    swarm.take(swarm.bot("one"))
    parked = swarm.park(swarm.bot("other"))
    assert parked.waits

    swarm.advance(10.1)

    assert [lease.key for lease in parked.leases] == ["b"]


def test_a_skill_that_is_used_up_keeps_no_other_work_waiting(swarm: Harness) -> None:
    rate(swarm, "skill:write", per_minute=1)
    swarm.submit([{"key": "a", "required_skills": ["write"]}, {"key": "b", "required_skills": ["write"]}, "free"])
    bot = swarm.bot("one", skills=("write",), capacity=9)

    assert {lease.key for lease in swarm.leases(bot, 9)} == {"a", "free"}
    assert swarm.claim(bot).reason == "rate_limited"


def test_bots_of_other_scopes_are_not_held_back(swarm: Harness) -> None:
    rate(swarm, f"scope:{MODEL}", per_minute=1)
    swarm.submit(["a", "b", "c"])
    first, second = (swarm.bot(name, labels={"model": MODEL}) for name in ("one", "two"))

    assert swarm.lease(first) is not None
    assert swarm.lease(second) is None
    assert swarm.lease(swarm.bot("other", labels={"model": "openai:gpt"})) is not None


def test_tokens_are_paid_after_they_are_used(swarm: Harness) -> None:
    rate(swarm, "tenant", tokens_per_minute=1_000)
    swarm.submit(["a", "b", "c"])
    bot = swarm.bot("one")

    swarm.report(swarm.take(bot), usage={"tokens": 2_000})

    assert swarm.lease(bot) is None
    swarm.advance(113)
    assert swarm.lease(bot) is None
    swarm.advance(2)
    assert swarm.lease(bot) is not None


def test_tokens_of_a_crashed_attempt_count_too(swarm: Harness) -> None:
    rate(swarm, "tenant", tokens_per_minute=1_000)
    swarm.submit(["a", "b"])
    lease = swarm.take(swarm.bot("one"))
    swarm.beat(lease, usage={"tokens": 5_000})

    swarm.advance(31)

    assert swarm.lease(swarm.bot("other")) is None


def test_a_skill_may_say_how_many_run_at_once(swarm: Harness) -> None:
    rate(swarm, "skill:write", most=2)
    swarm.submit([{"key": f"k{n}", "required_skills": ["write"]} for n in range(5)])
    bot = swarm.bot("one", skills=("write",), capacity=9)

    leases = swarm.leases(bot, 9)
    assert len(leases) == 2
    swarm.report(leases[0])

    assert len(swarm.leases(bot, 9)) == 1


def test_a_rate_without_numbers_is_removed(swarm: Harness) -> None:
    rate(swarm, "tenant", per_minute=1)
    swarm.submit(["a", "b"])
    bot = swarm.bot("one", capacity=2)
    swarm.take(bot)
    assert swarm.lease(bot) is None

    rate(swarm, "tenant")

    assert swarm.lease(bot) is not None
    assert swarm.rows("SELECT * FROM work_rate") == []


def test_rates_outlive_a_restart(swarm: Harness) -> None:
    rate(swarm, "tenant", per_minute=1)
    swarm.submit(["a", "b"])
    swarm.take(swarm.bot("one"))

    swarm.restart()

    other = swarm.bot("other")
    assert swarm.lease(other) is None
    swarm.advance(61)
    assert swarm.lease(other) is not None


@pytest.mark.parametrize(("key", "numbers"), [("model:x", {}), ("skill:", {}), ("scope:x", {"most": 1}), ("", {})])
def test_a_rate_with_a_wrong_key_is_refused(swarm: Harness, key: str, numbers: dict[str, int]) -> None:
    with pytest.raises(Invalid):
        rate(swarm, key, **{"per_minute": 1, **numbers})


def test_a_tenant_without_rates_reads_none(swarm: Harness) -> None:
    swarm.submit(["a"])
    bot, seen = swarm.bot("one"), list[str]()

    def look(_: object, sql: str, __: object) -> bool:
        seen.append(sql)
        return True

    swarm.store.connection.exec_trace = look

    swarm.report(swarm.take(bot))

    swarm.store.connection.exec_trace = None
    assert not [sql for sql in seen if "work_rate" in sql or "key_limit" in sql or "cooldown" in sql]
