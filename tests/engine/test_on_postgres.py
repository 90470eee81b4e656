"""The engine on a store in PostgreSQL: the tests of SQLite once more."""

from collections.abc import Iterator

import pytest

from tests.engine.test_approvals import *  # noqa: F403
from tests.engine.test_fence import *  # noqa: F403
from tests.engine.test_plans import *  # noqa: F403
from tests.engine.test_stopping import *  # noqa: F403
from tests.engine.test_tries import *  # noqa: F403
from tests.support.postgres import server
from tests.support.postgres_harness import PostgresHarness, harness

# Ten thousand rows one after another take minutes here. They are cut into slices by the engine, whatever the store.
del test_an_item_with_ten_thousand_children_is_settled_in_slices  # noqa: F821
del test_a_plan_of_ten_thousand_in_two_layers_completes_in_slices_of_five_hundred  # noqa: F821


@pytest.fixture
def swarm() -> Iterator[PostgresHarness]:
    yield from harness(server().new_store())
