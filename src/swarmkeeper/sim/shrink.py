"""Shrinks a run that broke an invariant to the few faults that the failure needs, and to a shorter run.

Faults are removed by delta debugging (Zeller and Hildebrandt). Every fault is drawn by its own name, so a run with some
of them is much like the run with all. A smaller case counts if the same invariant breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from swarmkeeper.sim.kernel.loop import SECOND
from swarmkeeper.sim.run import Case, RunOutcome, run, shortened

RUNS_MAX = 200

Play = Callable[[Case], RunOutcome]


@dataclass(frozen=True, slots=True)
class Shrunk:
    case: Case  # with only the faults that are needed
    outcome: RunOutcome  # of `case`, with its trace
    runs: int  # played to find it


def _kept(case: Case) -> RunOutcome:
    """Play a case and keep its trace: the last run that breaks is what a caller is shown."""
    return run(case, keep=True)


def shrink(case: Case, outcome: RunOutcome, *, play: Play = _kept, runs_max: int = RUNS_MAX) -> Shrunk:
    """Return the smallest case found that breaks the same invariant.

    `outcome` is the outcome of `case` and has a violation. At most `runs_max` runs are played.
    """
    assert outcome.violation is not None, "only a run with a violation can be shrunk"
    heals = outcome.violation.at >= case.scenario.hours * 3600 * SECOND
    search = _Search(outcome.violation.invariant, play, runs_max, heals=heals)
    best, faults = _first(case, outcome, search)
    if best is not None:
        best = _fewest(best, faults, search)
        if best.chaos and search.breaks(replace(best, chaos=False)):
            best = replace(best, chaos=False)
    else:
        best = case  # not reproducible with its faults by name: return it unchanged
    return Shrunk(best, search.run_of(best) or play(best), search.runs)


class _Search:
    def __init__(self, invariant: str, play: Play, runs_max: int, *, heals: bool) -> None:
        self._invariant, self._play, self._runs_max = invariant, play, runs_max
        self._heals = heals  # it breaks after faults stop; else that phase need not be played
        self._sound: list[Case] = []  # played without breaking it
        self.runs = 0
        self.last: RunOutcome | None = None

    def is_over(self) -> bool:
        return self.runs >= self._runs_max

    def breaks(self, case: Case) -> bool:
        """Whether the same invariant breaks."""
        played = self._played(case)
        if any(self._covers(sound, played) for sound in self._sound):
            return False
        self.runs += 1
        outcome = self._play(played)
        if outcome.violation is None or outcome.violation.invariant != self._invariant:
            self._sound.append(played)
            return False
        self.last = outcome
        return True

    def run_of(self, case: Case) -> RunOutcome | None:
        """Return the last run that broke if it was the run of this case, up to names of faults that did not strike."""
        if self.last is None or self.last.violation is None or case.faults is None:
            return None
        played = self.last.case
        if replace(self._played(case), faults=played.faults) != played:
            return None
        if not self._heals and self.last.violation.at >= played.scenario.hours * 3600 * SECOND:
            return None
        return (
            replace(self.last, case=case) if {*self.last.faults} <= {*case.faults} <= {*(played.faults or ())} else None
        )

    def _played(self, case: Case) -> Case:
        """Without the phase after faults, unless it breaks then."""
        return case if self._heals else replace(case, scenario=replace(case.scenario, heal_hours=0))

    def _covers(self, sound: Case, case: Case) -> bool:
        """Whether this case cannot break, as the other one did not: it is the same, or it breaks off sooner."""
        hours = case.scenario.hours
        if sound.scenario.hours < hours or (self._heals and sound.scenario.hours > hours):
            return False
        same = replace(sound, scenario=replace(sound.scenario, hours=hours), faults=case.faults)
        return same == case and {*(sound.faults or ())} == {*(case.faults or ())}


def _first(case: Case, outcome: RunOutcome, search: _Search) -> tuple[Case | None, Sequence[str]]:
    """Return the case with its faults named, and the faults: none, the last few, or all that struck."""
    cut = shortened(case, outcome)
    struck = outcome.faults
    sizes = [0]
    while sizes[-1] < len(struck):  # most failures need only the last faults
        sizes.append(min(len(struck), max(1, 2 * sizes[-1])))
    for size in sizes:
        faults = struck[len(struck) - size :]
        for base in (cut, case) if size == len(struck) and cut is not case else (cut,):
            named = replace(base, faults=tuple(faults))
            if search.breaks(named):
                return named, faults
    return None, ()


def _fewest(case: Case, faults: Sequence[str], search: _Search) -> Case:
    current, parts = list(faults), 2
    while len(current) >= 2 and not search.is_over():
        size = -(-len(current) // parts)
        for begin in range(0, len(current), size):
            rest = current[:begin] + current[begin + size :]
            smaller = replace(case, faults=tuple(rest))
            if search.breaks(smaller):
                assert search.last is not None
                # Faults that were named but did not strike are not needed either.
                current = [name for name in rest if name in search.last.faults]
                case = shortened(replace(case, faults=tuple(current)), search.last)
                parts = max(2, parts - 1)
                break
            if search.is_over():
                break
        else:
            if size == 1:
                break
            parts = min(len(current), 2 * parts)
    return replace(case, faults=tuple(current))
