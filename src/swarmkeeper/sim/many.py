"""Many cases, one after another or in several processes, each with what it was like. The order of what comes out is
that of what goes in, whichever ends first.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import active_children, get_context

from swarmkeeper.sim.measure import Measure, Measured
from swarmkeeper.sim.run import Case, Outcome, run
from swarmkeeper.sim.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Played:
    outcome: Outcome
    measured: Measured
    same: bool | None  # a second run gave the same trace; None: there was none

    @property
    def seed(self) -> int:
        return self.outcome.case.seed


def play(case: Case, *, twice: bool = False, keep: bool = False) -> Played:
    """One case. `twice` plays it again, and compares: equal cases must give equal runs. Of real processes nothing is
    measured: their times are those of this machine.

    Raises:
        OwnCodeFails: the user's own code cannot be played.
    """
    measure = Measure(case.scenario)
    if case.level == "process":
        from swarmkeeper.sim.processes import run_processes

        return Played(run_processes(case, keep=keep), measure.measured(), None)
    outcome = run(case, keep=keep, invariants=[measure.own])
    same = None
    if twice:
        again = run(case, invariants=[Measure(case.scenario).own])
        same = again.trace_hash == outcome.trace_hash
    return Played(outcome, measure.measured(), same)


def play_all(cases: Sequence[Case], *, twice: bool = False, jobs: int = 1) -> Iterator[Played]:
    """All of these, in order, in at most so many processes."""
    if jobs == 1 or len(cases) == 1:
        for case in cases:
            yield play(case, twice=twice)
        return
    # Processes that begin anew: what this one has loaded or changed does not reach the runs. An interrupt is for us.
    before = active_children()
    ignore = (signal.SIGINT, signal.SIG_IGN)
    pool = ProcessPoolExecutor(
        min(jobs, len(cases)), mp_context=get_context("spawn"), initializer=signal.signal, initargs=ignore
    )
    try:
        yield from pool.map(partial(play, twice=twice), cases)
    except BaseException:
        for child in active_children():  # nobody waits for what they are at
            if child not in before:
                child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def with_one_more(scenario: Scenario, fleet: str) -> Scenario:
    return with_fleet(scenario, fleet, count=getattr(scenario, fleet).count + 1)


def with_fleet(scenario: Scenario, fleet: str, *, count: int) -> Scenario:
    fleets = {fleet: replace(getattr(scenario, fleet), count=count)}
    return replace(scenario, **fleets)
