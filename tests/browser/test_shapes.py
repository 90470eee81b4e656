"""What a picture would show at once: texts that lie over each other, and numbers that are not in one line."""

import pytest

from tests.browser.place import RealTown, drive
from tests.browser.test_opening import places_of


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_no_text_lies_over_another(shown: RealTown, shown_made: dict[str, str], size: str) -> None:
    drive("has_no_text_over_another", shown, size, *places_of(shown, shown_made))


def test_the_numbers_of_a_queue_are_in_one_line(shown: RealTown, shown_made: dict[str, str]) -> None:
    drive("aligns_the_numbers_of_queues", shown)
