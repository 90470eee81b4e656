"""What is counted and summed: tasks by status, outcome and label, costs by day, bot, skill and label; and what else
tasks are listed by.

Theory. Each count is split by the week in which its tasks were created. So it can be counted anew week by week, with
few rows read at a time, while work goes on; and a reader adds few rows to get the whole. All of it follows from the
rows of tasks, items and attempts: `doctor --deep` compares, `store rebuild` counts anew. Only costs of erased attempts
follow from nothing any more: they stay as sums of days, with no name beside them.

A task is listed by its labels, and by marks: the skills that its items need, the words of the errors of its attempts,
and the code of its failure. A mark begins with a character that no label has. The view `label_of_task` of each store
says the same of stored rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from swarmkeeper.core.states import FailureCode

DAY = 86_400_000_000  # microseconds
WEEK = 7 * DAY
# An attempt counts with at most this much of an amount, so that no sum of any number of them leaves 64 bits.
AMOUNT_MAX = 1 << 40

CountKey = tuple[str, str, int, str, str]  # tenant, party, week, status, outcome; empty for none
LabelKey = tuple[str, str, str, str, int]  # tenant, key, value, party, week
CostKey = tuple[str, str, int, str, str, int]  # tenant, part, day, name, party, week
Spent = tuple[int, int, int, int]  # cost_micro_usd, tokens, unpriced_tokens, attempts

# Days of the spans that costs are summed over: of those that begin at each multiple of their length, and of those that
# end with the last whole day. The view `cost_length` of each store says the same.
SPAN_DAYS = (1, 2, 4, 8, 16, 32, 64, 128)
ROLLING_DAYS = (6, 29, 89)
# What costs are split by. `ERASED` has the sums of attempts that have left.
BY_DAY, BY_BOT, BY_SKILL, BY_LABEL, ERASED = "day", "bot", "skill", "label", "erased"
_MARK = "\x1f"
ERROR_HEAD = 300  # characters of an error whose words are marks
_PARTS_WORDS = "\t\n\r !\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~\x7f"  # the underscore is part of a word
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PLAIN = str.maketrans(_UPPER + _PARTS_WORDS, _UPPER.lower() + " " * len(_PARTS_WORDS))
_CODES = frozenset(map(str, FailureCode))
AMOUNTS = ("cost_micro_usd", "tokens", "unpriced_tokens")


@dataclass(frozen=True, slots=True)
class AttemptCosts:
    """What attempts of one bot on items of one queue used on one day."""

    day: int
    bot: str
    queue: int
    spent: Spent


def week_of(at: int) -> int:
    return at // WEEK


def spent_by(usage: Mapping[str, int]) -> Spent:
    """Return what one attempt used."""
    cost, tokens, unpriced = (min(usage.get(name) or 0, AMOUNT_MAX) for name in AMOUNTS)
    return cost, tokens, unpriced, 1


def pairs_of(labels: Mapping[str, str]) -> Iterator[str]:
    """Yield labels as the list of tasks filters them."""
    return (f"{key}:{value}" for key, value in labels.items())


def words_of(text: str) -> list[str]:
    """Return the words of the beginning of an error, each once. Only letters of ASCII get small."""
    return list(dict.fromkeys(filter(None, text[:ERROR_HEAD].translate(_PLAIN).split(" "))))


def mark_of_skill(skill: str) -> str:
    return f"{_MARK}skill:{skill}"


def marks_of_error(error: Mapping[str, Any] | None) -> list[str]:
    """Return what a task is listed by since an attempt ended with this error."""
    message = (error or {}).get("message")
    return [f"{_MARK}error:{word}" for word in words_of(message)] if isinstance(message, str) else []


def mark_of_failure(code: str) -> str:
    return f"{_MARK}failure:{code}"


def marks_searched(text: str) -> list[str]:
    """Return the marks of all tasks whose errors have these words; the code of a failure alone means tasks that failed
    so.
    """
    words = words_of(text)
    if len(words) == 1 and words[0] in _CODES:
        return [mark_of_failure(words[0])]
    return [f"{_MARK}error:{word}" for word in words]
