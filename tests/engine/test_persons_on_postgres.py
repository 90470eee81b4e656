"""Persons with a store in PostgreSQL: the tests of SQLite that run on any store, once more."""

from collections.abc import Iterator

import pytest

from tests.engine.test_persons import (
    test_a_client_with_scope_own_steers_and_finds_the_tasks_of_its_party_alone,
    test_a_name_is_taken_once_in_a_tenant,
    test_a_person_does_not_approve_what_a_bot_of_theirs_made,
    test_a_token_and_a_key_of_one_person_are_of_one_person,
    test_bots_of_a_disabled_person_lose_their_leases_and_others_of_the_name_keep_them,
    test_one_person_with_two_keys_does_not_approve_own_work,
    test_only_an_administrator_of_the_tenant_changes_a_person,
    test_the_scope_of_a_new_client_key_is_its_own_tasks_and_of_others_none,
    test_the_terms_of_a_task_ask_for_a_sign_in_and_a_bots_question_for_a_fresher_one,
    test_what_is_created_renamed_and_taken_again_in_one_batch_is_decided_in_order,
    test_where_one_has_no_person_owners_are_compared,
)
from tests.support.postgres_harness import PostgresHarness, harness

__all__ = [
    "test_a_client_with_scope_own_steers_and_finds_the_tasks_of_its_party_alone",
    "test_a_name_is_taken_once_in_a_tenant",
    "test_a_person_does_not_approve_what_a_bot_of_theirs_made",
    "test_a_token_and_a_key_of_one_person_are_of_one_person",
    "test_bots_of_a_disabled_person_lose_their_leases_and_others_of_the_name_keep_them",
    "test_one_person_with_two_keys_does_not_approve_own_work",
    "test_only_an_administrator_of_the_tenant_changes_a_person",
    "test_the_scope_of_a_new_client_key_is_its_own_tasks_and_of_others_none",
    "test_the_terms_of_a_task_ask_for_a_sign_in_and_a_bots_question_for_a_fresher_one",
    "test_what_is_created_renamed_and_taken_again_in_one_batch_is_decided_in_order",
    "test_where_one_has_no_person_owners_are_compared",
]


@pytest.fixture
def swarm() -> Iterator[PostgresHarness]:
    yield from harness()
