"""When a lease gives secrets: from its beginning to the moment that its time is up, and not for another bot."""

from __future__ import annotations

import pytest

from swarmkeeper.core.errors import LeaseLost, PermissionDenied
from swarmkeeper.core.secrets.commands import CheckLease
from swarmkeeper.core.secrets.records import LeaseUse
from swarmkeeper.sim.harness import Harness

HALF_MINUTE = 30
MICROSECOND = 0.000_001


def test_a_lease_gives_secrets_until_its_time_is_up_and_not_from_then_on(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    bot = swarm.bot("slow")
    lease = swarm.take(bot)
    swarm.beat(lease)
    asked = CheckLease(by=swarm.principal(bot), lease_id=lease.lease_id)

    swarm.advance(HALF_MINUTE - MICROSECOND)
    use: LeaseUse = swarm.do(asked)
    swarm.advance(MICROSECOND)
    with pytest.raises(LeaseLost):
        swarm.do(asked)

    assert (use.task, use.bot_name, use.payload) == (task, "slow", swarm.work(task, "a").payload)


def test_another_bots_lease_gives_nothing(swarm: Harness) -> None:
    swarm.submit(["a"])
    lease = swarm.take(swarm.bot("own"))
    thief = swarm.principal(swarm.bot("thief"))

    with pytest.raises(PermissionDenied):
        swarm.do(CheckLease(by=thief, lease_id=lease.lease_id))


def test_a_cancelled_lease_gives_nothing_even_in_its_grace_period(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    bot = swarm.bot("own")
    lease = swarm.take(bot)
    swarm.beat(lease)

    swarm.cancel(task)

    with pytest.raises(LeaseLost):
        swarm.do(CheckLease(by=swarm.principal(bot), lease_id=lease.lease_id))
