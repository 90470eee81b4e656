"""Stride scheduling: shares by weight, order within a tenant, and room for every tenant."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.engine.fairness import SCALE, FairQueue, StrideScheduler

TENANTS = ("a", "b", "c", "d")
COST_MAX = 20

weights = st.dictionaries(st.sampled_from(TENANTS), st.integers(1, 50))
# One step: items of a tenant with these costs arrive, then a number of items is taken.
steps = st.lists(
    st.tuples(st.sampled_from(TENANTS), st.lists(st.integers(1, COST_MAX), max_size=12), st.integers(0, 6)), max_size=40
)


@given(weights, steps)
def test_waiting_tenants_get_their_share_within_a_constant(
    weight: dict[str, int], story: list[tuple[str, list[int], int]]
) -> None:
    line: FairQueue[tuple[str, int]] = FairQueue(weight, 1_000_000)
    waiting = dict.fromkeys(TENANTS, 0)
    served: list[tuple[str, int]] = []
    # By number of items taken before: the tenants that wait then.
    moments: list[set[str]] = []
    for tenant, costs, taken in story:
        for cost in costs:
            line.put(tenant, (tenant, cost))
            waiting[tenant] += 1
        for _ in range(min(taken, len(line))):
            moments.append({one for one, n in waiting.items() if n})
            who, cost = line.first()
            assert line.take(cost) == (who, cost)
            waiting[who] -= 1
            served.append((who, cost))

    for begin in range(len(served)):
        got = dict.fromkeys(TENANTS, Fraction(0))
        throughout = set(TENANTS)
        for moment in range(begin, len(served)):
            throughout &= moments[moment]
            who, cost = served[moment]
            got[who] += Fraction(cost, weight.get(who, 1))
            for tenant in throughout:
                for other in throughout:
                    bound = Fraction(COST_MAX, weight.get(tenant, 1)) + Fraction(COST_MAX, weight.get(other, 1))
                    rounding = Fraction(moment - begin + 1, SCALE)
                    assert got[tenant] - got[other] <= bound + rounding


@given(steps)
def test_a_tenant_is_served_in_order_of_arrival(story: list[tuple[str, list[int], int]]) -> None:
    line: FairQueue[tuple[str, int]] = FairQueue({}, 1_000_000)
    put: dict[str, list[tuple[str, int]]] = {tenant: [] for tenant in TENANTS}
    taken: dict[str, list[tuple[str, int]]] = {tenant: [] for tenant in TENANTS}
    for number, (tenant, costs, n) in enumerate(story):
        for cost in costs:
            item = (tenant, number * 100 + cost)
            line.put(tenant, item)
            put[tenant].append(item)
        for item in (line.take() for _ in range(min(n, len(line)))):
            taken[item[0]].append(item)
    for item in line.take_all():
        taken[item[0]].append(item)

    assert taken == put
    assert len(line) == 0


def test_an_idle_tenant_earns_no_credit() -> None:
    line: FairQueue[str] = FairQueue({}, 100)
    for _ in range(20):
        line.put("busy", "busy")
    for _ in range(10):
        line.take()

    for _ in range(4):
        line.put("late", "late")

    assert [line.take() for _ in range(6)].count("late") == 3


def test_ties_go_to_the_smaller_tenant_id() -> None:
    line: FairQueue[str] = FairQueue({}, 100)
    for tenant in ("zoe", "ann"):
        line.put(tenant, tenant)

    assert line.take_all() == ["ann", "zoe"]


def test_a_tenant_that_fills_the_queue_does_not_block_another() -> None:
    line: FairQueue[str] = FairQueue({"heavy": 3}, 8)
    while line.has_room("flood"):
        line.put("flood", "flood")
    assert len(line) == 8

    while line.has_room("other"):
        line.put("other", "other")
    while line.has_room("heavy"):
        line.put("heavy", "heavy")

    assert not line.has_room("flood")
    assert not line.has_room("fourth")
    assert len(line) == 16  # the limit
    everything = line.take_all()
    assert [everything.count(tenant) for tenant in ("flood", "other", "heavy")] == [8, 4, 4]


def test_outdated_positions_are_dropped() -> None:
    turns = StrideScheduler({})

    for number in range(5_000):
        tenant = f"t{number:04}"
        turns.served(tenant)
        turns.served("always")

    assert len(turns._reached) <= 1_100
