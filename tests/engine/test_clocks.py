"""Schedule-to-start times and deadlines, and the effect of stops and clock jumps on both."""

from __future__ import annotations

import asyncio

import apsw
import pytest

from swarmkeeper.core import commands
from swarmkeeper.core.states import Status
from swarmkeeper.sim.harness import Harness

SECOND = 1_000_000
MINUTE = 60


def waiting(swarm: Harness, seconds: float = 10 * MINUTE) -> str:
    return swarm.submit([{"key": "a", "schedule_to_start_seconds": seconds}])


def left(swarm: Harness, task: str) -> float:
    """Return the seconds until the item expires; if its clock is stopped, the seconds that are left."""
    work = swarm.work(task, "a")
    return (work.start_left if work.start_due is None else work.start_due - swarm.now) / SECOND


def code(swarm: Harness, task: str) -> tuple[str | None, str | None]:
    found = swarm.task(task)
    return (None if found.failure is None else found.failure["code"], found.outcome)


# ---- schedule-to-start ---------------------------------------------------------------------------------------------


def test_an_item_that_no_bot_takes_expires_and_fails_its_task(swarm: Harness) -> None:
    task = waiting(swarm)

    swarm.advance(10 * MINUTE - 0.000_001)
    assert swarm.work(task, "a").status is Status.READY

    swarm.advance(0.000_001)
    assert swarm.work(task, "a").status is Status.FAILED
    assert code(swarm, task) == ("no_taker", "expired")


@pytest.mark.parametrize(("kind", "failure"), [("plan", "no_taker"), ("review", "review_exhausted")])
def test_plans_and_reviews_that_no_bot_takes_expire_too(swarm: Harness, kind: str, failure: str) -> None:
    task = swarm.submit(None if kind == "plan" else ["a"], defaults={"start": 60 * SECOND})
    if kind == "review":
        swarm.report(swarm.take(swarm.bot("worker")))

    swarm.advance(60)

    assert code(swarm, task)[0] == failure


def test_a_hold_keeps_the_remaining_start_time(swarm: Harness) -> None:
    task = waiting(swarm)
    swarm.advance(4 * MINUTE)

    swarm.pause(task)
    swarm.advance(60 * MINUTE)
    assert swarm.work(task, "a").status is Status.READY
    swarm.resume(task)

    assert left(swarm, task) == 6 * MINUTE


def test_a_release_and_an_unseen_lease_keep_the_remaining_start_time(swarm: Harness) -> None:
    task = waiting(swarm)
    bot = swarm.bot("worker")
    swarm.advance(MINUTE)

    lease = swarm.take(bot)
    swarm.advance(10)
    swarm.release(lease)
    assert left(swarm, task) == 9 * MINUTE

    swarm.take(bot)
    swarm.advance(30)
    assert left(swarm, task) == 9 * MINUTE


def test_the_start_time_begins_anew_after_waiting(swarm: Harness) -> None:
    task = waiting(swarm)
    swarm.advance(MINUTE)

    swarm.release(swarm.take(swarm.bot("worker")), delay_seconds=5)
    swarm.advance(5)

    assert left(swarm, task) == 10 * MINUTE


def test_the_start_time_of_a_blocked_item_begins_when_it_becomes_ready(swarm: Harness) -> None:
    task = swarm.submit(["up", {"key": "a", "depends_on": ["up"], "schedule_to_start_seconds": 600}])
    swarm.advance(60 * MINUTE)

    swarm.report(swarm.take(swarm.bot("worker")))

    assert left(swarm, task) == 10 * MINUTE


def test_the_start_time_begins_anew_with_rework_and_with_a_retry(swarm: Harness) -> None:
    task = waiting(swarm)
    worker, judge = swarm.bot("worker"), swarm.bot("judge", "Evaluator")
    swarm.advance(MINUTE)
    swarm.report(swarm.take(worker))
    swarm.report(swarm.take(judge), verdict="rework")
    assert left(swarm, task) == 10 * MINUTE

    swarm.advance(10 * MINUTE)
    assert code(swarm, task)[0] == "no_taker"
    swarm.retry(task)
    assert left(swarm, task) == 10 * MINUTE


# ---- deadlines -----------------------------------------------------------------------------------------------------


def test_a_task_that_misses_its_deadline_fails(swarm: Harness) -> None:
    task = swarm.submit(["a"], deadline_seconds=60)
    lease = swarm.take(swarm.bot("worker"), ttl_seconds=600)

    swarm.advance(59.999_999)
    assert swarm.task(task).status == "IN_PROGRESS"

    swarm.advance(0.000_001)
    assert code(swarm, task) == ("deadline", "expired")
    assert swarm.beat(lease) == "cancel"


