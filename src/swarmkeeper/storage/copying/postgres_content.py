"""Describes the tables of a store in PostgreSQL, and reads all rows of one snapshot of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg

from swarmkeeper.storage.copying.content import BYTES_MAX, ROWS_MAX, CopyOrigin, MetaRow, Row, StoredTable
from swarmkeeper.storage.postgres import migrations

# What a copy makes anew, or writes at its end.
OWN_TABLES = frozenset({"meta", "migration", "filling"})
_ROWS_WITH_BODIES = 100  # that are asked for at once
_TABLES = """
SELECT c.relname AS name, a.attname AS column, format_type(a.atttypid, NULL) AS type, a.attidentity <> '' AS numbered,
       array_position(CAST(i.indkey AS int2[]), a.attnum) AS key
  FROM pg_class AS c
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
 WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND c.relkind = 'r'
   AND c.relpersistence = 'p'  -- what is not logged is not worth keeping, either
 ORDER BY c.relname, a.attnum
"""


async def tables_of(connection: asyncpg.Connection) -> list[StoredTable]:
    """Return the tables of a store whose rows are copied, by name."""
    found: dict[str, list[asyncpg.Record]] = {}
    for row in await connection.fetch(_TABLES):
        if row["name"] not in OWN_TABLES:
            found.setdefault(row["name"], []).append(row)
    return [_table(name, columns) for name, columns in found.items()]


def _table(name: str, columns: Sequence[asyncpg.Record]) -> StoredTable:
    key = sorted((row for row in columns if row["key"] is not None), key=lambda row: int(row["key"]))
    assert key, f"table {name} has a primary key"
    return StoredTable(
        name,
        tuple(row["column"] for row in columns),
        tuple(row["type"] for row in columns),
        tuple(row["column"] for row in key),
        next((row["column"] for row in columns if row["numbered"]), ""),
    )


async def chunks_of(connection: asyncpg.Connection, table: StoredTable) -> AsyncIterator[list[Row]]:
    """Yield the rows of a table in the order of its key. The connection must be in a transaction."""
    order = ", ".join(table.key)
    cursor = await connection.cursor(f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY {order}")
    body = table.body
    taken: list[Row] = []
    size = 0
    while found := await cursor.fetch(ROWS_MAX if body is None else _ROWS_WITH_BODIES):
        taken += map(tuple, found)
        if body is not None:
            size += sum(len(row[body] or b"") for row in found)
        if size >= BYTES_MAX or len(taken) >= ROWS_MAX:
            yield taken
            taken, size = [], 0
    if taken:
        yield taken


async def facts_of(connection: asyncpg.Connection, tables: Sequence[StoredTable]) -> dict[str, Any]:
    """Return what people compare: the sum of all versions, size and root of each audit log, the last event's number."""
    versions = 0
    for table in tables:
        if table.version:
            versions += await connection.fetchval(
                f"SELECT CAST(coalesce(sum({table.version}), 0) AS bigint) FROM {table.name}"
            )
    trees = await connection.fetch("SELECT tenant, size, root FROM audit_tree ORDER BY tenant")
    return {
        "versions": versions,
        "audit": {row["tenant"]: {"size": row["size"], "root": row["root"].hex()} for row in trees},
        "last_event": await connection.fetchval("SELECT value FROM meta WHERE key = 'pos'"),
    }


async def schema_of(connection: asyncpg.Connection) -> list[list[Any]]:
    """Return number and hash of each migration that the store has, in order."""
    return [list(row) for row in await connection.fetch("SELECT number, sha256 FROM migration ORDER BY number")]


def known_schema() -> list[list[Any]]:
    """Return the same for a new store of this version."""
    return [[migration.number, migration.sha256] for migration in migrations.known()]


class PostgresContent:
    """Implements `Content`, for a connection in a transaction with one snapshot."""

    origin = CopyOrigin("", "")  # an archive gets its own

    def __init__(self, connection: asyncpg.Connection, meta: Sequence[MetaRow]) -> None:
        self._connection = connection
        self.meta = meta

    @classmethod
    async def of(cls, connection: asyncpg.Connection) -> PostgresContent:
        found = await connection.fetch("SELECT key, value, secret FROM meta ORDER BY key")
        return cls(connection, [(row["key"], row["value"], row["secret"]) for row in found])

    def chunks(self, table: StoredTable) -> AsyncIterator[list[Row]]:
        return chunks_of(self._connection, table)
