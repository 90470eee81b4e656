"""Looks for bugs with new examples until the time is up: property tests, fuzzing, random runs of the simulator.

    python scripts/explore.py [--minutes 60] [--seed N]

Each round has a seed, and prints the command that repeats each of its parts. Exits with 1 if something was found.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PROPERTY_TESTS = (
    "tests/core",
    "tests/engine",
    "tests/govern",
    "tests/wire",
    "tests/storage",
    "tests/sdk",
    "tests/service",
    "tests/sim",
)
FUZZING = "tests/http/test_fuzz.py"
# What `make test` plays with smaller numbers: see `exploring()` in tests/examples.py.
IN_FULL = (
    "tests/acceptance/test_canaries.py",
    "tests/acceptance/test_kill.py",
    "tests/acceptance/test_replicas.py::test_eight_servers_hand_out_each_of_many_items_once",
    "tests/acceptance/test_replicas.py::test_three_servers_lose_and_double_nothing_while_everything_breaks",
    "tests/bench/test_gates.py::test_a_claim_costs_the_same_with_a_large_backlog",
    "tests/http/test_absent.py",
    "tests/sim/test_seeds.py",
)
# Longer than a test may take: examples are tried until one fails, and that one is then made smaller.
PART_SECONDS_MAX = 1_800
OUTPUT_LINES = 80  # of a part that found something: the failing example is at its end
KEEP = (
    "to keep it: write the failing example as a test of its own (@example for a property), add a simulator's case with"
    ' its --replay file to tests/sim/regressions; see CONTRIBUTING.md, "How to keep what exploring finds"'
)

Part = tuple[str, list[str]]


def parts(seed: int, jobs: int) -> Iterator[Part]:
    """Yield the parts of a round: a name, and the command that runs and repeats it."""
    hypothesis = ["--hypothesis-profile=explore", f"--hypothesis-seed={seed}", f"--timeout={PART_SECONDS_MAX}", "-q"]
    pytest = [str(BIN / "pytest"), "-p", "no:cacheprovider", "-n", str(jobs), *hypothesis]
    simulate = [str(BIN / "swarmkeeper"), "simulate", "--start", str(seed), "--jobs", str(jobs)]
    yield "property tests", [*pytest, "-m", "hypothesis", *PROPERTY_TESTS]
    yield "fuzzing, with sequences of calls", [*pytest, FUZZING]
    yield "tests in full", [*pytest, *IN_FULL]
    yield "simulator, engine and store", [*simulate, "--seeds", str(10 * jobs), "--hours", "2"]
    yield "simulator, over HTTP", [*simulate, "--seeds", str(3 * jobs), "--hours", "1", "--level", "http"]


def shown(command: list[str]) -> str:
    return shlex.join(command).replace(f"{ROOT}/", "")


def play(name: str, command: list[str], seconds: float) -> bool | None:
    """Run one part; return True if it found nothing, None if its time was over first."""
    print(f"== {name}\n   {shown(command)}", flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            timeout=seconds,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        print("   the time was up", flush=True)
        return None
    if done.returncode == 0:
        return True
    print("\n".join(done.stdout.splitlines()[-OUTPUT_LINES:]), flush=True)
    return False


def rounds(seed: int, seconds: float, jobs: int, now: Callable[[], float] = time.monotonic) -> list[str]:
    """Run rounds until the time is up; return each part that found something, with the command that repeats it."""
    ends_at = now() + seconds
    found: dict[str, str] = {}
    played = 0
    while (still := [part for part in parts(seed + played, jobs) if part[0] not in found]) and now() < ends_at:
        print(f"\n==== round {played + 1}, seed {seed + played}", flush=True)
        for name, command in still:
            left = min(ends_at - now(), PART_SECONDS_MAX)
            # A part that found something is not run again: it would find the same.
            if left > 0 and play(name, command, left) is False:
                found[name] = f"{name}: {shown(command)}"
        played += 1
    print(f"\n==== {played} rounds; {len(found)} {'part' if len(found) == 1 else 'parts'} found something")
    return list(found.values())


def main() -> int:
    """Return 1 if something was found."""
    asked = argparse.ArgumentParser(description="Look for bugs with new examples.")
    asked.add_argument("--minutes", type=float, default=60)
    asked.add_argument("--seed", type=int, help="of the first round; the next ones follow")
    asked.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    words = asked.parse_args()
    seed = words.seed if words.seed is not None else random.SystemRandom().randrange(10**9)
    found = rounds(seed, words.minutes * 60, words.jobs)
    for part in found:
        print(f"   {part}")
    if found:
        print(f"   {KEEP}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
