"""Heartbeats: those without news are answered from memory and write nothing."""

import dataclasses

import pytest

from swarmkeeper.core import commands
from swarmkeeper.core.commands import LeaseHeartbeat, SendHeartbeat
from swarmkeeper.core.model import Limits
from swarmkeeper.sim.harness import ADMIN, Harness, HarnessLease

TTL = 30


def a_beating_lease(swarm: Harness) -> HarnessLease:
    """Return a lease that was seen already, so that its next heartbeat has no news."""
    swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))
    assert swarm.beat(lease) == "continue"
    swarm.commits.clear()
    return lease


def beats_of(swarm: Harness, lease: HarnessLease) -> int:
    """Return the number of batches that one heartbeat causes."""
    before = swarm.engine.stats.batches
    assert swarm.beat(lease) == "continue"
    return swarm.engine.stats.batches - before


def test_a_heartbeat_without_news_costs_no_batch(swarm: Harness) -> None:
    lease = a_beating_lease(swarm)
    swarm.advance(TTL / 3)

    assert beats_of(swarm, lease) == 0
    assert swarm.commits == [] or all(not changes.leases for changes in swarm.commits)


def test_a_heartbeat_is_written_when_less_than_half_of_the_lease_is_left(swarm: Harness) -> None:
    lease = a_beating_lease(swarm)
    swarm.advance(TTL / 2)
    assert beats_of(swarm, lease) == 0
    swarm.advance(0.000001)

    assert beats_of(swarm, lease) == 1
    assert swarm.row("SELECT expires_at FROM lease")["expires_at"] == swarm.now + TTL * 1_000_000


@pytest.mark.parametrize(
    "news", [{"progress": {"fraction": 0.5}}, {"usage": {"tokens": 3}}, {"checkpoint": {"page": 3}}]
)
def test_news_of_a_heartbeat_is_written(swarm: Harness, news: dict[str, dict[str, float]]) -> None:
    lease = a_beating_lease(swarm)

    assert swarm.beat(lease, **news) == "continue"

    (name,) = news
    assert swarm.row(f"SELECT {name} AS said FROM lease")["said"] is not None


def test_repeated_news_costs_no_batch(swarm: Harness) -> None:
    lease = a_beating_lease(swarm)
    swarm.beat(lease, progress={"fraction": 0.5})
    before = swarm.engine.stats.batches

    assert swarm.beat(lease, progress={"fraction": 0.5}) == "continue"

    assert swarm.engine.stats.batches == before


def test_the_next_heartbeat_reports_a_cancelled_task(swarm: Harness) -> None:
    lease = a_beating_lease(swarm)
    swarm.cancel(lease.task)

    assert swarm.beat(lease) == "cancel"


def test_a_heartbeat_reports_a_cancel_before_the_job_reaches_its_lease() -> None:
    swarm = Harness(limits=Limits(slice_rows=2))
    swarm.submit([f"s{number}" for number in range(40)])
    swarm.advance(1)  # its rows are written in slices, too
    leases = swarm.leases(swarm.bot("worker", capacity=40), 40)
    assert {swarm.beat(lease) for lease in leases} == {"continue"}

    swarm.cancel(leases[0].task)

    last = max(leases, key=lambda lease: lease.work)  # the job goes in order of id
    assert swarm.beat(last) == "cancel"
    swarm.check()
    swarm.close()


def test_the_next_heartbeat_reports_a_lost_lease(swarm: Harness) -> None:
    lease = a_beating_lease(swarm)
    swarm.release(lease)

    assert swarm.beat(lease) == "lost"


def test_the_next_heartbeat_reports_draining(swarm: Harness) -> None:
    lease = a_beating_lease(swarm)
    beat = SendHeartbeat(
        by=swarm.principal(lease.bot), bot=lease.bot, heartbeats=(LeaseHeartbeat(lease_id=lease.lease_id),)
    )
    assert not swarm.do(beat).drain
    swarm.do(commands.Drain(by=ADMIN, bot=lease.bot))

    assert swarm.do(beat).drain


def test_a_heartbeat_for_another_bots_lease_is_answered_lost(swarm: Harness) -> None:
    lease = a_beating_lease(swarm)
    stranger = swarm.bot("stranger")
    swarm.submit(["b"])
    own = swarm.take(stranger)
    swarm.beat(own)

    assert swarm.beat(dataclasses.replace(lease, bot=stranger)) == "lost"


def test_writes_of_another_process_are_noticed(swarm: Harness) -> None:
    lease = a_beating_lease(swarm)
    swarm.rows("UPDATE lease SET cancelled = TRUE")
    assert swarm.beat(lease) == "continue"

    swarm.engine.look_again()

    assert swarm.beat(lease) == "cancel"
    swarm.rows("UPDATE lease SET cancelled = FALSE")


def test_a_restart_does_not_change_the_answer_to_a_heartbeat(swarm: Harness) -> None:
    lease = a_beating_lease(swarm)
    swarm.restart()

    assert swarm.beat(lease) == "continue"
    assert beats_of(swarm, lease) == 0
