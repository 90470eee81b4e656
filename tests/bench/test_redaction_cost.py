"""Redaction with all rules costs a bounded multiple of one keyword search, for every kind of text."""

import time

import pytest

from benchmarks.redaction_cost import TEXTS, known_values, measure
from swarmkeeper.govern.known_values import VALUES_MAX, KnownValues
from swarmkeeper.govern.redaction.redactor import Redactor

REDACTOR = Redactor.default()
# Of what one look for the keywords costs prose (some two microseconds a KB): more than it is, and less than a pass of
# Python over each word of the text would add. 100 microseconds a KB is the promise. How fast Python is beside RE2
# differs by machine and load, so the bound is twice what was seen at worst.
RATIO_MAX = 120


@pytest.mark.parametrize("kind", TEXTS)
def test_redaction_costs_a_bounded_multiple_of_a_look_for_keywords(kind: str) -> None:
    look = measure(REDACTOR, TEXTS["prose"](8192), rounds=30).keywords
    text = TEXTS[kind](8192)

    assert REDACTOR.redact({"text": text}).fields == ()
    assert measure(REDACTOR, text, rounds=30).redaction <= RATIO_MAX * look


# Passwords of ten characters are searched for at twice as many places as what servers make.
@pytest.mark.parametrize(("short", "ratio_max"), [(False, 1.5), (True, 2)])
def test_as_many_released_secrets_as_a_tenant_may_have_cost_at_most_half_as_much_again(
    short: bool, ratio_max: float
) -> None:
    known = known_values(VALUES_MAX, short=short)
    costs = [measure(REDACTOR, make(8192), rounds=30, known=known) for make in TEXTS.values()]

    assert len(known) == VALUES_MAX
    assert sum(cost.knowing for cost in costs) <= ratio_max * sum(cost.redaction for cost in costs)


def test_a_further_value_costs_as_little_as_the_first() -> None:
    def cost(known: KnownValues, value: str) -> float:
        began = time.process_time_ns()
        known.add([value])
        return time.process_time_ns() - began

    many = known_values(VALUES_MAX - 100)
    first = min(cost(KnownValues(), f"a value that is new {number}") for number in range(100))
    last = min(cost(many, f"a value that is new {number}") for number in range(100))

    assert last <= 10 * first + 1_000_000  # making something of all again takes seconds
