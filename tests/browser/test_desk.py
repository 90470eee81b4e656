"""People look up what it cost, keep keys and settings, and read what evaluators said."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.place import RealTown, drive, furnish, real_town, subtask


@pytest.fixture(scope="module")
def desk() -> Iterator[RealTown]:
    with real_town() as place:
        furnish(place)
        worker = place.bot("Executor", "scribe", skills=["draft"])
        for number in range(30):
            task = place.submit([subtask("a", skill="draft")], labels={"customer": f"c{number}"}, evaluation="none")
            for lease in worker.leases(8):
                if lease["task_id"] == task:
                    worker.report(lease, output={}, usage={"tokens": 7 * number + 1, "cost_micro_usd": 1_111 * number})
        yield place


def as_shown(sums: list[dict[str, Any]]) -> list[list[str]]:
    """Return name, cost, tokens and attempts as the page writes them."""
    return [[each["name"], money(each["cost_micro_usd"]), f"{each['tokens']:,}", f"{each['attempts']:,}"] for each in sums]


def money(micro: int) -> str:
    """Cut into digits: whole dollars with two places, less than one with up to four."""
    whole, part = divmod(micro, 1_000_000)
    digits = f"{part:06}"
    return f"${whole:,}.{digits[:2]}" if whole else f"$0.{digits[:2]}{digits[2:4].rstrip('0')}"


def test_costs_are_those_of_the_api_by_day_bot_skill_and_label(desk: RealTown) -> None:
    by = {each: desk.admin.read(f"/costs?by={each}")["items"] for each in ("day", "bot", "skill", "label")}

    assert len(by["label"]) > 25
    drive("reads_what_it_cost", desk, json.dumps({each: as_shown(sums) for each, sums in by.items()}))


def test_amounts_are_never_rounded(desk: RealTown) -> None:
    drive("reads_amounts_that_no_float_has", desk)
