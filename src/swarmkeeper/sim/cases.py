"""Cases as JSON: how a failure is kept, handed on and played again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from swarmkeeper.sim.run import Case


class BadCase(ValueError):
    """This is not a case; the message says where."""


def to_json(case: Case) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(case)
    return plain


def from_json(plain: Mapping[str, Any]) -> Case:
    """The case that this describes; what is left out is as it is by default.

    Raises:
        BadCase: something is unknown, or of another type.
    """
    try:
        case = msgspec.convert(plain, Case)
    except msgspec.ValidationError as error:
        raise BadCase(str(error)) from None
    _known(plain, to_json(case), "")
    return case


# Whose keys are words of the scenario's own, and not names of fields.
_FREE = frozenset({"shapes", "sizes", "evaluation", "quorums", "approvals", "verdicts", "task"})


def _known(given: Mapping[str, Any], whole: Mapping[str, Any], at: str) -> None:
    for name, value in given.items():
        if name not in whole:
            raise BadCase(f"there is no {at}{name}")
        if isinstance(value, Mapping) and name not in _FREE:
            _known(value, whole[name], f"{at}{name}.")
