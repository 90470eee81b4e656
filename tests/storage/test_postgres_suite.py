"""PostgreSQL passes the store suite, also encrypted."""

import pytest

from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.testing.store_suite import DurableStoreSuite
from tests.support.at_rest import bodies, leave_out_what_has_no_body
from tests.support.postgres import PostgresServer


class TestPostgres(DurableStoreSuite):
    @pytest.fixture
    def store(self, postgres: PostgresServer) -> PostgresStore:
        return PostgresStore(postgres.new_store())


class TestPostgresEncrypted(DurableStoreSuite):
    @pytest.fixture
    def store(self, postgres: PostgresServer) -> PostgresStore:
        return PostgresStore(postgres.new_store(), bodies=bodies())


leave_out_what_has_no_body(TestPostgresEncrypted)
