"""Invariants of users: functions of the records and of the last commit that yield what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from swarmkeeper.sim.oracle.records import Commit, Records

# Yields messages, or pairs of a task's or item's id and a message.
Check = Callable[[Records, Commit], Iterable[str | tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class UserInvariant:
    """An invariant defined by a user."""

    name: str
    words: str
    check: Check


def invariant(words: str) -> Callable[[Check], UserInvariant]:
    """Turn a function into an invariant. It is called after every commit and yields a message for each finding.

    It may yield `(id, message)` for one task or item: a failure is then shown with the trace lines of that one.
    """

    def made(check: Check) -> UserInvariant:
        return UserInvariant(check.__name__, words, check)

    return made
