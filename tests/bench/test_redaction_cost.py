"""Redaction with all rules costs a bounded multiple of one keyword search, for every kind of text."""

import pytest

from benchmarks.redaction_cost import TEXTS, measure
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
