"""Sums of costs over spans of days with a store in PostgreSQL: the tests of SQLite once more."""

from collections.abc import Iterator

import pytest

from tests.engine.test_cost_spans import *  # noqa: F403
from tests.support.postgres_harness import PostgresHarness, harness


@pytest.fixture
def swarm() -> Iterator[PostgresHarness]:
    yield from harness()
