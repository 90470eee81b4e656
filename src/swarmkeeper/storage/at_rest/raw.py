"""Bodies as they are stored, for what changes or checks all of them: in slices, each a transaction of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from swarmkeeper.core.ports import StaleVersion, StoreUnavailable
from swarmkeeper.storage.at_rest.bodies import AUDIT_LEAF, EVENT, PAYLOAD
from swarmkeeper.storage.at_rest.data_keys import WrappedKey
from swarmkeeper.storage.at_rest.guard import NOTE_WHOLE, begin_in_postgres, begin_in_sqlite
from swarmkeeper.storage.at_rest.texts import TEXTS

if TYPE_CHECKING:
    import apsw
    import asyncpg

    from swarmkeeper.storage.at_rest.bodies import BodyCodec

TABLES = (PAYLOAD, EVENT, AUDIT_LEAF)
FIRST: Mapping[str, str | int] = {PAYLOAD: "", EVENT: -(1 << 62), AUDIT_LEAF: -(1 << 62)}
SLICE: Mapping[str, int] = {PAYLOAD: 50, EVENT: 500, AUDIT_LEAF: 500}  # a payload may have a megabyte
_TRIES = 20  # of a slice that another transaction was in the way of


@dataclass(frozen=True, slots=True)
class StoredBody:
    key: Any  # the place in the order of the table
    id: str
    tenant: str | None  # None: its task is gone
    stored: bytes
    flag: int  # the column `sealed` of a payload
    salt: bytes = b""  # of an audit record


Change = Callable[[Sequence[StoredBody]], Mapping[Any, bytes]]  # gives what is stored instead, by key


@dataclass(frozen=True, slots=True)
class StoredTexts:
    """A row of a table in `TEXTS`, with its texts by column."""

    key: Any
    id: str
    tenant: str | None  # None: its task is gone
    texts: Mapping[str, str | None]


ChangeTexts = Callable[[Sequence[StoredTexts]], Mapping[Any, Mapping[str, str | None]]]


class RawBodies(Protocol):
    async def slice(self, table: str, after: Any, change: Change, new_keys: Callable[[], list[Any]]) -> Any:
        """Read some bodies after a key, and store others instead; return the last key, None at the end.

        Args:
            new_keys: gives data keys that are stored in the same transaction.
        """

    async def page(self, table: str, after: Any) -> list[StoredBody]:
        """Read some bodies after a key, and change nothing."""

    async def text_slice(self, table: str, after: Any, change: ChangeTexts, new_keys: Callable[[], list[Any]]) -> Any:
        """Likewise for the texts of some rows."""

    async def text_page(self, table: str, after: Any) -> list[StoredTexts]: ...

    async def keys(self) -> list[WrappedKey]: ...

    async def begin(self, bodies: BodyCodec) -> None:
        """Show others that bodies are encrypted from now on; see guard.py."""

    async def erased(self) -> list[str]:
        """Return the ids of the data keys that were destroyed."""

    async def note_whole(self) -> None:
        """Note that the store has no plain body any more."""

    async def rewrap(self, before: WrappedKey, after: WrappedKey) -> None:
        """Replace a wrapped key, unless another process has done it."""

    async def clean(self, *, alone: bool) -> None:
        """Remove what is left of rows that were changed.

        Args:
            alone: nobody else uses the store, so that files may be written anew.
        """


_PAGES: Mapping[str, str] = {
    PAYLOAD: "SELECT payload.id, payload.id, task.tenant, payload.body, payload.sealed"
    " FROM payload LEFT JOIN task ON task.id = payload.task WHERE payload.id > {0} ORDER BY payload.id LIMIT {1}",
    EVENT: "SELECT seq, id, tenant, body, 0 FROM event WHERE seq > {0} ORDER BY seq LIMIT {1}",
    AUDIT_LEAF: "SELECT {seq}, id, tenant, body, 0, salt FROM audit_leaf WHERE {seq} > {0} AND body IS NOT NULL"
    " ORDER BY {seq} LIMIT {1}",
}
_PUTS: Mapping[str, str] = {
    PAYLOAD: "UPDATE payload SET body = {0}, sealed = 1 WHERE id = {1}",
    EVENT: "UPDATE event SET body = {0} WHERE seq = {1}",
    AUDIT_LEAF: "UPDATE audit_leaf SET body = {0}, salt = substr(salt, 1, 0) WHERE {seq} = {1}",
}
TEXT_FIRST: Mapping[str, str | int] = {"feedback": -1, "answered": -1, "approval": ""}
TEXT_SLICE = 200
_TEXT_KEYS = {"feedback": "seq", "answered": "seq", "approval": "id"}


def _text_page(table: str) -> str:
    columns = ", ".join(f"{table}.{name}" for name in TEXTS[table].columns)
    key = f"{table}.{_TEXT_KEYS[table]}"
    return (
        f"SELECT {key}, {table}.{TEXTS[table].id}, task.tenant, {columns} FROM {table}"
        f" LEFT JOIN task ON task.id = {table}.task WHERE {key} > {{0}} ORDER BY {key} LIMIT {{1}}"
    )


def _text_put(table: str) -> str:
    places = ", ".join(f"{name} = {{{at}}}" for at, name in enumerate(TEXTS[table].columns))
    return f"UPDATE {table} SET {places} WHERE {_TEXT_KEYS[table]} = {{{len(TEXTS[table].columns)}}}"


def _texts(table: str, row: Sequence[Any]) -> StoredTexts:
    return StoredTexts(row[0], row[1], row[2], dict(zip(TEXTS[table].columns, row[3:], strict=True)))


_ERASED = "SELECT id FROM erased_key"
_KEYS = "SELECT id, tenant, key_id, nonce, wrapped FROM data_key ORDER BY created_at, id"
_NEW_KEY = "INSERT INTO data_key (id, tenant, key_id, nonce, wrapped) VALUES ({0}, {1}, {2}, {3}, {4})"
_REWRAP = "UPDATE data_key SET key_id = {0}, nonce = {1}, wrapped = {2} WHERE id = {3} AND key_id = {4}"


def _stored(row: Sequence[Any]) -> StoredBody:
    key, row_id, tenant, body, flag, *salt = row
    return StoredBody(key, row_id, tenant, body.encode() if isinstance(body, str) else body, flag, *salt)


class SqliteBodies:
    """Implements `RawBodies`. Beside a server, each slice takes the write lock for some milliseconds."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._places = {"seq": "rowid"}

    def _sql(self, text: str) -> str:
        return text.format(*("?",) * 6, **self._places)

    async def text_slice(self, table: str, after: Any, change: ChangeTexts, new_keys: Callable[[], list[Any]]) -> Any:
        connection = self._connection
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = await self.text_page(table, after)
            changed = change(found)
            connection.executemany(self._sql(_NEW_KEY), new_keys())
            put = [(*(texts[name] for name in TEXTS[table].columns), key) for key, texts in changed.items()]
            connection.executemany(self._sql(_text_put(table)), put)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return found[-1].key if found else None

    async def text_page(self, table: str, after: Any) -> list[StoredTexts]:
        found = self._connection.execute(self._sql(_text_page(table)), (after, TEXT_SLICE))
        return [_texts(table, row) for row in found]

    async def slice(self, table: str, after: Any, change: Change, new_keys: Callable[[], list[Any]]) -> Any:
        connection = self._connection
        connection.execute("PRAGMA secure_delete = ON")  # what is replaced is overwritten in the file
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = await self.page(table, after)
            changed = change(found)
            connection.executemany(self._sql(_NEW_KEY), new_keys())
            as_text = table == EVENT
            put = [(body.decode() if as_text else body, key) for key, body in changed.items()]
            connection.executemany(self._sql(_PUTS[table]), put)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return found[-1].key if found else None

    async def page(self, table: str, after: Any) -> list[StoredBody]:
        found = self._connection.execute(self._sql(_PAGES[table]), (after, SLICE[table]))
        return [_stored(row) for row in found]

    async def keys(self) -> list[WrappedKey]:
        return [WrappedKey(*row) for row in self._connection.execute(_KEYS)]

    async def begin(self, bodies: BodyCodec) -> None:
        begin_in_sqlite(self._connection, bodies, alone=True)

    async def erased(self) -> list[str]:
        return [row[0] for row in self._connection.execute(_ERASED)]

    async def note_whole(self) -> None:
        self._connection.execute(NOTE_WHOLE)

    async def rewrap(self, before: WrappedKey, after: WrappedKey) -> None:
        asked = (after.key_id, after.nonce, after.wrapped, before.id, before.key_id)
        self._connection.execute(self._sql(_REWRAP), asked)

    async def clean(self, *, alone: bool) -> None:
        if alone:
            self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class PostgresBodies:
    """Implements `RawBodies`. Rows are locked until the end of their slice."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._places = {"seq": "seq"}

    def _sql(self, text: str) -> str:
        return text.format("$1", "$2", "$3", "$4", "$5", "$6", **self._places)

    async def text_slice(self, table: str, after: Any, change: ChangeTexts, new_keys: Callable[[], list[Any]]) -> Any:
        return await self._tried(lambda: self._text_slice(table, after, change, new_keys))

    async def _text_slice(self, table: str, after: Any, change: ChangeTexts, new_keys: Callable[[], list[Any]]) -> Any:
        page = self._sql(_text_page(table)) + f" FOR UPDATE OF {table}"
        async with self._connection.transaction():
            found = [_texts(table, row) for row in await self._connection.fetch(page, after, TEXT_SLICE)]
            changed = change(found)
            await self._connection.executemany(self._sql(_NEW_KEY), new_keys())
            put = [(*(texts[name] for name in TEXTS[table].columns), key) for key, texts in changed.items()]
            await self._connection.executemany(self._sql(_text_put(table)), put)
        return found[-1].key if found else None

    async def text_page(self, table: str, after: Any) -> list[StoredTexts]:
        found = await self._connection.fetch(self._sql(_text_page(table)), after, TEXT_SLICE)
        return [_texts(table, row) for row in found]

    async def slice(self, table: str, after: Any, change: Change, new_keys: Callable[[], list[Any]]) -> Any:
        return await self._tried(lambda: self._slice(table, after, change, new_keys))

    async def _tried(self, once: Callable[[], Awaitable[Any]]) -> Any:
        from swarmkeeper.storage.postgres.connections import translated_errors

        for tried in range(_TRIES):
            try:
                with translated_errors():
                    return await once()
            except StaleVersion:  # it and a server waited for each other
                if tried == _TRIES - 1:
                    raise
        return None

    async def _slice(self, table: str, after: Any, change: Change, new_keys: Callable[[], list[Any]]) -> Any:
        page = self._sql(_PAGES[table]) + f" FOR UPDATE OF {table}"
        async with self._connection.transaction():
            found = [_stored(row) for row in await self._connection.fetch(page, after, SLICE[table])]
            changed = change(found)
            await self._connection.executemany(self._sql(_NEW_KEY), new_keys())
            as_text = table == EVENT
            put = [(body.decode() if as_text else body, key) for key, body in changed.items()]
            await self._connection.executemany(self._sql(_PUTS[table]), put)
        return found[-1].key if found else None

    async def page(self, table: str, after: Any) -> list[StoredBody]:
        return [_stored(row) for row in await self._connection.fetch(self._sql(_PAGES[table]), after, SLICE[table])]

    async def keys(self) -> list[WrappedKey]:
        return [WrappedKey(*row) for row in await self._connection.fetch(_KEYS)]

    async def begin(self, bodies: BodyCodec) -> None:
        await begin_in_postgres(self._connection, bodies)
        # What was told before has no number yet: it comes to the tables first.
        for _ in range(_LOOKS_MAX):
            if not await self._connection.fetchval("SELECT EXISTS (SELECT 1 FROM outbox WHERE sealed = 0)"):
                return
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        raise StoreUnavailable("events wait for their numbers: see the log of the orchestrators")

    async def erased(self) -> list[str]:
        return [row[0] for row in await self._connection.fetch(_ERASED)]

    async def note_whole(self) -> None:
        await self._connection.execute(NOTE_WHOLE)

    async def rewrap(self, before: WrappedKey, after: WrappedKey) -> None:
        asked = (after.key_id, after.nonce, after.wrapped, before.id, before.key_id)
        await self._connection.execute(self._sql(_REWRAP), *asked)

    async def clean(self, *, alone: bool) -> None:
        if alone:
            await self._wait_for_others()
        how = "VACUUM (FULL)" if alone else "VACUUM"
        for table in ("outbox", *TABLES, *TEXTS):
            await self._connection.execute(f"{how} {table}", timeout=_SECONDS_TO_CLEAN)

    async def _wait_for_others(self) -> None:
        """Wait for transactions that may still see rows as they were, such as that of a process that was killed."""
        for _ in range(_LOOKS_MAX):
            if not await self._connection.fetchval(_OTHERS):
                return
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)


_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)"
)
_LOOKS_MAX, _SECONDS_BETWEEN_LOOKS = 300, 0.1
_SECONDS_TO_CLEAN = 24 * 3600
