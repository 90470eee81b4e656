"""Jumps of the wall clock: engine time follows without going back, and logs when it is ahead."""

from __future__ import annotations

import pytest

from swarmkeeper.core import commands
from swarmkeeper.engine.engine_time import EngineTime
from swarmkeeper.offline import offline_admin
from swarmkeeper.offline.doctor import CLOCK, examine
from swarmkeeper.sim.harness import ADMIN, Harness, HarnessLease
from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.loop import SECOND, virtual_loop
from swarmkeeper.sim.play.engine import rules

DAY = 86_400 * SECOND
HOUR = 3_600 * SECOND
TTL = 30


def logged(swarm: Harness, event: str) -> list[dict[str, float]]:
    return [fields for known, fields in swarm.log if known == event]


def beat_on(swarm: Harness, lease: HarnessLease, seconds: int) -> None:
    for _ in range(seconds // 10):
        swarm.advance(10)
        assert swarm.beat(lease) == "continue"


# ---- the clock is set while the server runs ------------------------------------------------------------------------


def test_engine_time_follows_a_jump_of_a_day_within_seconds(swarm: Harness) -> None:
    swarm.advance(60)
    swarm.clock.jump(DAY)

    swarm.advance(6)

    assert abs(swarm.engine.time.ahead()) < SECOND
    assert [round(line["seconds"]) for line in logged(swarm, "clock_forward")] == [86_400]
    assert logged(swarm, "stalled") == []


def test_leases_with_heartbeats_survive_a_jump_of_the_clock(swarm: Harness) -> None:
    task = swarm.submit(["a", "b"], evaluation="none")
    bot = swarm.bot("worker", capacity=2)
    leases = swarm.leases(bot, 2, ttl_seconds=TTL)
    for lease in leases:
        assert swarm.beat(lease) == "continue"
    swarm.advance(5)

    swarm.clock.jump(400 * DAY)
    for _ in range(6):
        swarm.advance(10)
        for lease in leases:
            assert swarm.beat(lease) == "continue"

    for lease in leases:
        swarm.report(lease)
    assert swarm.task(task).outcome == "accepted"
    assert {work.attempt for work in swarm.works(task).values()} == {1}


def test_a_silent_bot_still_loses_its_lease_after_a_jump(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"), ttl_seconds=TTL)
    swarm.beat(lease)

    swarm.clock.jump(DAY)
    swarm.advance(TTL)

    assert swarm.work(task, "a").status != "LEASED"


def test_time_never_goes_back_and_a_small_lead_shrinks(swarm: Harness) -> None:
    before = swarm.now
    swarm.clock.jump(-600 * SECOND)
    assert swarm.now >= before
    swarm.advance(6)
    assert [round(line["ahead_seconds"]) for line in logged(swarm, "clock_apart")] == [600]

    swarm.advance(3_000)
    assert 200 * SECOND < swarm.engine.time.ahead() < 400 * SECOND
    swarm.advance(4_000)

    assert abs(swarm.engine.time.ahead()) <= SECOND
    assert len(logged(swarm, "clock_apart")) == len(logged(swarm, "clock_agrees")) == 1
    at = [event["at"] for event in swarm.rows("SELECT at FROM event ORDER BY seq")]
    assert at == sorted(at)


@pytest.mark.parametrize("ahead", [2 * SECOND, 59 * SECOND, HOUR, HOUR + SECOND, 400 * DAY])
def test_engine_time_always_grows_for_any_jump_of_the_clock(ahead: int) -> None:
    loop = virtual_loop()
    clock = VirtualClock(loop)
    time = EngineTime(clock)
    time.start(clock.now() + ahead)
    seen = [time.now()]
    for jump in (0, -ahead, 5 * SECOND, ahead, -HOUR, 0, 2 * HOUR):
        clock.jump(jump)
        for _ in range(3):
            loop.run_for(7 * SECOND)
            time.follow()
            seen.append(time.now())

    assert seen == sorted(set(seen))
    loop.close()


# ---- the clock was ahead when the store was used before ------------------------------------------------------------


@pytest.fixture
def ahead(swarm: Harness) -> Harness:
    """Return a swarm whose store was last used while the clock was 400 days ahead."""
    swarm.submit(["before"], priority=9, evaluation="none")
    swarm.clock.jump(400 * DAY)
    swarm.advance(10)
    swarm.submit(["a", {"key": "b", "depends_on": ["a"]}], deadline_seconds=7200, evaluation="none")
    swarm.clock.jump(-400 * DAY)
    swarm.restart()
    swarm.advance(10)
    return swarm


def test_a_store_whose_time_is_ahead_is_logged_once(ahead: Harness) -> None:
    ahead.advance(600)

    assert 399 * DAY < ahead.engine.time.ahead() < 401 * DAY
    assert len(logged(ahead, "clock_apart")) == 1
    findings = ahead.run(examine(ahead.store, rules(), deep=False, wall=ahead.clock.now()))
    assert [finding.check for finding in findings] == [CLOCK]


def test_a_key_created_while_time_is_ahead_is_valid_for_its_full_period(ahead: Harness) -> None:
    key = commands.CreateKey(by=ADMIN, role="client", public_id="pub", digest=b"d", expires=HOUR)

    key_id = ahead.do(key)

    expires = ahead.row("SELECT expires_at FROM api_key WHERE id = ?", key_id)["expires_at"]
    assert 0 < expires - ahead.clock.now() <= HOUR


def reset(swarm: Harness) -> int:
    work = offline_admin.reset_clock(swarm.store, clock=swarm.clock, entropy=swarm.chance, rules=rules())
    return int(swarm.run(work))


def test_setting_time_back_keeps_all_remaining_times(ahead: Harness) -> None:
    bot = ahead.bot("worker", capacity=4)
    lease = ahead.take(bot, ttl_seconds=TTL)
    assert ahead.beat(lease) == "continue"
    (task,) = [row["id"] for row in ahead.rows("SELECT id FROM task WHERE deadline IS NOT NULL")]
    left = {(row["kind"], row["ref"]): row["due"] - ahead.now for row in ahead.timers()}
    assert {kind for kind, _ in left} >= {"lease", "ends", "start", "deadline"}
    order = [row["work"] for row in ahead.rows("SELECT work FROM ready ORDER BY priority DESC, place, work")]
    ahead.host.die()

    assert 399 * DAY < reset(ahead) < 401 * DAY
    ahead.restart()
    ahead.advance(0)

    assert abs(ahead.engine.time.ahead()) < SECOND
    assert {(row["kind"], row["ref"]) for row in ahead.timers()} == left.keys()
    for row in ahead.timers():
        before = left[row["kind"], row["ref"]]
        assert before - 2 * SECOND <= row["due"] - ahead.now <= before
    assert [row["work"] for row in ahead.rows("SELECT work FROM ready ORDER BY priority DESC, place, work")] == order
    assert abs(ahead.task(task).created_at - ahead.now) < HOUR
    beat_on(ahead, lease, 60)
    ahead.report(lease)
    while (following := ahead.lease(bot)) is not None:
        ahead.report(following)
    assert {str(row["outcome"]) for row in ahead.rows("SELECT outcome FROM task")} == {"accepted"}
    records = [row["action"] for row in ahead.rows("SELECT action FROM audit_leaf ORDER BY place")]
    assert records.count("clock.reset") == 1
    assert ahead.run(examine(ahead.store, rules(), deep=False, wall=ahead.clock.now())) == []


def test_time_is_set_back_only_in_stores_that_are_ahead(swarm: Harness) -> None:
    swarm.submit(["a"])
    swarm.host.die()
    before = swarm.timers()

    assert reset(swarm) == 0
    assert swarm.timers() == before
    swarm.restart()
