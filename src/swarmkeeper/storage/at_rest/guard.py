"""Keeps servers that have no key from writing plain bodies into a store in which encryption has begun.

A server without a key is refused at its start if the store has data keys. One that was started before runs on, and is
refused each transaction from then on: its callers get 503, and it must be started again with the setting.

In SQLite another process has written the first key, so a transaction looks for keys whenever the file was changed by
others; it has the write lock then. In PostgreSQL two triggers refuse plain rows where they come in: in `payload`, and
in `outbox`, from which events and audit records are taken. They are part of the schema, and disabled, so they cost
nothing until the first server with a key enables them. Enabling waits for the transactions that are writing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmkeeper.storage.at_rest.erasing import WHOLE

if TYPE_CHECKING:
    import apsw
    import asyncpg

    from swarmkeeper.storage.at_rest.bodies import BodyCodec

MESSAGE = (
    "bodies in this store are encrypted: set `encryption_key`, and start again"  # PostgreSQL's schema says it, too
)
TABLES = ("payload", "outbox")
_WHOLE = f"SELECT value FROM meta WHERE key = '{WHOLE}'"
NOTE_WHOLE = f"INSERT INTO meta (key, value) VALUES ('{WHOLE}', 1) ON CONFLICT (key) DO UPDATE SET value = 1"
_ANY_BODY = "SELECT EXISTS (SELECT 1 FROM payload) OR EXISTS (SELECT 1 FROM event) OR EXISTS (SELECT 1 FROM audit_leaf)"
_NEW_KEY = "INSERT INTO data_key (id, tenant, key_id, nonce, wrapped) VALUES ({0}, {1}, {2}, {3}, {4})"
_ENABLED = (
    "SELECT bool_and(tgenabled <> 'D') FROM pg_trigger"
    " WHERE tgname = 'refuse_plain' AND tgrelid IN (CAST('payload' AS regclass), CAST('outbox' AS regclass))"
)


def begin_in_sqlite(connection: apsw.Connection, bodies: BodyCodec, *, alone: bool) -> None:
    """Show others that bodies are encrypted from now on; and note it if no plain one was written before.

    Args:
        alone: no server uses the store. Beside one, a tool begins only in an empty store, or when it writes.
    """
    if bodies.keys is None or connection.execute(_WHOLE).get:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        is_empty = not connection.execute(_ANY_BODY).get
        if alone or is_empty:
            connection.executemany(_NEW_KEY.format(*"?" * 5), bodies.first_key())
        if is_empty:
            connection.execute(NOTE_WHOLE)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


async def begin_in_postgres(connection: asyncpg.Connection, bodies: BodyCodec) -> None:
    """The same; and refuse plain bodies from now on."""
    await refuse_plain(connection)
    if await connection.fetchval(_WHOLE):
        return
    async with connection.transaction():
        await connection.executemany(_NEW_KEY.format("$1", "$2", "$3", "$4", "$5"), bodies.first_key())
        if not await connection.fetchval(f"{_ANY_BODY} OR EXISTS (SELECT 1 FROM outbox)"):
            await connection.execute(NOTE_WHOLE)


async def refuse_plain(connection: asyncpg.Connection) -> None:
    """Have PostgreSQL refuse plain bodies. When this returns, no transaction has one that is not visible."""
    if not await connection.fetchval(_ENABLED):
        for table in TABLES:
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER refuse_plain")
