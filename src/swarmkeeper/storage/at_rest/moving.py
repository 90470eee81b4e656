"""Takes the pepper out of a store that keeps it. No server may be using the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmkeeper.storage import pepper as peppers
from swarmkeeper.storage.refusals import StoreHeld

if TYPE_CHECKING:
    from swarmkeeper.storage.sqlite.store import SqliteStore

ALONE = "SELECT pg_try_advisory_lock(hashtextextended('swarmkeeper/orchestrator', 0))"
_PUT = "INSERT INTO meta (key, secret) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET secret = excluded.secret"


def keep_outside_sqlite(store: SqliteStore, pepper: bytes) -> None:
    """Write what follows from the pepper in its place, and leave nothing of it in the file or its log."""
    connection = store.connection
    connection.execute("PRAGMA secure_delete = ON")
    with connection:
        for key, value in (("pepper", peppers.name_of(pepper)), ("pepper_check", peppers.check_of(pepper))):
            connection.execute(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
            )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def keep_outside_postgres(url: str, pepper: bytes) -> None:
    """Write what follows from the pepper in its place, and let the server remove the old row.

    Raises:
        StoreHeld: a server uses the store.
        StoreRefused, StoreUnavailable: it cannot be used.
    """
    from swarmkeeper.storage.postgres import connections

    connection = await connections.connect(url, writing=True)
    try:
        with connections.translated_errors():
            if not await connection.fetchval(ALONE):
                raise StoreHeld("an orchestrator uses this store: stop it first")
            async with connection.transaction():
                await connection.execute(_PUT, "pepper", peppers.name_of(pepper))
                await connection.execute(_PUT, "pepper_check", peppers.check_of(pepper))
            await connection.execute("VACUUM (FULL) meta")
    finally:
        await connections.close(connection)
