"""What PostgreSQL's own types are made of is asked once in a process; what a database has made, on each connection."""

from typing import Any

import pytest

from swarmkeeper.storage.postgres import connections
from tests.support.postgres import server

NUMBERS = "SELECT CAST($1 AS bigint[])"
PAIRS = "SELECT CAST(ARRAY[ROW('a', 1)] AS pair[])"


@pytest.fixture
def database() -> str:
    url = server().new_database()
    server().run("CREATE TYPE pair AS (first text, second bigint)", url.rpartition("/")[2])
    return url


async def sent(url: str, statement: str, *values: Any) -> tuple[Any, list[str]]:
    """Run a statement on a new connection; return its value, and all statements that the connection sent for it."""
    connection = await connections.connect(url, writing=False)
    statements: list[str] = []
    try:
        connection.add_query_logger(lambda query: statements.append(query.query))
        return await connection.fetchval(statement, *values), statements
    finally:
        await connections.close(connection)


async def test_the_second_connection_asks_nothing_about_types_of_postgresql(database: str) -> None:
    await sent(database, NUMBERS, [1])

    assert await sent(database, NUMBERS, [1, 2]) == ([1, 2], [NUMBERS])


async def test_each_connection_asks_what_a_database_has_made(database: str) -> None:
    for _ in range(2):
        pairs, statements = await sent(database, PAIRS)

        assert [tuple(pair) for pair in pairs] == [("a", 1)]
        assert len(statements) > 1
