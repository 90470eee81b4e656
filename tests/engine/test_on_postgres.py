"""The engine on a store in PostgreSQL: the tests of SQLite once more."""

from collections.abc import Iterator
from typing import cast

import pytest

from tests.engine.test_approvals import *  # noqa: F403
from tests.engine.test_fence import *  # noqa: F403
from tests.engine.test_plans import *  # noqa: F403
from tests.engine.test_stopping import *  # noqa: F403
from tests.engine.test_tries import *  # noqa: F403
from tests.support.postgres_harness import BlockingStore, PostgresHarness, harness

# Ten thousand rows one after another take minutes here. They are cut into slices by the engine, whatever the store.
del test_an_item_with_ten_thousand_children_is_settled_in_slices  # noqa: F821
del test_a_plan_of_ten_thousand_in_two_layers_completes_in_slices_of_five_hundred  # noqa: F821


@pytest.fixture
def swarm() -> Iterator[PostgresHarness]:
    yield from harness()


@pytest.mark.parametrize(
    ("change", "found_as"),
    [
        ("DELETE FROM ready", "each READY item is in its queue"),
        ("UPDATE task SET title = 'x'", "the audit log says otherwise"),
    ],
)
def test_the_check_after_each_test_finds_what_was_changed_and_the_next_test_has_an_empty_store(
    change: str, found_as: str
) -> None:
    for _ in range(2):
        one = harness()
        swarm = next(one)
        assert not swarm.rows("SELECT id FROM task")
        swarm.submit(["a"])
        cast("BlockingStore", swarm.store).change(change)

        with pytest.raises(AssertionError, match=found_as):
            next(one)
