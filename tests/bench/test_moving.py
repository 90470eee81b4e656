"""What a move and a backup drill cost is measured on stores that the product wrote, and nothing is lost on the way."""

import pytest

from benchmarks import moving


@pytest.mark.timeout(300)
def test_the_measured_move_keeps_all_items_and_roots() -> None:
    found = moving.measure(1_000, 0)["move"]

    assert (found["items"], found["root_equal"]) == (1_000, True)
    assert found["cpu_of"].keys() == found["seconds_of"].keys() == {"migrate"}
    assert found["cpu"] > 0.5, "the command's own start takes that long"


@pytest.mark.timeout(300)
def test_the_measured_drill_misses_nothing() -> None:
    found = moving.measure(0, 200)["drill"]

    assert found["events"] >= 200
    assert found["missing"] == 0
    assert found["cpu_of"].keys() == found["seconds_of"].keys() == {"backup", "restore", "doctor", "verify"}
    assert min(found["cpu_of"].values()) > 0.5, "each command's own start takes that long"
