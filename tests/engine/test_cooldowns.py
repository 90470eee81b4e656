"""A provider that limits one bot holds back every bot of the same scope, and costs no try."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.states import Status
from swarmkeeper.sim.harness import Harness, HarnessLease
from tests.examples import examples

SCOPE = "anthropic:claude-sonnet"


def bots(swarm: Harness, number: int, model: str = SCOPE, **options: Any) -> list[str]:
    return [swarm.bot(f"{model[:3]}-{n}", labels={"model": model}, **options) for n in range(number)]


def limited(swarm: Harness, lease: HarnessLease, seconds: float | None = 30, **more: Any) -> None:
    swarm.report(lease, error="rate_limited", message="429", retry_after_seconds=seconds, **more)


def test_other_bots_of_the_scope_get_no_work_until_it_has_cooled(swarm: Harness) -> None:
    swarm.submit(["a", "b", "c"])
    first, second = bots(swarm, 2)

    limited(swarm, swarm.take(first))

    assert (swarm.claim(first).reason, swarm.claim(second).reason) == ("rate_limited", "rate_limited")
    swarm.advance(29.9)
    assert swarm.lease(second) is None
    swarm.advance(0.2)
    assert swarm.lease(second) is not None


def test_bots_of_other_scopes_and_of_none_go_on(swarm: Harness) -> None:
    swarm.submit(["a", "b", "c"])
    (limited_one,), (other,) = bots(swarm, 1), bots(swarm, 1, "openai:gpt")

    limited(swarm, swarm.take(limited_one))

    assert swarm.lease(other) is not None
    assert swarm.lease(swarm.bot("without")) is not None


def test_a_report_may_name_the_scope_of_a_bot_that_declares_none(swarm: Harness) -> None:
    swarm.submit(["a", "b", "c"])
    plain, (declared,) = swarm.bot("plain"), bots(swarm, 1)

    limited(swarm, swarm.take(plain), scope=SCOPE)

    assert (swarm.lease(plain), swarm.lease(declared)) == (None, None)


def test_without_any_scope_only_the_item_waits(swarm: Harness) -> None:
    swarm.submit(["a", "b"])
    plain = swarm.bot("plain")

    limited(swarm, swarm.take(plain))

    assert swarm.lease(plain) is not None
    assert swarm.rows("SELECT * FROM cooldown") == []


def test_another_tenant_with_the_same_scope_goes_on() -> None:
    # Ids of cooldowns begin with the tenant; the simulator's intruders try the rest.
    from swarmkeeper.core.rules.cooldowns import cooldown_id

    assert cooldown_id("ten_1", SCOPE) != cooldown_id("ten_2", SCOPE)


def test_one_probe_goes_first_and_the_others_a_second_later(swarm: Harness) -> None:
    swarm.submit(["a", "b", "c", "d", "e"])
    crew = bots(swarm, 4)
    limited(swarm, swarm.take(crew[0]))
    parked = [swarm.park(bot, max_leases=4) for bot in crew]

    swarm.advance(30.1)
    assert len(running(swarm)) == 1
    swarm.advance(1)
    assert len(running(swarm)) == len(parked)


def test_a_probe_that_is_limited_too_holds_the_others_back_again(swarm: Harness) -> None:
    swarm.submit(["a", "b", "c", "d", "e"])
    crew = bots(swarm, 4)
    limited(swarm, swarm.take(crew[0]))
    swarm.advance(30)

    limited(swarm, swarm.take(crew[1]), 20)

    assert all(swarm.lease(bot) is None for bot in crew)
    swarm.advance(19.9)
    assert all(swarm.lease(bot) is None for bot in crew)
    swarm.advance(0.2)
    assert sum(swarm.lease(bot) is not None for bot in crew) == 1


def test_reports_at_the_same_time_leave_the_longest_wait(swarm: Harness) -> None:
    swarm.submit(["a", "b", "c"])
    crew = bots(swarm, 3)
    leases = [swarm.take(bot) for bot in crew]

    for lease, seconds in zip(leases, (10, 60, 20), strict=True):
        limited(swarm, lease, seconds)

    swarm.advance(59.9)
    assert all(swarm.lease(bot) is None for bot in crew)
    swarm.advance(0.2)
    assert any(swarm.lease(bot) is not None for bot in crew)


def test_five_minutes_of_429_burn_no_try_and_all_resumes_a_second_after_the_last_wait(swarm: Harness) -> None:
    """The provider says 429 for 300 s, each time with a wait of 10 s; 8 bots, 40 subtasks."""
    task = swarm.submit([{"key": f"k{n}", "max_attempts": 1} for n in range(40)])
    crew = bots(swarm, 8, capacity=1)
    began, calls = swarm.now, []
    last = began
    while swarm.now < began + 300_000_000:
        for bot in crew:
            if (lease := swarm.lease(bot)) is not None:
                calls.append(swarm.now)
                limited(swarm, lease, 10)
                last = swarm.now
        # They ask each quarter of a second while something may change: after a call, and about the end of its wait.
        swarm.advance(0.25 if not 1_000_000 < swarm.now - last < 9_000_000 else 2)

    resumed: list[int] = []
    while len(resumed) < 8:
        resumed += [swarm.now for bot in crew if swarm.lease(bot) is not None]
        swarm.advance(0.25)
        assert swarm.now < last + 60_000_000

    works = [work for work in swarm.works(task).values() if work.key.startswith("k")]
    assert max(resumed) <= last + 10_000_000 + 1_000_000 + 250_000  # the bots ask each quarter of a second
    assert all(work.tries == 0 and work.status is not Status.FAILED for work in works)
    assert len(calls) <= 8 + 300 / 10  # at first each bot calls once; later one probe for each wait
    assert all(later - earlier >= 10_000_000 for earlier, later in pairwise(sorted(set(calls))))


def test_the_time_to_give_up_ends_a_limit_without_end(swarm: Harness) -> None:
    task = swarm.submit([{"key": "a", "give_up_after_seconds": 100}])
    (bot,) = bots(swarm, 1)
    for _ in range(10):
        limited(swarm, swarm.take(bot), 10)
        assert swarm.work(task, "a").status is Status.WAITING
        swarm.advance(10)

    limited(swarm, swarm.take(bot), 10)

    assert swarm.work(task, "a").status is Status.FAILED
    assert "put off for 100 s" in swarm.work(task, "a").error["detail"]  # type: ignore[index]  # it failed


def test_a_wait_of_days_stops_the_scope_for_an_hour_at_most(swarm: Harness) -> None:
    swarm.submit(["a", "b"])
    first, second = bots(swarm, 2)
    limited(swarm, swarm.take(first), 86_400)

    swarm.advance(3_600)

    assert swarm.lease(second) is not None


def test_a_bot_that_registers_again_belongs_to_the_scope_that_it_declares(swarm: Harness) -> None:
    swarm.submit(["a", "b", "c"])
    plain = swarm.bot("plain")
    limited(swarm, swarm.take(plain), scope=SCOPE)
    assert swarm.lease(plain) is None

    assert swarm.bot("plain") == plain

    assert swarm.lease(plain) is not None


def test_a_cooldown_outlives_a_restart(swarm: Harness) -> None:
    swarm.submit(["a", "b"])
    first, second = bots(swarm, 2)
    limited(swarm, swarm.take(first))

    swarm.restart()

    assert swarm.lease(second) is None
    swarm.advance(31)
    assert swarm.lease(second) is not None


@examples(40)
@given(waits=st.lists(st.sampled_from([None, 0, 1, 5, 20]), min_size=1, max_size=6), crew=st.integers(1, 4))
def test_whatever_a_provider_says_nobody_is_handed_work_before_the_time(waits: list[int | None], crew: int) -> None:
    swarm = Harness(seed=1)
    try:
        swarm.submit([f"k{n}" for n in range(6)])
        team = bots(swarm, crew)
        for wait in waits:
            lease = swarm.take(team[0], wait=600)
            limited(swarm, lease, wait)
            (row,) = swarm.rows("SELECT * FROM cooldown")
            assert row["phase"] == "cooling"
            assert row["until"] >= swarm.now + 1_000_000 * max(wait or 0, 1)
            assert all(swarm.lease(bot) is None for bot in team)
        swarm.check()
    finally:
        swarm.close()


@pytest.mark.parametrize("seconds", [0, None])
def test_a_limit_without_a_time_stops_the_scope_for_a_second_at_least(swarm: Harness, seconds: float | None) -> None:
    swarm.submit(["a", "b"])
    first, second = bots(swarm, 2)

    limited(swarm, swarm.take(first), seconds)

    assert swarm.lease(second) is None


def running(swarm: Harness) -> list[dict[str, object]]:
    return swarm.rows("SELECT work FROM lease")
