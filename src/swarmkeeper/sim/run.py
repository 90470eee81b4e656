"""Runs one case: a scenario, a seed and optionally a list of faults. Equal cases give equal outcomes."""

from __future__ import annotations

import gc
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path

from swarmkeeper.sim.core_run import CoreRun
from swarmkeeper.sim.kernel.coverage import counting
from swarmkeeper.sim.kernel.nondeterminism_guards import nondeterminism_guards
from swarmkeeper.sim.oracle.user_invariants import UserInvariant
from swarmkeeper.sim.outcome import Case, RunOutcome, shortened
from swarmkeeper.sim.play.engine import rules
from swarmkeeper.sim.user_code import TROUBLE, UserCodeFails, invariants_of, touched
from swarmkeeper.storage.sqlite.store import MEMORY

__all__ = ["Case", "RunOutcome", "run", "shortened"]

FULL_EVERY = 1_500  # commits between checks of all rows
_MEMORY_DISK = Path("/dev/shm")  # noqa: S108  # each run has its own new folder below it


def run(
    case: Case, *, keep: bool = False, invariants: Sequence[UserInvariant] = (), full_every: int = FULL_EVERY
) -> RunOutcome:
    """Play a case to its end, or to the first violation.

    `keep` keeps the lines of the trace; all rows are checked every `full_every` commits.

    Raises:
        UserCodeFails: the user's own code cannot be run.
    """
    with ExitStack() as stack:
        url = MEMORY
        if case.file:
            place = str(_MEMORY_DISK) if _MEMORY_DISK.is_dir() else None
            url = str(Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place))) / "swarm.db")
        rules()  # loads the rules before the guards are set
        collects = gc.isenabled()
        gc.disable()  # when it runs depends on the machine
        if collects:
            stack.callback(gc.enable)
        found = stack.enter_context(counting())
        own = [path for path in (case.bots, case.invariants) if path is not None]
        if own:
            stack.enter_context(redirect_stdout(sys.stderr))  # stdout is for the simulator's own output
        if case.invariants is not None:
            invariants = [*invariants, *invariants_of(case.invariants)]
        simulation = _run_type(case)(case, url, keep=keep, invariants=invariants, full_every=full_every)

        def tripped(words: str) -> None:
            in_user_code = touched(words, own) if own else None
            simulation.model.broken(
                "0.real-world" if in_user_code is None else TROUBLE, "-", in_user_code or _touched(words)
            )

        stack.enter_context(nondeterminism_guards(tripped))
        outcome = simulation.play(found)
        if outcome.violation is not None and outcome.violation.invariant == TROUBLE:
            raise UserCodeFails(outcome.violation.why)
        return outcome


def _touched(words: str) -> str:
    """Name the guard that was hit, and the exception being handled if any: logging an error reads the clock."""
    error = sys.exc_info()[1]
    return words if error is None else f"{words} (while dealing with {error!r})"


def _run_type(case: Case) -> type[CoreRun]:
    if case.level == "core":
        if case.bots is not None or case.scenario.task is not None:
            raise ValueError("`bots` and the scenario's `task` need level http")
        if case.scenario.people.bulk:
            raise ValueError("operations on many tasks need level http")
        return CoreRun
    if case.level != "http":
        raise ValueError("level process has no virtual time: use run_processes")
    # A local import, because level core does not need HTTP.
    from swarmkeeper.sim.http_run import HttpRun

    return HttpRun
