"""A timer is only a hint to check: an item that is not due, or another lease, is not changed."""

from __future__ import annotations

import dataclasses

import pytest

from swarmkeeper.core import commands
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import LeaseLost, ResourceNotFound
from swarmkeeper.core.model import Principal
from swarmkeeper.core.ports import Key
from swarmkeeper.core.rules.match import QueueBook
from swarmkeeper.core.states import Status
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.sim.harness import ADMIN, Harness


def timer_fired(swarm: Harness, kind: str, ref: str, lease_id: str | None = None) -> None:
    swarm.do(commands.TimerFired(kind=kind, ref=ref, lease_id=lease_id))


@pytest.mark.parametrize("kind", ["lease", "ends", "grace", "wake", "start"])
def test_a_timer_that_fires_too_early_ends_no_lease(swarm: Harness, kind: str) -> None:
    task = swarm.submit(["a"], evaluation="none")
    lease = swarm.take(swarm.bot("worker"))
    swarm.beat(lease)

    timer_fired(swarm, kind, lease.work)

    assert swarm.work(task, "a").status is Status.LEASED
    assert swarm.report(lease).task_status == "ARCHIVED"
    swarm.check()


def test_a_timer_that_fired_too_early_fires_again(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))
    timer_fired(swarm, "lease", lease.work)
    timer_fired(swarm, "ends", lease.work)

    swarm.advance(31)

    assert swarm.work(task, "a").status is not Status.LEASED


@pytest.mark.parametrize("kind", ["start", "wake", "lease", "ends"])
def test_a_timer_that_fires_too_early_ends_no_wait(swarm: Harness, kind: str) -> None:
    ready = swarm.submit(["a"])
    waits = swarm.submit(["b"])
    worker = swarm.bot("worker", capacity=2)
    held = {lease.key: lease for lease in swarm.leases(worker, max_leases=2)}
    swarm.release(held["a"])
    swarm.release(held["b"], delay_seconds=60)

    timer_fired(swarm, kind, held["a"].work)
    timer_fired(swarm, kind, held["b"].work)

    assert swarm.work(ready, "a").status is Status.READY
    assert swarm.work(waits, "b").status is Status.WAITING
    swarm.check()


def test_deadline_and_answer_timers_that_fire_too_early_end_nothing(swarm: Harness) -> None:
    task = swarm.submit(["a"], deadline_seconds=60)
    lease = swarm.take(swarm.bot("worker"))
    approval = swarm.ask(lease, expires_in_seconds=60)

    timer_fired(swarm, "deadline", task)
    timer_fired(swarm, "answer", approval)

    assert swarm.task(task).outcome is None
    assert swarm.work(task, "a").status is Status.WAITING
    swarm.check()


def test_the_unseen_timer_of_an_earlier_lease_does_not_end_the_current_one(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))

    timer_fired(swarm, "unseen", lease.work, lease_id="lse_of_before")
    assert swarm.work(task, "a").status is Status.LEASED

    timer_fired(swarm, "unseen", lease.work, lease_id=lease.lease_id)
    assert swarm.work(task, "a").status is Status.READY


def test_no_caller_acts_for_a_bot_of_another_tenant(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))
    elsewhere = dataclasses.replace(ADMIN, tenant="elsewhere")

    for command in (
        commands.SendHeartbeat(
            by=elsewhere, bot=lease.bot, heartbeats=(commands.LeaseHeartbeat(lease_id=lease.lease_id),)
        ),
        commands.ReleaseLease(by=elsewhere, lease_id=lease.lease_id),
        commands.Drain(by=elsewhere, bot=lease.bot),
        commands.DeleteBot(by=elsewhere, bot=lease.bot),
    ):
        with pytest.raises((ResourceNotFound, LeaseLost)):
            swarm.do(command)

    assert swarm.work(task, "a").status is Status.LEASED


def test_no_caller_decides_for_another_tenant(swarm: Harness) -> None:
    swarm.submit(["a"])
    approval = swarm.ask(swarm.take(swarm.bot("worker")))
    elsewhere = Principal("elsewhere", "key_x", "admin")

    with pytest.raises(ResourceNotFound):
        swarm.decide(approval, "answer", by=elsewhere, answer="yes")


def test_the_id_of_an_ended_lease_does_not_lead_to_the_next_lease(swarm: Harness) -> None:
    """Even if the lookup of the old lease id was loaded before the new grant."""
    swarm.submit(["a"])
    old = swarm.take(swarm.bot("first"))
    swarm.release(old)
    new = swarm.take(swarm.bot("second"))
    world = WorkingSet(
        now=swarm.now, rules=Rulebook(Redactor.default()), limits=swarm.limits, queues=QueueBook(), position=0
    )
    lease = swarm.run(load(swarm, ("lease", new.work)))
    world.put_loaded({("lease", new.work): lease, ("lease_id", old.lease_id): new.work})

    assert world.lease(old.lease_id) is None


async def load(swarm: Harness, want: Key) -> object:
    async with swarm.store.begin() as transaction:
        return (await transaction.load([want]))[want]
