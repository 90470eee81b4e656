"""The named reads of lists of tasks, of counts and of costs; see core/named_reads.py.

Each list begins with one set of tasks that an index has in order: all of the tenant, those that have not ended, those
with one outcome, of one party, with one label, or with words in their titles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from swarmkeeper.core.named_reads import CountRow, JsonText, TaskRow
from swarmkeeper.core.ports import Read


class PlaceRow(NamedTuple):
    at: int
    id: str


class RowFactsRow(NamedTuple):
    """What a row of a list shows beside its task."""

    id: str
    started: int | None
    ended: int | None
    bot: str | None
    bot_name: str | None  # None also if it is not registered any more
    error: JsonText | None


class TaskCountRow(NamedTuple):
    status: str
    outcome: str  # empty for none
    number: int


class LabelCountRow(NamedTuple):
    key: str
    value: str
    number: int


class MarkCountRow(NamedTuple):
    mark: str
    number: int


class WordRow(NamedTuple):
    word: str


class CostRow(NamedTuple):
    name: str  # a day is its number since 1970
    cost_micro_usd: int
    tokens: int
    unpriced_tokens: int
    attempts: int


class FoldedRow(NamedTuple):
    """From which day on sums are kept over spans of days, and which day is the first that they do not reach."""

    first: int
    past: int


@dataclass(frozen=True, slots=True)
class TaskReads:
    """The reads of lists that begin with one set of tasks."""

    newest: Read[TaskRow]
    newest_until: Read[PlaceRow]
    oldest: Read[TaskRow]
    oldest_until: Read[PlaceRow]
    counted: Read[CountRow]
    bounded: Read[CountRow] | None  # None if tasks are always looked at to count them


_RANGE = ("tenant", "high_at", "high_id", "low_at", "low_id")
_WANTED = ("party", "statuses", "outcomes", "labels")


def _of(name: str, *own: str, looks_at: tuple[str, ...] = ()) -> TaskReads:
    return TaskReads(
        Read(f"{name}tasks_newest", TaskRow, *_RANGE, *_WANTED, *own, *looks_at, "limit"),
        Read(f"{name}tasks_newest_until", PlaceRow, *_RANGE, *own, "passed"),
        Read(f"{name}tasks_oldest", TaskRow, *_RANGE, *_WANTED, *own, *looks_at, "limit"),
        Read(f"{name}tasks_oldest_until", PlaceRow, *_RANGE, *own, "passed"),
        Read(f"{name}tasks_counted", CountRow, *_RANGE, *_WANTED, *own, *looks_at),
        None if looks_at else Read(f"{name}tasks_bounded", CountRow, *_RANGE, *own, "most"),
    )


ALL, OPEN = _of(""), _of("open_")
ENDED, OWN, LABELLED = _of("ended_", "only"), _of("own_", "only"), _of("labelled_", "only")
# `near`: how many tasks the range has, if it is one in which words are looked for in one task after the other; else 0.
WORDED = _of("worded_", "query", "last", "hint", "other", "rare", looks_at=("near",))

TASKS_OF_PRIORITY = Read("tasks_of_priority", TaskRow, *_RANGE, *_WANTED, "priority", "limit")
TASKS_OF_PRIORITY_UNTIL = Read("tasks_of_priority_until", PlaceRow, *_RANGE, "priority", "passed")
TASK_ROW_FACTS = Read("task_row_facts", RowFactsRow, "ids", "ends", "well")
TASK_COUNTS = Read("task_counts", TaskCountRow, "tenant", "party")
LABEL_COUNTS = Read("label_counts", LabelCountRow, "tenant", "party", "first_key", "first_value", "last_key", "limit")
COUNTS_OF_LABELS = Read("counts_of_labels", LabelCountRow, "tenant", "party", "wanted")
RARE_WORDS = Read("rare_words", WordRow, "tenant", "words")
COUNTS_OF_MARKS = Read("counts_of_marks", MarkCountRow, "tenant", "wanted", "most")
COSTS_BY_DAY = Read("costs_by_day", CostRow, "tenant", "party", "first", "last", "limit")
_OF_DAYS = ("tenant", "party", "part", "spans", "days", "alone", "begun", "past", "limit")
COSTS_BY_NAME = Read("costs_by_name", CostRow, *_OF_DAYS)
COSTS_BY_BOT = Read("costs_by_bot", CostRow, *_OF_DAYS)
COSTS_FOLDED = Read("costs_folded", FoldedRow, "tenant")

_SETS = (ALL, OPEN, ENDED, OWN, LABELLED, WORDED)
_LISTS = [read for reads in _SETS for name in TaskReads.__slots__ if (read := getattr(reads, name)) is not None]
_OTHERS = [read for read in list(vars().values()) if isinstance(read, Read)]
READS: Mapping[str, Read[Any]] = {str(read): read for read in [*_LISTS, *_OTHERS]}
