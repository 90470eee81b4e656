"""Files written for a violation: the case as JSON, to be played again, and a regression test."""

from __future__ import annotations

import json
from pathlib import Path
from pprint import pformat

from swarmkeeper import files
from swarmkeeper.sim import cases
from swarmkeeper.sim.run import Case, RunOutcome

_TEST = '''"""{words}.

Found by a simulation with seed {seed}; here are the faults that it takes.
"""

from swarmkeeper import files
from swarmkeeper.sim import cases
from swarmkeeper.sim.run import run

CASE = {case}


def test_{name}() -> None:
    outcome = run(cases.from_json(CASE))

    assert outcome.violation is None, outcome.violation
'''


def as_file(case: Case) -> str:
    return json.dumps(cases.to_json(case), indent=2, ensure_ascii=False) + "\n"


def as_test(outcome: RunOutcome) -> str:
    violation = outcome.violation
    assert violation is not None, "a run without a violation needs no test"
    return _TEST.format(
        words=_in_docstring(violation.words[:1].upper() + violation.words[1:]),
        seed=outcome.case.seed,
        case=pformat(cases.to_json(outcome.case), width=110, sort_dicts=False),
        name="".join(letter if letter.isalnum() else "_" for letter in f"{violation.invariant}_{outcome.case.seed}"),
    )


def _in_docstring(words: str) -> str:
    """Make foreign text safe within a docstring: no quotes, backslashes or unprintable characters."""
    kept = words.replace('"', "'").replace("\\", "/")
    return "".join(letter if letter.isprintable() else " " for letter in kept)


def keep(outcome: RunOutcome, folder: Path) -> tuple[Path, Path]:
    """Write both files to `folder` and return their paths: the case and the test.

    Raises:
        OSError: a file cannot be written.
    """
    seed = outcome.case.seed
    case, test = folder / f"violation-{seed}.json", folder / f"test_violation_{seed}.py"
    files.write(case, as_file(outcome.case))
    files.write(test, as_test(outcome))
    return case, test
