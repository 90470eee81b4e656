"""The broker in PostgreSQL passes the suite."""

import asyncio
import threading

import pytest

from swarmkeeper.broker.postgres import PostgresBroker
from tests.broker.suite import Place, RemoteBrokerSuite, heard, nothing_more, running
from tests.support.postgres import PostgresServer, server


class Database(Place):
    """A database that lets nobody in while it is stopped."""

    def __init__(self, postgres: PostgresServer) -> None:
        super().__init__()
        self._server = postgres
        self.url = postgres.new_database()
        self._name = self.url.rpartition("/")[2]

    def broker(self, name: str = "store") -> PostgresBroker:
        return PostgresBroker(self.url, self.log)

    def stop(self) -> None:
        self._run(f"ALTER DATABASE {self._name} WITH ALLOW_CONNECTIONS false")
        self._run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'")

    def start(self) -> None:
        self._run(f"ALTER DATABASE {self._name} WITH ALLOW_CONNECTIONS true")

    def _run(self, statement: str) -> None:
        """Run a statement in a loop of its own: that of the test stands still meanwhile."""
        thread = threading.Thread(target=self._server.run, args=(statement,))
        thread.start()
        thread.join()


class TestPostgres(RemoteBrokerSuite):
    @pytest.fixture
    def place(self) -> Place:
        return Database(server())


async def test_hints_of_another_database_are_not_heard() -> None:
    one, other = [await asyncio.to_thread(Database, server()) for _ in range(2)]
    a, b, c = one.broker(), one.broker(), other.broker()
    async with running(a, b, c), b.subscribe("look") as hints:
        await c.publish("look", b"of the other store")
        await a.publish("look", b"of this store")

        assert await heard(hints) == b"of this store"
        await nothing_more(hints)
