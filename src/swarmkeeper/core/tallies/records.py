"""What is counted and summed: tasks by status, outcome and label, costs by day, bot, skill and label.

Theory. Each count is split by the week in which its tasks were created. So it can be counted anew week by week, with
few rows read at a time, while work goes on; and a reader adds few rows to get the whole. All of it follows from the
rows of tasks, items and attempts: `doctor --deep` compares, `store rebuild` counts anew. Only costs of erased attempts
follow from nothing any more: they stay as sums of days, with no name beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

DAY = 86_400_000_000  # microseconds
WEEK = 7 * DAY
# An attempt counts with at most this much of an amount, so that no sum of any number of them leaves 64 bits.
AMOUNT_MAX = 1 << 40

CountKey = tuple[str, str, int, str, str]  # tenant, party, week, status, outcome; empty for none
LabelKey = tuple[str, str, str, str, int]  # tenant, key, value, party, week
CostKey = tuple[str, str, int, str, str, int]  # tenant, part, day, name, party, week
Spent = tuple[int, int, int, int]  # cost_micro_usd, tokens, unpriced_tokens, attempts

# What costs are split by. `ERASED` has the sums of attempts that have left.
BY_DAY, BY_BOT, BY_SKILL, BY_LABEL, ERASED = "day", "bot", "skill", "label", "erased"
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
