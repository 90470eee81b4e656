"""Cases as JSON, so that a failure can be stored, shared and played again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from swarmkeeper.sim.kernel.faults import KINDS
from swarmkeeper.sim.outcome import Case
from swarmkeeper.sim.rehearse import scenario_files


class BadCase(ValueError):
    """The value is not a case; the message says where it is wrong."""


def to_json(case: Case) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(case)
    return plain


def from_json(plain: Mapping[str, Any]) -> Case:
    """Build a case from JSON. Missing fields have their defaults.

    Raises:
        BadCase: a field is unknown, or has the wrong type.
    """
    try:
        case = msgspec.convert(plain, Case)
    except msgspec.ValidationError as error:
        raise BadCase(str(error)) from None
    _known(plain, to_json(case), "")
    return case


def check(case: Case) -> None:
    """Check a case that was edited by hand or comes from elsewhere as strictly as a scenario file.

    Raises:
        BadCase: it cannot be played.
    """
    scenario = to_json(case)["scenario"]
    if not scenario["heal_hours"]:
        del scenario["heal_hours"]  # required above 0 in a file, but a case may check safety alone
    try:
        scenario_files.check_fields(scenario)
        scenario_files.check_sound(scenario_files.Rehearsal(case.scenario))
    except scenario_files.BadScenario as error:
        raise BadCase(f"scenario: {error}") from None
    for fault in case.faults or ():
        if fault.partition("@")[0] not in KINDS or "@" not in fault:
            raise BadCase("`faults` has an entry that is not the name of a fault")
    if case.level != "http" and (case.bots is not None or case.scenario.task is not None):
        raise BadCase("`bots` and the scenario's `task` need level http")
    if case.level == "process" and (case.invariants is not None or case.chaos or case.file):
        raise BadCase("level process does not support `invariants`, `chaos` and `file`")


# Mappings whose keys are chosen by the scenario, not field names.
_FREE = frozenset({"shapes", "sizes", "evaluation", "quorums", "approvals", "verdicts", "task"})


def _known(given: Mapping[str, Any], whole: Mapping[str, Any], at: str) -> None:
    for name, value in given.items():
        if name not in whole:
            raise BadCase(f"there is no {at}{name}")
        if isinstance(value, Mapping) and name not in _FREE:
            _known(value, whole[name], f"{at}{name}.")
