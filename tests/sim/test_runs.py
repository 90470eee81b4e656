"""Runs at level core: the real engine and store with failing bots and people. Violations must be found."""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import pytest

from swarmkeeper.core import commands
from swarmkeeper.core.decide import DECISIONS
from swarmkeeper.core.decide.decisions import planning
from swarmkeeper.sim import cases
from swarmkeeper.sim.invariants import WORDS, invariant
from swarmkeeper.sim.kernel.faults import KINDS
from swarmkeeper.sim.kernel.nondeterminism_guards import Escaped, nondeterminism_guards
from swarmkeeper.sim.oracle.records import Commit, Records
from swarmkeeper.sim.play.scenarios import SCENARIOS
from swarmkeeper.sim.run import Case, RunOutcome, run

STANDARD, GOLDEN = SCENARIOS["standard"], SCENARIOS["golden"]
SHORT = replace(STANDARD, hours=0.25)

ONE_RUN = """
from dataclasses import replace
from swarmkeeper.sim.run import Case, run
from swarmkeeper.sim.play.scenarios import SCENARIOS
scenario = replace(SCENARIOS["standard"], hours=0.25)
for file in (False, True):
    print(run(Case(11, scenario, file=file)).trace_hash)
"""


def traces_of(hash_seed: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", ONE_RUN],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_one_seed_gives_one_trace_in_every_process_and_store() -> None:
    in_memory_and_in_a_file = [trace for hash_seed in ("0", "random") for trace in traces_of(hash_seed)]

    assert len(in_memory_and_in_a_file) == 4
    traces = {eleven().trace_hash, *in_memory_and_in_a_file}  # this process has a hash seed of its own, too
    assert len(traces) == 1
    trace_hash = traces.pop()
    assert len(trace_hash) == 64
    assert set(trace_hash) <= set("0123456789abcdef")


def test_no_invariant_breaks_under_faults_and_every_task_ends_after_them() -> None:
    outcome = run(Case(1, SHORT))

    assert outcome.violation is None, outcome.violation
    assert outcome.faults
    assert outcome.statuses


def test_ready_callbacks_may_run_in_any_order() -> None:
    chaos = run(Case(2, GOLDEN, chaos=True))

    assert chaos.violation is None, chaos.violation
    assert chaos.trace_hash == run(Case(2, GOLDEN, chaos=True)).trace_hash != run(Case(2, GOLDEN)).trace_hash


def test_small_slices_of_long_work_break_nothing() -> None:
    scenario = replace(SHORT, bounds=replace(SHORT.bounds, slice_rows=3), size=10)

    outcome = run(Case(1, scenario), full_every=100)

    assert outcome.violation is None, outcome.violation


@cache
def eleven() -> RunOutcome:
    return run(Case(11, SHORT), keep=True)


def test_a_run_with_its_own_faults_by_name_is_the_same_run() -> None:
    by_chance = eleven()

    by_name = run(Case(11, SHORT, faults=by_chance.faults))

    assert by_chance.faults
    assert (by_name.trace_hash, by_name.faults) == (by_chance.trace_hash, by_chance.faults)


def test_without_faults_no_invariant_breaks_and_the_orchestrator_boots_once() -> None:
    outcome = run(Case(11, SHORT, faults=()))

    assert (outcome.violation, outcome.faults, outcome.boots) == (None, (), 1)


def test_leaving_out_one_fault_does_not_move_the_others() -> None:
    def before(lines: Iterable[object], moment: float) -> list[str]:
        return [str(line) for line in lines if float(str(line).split()[0]) < moment]

    whole = eleven()
    left_out = whole.faults[len(whole.faults) // 2]
    at = next(line.at for line in whole.lines if line.text == left_out) / 1_000_000

    without = run(Case(11, SHORT, faults=tuple(name for name in whole.faults if name != left_out)), keep=True)

    assert before(without.lines, at) == before(whole.lines, at)
    assert left_out not in without.faults
    later = whole.faults[whole.faults.index(left_out) + 1 :]
    assert len(set(later) & set(without.faults)) > len(later) // 2


def test_faults_are_named_by_kind_place_and_number() -> None:
    for name in eleven().faults:
        kind, _, place = name.partition("@")
        assert kind in KINDS
        assert ":" in place
        assert int(place.rpartition("#")[2]) > 0


# ---- violations ----------------------------------------------------------------------------------------------------


def test_a_users_invariant_is_checked_after_every_commit() -> None:
    @invariant("no task of mine is ever planned")
    def never_planned(model: Records, commit: Commit) -> Iterable[str]:
        return [model.title(event.task) for event in commit.events if event.kind == "task.planned"]

    outcome = run(Case(1, GOLDEN, faults=()), invariants=[never_planned])

    assert outcome.violation is not None
    assert outcome.violation.invariant == "never_planned"
    assert (outcome.violation.words, outcome.violation.why) == ("no task of mine is ever planned", "t1")


def test_a_call_to_the_real_clock_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def submit(world: object, command: object) -> str:
        time.time()
        raise AssertionError("the guard did not hold")

    assert isinstance(DECISIONS, dict)
    monkeypatch.setitem(DECISIONS, commands.Submit, submit)

    outcome = run(Case(1, GOLDEN, faults=()))

    assert outcome.violation is not None
    assert outcome.violation.invariant == "0.real-world"
    assert "time.time" in outcome.violation.why


def test_an_exception_in_the_product_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def accept_plan(*args: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(planning, "accept_plan", accept_plan)

    outcome = run(Case(1, GOLDEN, faults=()))

    assert outcome.violation is not None
    assert outcome.violation.invariant == "0.fault"


WAITING = ThreadPoolExecutor(1)  # its thread starts with the first work that it gets

REACHES: dict[str, Callable[[], object]] = {
    "the time": lambda: time.time(),  # noqa: PLW0108  # looked up when it is called
    "a monotonic clock": lambda: time.monotonic(),  # noqa: PLW0108
    "sleep": lambda: time.sleep(0),
    "chance of the system": lambda: os.urandom(8),
    "chance": lambda: random.random(),  # noqa: PLW0108
    "a secret": lambda: secrets.token_hex(4),
    "an id": lambda: uuid.uuid4(),  # noqa: PLW0108
    "a thread": lambda: threading.Thread(target=print).start(),
    "a thread that waits for work": lambda: WAITING.submit(print),
}


@pytest.mark.parametrize("reach", REACHES.values(), ids=REACHES)
def test_guards_raise_only_while_they_are_set(reach: Callable[[], object]) -> None:
    touched: list[str] = []
    reach()

    with pytest.raises(Escaped), nondeterminism_guards(touched.append):
        reach()

    assert len(touched) == 1
    reach()


def test_guards_of_one_thread_let_the_others_pass() -> None:
    touched: list[str] = []
    seen: list[object] = []
    begin, end = threading.Event(), threading.Event()

    def works() -> None:
        begin.wait(30)
        seen.extend(reach() for reach in REACHES.values())
        end.set()

    thread = threading.Thread(target=works)
    thread.start()
    with nondeterminism_guards(touched.append):
        begin.set()
        assert end.wait(30)
    thread.join()

    assert len(seen) == len(REACHES)
    assert touched == []


def test_a_guard_that_was_kept_by_its_name_passes_once_the_simulation_has_ended() -> None:
    with nondeterminism_guards():
        kept = time.monotonic  # as a module does that is imported meanwhile

    assert kept() <= time.monotonic()


# ---- cases as JSON -------------------------------------------------------------------------------------------------


def test_a_case_comes_back_from_json_as_it_was() -> None:
    case = Case(7, SHORT, faults=("orch.crash@orchestrator:minute#3",), chaos=True)

    assert cases.from_json(json.loads(json.dumps(cases.to_json(case)))) == case


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"seed": 1, "colour": 2}, "there is no colour"),
        ({"seed": 1, "scenario": {"name": "x", "bounds": {"lease": 2}}}, "there is no scenario.bounds.lease"),
        ({"seed": "one"}, "Expected `int`"),
    ],
)
def test_a_case_with_unknown_fields_is_refused(plain: dict[str, object], words: str) -> None:
    with pytest.raises(cases.BadCase, match=words):
        cases.from_json(plain)


def test_every_invariant_has_a_sentence() -> None:
    assert all((words and name[0].isdigit()) or name == "rows" for name, words in WORDS.items())
