"""Checks that tenants who want the engine at the same time get their shares: of commands, and of slices of background
jobs.

The promise (engine/fairness.py): over any time in which two tenants both wait, their received costs, each divided by
the tenant's weight, differ by no more than the most expensive item of the one plus that of the other, both divided by
weight. It is checked for each pair of tenants, over each stretch of time in which both wait. Nothing is promised about
seconds: one item may take long. A restarted engine has forgotten who was ahead, and so has this check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from swarmkeeper.core.model import BackgroundJob
from swarmkeeper.core.ports import Transaction
from swarmkeeper.engine.fairness import SCALE
from swarmkeeper.engine.loop import Engine
from swarmkeeper.sim.kernel.coverage import reached

# Positions are integers, so each item may be counted too cheap by one unit; a stretch has at most 10,000 items.
ROUNDING = Fraction(10_000, SCALE)
TURNS_MET = 3  # in a stretch with fewer turns, every order is right
CONTENDED = "two tenants waited for the engine at once, and had to take turns for its "

Wrong = Callable[[str], None]


@dataclass(slots=True)
class _Stretch:
    """Lead of the first tenant over the second since both began to wait."""

    now: Fraction = Fraction(0)
    least: Fraction = Fraction(0)
    most: Fraction = Fraction(0)
    turns: int = 0


class Race:
    def __init__(self, of: str, weights: Mapping[str, int], wrong: Wrong) -> None:
        self._of, self.weights, self._wrong = of, weights, wrong
        self._dearest: dict[str, Fraction] = {}  # by tenant, divided by its weight
        self._stretches: dict[tuple[str, str], _Stretch] = {}

    def served(self, tenant: str, cost: int, waited: AbstractSet[str]) -> None:
        """Record that a tenant got an item of that cost while these tenants, including it, waited."""
        got = Fraction(cost, self.weights.get(tenant, 1))
        self._dearest[tenant] = max(got, self._dearest.get(tenant, got))
        self.wait(waited)
        for pair in combinations(sorted(waited), 2):
            stretch = self._stretches.setdefault(pair, _Stretch())
            if tenant in pair:
                self._count(pair, stretch, got if tenant == pair[0] else -got)

    def wait(self, waiting: AbstractSet[str]) -> None:
        """Only these tenants wait now: end the stretches of all other pairs."""
        for pair in [pair for pair in self._stretches if not waiting >= set(pair)]:
            del self._stretches[pair]

    def _dearest_of(self, tenant: str) -> Fraction:
        """The highest weighted cost of the tenant's items so far; the lowest possible cost if it has got none."""
        return self._dearest.get(tenant, Fraction(1, self.weights.get(tenant, 1)))

    def _count(self, pair: tuple[str, str], stretch: _Stretch, got: Fraction) -> None:
        stretch.now += got
        stretch.least, stretch.most = min(stretch.least, stretch.now), max(stretch.most, stretch.now)
        stretch.turns += 1
        if stretch.turns == TURNS_MET:
            reached(CONTENDED + self._of)
        apart = stretch.most - stretch.least
        bound = ROUNDING + sum(map(self._dearest_of, pair))
        if apart > bound:
            gap = f"{pair[0]} and {pair[1]} are {float(apart):g} apart; the bound is {float(bound):g}"
            self._wrong(f"in {self._of}, {gap}")


def watch(engine: Engine, wrong: Wrong) -> None:
    """Observe which commands and job slices an engine takes, by wrapping its queue and its job turns."""
    _watch_line(engine, wrong)
    _watch_jobs(engine, wrong)


def _watch_line(engine: Engine, wrong: Wrong) -> None:
    line = engine._queue
    race = Race("commands", engine.weights, wrong)
    original = line.take

    def take(cost: int = 1) -> object:
        before = {tenant: len(items) for tenant, items in line._items.items()}
        item = original(cost)
        after = line._items
        for tenant, n in before.items():
            if n > len(after.get(tenant, ())):
                race.served(tenant, cost, before.keys())
        race.wait(after.keys())
        return item

    vars(line)["take"] = take


def _watch_jobs(engine: Engine, wrong: Wrong) -> None:
    race = Race("slices", engine.weights, wrong)
    turns = engine._upkeep.turns
    next_job, job_served = turns.next, turns.served
    waiting: AbstractSet[str] = frozenset()

    async def chosen(transaction: Transaction) -> BackgroundJob | None:
        nonlocal waiting
        waiting = frozenset(await transaction.job_tenants())
        return await next_job(transaction)

    def served(job: BackgroundJob | None) -> None:
        if job is None:
            race.wait(frozenset())
        else:
            race.served(job.tenant, 1, waiting)
        job_served(job)

    vars(turns).update(next=chosen, served=served)
