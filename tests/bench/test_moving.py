"""What a move and a backup drill cost is measured on stores that the product wrote, and nothing is lost on the way."""

import pytest

from benchmarks import moving


@pytest.mark.timeout(300)
def test_a_move_keeps_all_items_and_roots_and_a_drill_misses_nothing() -> None:
    found = moving.measure(1_000, 400)
    print(found)

    assert (found["move"]["items"], found["move"]["root_equal"]) == (1_000, True)
    assert found["drill"]["events"] >= 400
    assert found["drill"]["missing"] == 0
    assert found["move"]["cpu_of"].keys() == {"migrate"}
    assert found["drill"]["cpu_of"].keys() == {"backup", "restore", "doctor", "verify"}
    assert min(found[what]["cpu"] for what in found) > 0.5, "each command's own start takes that long"