def test_the_deadline_clock_stops_while_a_verdict_is_pending_and_continues_with_rework(swarm: Harness) -> None:
    task = swarm.submit(["a"], deadline_seconds=60)
    swarm.advance(20)
    swarm.report(swarm.take(swarm.bot("worker")))
    swarm.advance(600)
    assert swarm.task(task).status == "COMPLETED"

    swarm.report(swarm.take(swarm.bot("judge", "Evaluator")), verdict="rework")

    assert swarm.task(task).deadline == swarm.now + 40 * SECOND
    swarm.advance(40)
    assert code(swarm, task) == ("deadline", "expired")


def test_the_deadline_clock_continues_while_a_task_is_paused(swarm: Harness) -> None:
    task = swarm.submit(["a"], deadline_seconds=60)
    swarm.pause(task)

    swarm.advance(60)

    assert code(swarm, task) == ("deadline", "expired")


def test_the_deadline_clock_stops_while_an_approval_is_open(swarm: Harness) -> None:
    task = swarm.submit(["a"], deadline_seconds=60, approval="plan")
    swarm.advance(20)
    assert swarm.task(task).deadline is None
    swarm.advance(600)

    swarm.decide(swarm.approvals(task)[0], "approve")

    assert swarm.task(task).deadline == swarm.now + 60 * SECOND


def test_a_deadline_set_later_counts_from_then(swarm: Harness) -> None:
    task = swarm.submit(["a"], deadline_seconds=60)
    swarm.advance(50)

    swarm.update(task, deadline_seconds=60)
    swarm.advance(59)
    assert swarm.task(task).status == "PLANNED"

    swarm.advance(1)
    assert code(swarm, task) == ("deadline", "expired")


@pytest.mark.parametrize("standing", ["approval", "review"])
def test_a_deadline_set_while_its_clock_is_stopped_begins_afterwards(swarm: Harness, standing: str) -> None:
    task = swarm.submit(["a"], approval="plan" if standing == "approval" else "none")
    if standing == "review":
        swarm.report(swarm.take(swarm.bot("worker")))

    swarm.update(task, deadline_seconds=60)
    swarm.advance(600)
    assert swarm.task(task).outcome is None

    if standing == "approval":
        swarm.decide(swarm.approvals(task)[0], "approve")
    else:
        swarm.report(swarm.take(swarm.bot("judge", "Evaluator")), verdict="rework")
    assert swarm.task(task).deadline == swarm.now + 60 * SECOND


def test_a_retry_can_set_a_new_deadline(swarm: Harness) -> None:
    task = swarm.submit(["a"], deadline_seconds=60)
    swarm.advance(60)

    swarm.retry(task, deadline_seconds=30)

    assert swarm.task(task).deadline == swarm.now + 30 * SECOND


def test_a_retry_of_a_task_that_missed_its_deadline_removes_the_deadline(swarm: Harness) -> None:
    task = swarm.submit(["a"], deadline_seconds=60)
    swarm.advance(60)

    swarm.retry(task)
    swarm.advance(600)

    assert (swarm.task(task).status, swarm.task(task).deadline) == ("PLANNED", None)


# ---- stops, stalls and jumps ---------------------------------------------------------------------------------------


def test_after_a_restart_no_lease_expires_before_half_of_its_ttl(swarm: Harness) -> None:
    task = swarm.submit([{"key": "a", "timeout_seconds": 31}])
    lease = swarm.take(swarm.bot("worker"))
    swarm.beat(lease)
    swarm.host.die()
    swarm.loop.stall(3600 * SECOND)
    swarm.restart()

    swarm.advance(14.999_999)
    assert swarm.beat(lease) == "continue"  # extends the lease, but not the attempt
    assert swarm.work(task, "a").status is Status.LEASED

    swarm.advance(0.000_001)
    assert swarm.work(task, "a").tries == 1


