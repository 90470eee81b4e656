"""Migrates the schema of a PostgreSQL store. As with SQLite, numbered files are applied once each, and a released file
must not change. One process at a time applies them; the others wait, and find none left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import asyncpg

from swarmkeeper.storage import migration_files
from swarmkeeper.storage import pepper as peppers
from swarmkeeper.storage.migration_files import Applied, Migration
from swarmkeeper.storage.postgres import connections
from swarmkeeper.storage.refusals import SchemaOlder, StoreRefused

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('swarmkeeper/migrate', 0))"
_TABLE = (
    "CREATE TABLE migration"
    " (number bigint PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, runs_from bigint NOT NULL)"
)
# The view pg_tables would say the same, in five times the time.
_TABLES = (
    "SELECT CAST(relname AS text) AS name FROM pg_class WHERE relkind IN ('r', 'p')"
    " AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
)
_MILLISECONDS_FOR_TABLES = 2_000
# The server draws each UUID from a strong random generator: 122 bits of it.
_RANDOM = "sha256(convert_to(concat(gen_random_uuid(), gen_random_uuid(), gen_random_uuid()), 'UTF8'))"


def known() -> list[Migration]:
    """Return this version's migrations in order."""
    return migration_files.known(__package__)


@contextmanager
def rights_needed() -> Iterator[None]:
    """Say what the user of the database needs, if it may not do what a store does.

    Raises:
        StoreRefused: it may not, or there is no schema for the tables.
    """
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreRefused(
            f"the user of this database may not use it as a store: {error}. It must own the tables. In an empty "
            "database it makes them: let it own the database, or GRANT CREATE ON SCHEMA public to it"
        ) from error
    except asyncpg.InvalidSchemaNameError as error:
        raise StoreRefused(f"the database cannot be opened: {error}: make the schema its search_path names") from error


async def missing(
    connection: asyncpg.Connection, migrations: Sequence[Migration], *, filling: bool = False
) -> list[Migration]:
    """Return the migrations that were not applied yet; all of them if the database is empty.

    Args:
        filling: its rows may be incomplete: for the one who copies them.

    Raises:
        StoreRefused: it is another program's database, or another version's store, or its rows are incomplete.
    """
    tables = {row["name"] for row in await connection.fetch(_TABLES)}
    if "migration" not in tables:
        if tables:
            raise StoreRefused("this database has tables of another program: choose another database or schema")
        return list(migrations)
    if "filling" in tables and not filling:
        raise StoreRefused(
            "this database is being filled with the rows of another store, or was when that ended early: "
            "run the same `swarmkeeper migrate --from` or `swarmkeeper restore` again to its end"
        )
    applied = await connection.fetch("SELECT number, name, sha256, runs_from FROM migration ORDER BY number")
    return migration_files.missing([Applied(**row) for row in applied], migrations)


async def apply(
    connection: asyncpg.Connection,
    migrations: Sequence[Migration],
    *,
    create: bool,
    migrate: bool,
    drawn: Mapping[str, bytes] | None = None,
    new_pepper: peppers.NewPepper | None = None,
    filling: bool = False,
) -> None:
    """Bring the schema up to date.

    Args:
        create: the database may be empty.
        migrate: an older schema may be changed.
        drawn: the keys of a new store; by default the server draws them.
        new_pepper: gives the pepper of a new store that does not keep it.
        filling: as for `missing`.

    Raises:
        StoreRefused: it is not up to date, and must not be changed.
        asyncpg.LockNotAvailableError: a table is in use for long; nothing was changed.
    """
    if not (lacking := await missing(connection, migrations, filling=filling)):
        return
    async with connection.transaction():
        await connections.allow_any_time(connection)
        await _wait_for_turn(connection)
        lacking = await missing(connection, migrations, filling=filling)
        if not lacking:
            return
        is_new = len(lacking) == len(migrations)
        if is_new and not create:
            raise StoreRefused("there is no swarmkeeper store in this database: it is empty")
        if not is_new and not migrate:
            raise SchemaOlder(
                f"this store has schema {lacking[0].number - 1}, this version needs {lacking[-1].number}: "
                "make a backup and run `swarmkeeper migrate`"
            )
        if is_new:
            await connection.execute(_TABLE)
        for migration in lacking:
            await connection.execute(migration.sql, timeout=connections.SECONDS_FOR_ALL_ROWS)
            await connection.execute(
                "INSERT INTO migration (number, name, sha256, runs_from) VALUES ($1, $2, $3, $4)",
                *(migration.number, migration.name, migration.sha256, migration.runs_from),
            )
        await _fill_in(connection, drawn or {}, new_pepper if is_new else None)


async def _wait_for_turn(connection: asyncpg.Connection) -> None:
    """Wait for another process that migrates, however long that takes; but not for the tables.

    A statement that waits for a table keeps all servers from using it, even if it waits for a read that takes long.
    """
    await connection.execute("SET LOCAL lock_timeout = 0")
    await connection.execute(_LOCK, timeout=connections.SECONDS_FOR_ALL_ROWS)
    await connection.execute(f"SET LOCAL lock_timeout = {_MILLISECONDS_FOR_TABLES}")


async def _fill_in(
    connection: asyncpg.Connection, drawn: Mapping[str, bytes], new_pepper: peppers.NewPepper | None
) -> None:
    """Fill in the store's own keys, and its epoch, which each migration increments."""
    if new_pepper is not None:
        outside = new_pepper(None)
        drawn = {**drawn, "pepper": peppers.name_of(outside)}
        check = peppers.check_of(outside)
        await connection.execute("INSERT INTO meta (key, secret) VALUES ('pepper_check', $1)", check)
    for key in migration_files.OWN_KEYS:
        put = f"INSERT INTO meta (key, secret) VALUES ($1, coalesce($2, {_RANDOM})) ON CONFLICT DO NOTHING"
        await connection.execute(put, key, drawn.get(key))
    await connection.execute(
        "INSERT INTO meta (key, value) VALUES ('epoch', 1) ON CONFLICT (key) DO UPDATE SET value = meta.value + 1"
    )
