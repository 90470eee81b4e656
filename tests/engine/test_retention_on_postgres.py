"""Old tasks and records leave a store in PostgreSQL, too: tests of SQLite that ask nothing special of it, once more."""

from collections.abc import Iterator

import pytest

from tests.engine.test_retention import (
    test_a_finished_task_leaves_after_its_time_and_not_before,
    test_a_legal_hold_on_the_tenant_keeps_everything_of_it,
    test_a_task_that_is_being_erased_cannot_be_held_any_more,
    test_more_tasks_than_are_erased_at_once_all_leave,
    test_the_oldest_audit_records_leave_and_the_rest_still_verifies,
    test_what_is_asked_twice_is_erased_once,
    test_what_is_under_a_legal_hold_stays_whole_until_it_is_released,
)
from tests.support.postgres_harness import PostgresHarness, harness

__all__ = [
    "test_a_finished_task_leaves_after_its_time_and_not_before",
    "test_a_legal_hold_on_the_tenant_keeps_everything_of_it",
    "test_a_task_that_is_being_erased_cannot_be_held_any_more",
    "test_more_tasks_than_are_erased_at_once_all_leave",
    "test_the_oldest_audit_records_leave_and_the_rest_still_verifies",
    "test_what_is_asked_twice_is_erased_once",
    "test_what_is_under_a_legal_hold_stays_whole_until_it_is_released",
]


@pytest.fixture
def swarm() -> Iterator[PostgresHarness]:
    yield from harness()
