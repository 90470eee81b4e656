"""Keeps servers that have no key from writing plain bodies into a store in which encryption has begun.

A server without a key is refused at its start if the store has data keys. One that was started before runs on, and is
refused each transaction from then on: its callers get 503, and it must be started again with the setting.

In SQLite another process has written the first key, so a transaction looks for keys whenever the file was changed by
others; it has the write lock then. In PostgreSQL two triggers refuse plain rows where they come in: in `payload`, and in
`outbox`, from which events and audit records are taken. They are part of the schema, and disabled, so they cost nothing
until the first server with a key enables them. Enabling waits for the transactions that are writing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

MESSAGE = (
    "bodies in this store are encrypted: set `encryption_key`, and start again"  # PostgreSQL's schema says it, too
)
TABLES = ("payload", "outbox")
_ENABLED = (
    "SELECT bool_and(tgenabled <> 'D') FROM pg_trigger"
    " WHERE tgname = 'refuse_plain' AND tgrelid IN (CAST('payload' AS regclass), CAST('outbox' AS regclass))"
)


async def refuse_plain(connection: asyncpg.Connection) -> None:
    """Have PostgreSQL refuse plain bodies from now on. When this returns, no transaction has one that is not visible."""
    if not await connection.fetchval(_ENABLED):
        for table in TABLES:
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER refuse_plain")
