"""Keys, rates and budgets together: what one of them refuses, the others have not counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from swarmkeeper.core import commands
from swarmkeeper.core.model import Limits
from swarmkeeper.core.states import Status
from swarmkeeper.sim.harness import ADMIN, Harness

KEY = [{"key": "repo:main", "max": 1}]
COST = "cost_micro_usd"


@pytest.fixture
def swarm() -> Iterator[Harness]:
    harness = Harness(seed=1, limits=Limits(reserve_cost=100, reserve_tokens=1_000))
    yield harness
    harness.check()
    harness.close()


def keyed(key: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "concurrency": KEY, **more}


def rate(swarm: Harness, **numbers: Any) -> None:
    swarm.do(commands.CreateKey(by=ADMIN, role="client", public_id="abcdefghij", digest=b"0"))
    swarm.do(commands.SetRate(by=ADMIN, key="tenant", **numbers))


def counted(swarm: Harness) -> list[dict[str, Any]]:
    """Return what keys and rates have counted."""
    return [
        *swarm.rows("SELECT key, running FROM key_limit WHERE running > 0"),
        *swarm.rows("SELECT key, calls_at, tokens_at FROM work_rate"),
    ]


def used_up(swarm: Harness, worker: str, **budget: Any) -> str:
    """Submit a keyed subtask whose own budget its first attempt uses up; return its task. It is READY again."""
    task = swarm.submit([keyed("a", budget={COST: 100, **budget}, on_failure="continue")])
    swarm.report(swarm.take(worker), error="retryable", usage={COST: 100})
    swarm.advance(300)
    assert swarm.work(task, "a").status is Status.READY
    return task


@pytest.mark.parametrize(("at_limit", "status"), [("ask", Status.WAITING), ("stop", Status.FAILED)])
def test_what_its_budget_refuses_leaves_the_key_free_and_counts_for_no_rate(
    swarm: Harness, at_limit: str, status: Status
) -> None:
    rate(swarm, per_minute=1_000)
    worker = swarm.bot("worker")
    task = used_up(swarm, worker, at_limit=at_limit)
    before = counted(swarm)

    assert swarm.lease(worker) is None

    assert swarm.work(task, "a").status is status
    assert swarm.work(task, "a").line is None
    assert counted(swarm) == before
    swarm.submit([keyed("b")])
    assert swarm.take(worker).key == "b"


@pytest.mark.parametrize("at_limit", ["ask", "stop"])
def test_a_parked_poll_gets_the_next_of_the_key_when_a_budget_refuses_the_first(swarm: Harness, at_limit: str) -> None:
    worker = swarm.bot("worker")
    used_up(swarm, worker, at_limit=at_limit)
    swarm.submit([keyed("b")])

    parked = swarm.park(worker)
    swarm.advance(0)

    assert not parked.waits
    assert [lease.key for lease in parked.leases] == ["b"]


def test_a_parked_poll_gets_what_depends_on_an_item_that_stops_at_its_budget(swarm: Harness) -> None:
    worker = swarm.bot("worker")
    after = {"key": "b", "depends_on": [{"key": "a", "when": "done"}]}
    own = {COST: 100, "at_limit": "stop"}
    swarm.submit([{"key": "a", "budget": own, "on_failure": "continue"}, after])
    swarm.report(swarm.take(worker), error="retryable", usage={COST: 100})

    parked = swarm.park(worker)
    for _ in range(10):  # less than a poll may wait, and a lease need not be extended
        if parked.waits:
            swarm.advance(1)

    assert not parked.waits
    assert [lease.key for lease in parked.leases] == ["b"]


def test_a_key_or_rate_that_refuses_has_reserved_nothing(swarm: Harness) -> None:
    rate(swarm, per_minute=1)
    task = swarm.submit([keyed("a"), keyed("b"), "free"], budget={COST: 1_000})
    bots = [swarm.bot(f"b{n}") for n in range(3)]
    swarm.take(bots[0])

    assert [swarm.lease(bot) for bot in bots[1:]] == [None, None]

    budget = swarm.task(task).budget
    assert budget is not None
    assert budget.reserved == {COST: 100}


def test_items_that_a_budget_holds_leave_their_line_and_come_back(swarm: Harness) -> None:
    task = swarm.submit([keyed("a"), keyed("b"), "free", "more"], budget={COST: 100})
    one, other = swarm.bot("one"), swarm.bot("other")
    lease = swarm.take(one)
    assert swarm.lease(other) is None
    assert swarm.task(task).hold_reasons == ("budget",)
    swarm.submit([keyed("c")])

    held = swarm.work(task, "b" if lease.key == "a" else "a")
    assert (held.status, held.line, held.start_due) == (Status.READY, None, None)
    swarm.report(lease, usage={COST: 10})

    assert swarm.task(task).hold_reasons == ()
    keys = {swarm.take(one).key, swarm.take(other).key}
    assert len(keys & {"a", "b", "c"}) <= 1


def test_an_attempt_ended_over_its_budget_frees_its_key_and_counts_its_tokens_once(swarm: Harness) -> None:
    rate(swarm, tokens_per_minute=1_000)
    task = swarm.submit([keyed("a", budget={COST: 100})])
    swarm.submit([keyed("b")])
    one, other = swarm.bot("one"), swarm.bot("other")
    lease = swarm.take(one)

    assert swarm.beat(lease, usage={COST: 150, "tokens": 2_000}) == "cancel"

    assert swarm.work(task, "a").status is Status.WAITING  # people were asked
    assert swarm.work(task, "a").line is None
    assert swarm.rows("SELECT key FROM key_limit WHERE running > 0") == []
    after = counted(swarm)
    assert after[0]["tokens_at"] == swarm.now + 120_000_000  # two minutes of the rate
    with pytest.raises(Exception, match="lease"):
        swarm.report(lease, usage={COST: 150, "tokens": 2_000})
    assert counted(swarm) == after
    assert swarm.lease(other) is None  # the rate is used up
    swarm.advance(121)
    assert swarm.take(other).key == "b"


def test_a_task_over_its_budget_leaves_the_line_at_once(swarm: Harness) -> None:
    task = swarm.submit([keyed("a"), keyed("b")], budget={COST: 100})
    swarm.submit([keyed("c")])
    one, other = swarm.bot("one"), swarm.bot("other")

    assert swarm.beat(swarm.take(one), usage={COST: 150}) == "cancel"

    assert len(swarm.approvals(task)) == 1
    assert [work.line for work in swarm.works(task).values()] == [None, None]
    assert swarm.take(other).key == "c"
    swarm.decide(swarm.approvals(task)[0], "approve")
    assert swarm.lease(one) is None  # `c` has the key
