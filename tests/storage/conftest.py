"""Databases in a real PostgreSQL, for the tests of its store."""

import pytest

from tests.support.postgres import PostgresServer, server


@pytest.fixture(scope="session")
def postgres() -> PostgresServer:
    """This process's server; see tests/support/postgres.py."""
    return server()


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """The URL of a new, empty database."""
    return postgres.new_database()
