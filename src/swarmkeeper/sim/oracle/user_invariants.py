"""Invariants that users add: functions of the records and of what was just committed, which yield what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from swarmkeeper.sim.oracle.records import Commit, Records

# What is wrong, in words; or the id of the task or item that it is about, and the words.
Check = Callable[[Records, Commit], Iterable[str | tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class UserInvariant:
    """An invariant of somebody else's."""

    name: str
    words: str
    check: Check


def invariant(words: str) -> Callable[[Check], UserInvariant]:
    """Make an invariant of a function that is called after every commit and yields what is wrong, in words.

    It may yield `(id, words)` for what is about one task or item: then a failure is told with the story of that one.
    """

    def made(check: Check) -> UserInvariant:
        return UserInvariant(check.__name__, words, check)

    return made