def test_a_second_restart_does_not_extend_the_grace_of_the_first(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    swarm.take(swarm.bot("worker"))
    swarm.loop.stall(3600 * SECOND)
    swarm.restart()
    (first,) = swarm.rows("SELECT expires_at, ends_at FROM lease")

    swarm.restart()

    assert swarm.rows("SELECT expires_at, ends_at FROM lease") == [first]
    swarm.advance((first["expires_at"] - swarm.now) / SECOND - 0.001)
    assert swarm.work(task, "a").status is Status.LEASED
    swarm.advance(0.002)
    assert swarm.work(task, "a").status is not Status.LEASED


def test_a_restart_does_not_shorten_a_longer_lease(swarm: Harness) -> None:
    swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"), ttl_seconds=60)

    swarm.restart()

    assert swarm.row("SELECT expires_at FROM lease")["expires_at"] == lease.expires_at


def test_after_a_restart_a_bot_has_half_a_minute_to_take_an_item(swarm: Harness) -> None:
    task = waiting(swarm)
    swarm.host.die()
    swarm.loop.stall(3600 * SECOND)
    swarm.restart()

    swarm.advance(29.9)
    assert swarm.work(task, "a").status is Status.READY

    swarm.advance(0.2)
    assert code(swarm, task)[0] == "no_taker"


def test_a_restart_does_not_change_deadlines_and_backoffs(swarm: Harness) -> None:
    late = swarm.submit(["a"], deadline_seconds=60)
    task = swarm.submit(["b"])
    for lease in swarm.leases(swarm.bot("worker", capacity=2), 2):
        if lease.task == task:
            swarm.release(lease, delay_seconds=60)
    swarm.host.die()
    swarm.loop.stall(3600 * SECOND)

    swarm.restart()

    assert code(swarm, late)[0] == "deadline"
    assert swarm.work(task, "b").status is Status.READY


def test_a_stalled_loop_gives_bots_the_same_grace_as_a_restart(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))
    swarm.beat(lease)

    swarm.loop.stall(120 * SECOND)  # the machine slept
    swarm.advance(14.9)
    assert swarm.work(task, "a").status is Status.LEASED

    swarm.advance(0.2)
    assert swarm.work(task, "a").crashes == 1


def test_a_stall_too_short_to_delay_heartbeats_changes_nothing(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))
    swarm.beat(lease)
    swarm.advance(26)

    swarm.loop.stall(5 * SECOND)
    swarm.advance(0)

    assert swarm.work(task, "a").crashes == 1


def test_a_slow_disk_does_not_cost_a_live_bot_its_lease(swarm: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    swarm.submit(["a", "b"])
    bot = swarm.bot("worker", capacity=2)
    quiet, busy = swarm.take(bot), swarm.take(bot)
    assert {swarm.beat(quiet), swarm.beat(busy)} == {"continue"}
    swarm.advance(10)
    right, takes = swarm.store._commit, [13.0]

    async def slow(connection: apsw.Connection) -> None:
        await asyncio.sleep(takes.pop() if takes else 0)
        await right(connection)

    # In one heartbeat: nothing to write for the first lease, news for the second.
    heartbeats = (
        commands.LeaseHeartbeat(lease_id=quiet.lease_id),
        commands.LeaseHeartbeat(lease_id=busy.lease_id, progress={"percent": 50}),
    )
    monkeypatch.setattr(swarm.store, "_commit", slow)
    swarm.do(commands.SendHeartbeat(by=swarm._bots[bot], bot=bot, heartbeats=heartbeats))
    swarm.advance(10)

    assert swarm.beat(quiet) == "continue"


def test_setting_the_wall_clock_back_does_not_affect_running_work(swarm: Harness) -> None:
    task = swarm.submit(["a"], deadline_seconds=100)
    lease = swarm.take(swarm.bot("worker"))
    swarm.beat(lease)
    before = swarm.now

    swarm.clock.jump(-86_400 * SECOND)  # set forward: see test_clock.py
    swarm.advance(29)

    assert swarm.now == before + 29 * SECOND
    assert swarm.work(task, "a").status is Status.LEASED
    swarm.advance(71)
    assert code(swarm, task)[0] == "deadline"


def test_engine_time_never_goes_back_even_after_a_restart(swarm: Harness) -> None:
    swarm.submit(["a"])
    before = swarm.now
    swarm.clock.jump(-86_400 * SECOND)

    swarm.restart()

    assert swarm.now >= before
    later = swarm.submit(["a"])
    assert swarm.task(later).created_at >= before


def test_after_a_restart_engine_time_follows_the_wall_clock(swarm: Harness) -> None:
    before = swarm.now
    swarm.clock.jump(86_400 * SECOND)

    swarm.restart()

    assert swarm.now == before + 86_400 * SECOND


def test_an_idle_orchestrator_records_every_five_seconds_that_it_is_alive(swarm: Harness) -> None:
    swarm.advance(60)

    alive_at = swarm.row("SELECT value FROM meta WHERE key = 'alive_at'")["value"]
    assert swarm.now - alive_at <= 5 * SECOND
