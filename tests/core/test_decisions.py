"""A decision returns the answer type that its command declares."""

from __future__ import annotations

from typing import Any, TypeVar, get_args, get_type_hints

import pytest

from swarmkeeper.core.answers import Refusal
from swarmkeeper.core.commands import Command
from swarmkeeper.core.decide import DECISIONS


def answer_of(command: type[Command[Any]]) -> Any:
    """Return the answer type that a command, or the nearest of its bases, declares."""
    for base in getattr(command, "__orig_bases__", ()):
        (named,) = get_args(base)
        if not isinstance(named, TypeVar):
            return named
    (parent,) = command.__bases__
    return answer_of(parent)


@pytest.mark.parametrize("command", DECISIONS, ids=lambda command: command.__name__)
def test_each_decision_returns_the_answer_type_of_its_command(command: type[Command[Any]]) -> None:
    returned = get_type_hints(DECISIONS[command])["return"]
    accepted = (
        [answer for answer in get_args(returned) if answer is not Refusal]
        if Refusal in get_args(returned)
        else [returned]
    )

    assert accepted == [answer_of(command)]
