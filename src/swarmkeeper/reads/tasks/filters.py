"""What a list of tasks is asked for, and where it begins: with the smallest set of tasks that an index has in order.

Theory. A list passes over the tasks of its sets that lack something else it was asked for. How many it may pass over is
bounded: it ends early then, and goes on with the next page. So no list reads the whole store, however rare the tasks
are that it looks for. A set has all tasks, those of one outcome, of one party, with one label, or with words in their
titles. A list of several outcomes merges their sets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from swarmkeeper.core.errors import Invalid
from swarmkeeper.core.model import Principal
from swarmkeeper.core.states import Outcome, TaskStatus
from swarmkeeper.core.tallies.reads import ALL, ENDED, LABELLED, OPEN, OWN, WORDED, TaskReads
from swarmkeeper.core.tallies.records import mark_of_skill, marks_searched

# No title has words that are longer than this together: a longer search finds nothing.
WORDS_LENGTH_MAX = 1_000
_WORD = re.compile(r"[^\W_]+")
_NOT_ACCEPTED = frozenset({*Outcome} - {Outcome.ACCEPTED})
# The outcomes that a task may have by its status.
_OUTCOMES: Mapping[str, frozenset[str | None]] = {
    TaskStatus.CREATED: frozenset({None}),
    TaskStatus.PLANNED: frozenset({None}),
    TaskStatus.IN_PROGRESS: frozenset({None}),
    TaskStatus.COMPLETED: frozenset({None, Outcome.ACCEPTED}),
    TaskStatus.FAILED: _NOT_ACCEPTED,
    TaskStatus.ARCHIVED: _NOT_ACCEPTED,
}
_EVERY = frozenset({None, *Outcome})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """The filters of a list of tasks; an empty filter matches all. Times in microseconds."""

    status: tuple[str, ...] = ()
    outcome: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()  # each as key:value; a key may hold a colon, too
    skills: tuple[str, ...] = ()  # that its items need, all of these
    error: str = ""  # words of errors of its attempts, or the code of its failure
    words: str = ""  # words of the title, whatever stands between them; the last one may be the beginning of a word
    created_after: int | None = None  # inclusive
    created_before: int | None = None  # exclusive

    @property
    def is_of_states(self) -> bool:
        """Whether nothing but states and outcomes is asked for."""
        return self == TaskFilter(status=self.status, outcome=self.outcome)

    @property
    def listed(self) -> tuple[str, ...]:
        """All labels and marks by which tasks that match are listed."""
        return tuple(dict.fromkeys((*self.labels, *map(mark_of_skill, self.skills), *marks_searched(self.error))))

    @property
    def finds_nothing(self) -> bool:
        """Whether no task can match."""
        return bool(self.error) and not marks_searched(self.error)


@dataclass(frozen=True, slots=True)
class TaskSet:
    """Where a list begins: reads, with their own parameters."""

    reads: TaskReads
    own: Mapping[str, Any]
    looks_at: bool = False  # whether the store may have to look at tasks to find those of the set


@dataclass(frozen=True, slots=True)
class Begin:
    """The sets of a list, and what else each task must have; None or nothing for what follows from the sets."""

    sets: tuple[TaskSet, ...]
    party: str | None = None
    statuses: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def passes_over(self) -> bool:
        """Whether tasks that are looked at may lack something."""
        lacking = self.party is not None or bool(self.statuses or self.outcomes or self.labels)
        return lacking or any(each.looks_at for each in self.sets)


def pairs_of(label: str) -> list[tuple[str, str]]:
    """Return all keys and values that read as this label."""
    parts = label.split(":")
    return [(":".join(parts[:place]), ":".join(parts[place:])) for place in range(1, len(parts))]


def whole_words_of(text: str) -> list[str]:
    """Return the words of a search but the last one, which may be a beginning; nothing if no title can have them."""
    words = list(dict.fromkeys(_WORD.findall(text)))
    return words[:-1] if query_of(text) is not None else []


def query_of(text: str) -> tuple[str, str] | None:
    """Return a search for all words of a text, where titles have words that begin with the last one, and that one.

    None if no title can have them.
    """
    words = list(dict.fromkeys(_WORD.findall(text)))
    if not words or sum(map(len, words)) + len(words) - 1 > WORDS_LENGTH_MAX:
        return None
    return " & ".join(f"'{word}'" for word in words) + ":*", words[-1]


def begin_of(principal: Principal, asked: TaskFilter, rarest: str | None, rare: Sequence[str] = ()) -> Begin:
    """Return where the list begins.

    Args:
        rarest: of the labels and marks asked for, the one that the fewest tasks have.
        rare: of the words asked for, those that few titles have.
    """
    party = principal.party if principal.sees_own else None
    rest = Begin((), party, asked.status, asked.outcome, asked.listed)
    if asked.finds_nothing:
        return rest
    if asked.words:
        query = query_of(asked.words)
        if query is None:
            return replace(rest, sets=())
        # The words that the fewest titles have, as far as one can tell.
        hint, other = (sorted(set(_WORD.findall(asked.words)), key=len)[-2:] * 2)[:2]
        own = {"query": query[0], "last": query[1], "hint": hint, "other": other}
        own["rare"] = " & ".join(f"'{word}'" for word in rare) or query[0]
        return replace(rest, sets=(TaskSet(WORDED, own, looks_at=True),))
    if rarest is not None:
        labels = tuple(label for label in asked.listed if label != rarest)
        return replace(rest, sets=(TaskSet(LABELLED, {"only": rarest}),), labels=labels)
    outcomes = frozenset().union(*(_OUTCOMES[status] for status in asked.status)) if asked.status else _EVERY
    if asked.outcome:
        outcomes &= frozenset(asked.outcome)
    if outcomes != _EVERY:
        return replace(rest, sets=tuple(map(_of_outcome, sorted(outcomes, key=str))), outcomes=())
    if party is not None:
        return replace(rest, sets=(TaskSet(OWN, {"only": party}),), party=None)
    return replace(rest, sets=(TaskSet(ALL, {}),))


def _of_outcome(outcome: str | None) -> TaskSet:
    return TaskSet(OPEN, {}) if outcome is None else TaskSet(ENDED, {"only": str(outcome)})


def refuse_words(order_by: str) -> Invalid:
    """Return the error for words in an order that no index has."""
    allowed = "created_at or -created_at, together with q"
    return Invalid(f"tasks with words cannot be listed by {order_by}", details=(("/query/order_by", "enum", allowed),))
