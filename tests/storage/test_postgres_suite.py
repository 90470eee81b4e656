"""PostgreSQL passes the store suite."""

import pytest

from swarmkeeper.storage.postgres import PostgresStore
from swarmkeeper.testing.store_suite import DurableStoreSuite
from tests.support.postgres import PostgresServer


class TestPostgres(DurableStoreSuite):
    @pytest.fixture
    def store(self, postgres: PostgresServer) -> PostgresStore:
        return PostgresStore(postgres.new_store())
