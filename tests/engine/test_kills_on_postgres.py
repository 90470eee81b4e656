"""The kill switch with a store in PostgreSQL: the tests of SQLite that run on any store, once more."""

from collections.abc import Iterator

import pytest

from tests.engine.test_kills import (
    pair,
    test_a_bot_is_killed_by_its_id_and_in_all_its_processes_by_its_name,
    test_a_kill_ends_at_its_time_and_not_before,
    test_a_killed_tenant_takes_no_submission,
    test_a_lease_that_a_late_server_granted_is_found_soon_and_also_much_later,
    test_a_parked_poll_ends_with_the_kill_and_a_later_one_waits,
    test_a_server_that_may_have_missed_a_kill_asks_the_store,
    test_what_is_killed_gets_nothing_and_loses_its_lease_until_the_kill_is_lifted,
    test_who_killed_what_and_why_is_recorded,
    test_who_may_kill,
)
from tests.support.postgres_harness import PostgresHarness, harness

__all__ = [
    "pair",
    "test_a_bot_is_killed_by_its_id_and_in_all_its_processes_by_its_name",
    "test_a_kill_ends_at_its_time_and_not_before",
    "test_a_killed_tenant_takes_no_submission",
    "test_a_lease_that_a_late_server_granted_is_found_soon_and_also_much_later",
    "test_a_parked_poll_ends_with_the_kill_and_a_later_one_waits",
    "test_a_server_that_may_have_missed_a_kill_asks_the_store",
    "test_what_is_killed_gets_nothing_and_loses_its_lease_until_the_kill_is_lifted",
    "test_who_killed_what_and_why_is_recorded",
    "test_who_may_kill",
]


@pytest.fixture
def swarm() -> Iterator[PostgresHarness]:
    yield from harness()
