"""Plays and measures many cases, one after another or in several processes. Results come in the order of the cases,
whichever ends first.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from typing import Any, TypeVar

from swarmkeeper.sim.play.scenarios import Scenario
from swarmkeeper.sim.rehearse.measure import Measure, Measured
from swarmkeeper.sim.run import Case, RunOutcome, run
from swarmkeeper.sim.user_code import UserCodeFails, line_of, path_of

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Played:
    outcome: RunOutcome
    measured: Measured
    same: bool | None  # a second run gave the same trace; None: there was no second run

    @property
    def seed(self) -> int:
        return self.outcome.case.seed


def play(case: Case, *, twice: bool = False, keep: bool = False) -> Played:
    """Play and measure one case. `twice` plays it again and compares: equal cases must give equal runs. At level
    process nothing is measured, because times depend on the machine.

    Raises:
        UserCodeFails: the user's own code cannot be run.
    """
    measure = Measure(case.scenario)
    if case.level == "process":
        from swarmkeeper.sim.process.run import run_processes

        return Played(run_processes(case, keep=keep), measure.measured(), None)
    try:
        outcome = run(case, keep=keep, invariants=[measure.invariant])
        same = None
        if twice:
            again = run(case, invariants=[Measure(case.scenario).invariant])
            same = again.trace_hash == outcome.trace_hash
    except SystemExit as error:  # else this program would exit with the code of the user's program
        where = line_of(error, *(path_of(target) for target in (case.bots, case.invariants) if target is not None))
        raise UserCodeFails(f"{where or 'your code'} ends the program, and there is none in a rehearsal") from None
    return Played(outcome, measure.measured(), same)


def play_all(cases: Sequence[Case], *, twice: bool = False, jobs: int = 1) -> Iterator[Played]:
    """Play all cases, in order, in at most `jobs` processes."""
    if jobs == 1 or len(cases) == 1:
        for case in cases:
            yield play(case, twice=twice)
        return
    yield from in_processes(partial(play, twice=twice), cases, jobs=jobs)


def in_processes(function: Callable[[_Given], _Made], of: Sequence[_Given], *, jobs: int) -> Iterator[_Made]:
    """Yield the function's result for each item, in order, from at most `jobs` processes. They are spawned: they share
    no loaded or changed state with this process. They end when this process ends, even if it is killed.
    """
    before = active_children()
    pool = ProcessPoolExecutor(min(jobs, len(of)), mp_context=get_context("spawn"), initializer=_begin)
    # Not `pool.map`: it cancels pending futures, and the pool's thread fails on a cancelled future of a terminated
    # child ("Exception in thread …"). So submit no more than the processes are about to take.
    handed_in: deque[Future[_Made]] = deque()
    try:
        for each in of:
            handed_in.append(pool.submit(function, each))
            if len(handed_in) > jobs:
                yield handed_in.popleft().result()
        while handed_in:
            yield handed_in.popleft().result()
    except BaseException:
        for child in active_children():  # their results are no longer needed
            if child not in before:
                child.terminate()
        raise
    finally:
        pool.shutdown()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles interrupts
    # In a thread, because a run does not yield. `os._exit` is bound now, before the guards are set.
    threading.Thread(target=_end_with, args=(parent_process(), os._exit), daemon=True).start()


def _end_with(parent: Any, leave: Callable[[int], None]) -> None:
    parent.join()
    leave(1)


def with_one_more(scenario: Scenario, fleet: str) -> Scenario:
    return with_fleet(scenario, fleet, count=getattr(scenario, fleet).count + 1)


def with_fleet(scenario: Scenario, fleet: str, *, count: int) -> Scenario:
    fleets = {fleet: replace(getattr(scenario, fleet), count=count)}
    return replace(scenario, **fleets)
